"""Writing to Dynamics: each write answered for itself, none sent twice, deletions never guessed."""

from __future__ import annotations

import json
import re
from decimal import Decimal
from typing import Any

import pytest

from include.leadsync.clients.budget import NullBudget
from include.leadsync.clients.dynamics import DynamicsClient, RowWrite, WriteResult
from include.leadsync.clients.retry import RetryPolicy
from include.leadsync.clients.transport import HttpRequest, HttpResponse
from include.leadsync.clock import FakeClock
from include.leadsync.errors import (
    AccessRefused,
    AnswerMalformed,
    ConnectionBroken,
    FixConfiguration,
    LeadSyncError,
    RowFailed,
    ServiceUnavailable,
    Throttled,
)
from include.leadsync.model import Entity, System
from tests.clients.servers import DYNAMICS, Server, answer, odata_error, playing

ADA, BO = "11111111-1111-1111-1111-11111111111a", "22222222-2222-2222-2222-22222222222b"
SENT = ConnectionBroken("dropped", maybe_committed=True)
UPDATE = RowWrite(Entity.LEAD, ADA, "update", {"lastname": "Ax"}, etag='W/"7"')


class Complaints(NullBudget):
    """Remembers penalties and rows."""

    def __init__(self) -> None:
        self.penalties: list[float] = []
        self.rows: list[int] = []

    def call(self, system: System, rows: int = 1, *, within: float | None = None) -> Any:
        self.rows.append(rows)
        return super().call(system, rows, within=within)

    def penalise(self, system: System, seconds: float) -> None:
        self.penalties.append(seconds)


def client(server: Server, budget: NullBudget | None = None) -> DynamicsClient:
    policy = RetryPolicy(attempts=2, total=100.0, jitter=lambda: 0.0)
    return DynamicsClient(DYNAMICS, transport=server, budget=budget or NullBudget(), clock=FakeClock(), retry=policy)


def part(status: int, body: object = None, **headers: str) -> bytes:
    content = b"" if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
    named = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in headers.items())
    head = f"--b\r\nContent-Type: application/http\r\n\r\nHTTP/1.1 {status} X\r\n{named}\r\n"
    return head.encode() + content + b"\r\n"


def error(status: int, code: str, message: str = "no", **headers: str) -> bytes:
    return part(status, {"error": {"code": code, "message": message}}, **headers)


def parts(*answers: bytes, status: int = 200, end: bytes = b"--b--\r\n") -> HttpResponse:
    return answer(status, b"".join(answers) + end, {"Content-Type": "multipart/mixed; boundary=b"})


def one(answered: bytes, write: RowWrite = UPDATE) -> WriteResult:
    (result,) = client(playing(parts(answered))).batch([write])
    return result


def sent(request: HttpRequest) -> list[str]:
    text = (request.body or b"").decode()
    return [segment.split("\r\n\r\n", 1)[1] for segment in text.split("--batch_")[1:-1]]


def many(count: int) -> list[RowWrite]:
    return [RowWrite(Entity.LEAD, f"00000000-0000-0000-0000-{n:012d}", "update", {"fax": "x"}) for n in range(count)]


def test_an_update_never_creates_and_names_the_version_it_saw() -> None:
    server = playing(parts(part(204), part(204)))
    client(server).batch([UPDATE, RowWrite(Entity.CONTACT, BO.upper(), "update", {"fax": None})])
    first, second = sent(server.requests[0])
    assert first.startswith(f"PATCH /api/data/v9.2/leads({ADA}) HTTP/1.1\r\n")
    assert 'If-Match: W/"7"\r\n' in first
    assert first.endswith('{"lastname":"Ax"}\r\n')
    assert second.startswith(f"PATCH /api/data/v9.2/contacts({BO}) HTTP/1.1\r\n")
    assert "If-Match: *\r\n" in second
    assert '{"fax":null}' in second


