"""JSON of tables, attributes, options, keys and relationships (section 13.2)."""

from __future__ import annotations

from collections.abc import Iterable

from include.sandbox.dynamics import catalog
from include.sandbox.dynamics.schema import Column, Option, Schema, Table, stable_id
from include.sandbox.service import Json

_LANGUAGE = 1033
_VIRTUAL = {"MultiSelectPicklist": "MultiSelectPicklistType", "Image": "ImageType"}
_CAST = {"Uniqueidentifier": "UniqueIdentifier", "Customer": "Lookup", "Owner": "Lookup"}
_SUFFIX = "AttributeMetadata"


def label(text: str, *parts: str) -> dict[str, Json]:
    """A label in the one language of this org."""
    if not text:
        return {"LocalizedLabels": [], "UserLocalizedLabel": None}
    entry = {
        "Label": text,
        "LanguageCode": _LANGUAGE,
        "IsManaged": True,
        "MetadataId": stable_id("label", *parts),
        "HasChanged": None,
    }
    return {"LocalizedLabels": [entry], "UserLocalizedLabel": entry}


def managed(name: str, value: Json, *, changeable: bool = True) -> dict[str, Json]:
    """A managed property."""
    return {"Value": value, "CanBeChanged": changeable, "ManagedPropertyLogicalName": name}


def cast_name(column: Column) -> str:
    """Metadata type of a column, without the namespace."""
    return f"{_CAST.get(column.type, column.type)}{_SUFFIX}"


def table_shape(table: Table) -> dict[str, Json]:
    """One table."""
    shown = table.schema_name
    return {
        "LogicalName": table.name,
        "SchemaName": shown,
        "EntitySetName": table.set,
        "LogicalCollectionName": table.set,
        "CollectionSchemaName": f"{shown}s",
        "PrimaryIdAttribute": table.key,
        "PrimaryNameAttribute": table.primary_name,
        "PrimaryImageAttribute": "entityimage" if "entityimage" in table.columns else None,
        "ObjectTypeCode": table.type_code,
        "OwnershipType": table.ownership,
        "IsCustomEntity": False,
        "IsActivity": False,
        "IsManaged": True,
        "IsIntersect": False,
        "IsLogicalEntity": False,
        "ChangeTrackingEnabled": table.tracking,
        "CanChangeTrackingBeEnabled": managed("canchangetrackingbeenabled", value=True),
        "IsOptimisticConcurrencyEnabled": table.concurrency,
        "IsDuplicateDetectionEnabled": managed("canmodifyduplicatedetectionsettings", value=True),
        "IsAuditEnabled": managed("canmodifyauditsettings", value=False),
        "TableType": "Standard",
        "DisplayName": label(shown, table.name),
        "DisplayCollectionName": label(f"{shown}s", table.name, "collection"),
        "Description": label("", table.name),
        "MetadataId": stable_id("entity", table.name),
    }


def attribute_base(table: Table, column: Column) -> dict[str, Json]:
    """What every attribute has, its metadata type first."""
    kind = _VIRTUAL.get(column.type, f"{column.type}Type")
    return {
        "@odata.type": f"#Microsoft.Dynamics.CRM.{cast_name(column)}",
        "LogicalName": column.name,
        "SchemaName": column.schema_name,
        "EntityLogicalName": table.name,
        "AttributeType": "Virtual" if column.type in _VIRTUAL else column.type,
        "AttributeTypeName": {"Value": kind},
        "AttributeOf": column.attribute_of,
        "IsValidForCreate": column.create,
        "IsValidForRead": column.read,
        "IsValidForUpdate": column.update,
        "IsValidODataAttribute": column.exposed,
        "IsCustomAttribute": column.custom,
        "IsPrimaryId": column.name == table.key,
        "IsPrimaryName": column.name == table.primary_name,
        "IsLogical": False,
        "IsManaged": not column.custom,
        "IsSecured": False,
        "SourceType": 0,
        "ColumnNumber": list(table.columns).index(column.name) + 1,
        "RequiredLevel": managed("canmodifyrequirementlevelsettings", column.required),
        "DisplayName": label(column.label, table.name, column.name),
        "Description": label("", table.name, column.name),
        "MetadataId": stable_id("attribute", table.name, column.name),
    }


def attribute_details(column: Column) -> dict[str, Json]:
    """What only this type of attribute has, without its option set."""
    numeric = {"MinValue": column.minimum, "MaxValue": column.maximum}
    per_type: dict[str, dict[str, Json]] = {
        "String": {"Format": column.format, "FormatName": {"Value": column.format or "Text"}}
        | {"MaxLength": column.max_length, "DatabaseLength": (column.max_length or 0) * 2, "IsLocalizable": False},
        "Memo": {"Format": column.format, "FormatName": {"Value": "TextArea"}, "MaxLength": column.max_length},
        "Integer": {**numeric, "Format": column.format or "None"},
        "BigInt": {"MinValue": -(2**63), "MaxValue": 2**63 - 1},
        "Decimal": {**numeric, "Precision": column.precision},
        "Double": {**numeric, "Precision": column.precision},
        "Money": {**numeric, "Precision": column.precision, "PrecisionSource": 2 if column.read else 0}
        | {"IsBaseCurrency": column.name.endswith("_base"), "CalculationOf": _calculation(column)},
        "DateTime": {"Format": column.format, "DateTimeBehavior": {"Value": column.behaviour}},
        "Boolean": {"DefaultValue": column.default == "true"},
        "Picklist": {"DefaultFormValue": _form_default(column)},
        "MultiSelectPicklist": {"DefaultFormValue": -1},
        "Lookup": {"Targets": list(column.targets)},
        "Image": {"IsPrimaryImage": True, "MaxHeight": 144, "MaxWidth": 144},
    }
    shape = {"Customer": "Lookup", "Owner": "Lookup", "State": "Picklist", "Status": "Picklist"}
    return per_type.get(shape.get(column.type, column.type), {})


