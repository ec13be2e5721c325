"""Smart lists as bulk extract needs them: persons whose fields have given values (facts/marketo-api.md 9.2; M68).

The API cannot make smart lists; here the control command `create_smart_list` does.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping

import msgspec

from include.sandbox.marketo.catalog import Catalog
from include.sandbox.marketo.people import DEFAULTS
from include.sandbox.service import Json

SCHEMA = (
    "CREATE TABLE IF NOT EXISTS smart_list (id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL UNIQUE,"
    " wanted TEXT NOT NULL)"
)


def create(
    connection: sqlite3.Connection, catalog: Catalog, name: str, values: Mapping[str, Json], list_id: int | None
) -> int:
    """A smart list of the persons whose fields all have these values (everybody without any); returns its id.

    Raises:
        KeyError: a field does not exist.
    """
    wanted = {}
    for field_name, value in values.items():
        field = catalog.get(field_name)
        if field is None:
            raise KeyError(field_name)
        wanted[field.key] = value
    body = msgspec.json.encode(wanted).decode()
    sql = "INSERT INTO smart_list (id, name, wanted) VALUES (?, ?, ?)"
    return int(connection.execute(sql, (list_id, name, body)).lastrowid or 0)


def find(connection: sqlite3.Connection, column: str, value: Json) -> int | None:
    """The id of the list with this `id` or `name`."""
    row = connection.execute(f"SELECT id FROM smart_list WHERE {column} = ?", (value,)).fetchone()  # noqa: S608
    return None if row is None else int(row[0])


def condition(connection: sqlite3.Connection, list_id: int) -> tuple[str, list[Json]]:
    """The SQL condition on `person` that its members fulfil, and its arguments."""
    row = connection.execute("SELECT wanted FROM smart_list WHERE id = ?", (list_id,)).fetchone()
    wanted = msgspec.json.decode(row[0]) if row else {}
    parts, arguments = ["1"], []
    for key, value in wanted.items():
        # Both sides pass through JSON, so that a boolean equals a boolean and a text a text.
        parts.append("""ifnull(doc ->> ('$."' || ? || '"'), ?) IS (? ->> '$')""")
        arguments += [key, DEFAULTS.get(key), msgspec.json.encode(value).decode()]
    return " AND ".join(parts), arguments
