"""Who is calling: applications, users, roles (V4, V5, V46, V64)."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping

from include.sandbox.dynamics import catalog
from include.sandbox.dynamics.call import Caller
from include.sandbox.dynamics.documents import Row, extract, fetch, row_from
from include.sandbox.dynamics.errors import ServiceError
from include.sandbox.dynamics.schema import Schema
from include.sandbox.dynamics.storage import Transaction, read_setting
from include.sandbox.dynamics.values import parse_guid
from include.sandbox.service import Json

Rights = Mapping[str, Mapping[str, str]]
_VERBS = frozenset({"create", "read", "write", "delete"})


def application(client_id: str) -> Mapping[str, Json] | None:
    """A registered application, or None."""
    entries = catalog.seed()["applications"]
    return next((entry for entry in entries if entry["client_id"] == client_id), None)


def read_rights(connection: sqlite3.Connection, user: str) -> Rights | None:
    """The rights a test gave a user; None means everything (the user has the system administrator role)."""
    rights: Rights | None = read_setting(connection, "rights", {}).get(user)
    return rights


def caller_of(connection: sqlite3.Connection, schema: Schema, user: str | None, headers: Mapping[str, str]) -> Caller:
    """The caller behind a token's user, or the user it impersonates; raises 403 (V4, V46)."""
    own = _enabled(connection, schema, user)
    rights = _role(connection, own.id)
    other = _impersonated(connection, schema, headers)
    if other is None or other.id == own.id:
        return Caller(own.id, None, rights)
    # Assumption: callers may act on behalf of others; they have the rights of the user they act for.
    return Caller(other.id, own.id, _role(connection, other.id))


def _enabled(connection: sqlite3.Connection, schema: Schema, user: str | None) -> Row:
    row = fetch(connection, schema.tables["systemuser"], user) if user is not None else None
    if row is None or row.values.get("isdisabled"):
        raise ServiceError(403, "0x80072560", "The user is not a member of the organization.")
    return row


def _role(connection: sqlite3.Connection, user: str) -> Rights | None:
    rights = read_rights(connection, user)
    if rights is not None and not any(rights.values()):
        text = f"The user with SystemUserId={user} has not been assigned any roles."
        raise ServiceError(403, "0x80042f09", text)
    return rights


def _impersonated(connection: sqlite3.Connection, schema: Schema, headers: Mapping[str, str]) -> Row | None:
    by_object, by_key = headers.get("callerobjectid"), headers.get("mscrmcallerid")
    text = (by_object or by_key or "").strip()
    if not text:
        return None
    wanted = parse_guid(text.strip("{}"))
    if wanted is None:
        # Assumption: who names a caller badly must not act under another name; the facts give no text.
        raise ServiceError(400, "0x80040203", f"The caller id '{text}' is not a GUID.")
    table = schema.tables["systemuser"]
    if by_object:
        found = connection.execute(
            'SELECT id, version, doc FROM "r_systemuser" '  # noqa: S608 - own table names
            f"WHERE {extract(table, 'azureactivedirectoryobjectid')} = ?",
            (wanted,),
        ).fetchone()
        row = None if found is None else row_from(table, *found)
    else:
        row = fetch(connection, table, wanted)
    if row is None or row.values.get("isdisabled"):
        raise ServiceError(403, "0x80072560", "The user is not a member of the organization.")
    return row


def find_login(connection: sqlite3.Connection, schema: Schema, name: str) -> Row | None:
    """The person with this login name, any case; applications have none."""
    table = schema.tables["systemuser"]
    found = connection.execute(
        f'SELECT id, version, doc FROM "r_systemuser" WHERE lower({extract(table, "domainname")}) = ?',  # noqa: S608
        (name.lower(),),
    ).fetchone()
    row = None if found is None else row_from(table, *found)
    return None if row is None or row.values.get("applicationid") is not None else row


def find_user(connection: sqlite3.Connection, schema: Schema, name: str) -> Row:
    """A user by id, application client id, e-mail or full name; raises `ValueError` (control commands)."""
    known = application(name)
    wanted = known["user"] if known is not None else parse_guid(name)
    table = schema.tables["systemuser"]
    for row_id, version, document in connection.execute('SELECT id, version, doc FROM "r_systemuser"'):
        row = row_from(table, row_id, version, document)
        names = {row.values.get("internalemailaddress"), row.values.get("fullname")}
        if row.id == wanted or name in names:
            return row
    message = f"unknown user {name!r}"
    raise ValueError(message)


def set_rights(transaction: Transaction, user: str, table: str, privileges: Json) -> Rights:
    """Change the rights of a user on a table (`*`: all tables without an entry); returns all of its rights.

    `privileges` is a list of verbs, a mapping verb -> `organization` | `user`, or None for everything.
    Raises `ValueError` for an unknown verb.
    """
    given = privileges
    if given is None:
        given = sorted(_VERBS)
    if not isinstance(given, Mapping):
        given = dict.fromkeys(given, "organization")
    if set(given) - _VERBS or set(given.values()) - {"organization", "user"}:
        message = f"privileges are {sorted(_VERBS)} with depth organization or user"
        raise ValueError(message)
    everything = {"*": dict.fromkeys(sorted(_VERBS), "organization")}
    all_rights = transaction.setting("rights", {})
    rights = {**everything, **all_rights.get(user, {}), table: dict(given)}
    if table == "*":
        rights = {"*": dict(given)}
    all_rights[user] = rights
    transaction.set("rights", all_rights)
    return rights
