"""Bulk extract jobs on disk, and the state that a job shows (facts/marketo-api.md 9.1; M66)."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass

import msgspec

from include.sandbox.marketo.wire import stamp
from include.sandbox.service import Json

CREATED, QUEUED, PROCESSING, COMPLETED = "Created", "Queued", "Processing", "Completed"
CANCELLED, FAILED = "Cancelled", "Failed"
COLUMNS = "id, kind, user, request, state, created, queued, started, finished, records, size, checksum, failure"


@dataclass(slots=True)
class Job:
    """One job; times in seconds since 1970. `state` is the true one, `shown` what the service tells."""

    id: str
    kind: str
    user: str
    request: dict[str, Json]
    state: str
    created: int
    queued: int | None = None
    started: int | None = None
    finished: int | None = None
    records: int | None = None
    size: int | None = None
    checksum: str | None = None
    failure: str | None = None

    def shown(self, now: int, interval: int) -> str:
        """The state as of the last refresh.

        The service looks every `interval` seconds after the enqueueing and moves one state on a look,
        so that Processing shows at least once.
        """
        if self.queued is None or self.state in {CREATED, CANCELLED}:
            return self.state
        if interval <= 0:
            if self.finished is not None and self.finished <= now:
                return self.state
            return PROCESSING if self.started is not None and self.started <= now else QUEUED
        look = (now - self.queued) // interval
        running = self._look(self.started, interval, 1)
        if running is None or look < running:
            return QUEUED
        ended = self.ended(interval)
        return self.state if ended is not None and now >= ended else PROCESSING

    def ended(self, interval: int) -> int | None:
        """When the job shows its end: then its place among the running ones is free."""
        if self.finished is None or self.queued is None or interval <= 0 or self.state == CANCELLED:
            return self.finished
        running = self._look(self.started, interval, 1) or 1
        return self.queued + interval * (self._look(self.finished, interval, running + 1) or 1)

    def _look(self, moment: int | None, interval: int, earliest: int) -> int | None:
        """The number of the look that first sees something that happened at a moment."""
        if moment is None or self.queued is None:
            return None
        return max(earliest, -((self.queued - moment) // interval))

    def record(self, shown: str) -> dict[str, Json]:
        """The JSON object of the job with the members that its state has (9.1)."""
        body: dict[str, Json] = {"exportId": self.id, "format": self.request["format"], "status": shown}
        body["createdAt"] = stamp(self.created)
        if self.queued is not None:
            body["queuedAt"] = stamp(self.queued)
        if shown in {PROCESSING, COMPLETED, FAILED} and self.started is not None:
            body["startedAt"] = stamp(self.started)
        if shown in {COMPLETED, FAILED} and self.finished is not None:
            body["finishedAt"] = stamp(self.finished)
        if shown == COMPLETED:
            body |= {"numberOfRecords": self.records, "fileSize": self.size, "fileChecksum": f"sha256:{self.checksum}"}
        if shown == FAILED:
            body["errorMsg"] = self.failure
        return body


def jobs(connection: sqlite3.Connection, condition: str, arguments: Iterable[Json] = ()) -> list[Job]:
    """Jobs by an SQL condition on their columns, oldest first."""
    sql = f"SELECT {COLUMNS} FROM extract WHERE {condition} ORDER BY created, rowid"  # noqa: S608
    rows = connection.execute(sql, tuple(arguments))
    return [Job(number, kind, user, msgspec.json.decode(request), *rest) for number, kind, user, request, *rest in rows]


def save(connection: sqlite3.Connection, job: Job) -> None:
    """Insert or update a job."""
    request = msgspec.json.encode(job.request).decode()
    values = (
        job.id, job.kind, job.user, request, job.state, job.created, job.queued, job.started, job.finished,
        job.records, job.size, job.checksum, job.failure,
    )  # fmt: skip
    marks = ", ".join("?" * len(values))
    sql = (
        f"INSERT INTO extract ({COLUMNS}) VALUES ({marks}) ON CONFLICT (id) DO UPDATE SET state = excluded.state,"  # noqa: S608
        " queued = excluded.queued, started = excluded.started, finished = excluded.finished,"
        " records = excluded.records, size = excluded.size, checksum = excluded.checksum, failure = excluded.failure"
    )
    connection.execute(sql, values)
