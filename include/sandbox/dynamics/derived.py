"""Values that the server computes: names, currency, base amounts, owner columns, states, defaults (V33)."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Mapping
from decimal import Decimal

from include.sandbox.dynamics import catalog
from include.sandbox.dynamics.documents import Row, fetch
from include.sandbox.dynamics.errors import ServiceError
from include.sandbox.dynamics.schema import Schema, Table
from include.sandbox.dynamics.values import rounded_to
from include.sandbox.service import Json

_BASE_PLACES = 4


def default_values(table: Table) -> dict[str, Json]:
    """Defaults of choices and yes/no columns on create, and the first state."""
    defaults = ((column.name, catalog.default_of(column)) for column in table.columns.values())
    values = {name: value for name, value in defaults if value is not None}
    if "statecode" in table.columns:
        values |= {"statecode": 0, "statuscode": default_status(table, 0)}
    return values


def default_status(table: Table, state: int) -> int | None:
    """The status reason that a state gets when none is given."""
    option = table.columns["statecode"].option(state)
    return option.default_status if option else None


def settle_state_on_create(table: Table, changes: dict[str, Json], row_id: str) -> None:
    """`statecode` is ignored, a status of another state refused (section 5.5, O5)."""
    if "statecode" not in table.columns:
        return
    changes.pop("statecode", None)
    status = changes.get("statuscode")
    if status is None:
        changes.pop("statuscode", None)
    elif _state_of(table, status) != 0:
        raise _bad_status(table, status, 0, row_id)


def settle_state(table: Table, row: Row, changes: dict[str, Json]) -> None:
    """State and status of an update: one brings the other, pairs must fit (section 5.5, O3, O4)."""
    if "statecode" not in table.columns or not {"statecode", "statuscode"} & changes.keys():
        return
    if changes.get("statuscode", 0) is None:
        del changes["statuscode"]
    before = row.values.get("statecode")
    state, status = changes.get("statecode"), changes.get("statuscode")
    if state is None:
        state = before if status is None else _state_of(table, status)
        if state is None:
            raise _bad_status(table, status, before, row.id)
    if table.columns["statecode"].option(state) is None:
        text = f"{state} is not a valid state code for {table.name} with Id {row.id}"
        raise ServiceError(400, "0x80048408", text)
    if status is None:
        status = default_status(table, state) if state != before else row.values.get("statuscode")
    if _state_of(table, status) != state:
        raise _bad_status(table, status, state, row.id)
    if table.name == "lead" and {before, state} == {1, 2}:
        raise _bad_status(table, status, before, row.id)
    changes |= {"statecode": state, "statuscode": status}


def _state_of(table: Table, status: Json) -> int | None:
    option = table.columns["statuscode"].option(status)
    return option.state if option else None


def _bad_status(table: Table, status: Json, state: Json, row_id: str) -> ServiceError:
    option = table.columns["statecode"].option(state)
    label = f"{table.schema_name}State.{option.label if option else state}"
    text = f"{status} is not a valid status code for state code {label} on {table.name} with Id {row_id}."
    return ServiceError(400, "0x80048408", text)


def compose_name(row: Row) -> None:
    """`fullname`: "First Last", null parts skipped (section 17)."""
    if "fullname" in row.table.columns and "lastname" in row.table.columns:
        parts = [row.values.get("firstname"), row.values.get("lastname")]
        row.values["fullname"] = " ".join(part for part in parts if part) or None
    if "yomifullname" in row.table.columns:
        parts = [row.values.get("yomifirstname"), row.values.get("yomilastname")]
        row.values["yomifullname"] = " ".join(part for part in parts if part) or None


def compute_money(row: Row, rate_of: Callable[[str], Decimal]) -> None:
    """Currency by default, its rate, and the `_base` columns (section 17)."""
    table = row.table
    if "exchangerate" not in table.columns or not table.money:
        return
    values = row.values
    if all(values.get(name) is None for name in table.money):
        values.update((base, None) for _, base in table.base_amounts)
        return
    currency = values.get("transactioncurrencyid")
    if currency is None:
        # Assumption: users have no currency of their own here; the org's is the default.
        currency = values["transactioncurrencyid"] = catalog.seed()["organization"]["base_currency"]
    rate = rate_of(currency)
    values["exchangerate"] = rounded_to(rate, table.columns["exchangerate"].precision)
    for name, base in table.base_amounts:
        amount = values.get(name)
        values[base] = None if amount is None else rounded_to(Decimal(str(amount)) / rate, _BASE_PLACES)


def exchange_rate(connection: sqlite3.Connection, schema: Schema, currency: str) -> Decimal:
    """The rate of a currency against the org's."""
    found = fetch(connection, schema.tables["transactioncurrency"], currency)
    return Decimal(str(found.values.get("exchangerate", 1))) if found else Decimal(1)


def owner_values(connection: sqlite3.Connection, schema: Schema, owner: str, kind: str) -> dict[str, Json]:
    """The columns that follow `ownerid` (section 16.2)."""
    found = fetch(connection, schema.tables[kind], owner)
    unit = found.values.get("businessunitid") if found else None
    return {
        "ownerid": owner,
        "owneridtype": kind,
        "owninguser": owner if kind == "systemuser" else None,
        "owningteam": owner if kind == "team" else None,
        "owningbusinessunit": unit,
    }


def check_owner(
    connection: sqlite3.Connection,
    schema: Schema,
    table: Table,
    owner: Mapping[str, Json],
    rights: Mapping[str, Mapping[str, str]] | None,
) -> None:
    """Refuse an owner that is disabled (V64) or may not read the table (section 7)."""
    if owner.get("owneridtype") != "systemuser":
        return
    user = fetch(connection, schema.tables["systemuser"], owner["ownerid"])
    if user is None or user.values.get("isdisabled"):
        text = "The specified user is either disabled or is not a member of any business unit."
        raise ServiceError(403, "0x80040225", text)
    if rights is not None and not rights.get(table.name, rights.get("*", {})).get("read"):
        text = f"Principal with id {owner['ownerid']} does not have Read right on {table.name}"
        raise ServiceError(403, "0x80040231", text)
