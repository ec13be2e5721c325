"""The vocabulary as types: what every room of the engine means by its words.

*person* = one Marketo record; *CRM record* = one Dynamics lead or contact; *link* = the pair;
*baseline* = the last value both sides agreed on; *inbound* = Dynamics → Marketo.

Values travel between the rooms in **canonical form**: a text or null. One value has one
spelling per type (see `fields`); canonically empty text is null (DECISIONS 7), and "unset"
(not read, not written) is the absence of a column or row, never a value.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import IntEnum, StrEnum

Canonical = str | None
"""A canonical value."""


class System(StrEnum):
    """The two systems."""

    MARKETO = "marketo"
    DYNAMICS = "dynamics"


class Entity(StrEnum):
    """What a CRM record is."""

    LEAD = "lead"
    CONTACT = "contact"


class Direction(StrEnum):
    """Which way a write goes."""

    INBOUND = "inbound"  # Dynamics → Marketo
    OUTBOUND = "outbound"  # Marketo → Dynamics


class Flow(StrEnum):
    """Which ways a field may travel."""

    BOTH = "both"
    INBOUND = "inbound"
    OUTBOUND = "outbound"


class FieldType(StrEnum):
    """Types that both systems have."""

    STRING = "string"
    EMAIL = "email"
    PHONE = "phone"
    URL = "url"
    TEXT = "text"
    INTEGER = "integer"
    DECIMAL = "decimal"
    MONEY = "money"
    BOOLEAN = "boolean"
    DATE = "date"
    DATETIME = "datetime"
    CHOICE = "choice"
    MULTI_CHOICE = "multi_choice"
    LOOKUP = "lookup"


class Shows(StrEnum):
    """What a look-up field shows of the record that its column points to (D56, D83)."""

    NAME = "name"
    ID = "id"
    EMAIL = "email"  # of an owner


class Winner(StrEnum):
    """Who survives a collision (D5). `BY_TYPE`: lead → Marketo, contact → Dynamics (R40, R41)."""

    BY_TYPE = "by_type"
    MARKETO = "marketo"
    DYNAMICS = "dynamics"
    NEVER_BLANK = "never_blank"
    OPT_OUT = "opt_out_wins"


class LinkStatus(StrEnum):
    """Where a link stands. Only `ACTIVE`, `CREATING` and `SUSPENDED` claim their person and CRM record."""

    ACTIVE = "active"
    CREATING = "creating"  # one side exists, the other is being created
    SUSPENDED = "suspended"  # a filter keeps the pair from syncing; it stays linked (R116, D70, D71)
    CRM_DELETED = "crm_deleted"  # tombstone (D46)
    PERSON_DELETED = "person_deleted"  # tombstone (R76)
    CONVERTED = "converted"  # history: the lead became a contact (D36, D37)
    CRM_MERGED = "crm_merged"  # history: the CRM record was merged into another one (D42, D43)
    PERSON_MERGED = "person_merged"  # history: the person was merged into another one (D44)
    ERASED = "erased"  # the person was deleted and must stay so; nothing of it is kept (D52)
    HELD = "held"  # reported, waits for a human (D13, D24)


class Lane(IntEnum):
    """Order of loading; lower goes first (D90, ARCHITECTURE §5.8)."""

    CONSENT = 0
    REQUEST = 1
    INCREMENT = 2
    BACKFILL = 3


class OperationKind(StrEnum):
    """What an operation does to its target."""

    UPDATE = "update"
    CREATE = "create"
    LINK = "link"  # Microsoft Id and Type on the person that a CRM record belongs to (D11, D12)
    FLAG_DELETED = "flag_deleted"  # Microsoft is Deleted on the person (R75)
    ACTIVITY = "activity"  # custom activity on the person (D96)
    DEACTIVATE = "deactivate"  # a CRM record whose person was deleted (D53)
    DELETE_ROW = "delete"  # likewise
    MERGE_PERSONS = "merge_persons"  # the loser into the person of the link (D37, D42)
    MERGE_ROWS = "merge_rows"  # a CRM record into that of the link, because their persons were merged (D44)


STANDING = frozenset(
    {
        OperationKind.LINK,
        OperationKind.FLAG_DELETED,
        OperationKind.ACTIVITY,
        OperationKind.MERGE_PERSONS,
        OperationKind.MERGE_ROWS,
        OperationKind.DEACTIVATE,
        OperationKind.DELETE_ROW,
    }
)
"""Kinds that state a fact about a link: no newer plan replaces them, and they may be sent again."""


class OperationState(StrEnum):
    """Life of an operation in the outbox."""

    PENDING = "pending"
    IN_FLIGHT = "in_flight"
    DONE = "done"
    PARKED = "parked"  # refused; waits until either side, the map or the schema changes (D95)
    HELD = "held"  # by the brake, until its plan hash is approved (DECISIONS 16)
    SUPERSEDED = "superseded"  # a newer plan took its place


@dataclass(frozen=True, slots=True)
class Option:
    """One value of a choice column. `aliases` are other spellings accepted from Marketo (D54)."""

    value: int
    label: str
    aliases: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class DynamicsAttribute:
    """One column of a Dynamics table, from its metadata (V60).

    `type` is AttributeTypeName without "Type" (String, Memo, Integer, Decimal, Double, Money,
    Boolean, DateTime, Picklist, MultiSelectPicklist, State, Status, Lookup, Customer, Owner,
    Uniqueidentifier, BigInt, …); `required` is None, Recommended, ApplicationRequired or
    SystemRequired; `date_behavior` is UserLocal, DateOnly or TimeZoneIndependent; `secured` columns are under
    column security: who lacks its profile reads null.
    """

    entity: Entity
    name: str
    type: str
    label: str
    required: str = "None"
    format: str | None = None
    max_length: int | None = None
    minimum: float | None = None
    maximum: float | None = None
    precision: int | None = None
    date_behavior: str | None = None
    options: tuple[Option, ...] = ()
    readable: bool = True
    creatable: bool = True
    updatable: bool = True
    targets: tuple[str, ...] = ()
    secured: bool = False

    @property
    def wire(self) -> str:
        """The name under which its value is read: look-ups as `_x_value` (V14)."""
        return f"_{self.name}_value" if self.type in {"Lookup", "Customer", "Owner"} else self.name

    @property
    def hidden(self) -> bool:
        """Whether column security keeps its values from our user."""
        return self.secured and not self.readable


@dataclass(frozen=True, slots=True)
class MarketoField:
    """One person field, from describe (M22). `type` is Marketo's dataType; `length` in characters."""

    id: int
    name: str
    label: str
    type: str
    length: int | None = None
    read_only: bool = False
    searchable: bool = False