def test_a_creation_carries_its_key_and_a_deletion_nothing() -> None:
    server = playing(parts(part(204), part(204)))
    create = RowWrite(Entity.LEAD, ADA, "create", {"revenue": Decimal("34.660")})
    client(server).batch([create, RowWrite(Entity.LEAD, BO, "delete", etag='W/"9"')])
    first, second = sent(server.requests[0])
    assert first.startswith("POST /api/data/v9.2/leads HTTP/1.1\r\n")
    assert f'{{"revenue":34.660,"leadid":"{ADA}"}}' in first
    assert "If-Match" not in first
    assert second.startswith(f"DELETE /api/data/v9.2/leads({BO}) HTTP/1.1\r\n")
    assert 'If-Match: W/"9"' in second


def test_the_batch_goes_on_after_errors_and_counts_its_rows() -> None:
    server, budget = playing(parts(part(204), part(204))), Complaints()
    client(server, budget).batch(many(2))
    (request,) = server.requests
    assert (request.method, request.path) == ("POST", "/api/data/v9.2/$batch")
    assert request.headers["Prefer"] == "odata.continue-on-error"
    assert re.fullmatch(r'multipart/mixed; boundary="batch_[0-9a-f]{32}"', request.headers["Content-Type"])
    assert budget.rows == [2]


def test_the_row_after_the_write_comes_when_asked_for() -> None:
    body = {"@odata.etag": 'W/"8"', "leadid": ADA, "revenue": 5000000.0000, "_ownerid_value": BO.upper()}
    write = RowWrite(Entity.LEAD, ADA, "update", {}, 'W/"7"', {"revenue": "number", "_ownerid_value": "text"})
    server = playing(parts(part(200, body)))
    (result,) = client(server).batch([write])
    assert (result.ok, result.etag) == (True, 'W/"8"')
    assert result.row is not None
    (row,) = result.row.to_pylist()
    assert (row["id"], row["etag"], row["revenue"]) == (ADA, 'W/"8"', Decimal(5000000))
    (text,) = sent(server.requests[0])
    assert f"leads({ADA})?$select=leadid,revenue,_ownerid_value HTTP/1.1" in text
    assert "Prefer: return=representation, odata.include-annotations=" in text


def test_a_row_that_cannot_be_read_takes_nothing_from_the_success() -> None:
    write = RowWrite(Entity.LEAD, ADA, "update", {}, None, {"revenue": "number"})
    for body in (b"{garbage", b'{"revenue":"x"}', b"[" * 100_000):
        result = one(part(200, body, ETag='W/"8"'), write)
        assert (result.ok, result.row, result.etag) == (True, None, 'W/"8"')


@pytest.mark.parametrize("body", [b"{garbage", b'{"@odata.etag":5}', b"[" * 100_000, b"{}"])
def test_a_success_without_a_readable_etag_has_none(body: bytes) -> None:
    result = one(part(200, body))
    assert (result.ok, result.etag) == (True, None)


def test_a_batch_address_that_does_not_exist_is_an_error() -> None:
    with pytest.raises(RowFailed, match="404"):
        client(playing(answer(404, b"<html>"))).batch([UPDATE])


@pytest.mark.parametrize(
    ("status", "code"),
    [(400, "0x80044331"), (412, "0x80060882"), (412, "0x80040237"), (404, "0x80040217"), (403, "0x80040220")],
)
def test_a_refused_write_carries_the_code_in_lower_case_and_its_neighbours_go_through(status: int, code: str) -> None:
    refusal = error(status, code.upper(), "first line\r\n at Stack.Trace()")
    results = client(playing(parts(part(204), refusal, part(204)))).batch(many(3))
    assert [result.ok for result in results] == [True, False, True]
    assert (results[1].status, results[1].code, results[1].message) == (status, code, "first line")


@pytest.mark.parametrize("body", [None, b"<html>oops</html>", b'{"error":"text"}'])
def test_an_error_without_a_readable_body_is_known_by_its_status(body: object) -> None:
    result = one(part(400, body))
    assert (result.ok, result.code, result.answered) == (False, "400", True)


def test_throttling_of_one_part_is_told_to_the_caller_and_to_everybody() -> None:
    budget = Complaints()
    server = playing(parts(part(204), error(429, "0x80072322", Retry_After="17"), error(429, "0x80072326")))
    results = client(server, budget).batch(many(3))
    assert [result.retry_after for result in results] == [None, 17.0, 5.0]
    assert budget.penalties == [17.0, 5.0]


