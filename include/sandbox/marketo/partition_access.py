"""Which partitions an API user may enter (facts/marketo-api.md 3.3: 1008 and 1009; M51). At first, all.

Assumption, the facts give codes of writes only: reads do not find persons of other partitions, as if they did
not exist, nor their activities; deletions, of which no partition is left, are told to all. Bulk extracts
ignore partitions (section 9.2).
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable

import msgspec

from include.sandbox.marketo.people import DEFAULTS, PARTITION, Person, Within
from include.sandbox.marketo.values import shown
from include.sandbox.marketo.wire import Refusal, Skip
from include.sandbox.service import Json

DEFAULT = 1


class PartitionAccess:
    """The partitions, and what a user may do with them."""

    @staticmethod
    def restrict(connection: sqlite3.Connection, user: str, names: Iterable[str] | None) -> None:
        """Let a user into these partitions only; None lifts the restriction. Raises `ValueError` for unknown ones."""
        key = _key(user)
        if names is None:
            connection.execute("DELETE FROM meta WHERE key = ?", (key,))
            return
        known = {name for (name,) in connection.execute("SELECT name FROM partition")}
        if unknown := sorted(set(names) - known):
            message = f"unknown partitions {unknown}"
            raise ValueError(message)
        body = msgspec.json.encode(sorted(names)).decode()
        connection.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (key, body))

    def named(self, connection: sqlite3.Connection, user: str, name: Json) -> int:
        """The number of a partition that a call names.

        Raises:
            Skip: 1008, it does not exist or the user may not enter it.
        """
        row = connection.execute("SELECT id FROM partition WHERE name = ?", (shown(name),)).fetchone()
        allowed = self._allowed(connection, user)
        if row is None or (allowed is not None and shown(name) not in allowed):
            raise _denied(name)
        return int(row[0])

    def home(self, connection: sqlite3.Connection, user: str) -> int:
        """Where new persons go when the call names no partition: Default, or the user's only one.

        Raises:
            Skip: 1009, the user may enter several, and Default is not among them (assumption).
        """
        allowed = self._allowed(connection, user)
        if allowed is None or "Default" in allowed:
            return DEFAULT
        if len(allowed) != 1:
            raise Skip("1009", "Partition name must be specified")
        return self.named(connection, user, next(iter(allowed)))

    def check(self, connection: sqlite3.Connection, user: str, person: Person) -> None:
        """Refuse a user who may not enter the partition of a person (1008)."""
        allowed = self._allowed(connection, user)
        if allowed is None:
            return
        number = person.doc.get(PARTITION, DEFAULTS[PARTITION])
        (name,) = connection.execute("SELECT name FROM partition WHERE id = ?", (number,)).fetchone()
        if name not in allowed:
            raise _denied(name)

    def check_whole(self, connection: sqlite3.Connection, user: str, person: Person) -> None:
        """`check` where one person fails the whole request."""
        try:
            self.check(connection, user, person)
        except Skip as skip:
            raise Refusal(skip.code, skip.message) from skip

    def within(self, connection: sqlite3.Connection, user: str) -> Within:
        """The partitions in which a user finds persons."""
        allowed = self._allowed(connection, user)
        if allowed is None:
            return None
        rows = connection.execute("SELECT id, name FROM partition ORDER BY id")
        return tuple(number for number, name in rows if name in allowed)

    @staticmethod
    def _allowed(connection: sqlite3.Connection, user: str) -> set[str] | None:
        row = connection.execute("SELECT value FROM meta WHERE key = ?", (_key(user),)).fetchone()
        return set(msgspec.json.decode(row[0])) if row else None


def _key(user: str) -> str:
    return f"partitions of {user}"


def _denied(name: Json) -> Skip:
    return Skip("1008", f"Access denied to partition '{shown(name)}'")
