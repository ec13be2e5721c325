"""Bulk loading of generated records past the API: no activities, no validation."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from include.sandbox.marketo.instance import Instance
from include.sandbox.marketo.people import DEFAULTS, encode
from include.sandbox.marketo.values import parse_moment
from include.sandbox.service import Json

SLICE = 20_000
"""Rows of one transaction."""


class Loading:
    """Tables of `MarketoEmulator.load`.

    - `person`: REST-name members, values valid and in REST spelling; optional `id`, `createdAt`,
      `updatedAt` (now unless given); null members may be left out. Custom fields must exist.
    - `list`: `name`, optional `id`, `programName`.
    - `list_member`: `listId`, `leadId`.
    """

    def __init__(self, instance: Instance) -> None:
        """Keep the instance."""
        self._at = instance

    def load(self, table: str, rows: Iterable[Mapping[str, Json]]) -> int:
        """Insert rows, 20,000 a transaction; returns how many.

        Raises:
            KeyError: the table or a field does not exist.
        """
        statement, convert = self._tables()[table]
        total, source = 0, iter(rows)
        while slice_rows := list(itertools.islice(source, SLICE)):
            values = [convert(row) for row in slice_rows]
            with self._at.database.write() as connection:
                connection.executemany(statement, values)
            total += len(values)
        return total

    def _tables(self) -> dict[str, tuple[str, Callable[[Mapping[str, Json]], tuple[Any, ...]]]]:
        now = self._at.now()
        person = "INSERT INTO person (id, email_key, created, updated, touched, doc) VALUES (?, ?, ?, ?, ?, ?)"
        lists = "INSERT INTO static_list (id, name, program, created, updated) VALUES (?, ?, ?, ?, ?)"
        return {
            "person": (person, self._person_converter(now)),
            "list": (lists, lambda row: (row.get("id"), row["name"], row.get("programName"), now, now)),
            "list_member": ("INSERT OR IGNORE INTO member VALUES (?, ?, ?)",
                            lambda row: (row["listId"], row["leadId"], now)),
        }  # fmt: skip

    def _person_converter(self, now: int) -> Callable[[Mapping[str, Json]], tuple[Any, ...]]:
        keys = {field.name: field.key for field in self._at.catalog.all if not field.soap_only}
        columns = {"id", "createdAt", "updatedAt"}

        def convert(row: Mapping[str, Json]) -> tuple[Any, ...]:
            doc = {keys[name]: value for name, value in row.items() if value is not None and name not in columns}
            for key, default in DEFAULTS.items():
                if doc.get(key) == default:
                    del doc[key]
            email = row.get("email")
            created, updated = _second(row.get("createdAt"), now), _second(row.get("updatedAt"), now)
            return row.get("id"), email.lower() if email else None, created, updated, updated, encode(doc)

        return convert


def _second(text: Json, now: int) -> int:
    moment = parse_moment(text) if text else None
    return int(moment.timestamp()) if moment else now
