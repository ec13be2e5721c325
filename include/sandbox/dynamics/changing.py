"""Changes of metadata that a test or an operator makes: columns, options, keys, tables (V61)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import fields, replace
from decimal import Decimal

from include.sandbox.dynamics import catalog
from include.sandbox.dynamics.schema import LOOKUP, AlternateKey, Column, Option, Table
from include.sandbox.service import Json

_TYPES = frozenset(
    {"String", "Memo", "Integer", "Decimal", "Double", "Money", "Boolean", "DateTime", "Picklist", "Lookup"}
    | {"MultiSelectPicklist", "Uniqueidentifier", "BigInt"}
)
_STAMPS = frozenset({"createdon", "createdby", "modifiedon", "modifiedby"})
_OWNER = frozenset({"ownerid", "owneridtype", "owninguser", "owningteam", "owningbusinessunit"})
_NEEDED = _STAMPS | _OWNER | {"statecode", "statuscode", "versionnumber", "transactioncurrencyid"}
_COMMON = (
    _STAMPS | _OWNER | {"createdonbehalfby", "modifiedonbehalfby", "overriddencreatedon", "importsequencenumber"}
) | {"versionnumber"}
_NUMBERS = frozenset({"minimum", "maximum"})
_FIXED = frozenset({"table", "name", "type", "custom", "navigation"})
_SHAPE = frozenset(entry.name for entry in fields(Column)) - _FIXED


def _shape(changes: Mapping[str, Json]) -> dict[str, Json]:
    unknown = set(changes) - _SHAPE
    if unknown:
        message = f"unknown column properties {sorted(unknown)}; known: {sorted(_SHAPE)}"
        raise ValueError(message)
    shaped = dict(changes)
    for name in _NUMBERS & set(shaped):
        shaped[name] = None if shaped[name] is None else Decimal(str(shaped[name]))
    if "options" in shaped:
        shaped["options"] = catalog.parse_options(shaped["options"])
    if "labels" in shaped:
        shaped["labels"] = catalog.parse_labels(shaped["labels"])
    if "targets" in shaped:
        shaped["targets"] = tuple(shaped["targets"])
    return shaped


def _set_metadata(table: Table, arguments: Mapping[str, Json]) -> Table:
    changes = arguments["changes"]
    name = arguments.get("attribute")
    if name is None:
        if set(changes) - {"tracking", "concurrency", "label", "collection_label"}:
            message = "a table has the properties tracking, concurrency, label and collection_label"
            raise ValueError(message)
        return replace(table, **changes)
    if name not in table.columns:
        message = f"unknown attribute {name!r} of {table.name}"
        raise ValueError(message)
    kind = changes.get("type", table.columns[name].type)
    shaped = _shape({key: value for key, value in changes.items() if key != "type"})
    if kind != table.columns[name].type:
        return _retyped(table, name, kind, shaped)
    return replace(table, columns={**table.columns, name: replace(table.columns[name], **shaped)})


def _retyped(table: Table, name: str, kind: str, shaped: Mapping[str, Json]) -> Table:
    """A column of another type, as after an administrator deleted it and made it anew: its values are gone."""
    _check_removable(table, name)
    if kind not in _TYPES - LOOKUP:
        message = f"a column cannot become a {kind!r}"
        raise ValueError(message)
    old = table.columns[name]
    fresh = Column(table.name, name, old.schema_name, kind, label=old.label, labels=old.labels, custom=old.custom)
    column = replace(fresh, **{**_defaults(kind), **shaped})
    return replace(table, columns={**table.columns, name: column}, implied=_without(table.implied, name))


def _without(mapping: Mapping[str, Json], *names: str) -> dict[str, Json]:
    return {name: value for name, value in mapping.items() if name not in names}


def _check_removable(table: Table, name: str) -> None:
    if name not in table.columns:
        message = f"unknown attribute {name!r} of {table.name}"
        raise ValueError(message)
    if name in _NEEDED or name in {table.key, table.primary_name} or table.columns[name].required == "SystemRequired":
        message = f"{name!r} is a column that {table.name} cannot do without"
        raise ValueError(message)


def _remove_attribute(table: Table, arguments: Mapping[str, Json]) -> Table:
    name = arguments["attribute"]
    _check_removable(table, name)
    gone = (name, *(c.name for c in table.columns.values() if c.attribute_of == name))
    keys = tuple(key for key in table.keys if name not in key.columns)
    columns = {key: column for key, column in table.columns.items() if key not in gone}
    return replace(table, columns=columns, implied=_without(table.implied, *gone), keys=keys)


def forgets_values(table: Table, command: str, arguments: Mapping[str, Json]) -> bool:
    """Whether a change throws away what is stored in its column."""
    if command == "remove_attribute":
        return True
    name, changes = arguments.get("attribute"), arguments.get("changes") or {}
    column = table.columns.get(str(name))
    return column is not None and changes.get("type", column.type) != column.type


def _add_option(table: Table, arguments: Mapping[str, Json]) -> Table:
    name = arguments["attribute"]
    column = table.columns.get(name)
    if column is None or column.type not in {"Picklist", "MultiSelectPicklist", "Status"}:
        message = f"{name!r} is no choice of {table.name}"
        raise ValueError(message)
    entry = {key: value for key, value in arguments.items() if key in {"value", "label", "labels", "state"}}
    option: Option = catalog.parse_options([{"label": str(entry["value"]), **entry}])[0]
    if column.option(option.value) is not None or (column.type == "Status" and option.state is None):
        message = f"the option {option.value} exists already, or lacks its state"
        raise ValueError(message)
    return replace(table, columns={**table.columns, name: replace(column, options=(*column.options, option))})


def _remove_key(table: Table, arguments: Mapping[str, Json]) -> Table:
    keys = tuple(key for key in table.keys if key.name != arguments["name"])
    if len(keys) == len(table.keys):
        message = f"unknown key {arguments['name']!r} of {table.name}"
        raise ValueError(message)
    return replace(table, keys=keys)


def _custom_columns(
    name: str, key: str, title: str, given: Mapping[str, Json], common: Mapping[str, Column]
) -> dict[str, Column]:
    """Key and name, then what every table has."""
    columns = {
        key: Column(name, key, key, "Uniqueidentifier", required="SystemRequired", update=False, label="Primary key"),
        title: Column(
            name,
            title,
            str(given.get("schema_name") or title),
            "String",
            "Text",
            int(given.get("max_length") or 100),
            required="ApplicationRequired",
            label=str(given.get("label") or "Name"),
            custom=True,
        ),
    }
    columns |= {n: replace(common[n], table=name) for n in common if n in _COMMON}
    states = catalog.parse_options(
        [{"value": 0, "label": "Active", "default_status": 1}, {"value": 1, "label": "Inactive", "default_status": 2}]
    )
    statuses = catalog.parse_options(
        [{"value": 1, "label": "Active", "state": 0}, {"value": 2, "label": "Inactive", "state": 1}]
    )
    columns["statecode"] = replace(common["statecode"], table=name, options=states)
    columns["statuscode"] = replace(common["statuscode"], table=name, options=statuses)
    return columns


def custom_table(tables: Mapping[str, Table], arguments: Mapping[str, Json]) -> Table:
    """A user-owned table with a key, a name and the columns that every such table has.

    `entity` is its logical name; `set` and `schema_name` are made from it unless given. The common columns are
    those of `campaign` under the table's own name. Raises `ValueError` for a name that is taken or no name.
    """
    name = arguments["entity"]
    entity_set = arguments.get("set") or plural(name)
    if not name.isidentifier() or not name.islower() or "_" not in name:
        message = f"{name!r} is no name of a custom table: a prefix, an underscore, lower case"
        raise ValueError(message)
    if name in tables or entity_set in {table.set for table in tables.values()}:
        message = f"the table {name!r} or its set {entity_set!r} exists already"
        raise ValueError(message)
    prefix = name.partition("_")[0]
    given = arguments.get("title") or {}
    key, title = f"{name}id", str(given.get("attribute") or f"{prefix}_name")
    columns = _custom_columns(name, key, title, given, tables["campaign"].columns)
    number = 10_000 + sum(1 for table in tables.values() if table.custom)
    schema_name = arguments.get("schema_name") or name
    ownership = arguments.get("ownership") or "UserOwned"
    if ownership not in {"UserOwned", "OrganizationOwned"}:
        message = f"a custom table is not {ownership}"
        raise ValueError(message)
    if ownership == "OrganizationOwned":
        columns = {n: column for n, column in columns.items() if n not in _OWNER}
    label, many = str(arguments.get("label") or ""), str(arguments.get("collection_label") or "")
    return Table(
        name,
        entity_set,
        schema_name,
        key,
        title,
        number,
        ownership,
        columns,
        {},
        custom=True,
        label=label,
        collection_label=many,
    )


def plural(name: str) -> str:
    """The set of a table, as the service names it."""
    if name.endswith("y") and name[-2:-1] not in "aeiou":
        return f"{name[:-1]}ies"
    return f"{name}{'es' if name.endswith(('s', 'x', 'z', 'ch', 'sh')) else 's'}"


def _add_attribute(table: Table, arguments: Mapping[str, Json]) -> Table:
    name, kind = arguments["attribute"], arguments["type"]
    if name in table.columns or kind not in _TYPES:
        message = f"attribute {name!r} exists already" if name in table.columns else f"unknown type {kind!r}"
        raise ValueError(message)
    rest = {key: value for key, value in arguments.items() if key not in {"entity", "attribute", "type"}}
    shape = {"schema_name": name, "label": name, **_defaults(kind), **_shape(rest)}
    # A custom lookup's navigation property is its schema name, mixed case (section 14.6).
    navigation = tuple((shape["schema_name"], target) for target in shape.get("targets", ()) if kind in LOOKUP)
    column = Column(table=table.name, name=name, type=kind, custom=True, navigation=navigation, **shape)
    return replace(table, columns={**table.columns, name: column})


def _defaults(kind: str) -> dict[str, Json]:
    per_type: dict[str, dict[str, Json]] = {
        "String": {"max_length": 100, "format": "Text"},
        "Memo": {"max_length": 2000, "format": "TextArea"},
        "Integer": {"minimum": Decimal(-(2**31)), "maximum": Decimal(2**31 - 1), "format": "None"},
        "Decimal": {"minimum": Decimal(-(10**11)), "maximum": Decimal(10**11), "precision": 2},
        "Double": {"minimum": Decimal(0), "maximum": Decimal(10**9), "precision": 2},
        "Money": {"minimum": Decimal(-922337203685477), "maximum": Decimal(922337203685477), "precision": 2},
        "DateTime": {"format": "DateAndTime", "behaviour": "UserLocal"},
        "Boolean": {"options": catalog.parse_options([{"value": 0, "label": "No"}, {"value": 1, "label": "Yes"}])},
    }
    return per_type.get(kind, {})


def _add_key(table: Table, arguments: Mapping[str, Json]) -> Table:
    key = AlternateKey(arguments["name"], tuple(arguments["columns"]))
    if not key.columns or any(name not in table.columns for name in key.columns):
        message = f"key {key.name!r} names columns that {table.name} lacks"
        raise ValueError(message)
    return replace(table, keys=(*table.keys, key))


CHANGES: Mapping[str, Callable[[Table, Mapping[str, Json]], Table]] = {
    "set_metadata": _set_metadata,
    "add_attribute": _add_attribute,
    "remove_attribute": _remove_attribute,
    "add_option": _add_option,
    "add_key": _add_key,
    "remove_key": _remove_key,
}
