"""Secured columns: who may read, set on create, and change them (vendor page column-level-security).

A system administrator may do everything, everybody else only what a field permission gives. A value that may not be
read is null, and cannot be told from an empty one; a write of it is refused with 403.

Assumption: conditions, orders and groups see the same null.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable

from include.sandbox.dynamics.call import Caller
from include.sandbox.dynamics.schema import Schema
from include.sandbox.dynamics.storage import Transaction, read_setting

VERBS = ("read", "create", "update")
_SETTING = "column_permissions"


def set_permissions(
    transaction: Transaction, user: str, table: str, column: str, verbs: Iterable[str] | None
) -> dict[str, list[str]]:
    """Give a user a field permission for a column, an empty one too; None takes it back. Returns all of the user's.

    Raises `ValueError` for an unknown verb.
    """
    everybody = transaction.setting(_SETTING, {})
    own: dict[str, list[str]] = everybody.setdefault(user, {})
    own.pop(f"{table}.{column}", None)
    if verbs is not None:
        given = list(verbs)
        if set(given) - set(VERBS):
            message = f"field permissions are {list(VERBS)}"
            raise ValueError(message)
        own[f"{table}.{column}"] = given
    transaction.set(_SETTING, everybody)
    return own


def schema_for(schema: Schema, caller: Caller, connection: sqlite3.Connection) -> Schema:
    """The schema as a caller meets it: its tables know what the caller may not do with which column."""
    if not schema.secured:
        return schema
    own = read_setting(connection, _SETTING, {}).get(caller.user, {})
    usual = VERBS if caller.rights is None else ()
    denied = frozenset(
        (table, column, verb)
        for table, column in schema.secured
        for verb in VERBS
        if verb not in own.get(f"{table}.{column}", usual)
    )
    return schema.restricted(denied) if denied else schema