@dataclass(frozen=True, slots=True)
class FieldRule:
    """One entry of the field map as configured. `name` is the Marketo REST name, unique per entity."""

    entity: Entity
    name: str
    dynamics: str
    type: FieldType
    flow: Flow = Flow.BOTH
    winner: Winner = Winner.BY_TYPE
    consent: bool = False
    outbound_on_create_only: bool = False  # D66
    outbound_on_update_only: bool = False  # D66: no part of a creation
    shows: Shows = Shows.NAME  # of a look-up
    inbound_write_once: bool = False  # R104: what the person shows already is never overwritten
    default_on_create: str | None = None  # D31; may name fields in braces: "{company}"
    aliases: Mapping[str, tuple[str, ...]] = field(default_factory=dict)  # label → spellings (D54)
    optional: bool = False  # a default entry: quarantined, not fatal, when it does not exist (DECISIONS 10)


@dataclass(frozen=True, slots=True)
class SyncField:
    """A field rule together with what both systems say of its two ends."""

    rule: FieldRule
    marketo: MarketoField
    dynamics: DynamicsAttribute

    @property
    def name(self) -> str:
        """Marketo REST name; the field's id in plans, ledger and frames."""
        return self.rule.name

    @property
    def column(self) -> str:
        """Dynamics attribute as read: lookups as `_x_value` (V14)."""
        return self.dynamics.wire


@dataclass(frozen=True, slots=True)
class FieldMap:
    """The active fields of one entity, in layout order, and those set aside with the reason.

    `kept`: (name, type) of those that worked before and do not at the moment; links keep their baseline (D67).
    `hidden`: names of those whose column security hides.
    """

    entity: Entity
    fields: tuple[SyncField, ...]
    quarantined: Mapping[str, str] = field(default_factory=dict)
    kept: tuple[tuple[str, str], ...] = ()
    hidden: tuple[str, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """Field ids in layout order."""
        return tuple(f.name for f in self.fields)

    @property
    def layout(self) -> list[tuple[str, str]]:
        """(name, type) of everything a link stores a baseline of, in order."""
        return [*((f.name, f.rule.type.value) for f in self.fields), *self.kept]

    @property
    def layout_names(self) -> tuple[str, ...]:
        """The names of `layout`."""
        return tuple(name for name, _ in self.layout)


@dataclass(frozen=True, slots=True)
class Connection:
    """Where a service is and how to log in. `repr` never shows the secret (P10)."""

    host: str
    client_id: str
    client_secret: str = field(repr=False)
    tenant_id: str = ""
    authority: str = ""
    verify: str | bool = True


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a record or field was not written: one row of the activity log (P6)."""

    field: str | None
    value: Canonical
    code: str
    message: str
    rule: str


@dataclass(frozen=True, slots=True)
class Window:
    """A half-open span of time, aware UTC; an open end is None."""

    since: datetime | None
    until: datetime | None
