"""Companies, opportunities, roles, sales persons, named accounts: describe, find, sync, delete.

With the native CRM sync on, the CRM owns all but named accounts: reads work, writes answer 1018 (M52).
Facts: marketo-api.md 3.3 and 6.3; vendor page Lead Database.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import msgspec

from include.sandbox.marketo import tokens
from include.sandbox.marketo.company_link import CompanyLink
from include.sandbox.marketo.field_schema import SCHEMA
from include.sandbox.marketo.identity import new_uuid
from include.sandbox.marketo.instance import Instance
from include.sandbox.marketo.object_kinds import KINDS, Kind, schema_of
from include.sandbox.marketo.object_lookup import condition_of, key_of
from include.sandbox.marketo.routes import Body, Route
from include.sandbox.marketo.values import accept, shown
from include.sandbox.marketo.wire import Answer, Call, Refusal, Reply, Skip, stamp
from include.sandbox.marketo.writer import Provenance
from include.sandbox.service import Json

ACTIONS = frozenset({"createOrUpdate", "createOnly", "updateOnly"})
BY = frozenset({"dedupeFields", "idField"})
BORN = "2015-02-03T22:36:23Z"
"""When every object type was made, as the vendor pages show it."""
COLUMNS = "id, guid, created, updated, doc"


class Thing(NamedTuple):
    """One stored object; times in seconds since 1970."""

    id: int
    guid: str
    created: int
    updated: int
    doc: dict[str, Json]

    def value(self, name: str) -> Json:
        """A field of it."""
        own = {"id": self.id, "marketoGUID": self.guid}
        times = {"createdAt": stamp(self.created), "updatedAt": stamp(self.updated)}
        return {**self.doc, **own, **times}.get(name)


class CrmObjects:
    """The object endpoints."""

    def __init__(self, instance: Instance) -> None:
        """Keep the instance."""
        self._at = instance
        self._link = CompanyLink(instance)

    def routes(self) -> list[Route]:
        """Its resources."""
        return [route for kind in KINDS for route in self._routes_of(kind)]

    def _routes_of(self, kind: Kind) -> list[Route]:
        root, read = f"/rest/v1/{kind.path}", (kind.read, kind.write)
        schema = [
            Route("GET", f"{root}/schema/fields.json", _of(self._schema, kind), SCHEMA),
            Route("GET", f"{root}/schema/fields/{{name}}.json", _of(self._schema_field, kind), SCHEMA),
        ]
        return [
            Route("GET", f"{root}/describe.json", _of(self._describe, kind), read),
            Route("GET", f"{root}.json", _of(self._find, kind), read),
            Route("POST", f"{root}.json", _of(self._sync, kind), (kind.write,), Body.JSON),
            Route("POST", f"{root}/delete.json", _of(self._delete, kind), (kind.write,), Body.JSON),
            *(schema if kind.schema else ()),
        ]

    def _describe(self, kind: Kind, _call: Call) -> Reply:
        return Reply([kind.described(crm=self._at.options.native_sync, created=BORN)])

    def _schema(self, kind: Kind, call: Call) -> Reply:
        size, token = call.batch_size(), call.text("nextPageToken")
        (start,) = self._at.tokens.read(tokens.OBJECTS, token) if token else (0,)
        shown_fields = schema_of(one for one in kind.fields if one.name not in kind.system)[start:]
        more: dict[str, Json] = {"moreResult": len(shown_fields) > size}
        if len(shown_fields) > size:
            more = {"nextPageToken": self._at.tokens.write(tokens.OBJECTS, start + size), **more}
        return Reply(shown_fields[:size], more)

    def _schema_field(self, kind: Kind, call: Call) -> Reply:
        field = kind.field(call.names["name"])
        if field is None:
            raise Refusal("1006", f"Field '{call.names['name']}' not found")
        return Reply(schema_of([field]))

    # -- reading -----------------------------------------------------------------------------------

    def _find(self, kind: Kind, call: Call) -> Reply:
        """Objects with one of the values; a compound key comes as JSON with `_method=GET`."""
        body = call.json() if call.request.method.upper() == "POST" else {}
        names = _names(body.get("fields")) or call.many("fields")
        for name in names:
            if kind.field(name) is None:
                raise Refusal("1006", f"Field '{name}' not found")
        condition, arguments = condition_of(kind, call, body)
        size, token = call.batch_size(), call.text("nextPageToken") or body.get("nextPageToken")
        (after,) = self._at.tokens.read(tokens.OBJECTS, shown(token)) if token else (0,)
        sql = f"SELECT {COLUMNS} FROM crm_object WHERE kind = ? AND {condition} AND id > ? ORDER BY id LIMIT ?"  # noqa: S608
        with self._at.database.read() as connection:
            found = [_thing(row) for row in connection.execute(sql, (kind.path, *arguments, after, size + 1))]
        chosen = [kind.id_field, *(names or (*kind.dedupe, "createdAt", "updatedAt"))]
        result = [
            {"seq": seq, **{name: one.value(name) for name in dict.fromkeys(chosen)}}
            for seq, one in enumerate(found[:size])
        ]
        more: dict[str, Json] = {}
        if found[size:]:
            more = {"nextPageToken": self._at.tokens.write(tokens.OBJECTS, found[size - 1].id), "moreResult": True}
        return Reply(result, more)

    # -- writing -----------------------------------------------------------------------------------

    def _writable(self, kind: Kind) -> None:
        if kind.owned_by_crm and self._at.options.native_sync:
            raise Refusal("1018", "CRM Enabled")

    def _sync(self, kind: Kind, call: Call) -> Reply:
        self._writable(kind)
        body = call.json()
        action, by = body.get("action") or "createOrUpdate", body.get("dedupeBy") or "dedupeFields"
        if not isinstance(action, str) or action not in ACTIONS:
            raise Refusal("1003", f"Invalid value '{shown(action)}' for action")
        if not isinstance(by, str) or by not in BY or (by == "idField" and action == "createOnly"):
            raise Refusal("1003", f"Invalid value '{shown(by)}' for dedupeBy")
        records = call.input(body, "Records not specified")
        seen: set[str] = set()
        self._link.prepare()
        with self._at.database.write() as connection:
            return Reply([
                {"seq": seq, **self._synced(connection, kind, record, (action, by), seen, call)}
                for seq, record in enumerate(records)
            ])  # fmt: skip

    def _synced(
        self, connection: sqlite3.Connection, kind: Kind, record: Mapping[str, Json], how: tuple[str, str],
        seen: set[str], call: Call,
    ) -> dict[str, Json]:  # fmt: skip
        action, by = how
        try:
            present = self._present(connection, kind, record, by, seen)
            values = {name: self._value(kind, name, value, by) for name, value in record.items()}
            values.pop(kind.id_field, None)
            _check_action(present, action, by)
            _check_key(kind, present, values)
            self._check_links(connection, kind, values)
        except Skip as skip:
            return skip.result()
        return self._kept(connection, kind, present, values, call)

    def _present(
        self, connection: sqlite3.Connection, kind: Kind, record: Mapping[str, Json], by: str, seen: set[str]
    ) -> Thing | None:
        """The object that a record means; the same one twice in a call is refused (1036)."""
        key = key_of(kind, record, by)
        if key in seen:
            raise Skip("1036", "Duplicate object found in input")
        seen.add(key)
        column = "key" if by == "dedupeFields" else "guid" if kind.id_field == "marketoGUID" else "id"
        wanted: Json = key if by == "dedupeFields" else record[kind.id_field]
        if isinstance(wanted, (list, dict, bool)):
            raise _not_found()
        sql = f"SELECT {COLUMNS} FROM crm_object WHERE kind = ? AND {column} = ?"  # noqa: S608
        row = connection.execute(sql, (kind.path, str(wanted))).fetchone()
        return _thing(row) if row else None

    @staticmethod
    def _value(kind: Kind, name: str, value: Json, by: str) -> Json:
        field = kind.field(name)
        if field is None:
            raise Skip("1006", f"Field '{name}' not found")
        if name in kind.closed and not (name == kind.id_field and by == "idField"):
            raise Skip("1003", f"Invalid value for field '{name}' and value '{shown(value)}'")
        return accept(field, value)

    def _check_links(self, connection: sqlite3.Connection, kind: Kind, values: Mapping[str, Json]) -> None:
        """A role needs its opportunity and person (vendor page), an opportunity its sales person (718)."""
        if kind.path == "opportunities/roles" and "leadId" in values:
            if not self._at.people.existing(connection, [values["leadId"]]):
                raise Skip("1004", "Lead not found")
            if not _exists(connection, "opportunities", values["externalOpportunityId"]):
                raise _not_found()
        seller = values.get("externalSalesPersonId") if kind.path == "opportunities" else None
        if seller is not None and not _exists(connection, "salespersons", seller):
            raise Refusal("718", "ExternalSalesPersonID not found")

    def _kept(
        self, connection: sqlite3.Connection, kind: Kind, present: Thing | None, values: Mapping[str, Json], call: Call
    ) -> dict[str, Json]:
        now, before = call.second, present.doc if present else {}
        after = {name: value for name, value in {**before, **values}.items() if value is not None}
        if present is None:
            guid = new_uuid()
            number = connection.execute(
                "INSERT INTO crm_object (kind, guid, key, created, updated, doc) VALUES (?, ?, ?, ?, ?, ?)",
                (kind.path, guid, key_of(kind, values, "dedupeFields"), now, now, _text(after)),
            ).lastrowid
            result: dict[str, Json] = {"status": "created", kind.id_field: number if kind.id_field == "id" else guid}
        else:
            result = {"status": "updated", kind.id_field: present.value(kind.id_field)}
            if after == before:
                return result
            sql = "UPDATE crm_object SET doc = ?, updated = ? WHERE id = ?"
            connection.execute(sql, (_text(after), now, present.id))
        if kind.path == "companies":
            by = Provenance(user=call.user, request_id=call.request_id)
            self._link.spread(connection, after, by, now)
        return result

    def _delete(self, kind: Kind, call: Call) -> Reply:
        self._writable(kind)
        body = call.json()
        by = body.get("deleteBy") or "dedupeFields"
        if not isinstance(by, str) or by not in BY:
            raise Refusal("1003", f"Invalid value '{shown(by)}' for deleteBy")
        records = call.input(body, "Records not specified")
        if kind.path == "salespersons":
            self._at.people.prepare(self._seller())
        with self._at.database.write() as connection:
            return Reply([
                {"seq": seq, **self._deleted(connection, kind, record, by)} for seq, record in enumerate(records)
            ])  # fmt: skip

    def _deleted(
        self, connection: sqlite3.Connection, kind: Kind, record: Mapping[str, Json], by: str
    ) -> dict[str, Json]:
        try:
            present = self._present(connection, kind, record, by, set())
            if present is None:
                return _not_found().result()
            self._check_unused(connection, kind, present)
        except Skip as skip:
            return skip.result()
        connection.execute("DELETE FROM crm_object WHERE id = ?", (present.id,))
        return {kind.id_field: present.value(kind.id_field), "status": "deleted"}

    def _check_unused(self, connection: sqlite3.Connection, kind: Kind, present: Thing) -> None:
        """A sales person whom persons name cannot be deleted (1022; vendor page Sales Persons)."""
        if kind.path == "salespersons":
            key = str(present.doc["externalSalesPersonId"])
            if self._at.people.count_matching(connection, self._seller(), [key], 1):
                raise Skip("1022", "Object in use")

    def _seller(self) -> Any:
        return self._at.catalog.get("externalSalesPersonId")


def _not_found() -> Skip:
    return Skip("1013", "Object not found")


def _check_action(present: Thing | None, action: str, by: str) -> None:
    if present is not None and action == "createOnly":
        raise Skip("1017", "Object already exists")
    if present is None and (action == "updateOnly" or by == "idField"):
        raise _not_found()


def _check_key(kind: Kind, present: Thing | None, values: Mapping[str, Json]) -> None:
    """The key of an object never changes."""
    for name in kind.dedupe:
        if present is not None and name in values and values[name] != present.doc.get(name):
            raise Skip("1003", f"Invalid value for field '{name}' and value '{shown(values[name])}'")


def _of(handler: Callable[[Kind, Call], Reply], kind: Kind) -> Callable[[Call], Answer]:
    return lambda call: handler(kind, call)


def _names(value: Json) -> list[str]:
    return [shown(one) for one in value] if isinstance(value, list) else []


def _text(doc: Mapping[str, Json]) -> str:
    return msgspec.json.encode(doc).decode()


def _thing(row: tuple[Any, ...]) -> Thing:
    return Thing(row[0], row[1], row[2], row[3], msgspec.json.decode(row[4]))


def _exists(connection: sqlite3.Connection, path: str, key: Json) -> bool:
    text = msgspec.json.encode([shown(key)]).decode()
    row = connection.execute("SELECT 1 FROM crm_object WHERE kind = ? AND key = ?", (path, text)).fetchone()
    return row is not None
