"""`$batch` (V55-V57)."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest

from include.sandbox.service import Response
from tests.sandbox.dynamics.conftest import NOWHERE, Org, code, header, message

CONTINUE = {"Prefer": "odata.continue-on-error"}


@dataclass
class Answer:
    """One answer inside a batch; `inner` for a change set."""

    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    outer: dict[str, str] = field(default_factory=dict)
    content: Any = None
    inner: list[Answer] = field(default_factory=list)


def part(method: str, url: str, body: Any = None, content_id: str | None = None, **headers: str) -> str:
    lines = ["Content-Type: application/http", "Content-Transfer-Encoding: binary"]
    lines += [f"Content-ID: {content_id}"] if content_id else []
    lines += ["", f"{method} {url} HTTP/1.1"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    lines += ["Content-Type: application/json", "", json.dumps(body) if body is not None else ""]
    return "\r\n".join(lines)


def change_set(*parts: str, boundary: str = "changeset_b2", quotes: str = '"') -> str:
    inner = "".join(f"--{boundary}\r\n{text}\r\n" for text in parts)
    return f"Content-Type: multipart/mixed; boundary={quotes}{boundary}{quotes}\r\n\r\n{inner}--{boundary}--"


def body_of(parts: Sequence[str]) -> bytes:
    return ("".join(f"--batch_a1\r\n{text}\r\n" for text in parts) + "--batch_a1--\r\n").encode()


def send(org: Org, parts: Sequence[str] | bytes, headers: Mapping[str, str] | None = None) -> Response:
    payload = parts if isinstance(parts, bytes) else body_of(parts)
    sent = {"Content-Type": "multipart/mixed; boundary=batch_a1", **(headers or {})}
    return org.call("POST", "$batch", payload, sent)


def answers(response: Response) -> list[Answer]:
    kind = header(response, "Content-Type") or ""
    assert kind.startswith("multipart/mixed; boundary=batchresponse_")
    return _parse(response.body, kind.split("boundary=")[1])


def _parse(body: bytes, boundary: str) -> list[Answer]:
    assert body.rstrip().endswith(f"--{boundary}--".encode())
    pieces = body.split(f"--{boundary}".encode())[1:-1]
    return [_answer(piece.removeprefix(b"\r\n").removesuffix(b"\r\n")) for piece in pieces]


def _answer(piece: bytes) -> Answer:
    head, _, rest = piece.partition(b"\r\n\r\n")
    outer = _headers(head.decode().split("\r\n"))
    if outer["content-type"].startswith("multipart/mixed"):
        boundary = outer["content-type"].split("boundary=")[1]
        assert boundary.startswith("changesetresponse_")
        return Answer(outer=outer, inner=_parse(rest, boundary))
    assert outer["content-type"] == "application/http"
    head, _, content = rest.partition(b"\r\n\r\n")
    first, *lines = head.decode().split("\r\n")
    return Answer(int(first.split()[1]), _headers(lines), outer, json.loads(content) if content.strip() else None)


def _headers(lines: Sequence[str]) -> dict[str, str]:
    return {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}


def _lead(text: str) -> str:
    return part("POST", "/api/data/v9.2/leads", {"lastname": text})


def _bad() -> str:
    return part("POST", "/api/data/v9.2/leads", {"mobilephone": "1" * 21})


def _count(org: Org) -> int:
    return int(org.control("row_count", entity="lead"))


def test_parts_of_all_methods_are_answered_in_order(org: Org) -> None:
    """V55."""
    lead = org.create("leads", {"lastname": "Ax"})
    gone = org.create("leads", {"lastname": "Gone"})
    response = send(
        org,
        [
            part("GET", f"/api/data/v9.2/leads({lead})?$select=lastname"),
            part("PATCH", f"https://org.example/api/data/v9.2/leads({lead})", {"lastname": "By"}, If_Match="*"),
            part("DELETE", f"leads({gone})"),
            part("POST", "leads", {"lastname": "New"}, Prefer="return=representation"),
            part("GET", "leads?$select=lastname&$filter=lastname eq 'By'"),
        ],
    )
    found = answers(response)
    assert response.status == 200
    assert [answer.status for answer in found] == [200, 204, 204, 201, 200]
    assert found[0].content["lastname"] == "Ax"
    assert found[1].headers["odata-entityid"].endswith(f"leads({lead})")
    assert found[1].headers["location"] == found[1].headers["odata-entityid"]
    assert found[3].content["lastname"] == "New"
    assert found[3].headers["preference-applied"] == "return=representation"
    assert [row["leadid"] for row in found[4].content["value"]] == [lead]
    assert all(answer.headers["odata-version"] == "4.0" for answer in found)


@pytest.mark.parametrize("quotes", ["", '"'])
def test_boundaries_may_be_quoted_and_lines_end_in_lf(org: Org, quotes: str) -> None:
    """V55."""
    text = body_of([_lead("a"), change_set(part("POST", "leads", {"lastname": "b"}, "1"), quotes=quotes)])
    for payload in (text, text.replace(b"\r\n", b"\n")):
        response = send(org, payload, {"Content-Type": f"multipart/mixed;boundary={quotes}batch_a1{quotes}"})
        assert response.status == 200
        first, second = answers(response)
        assert (first.status, second.inner[0].status) == (204, 204)
    assert _count(org) == 4


def test_bare_line_feeds_are_refused_in_strict_mode(make_org: Callable[..., Org]) -> None:
    """V55, section 9.1."""
    org = make_org(strict_batch_lines=True)
    payload = body_of([_lead("a")]).replace(b"\r\n", b"\n")
    response = send(org, payload)
    assert (response.status, code(response)) == (400, "0x80048d19")
    assert send(org, payload + b"\n").status == 200
    assert send(org, body_of([_lead("a")])).status == 200


def test_the_number_of_requests_is_limited(make_org: Callable[..., Org]) -> None:
    """V55."""
    org = make_org(batch_limit=3)
    inner = change_set(*(part("POST", "leads", {}, str(number)) for number in range(2)))
    assert send(org, [_lead("a"), inner]).status == 200
    response = send(org, [_lead("a"), _lead("b"), inner])
    assert (response.status, code(response)) == (400, "0x80048d19")
    assert _count(org) == 3


@pytest.mark.parametrize(
    "bad",
    [
        part("POST", "/api/data/v9.2/$batch"),
        change_set(part("GET", "leads", content_id="1")),
        change_set(part("POST", "leads", {})),
        change_set(part("POST", "leads", {}, "1"), part("POST", "leads", {}, "1")),
        "Content-Type: text/plain\r\n\r\nhello",
    ],
)
def test_what_a_batch_may_not_hold_refuses_it_whole(org: Org, bad: str) -> None:
    """V55."""
    response = send(org, [_lead("a"), bad])
    assert response.status == 400
    assert code(response) == "0x80048d19"
    assert _count(org) == 0


def test_a_batch_without_a_boundary_is_refused(org: Org) -> None:
    """V55."""
    assert send(org, body_of([_lead("a")]), {"Content-Type": "multipart/mixed"}).status == 400
    assert send(org, b"", {}).status == 400
    assert org.get("$batch").status == 405


def test_a_failing_part_ends_the_batch(org: Org) -> None:
    """V56."""
    response = send(org, [_lead("a"), _bad(), _lead("c")])
    found = answers(response)
    assert response.status == 400
    assert [answer.status for answer in found] == [204, 400]
    assert found[1].content["error"]["code"] == "0x80044331"
    assert found[1].headers["req_id"]
    assert _count(org) == 1


def test_a_missing_row_inside_makes_the_outer_answer_400(org: Org) -> None:
    """V56."""
    response = send(org, [part("GET", f"leads({NOWHERE})")])
    assert response.status == 400
    assert answers(response)[0].status == 404


def test_the_batch_goes_on_when_asked(org: Org) -> None:
    """V56."""
    response = send(org, [_lead("a"), _bad(), part("GET", f"leads({NOWHERE})"), _lead("d")], CONTINUE)
    assert response.status == 200
    assert header(response, "Preference-Applied") == "odata.continue-on-error"
    assert [answer.status for answer in answers(response)] == [204, 400, 404, 204]
    assert _count(org) == 2


def test_a_stale_etag_fails_its_part_alone(org: Org) -> None:
    """V41, V56."""
    leads = [org.create("leads", {"lastname": str(number)}) for number in range(3)]
    etags = [org.read(f"leads({lead})")["@odata.etag"] for lead in leads]
    org.control("edit_row", entity="lead", id=leads[1], values={"lastname": "hers"})
    parts = [
        part("PATCH", f"leads({lead})", {"lastname": "ours"}, If_Match=etag)
        for lead, etag in zip(leads, etags, strict=True)
    ]
    found = answers(send(org, parts, CONTINUE))
    assert [answer.status for answer in found] == [204, 412, 204]
    assert found[1].content["error"]["code"] == "0x80060882"
    assert [org.read(f"leads({lead})")["lastname"] for lead in leads] == ["ours", "hers", "ours"]


def test_a_change_set_answers_every_request_with_its_id(org: Org) -> None:
    """V57."""
    inner = change_set(part("POST", "leads", {"lastname": "a"}, "7"), part("POST", "leads", {"lastname": "b"}, "x"))
    (found,) = answers(send(org, [inner]))
    assert [answer.outer["content-id"] for answer in found.inner] == ["7", "x"]
    assert all(answer.headers["location"] for answer in found.inner)


def test_a_change_set_is_all_or_nothing_and_answers_one_error(org: Org) -> None:
    """V57."""
    inner = change_set(
        part("POST", "leads", {"lastname": "a"}, "1"), part("POST", "leads", {"mobilephone": "1" * 21}, "2")
    )
    response = send(org, [_lead("before"), inner, _lead("after")], CONTINUE)
    before, failed, after = answers(response)
    assert (before.status, failed.status, after.status) == (204, 400, 204)
    assert failed.inner == []
    assert failed.content["error"]["code"] == "0x80044331"
    assert sorted(row["lastname"] for row in org.values("leads")) == ["after", "before"]
    assert send(org, [inner, _lead("never")]).status == 400
    assert _count(org) == 2


def test_a_rolled_back_change_set_leaves_no_trace_in_the_next_delta(org: Org) -> None:
    """V57."""
    link = org.read("leads", {"Prefer": "odata.track-changes"})["@odata.deltaLink"]
    send(org, [change_set(part("POST", "leads", {}, "1"), part("POST", "leads", {"mobilephone": "1" * 21}, "2"))])
    assert org.values(link) == []


def test_later_requests_refer_to_earlier_ones(org: Org) -> None:
    """V57."""
    inner = change_set(
        part("POST", "/api/data/v9.2/accounts", {"name": "Acme"}, "1"),
        part("POST", "contacts", {"lastname": "Ax", "parentcustomerid_account@odata.bind": "$1"}, "2"),
        part("PATCH", "$2", {"jobtitle": "CTO"}, "3"),
        part("PUT", "$1/primarycontactid/$ref", {"@odata.id": "$2"}, "4"),
    )
    (found,) = answers(send(org, [inner]))
    assert [answer.status for answer in found.inner] == [204] * 4
    (contact,) = org.values("contacts")
    (account,) = org.values("accounts")
    assert contact["jobtitle"] == "CTO"
    assert contact["_parentcustomerid_value"] == account["accountid"]
    assert account["_primarycontactid_value"] == contact["contactid"]


@pytest.mark.parametrize(
    "bad",
    [
        part("PATCH", "$2", {"jobtitle": "CTO"}, "2"),
        part("POST", "contacts", {"parentcustomerid_account@odata.bind": "$9"}, "2"),
    ],
)
def test_an_unknown_reference_is_refused(org: Org, bad: str) -> None:
    """V57."""
    (found,) = answers(send(org, [change_set(part("POST", "accounts", {}, "1"), bad)]))
    assert found.status == 400
    text = found.content["error"]["message"]
    assert text.startswith("Content-ID Reference: '$")
    assert text.endswith("' does not exist in the batch context.")
    assert org.control("row_count", entity="account") == 0


def test_a_represented_part_cannot_be_referred_to(org: Org) -> None:
    """Section 9.1."""
    first = part("POST", "accounts", {}, "1", Prefer="return=representation")
    (found,) = answers(send(org, [change_set(first, part("PATCH", "$1", {"name": "x"}, "2"))]))
    assert found.status == 400


def test_references_end_with_their_change_set(org: Org) -> None:
    """V57."""
    first = change_set(part("POST", "accounts", {}, "1"))
    second = change_set(part("PATCH", "$1", {"name": "x"}, "2"))
    assert [answer.status for answer in answers(send(org, [first, second], CONTINUE))][1] == 400


def test_a_part_s_long_query_is_read_by_get(org: Org) -> None:
    """Section 2.1: a URL inside a batch may be longer than one outside."""
    text = " or ".join(f"lastname eq '{'x' * 40}{number}'" for number in range(700))
    assert org.get("leads", filter=text).status == 414
    assert answers(send(org, [part("GET", f"leads?$filter={text}")]))[0].status == 200


def test_errors_of_the_whole_batch_are_json(org: Org) -> None:
    """V6, V55."""
    org.control("expire_tokens")
    assert send(org, [_lead("a")]).status == 401
    org.sign_in("stranger")
    response = send(org, [_lead("a")])
    assert response.status == 403
    assert message(response)


@pytest.mark.parametrize("line", ["GETleads HTTP/1.1", "GET leads", "GET", "GET HTTP/1.1", "HTTP/1.1 GET leads"])
def test_a_malformed_request_line_refuses_the_batch(org: Org, line: str) -> None:
    """V55."""
    body = f"--b\r\nContent-Type: application/http\r\n\r\n{line}\r\n\r\n--b--\r\n"
    response = org.call("POST", "$batch", body.encode(), {"Content-Type": "multipart/mixed; boundary=b"})
    assert (response.status, code(response)) == (400, "0x80048d19")


def test_a_change_set_that_breaks_off_is_not_carried_out(org: Org) -> None:
    """V57: half of what should happen together must not."""
    inner = "--c\r\nContent-Type: application/http\r\nContent-ID: 1\r\n\r\nPOST leads HTTP/1.1\r\n"
    inner += 'Content-Type: application/json\r\n\r\n{"lastname":"Ax"}\r\n'
    for end in ("", "--b--\r\n", "--c\r\n--b--\r\n"):
        body = f"--b\r\nContent-Type: multipart/mixed; boundary=c\r\n\r\n{inner}{end}"
        response = org.call("POST", "$batch", body.encode(), {"Content-Type": "multipart/mixed; boundary=b"})
        assert (response.status, code(response)) == (400, "0x80048d19")
    assert org.values("leads") == []


def test_references_exist_inside_of_batches_only(org: Org) -> None:
    """V9, V57."""
    response = org.get("$1")
    assert (response.status, code(response)) == (404, "0x80060888")
