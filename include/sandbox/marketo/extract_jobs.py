"""Bulk extract over the wire (facts/marketo-api.md section 9; M66-M70)."""

from __future__ import annotations

import re
import uuid
from datetime import timedelta
from functools import partial
from pathlib import Path

from include.sandbox.marketo import extract_store, tokens
from include.sandbox.marketo.extract_queue import ExtractQueue
from include.sandbox.marketo.extract_store import CREATED, QUEUED, Job
from include.sandbox.marketo.instance import Instance
from include.sandbox.marketo.lead_extract import LeadExtract
from include.sandbox.marketo.person_reading import LEAD
from include.sandbox.marketo.routes import Body, Route
from include.sandbox.marketo.wire import Answer, Call, Refusal, Reply, plain_response
from include.sandbox.service import Response

LISTED = timedelta(days=7)
STATUS_KEPT = timedelta(days=30)
CSV_TYPE = "text/csv;charset=UTF-8"
_RANGE = re.compile(r"bytes=(\d*)-(\d*)\Z")


class ExtractJobs:
    """The endpoints of export jobs."""

    def __init__(self, instance: Instance) -> None:
        """Keep the instance; one queue for all kinds."""
        self._at = instance
        self._leads = LeadExtract(instance)
        self._queue = ExtractQueue(instance, [self._leads])

    def routes(self) -> list[Route]:
        """Its resources; activities get the same ones with a kind of their own."""
        base = "/bulk/v1/leads/export"
        job = f"{base}/{{id}}"
        return [
            Route("POST", f"{base}/create.json", self.create, LEAD, Body.JSON),
            Route("GET", f"{base}.json", partial(self.browse, "leads"), LEAD),
            Route("POST", f"{job}/enqueue.json", self.enqueue, LEAD, Body.ANY),
            Route("POST", f"{job}/cancel.json", self.cancel, LEAD, Body.ANY),
            Route("GET", f"{job}/status.json", self.status, LEAD),
            Route("GET", f"{job}/file.json", self.file, LEAD),
        ]

    def create(self, call: Call) -> Reply:
        """A new job; it has no queuedAt yet."""
        request = self._leads.check(call.json())
        self._queue.check_quota(call.second)
        job = Job(str(uuid.uuid4()), "leads", call.user, request, CREATED, call.second)
        with self._at.database.write() as connection:
            extract_store.save(connection, job)
        return Reply([job.record(CREATED)])

    def enqueue(self, call: Call) -> Reply:
        """Put the job into the queue."""
        job = self._queue.enqueue(self._job(call), call.second)
        return Reply([job.record(QUEUED)])

    def cancel(self, call: Call) -> Reply:
        """Cancel the job."""
        job = self._queue.cancel(self._job(call), call.second)
        return Reply([job.record(job.state)])

    def status(self, call: Call) -> Reply:
        """The job as of the last refresh."""
        job = self._job(call)
        return Reply([job.record(self._queue.shown(job, call.second))])

    def browse(self, kind: str, call: Call) -> Reply:
        """Jobs of the last seven days of the same API user."""
        self._queue.catch_up(call.second)
        wanted = {status.lower() for status in call.many("status")}
        size, token = call.batch_size(), call.text("nextPageToken")
        (start,) = self._at.tokens.read(tokens.JOBS, token) if token else (0,)
        oldest = call.second - int(LISTED.total_seconds())
        with self._at.database.read() as connection:
            own = extract_store.jobs(connection, "kind = ? AND user = ? AND created >= ?", (kind, call.user, oldest))
        states = [(job, self._queue.shown(job, call.second)) for job in own]
        records = [job.record(shown) for job, shown in states if not wanted or shown.lower() in wanted]
        page, rest = records[start : start + size], records[start + size :]
        return Reply(page, {"nextPageToken": self._at.tokens.write(tokens.JOBS, start + size)} if rest else {})

    def _job(self, call: Call) -> Job:
        """The user's own job (1013 otherwise; code assumed)."""
        job = self._find(call)
        if job is None:
            raise Refusal("1013", "Object not found")
        return job

    def _find(self, call: Call) -> Job | None:
        self._queue.catch_up(call.second)
        oldest = call.second - int(STATUS_KEPT.total_seconds())
        with self._at.database.read() as connection:
            condition = "id = ? AND user = ? AND created >= ?"
            found = extract_store.jobs(connection, condition, (call.names["id"], call.user, oldest))
        return found[0] if found else None

    def file(self, call: Call) -> Answer:
        """The file, or a part of it (M70)."""
        job = self._find(call)
        path = self._queue.file(job, call.second) if job else None
        if path is None:
            return plain_response(404, "File not found")
        return _part(path, call.request.header("range"))


def _part(path: Path, asked: str) -> Response:
    """A file answer by its Range header; anything that is no single byte range gets the whole file."""
    size = path.stat().st_size
    common = [("Content-Type", CSV_TYPE), ("Accept-Ranges", "bytes")]
    match = _RANGE.match(asked.strip())
    if match is None or match.groups() == ("", ""):
        return Response(200, path.read_bytes(), common)
    first, last = match.groups()
    start = int(first) if first else max(0, size - int(last))
    end = min(int(last), size - 1) if first and last else size - 1
    if start > end:
        return Response(416, b"", [*common, ("Content-Range", f"bytes */{size}")])
    with path.open("rb") as file:
        file.seek(start)
        body = file.read(end - start + 1)
    return Response(206, body, [*common, ("Content-Range", f"bytes {start}-{end}/{size}")])