def test_a_truncated_answer_leaves_writes_unanswered_and_nothing_is_repeated() -> None:
    server = playing(parts(part(204), part(204), end=b""))
    results = client(server).batch(many(3))
    assert [(result.answered, result.ok) for result in results] == [(True, True), (False, False), (False, False)]


@pytest.mark.parametrize(
    "trouble",
    [
        SENT,
        answer(502, b"<html>"),
        answer(504, b""),
        odata_error(503, "", Retry_After="7"),
        odata_error(500, "0x80040216"),
        answer(200, b"<html>login</html>", {"Content-Type": "text/html"}),
        answer(200, {"value": []}),
        answer(200, b"no parts at all", {"Content-Type": "multipart/mixed; boundary=b"}),
    ],
)
def test_after_an_unknown_outcome_every_write_is_unanswered_and_none_is_sent_again(
    trouble: HttpResponse | Exception,
) -> None:
    server = playing(trouble)
    results = client(server).batch(many(2))
    assert [result.answered for result in results] == [False, False]
    assert len(server.requests) == 1


def test_what_was_never_sent_is_sent_again_and_otherwise_said_so() -> None:
    unsent = ConnectionBroken("refused", maybe_committed=False)
    assert client(playing(unsent, parts(part(204)))).batch([UPDATE])[0].ok
    with pytest.raises(ConnectionBroken) as caught:
        client(playing(unsent, unsent)).batch([UPDATE])
    assert not caught.value.maybe_committed


@pytest.mark.parametrize("refusal", [answer(401, b""), odata_error(429, "0x80072322", Retry_After="3")])
def test_a_whole_batch_that_was_refused_is_sent_again(refusal: HttpResponse) -> None:
    assert client(playing(refusal, parts(part(204)))).batch([UPDATE])[0].ok


@pytest.mark.parametrize(
    ("refusal", "kind"),
    [(odata_error(403, "0x80072560"), AccessRefused), (odata_error(429, "0x80072322", Retry_After="999"), Throttled)],
)
def test_a_whole_batch_that_stays_refused_is_an_error(refusal: HttpResponse, kind: type[LeadSyncError]) -> None:
    with pytest.raises(kind):
        client(Server(lambda _: refusal)).batch([UPDATE])


def test_an_outer_400_does_not_hide_the_parts() -> None:
    results = client(playing(parts(part(204), error(400, "0x80044331"), status=400))).batch(many(3))
    assert [(result.answered, result.ok) for result in results] == [(True, True), (True, False), (False, False)]


def test_batches_shrink_after_a_loss_and_slowly_grow_with_full_ones_that_pass() -> None:
    good = Server(lambda request: parts(*(part(204) for _ in sent(request))))
    lost = [SENT, SENT]
    made = client(Server(lambda request: lost.pop() if lost else good.send(request)))
    assert made.batch_size == 100
    made.batch(many(100))
    assert made.batch_size == 50
    made.batch(many(50))
    assert made.batch_size == 25
    made.batch([UPDATE])
    assert made.batch_size == 25
    sizes = []
    while made.batch_size < 100:
        made.batch(many(made.batch_size))
        sizes.append(made.batch_size)
    assert sizes[:3] == [28, 31, 35]
    made.batch(many(100))
    assert made.batch_size == 100


def test_a_batch_that_is_too_large_is_sent_in_halves_in_order() -> None:
    def handler(request: HttpRequest) -> HttpResponse:
        asked = sent(request)
        if len(asked) > 3:
            return odata_error(413, "0x8004418A", "too large")
        return parts(*(part(204, ETag=re.findall(r"leads\((.*)\)", text)[0]) for text in asked))

    writes = many(10)
    made = client(Server(handler))
    assert [result.etag for result in made.batch(writes)] == [write.id for write in writes]
    assert made.batch_size < 10


def test_a_single_write_that_is_too_large_is_refused_alone() -> None:
    (result,) = client(playing(answer(413, b""))).batch([UPDATE])
    assert (result.ok, result.status, result.answered) == (False, 413, True)


