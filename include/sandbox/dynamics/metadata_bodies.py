"""Definitions of tables, columns and relationships as clients send them, turned into schema changes (section 13.2).

The vendor's pages create-update-column-definitions-using-web-api and create-update-entity-definitions-using-web-api.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

from include.sandbox.dynamics.errors import ServiceError, bad_payload
from include.sandbox.dynamics.metadata_shapes import BASE_LANGUAGE
from include.sandbox.dynamics.parameters import NAMESPACE
from include.sandbox.dynamics.schema import Column, Schema
from include.sandbox.service import Json

_SUFFIX = "AttributeMetadata"
_FIRST_OPTION = 100_000_000  # options without a value are numbered from the prefix of the publisher
_INT32 = 2**31
_LEVELS = ("None", "SystemRequired", "ApplicationRequired", "Recommended")
_MOST = {"max_length": 1_048_576, "precision": 12, "minimum": 10**15, "maximum": 10**15}
Definition = Mapping[str, Json]
Arguments = dict[str, Any]


def wrong(detail: str) -> ServiceError:
    """400 for a definition that makes no sense."""
    return ServiceError(400, "0x80040203", detail)


def label_of(value: Json) -> tuple[str | None, dict[str, str]]:
    """The text of a label in the base language and those in further languages by LCID."""
    entries = value.get("LocalizedLabels") if isinstance(value, dict) else None
    if entries is not None and not isinstance(entries, list):
        raise wrong("'LocalizedLabels' is no list.")
    texts = {
        int(entry["LanguageCode"]): str(entry["Label"])
        for entry in entries or ()
        if isinstance(entry, dict) and isinstance(entry.get("LanguageCode"), int) and entry.get("Label")
    }
    base = texts.pop(BASE_LANGUAGE, None)
    return base, {str(language): text for language, text in texts.items()}


def _value(body: Definition, name: str) -> Json:
    """The value inside of a member such as `RequiredLevel`."""
    member = body.get(name)
    return member.get("Value") if isinstance(member, dict) else None


def _plain(name: str, value: Json) -> Json:
    """A property in the form that is kept; raises 400 for one of the wrong type."""
    if name in {"max_length", "precision"}:
        fits = isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= _MOST[name]
    elif name in {"minimum", "maximum"}:
        fits = isinstance(value, int | Decimal) and not isinstance(value, bool) and abs(Decimal(value)) <= _MOST[name]
    else:
        fits = name not in {"format", "behaviour", "required"} or isinstance(value, str)
    if not fits:
        raise wrong(f"The value of the property '{name}' does not fit.")
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    return value


def type_of(body: Definition, suffix: str) -> str:
    """`String` of `Microsoft.Dynamics.CRM.StringAttributeMetadata`; raises 400 for anything else."""
    kind = str(body.get("@odata.type", "")).removeprefix("#").removeprefix(NAMESPACE).removeprefix("Complex")
    if not kind.endswith(suffix):
        detail = f"Microsoft.OData.ODataException: The '@odata.type' is missing or names no {suffix}."
        raise bad_payload("EntityDefinitions", detail)
    return {"UniqueIdentifier": "Uniqueidentifier"}.get(kind.removesuffix(suffix), kind.removesuffix(suffix))


def names_of(body: Definition) -> tuple[str, str]:
    """Logical and schema name; raises 400 for one without the prefix of a publisher."""
    schema_name = body.get("SchemaName")
    name = schema_name.lower() if isinstance(schema_name, str) else ""
    if not isinstance(schema_name, str) or not name.isidentifier() or "_" not in name.strip("_"):
        raise wrong(f"The name '{schema_name}' is no valid name with a customization prefix.")
    return name, schema_name


def new_column(schema: Schema, table: str, body: Definition) -> Arguments:
    """The arguments of `add_attribute`; raises 400."""
    kind = type_of(body, _SUFFIX)
    if kind not in _DETAILS:
        raise wrong(f"Columns of type {kind} are not created by this request.")
    name, schema_name = names_of(body)
    return {"entity": table, "attribute": name, "type": kind, "schema_name": schema_name} | column_changes(
        schema, kind, body, label=schema_name
    )


def column_changes(schema: Schema, kind: str, body: Definition, label: str | None = None) -> Arguments:
    """The properties of a column that a definition gives, by the names of `schema.Column`; `label` if it has none."""
    text, others = label_of(body.get("DisplayName"))
    found: Arguments = {} if (text or label) is None else {"label": text or label}
    if others:
        found["labels"] = others
    if body.get("RequiredLevel") is not None:
        found["required"] = _value(body, "RequiredLevel")
        if found["required"] not in _LEVELS:
            raise wrong(f"The required level '{found['required']}' is unknown.")
    if isinstance(body.get("IsSecured"), bool):
        found["secured"] = body["IsSecured"]
    details = _DETAILS[kind](schema, body) if kind in _DETAILS else {}
    return found | {name: _plain(name, value) for name, value in details.items() if value is not None}


def _numbers(_schema: Schema, body: Definition) -> Arguments:
    names = {"minimum": "MinValue", "maximum": "MaxValue", "precision": "Precision", "format": "Format"}
    return {name: body.get(member) for name, member in names.items()}


def _text(_schema: Schema, body: Definition) -> Arguments:
    return {"max_length": body.get("MaxLength"), "format": _value(body, "FormatName") or body.get("Format")}


def _moment(_schema: Schema, body: Definition) -> Arguments:
    return {"format": body.get("Format"), "behaviour": _value(body, "DateTimeBehavior")}


def _truth(_schema: Schema, body: Definition) -> Arguments:
    options = body.get("OptionSet")
    default = body.get("DefaultValue")
    found: Arguments = {"default": str(default).lower() if isinstance(default, bool) else None}
    if isinstance(options, dict):
        pairs = (("FalseOption", 0, "No"), ("TrueOption", 1, "Yes"))
        found["options"] = [
            {"value": value, "label": label_of(_inside(options, name))[0] or usual} for name, value, usual in pairs
        ]
    return found


def _inside(options: Definition, name: str) -> Json:
    option = options.get(name)
    return option.get("Label") if isinstance(option, dict) else None


def _choice(schema: Schema, body: Definition) -> Arguments:
    options = body.get("OptionSet")
    default = body.get("DefaultFormValue")
    chosen = isinstance(default, int) and not isinstance(default, bool) and 0 <= default < _INT32
    found: Arguments = {"default": str(default) if chosen else None}
    shared = body.get("GlobalOptionSet@odata.bind")
    if isinstance(shared, str):
        found |= _shared(schema, shared)
    elif isinstance(options, dict) and isinstance(options.get("Options"), list):
        found["options"] = [_option(entry, number) for number, entry in enumerate(options["Options"])]
    return found


def _option(entry: Json, number: int) -> dict[str, Json]:
    if not isinstance(entry, dict):
        raise wrong("An option is no object.")
    value = entry.get("Value")
    text, others = label_of(entry.get("Label"))
    if value is None:
        value = _FIRST_OPTION + number
    if not isinstance(value, int) or isinstance(value, bool) or abs(value) >= _INT32:
        raise wrong(f"The value '{value}' of an option does not fit.")
    return {"value": value, "label": text or str(value), "labels": others}


def _shared(schema: Schema, address: str) -> Arguments:
    """The options of a global choice, named by `/GlobalOptionSetDefinitions(Name='x')`."""
    name = address.rpartition("(")[2].rstrip(")").rpartition("=")[2].strip("'")
    for table in schema.tables.values():
        for column in table.columns.values():
            if column.global_options == name:
                return {"global_options": name, "options": [_stored(column, value) for value in column.options]}
    raise ServiceError(404, "0x80060888", f"Could not find an optionset with the name '{name}'.")


def _stored(_column: Column, option: Any) -> dict[str, Json]:
    return {"value": option.value, "label": option.label, "labels": {str(lcid): text for lcid, text in option.labels}}


def _nothing(_schema: Schema, _body: Definition) -> Arguments:
    return {}


_DETAILS: Mapping[str, Callable[[Schema, Definition], Arguments]] = {
    "String": _text,
    "Memo": lambda schema, body: {**_text(schema, body), "format": "TextArea"},
    **dict.fromkeys(("Integer", "Decimal", "Double", "Money"), _numbers),
    "BigInt": _nothing,
    "Boolean": _truth,
    "DateTime": _moment,
    "Picklist": _choice,
    "MultiSelectPicklist": _choice,
}


def new_table(schema: Schema, body: Definition) -> list[tuple[str, Arguments]]:
    """A table with its columns as schema changes: the primary name comes with it, the others after it; raises 400."""
    name, schema_name = names_of(body)
    listed = body.get("Attributes")
    columns = [entry for entry in listed if isinstance(entry, dict)] if isinstance(listed, list) else []
    primary = [entry for entry in columns if entry.get("IsPrimaryName") is True]
    if len(primary) != 1:
        raise wrong("A table needs exactly one column that is its primary name.")
    title = new_column(schema, name, primary[0])
    label, _ = label_of(body.get("DisplayName"))
    many, _ = label_of(body.get("DisplayCollectionName"))
    table = {
        "entity": name,
        "schema_name": schema_name,
        "title": {key: title[key] for key in ("attribute", "schema_name", "max_length", "label") if key in title},
        "label": label or schema_name,
        "collection_label": many or f"{label or schema_name}s",
        "ownership": str(body.get("OwnershipType") or "UserOwned"),
    }
    others = [("add_attribute", new_column(schema, name, entry)) for entry in columns if entry is not primary[0]]
    return [("add_table", table), *others]


def new_lookup(schema: Schema, body: Definition) -> Arguments:
    """The lookup that a one-to-many relationship makes, as arguments of `add_attribute`; raises 400."""
    lookup, cascade = body.get("Lookup"), body.get("CascadeConfiguration")
    parent, child = str(body.get("ReferencedEntity")), str(body.get("ReferencingEntity"))
    for table in (parent, child):
        if table not in schema.tables:
            text = f"The entity with a name = '{table}' with namemapping = 'Logical' was not found in the "
            raise ServiceError(400, "0x80041102", f"{text}MetadataCache.")
    if not isinstance(lookup, dict):
        raise wrong("Required field 'Lookup' is missing")
    name, schema_name = names_of(lookup)
    relationship = names_of(body)[1]
    return {
        "entity": child,
        "attribute": name,
        "type": "Lookup",
        "schema_name": schema_name,
        "targets": [parent],
        "relationship": relationship,
        "on_delete": str((cascade if isinstance(cascade, dict) else {}).get("Delete") or "RemoveLink"),
    } | column_changes(schema, "Lookup", lookup, label=schema_name)
