"""The queue of bulk extract jobs: who runs when, the files, the daily quota (facts/marketo-api.md 9.1; M66, M67, M70).

There is no thread: every bulk call first lets the queue catch up with the clock, and a file is
written by the call that finds its job due. Values are those of that moment.
"""

from __future__ import annotations

import csv
import hashlib
import os
import sqlite3
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, time, timedelta
from pathlib import Path
from typing import IO, Protocol

from include.sandbox.marketo.extract_store import CANCELLED, COMPLETED, FAILED, PROCESSING, QUEUED, Job, jobs, save
from include.sandbox.marketo.instance import Instance
from include.sandbox.marketo.limits import CENTRAL
from include.sandbox.marketo.wire import Refusal
from include.sandbox.service import Json

FILE_KEPT = timedelta(days=7)
DELIMITERS = {"CSV": ",", "TSV": "\t", "SSV": ";"}


class ExtractKind(Protocol):
    """What can be extracted: persons now; activities take the same place later."""

    name: str

    def header(self, request: Mapping[str, Json]) -> list[str]:
        """The header row of the file."""
        ...

    def rows(self, connection: sqlite3.Connection, request: Mapping[str, Json]) -> Iterator[Sequence[str]]:
        """The rows of the file, values in the spelling of the file."""
        ...


class ExtractQueue:
    """Runs jobs when they are due. Kinds share the queue and the quota."""

    def __init__(self, instance: Instance, kinds: Iterable[ExtractKind]) -> None:
        """Keep the instance; files lie beside the database."""
        self._at = instance
        self._kinds = {kind.name: kind for kind in kinds}
        self._lock = threading.Lock()
        self._folder = instance.data_dir / "marketo-extracts"

    def shown(self, job: Job, now: int) -> str:
        """The state that the service tells."""
        return job.shown(now, self._at.options.extract_status_interval)

    def catch_up(self, now: int) -> None:
        """Start and finish every job that is due."""
        with self._lock:
            freed = 0
            while True:
                with self._at.database.read() as connection:
                    open_jobs = jobs(connection, "state IN ('Queued', 'Processing')")
                running = [job for job in open_jobs if job.state == PROCESSING]
                waiting = sorted((job for job in open_jobs if job.state == QUEUED), key=lambda job: job.queued or 0)
                due = [job for job in running if (job.started or 0) + self._at.options.extract_seconds <= now]
                if due:
                    freed = max(freed, self._finish(due[0]))
                elif waiting and len(running) < self._at.options.extract_running:
                    waiting[0].state, waiting[0].started = PROCESSING, max(waiting[0].queued or 0, freed)
                    self._save(waiting[0])
                else:
                    return

    def _finish(self, job: Job) -> int:
        job.finished = (job.started or 0) + self._at.options.extract_seconds
        try:
            job.records, job.size, job.checksum = self._produce(job)
            job.state = COMPLETED
        except (OSError, sqlite3.Error) as error:
            job.state, job.failure = FAILED, str(error)
        self._save(job)
        return job.finished

    def _save(self, job: Job) -> None:
        with self._at.database.write() as connection:
            save(connection, job)

    def _produce(self, job: Job) -> tuple[int, int, str]:
        """Write the file under a temporary name and publish it; rows, bytes, SHA-256."""
        self._folder.mkdir(exist_ok=True)
        path = self.path(job)
        part = path.with_suffix(".part")
        kind = self._kinds[job.kind]
        with part.open("w", encoding="utf-8", newline="") as file, self._at.database.read() as connection:
            writer = csv.writer(file, delimiter=DELIMITERS[job.request["format"]], lineterminator="\n")
            writer.writerow(kind.header(job.request))
            records = 0
            for row in kind.rows(connection, job.request):
                writer.writerow(row)
                records += 1
            _sync(file)
        with part.open("rb") as written:
            checksum = hashlib.file_digest(written, "sha256").hexdigest()
        part.replace(path)
        return records, path.stat().st_size, checksum

    def path(self, job: Job) -> Path:
        """Where the file of a job lies."""
        return self._folder / f"{job.id}.csv"

    def file(self, job: Job, now: int) -> Path | None:
        """The file of a completed job, None before, and after its retention (M70)."""
        if self.shown(job, now) != COMPLETED or job.finished is None:
            return None
        if job.finished + FILE_KEPT.total_seconds() < now:
            self.path(job).unlink(missing_ok=True)
        return self.path(job) if self.path(job).exists() else None

    def enqueue(self, job: Job, now: int) -> Job:
        """Put a created job into the queue (M67); returns it as it is then.

        Raises:
            Refusal: 1029 in one of its texts.
        """
        with self._lock:
            job = self._fresh(job)
            if job.queued is not None or job.state == CANCELLED:
                raise Refusal("1029", "Job already queued")
            self.check_quota(now)
            with self._at.database.read() as connection:
                recent = jobs(connection, "queued > ? AND state <> 'Cancelled'", (now - 86_400,))
            waiting = sum(1 for one in recent if self.shown(one, now) in {QUEUED, PROCESSING})
            if waiting >= self._at.options.extract_queued:
                raise Refusal("1029", "Too many jobs in queue")
            job.state, job.queued = QUEUED, now
            self._save(job)
        return job

    def cancel(self, job: Job, now: int) -> Job:
        """Cancel a job that does not show its end yet (1003 otherwise; code assumed)."""
        with self._lock:
            job = self._fresh(job)
            if self.shown(job, now) in {COMPLETED, FAILED}:
                raise Refusal("1003", "The job has already ended")
            job.state, job.finished, job.size = CANCELLED, None, None
            self._save(job)
            self.path(job).unlink(missing_ok=True)
        return job

    def _fresh(self, job: Job) -> Job:
        with self._at.database.read() as connection:
            return jobs(connection, "id = ?", (job.id,))[0]

    def check_quota(self, now: int) -> None:
        """Refuse when the files of this Central day have used the quota up (M67)."""
        today = datetime.fromtimestamp(now, CENTRAL).date()
        midnight = int(datetime.combine(today, time(), CENTRAL).timestamp())
        with self._at.database.read() as connection:
            row = connection.execute("SELECT sum(size) FROM extract WHERE finished >= ?", (midnight,)).fetchone()
        if (row[0] or 0) >= self._at.options.extract_daily_bytes:
            raise Refusal("1029", "Export daily quota 500MB exceeded.")


def _sync(file: IO[str]) -> None:
    file.flush()
    os.fsync(file.fileno())