@pytest.mark.parametrize(
    "write",
    [
        RowWrite(Entity.LEAD, "not-a-guid", "update"),
        RowWrite(Entity.LEAD, f"{ADA})/x", "update"),
        RowWrite(Entity.LEAD, ADA, "upsert"),
        RowWrite(Entity.LEAD, ADA, "update", etag='W/"1"\r\nX: y'),
        RowWrite(Entity.LEAD, ADA, "update", etag="*"),
    ],
)
def test_impossible_writes_are_not_sent(write: RowWrite) -> None:
    server = playing()
    with pytest.raises(ValueError, match=r"GUID|etag"):
        client(server).batch([UPDATE, write])
    assert server.requests == []


@pytest.mark.parametrize("count", [0, 1001])
def test_a_batch_has_one_to_a_thousand_writes(count: int) -> None:
    with pytest.raises(ValueError, match="possible"):
        client(playing()).batch(many(count))


def test_a_probe_tells_gone_from_unreadable() -> None:
    ids = [ADA, BO, "33333333-3333-3333-3333-333333333333", "no-guid"]
    server = playing(parts(part(200, {}), error(404, "0x80040217"), error(403, "0x80040220")))
    assert client(server).probe(Entity.LEAD, ids) == {
        ids[0]: "exists", ids[1]: "gone", ids[2]: "unreadable", ids[3]: "gone",
    }  # fmt: skip
    assert sent(server.requests[0])[0].startswith(f"GET /api/data/v9.2/leads({ADA})?$select=leadid HTTP/1.1")


@pytest.mark.parametrize(
    ("answered", "kind"),
    [
        (error(404, "0x80060888", "Resource not found for the segment 'leads'."), AnswerMalformed),
        (part(404, b"<html>not found</html>"), AnswerMalformed),
        (part(302), FixConfiguration),
        (part(204), AnswerMalformed),
        (part(401), AccessRefused),
        (error(500, "0x80040216"), ServiceUnavailable),
        (error(429, "0x80072322"), Throttled),
    ],
)
def test_only_a_404_about_the_row_makes_it_gone(answered: bytes, kind: type[LeadSyncError]) -> None:
    with pytest.raises(kind):
        client(Server(lambda _: parts(answered))).probe(Entity.LEAD, [ADA])


def test_a_probe_without_answer_calls_nothing_gone() -> None:
    for answered in (parts(part(200, {}), end=b""), parts()):
        with pytest.raises(ServiceUnavailable):
            client(playing(answered, answered)).probe(Entity.LEAD, [ADA])


def test_a_probe_that_was_cut_off_is_asked_again() -> None:
    cut, whole = parts(error(404, "0x80040217"), end=b""), parts(part(200, {}))
    assert client(playing(cut, whole)).probe(Entity.LEAD, [ADA]) == {ADA: "exists"}


def test_many_ids_are_probed_in_batches() -> None:
    server = Server(lambda request: parts(*(part(200, {}) for _ in sent(request))))
    ids = [f"00000000-0000-0000-0000-{n:012d}" for n in range(230)]
    assert set(client(server).probe(Entity.LEAD, ids).values()) == {"exists"}
    assert [len(sent(request)) for request in server.requests] == [100, 100, 30]


def test_a_thousand_writes_are_one_valid_body() -> None:
    server = playing(parts(*(part(204) for _ in range(1000))))
    assert all(result.ok for result in client(server).batch(many(1000)))
    assert len(sent(server.requests[0])) == 1000


def test_batches_start_at_the_size_that_is_configured_and_never_above_the_services_limit() -> None:
    made = DynamicsClient(DYNAMICS, transport=playing(), budget=NullBudget(), clock=FakeClock())
    assert made.batch_size == 100
    made.start_batches_at(250)
    assert made.batch_size == 250
    made.start_batches_at(5_000)
    assert made.batch_size == 1_000


def test_duplicate_rules_are_asked_only_for_writes_that_want_it() -> None:
    server = playing(parts(part(204), part(204)))
    client(server).batch([UPDATE, RowWrite(Entity.LEAD, BO, "create", {"lastname": "B"}, detect=True)])
    body = (server.requests[0].body or b"").decode()
    assert body.count("MSCRM.SuppressDuplicateDetection: false") == 1
    assert body.index("MSCRM") > body.index("POST ")
