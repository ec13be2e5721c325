"""What Dynamics demands of a value, read from its metadata (facts/dataverse-api.md 13.3, 17).

The service checks length, range, options, control characters and the JSON type. On top come
required columns (DECISIONS 1, D31) and clearly broken e-mail addresses and URLs (DECISIONS 4,
V38: the service would store them). Precision is rounded, never failed (DECISIONS 4).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from decimal import Decimal

from include.leadsync.model import DynamicsAttribute, Entity, FieldType, Flow, OperationKind, SyncField
from include.leadsync.validate.patterns import (
    CONTROL_CHARACTERS,
    DECIMAL,
    GUID,
    INTEGER,
    INTEGER_32,
    INTEGER_64,
    LENIENT_EMAIL,
    UNBROKEN,
    calendar_form,
)
from include.leadsync.validate.rule import Rule, RuleKind, RuleMaker

WRONG_JSON_TYPE = "0x80048d19"
NOT_NULLABLE = "0x80040203"

EARLIEST = {"date": "1753-01-01", "datetime": "1753-01-01T00:00:00Z"}
LATEST = {"date": "9999-12-30", "datetime": "9999-12-30T23:59:59Z"}

_LOOKUPS = frozenset({"Lookup", "Customer", "Owner"})
_SERVER_FILLED_TYPES = frozenset({"Owner", "State", "Status", "Boolean", "Uniqueidentifier"})  # V33; keys
_SERVER_FILLED_NAMES = frozenset(
    {"transactioncurrencyid", "owneridtype", "owningbusinessunit", "createdon", "modifiedon", "versionnumber"}
)


def outbound_rules(field: SyncField, entity: Entity, operation: OperationKind) -> Iterator[Rule]:
    """The rules of one field for a create or update of its Dynamics column."""
    make = RuleMaker(field, f"{entity}.{field.dynamics.name}")
    yield from _required(field, operation, make)
    reason = next(_reasons_against(field, operation), None)
    if reason is None:
        yield from _BY_TYPE[field.dynamics.type](field, make)
    else:
        yield from make.forbid(*reason, clears=operation is not OperationKind.CREATE)


def _reasons_against(field: SyncField, operation: OperationKind) -> Iterator[tuple[str, str, str]]:
    """Why a field must not be written at all: code, rule and message.

    P5, V34 (the service would ignore it silently), D56, D66. On create a null is no write: the
    engine sends none, it only says that there is no value.
    """
    create = operation is OperationKind.CREATE
    column = field.dynamics
    if column.type in _LOOKUPS:
        yield "lookup_not_written", "D56", "{target} points to another record; names are not written to it."
    elif column.type not in _BY_TYPE:
        yield "type_not_written", "P5", "{target} has a type that is not written."
    if not (column.creatable if create else column.updatable):
        verb = "created" if create else "updated"
        yield (
            "read_only",
            "V34",
            f"{{target}} is read-only when a record is {verb}; the service would ignore the value.",
        )
    filled = create and field.rule.default_on_create is not None
    if field.rule.flow is Flow.INBOUND and not filled:
        yield "wrong_direction", "P5", "{target} is mapped from Dynamics to Marketo only; it is not written."
    if field.rule.outbound_on_create_only and not create:
        yield "create_only", "D66", "{target} is written when a record is created, not later."


def server_fills(column: DynamicsAttribute) -> bool:
    """Whether Dynamics itself gives a new record a value of this required column (DECISIONS 1)."""
    return column.type in _SERVER_FILLED_TYPES or column.name in _SERVER_FILLED_NAMES or not column.creatable


def _required(field: SyncField, operation: OperationKind, make: RuleMaker) -> Iterator[Rule]:
    """Missing on create, cleared on update (DECISIONS 1, D31). Server-filled columns: only a clear fails."""
    column = field.dynamics
    if column.required not in {"ApplicationRequired", "SystemRequired"}:
        return
    if operation is OperationKind.CREATE:
        if not server_fills(column):
            text = "{target} is required ({level}) and has no value; fill it in Marketo or set default_on_create."
            yield make(RuleKind.REQUIRED, "required", "D31", text, level=column.required)
        return
    code = NOT_NULLABLE if column.required == "SystemRequired" else "required"
    text = "{target} is required ({level}) and cannot be cleared; its value stays in Dynamics."
    yield make(RuleKind.REQUIRED, code, "D31", text, level=column.required)


def _text(field: SyncField, make: RuleMaker) -> Iterator[Rule]:
    column = field.dynamics
    if column.max_length is not None:
        text = "{target} takes {limit} characters; the value has {units} (emoji count as 2)."
        yield make(RuleKind.MAX_LENGTH, "0x80044331", "V36", text, limit=column.max_length)
    text = "{target} takes no control characters; {value} has one."
    yield make(RuleKind.CONTROL_CHARACTERS, "0x80040278", "R110", text, regex=CONTROL_CHARACTERS)
    if field.rule.type is FieldType.EMAIL or column.format == "Email":
        text = "{value} for {target} is not an e-mail address."
        yield make(RuleKind.EMAIL_FORMAT, "email_format", "R110", text, regex=LENIENT_EMAIL)
    if field.rule.type is FieldType.URL or column.format == "Url":
        text = "{value} for {target} is not a web address: it has blanks or line breaks in it."
        yield make(RuleKind.URL_FORMAT, "url_format", "R110", text, regex=UNBROKEN)


def _integer(field: SyncField, make: RuleMaker) -> Iterator[Rule]:
    size = INTEGER_64 if field.dynamics.type == "BigInt" else INTEGER_32
    text = "{value} for {target} is not a whole number."
    yield make(RuleKind.NUMBER_FORMAT, WRONG_JSON_TYPE, "V34", text, regex=INTEGER)
    text = "{value} for {target} does not fit a whole number from {minimum} to {maximum}."
    yield make(RuleKind.NUMBER_SIZE, WRONG_JSON_TYPE, "V34", text, minimum=size[0], maximum=size[1], scale=None)
    yield from _number_range(field, make, "0x8004432F", scale=None, within=size)


def _decimal(field: SyncField, make: RuleMaker) -> Iterator[Rule]:
    text = "{value} for {target} is not a number."
    yield make(RuleKind.NUMBER_FORMAT, WRONG_JSON_TYPE, "V34", text, regex=DECIMAL)
    yield from _number_range(field, make, "0x80044330", scale=field.dynamics.precision, within=(None, None))


def _number_range(
    field: SyncField, make: RuleMaker, code: str, *, scale: int | None, within: tuple[str | None, str | None]
) -> Iterator[Rule]:
    low, high = field.dynamics.minimum, field.dynamics.maximum
    if low is None and high is None:
        return
    lowest = None if low is None else _plain(low)
    highest = None if high is None else _plain(high)
    ends = {(True, True): "from {minimum} to {maximum}", (True, False): "from {minimum}", (False, True): "to {maximum}"}
    text = "{value} for {target} is outside the range " + ends[low is not None, high is not None] + "."
    yield make(
        RuleKind.NUMBER_RANGE,
        code,
        "V37",
        text,
        minimum=lowest,
        maximum=highest,
        scale=scale,
        within_minimum=within[0],
        within_maximum=within[1],
    )


def _plain(bound: float) -> str:
    text = format(Decimal(str(bound)), "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


def _boolean(_: SyncField, make: RuleMaker) -> Iterator[Rule]:
    text = "{value} for {target} is neither true nor false."
    yield make(RuleKind.BOOLEAN_FORMAT, WRONG_JSON_TYPE, "V34", text, values=("false", "true"))


def _date(field: SyncField, make: RuleMaker) -> Iterator[Rule]:
    date_only = field.dynamics.date_behavior == "DateOnly"
    form = calendar_form(field.rule.type, "date" if date_only else "datetime")
    code = WRONG_JSON_TYPE if date_only else "0x80040239"
    text = "{value} for {target} is not a {form} of the calendar."
    yield make(RuleKind.DATE_FORMAT, code, "V37", text, form=form)
    text = "{value} for {target} is outside {minimum} … {maximum}."
    yield make(RuleKind.DATE_RANGE, "0x80040239", "V37", text, form=form, minimum=EARLIEST[form], maximum=LATEST[form])


def _option(field: SyncField, make: RuleMaker) -> Iterator[Rule]:
    labels = tuple(option.label for option in field.dynamics.options)
    code = "0x80048408" if field.dynamics.type in {"State", "Status"} else "0x8004431A"
    several = field.dynamics.type == "MultiSelectPicklist"
    kind = RuleKind.OPTIONS if several else RuleKind.OPTION
    text = "{value} is not an option of {target}. Accepted: {values}."
    yield make(kind, code, "V37", text, values=labels)


def _guid(_: SyncField, make: RuleMaker) -> Iterator[Rule]:
    yield make(RuleKind.GUID_FORMAT, WRONG_JSON_TYPE, "V34", "{value} for {target} is not a GUID.", regex=GUID)


_BY_TYPE: dict[str, Callable[[SyncField, RuleMaker], Iterator[Rule]]] = {
    "String": _text,
    "Memo": _text,
    "Integer": _integer,
    "BigInt": _integer,
    "Decimal": _decimal,
    "Double": _decimal,
    "Money": _decimal,
    "Boolean": _boolean,
    "DateTime": _date,
    "Picklist": _option,
    "State": _option,
    "Status": _option,
    "MultiSelectPicklist": _option,
    "Uniqueidentifier": _guid,
}
