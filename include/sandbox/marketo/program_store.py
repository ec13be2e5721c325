"""Programs and their members on disk: as much as lists, pushes and membership reads need (facts 5.3, 6.3)."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from typing import NamedTuple

from include.sandbox.service import Json

FIRST_ID = 1001
CHANGE_PROGRAM_STATUS = 104
"""Activity type of a change of status."""
COLUMNS = "id, name, description, type, channel, folder, created, updated"
MEMBER_COLUMNS = "program_id, person_id, status, success, acquired, since, updated"


class Status(NamedTuple):
    """One status of a channel; a member only moves to a larger `step` (1037)."""

    name: str
    step: int
    success: bool = False


_LADDER = (
    Status("Not in Program", 0), Status("On List", 10), Status("Member", 20), Status("Invited", 25),
    Status("Sent", 30), Status("Opened", 35), Status("Clicked", 40), Status("Visited", 45), Status("Registered", 50),
    Status("No Show", 60), Status("Attended", 70, True), Status("Engaged", 80, True), Status("Influenced", 90, True),
)  # fmt: skip
CHANNELS: dict[str, str] = {
    "Online Advertising": "program", "Email Blast": "program", "List Import": "program", "Web Content": "program",
    "Email Send": "email_batch_program", "Live Event": "event", "Webinar": "event_webinar", "Nurture": "nurture",
}  # fmt: skip
"""Channel names as recorded, with the program type that each belongs to. Assumption: the type names but "program"."""


def statuses() -> tuple[Status, ...]:
    """The ladder of every channel. Assumption: one for all, for real ladders differ per instance."""
    return _LADDER


def status(name: str) -> Status | None:
    """A status by its name."""
    return next((one for one in _LADDER if one.name == name), None)


class Program(NamedTuple):
    """One program; times in seconds since 1970."""

    id: int
    name: str
    description: str | None
    type: str
    channel: str
    folder: int | None
    created: int
    updated: int


class Member(NamedTuple):
    """One membership; times in seconds since 1970."""

    program: int
    person: int
    status: str
    success: int
    acquired: int
    since: int
    updated: int


class ProgramStore:
    """Programs and members."""

    def create(
        self, connection: sqlite3.Connection, name: str, now: int, *, program_id: int | None = None,
        description: str | None = None, kind: str = "Default", channel: str = "Online Advertising",
        folder: int | None = None,
    ) -> Program:  # fmt: skip
        """A new program; the id is the next free one unless given."""
        if program_id is None:
            row = connection.execute("SELECT seq FROM sqlite_sequence WHERE name = 'program'").fetchone()
            program_id = max(FIRST_ID, (row[0] if row else 0) + 1)
        values = (program_id, name, description, kind, channel, folder, now, now)
        connection.execute(f"INSERT INTO program ({COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?)", values)  # noqa: S608
        return Program(*values)

    def named(self, connection: sqlite3.Connection, name: str, now: int) -> Program:
        """The program of a name, made when nobody made it. Assumption: a name that a call mentions exists."""
        found = self.find(connection, "name = ?", (name,))
        return found[0] if found else self.create(connection, name, now)

    def numbered(self, connection: sqlite3.Connection, number: int, now: int) -> Program:
        """The program of a number, made when nobody made it (assumption, as for names)."""
        found = self.find(connection, "id = ?", (number,))
        return found[0] if found else self.create(connection, f"Program {number}", now, program_id=number)

    @staticmethod
    def find(
        connection: sqlite3.Connection, condition: str, arguments: Iterable[Json], limit: int = 2**31
    ) -> list[Program]:
        """Programs by an SQL condition on their columns, ascending by id."""
        sql = f"SELECT {COLUMNS} FROM program WHERE {condition} ORDER BY id LIMIT ?"  # noqa: S608
        return [Program(*row) for row in connection.execute(sql, (*arguments, limit))]

    @staticmethod
    def members(
        connection: sqlite3.Connection, condition: str, arguments: Iterable[Json], limit: int, order: str = "person_id"
    ) -> list[Member]:
        """Memberships by an SQL condition on their columns."""
        sql = f"SELECT {MEMBER_COLUMNS} FROM program_member WHERE {condition} ORDER BY {order} LIMIT ?"  # noqa: S608
        return [Member(*row) for row in connection.execute(sql, (*arguments, limit))]

    def member(self, connection: sqlite3.Connection, program: int, person: int) -> Member | None:
        """One membership."""
        found = self.members(connection, "program_id = ? AND person_id = ?", (program, person), 1)
        return found[0] if found else None

    def place(
        self, connection: sqlite3.Connection, program: int, person: int, to: Status, now: int, *, acquired: bool = False
    ) -> Member:
        """Give a person a status, as a new member or an old one."""
        old = self.member(connection, program, person)
        since = old.since if old else now
        made = Member(
            program, person, to.name, int(to.success), int(acquired or (old.acquired if old else 0)), since, now
        )
        sql = f"INSERT OR REPLACE INTO program_member ({MEMBER_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?)"  # noqa: S608
        connection.execute(sql, made)
        return made
