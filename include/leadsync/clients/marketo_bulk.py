"""Marketo's bulk lead extract (facts/marketo-api §9): jobs, download in pieces, CSV to Arrow."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from datetime import datetime, timedelta
from decimal import InvalidOperation
from typing import Any, Final, Literal
from urllib.parse import quote

import msgspec
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv

from include.leadsync.clients.cells import ARROW, Wire, decimals
from include.leadsync.clients.decode import Column, excerpt, schema
from include.leadsync.clients.exchange import Call
from include.leadsync.clients.marketo_persons import person_columns
from include.leadsync.clients.marketo_session import Envelope, MarketoSession, typed
from include.leadsync.clients.transport import HttpRequest, HttpResponse
from include.leadsync.clients.writes import REPEATS, Repeat
from include.leadsync.clock import iso
from include.leadsync.errors import (
    AnswerMalformed,
    ConnectionBroken,
    LeadSyncError,
    RetryLater,
    RowFailed,
    ServiceUnavailable,
)
from include.leadsync.model import System, Window

_EXPORT: Final = "/bulk/v1/leads/export"
_LONGEST: Final = timedelta(days=31)
_SECOND: Final = timedelta(seconds=1)
_PIECE: Final = 16 * 1024 * 1024
_NAP: Final = 20.0
_UNDER_WAY: Final = {"Created", "Queued", "Processing"}


class _Job(msgspec.Struct, rename="camel"):
    export_id: str = ""
    status: str = ""
    file_size: int = 0
    file_checksum: str = ""
    error_msg: str = ""


class MarketoBulk(MarketoSession):
    """Bulk extract: many persons for few calls, but minutes of waiting and 500 MB a day."""

    def extract_persons(
        self,
        columns: Mapping[str, Wire],
        window: Window | int,
        *,
        filter: Literal["createdAt", "updatedAt"] = "updatedAt",  # noqa: A002 - Marketo's own word
        poll_seconds: float = 60.0,
        patience: float = 4 * 3600.0,
        while_waiting: Callable[[], None] = lambda: None,
    ) -> Iterator[pa.Table]:
        """Persons created or updated within `window`, or the members of the static list with that id.

        Tables with `id` int64, then `columns`. A window is cut into slices of at most 31 days that share no second; a
        person may still come twice, so the last one counts (§9.2). `updatedAt` moves with any field here, unlike the
        visible one (§7). Waits `poll_seconds` between looks, as Marketo refreshes a job's status once a minute;
        `while_waiting` is called every 20 s or so.

        Raises:
            AccessRefused: 1035, the subscription cannot filter by updatedAt; 1003 names unknown columns as `RowFailed`.
            ServiceUnavailable: the queue is full, the day's 500 MB are used up, or a job took longer than `patience`.
            AnswerMalformed: the file does not fit its checksum; drop what it gave.
        """
        wanted = person_columns(columns)
        filters: list[dict[str, object]] = [{"staticListId": window}]
        if isinstance(window, Window):
            spans = slices(window, self._clock.now())
            filters = [{filter: {"startAt": iso(first), "endAt": iso(last)}} for first, last in spans]
        for each in filters:
            job = self._finished(each, [column.key for column in wanted], poll_seconds, patience, while_waiting)
            yield from self._tables(job, wanted)

    def _finished(
        self,
        filter_by: Mapping[str, object],
        fields: list[str],
        poll: float,
        patience: float,
        while_waiting: Callable[[], None],
    ) -> _Job:
        deadline = self._clock.monotonic() + patience
        body = {"format": "CSV", "fields": fields, "filter": filter_by}
        job = self._write(f"{_EXPORT}/create.json", body, _job, repeat=REPEATS["create export"])
        base = f"{_EXPORT}/{quote(job.export_id, safe='')}"
        job = self._enqueued(base)
        while job.status in _UNDER_WAY:
            if self._clock.monotonic() >= deadline:
                with suppress(LeadSyncError):  # a job that goes on all the same harms nobody
                    self._write(f"{base}/cancel.json", None, _job, repeat=REPEATS["cancel export"])
                raise ServiceUnavailable(f"the bulk extract was not done after {patience:.0f} s", after=poll)
            for wait in [_NAP] * int(poll // _NAP) + [poll % _NAP] * bool(poll % _NAP):
                self._clock.sleep(wait)
                while_waiting()
            job = _job(self._read(f"{base}/status.json"))
        if job.status != "Completed":
            raise ServiceUnavailable(f"the bulk extract ended as {job.status}: {job.error_msg}")
        return job

    def _enqueued(self, base: str) -> _Job:
        for attempt in (1, 2):
            try:
                return self._write(f"{base}/enqueue.json", None, _job, repeat=REPEATS["enqueue export"])
            except RetryLater as error:  # an attempt that had no answer may have queued it
                job = _job(self._read(f"{base}/status.json"))
                if job.status != "Created":
                    return job
                if attempt == 2 or not (isinstance(error, ConnectionBroken) and error.maybe_committed):
                    raise
        raise AssertionError("the second attempt ends the loop")

    def _tables(self, job: _Job, columns: tuple[Column, ...]) -> Iterator[pa.Table]:
        file = _File(job.file_size, lambda start, stop: self._piece(job.export_id, start, stop))
        options: dict[str, Any] = {
            "read_options": csv.ReadOptions(use_threads=False, block_size=_PIECE),
            "parse_options": csv.ParseOptions(newlines_in_values=True),
            "convert_options": csv.ConvertOptions(
                column_types={column.key: pa.string() for column in columns},
                include_columns=[column.key for column in columns],
                null_values=["null"],
                strings_can_be_null=True,
                quoted_strings_can_be_null=False,  # a text may be the word null; only the bare word is none
            ),
        }
        try:
            if job.file_size:
                with csv.open_csv(file, **options) as reader:
                    for batch in reader:
                        yield _typed_columns(batch, columns)
        except (pa.ArrowException, InvalidOperation, KeyError):  # their texts quote whole rows (P10)
            raise AnswerMalformed(System.MARKETO, "the extracted file is not the CSV that was asked for", "") from None
        file.verify(job.file_checksum)

    def _piece(self, export_id: str, start: int, stop: int) -> bytes:
        url = f"{self._host}{_EXPORT}/{quote(export_id, safe='')}/file.json"
        # A range of a compressed answer would be a range of its compressed bytes.
        headers = {"Range": f"bytes={start}-{stop - 1}", "Accept-Encoding": "identity"}
        request = HttpRequest("GET", url, headers, timeout=300.0)

        def body(response: HttpResponse) -> bytes:
            try:
                self._check_status(response)
            except RowFailed as error:  # 404: Completed, but the file is not there yet (trap 8)
                raise ServiceUnavailable("the extracted file is not there yet", after=10.0) from error
            if "json" in response.headers.get("content-type", ""):  # an error where a file belongs (trap 9)
                self._open(response, None)
                raise AnswerMalformed(System.MARKETO, "JSON where the extracted file belongs", excerpt(response.body))
            piece = response.body[start:stop] if response.status == 200 else response.body
            if len(piece) != stop - start:
                raise AnswerMalformed(System.MARKETO, f"{len(piece)} bytes of a file where {stop - start} belong", "")
            return piece

        return self._exchange.run(Call(request, Repeat.READ, slow=True), body)


class _File:
    """The extracted file as pyarrow reads it: pieces fetched when needed, hashed as they come."""

    closed = False

    def __init__(self, size: int, fetch: Callable[[int, int], bytes]) -> None:
        self._size, self._fetch = size, fetch
        self._position = 0
        self._buffer = b""
        self._hash = hashlib.sha256()

    def read(self, size: int = -1) -> bytes:
        """Up to `size` bytes; NUL bytes, which no text column can hold, are left out (trap 10)."""
        while not self._buffer and self._position < self._size:
            stop = min(self._position + _PIECE, self._size)
            piece = self._fetch(self._position, stop)
            self._position = stop
            self._hash.update(piece)
            self._buffer = piece.replace(b"\x00", b"")
        cut = len(self._buffer) if size < 0 else size
        answer, self._buffer = self._buffer[:cut], self._buffer[cut:]
        return answer

    def readable(self) -> bool:
        """Yes."""
        return True

    def seekable(self) -> bool:
        """No."""
        return False

    def writable(self) -> bool:
        """No."""
        return False

    def flush(self) -> None:
        """Nothing to flush."""

    def close(self) -> None:
        """Nothing to release."""
        self.closed = True

    def verify(self, checksum: str) -> None:
        """Compare with the job's `sha256:…`; raises `AnswerMalformed`."""
        kind, _, expected = checksum.partition(":")
        if kind.lower() == "sha256" and expected.lower() != self._hash.hexdigest():
            raise AnswerMalformed(System.MARKETO, "the extracted file does not fit its checksum", "")


