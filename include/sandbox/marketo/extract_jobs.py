"""Bulk extract over the wire (facts/marketo-api.md section 9; M66-M70)."""

from __future__ import annotations

import re
import uuid
from datetime import timedelta
from functools import partial
from pathlib import Path

from include.sandbox.marketo import extract_store, tokens
from include.sandbox.marketo.activity_extract import ActivityExtract
from include.sandbox.marketo.activity_reading import ACTIVITY
from include.sandbox.marketo.extract_files import ExtractKind
from include.sandbox.marketo.extract_queue import ExtractQueue
from include.sandbox.marketo.extract_store import CREATED, QUEUED, Job
from include.sandbox.marketo.identity import Permission
from include.sandbox.marketo.instance import Instance
from include.sandbox.marketo.lead_extract import LeadExtract
from include.sandbox.marketo.member_extract import MemberExtract
from include.sandbox.marketo.person_reading import LEAD
from include.sandbox.marketo.routes import Body, Route
from include.sandbox.marketo.wire import Answer, Call, Refusal, Reply, plain_response
from include.sandbox.service import FileResponse, Response

LISTED = timedelta(days=7)
STATUS_KEPT = timedelta(days=30)
CSV_TYPE = "text/csv;charset=UTF-8"
_RANGE = re.compile(r"bytes=(\d*)-(\d*)\Z")
_SPELLINGS = {"canceled": "cancelled"}
"""The documentation lists one l, answers have two; the filter takes both."""


class ExtractJobs:
    """The endpoints of export jobs, the same for each kind."""

    def __init__(self, instance: Instance) -> None:
        """Keep the instance; one queue for all kinds."""
        self._at = instance
        kinds: list[ExtractKind] = [LeadExtract(instance), ActivityExtract(instance), MemberExtract(instance)]
        self._kinds = {kind.name: kind for kind in kinds}
        self._queue = ExtractQueue(instance, self._kinds.values())
        instance.closing.append(self._queue.close)

    def routes(self) -> list[Route]:
        """Its resources."""
        rights = {"leads": LEAD, "activities": ACTIVITY, "program/members": LEAD}
        return [route for kind in self._kinds for route in self._routes(kind, rights[kind])]

    def _routes(self, kind: str, rights: tuple[Permission, ...]) -> list[Route]:
        base = f"/bulk/v1/{kind}/export"
        job = f"{base}/{{id}}"
        return [
            Route("POST", f"{base}/create.json", partial(self.create, kind), rights, Body.JSON),
            Route("GET", f"{base}.json", partial(self.browse, kind), rights),
            Route("POST", f"{job}/enqueue.json", partial(self.enqueue, kind), rights, Body.ANY),
            Route("POST", f"{job}/cancel.json", partial(self.cancel, kind), rights, Body.ANY),
            Route("GET", f"{job}/status.json", partial(self.status, kind), rights),
            Route("GET", f"{job}/file.json", partial(self.file, kind), rights),
        ]

    def create(self, kind: str, call: Call) -> Reply:
        """A new job; it has no queuedAt yet."""
        request = self._kinds[kind].check(call.json())
        self._queue.catch_up(call.second)
        self._queue.check_quota(call.second)
        job = Job(str(uuid.uuid4()), kind, call.user, request, CREATED, call.second)
        with self._at.database.write() as connection:
            extract_store.save(connection, job)
        return Reply([job.record(CREATED)])

    def enqueue(self, kind: str, call: Call) -> Reply:
        """Put the job into the queue."""
        job = self._queue.enqueue(self._job(kind, call), call.second)
        return Reply([job.record(QUEUED)])

    def cancel(self, kind: str, call: Call) -> Reply:
        """Cancel the job."""
        job = self._queue.cancel(self._job(kind, call), call.second)
        return Reply([job.record(job.state)])

    def status(self, kind: str, call: Call) -> Reply:
        """The job as of the last refresh."""
        job = self._job(kind, call)
        return Reply([job.record(self._queue.shown(job, call.second))])

    def browse(self, kind: str, call: Call) -> Reply:
        """Jobs of the last seven days of the same API user."""
        self._queue.catch_up(call.second)
        wanted = {_SPELLINGS.get(status.lower(), status.lower()) for status in call.many("status")}
        size, token = call.batch_size(), call.text("nextPageToken")
        (start,) = self._at.tokens.read(tokens.JOBS, token) if token else (0,)
        oldest = call.second - int(LISTED.total_seconds())
        with self._at.database.read() as connection:
            own = extract_store.jobs(connection, "kind = ? AND user = ? AND created >= ?", (kind, call.user, oldest))
        states = [(job, self._queue.shown(job, call.second)) for job in own]
        records = [job.record(shown) for job, shown in states if not wanted or shown.lower() in wanted]
        page, rest = records[start : start + size], records[start + size :]
        return Reply(page, {"nextPageToken": self._at.tokens.write(tokens.JOBS, start + size)} if rest else {})

    def _job(self, kind: str, call: Call) -> Job:
        """The user's own job (1013 otherwise; code assumed)."""
        job = self._find(kind, call)
        if job is None:
            raise Refusal("1013", "Object not found")
        return job

    def _find(self, kind: str, call: Call) -> Job | None:
        """The user's own job: 30 days long after its end, or after its creation while it has none."""
        self._queue.catch_up(call.second)
        oldest = call.second - int(STATUS_KEPT.total_seconds())
        with self._at.database.read() as connection:
            condition = "id = ? AND kind = ? AND user = ? AND coalesce(finished, created) >= ?"
            found = extract_store.jobs(connection, condition, (call.names["id"], kind, call.user, oldest))
        return found[0] if found else None

    def file(self, kind: str, call: Call) -> Answer:
        """The file, or a part of it (M70)."""
        job = self._find(kind, call)
        path = self._queue.file(job, call.second) if job else None
        if path is None:
            return plain_response(404, "File not found")
        return _part(path, call.request.header("range"))


def _part(path: Path, asked: str) -> Response:
    """A file answer by its Range header; anything that is no single byte range gets the whole file (RFC 9110)."""
    size = path.stat().st_size
    common = [("Content-Type", CSV_TYPE), ("Accept-Ranges", "bytes")]
    chosen = _asked(asked, size)
    if chosen is None:
        return FileResponse(200, headers=common, path=path, start=0, length=size)
    start, end = chosen
    if start > end:
        return Response(416, b"", [*common, ("Content-Range", f"bytes */{size}")])
    headers = [*common, ("Content-Length", str(end - start + 1)), ("Content-Range", f"bytes {start}-{end}/{size}")]
    return FileResponse(206, headers=headers, path=path, start=start, length=end - start + 1)


def _asked(header: str, size: int) -> tuple[int, int] | None:
    """First and last byte of a Range header, the first behind the last when the file has none of them."""
    match = _RANGE.match(header.strip())
    if match is None or match.groups() == ("", ""):
        return None
    first, last = match.groups()
    if not first:
        return max(0, size - int(last)), size - 1
    if last and int(last) < int(first):
        return None
    return int(first), min(int(last), size - 1) if last else size - 1
