"""The queue of imports: who runs when, in which thread (facts/marketo-api.md section 10; M71).

Every call lets it catch up with the clock, so that rows arrive though nobody asks for the state of the import. A due
job works in a thread, for which import calls wait in its first seconds. A job that was cut off starts anew; rows are
upserts.
"""

from __future__ import annotations

import logging
import threading
import time
from pathlib import Path

from include.sandbox.marketo.import_rows import FAILURE, WARNING, BadFile, Outcome, RowImport, write_reasons
from include.sandbox.marketo.import_store import COMPLETE, FAILED, IMPORTING, QUEUED, Batch, batches, next_id, save
from include.sandbox.marketo.instance import Instance
from include.sandbox.marketo.wire import Refusal

_PATIENCE = 3.0
"""Seconds; more than a small file takes on a busy machine."""
_log = logging.getLogger(__name__)


class _Work(threading.Thread):
    """Imports one file; `outcome` or `failure` says how it ended."""

    def __init__(self, instance: Instance, batch: Batch, path: Path) -> None:
        super().__init__(name="marketo-import", daemon=True)
        self.stop_asked = threading.Event()
        self.begun = time.monotonic()
        self.outcome: Outcome | None = None
        self.failure = "Import failed"
        self._import = RowImport(instance, batch, self.stop_asked)
        self._path = path

    def run(self) -> None:
        try:
            self.outcome = self._import.run(self._path)
        except BadFile as error:
            self.failure = str(error)
        except Exception as error:  # noqa: BLE001 - whatever it is, the job has failed
            _log.exception("import failed inside the emulator")
            self.failure = f"{type(error).__name__}: {error}"


class ImportQueue:
    """Runs imports when they are due, two at a time."""

    def __init__(self, instance: Instance) -> None:
        """Keep the instance; files lie beside the database."""
        self._at = instance
        self._lock = threading.Lock()
        self._works: dict[int, _Work] = {}
        self._freed = 0
        self._waiting = True  # until somebody has looked
        self._folder = instance.data_dir / "marketo-imports"

    def path(self, batch_id: int, what: str) -> Path:
        """Where the `upload`, the `failures` or the `warnings` of an import lie."""
        return self._folder / f"{batch_id}.{what}"

    def add(self, batch: Batch, file: bytes) -> None:
        """Take a new import and number it.

        Raises:
            Refusal: 1016 when the queue is full, 1019 when the list is being imported to.
        """
        with self._lock:
            others = self._open()
            if len(others) >= self._at.options.import_queued:
                # The recorded text, whatever the limit is set to.
                raise Refusal("1016", "There are 10 imports currently being processed. Please try again later")
            if batch.list_id is not None and any(one.list_id == batch.list_id for one in others):
                raise Refusal("1019", "Import in progress")
            with self._at.database.read() as connection:
                batch.id = next_id(connection)
            self._folder.mkdir(exist_ok=True)
            self.path(batch.id, "upload").write_bytes(file)
            self._save(batch)
            self._waiting = True

    def nudge(self) -> None:
        """Start and finish what is due, without waiting for anything."""
        if not self._waiting or not self._lock.acquire(blocking=False):
            return
        try:
            self._step(self._at.now())
            self._waiting = bool(self._open())
        finally:
            self._lock.release()

    def _open(self) -> list[Batch]:
        with self._at.database.read() as connection:
            return batches(connection, "state IN (?, ?)", (QUEUED, IMPORTING))

    def _save(self, batch: Batch) -> None:
        with self._at.database.write() as connection:
            save(connection, batch)

    def catch_up(self, now: int) -> None:
        """Start and finish every import that is due; wait a moment for those at work."""
        while True:
            with self._lock:
                works = self._step(now)
            left = max((work.begun + _PATIENCE - time.monotonic() for work in works), default=0.0)
            if left <= 0:
                return
            max(works, key=lambda work: work.begun).join(left)

    def _step(self, now: int) -> list[_Work]:
        while True:
            present = self._open()
            running = [batch for batch in present if batch.state == IMPORTING]
            waiting = [batch for batch in present if batch.state == QUEUED]
            due = [batch for batch in running if (batch.started or 0) + self._at.options.import_seconds <= now]
            ended = next((one for one in due if one.id in self._works and not self._works[one.id].is_alive()), None)
            if ended is not None:
                self._finish(ended, self._works.pop(ended.id))
            elif waiting and len(running) < self._at.options.import_running:
                waiting[0].state, waiting[0].started = IMPORTING, max(waiting[0].queued, self._freed)
                self._save(waiting[0])
            else:
                return [self._work(batch) for batch in due]

    def _work(self, batch: Batch) -> _Work:
        work = self._works.get(batch.id)
        if work is None:
            work = self._works[batch.id] = _Work(self._at, batch, self.path(batch.id, "upload"))
            work.start()
        return work

    def _finish(self, batch: Batch, work: _Work) -> None:
        batch.finished = (batch.started or 0) + self._at.options.import_seconds
        outcome = work.outcome
        if outcome is None:
            batch.state, batch.message = FAILED, work.failure
        else:
            batch.imported, batch.failed, batch.warned = (
                outcome.imported, len(outcome.failures), len(outcome.warnings),
            )  # fmt: skip
            batch.state, batch.message = COMPLETE, outcome.message
            told = {"failures": (FAILURE, outcome.failures), "warnings": (WARNING, outcome.warnings)}
            for what, (reason, rows) in told.items():
                write_reasons(self.path(batch.id, what), batch.layout, outcome.header, reason, rows)
        self._freed = max(self._freed, batch.finished)
        self._save(batch)
        self.path(batch.id, "upload").unlink(missing_ok=True)

    def close(self) -> None:
        """Stop the work; it starts anew when the instance is opened again."""
        with self._lock:
            for work in self._works.values():
                work.stop_asked.set()
            for work in self._works.values():
                work.join()
            self._works.clear()
