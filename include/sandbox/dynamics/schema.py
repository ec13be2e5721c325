"""What the tables look like: columns, navigation properties, relationships, alternate keys."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal
from functools import lru_cache

from include.sandbox.service import Json

TEXT = frozenset({"String", "Memo"})
LOOKUP = frozenset({"Lookup", "Customer", "Owner"})
CHOICE = frozenset({"Picklist", "State", "Status"})
OWNER_ID = "ownerid"
FIRST_REVISION = 20_000_000
FRACTION = frozenset({"Decimal", "Double", "Money"})

_EDM = {
    "String": "Edm.String",
    "Memo": "Edm.String",
    "MultiSelectPicklist": "Edm.String",
    "EntityName": "Edm.String",
    "Integer": "Edm.Int32",
    "Picklist": "Edm.Int32",
    "State": "Edm.Int32",
    "Status": "Edm.Int32",
    "BigInt": "Edm.Int64",
    "Decimal": "Edm.Decimal",
    "Money": "Edm.Decimal",
    "Double": "Edm.Double",
    "Boolean": "Edm.Boolean",
    "DateTime": "Edm.DateTimeOffset",
    "Image": "Edm.Binary",
}
_NAMESPACE = uuid.UUID("6ba7b811-9dad-11d1-80b4-00c04fd430c8")


@lru_cache(maxsize=20_000)
def stable_id(*parts: str) -> str:
    """A GUID that is the same in every sandbox: metadata ids."""
    return str(uuid.uuid5(_NAMESPACE, "/".join(parts)))


@dataclass(frozen=True, slots=True)
class Option:
    """One choice: `state` for a status reason, `default_status` for a state.

    `label` is the text in the base language, `labels` those in further languages by LCID.
    """

    value: int
    label: str
    state: int | None = None
    default_status: int | None = None
    labels: tuple[tuple[int, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Column:
    """One attribute. Limits are None where the type has none.

    `labels` are display names in further languages by LCID; `global_options` names a shared choice. `relationship`
    and `on_delete` are those of a custom lookup.
    """

    table: str
    name: str
    schema_name: str
    type: str
    format: str | None = None
    max_length: int | None = None
    minimum: Decimal | None = None
    maximum: Decimal | None = None
    precision: int | None = None
    required: str = "None"
    create: bool = True
    update: bool = True
    read: bool = True
    targets: tuple[str, ...] = ()
    navigation: tuple[tuple[str, str], ...] = ()
    behaviour: str | None = None
    default: str | None = None
    attribute_of: str | None = None
    options: tuple[Option, ...] = ()
    label: str = ""
    labels: tuple[tuple[int, str], ...] = ()
    global_options: str | None = None
    custom: bool = False
    secured: bool = False
    relationship: str | None = None
    on_delete: str = "RemoveLink"

    @property
    def is_lookup(self) -> bool:
        """A reference to another row."""
        return self.type in LOOKUP

    @property
    def is_date(self) -> bool:
        """A pure date (`Edm.Date`)."""
        return self.type == "DateTime" and self.behaviour == "DateOnly"

    @property
    def wire(self) -> str:
        """Name in answers, `$select` and `$filter`."""
        return f"_{self.name}_value" if self.is_lookup else self.name

    @property
    def edm(self) -> str:
        """OData type name."""
        if self.is_date:
            return "Edm.Date"
        return _EDM.get(self.type, "Edm.Guid")

    @property
    def exposed(self) -> bool:
        """Whether OData shows it: companions such as `owneridtype` exist in metadata only (section 13.2)."""
        return self.read and (self.type != "EntityName" or self.attribute_of is None)

    def option(self, value: object) -> Option | None:
        """The option of a stored number or Boolean."""
        return next((option for option in self.options if option.value == value), None)


@dataclass(frozen=True, slots=True)
class Relationship:
    """One-to-many: rows of `child` point with `column` to a row of `parent` (section 14.7)."""

    name: str
    child: str
    column: str
    parent: str
    delete: str = "NoCascade"
    assign: str = "NoCascade"
    merge: str = "NoCascade"
    indexed: bool = False
    reparent: str = "NoCascade"
    custom: bool = False


@dataclass(frozen=True, slots=True)
class AlternateKey:
    """A key that a test defined (section 6)."""

    name: str
    columns: tuple[str, ...]


@dataclass(slots=True)
class Table:
    """One table. `codes` gives each column its short name inside stored documents.

    `implied` holds the values that documents leave out: a column that is absent has this value.
    `base` names the table that shows this one's rows too: `activitypointer` for every activity.
    `view` marks such a table: it keeps no rows of its own. A `principal` (user or team) shows its key
    as `ownerid` too, which it inherits from the abstract type of owners.
    `denied` are pairs of a secured column and what this caller may not do with it: read, create, update.
    """

    name: str
    set: str
    schema_name: str
    key: str
    primary_name: str
    type_code: int
    ownership: str
    columns: Mapping[str, Column]
    codes: Mapping[str, str]
    implied: Mapping[str, Json] = field(default_factory=dict)
    keys: tuple[AlternateKey, ...] = ()
    tracking: bool = True
    concurrency: bool = True
    base: str | None = None
    view: bool = False
    principal: bool = False
    custom: bool = False
    denied: frozenset[tuple[str, str]] = frozenset()
    label: str = ""
    collection_label: str = ""
    by_wire: dict[str, Column] = field(init=False)
    navigation: dict[str, tuple[Column, str]] = field(init=False)
    exposed: list[Column] = field(init=False)
    money: frozenset[str] = field(init=False)
    base_amounts: list[tuple[str, str]] = field(init=False)
    names: dict[str, str] = field(init=False)

    def __post_init__(self) -> None:
        self.exposed = [column for column in self.columns.values() if column.exposed]
        if self.principal:
            self.exposed.append(Column(self.name, OWNER_ID, "OwnerId", "Uniqueidentifier", create=False, update=False))
        self.by_wire = {column.wire: column for column in self.exposed}
        self.navigation = {
            name: (column, target) for column in self.columns.values() for name, target in column.navigation
        }
        self.money = frozenset(c.name for c in self.columns.values() if c.type == "Money")
        self.base_amounts = [(name, f"{name}_base") for name in self.money if f"{name}_base" in self.columns]
        self.names = {code: name for name, code in self.codes.items()}

    def is_key(self, name: str) -> bool:
        """Whether a column holds the key of the row."""
        return name == self.key or (self.principal and name == OWNER_ID)

    def hides(self, name: str) -> bool:
        """Whether a column is secured and its values are kept from this caller."""
        return (name, "read") in self.denied

    def code(self, name: str) -> str:
        """The short name of a column inside stored documents."""
        return self.codes[self.key if self.is_key(name) else name]

    def select(self, name: str) -> Column | None:
        """The column behind a name of `$select`; a navigation name is accepted too (O15)."""
        column = self.by_wire.get(name)
        if column is None and name in self.navigation:
            column = self.navigation[name][0]
        return column

    def reference(self, name: str) -> Column | None:
        """The column behind a name as query functions give it: logical or wire name."""
        column = self.by_wire.get(name)
        return column or (self.columns[name] if name in self.columns and self.columns[name].exposed else None)


class Schema:
    """All tables at one moment; never changed in place, a metadata change makes a new one with a new revision."""

    def __init__(
        self, tables: Iterable[Table], relationships: Iterable[Relationship], revision: int = FIRST_REVISION
    ) -> None:
        self.revision = revision
        self.tables = {table.name: table for table in tables}
        self.by_set = {table.set: table for table in self.tables.values()}
        self.relationships = list(relationships)
        self._links = {(r.child, r.column, r.parent): r for r in self.relationships}
        self._children: dict[str, dict[str, Relationship]] = {name: {} for name in self.tables}
        for relationship in self.relationships:
            self._children[relationship.parent][relationship.name] = relationship
        columns = (column for table in self.tables.values() for column in table.columns.values())
        self.secured = [(column.table, column.name) for column in columns if column.secured]
        self._restricted: dict[frozenset[tuple[str, str, str]], Schema] = {}

    def restricted(self, denied: frozenset[tuple[str, str, str]]) -> Schema:
        """This schema for a caller who may not do these things: table, secured column, verb."""
        known = self._restricted.get(denied)
        if known is None:
            tables = [
                replace(table, denied=frozenset((column, verb) for name, column, verb in denied if name == table.name))
                for table in self.tables.values()
            ]
            known = self._restricted[denied] = Schema(tables, self.relationships, self.revision)
        return known

    def table(self, name: str) -> Table:
        """A table by logical name; raises `ValueError` for an unknown one (control commands)."""
        if name not in self.tables:
            message = f"unknown table {name!r}; known: {', '.join(self.tables)}"
            raise ValueError(message)
        return self.tables[name]

    def collections(self, table: str) -> Mapping[str, Relationship]:
        """Collection-valued navigation properties of a table."""
        return self._children[table]

    def relationship(self, child: str, column: str, parent: str) -> Relationship | None:
        """The relationship behind a lookup that points to one table."""
        return self._links.get((child, column, parent))

    def navigation_of(self, relationship: Relationship) -> str:
        """The name under which the child points to the parent."""
        column = self.tables[relationship.child].columns[relationship.column]
        return next(name for name, target in column.navigation if target == relationship.parent)

    def possible_targets(self, column: Column) -> list[Table]:
        """Existing tables a lookup may point to."""
        return [self.tables[name] for name in column.targets if name in self.tables]
