"""Functions that tell what a principal may do: its privileges, and its access to one row.

The vendor's reference: `RetrieveUserPrivileges` and its like, bound to a user or team, answer a collection of
`RolePrivilege`; `RetrievePrincipalAccess` the names of the access rights to a row, separated by comma and blank.

Assumption: the org knows create, read, write and delete; who may write may append, append to, assign and share as
deep. Teams have no roles of their own.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterator, Mapping

from include.sandbox.dynamics.addresses import Key, parse_path, relative, resolve
from include.sandbox.dynamics.call import Call
from include.sandbox.dynamics.documents import Row, fetch
from include.sandbox.dynamics.errors import ServiceError, missing_row
from include.sandbox.dynamics.parameters import NAMESPACE, row_type
from include.sandbox.dynamics.privilege_names import VERBS, privilege_id, privilege_name
from include.sandbox.dynamics.reading import find_readable
from include.sandbox.dynamics.schema import Schema, Table
from include.sandbox.dynamics.values import parse_guid
from include.sandbox.service import Json, Response

Rights = Mapping[str, Mapping[str, str]]
BoundFunction = Callable[[Call, Table, Key, Mapping[str, str]], Response]
_DEPTHS = {"organization": "Global", "user": "Basic"}
_WITH_WRITE = ("Append", "AppendTo", "Assign", "Share")
_ALONE = ("prvActOnBehalfOfAnotherUser", "prvBypassCustomBusinessLogic", "prvBypassCustomPlugins")
_ACCESS = {"Read": "read", "Write": "write", "Append": "write", "AppendTo": "write", "Create": "create"} | {
    "Delete": "delete",
    "Share": "write",
    "Assign": "write",
}


def _depth(rights: Rights | None, table: str, verb: str) -> str | None:
    if rights is None:
        return "organization"
    return rights.get(table, rights.get("*", {})).get(verb)


def _held(schema: Schema, rights: Rights | None) -> Iterator[tuple[str, str]]:
    """Names of privileges with their depths; None as rights is the system administrator."""
    names: dict[str, str] = {}
    for table in schema.tables.values():
        for verb in VERBS:
            depth = _depth(rights, table.name, verb)
            if depth is None:
                continue
            for action in (verb, *(_WITH_WRITE if verb == "write" else ())):
                name = privilege_name(table, action)
                if names.get(name) != "Global":
                    names[name] = _DEPTHS[depth]
    if rights is None:
        names |= dict.fromkeys(_ALONE, "Global")
    yield from names.items()


def _privileges(call: Call, principal: Row, connection: sqlite3.Connection) -> list[dict[str, Json]]:
    if principal.table.name == "team":
        return []
    unit = principal.values.get("businessunitid")
    return [
        {
            "Depth": depth,
            "PrivilegeId": privilege_id(name),
            "BusinessUnitId": unit,
            "PrivilegeName": name,
            "RecordFilterId": "00000000-0000-0000-0000-000000000000",
            "RecordFilterUniqueName": "",
        }
        for name, depth in _held(call.schema, call.world.read_rights(connection, principal.id))
    ]


def _listing(function: str, parameter: str = "", member: str = "") -> BoundFunction:
    """A function that lists privileges: all of them, or those whose `member` is among the values of a parameter."""

    def answer(call: Call, table: Table, key: Key, parameters: Mapping[str, str]) -> Response:
        call.check_options()
        with call.reading() as connection:
            found = _privileges(call, find_readable(call, connection, table, key), connection)
        if parameter:
            wanted = {str(value).lower() for value in _values(parameters, parameter)}
            found = [entry for entry in found if str(entry[member]).lower() in wanted]
        context = f"{call.root}$metadata#{NAMESPACE}{function}Response"
        return call.json(200, {"@odata.context": context, "RolePrivileges": found})

    return answer


def _values(parameters: Mapping[str, str], name: str) -> list[Json]:
    value = _json(parameters, name)
    return value if isinstance(value, list) else [value]


def _json(parameters: Mapping[str, str], name: str) -> Json:
    """A parameter: JSON (single quotes too, as in the vendor's samples), a text in quotes, or a bare GUID."""
    text = parameters.get(name)
    if text is None:
        raise ServiceError(400, "0x80060888", f"The parameter '{name}' is missing.")
    if parse_guid(text) is not None:
        return text
    for spelling in (text, text.replace("'", '"')):
        try:
            return json.loads(spelling)
        except ValueError:
            continue
    raise ServiceError(400, "0x80060888", f"The parameter '{name}' is no JSON.")


def _principal_access(call: Call, table: Table, key: Key, parameters: Mapping[str, str]) -> Response:
    """`RetrievePrincipalAccess(Target=@p1)?@p1={'@odata.id':'accounts(<guid>)'}`."""
    call.check_options()
    with call.reading() as connection:
        principal = find_readable(call, connection, table, key)
        target, row_id = _target(call, connection, _json(parameters, "Target"))
        row = fetch(connection, target, row_id)
        if row is None:
            raise missing_row(target.name, row_id)
        rights: Rights | None = {} if table.name == "team" else call.world.read_rights(connection, principal.id)
    own = row.values.get("ownerid") in {None, principal.id}
    depths = {action: _depth(rights, target.name, verb) for action, verb in _ACCESS.items()}
    held = [f"{a}Access" for a, depth in depths.items() if depth == "organization" or (depth is not None and own)]
    context = f"{call.root}$metadata#{NAMESPACE}RetrievePrincipalAccessResponse"
    return call.json(200, {"@odata.context": context, "AccessRights": ", ".join(held) or "None"})


def _target(call: Call, connection: sqlite3.Connection, value: Json) -> tuple[Table, str]:
    """The row of a parameter: by `@odata.id`, or by `@odata.type` and key."""
    if isinstance(value, dict) and isinstance(value.get("@odata.id"), str):
        address = relative(call.root, value["@odata.id"])
        if parse_path(address):
            return resolve(connection, call.schema, call.root, address, call.references)
    table = call.schema.tables.get(row_type(value) or "")
    row_id = parse_guid(str(value.get(table.key, ""))) if table is not None else None
    if table is None or row_id is None:
        raise ServiceError(400, "0x80040203", "The parameter 'Target' names no row.")
    return table, row_id


def _bound(kind: str, name: str, function: BoundFunction) -> tuple[tuple[str, str], BoundFunction]:
    return (kind, f"{NAMESPACE}{name}"), function


_BY_PARAMETER = {
    "RetrieveUserPrivilegeByPrivilegeId": ("PrivilegeId", "PrivilegeId"),
    "RetrieveUserPrivilegeByPrivilegeName": ("PrivilegeName", "PrivilegeName"),
    "RetrieveUserSetOfPrivilegesByIds": ("PrivilegeIds", "PrivilegeId"),
    "RetrieveUserSetOfPrivilegesByNames": ("PrivilegeNames", "PrivilegeName"),
}
BOUND_FUNCTIONS: Mapping[tuple[str, str], BoundFunction] = dict(
    [
        _bound("systemuser", "RetrieveUserPrivileges", _listing("RetrieveUserPrivileges")),
        _bound("team", "RetrieveTeamPrivileges", _listing("RetrieveTeamPrivileges")),
        *(_bound("systemuser", name, _listing(name, *by)) for name, by in _BY_PARAMETER.items()),
        _bound("systemuser", "RetrievePrincipalAccess", _principal_access),
        _bound("team", "RetrievePrincipalAccess", _principal_access),
    ]
)
