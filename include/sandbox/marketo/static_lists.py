"""Static lists of the lead database: membership and browsing (facts/marketo-api.md 5.3, 6.3; M32, M50)."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable

from include.sandbox.marketo import tokens
from include.sandbox.marketo.identity import ASSETS
from include.sandbox.marketo.instance import Instance
from include.sandbox.marketo.list_store import StaticList
from include.sandbox.marketo.person_reading import LEAD
from include.sandbox.marketo.person_removal import NOT_FOUND, WRITE, input_ids
from include.sandbox.marketo.routes import Body, Route
from include.sandbox.marketo.wire import PAGE, Call, Reply, Skip, stamp, too_many
from include.sandbox.marketo.writer import API_SOURCE
from include.sandbox.service import Json


class StaticLists:
    """The list endpoints of the lead database; lists are made and renamed in `list_assets`."""

    def __init__(self, instance: Instance) -> None:
        """Keep the instance."""
        self._at = instance

    def routes(self) -> list[Route]:
        """Its resources."""
        members = "/rest/v1/lists/{id}/leads.json"
        return [
            Route("GET", "/rest/v1/lists.json", self.browse, LEAD),
            Route("GET", "/rest/v1/lists/{id}.json", self.one, LEAD),
            Route("POST", members, self.add, WRITE, Body.OPTIONAL_JSON),
            Route("DELETE", members, self.remove, WRITE, Body.OPTIONAL_JSON),
            Route("GET", "/rest/v1/lists/{id}/leads/ismember.json", self.is_member, WRITE),
            Route("GET", "/rest/v1/leads/{id}/listMembership.json", self.memberships, ASSETS),
        ]

    def browse(self, call: Call) -> Reply:
        """Lists by id, name, program or workspace; paged without moreResult."""
        size, token = call.batch_size(), call.text("nextPageToken")
        (after,) = self._at.tokens.read(tokens.LISTS, token) if token else (0,)
        condition = ["id > ?"]
        arguments: list[Json] = [after]
        filters = (("id", call.integers("id")), ("name", call.many("name")), ("program", call.many("programName")))
        for column, values in filters:
            if values:
                too_many(len(values), PAGE, column)
                condition.append(f"{column} IN ({', '.join('?' * len(values))})")
                arguments += values
        if (spaces := call.many("workspaceName")) and "Default" not in spaces:
            condition.append("0")
        with self._at.database.read() as connection:
            lists = self._at.lists.find(connection, " AND ".join(condition), arguments, size + 1)
        more = {"nextPageToken": self._at.tokens.write(tokens.LISTS, lists[size - 1].id)} if lists[size:] else {}
        return Reply([one.record() for one in lists[:size]], more)

    def one(self, call: Call) -> Reply:
        """One list."""
        with self._at.database.read() as connection:
            return Reply([self._at.lists.need(connection, call.place("id")).record()])

    def add(self, call: Call) -> Reply:
        """Add members; one who is already is `added` too. updatedAt of the person does not move (M50)."""
        ids = input_ids(call, "Lead ids not specified")
        with self._at.database.write() as connection:
            target = self._at.lists.need(connection, call.place("id"))
            known = self._known(connection, call, ids)
            return Reply([self._added(connection, target, one, known, call.second) for one in ids])

    def _known(self, connection: sqlite3.Connection, call: Call, ids: Iterable[int | None]) -> set[int]:
        """Which of the ids are persons that the user sees."""
        within = self._at.partitions.within(connection, call.user)
        return self._at.people.existing(connection, [one for one in ids if one is not None], within)

    def _added(
        self, connection: sqlite3.Connection, to: StaticList, one: int | None, known: set[int], now: int
    ) -> dict[str, Json]:
        if one is None or one not in known:
            return NOT_FOUND.result(**_named(one))
        self._at.lists.add(connection, to, one, API_SOURCE, now)
        return {"id": one, "status": "added"}

    def remove(self, call: Call) -> Reply:
        """Remove members (M50)."""
        ids = input_ids(call, "Lead ids not specified")
        with self._at.database.write() as connection:
            target = self._at.lists.need(connection, call.place("id"))
            known = self._known(connection, call, ids)
            return Reply([self._removed(connection, target, one, known, call.second) for one in ids])

    def _removed(
        self, connection: sqlite3.Connection, of: StaticList, one: int | None, known: set[int], now: int
    ) -> dict[str, Json]:
        if one is None or one not in known:
            return NOT_FOUND.result(**_named(one))
        if not self._at.lists.remove(connection, of, one, API_SOURCE, now):
            return Skip("1015", "Lead not in list").result(id=one)
        return {"id": one, "status": "removed"}

    def is_member(self, call: Call) -> Reply:
        """`memberof` or `notmemberof` for each id; an unknown person is skipped with 1004 (assumption)."""
        ids = input_ids(call, "Lead ids not specified")
        known = [one for one in ids if one is not None]
        with self._at.database.read() as connection:
            target = self._at.lists.need(connection, call.place("id"))
            people = self._known(connection, call, known)
            members = self._at.lists.members(connection, target.id, known)
        return Reply([
            {"id": one, "status": "memberof" if one in members else "notmemberof"}
            if one in people else NOT_FOUND.result(**_named(one))
            for one in ids
        ])  # fmt: skip

    def memberships(self, call: Call) -> Reply:
        """The lists of a person, with moreResult (M32)."""
        size, token = call.batch_size(), call.text("nextPageToken")
        (after,) = self._at.tokens.read(tokens.MEMBERSHIP, token) if token else (0,)
        sql = "SELECT list_id, added FROM member WHERE person_id = ? AND list_id > ? ORDER BY list_id LIMIT ?"
        with self._at.database.read() as connection:
            known = self._known(connection, call, [call.place("id")])
            rows = connection.execute(sql, (call.place("id"), after, size + 1)).fetchall() if known else []
        result = [{"listId": one, "createdAt": stamp(added), "updatedAt": stamp(added)} for one, added in rows[:size]]
        more: dict[str, Json] = {"moreResult": len(rows) > size}
        if rows[size:]:
            more["nextPageToken"] = self._at.tokens.write(tokens.MEMBERSHIP, rows[size - 1][0])
        return Reply(result, more)


def _named(one: int | None) -> dict[str, Json]:
    return {} if one is None else {"id": one}