def _form_default(column: Column) -> int:
    default = catalog.default_of(column)
    return default if column.type == "Picklist" and default is not None else -1


def _calculation(column: Column) -> str | None:
    return column.name.removesuffix("_base") if column.name.endswith("_base") else None


def option_set(table: Table, column: Column) -> dict[str, Json] | None:
    """The choices of a column, or None for a type without any."""
    name = f"{table.name}_{column.name}"
    common = {"Name": name, "IsGlobal": False, "IsCustomOptionSet": column.custom}
    common |= {"MetadataId": stable_id("options", table.name, column.name)}
    if column.type == "Boolean":
        on, off = column.option(1) or Option(1, "Yes"), column.option(0) or Option(0, "No")
        kinds = {"OptionSetType": "Boolean", "TrueOption": _option(name, on), "FalseOption": _option(name, off)}
        return common | kinds
    if column.type not in {"Picklist", "State", "Status", "MultiSelectPicklist"}:
        return None
    kind = column.type if column.type in {"State", "Status"} else "Picklist"
    options = [_option(name, option) | _kind_details(kind, option) for option in column.options]
    return common | {"OptionSetType": kind, "Options": options}


def _option(name: str, option: Option) -> dict[str, Json]:
    return {
        "Value": option.value,
        "Color": None,
        "IsManaged": True,
        "ExternalValue": "",
        "ParentValues": [],
        "Label": label(option.label, name, str(option.value)),
        "Description": label("", name),
        "MetadataId": None,
        "HasChanged": None,
    }


def _kind_details(kind: str, option: Option) -> dict[str, Json]:
    if kind == "State":
        details = {"DefaultStatus": option.default_status, "InvariantName": option.label.replace(" ", "")}
        return {"@odata.type": "#Microsoft.Dynamics.CRM.StateOptionMetadata", **details}
    if kind == "Status":
        details = {"State": option.state, "TransitionData": None}
        return {"@odata.type": "#Microsoft.Dynamics.CRM.StatusOptionMetadata", **details}
    return {}


def key_shapes(table: Table) -> list[dict[str, Json]]:
    """Alternate keys."""
    return [
        {
            "SchemaName": key.name,
            "LogicalName": key.name.lower(),
            "EntityLogicalName": table.name,
            "KeyAttributes": list(key.columns),
            "EntityKeyIndexStatus": "Active",
            "MetadataId": stable_id("key", table.name, key.name),
        }
        for key in table.keys
    ]


def many_to_one(schema: Schema, table: Table) -> list[dict[str, Json]]:
    """Relationships in which the table is the child, one per navigation property of a lookup."""
    named = {(r.child, r.column, r.parent): r.name for r in schema.relationships}
    shapes = []
    for column in table.columns.values():
        for navigation, target in column.navigation:
            name = named.get((table.name, column.name, target), f"{table.name}_{navigation}_{target}")
            shapes.append(_relationship(schema, name, table.name, column.name, target, navigation))
    return shapes


def one_to_many(schema: Schema, table: Table) -> list[dict[str, Json]]:
    """Relationships in which the table is the parent."""
    return [
        shape
        for child in schema.tables.values()
        for shape in many_to_one(schema, child)
        if shape["ReferencedEntity"] == table.name
    ]


def _relationship(schema: Schema, name: str, child: str, column: str, parent: str, navigation: str) -> dict[str, Json]:
    known = next((r for r in schema.relationships if r.name == name), None)
    cascade = {"Delete": "NoCascade", "Assign": "NoCascade", "Merge": "NoCascade"}
    if known is not None:
        cascade = {"Delete": known.delete, "Assign": known.assign, "Merge": known.merge}
    return {
        "SchemaName": name,
        "RelationshipType": "OneToManyRelationship",
        "ReferencingEntity": child,
        "ReferencingAttribute": column,
        "ReferencedEntity": parent,
        "ReferencedAttribute": schema.tables[parent].key if parent in schema.tables else f"{parent}id",
        "ReferencingEntityNavigationPropertyName": navigation,
        "ReferencedEntityNavigationPropertyName": name,
        "CascadeConfiguration": cascade,
        "MetadataId": stable_id("relationship", name),
    }


def all_relationships(schema: Schema) -> Iterable[dict[str, Json]]:
    """Every one-to-many relationship of the org."""
    for table in schema.tables.values():
        yield from many_to_one(schema, table)