def slices(window: Window, now: datetime) -> Iterator[tuple[datetime, datetime]]:
    """Consecutive spans of whole seconds, both ends included, at most 31 days, no second shared (§9.2)."""
    if window.since is None:
        raise ValueError("a bulk extract needs a beginning")
    start = window.since.replace(microsecond=0)
    until = window.until or now
    until += timedelta(microseconds=-until.microsecond % 1_000_000)  # up to the whole second
    while start < until:
        stop = min(start + _LONGEST, until)
        yield start, max(start, stop - _SECOND)
        start = stop


def _job(envelope: Envelope) -> _Job:
    jobs = typed(envelope.result, list[_Job])
    if not jobs or not jobs[0].export_id:  # occasionally so (trap 14)
        raise ServiceUnavailable("marketo answered without an export id")
    return jobs[0]


def _typed_columns(batch: pa.RecordBatch, columns: tuple[Column, ...]) -> pa.Table:
    arrays = [_typed(batch.column(column.key), column.wire) for column in columns]
    return pa.table(arrays, schema=schema(columns))


def _typed(texts: pa.Array, wire: Wire) -> pa.Array:
    if wire == "text":
        return texts
    texts = pc.if_else(pc.equal(texts, ""), None, texts)
    if wire == "boolean":  # REST reads a yes/no that was never set as false (§5.2, trap 23); so must this
        return pc.fill_null(pc.cast(texts, ARROW[wire]), False)
    if wire != "number":
        return pc.cast(texts, ARROW[wire])
    return decimals(texts)
