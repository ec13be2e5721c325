"""Durable unsubscribe: one master status per e-mail address (native-sync.md R146-R149). Off by default.

Assumption: the changes that it spreads carry the source and reason of the edit that caused them.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping

from include.sandbox.marketo.catalog import Catalog, Field
from include.sandbox.marketo.options import Options
from include.sandbox.marketo.people import EMAIL, People, Person
from include.sandbox.service import Json

UNSUBSCRIBED = "79"
Change = tuple[Field, Json, Json]


class Subscription:
    """Keeps the master status and says what follows from it."""

    def __init__(self, people: People, options: Options) -> None:
        """Keep what it works with."""
        self._people = people
        self._options = options

    def born(self, connection: sqlite3.Connection, doc: dict[str, Json]) -> None:
        """A new person with an unsubscribed address is unsubscribed (R147); one born so sets the status."""
        key = _key(doc.get(EMAIL))
        if not self._options.durable_unsubscribe or key is None:
            return
        if doc.get(UNSUBSCRIBED):
            _set(connection, key, unsubscribed=True)
        elif _is_unsubscribed(connection, key):
            doc[UNSUBSCRIBED] = True

    def carried(
        self, connection: sqlite3.Connection, person: Person, changed: Mapping[str, tuple[Json, Json]], catalog: Catalog
    ) -> list[Change]:
        """What a change of address does to the person's own flag (R149)."""
        if not self._options.durable_unsubscribe or "email" not in changed or "unsubscribed" in changed:
            return []
        old, new = (_key(value) for value in changed["email"])
        if old == new or new is None:
            return []
        status = _is_unsubscribed(connection, new)
        present = bool(person.doc.get(UNSUBSCRIBED))
        lifted = present and old is not None and _is_unsubscribed(connection, old)
        if status == present or (present and not lifted):
            return []
        return [(catalog.by_key[UNSUBSCRIBED], person.doc.get(UNSUBSCRIBED), status)]

    def spread(
        self, connection: sqlite3.Connection, person: Person, changed: Mapping[str, tuple[Json, Json]], catalog: Catalog
    ) -> list[tuple[Person, list[Change]]]:
        """What a change of the flag does to everybody else with the address (R146, R148)."""
        if not self._options.durable_unsubscribe or "unsubscribed" not in changed:
            return []
        email = changed["email"][1] if "email" in changed else person.doc.get(EMAIL)
        key = _key(email)
        if key is None:
            return []
        status = bool(changed["unsubscribed"][1])
        _set(connection, key, unsubscribed=status)
        field = catalog.by_key[UNSUBSCRIBED]
        rows = connection.execute("SELECT id FROM person WHERE email_key = ? AND id <> ?", (key, person.id)).fetchall()
        others = self._people.get_many(connection, [row[0] for row in rows])
        return [
            (other, [(field, other.doc.get(UNSUBSCRIBED), status)])
            for other in others
            if bool(other.doc.get(UNSUBSCRIBED)) != status
        ]


def _key(email: Json) -> str | None:
    return email.lower() if email else None


def _is_unsubscribed(connection: sqlite3.Connection, key: str) -> bool:
    return connection.execute("SELECT 1 FROM unsubscribed WHERE email_key = ?", (key,)).fetchone() is not None


def _set(connection: sqlite3.Connection, key: str, *, unsubscribed: bool) -> None:
    if unsubscribed:
        connection.execute("INSERT OR IGNORE INTO unsubscribed VALUES (?)", (key,))
    else:
        connection.execute("DELETE FROM unsubscribed WHERE email_key = ?", (key,))
