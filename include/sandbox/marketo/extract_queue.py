"""The queue of bulk extract jobs: who runs when, the files, the daily quota (facts/marketo-api.md 9.1; M66, M67, M70).

Every bulk call first lets the queue catch up with the clock; a job that is due gets a thread that
writes its file. A call waits for a thread in its first seconds, so that small files look immediate;
a large one shows as Processing until it is complete. Values are those of the moment the job runs.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable
from datetime import datetime, timedelta
from datetime import time as time_of_day
from pathlib import Path

from include.sandbox.marketo.extract_files import ExtractKind, FileWork
from include.sandbox.marketo.extract_store import (
    CANCELLED,
    COMPLETED,
    CREATED,
    FAILED,
    PROCESSING,
    QUEUED,
    Job,
    jobs,
    save,
)
from include.sandbox.marketo.instance import Instance
from include.sandbox.marketo.limits import CENTRAL
from include.sandbox.marketo.wire import Refusal

FILE_KEPT = timedelta(days=7)
_PATIENCE = 3.0
"""Seconds; more than a small file takes on a busy machine."""
_DAY = 86_400


class ExtractQueue:
    """Runs jobs when they are due. Kinds share the queue and the quota."""

    def __init__(self, instance: Instance, kinds: Iterable[ExtractKind]) -> None:
        """Keep the instance; files lie beside the database."""
        self._at = instance
        self._kinds = {kind.name: kind for kind in kinds}
        self._lock = threading.Lock()
        self._folder = instance.data_dir / "marketo-extracts"
        self._works: dict[str, FileWork] = {}

    def shown(self, job: Job, now: int) -> str:
        """The state that the service tells."""
        return job.shown(now, self._at.options.extract_status_interval)

    def catch_up(self, now: int) -> None:
        """Start and finish every job that is due; wait a moment for files that are being written."""
        while True:
            with self._lock:
                works = self._step(now)
            left = max((work.begun + _PATIENCE - time.monotonic() for work in works), default=0.0)
            if left <= 0:
                return
            max(works, key=lambda work: work.begun).join(left)

    def _step(self, now: int) -> list[FileWork]:
        """All that can change now; returns the threads that are at work for due jobs."""
        while True:
            running, waiting, ended = self._jobs()
            due = [job for job in running if (job.started or 0) + self._at.options.extract_seconds <= now]
            if done := next((job for job in due if job.id in self._works and not self._alive(job)), None):
                self._finish(done, self._works.pop(done.id))
                continue
            start = self._free_from(len(running), ended)
            if waiting and start is not None and max(waiting[0].queued or 0, start) <= now:
                waiting[0].state, waiting[0].started = PROCESSING, max(waiting[0].queued or 0, start)
                self._save(waiting[0])
            else:
                return [self._work(job) for job in due]

    def _jobs(self) -> tuple[list[Job], list[Job], list[int]]:
        """Jobs that run, jobs that wait, first come first, and the ends of those that the waiting ones may wait for."""
        with self._at.database.read() as connection:
            found = jobs(connection, "state IN ('Queued', 'Processing')")
            waiting = sorted((job for job in found if job.state == QUEUED), key=lambda job: job.queued or 0)
            since = (waiting[0].queued or 0) - 2 * self._at.options.extract_status_interval if waiting else 0
            done = jobs(connection, "started IS NOT NULL AND finished >= ?", (since,)) if waiting else []
        ends = [ended for job in done if (ended := job.ended(self._at.options.extract_status_interval)) is not None]
        return [job for job in found if job.state == PROCESSING], waiting, ends

    def _free_from(self, running: int, ends: list[int]) -> int | None:
        """Since when another job may run; None while the places are taken.

        A job keeps its place until it shows its end, so that never more than the allowed number show as running.
        """
        places = self._at.options.extract_running - running
        if places <= 0:
            return None
        latest = sorted(ends, reverse=True)
        return latest[places - 1] if len(latest) >= places else 0

    def _alive(self, job: Job) -> bool:
        return self._works[job.id].is_alive()

    def _work(self, job: Job) -> FileWork:
        work = self._works.get(job.id)
        if work is None:
            work = FileWork(self._at.database, self._kinds[job.kind], job.request, self.path(job))
            self._works[job.id] = work
            work.start()
        return work

    def _finish(self, job: Job, work: FileWork) -> None:
        job.finished = (job.started or 0) + self._at.options.extract_seconds
        if self._at.options.extract_fails or work.written is None:
            job.state, job.failure = FAILED, work.failure or "The export failed"
            self.path(job).unlink(missing_ok=True)
        else:
            job.state = COMPLETED
            job.records, job.size, job.checksum = work.written.records, work.written.size, work.written.checksum
        self._save(job)

    def _save(self, job: Job) -> None:
        with self._at.database.write() as connection:
            save(connection, job)

    def path(self, job: Job) -> Path:
        """Where the file of a job lies."""
        return self._folder / f"{job.id}.csv"

    def file(self, job: Job, now: int) -> Path | None:
        """The file of a completed job, None before, and after its retention (M70)."""
        if self.shown(job, now) != COMPLETED or job.finished is None or self._at.options.extract_file_missing:
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
            if job.state != CREATED:
                raise Refusal("1029", "Job already queued")
            self.check_quota(now)
            with self._at.database.read() as connection:
                recent = jobs(connection, "queued > ? AND state <> 'Cancelled'", (now - _DAY,))
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
            if work := self._works.pop(job.id, None):
                work.stop()
                work.join()
            ran = job.started is not None and job.started <= now
            job.state, job.finished, job.size = CANCELLED, now if ran else None, None
            self._save(job)
            self.path(job).unlink(missing_ok=True)
        return job

    def _fresh(self, job: Job) -> Job:
        with self._at.database.read() as connection:
            return jobs(connection, "id = ?", (job.id,))[0]

    def check_quota(self, now: int) -> None:
        """Refuse when the files of this Central day have used the quota up (M67)."""
        today = datetime.fromtimestamp(now, CENTRAL).date()
        midnight = int(datetime.combine(today, time_of_day(), CENTRAL).timestamp())
        with self._at.database.read() as connection:
            row = connection.execute("SELECT sum(size) FROM extract WHERE finished >= ?", (midnight,)).fetchone()
        if (row[0] or 0) >= self._at.options.extract_daily_bytes:
            raise Refusal("1029", "Export daily quota 500MB exceeded.")

    def close(self) -> None:
        """Stop writing; the jobs start anew when the instance is opened again."""
        with self._lock:
            for work in self._works.values():
                work.stop()
            for work in self._works.values():
                work.join()
            self._works.clear()
