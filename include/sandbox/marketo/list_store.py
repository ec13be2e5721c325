"""Static lists on disk and the activities that membership leaves (facts/marketo-api.md 6.3, 8.4; M50)."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from typing import NamedTuple

from include.sandbox.marketo.feed import ADD_TO_LIST, REMOVE_FROM_LIST, Activity, Feed
from include.sandbox.marketo.people import People
from include.sandbox.marketo.wire import Refusal, stamp
from include.sandbox.service import Json

FIRST_ID = 1001
"""Assumption: list ids start at 1001, as in young instances."""
COLUMNS = "id, name, description, program, folder, created, updated"


class StaticList(NamedTuple):
    """One static list; times in seconds since 1970."""

    id: int
    name: str
    description: str | None
    program: str | None
    folder: int | None
    created: int
    updated: int

    @property
    def full_name(self) -> str:
        """How activities name it: the program before the list."""
        return f"{self.program}.{self.name}" if self.program else self.name

    def record(self) -> dict[str, Json]:
        """The JSON object of the lead database; empty description and program are left out."""
        described = {"description": self.description} if self.description else {}
        programmed = {"programName": self.program} if self.program else {}
        return {
            "id": self.id, "name": self.name, **described, **programmed, "workspaceId": 1, "workspaceName": "Default",
            "createdAt": stamp(self.created), "updatedAt": stamp(self.updated),
        }  # fmt: skip


class ListStore:
    """Lists and their members."""

    def __init__(self, people: People, feed: Feed) -> None:
        """Keep what it works with."""
        self._people = people
        self._feed = feed

    def create(
        self, connection: sqlite3.Connection, name: str, now: int, *, list_id: int | None = None,
        description: str | None = None, program: str | None = None, folder: int | None = None,
    ) -> StaticList:  # fmt: skip
        """A new list; the id is the next free one unless given."""
        if list_id is None:
            row = connection.execute("SELECT seq FROM sqlite_sequence WHERE name = 'static_list'").fetchone()
            list_id = max(FIRST_ID, (row[0] if row else 0) + 1)
        values = (list_id, name, description, program, folder, now, now)
        connection.execute(f"INSERT INTO static_list ({COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?)", values)  # noqa: S608
        return StaticList(*values)

    def need(self, connection: sqlite3.Connection, list_id: int) -> StaticList:
        """A list that must exist (1013)."""
        found = self.find(connection, "id = ?", (list_id,), 1)
        if not found:
            raise Refusal("1013", "Object not found")
        return found[0]

    @staticmethod
    def find(connection: sqlite3.Connection, condition: str, arguments: Iterable[Json], limit: int) -> list[StaticList]:
        """Lists by an SQL condition on their columns, ascending by id."""
        sql = f"SELECT {COLUMNS} FROM static_list WHERE {condition} ORDER BY id LIMIT ?"  # noqa: S608
        return [StaticList(*row) for row in connection.execute(sql, (*arguments, limit))]

    @staticmethod
    def members(connection: sqlite3.Connection, list_id: int, ids: Iterable[int]) -> set[int]:
        """Which of the ids are members."""
        check = "SELECT 1 FROM member WHERE list_id = ? AND person_id = ?"
        return {one for one in ids if connection.execute(check, (list_id, one)).fetchone()}

    @staticmethod
    def count(connection: sqlite3.Connection, list_id: int) -> int:
        """How many members a list has."""
        row = connection.execute("SELECT count(*) FROM member WHERE list_id = ?", (list_id,)).fetchone()
        return int(row[0])

    def add(self, connection: sqlite3.Connection, to: StaticList, person: int, source: str, now: int) -> None:
        """Make an existing person a member; nothing happens to one who is already."""
        sql = "INSERT OR IGNORE INTO member VALUES (?, ?, ?)"
        if connection.execute(sql, (to.id, person, now)).rowcount:
            added = Activity(ADD_TO_LIST, person, now, to.id, to.full_name, {"Source": source})
            self._feed.append(connection, [added], now)

    def remove(self, connection: sqlite3.Connection, of: StaticList, person: int, source: str, now: int) -> bool:
        """End a membership; False when there was none."""
        sql = "DELETE FROM member WHERE list_id = ? AND person_id = ?"
        if not connection.execute(sql, (of.id, person)).rowcount:
            return False
        removed = Activity(REMOVE_FROM_LIST, person, now, of.id, of.full_name, {"Source": source})
        self._feed.append(connection, [removed], now)
        return True
