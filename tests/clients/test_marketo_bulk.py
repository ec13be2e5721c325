"""Bulk extract: jobs, pieces, checksums, CSV as Marketo writes it."""

from __future__ import annotations

import hashlib
import json
import re
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from typing import Any

import pyarrow as pa
import pytest

from include.leadsync.clients import marketo_bulk
from include.leadsync.clients.budget import NullBudget
from include.leadsync.clients.marketo import MarketoClient
from include.leadsync.clients.marketo_bulk import slices
from include.leadsync.clients.retry import RetryPolicy
from include.leadsync.clients.transport import HttpRequest, HttpResponse
from include.leadsync.clock import FakeClock, iso
from include.leadsync.errors import AccessRefused, AnswerMalformed, ServiceUnavailable
from include.leadsync.model import Window
from tests.clients.servers import MARKETO, Server, answer, good, refused

SINCE = datetime(2026, 2, 1, tzinfo=UTC)
WEEK = Window(SINCE, SINCE + timedelta(days=7))
COLUMNS: dict[str, Any] = {
    "email": "text",
    "annualRevenue": "number",
    "unsubscribed": "boolean",
    "leadScore": "integer",
}
HEADER = "id,email,annualRevenue,unsubscribed,leadScore\n"


class Exports:
    """Plays the export endpoints for one file."""

    def __init__(self, file: bytes, statuses: tuple[str, ...] = ("Queued", "Processing", "Completed")) -> None:
        self.file, self.statuses = file, list(statuses)
        self.checksum = "sha256:" + hashlib.sha256(file).hexdigest()
        self.filters: list[dict[str, Any]] = []
        self.fetched: list[tuple[int, int]] = []
        self.cancelled = 0
        self.first: dict[str, HttpResponse] = {}
        self.ever: dict[str, HttpResponse] = {}

    def __call__(self, request: HttpRequest) -> HttpResponse:
        step = request.path.rpartition("/")[2].removesuffix(".json")
        if step in self.first:
            return self.first.pop(step)
        if step in self.ever:
            return self.ever[step]
        if step == "create":
            self.filters.append(json.loads(request.body or b"")["filter"])
            return good([{"exportId": "3fadb012", "status": "Created"}])
        if step == "file":
            found = re.fullmatch(r"bytes=(\d+)-(\d+)", request.headers["Range"])
            assert found is not None
            start, last = int(found[1]), int(found[2])
            self.fetched.append((start, last))
            return answer(206, self.file[start : last + 1], {"Content-Type": "text/csv;charset=UTF-8"})
        if step == "cancel":
            self.cancelled += 1
        status = self.statuses[0] if step == "enqueue" or len(self.statuses) == 1 else self.statuses.pop(0)
        job = {"exportId": "3fadb012", "status": status, "fileSize": len(self.file), "fileChecksum": self.checksum}
        return good([job])


def extract(exports: Exports, window: Window | int = WEEK, clock: FakeClock | None = None, **more: Any) -> pa.Table:
    policy = RetryPolicy(attempts=3, total=200.0, jitter=lambda: 0.0)
    made = MarketoClient(
        MARKETO, transport=Server(exports), budget=NullBudget(), clock=clock or FakeClock(), retry=policy
    )
    tables = list(made.extract_persons(COLUMNS, window, **more))
    return pa.concat_tables(tables) if tables else pa.table({"id": []})


def csv(*lines: str) -> bytes:
    return (HEADER + "".join(f"{line}\n" for line in lines)).encode()


def test_values_come_typed_and_the_bare_word_null_is_empty_except_that_a_yes_or_no_is_no_as_in_rest() -> None:
    table = extract(
        Exports(csv("501,ada@example.test,34.66,true,5", "502,null,null,null,null", '503,"null",1,false,-1'))
    )
    assert table.to_pylist() == [
        {
            "id": 501,
            "email": "ada@example.test",
            "annualRevenue": Decimal("34.66"),
            "unsubscribed": True,
            "leadScore": 5,
        },
        {"id": 502, "email": None, "annualRevenue": None, "unsubscribed": False, "leadScore": None},
        {"id": 503, "email": "null", "annualRevenue": Decimal(1), "unsubscribed": False, "leadScore": -1},
    ]


