"""Persons on disk: one compact JSON document each, keyed by field id, and the columns that are searched.

A field that is not in the document is empty, or has its default (`DEFAULTS`). Custom searchable
fields get an expression index the first time somebody filters by them, so a field that nobody
looks up costs nothing; at a million persons that first look-up takes some seconds.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, NamedTuple, TypeAlias

import msgspec

from include.sandbox.marketo.catalog import Catalog, Field
from include.sandbox.marketo.database import Database
from include.sandbox.marketo.wire import as_integer, stamp
from include.sandbox.service import Json

DEFAULTS: dict[str, Json] = {"46": "contact", "49": True, "51": False, "479": 1}
"""personType, isLead, isAnonymous and leadPartitionId of a person that never had another value (section 6)."""
FIRST_SIX = ("id", "firstName", "lastName", "email", "updatedAt", "createdAt")
COLUMNS = "id, created, updated, touched, doc"
Within: TypeAlias = tuple[int, ...] | None
"""Numbers of the partitions that a reader may see; None for all."""
FIRST_NAME, LAST_NAME, EMAIL, PARTITION = "53", "55", "56", "479"

_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(dict[str, Any])


class Person(NamedTuple):
    """One stored person; times in seconds since 1970."""

    id: int
    created: int
    updated: int
    touched: int
    """When any field last changed; the bulk filter updatedAt goes by it."""
    doc: dict[str, Json]

    def full_name(self) -> str | None:
        """First name, blank, last name; None when both are empty."""
        parts = [self.doc.get(FIRST_NAME), self.doc.get(LAST_NAME)]
        return " ".join(part for part in parts if part) or None

    def value(self, field: Field) -> Json:
        """What the database holds: None for a boolean that was never set."""
        derived = _DERIVED.get(field.name)
        return derived(self) if derived else self.doc.get(field.key, DEFAULTS.get(field.key))

    def email_key(self) -> str | None:
        """The address by which it is found."""
        email = self.doc.get(EMAIL)
        return email.lower() if email else None


_DERIVED: dict[str, Callable[[Person], Json]] = {
    "id": lambda person: person.id,
    "createdAt": lambda person: stamp(person.created),
    "updatedAt": lambda person: stamp(person.updated),
    "mktoName": Person.full_name,
    "leadPerson": lambda person: person.id,
    "personPrimaryLeadInterest": lambda person: person.id,  # as recorded
    # Assumption: every person has an internal company record of its own, numbered like the person.
    "contactCompany": lambda person: person.id,
}


def encode(doc: dict[str, Json]) -> str:
    """The stored text of a document."""
    return _encoder.encode(doc).decode()


def inside(within: Within) -> str:
    """A further SQL condition: the person is in one of these partitions."""
    if within is None:
        return ""
    numbers = ", ".join(map(str, within))
    return f" AND ifnull(json_extract(doc, '$.\"{PARTITION}\"'), {DEFAULTS[PARTITION]}) IN ({numbers})"


def person_of(row: Sequence[Any]) -> Person:
    """A person from the columns `COLUMNS`."""
    return Person(row[0], row[1], row[2], row[3], _decoder.decode(row[4]))


class Projection:
    """The fields of a read, turned into records: `id` first, then the fields in order (M27).

    `unset` is what a boolean that was never set reads as: false over REST, null in bulk files.
    """

    def __init__(self, catalog: Catalog, names: Sequence[str], *, unset: Json = False) -> None:
        """Resolve the names; an unknown one fails the request (1006)."""
        fields = [field for field in catalog.named(names or FIRST_SIX) if field.name != "id"]
        self._plan: list[tuple[str, str, Callable[[Person], Json] | None, Json]] = [
            (field.name, field.key, _DERIVED.get(field.name), _absent(field, unset)) for field in fields
        ]

    def record(self, person: Person) -> dict[str, Json]:
        """The JSON object of a person: empty fields null, booleans never null."""
        record: dict[str, Json] = {"id": person.id}
        doc = person.doc
        for name, key, derived, absent in self._plan:
            record[name] = derived(person) if derived else doc.get(key, absent)
        return record


def _absent(field: Field, unset: Json) -> Json:
    return DEFAULTS.get(field.key, unset if field.data_type == "boolean" else None)


class People:
    """Look-ups and single-row writes."""

    def __init__(self, database: Database) -> None:
        """Remember which fields have an index."""
        self._database = database
        self._lock = threading.Lock()
        with database.read() as connection:
            rows = connection.execute("SELECT name FROM sqlite_master WHERE name LIKE 'person\\_field\\_%' ESCAPE '\\'")
            self._indexed = {name for (name,) in rows}

    def get(self, connection: sqlite3.Connection, person_id: int, within: Within = None) -> Person | None:
        """One person."""
        sql = f"SELECT {COLUMNS} FROM person WHERE id = ?{inside(within)}"  # noqa: S608
        row = connection.execute(sql, (person_id,)).fetchone()
        return person_of(row) if row else None

    def get_many(self, connection: sqlite3.Connection, ids: Iterable[int]) -> Iterator[Person]:
        """Those that exist, ascending."""
        asked = msgspec.json.encode(list(ids)).decode()
        sql = f"SELECT {COLUMNS} FROM person WHERE id IN (SELECT value FROM json_each(?)) ORDER BY id"  # noqa: S608
        return map(person_of, connection.execute(sql, (asked,)))

    def existing(self, connection: sqlite3.Connection, ids: Iterable[int], within: Within = None) -> set[int]:
        """Which of the ids are persons."""
        asked = msgspec.json.encode(list(ids)).decode()
        sql = f"SELECT id FROM person WHERE id IN (SELECT value FROM json_each(?)){inside(within)}"  # noqa: S608
        rows = connection.execute(sql, (asked,))
        return {person_id for (person_id,) in rows}

    def prepare(self, field: Field) -> None:
        """Make the field's index unless it exists. Call outside transactions."""
        name = f"person_field_{field.id}"
        if field.name in {"id", "email"} or name in self._indexed:
            return
        with self._lock, self._database.write() as connection:
            connection.execute(f"CREATE INDEX IF NOT EXISTS {name} ON person ({_expression(field)})")
            self._indexed.add(name)

    def holders(self, connection: sqlite3.Connection, field: Field, values: Iterable[Json]) -> dict[str, list[int]]:
        """Ids of the persons with one of the values, ascending, by comparison key."""
        asked = {match_key(value): value for value in values}
        found: dict[str, list[int]] = {}
        sql = f"SELECT {_expression(field)}, id FROM person WHERE {_condition(field, len(asked))} ORDER BY id"  # noqa: S608
        for value, person_id in connection.execute(sql, _arguments(field, list(asked.values()))):
            found.setdefault(match_key(value), []).append(person_id)
        return found

    def matching(
        self, connection: sqlite3.Connection, field: Field, values: Sequence[str], after: int, limit: int,
        within: Within = None,
    ) -> list[Person]:  # fmt: skip
        """Persons with one of the values and an id above `after`, ascending, at most `limit`."""
        condition = f"{_condition(field, len(values))}{inside(within)}"
        sql = f"SELECT {COLUMNS} FROM person WHERE {condition} AND id > ? ORDER BY id LIMIT ?"  # noqa: S608
        arguments = [*_arguments(field, values), after, limit]
        return [person_of(row) for row in connection.execute(sql, arguments)]

    def count_matching(
        self, connection: sqlite3.Connection, field: Field, values: Sequence[str], limit: int, within: Within = None
    ) -> int:
        """How many persons have one of the values; stops counting at `limit`."""
        inner = f"SELECT 1 FROM person WHERE {_condition(field, len(values))}{inside(within)} LIMIT ?"  # noqa: S608
        row = connection.execute(f"SELECT count(*) FROM ({inner})", [*_arguments(field, values), limit]).fetchone()  # noqa: S608
        return int(row[0])

    def insert(self, connection: sqlite3.Connection, created: int, updated: int, doc: dict[str, Json]) -> Person:
        """A new person with an id above all earlier ones, deleted ones included (M34)."""
        email = doc.get(EMAIL)
        cursor = connection.execute(
            "INSERT INTO person (email_key, created, updated, touched, doc) VALUES (?, ?, ?, ?, ?)",
            (email.lower() if email else None, created, updated, created, encode(doc)),
        )
        return Person(int(cursor.lastrowid or 0), created, updated, created, doc)

    def save(self, connection: sqlite3.Connection, person: Person) -> None:
        """Write back a changed person."""
        connection.execute(
            "UPDATE person SET email_key = ?, updated = ?, touched = ?, doc = ? WHERE id = ?",
            (person.email_key(), person.updated, person.touched, encode(person.doc), person.id),
        )

    def remove(self, connection: sqlite3.Connection, person_id: int) -> None:
        """Forget a person and its memberships in lists and programs."""
        connection.execute("DELETE FROM person WHERE id = ?", (person_id,))
        for table in ("member", "program_member"):
            connection.execute(f"DELETE FROM {table} WHERE person_id = ?", (person_id,))  # noqa: S608


def match_key(value: Json) -> str:
    """How look-up values are compared: ASCII letters without case, as the indexes do.

    Documented for e-mail; for custom text fields it is an assumption.
    """
    return str(value).encode(errors="surrogatepass").lower().decode(errors="surrogatepass")


def _expression(field: Field) -> str:
    if field.name == "id":
        return "id"
    if field.name == "email":
        return "email_key"
    path = f"""json_extract(doc, '$."{field.key}"')"""
    default = DEFAULTS.get(field.key)
    return f"ifnull({path}, {default})" if default is not None else f"{path} COLLATE NOCASE"


def _condition(field: Field, values: int) -> str:
    return f"{_expression(field)} IN ({', '.join('?' * values)})"


def _arguments(field: Field, values: Iterable[Json]) -> list[Json]:
    if field.data_type in {"integer", "reference"}:
        return [as_integer(value) if isinstance(value, str) else value for value in values]
    return [match_key(value) for value in values] if field.name == "email" else list(values)
