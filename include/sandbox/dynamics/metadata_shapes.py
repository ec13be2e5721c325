"""JSON of tables, attributes, options, keys and relationships (section 13.2)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from include.sandbox.dynamics import catalog
from include.sandbox.dynamics.metadata_defaults import (
    ATTRIBUTE_FLAGS,
    ATTRIBUTE_PROPERTIES,
    TABLE_FLAGS,
    TABLE_PROPERTIES,
)
from include.sandbox.dynamics.privilege_names import ACTIONS, privilege_id, privilege_name
from include.sandbox.dynamics.schema import Column, Option, Schema, Table, stable_id
from include.sandbox.service import Json

BASE_LANGUAGE = 1033
_VIRTUAL = {"MultiSelectPicklist": "MultiSelectPicklistType", "Image": "ImageType"}
_CAST = {"Uniqueidentifier": "UniqueIdentifier", "Customer": "Lookup", "Owner": "Lookup"}
_SUFFIX = "AttributeMetadata"
_CASTS = (
    *("String", "Memo", "Integer", "BigInt", "Decimal", "Double", "Money", "Boolean", "DateTime", "Picklist"),
    *("MultiSelectPicklist", "State", "Status", "Lookup", "EntityName", "Image", "File", "UniqueIdentifier"),
    "ManagedProperty",
)
# What attributes can be cast to; there is no cast to the abstract type of all choices (section 13.1).
ATTRIBUTE_CASTS = frozenset(f"{kind}{_SUFFIX}" for kind in _CASTS)
Labels = Sequence[tuple[int, str]]


def label(text: str, *parts: str, others: Labels = (), managed_by_vendor: bool = True) -> dict[str, Json]:
    """A label in the base language of this org, which is that of its users, and in further languages."""
    texts = [(BASE_LANGUAGE, text), *others] if text else list(others)
    entries = [
        {
            "Label": shown,
            "LanguageCode": language,
            "IsManaged": managed_by_vendor,
            "MetadataId": stable_id("label", *parts, *([] if language == BASE_LANGUAGE else [str(language)])),
            "HasChanged": None,
        }
        for language, shown in texts
    ]
    return {"LocalizedLabels": entries, "UserLocalizedLabel": entries[0] if entries else None}


def managed(name: str, value: Json, *, changeable: bool = True) -> dict[str, Json]:
    """A managed property."""
    return {"Value": value, "CanBeChanged": changeable, "ManagedPropertyLogicalName": name}


def _managed_properties(properties: Mapping[str, tuple[str, bool, bool]]) -> dict[str, Json]:
    return {name: managed(key, value, changeable=free) for name, (key, value, free) in properties.items()}


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
        "IsCustomEntity": table.custom,
        "IsActivity": table.base is not None or table.view,
        "IsManaged": not table.custom,
        "ReportViewName": f"Filtered{shown}",
        "IsIntersect": False,
        "IsLogicalEntity": False,
        "ChangeTrackingEnabled": table.tracking,
        "CanChangeTrackingBeEnabled": managed("canchangetrackingbeenabled", value=True),
        "IsOptimisticConcurrencyEnabled": table.concurrency,
        "IsDuplicateDetectionEnabled": managed("canmodifyduplicatedetectionsettings", value=True),
        **TABLE_FLAGS,
        **_managed_properties(TABLE_PROPERTIES),
        "TableType": "Standard",
        "DisplayName": label(table.label or shown, table.name),
        "DisplayCollectionName": label(table.collection_label or f"{shown}s", table.name, "collection"),
        "Description": label("", table.name),
        "Privileges": _privileges(table),
        "MetadataId": stable_id("entity", table.name),
    }


def _privileges(table: Table) -> list[dict[str, Json]]:
    """The privileges that a table knows; rows without an owner are the organisation's."""
    owned = table.ownership == "UserOwned"
    return [
        {
            "CanBeBasic": owned,
            "CanBeDeep": owned,
            "CanBeGlobal": True,
            "CanBeLocal": owned,
            "CanBeEntityReference": False,
            "CanBeParentEntityReference": False,
            "CanBeRecordFilter": False,
            "Name": privilege_name(table, action),
            "PrivilegeId": privilege_id(privilege_name(table, action)),
            "PrivilegeType": action,
        }
        for action in ACTIONS
    ]


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
        "IsSecured": column.secured,
        "SourceType": 0,
        "ColumnNumber": list(table.columns).index(column.name) + 1,
        "RequiredLevel": managed("canmodifyrequirementlevelsettings", column.required),
        **ATTRIBUTE_FLAGS,
        **_managed_properties(ATTRIBUTE_PROPERTIES),
        "DisplayName": label(column.label, table.name, column.name, others=column.labels),
        "Description": label("", table.name, column.name),
        "MetadataId": stable_id("attribute", table.name, column.name),
    }


def attribute_details(column: Column) -> dict[str, Json]:
    """What only this type of attribute has, without its option set."""
    numeric = {"MinValue": column.minimum, "MaxValue": column.maximum}
    per_type: dict[str, dict[str, Json]] = {
        "String": {"Format": column.format, "FormatName": {"Value": column.format or "Text"}, "ImeMode": "Auto"}
        | {"YomiOf": None, "FormulaDefinition": "", "SourceTypeMask": 0}
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
    """The choices of a column, or None for a type without any; those of a global choice carry its name."""
    name = column.global_options or f"{table.name}_{column.name}"
    shared = column.global_options is not None
    common: dict[str, Json] = {
        "Name": name,
        "IsGlobal": shared,
        "IsCustomOptionSet": column.custom,
        "IsManaged": not column.custom,
        "ExternalTypeName": "",
        "ParentOptionSetName": None,
        "IntroducedVersion": None,
        "HasChanged": None,
        "DisplayName": label(column.label, name),
        "Description": label("", name),
        "IsCustomizable": managed("iscustomizable", value=True),
        "MetadataId": stable_id("options", name) if shared else stable_id("options", table.name, column.name),
    }
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
        "Label": label(option.label, name, str(option.value), others=option.labels),
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


def global_choices(schema: Schema) -> list[dict[str, Json]]:
    """Every global choice once, with its metadata type."""
    found: dict[str, dict[str, Json]] = {}
    for table in schema.tables.values():
        for column in table.columns.values():
            if column.global_options is not None and column.global_options not in found:
                shape = option_set(table, column) or {}
                found[column.global_options] = {"@odata.type": "#Microsoft.Dynamics.CRM.OptionSetMetadata", **shape}
    return list(found.values())
