"""Import jobs on disk (facts/marketo-api.md section 10; M71)."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from dataclasses import astuple, dataclass

from include.sandbox.service import Json

QUEUED, IMPORTING, COMPLETE, FAILED = "Queued", "Importing", "Complete", "Failed"
FIRST_ID = 1001
"""Assumption: as for other objects of young instances."""
COLUMNS = "id, layout, lookup, list_id, partition, state, queued, started, finished, imported, failed, warned, message"
SCHEMA = """CREATE TABLE IF NOT EXISTS import_batch (
    id INTEGER PRIMARY KEY, layout TEXT NOT NULL, lookup TEXT NOT NULL, list_id INTEGER, partition INTEGER NOT NULL,
    state TEXT NOT NULL, queued INTEGER NOT NULL, started INTEGER, finished INTEGER, imported INTEGER NOT NULL,
    failed INTEGER NOT NULL, warned INTEGER NOT NULL, message TEXT)"""


@dataclass(slots=True)
class Batch:
    """One import; times in seconds since 1970, the columns of the table in order."""

    id: int
    layout: str
    """csv, tsv or ssv."""
    lookup: str
    list_id: int | None
    partition: int
    state: str
    queued: int
    started: int | None = None
    finished: int | None = None
    imported: int = 0
    failed: int = 0
    warned: int = 0
    message: str | None = None

    def accepted(self) -> dict[str, Json]:
        """The answer to the upload."""
        return {"batchId": self.id, "importId": str(self.id), "status": QUEUED}

    def record(self, now: int, seconds: int) -> dict[str, Json]:
        """The answer to a look at the job; `seconds` is how long an import takes.

        Assumption: counters are 0 and `message` is absent until the end.
        """
        fresh = self.state == IMPORTING and seconds > 0 and now <= (self.started or 0)
        body: dict[str, Json] = {
            "batchId": self.id, "importId": str(self.id), "status": QUEUED if fresh else self.state,
            "numOfLeadsProcessed": self.imported, "numOfRowsFailed": self.failed, "numOfRowsWithWarning": self.warned,
        }  # fmt: skip
        return body if self.message is None else {**body, "message": self.message}


def batches(connection: sqlite3.Connection, condition: str, arguments: Iterable[Json] = ()) -> list[Batch]:
    """Imports by an SQL condition on their columns, oldest first."""
    sql = f"SELECT {COLUMNS} FROM import_batch WHERE {condition} ORDER BY id"  # noqa: S608
    return [Batch(*row) for row in connection.execute(sql, tuple(arguments))]


def next_id(connection: sqlite3.Connection) -> int:
    """The id of the next import."""
    (last,) = connection.execute("SELECT max(id) FROM import_batch").fetchone()
    return FIRST_ID if last is None else int(last) + 1


def save(connection: sqlite3.Connection, batch: Batch) -> None:
    """Insert or update an import."""
    values = astuple(batch)
    marks = ", ".join("?" * len(values))
    connection.execute(f"INSERT OR REPLACE INTO import_batch ({COLUMNS}) VALUES ({marks})", values)  # noqa: S608