def test_texts_keep_quotes_line_breaks_and_line_separators_but_lose_nul_bytes() -> None:
    table = extract(Exports(csv('501,"a ""b"", c\r\nd\u2028e\x00f",1,true,1')))
    assert table["email"].to_pylist() == ['a "b", c\r\nd\u2028ef']


def test_a_file_is_fetched_in_pieces_that_may_cut_a_row_or_a_letter(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(marketo_bulk, "_PIECE", 64)
    rows = [f'{number},"ü{number}\n",{number}.5,true,{number}' for number in range(200)]
    exports = Exports(csv(*rows))
    table = extract(exports)
    assert table["email"].to_pylist() == [f"ü{number}\n" for number in range(200)]
    assert len(exports.fetched) > 50
    assert all(last - start < 64 for start, last in exports.fetched)
    assert exports.fetched[-1][1] == len(exports.file) - 1


def test_columns_may_come_in_any_order() -> None:
    file = b"leadScore,unsubscribed,annualRevenue,email,id\n5,true,1.5,a@b.test,501\n"
    assert extract(Exports(file)).to_pylist()[0]["id"] == 501


@pytest.mark.parametrize("file", [csv(), b""])
def test_nobody_is_no_row(file: bytes) -> None:
    assert extract(Exports(file)).num_rows == 0


@pytest.mark.parametrize(
    "file",
    [csv("x,a,1,true,1"), csv("1,a,b,true,1"), csv("1,a,1,yes,1"), csv("1,a,1"), b"id,email\n1,a\n", b"\xff\xfe\n"],
)
def test_a_file_that_is_not_what_was_asked_for_is_malformed(file: bytes) -> None:
    with pytest.raises(AnswerMalformed):
        extract(Exports(file))


def test_a_wrong_checksum_is_found_at_the_end() -> None:
    exports = Exports(csv("501,a,1,true,1"))
    exports.checksum = "sha256:" + "0" * 64
    with pytest.raises(AnswerMalformed, match="checksum"):
        extract(exports)


def test_a_short_piece_is_malformed() -> None:
    exports = Exports(csv("501,a,1,true,1"))
    exports.ever["file"] = answer(206, b"id,em", {"Content-Type": "text/csv"})
    with pytest.raises(AnswerMalformed, match="bytes of a file"):
        extract(exports)


@pytest.mark.parametrize(
    "trouble",
    [
        answer(404, b"not found", {"Content-Type": "text/plain"}),
        refused("606"),
        refused("602"),
        answer(502, b"<html>", {"Content-Type": "text/html"}),
    ],
)
def test_a_file_that_is_not_there_yet_and_errors_in_its_place_are_waited_out(trouble: HttpResponse) -> None:
    exports = Exports(csv("501,a,1,true,1"))
    exports.first["file"] = trouble
    assert extract(exports).num_rows == 1


def test_a_server_that_knows_no_ranges_sends_the_whole_file() -> None:
    exports = Exports(csv("501,a,1,true,1"))
    exports.first["file"] = answer(200, exports.file, {"Content-Type": "text/csv"})
    assert extract(exports).num_rows == 1


def test_the_status_is_asked_for_once_a_minute() -> None:
    clock = FakeClock()
    extract(Exports(csv(), ("Queued", "Queued", "Processing", "Completed")), clock=clock)
    assert clock.slept == [20.0] * 12  # naps, between which the caller may keep its lease


def test_a_job_that_takes_too_long_is_cancelled() -> None:
    exports = Exports(csv(), ("Processing",))
    with pytest.raises(ServiceUnavailable, match="600 s"):
        extract(exports, patience=600.0)
    assert exports.cancelled == 1


@pytest.mark.parametrize("status", ["Failed", "Cancelled", "Canceled"])
def test_a_job_that_ends_otherwise_may_succeed_later(status: str) -> None:
    with pytest.raises(ServiceUnavailable, match=status):
        extract(Exports(csv(), ("Queued", status)))


def test_a_full_queue_is_waited_for_without_stopping_other_calls() -> None:
    clock, exports = FakeClock(), Exports(csv("501,a,1,true,1"))
    exports.first["enqueue"] = refused("1029", "Too many jobs in queue")
    assert extract(exports, clock=clock).num_rows == 1
    assert clock.slept[0] == 60.0


def test_a_job_that_an_unanswered_call_had_queued_already_is_used() -> None:
    class Queued(Exports):
        def __call__(self, request: HttpRequest) -> HttpResponse:
            if request.path.endswith("enqueue.json"):
                return refused("1029", "Job already queued")
            return super().__call__(request)

    assert extract(Queued(csv("501,a,1,true,1"))).num_rows == 1


def test_a_queue_that_stays_full_ends_the_extract_for_now() -> None:
    class Full(Exports):
        def __call__(self, request: HttpRequest) -> HttpResponse:
            if request.path.endswith("enqueue.json"):
                return refused("1029", "Too many jobs in queue")
            return super().__call__(request)

    with pytest.raises(ServiceUnavailable, match="queue"):
        extract(Full(csv(), ("Created",)))


def test_json_where_the_file_belongs_is_malformed() -> None:
    exports = Exports(csv("501,a,1,true,1"))
    exports.ever["file"] = good([])
    with pytest.raises(AnswerMalformed, match="JSON where"):
        extract(exports)


def test_a_spoilt_piece_is_asked_for_again() -> None:
    for spoilt in (good([]), answer(206, b"id,em", {"Content-Type": "text/csv"})):
        exports = Exports(csv("501,a,1,true,1"))
        exports.first["file"] = spoilt
        assert extract(exports)["id"].to_pylist() == [501]


def test_a_used_up_export_quota_names_midnight() -> None:
    exports = Exports(csv())
    exports.first["create"] = refused("1029", "Export daily quota 500MB exceeded.")
    with pytest.raises(ServiceUnavailable) as caught:
        extract(exports, clock=FakeClock(datetime(2026, 3, 1, 10, tzinfo=UTC)))
    assert caught.value.after == 20 * 3600.0


def test_a_create_without_export_id_is_tried_again() -> None:
    exports = Exports(csv("501,a,1,true,1"))
    exports.first["create"] = good([{"status": "Failed"}])
    assert extract(exports).num_rows == 1


def test_a_subscription_that_cannot_filter_by_update_says_what_to_use() -> None:
    exports = Exports(csv())
    exports.first["create"] = refused("1035", "Unsupported filter type for target subscription: updatedAt")
    with pytest.raises(AccessRefused, match="createdAt"):
        extract(exports)


def test_the_filter_is_the_window_or_the_list() -> None:
    exports = Exports(csv())
    extract(exports, filter="createdAt")
    extract(exports, 1016)
    assert exports.filters == [
        {"createdAt": {"startAt": "2026-02-01T00:00:00Z", "endAt": "2026-02-07T23:59:59Z"}},
        {"staticListId": 1016},
    ]


def test_a_long_window_is_cut_into_spans_of_31_days_that_share_no_second() -> None:
    spans = list(slices(Window(SINCE, SINCE + timedelta(days=70)), SINCE))
    assert [(last - first).total_seconds() for first, last in spans] == [31 * 86400 - 1, 31 * 86400 - 1, 8 * 86400 - 1]
    assert all(later[0] - earlier[1] == timedelta(seconds=1) for earlier, later in pairwise(spans))


def test_an_open_window_ends_now_and_a_started_second_belongs_to_it() -> None:
    now = SINCE + timedelta(seconds=10, microseconds=1)
    assert [(iso(a), iso(b)) for a, b in slices(Window(SINCE, None), now)] == [
        ("2026-02-01T00:00:00Z", "2026-02-01T00:00:10Z")
    ]


def test_a_window_without_beginning_is_refused() -> None:
    with pytest.raises(ValueError, match="beginning"):
        list(slices(Window(None, SINCE), SINCE))
