"""What a marketer does by hand in Marketo's own pages: find, read, create and delete persons, fill lists.

Control commands. No API call is made, so they need no permission and count towards no limit.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

import msgspec

from include.sandbox.marketo import type_store
from include.sandbox.marketo.builtin_activities import BUILTIN_TYPES
from include.sandbox.marketo.catalog import Field
from include.sandbox.marketo.instance import Instance
from include.sandbox.marketo.list_store import StaticList
from include.sandbox.marketo.people import COLUMNS, EMAIL, FIRST_NAME, LAST_NAME, Person, person_of
from include.sandbox.marketo.values import accept
from include.sandbox.marketo.wire import stamp
from include.sandbox.marketo.writer import Provenance
from include.sandbox.service import Json

Arguments: TypeAlias = Mapping[str, Json]

_BY_HAND = Provenance(source="New person", reason="Manual person edit", method="")
"""Assumption: Source Type of a person typed in by hand; recordings show only those of the API."""
_LIST_SOURCE = "Manual"
"""Assumption: Source of Add to List and Remove from List by a human."""
_MOST = 500
_COMPANY = "4"
_BUILTIN = {int(body["id"]): str(body["name"]) for body in BUILTIN_TYPES}


class Desk:
    """The commands. Each takes and returns JSON."""

    def __init__(self, instance: Instance) -> None:
        """Keep the instance."""
        self._at = instance

    def commands(self) -> dict[str, Callable[[Arguments], Json]]:
        """Every command by name."""
        return {
            "find_people": self.find_people, "read_person": self.read_person, "create_person": self.create_person,
            "delete_person": self.delete_person, "person_activities": self.person_activities,
            "list_fields": self.list_fields, "static_lists": self.static_lists,
            "add_to_list": self.add_to_list, "remove_from_list": self.remove_from_list,
        }  # fmt: skip

    def find_people(self, arguments: Arguments) -> Json:
        """`{"text"? (""), "limit"? (50)}`: persons by id, exact e-mail address or part of a name, newest first.

        Without a text they are the newest. Returns `[{"id", "email", "firstName", "lastName", "company",
        "updatedAt"}]`.
        """
        text, limit = str(arguments.get("text") or "").strip(), _limit(arguments)
        with self._at.database.read() as connection:
            rows = connection.execute(*_search(text, limit)).fetchall()
        return [_summary(person_of(row)) for row in rows]

    def read_person(self, arguments: Arguments) -> Json:
        """`{"id"}`: `{"id", "createdAt", "updatedAt", "values": {name: value}, "lists": [{"id", "name"}]}`, or null.

        Empty fields are left out of `values`.
        """
        with self._at.database.read() as connection:
            person = self._at.people.get(connection, int(arguments["id"]))
            if person is None:
                return None
            condition = "id IN (SELECT list_id FROM member WHERE person_id = ?)"
            member_of = self._at.lists.find(connection, condition, (person.id,), _MOST)
        values = {one.name: person.value(one) for one in self._at.catalog.all if not one.soap_only}
        return {
            "id": person.id, "createdAt": stamp(person.created), "updatedAt": stamp(person.updated),
            "values": {name: value for name, value in values.items() if value is not None},
            "lists": [{"id": one.id, "name": one.full_name} for one in member_of],
        }  # fmt: skip

    def create_person(self, arguments: Arguments) -> Json:
        """`{"values": {field: value}, "duplicate"? (false)}`: a person typed in by hand. Returns `{"id"}`.

        An e-mail address that a person has already is refused unless `duplicate` is true.
        """
        values = {self._field(name): sent for name, sent in arguments["values"].items()}
        accepted = {one: accept(one, sent, truncate=self._at.options.truncate_strings) for one, sent in values.items()}
        email = next((value for one, value in accepted.items() if one.key == EMAIL), None)
        with self._at.database.write() as connection:
            if email and not arguments.get("duplicate"):
                _refuse_known(connection, email)
            made = self._at.writer.create(connection, accepted, _BY_HAND, self._at.now(), 1)
        return {"id": made.id}

    def _field(self, name: str) -> Field:
        one = self._at.catalog.get(name)
        if one is None or one.read_only:
            raise KeyError(name)
        return one

    def delete_person(self, arguments: Arguments) -> Json:
        """`{"id"}`: a person deleted by hand. Returns `{"id"}`."""
        with self._at.database.write() as connection:
            person = self._need(connection, arguments["id"])
            self._at.writer.delete(connection, person, self._at.now())
        return {"id": person.id}

    def person_activities(self, arguments: Arguments) -> Json:
        """`{"id", "before"? (an activity's id), "limit"? (50)}`: a person's activities, newest first.

        Returns `[{"id", "at", "type", "primary"?, "attributes"}]`; `type` is the name of the type. Activities
        that are not published yet are not shown.
        """
        person, limit = int(arguments["id"]), _limit(arguments)
        condition = "person = ? AND seq < ? AND (visible IS NULL OR visible <= ?)"
        sql = (
            "SELECT seq, at, type, primary_text, attributes FROM activity "  # noqa: S608 - own condition
            f"WHERE {condition} ORDER BY seq DESC LIMIT ?"
        )
        before = int(arguments.get("before") or 2**62)
        with self._at.database.read() as connection:
            custom = type_store.approved_types(connection)
            rows = connection.execute(sql, (person, before, self._at.now(), limit)).fetchall()
        names = _BUILTIN | {one.id: str((one.approved or {})["name"]) for one in custom}
        return [_activity(names, *row) for row in rows]

    def list_fields(self, _arguments: Arguments) -> Json:
        """`{}`: `[{"name", "displayName", "dataType", "length", "readOnly", "custom"}]`."""
        return [
            {
                "name": one.name, "displayName": one.display, "dataType": one.data_type, "length": one.length,
                "readOnly": one.read_only, "custom": one.custom,
            }
            for one in self._at.catalog.all
            if not one.soap_only
        ]  # fmt: skip

    def static_lists(self, _arguments: Arguments) -> Json:
        """`{}`: `[{"id", "name", "members"}]`, the first 500."""
        with self._at.database.read() as connection:
            found = self._at.lists.find(connection, "1", (), _MOST)
            return [
                {"id": one.id, "name": one.full_name, "members": self._at.lists.count(connection, one.id)}
                for one in found
            ]

    def add_to_list(self, arguments: Arguments) -> Json:
        """`{"listId", "leadId"}`: a person put on a static list by hand; nothing happens to a member."""
        with self._at.database.write() as connection:
            chosen, person = self._place(connection, arguments)
            self._at.lists.add(connection, chosen, person.id, _LIST_SOURCE, self._at.now())
        return {"listId": chosen.id, "leadId": person.id}

    def remove_from_list(self, arguments: Arguments) -> Json:
        """`{"listId", "leadId"}`: a person taken off a static list by hand. Returns `{"removed"}`."""
        with self._at.database.write() as connection:
            chosen, person = self._place(connection, arguments)
            gone = self._at.lists.remove(connection, chosen, person.id, _LIST_SOURCE, self._at.now())
        return {"removed": gone}

    def _place(self, connection: sqlite3.Connection, arguments: Arguments) -> tuple[StaticList, Person]:
        chosen = self._at.lists.need(connection, int(arguments["listId"]))
        return chosen, self._need(connection, arguments["leadId"])

    def _need(self, connection: sqlite3.Connection, person_id: Json) -> Person:
        person = self._at.people.get(connection, int(person_id))
        if person is None:
            message = f"there is no person {person_id}"
            raise ValueError(message)
        return person


def _limit(arguments: Arguments) -> int:
    return max(1, min(_MOST, int(arguments.get("limit") or 50)))


def _search(text: str, limit: int) -> tuple[str, tuple[Json, ...]]:
    select = f"SELECT {COLUMNS} FROM person"  # noqa: S608 - own columns
    if not text:
        return f"{select} ORDER BY id DESC LIMIT ?", (limit,)
    if text.isascii() and text.isdigit() and len(text) < len(str(2**63)):
        return f"{select} WHERE id = ? LIMIT ?", (int(text), limit)
    if "@" in text:
        return f"{select} WHERE email_key = ? ORDER BY id DESC LIMIT ?", (text.lower(), limit)
    # No index helps with a part of a name: a million persons take some seconds.
    names = " || ' ' || ".join(f"""ifnull(json_extract(doc, '$."{key}"'), '')""" for key in (FIRST_NAME, LAST_NAME))
    return f"{select} WHERE instr(lower({names}), lower(?)) ORDER BY id DESC LIMIT ?", (text, limit)


def _summary(person: Person) -> dict[str, Json]:
    doc = person.doc
    named = {"email": EMAIL, "firstName": FIRST_NAME, "lastName": LAST_NAME, "company": _COMPANY}
    return {"id": person.id, **{name: doc.get(key) for name, key in named.items()}, "updatedAt": stamp(person.updated)}


def _refuse_known(connection: sqlite3.Connection, email: str) -> None:
    found = connection.execute("SELECT id FROM person WHERE email_key = ? LIMIT 1", (email.lower(),)).fetchone()
    if found is not None:
        message = f"person {found[0]} has the e-mail address {email} already"
        raise ValueError(message)


def _activity(
    names: Mapping[int, str], seq: int, at: int, kind: int, primary: str | None, attributes: str
) -> dict[str, Any]:
    shown = {} if primary is None else {"primary": primary}
    content = msgspec.json.decode(attributes)
    return {"id": seq, "at": stamp(at), "type": names.get(kind, f"type {kind}"), **shown, "attributes": content}
