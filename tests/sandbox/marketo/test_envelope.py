from __future__ import annotations

import gzip
import json
import re
from typing import Any

import pytest

from tests.sandbox.marketo.caller import FORM, START, Caller, answer, code, header, ids


def test_the_request_id_carries_the_time_and_differs_per_call(marketo: Caller) -> None:
    """M9."""
    first, second = (marketo.get("/rest/v1/leads/describe.json")["requestId"] for _ in range(2))
    assert re.fullmatch(r"[0-9a-f]+#[0-9a-f]+", first)
    assert int(first.split("#")[1], 16) == int(START.timestamp() * 1000)
    assert first != second


def test_answers_carry_errors_only_when_there_are_some(marketo: Caller) -> None:
    """M10."""
    good = marketo.get("/rest/v1/leads/describe.json")
    assert set(good) == {"requestId", "result", "success"}
    bad = marketo.get("/rest/v1/leads.json")
    assert set(bad) == {"requestId", "success", "errors"}
    assert isinstance(bad["errors"][0]["code"], str)


TEXTS = [
    "Łukasz Żółć", "李小龍", "Åse Öström", "João Conceição", "Peña Ñuñez", "김민수", "عبد الرحمن", "😀👩‍👩‍👧‍👦 🇸🇪",
    "e\u0301 is not é", " blanks around ", "line\nbreak\tand\rreturn", 'quote " backslash \\ slash /',
    "nul \u0000 inside",
    "'; DROP TABLE person; --", "null", "\u2028 separator", "x" * 255, "\U0010ffff" * 255,
]  # fmt: skip


@pytest.mark.parametrize("text", TEXTS)
def test_every_script_survives_a_round_trip(marketo: Caller, text: str) -> None:
    """M11."""
    person = marketo.create(lastName=text)
    response = marketo.send("GET", f"/rest/v1/lead/{person}.json", "fields=lastName")
    assert header(response, "content-type") == "application/json;charset=UTF-8"
    assert answer(response)["result"][0]["lastName"] == text


def test_a_long_text_is_kept_up_to_30_000_bytes_and_refused_above(marketo: Caller) -> None:
    """M11, section 7: text areas hold 30,000 bytes of UTF-8."""
    fits, too_long, huge = "é" * 15_000, "é" * 15_001, "я" * 51_200
    person = marketo.create(mktoPersonNotes=fits)
    assert marketo.person(person, "mktoPersonNotes")["mktoPersonNotes"] == fits
    results = marketo.sync({"mktoPersonNotes": too_long}, {"mktoPersonNotes": huge}, action="createDuplicate")
    assert [result["reasons"][0]["code"] for result in results] == ["1003", "1003"]


def test_long_answers_are_gzipped_on_request_outside_bulk(marketo: Caller) -> None:
    """M12."""
    accept = {"accept-encoding": "deflate, gzip;q=1.0"}
    long = marketo.send("GET", "/rest/v1/leads/describe.json", headers=accept)
    assert header(long, "content-encoding") == "gzip"
    assert json.loads(gzip.decompress(long.body))["success"]
    assert header(marketo.send("GET", "/rest/v1/leads/describe.json"), "content-encoding") is None
    assert header(marketo.send("GET", "/rest/v1/stats/usage.json", headers=accept), "content-encoding") is None


def test_bulk_answers_are_never_gzipped(marketo: Caller) -> None:
    """M12."""
    marketo.option(extract_status_interval=0)
    for number in range(40):
        marketo.create(lastName=f"Somebody with a longer name {number}")
    window = {"startAt": "2026-03-01T00:00:00Z", "endAt": "2026-03-02T00:00:00Z"}
    made = marketo.post("/bulk/v1/leads/export/create.json", {"fields": ["lastName"], "filter": {"createdAt": window}})
    job = f"/bulk/v1/leads/export/{made['result'][0]['exportId']}"
    marketo.post(f"{job}/enqueue.json")
    response = marketo.send("GET", f"{job}/file.json", headers={"accept-encoding": "gzip"})
    assert len(response.body) > 1024
    assert header(response, "content-encoding") is None


def test_a_body_over_one_megabyte_answers_413(marketo: Caller) -> None:
    """M13."""
    assert marketo.send("POST", "/rest/v1/leads.json", body={"input": ["x" * 1_100_000]}).status == 413


def test_a_long_uri_answers_414_and_works_as_a_form(marketo: Caller) -> None:
    """M13."""
    person = marketo.create(email="ada@example.test")
    values = ",".join(["ada@example.test", *(f"nobody{number:030d}@example.test" for number in range(200))])
    query = {"filterType": "email", "filterValues": values}
    assert marketo.send("GET", "/rest/v1/leads.json", query).status == 414
    found = answer(marketo.send("POST", "/rest/v1/leads.json", "_method=GET", form=query))
    assert ids(found["result"]) == [person]


@pytest.mark.parametrize(("length", "status"), [(8192, 200), (8193, 414)])
def test_a_uri_may_have_8_kilobytes(marketo: Caller, length: int, status: int) -> None:
    """M13: path, question mark and query together."""
    path = "/rest/v1/leads/partitions.json"
    query = "x=".ljust(length - len(path) - 1, "y")
    assert marketo.send("GET", path, query).status == status


def test_the_method_override_works_in_the_query_and_in_the_form(marketo: Caller) -> None:
    """M14."""
    person = marketo.create(email="ada@example.test")
    query = {"filterType": "email", "filterValues": "ada@example.test"}
    inside = answer(marketo.send("POST", "/rest/v1/leads.json", form={**query, "_method": "GET"}))
    assert ids(inside["result"]) == [person]
    deleted = answer(marketo.send("POST", "/rest/v1/leads.json", "_method=DELETE", body={"input": [{"id": person}]}))
    assert deleted["result"] == [{"id": person, "status": "deleted"}]


@pytest.mark.parametrize(
    "query",
    ["fields=email,lastName&filterValues=1,2", "fields=email&fields=lastName&filterValues=1&filterValues=2",
     "fields=email&fields=lastName,&filterValues=1,2&fields=&unknown=7&name="],
)  # fmt: skip
def test_array_parameters_may_be_lists_or_repeated(marketo: Caller, query: str) -> None:
    """M15."""
    for number in range(3):
        marketo.create(email=f"p{number}@example.test")
    found = answer(marketo.send("GET", "/rest/v1/leads.json", f"filterType=id&{query}"))
    assert [list(record) for record in found["result"]] == [["id", "email", "lastName"]] * 2


def test_unknown_members_of_a_body_are_ignored(marketo: Caller) -> None:
    """M15."""
    body = {"input": [{"email": "ada@example.test"}], "nonsense": {"a": 1}}
    assert marketo.post("/rest/v1/leads.json", body)["result"][0]["status"] == "created"


def test_dot_segments_lead_to_bulk(marketo: Caller) -> None:
    """M16."""
    assert marketo.get("/rest/../bulk/v1/leads/export.json")["result"] == []
    assert marketo.get("/rest/v1//leads/describe.json")["success"]


def test_needless_bodies_and_needless_content_types_are_accepted(marketo: Caller) -> None:
    """M16."""
    found = answer(marketo.send("GET", "/rest/v1/leads/describe.json", body={"a": 1}))
    assert found["success"]
    person, other = marketo.create(), marketo.create()
    merge = marketo.send(
        "POST", f"/rest/v1/leads/{person}/merge.json", f"leadId={other}", headers={"content-type": "application/json"}
    )
    assert answer(merge)["success"]


CASES: list[tuple[str, str, bytes, dict[str, str], str]] = [
    ("PUT", "/rest/v1/leads.json", b"{}", {"content-type": "application/json"}, "605"),
    ("POST", "/rest/v1/leads/describe.json", b"", {}, "605"),
    ("GET", "/rest/v1/nowhere.json", b"", {}, "610"),
    ("GET", "/rest/v1/leadsXjson", b"", {}, "610"),
    ("GET", "/rest/v1/leads/describe.json/", b"", {}, "610"),
    ("GET", "/REST/v1/leads/describe.json", b"", {}, "610"),
    ("GET", "/rest/v1/leads/describe", b"", {}, "610"),
    ("GET", "/", b"", {}, "610"),
    ("HEAD", "/rest/v1/leads/describe.json", b"", {}, "605"),
    ("GET", "/rest/v1/lead/1_0.json", b"", {}, "1001"),
    ("POST", "/rest/v1/leads.json", b'{"input":"x"}', {"content-type": "application/json"}, "609"),
    (
        "POST",
        "/rest/v1/leads.json",
        b'{"input":' + b"[" * 5000 + b"]" * 5000 + b"}",
        {"content-type": "application/json"},
        "609",
    ),
    ("POST", "/rest/v1/leads.json", b"\xff\xfe{", {"content-type": "application/json"}, "609"),
    ("POST", "/rest/v1/leads.json", b"{", {"content-type": "application/json"}, "609"),
    ("POST", "/rest/v1/leads.json", b"[]", {"content-type": "application/json"}, "609"),
    ("POST", "/rest/v1/leads.json", b'{"input":{}}', {"content-type": "application/json"}, "609"),
    ("POST", "/rest/v1/leads.json", b'{"input":[1]}', {"content-type": "application/json"}, "609"),
    ("POST", "/rest/v1/leads.json", b'{"input":[{"email":"\xff"}]}', {"content-type": "application/json"}, "609"),
    ("POST", "/rest/v1/leads.json", b'{"input":[{"lastName":NaN}]}', {"content-type": "application/json"}, "609"),
    ("POST", "/rest/v1/leads.json", b'{"input":[{}]}', {}, "612"),
    ("POST", "/rest/v1/leads.json", b"input=1", {"content-type": FORM}, "612"),
]


@pytest.mark.parametrize(("method", "path", "body", "headers", "expected"), CASES)
def test_malformed_requests_answer_their_codes(
    marketo: Caller, method: str, path: str, body: bytes, headers: dict[str, Any], expected: str
) -> None:
    """M17."""
    sent = {"authorization": f"Bearer {marketo.token()}", **headers}
    assert code(answer(marketo.raw(method, path, "", body, sent))) == expected


def test_gzip_that_is_refused_is_not_sent(marketo: Caller) -> None:
    """M12."""
    long = marketo.send("GET", "/rest/v1/leads/describe.json", headers={"accept-encoding": "gzip;q=0, identity"})
    assert header(long, "content-encoding") is None


def test_the_text_of_a_bad_input_is_the_recorded_one(marketo: Caller) -> None:
    """M17, section 3.2."""
    found = marketo.post("/rest/v1/leads.json", {"input": {"email": "ada@example.test"}})
    assert found["errors"] == [{"code": "609", "message": "Invalid value specified for attribute 'input'"}]


@pytest.mark.parametrize(
    "query",
    [{"filterType": "email", "filterValues": "' OR 1=1 --"},
     {"filterType": "regionCode", "filterValues": "x') OR (1=1"},
     {"filterType": "email' OR '1'='1", "filterValues": "a"}, {"filterType": "id", "filterValues": "1 OR 1=1"},
     {"filterType": "id", "filterValues": "999", "fields": "id;DROP TABLE person"},
     {"filterType": "id", "filterValues": "999", "nextPageToken": "' OR 1=1"}],
)  # fmt: skip
def test_injected_filters_find_nobody(marketo: Caller, query: dict[str, str]) -> None:
    """M26, M30: what looks like SQL is a value that nobody has, or is refused."""
    marketo.make_field("regionCode", "string")
    marketo.create(email="ada@example.test", regionCode="EU")
    found = marketo.get("/rest/v1/leads.json", **query)
    assert not found.get("result")
    assert found["success"] or found["errors"][0]["code"] in {"1001", "1003", "1006", "1011"}
    assert marketo.emulator.control("people_count", {}) == {"people": 1}


def test_the_text_of_605_names_the_method(marketo: Caller) -> None:
    """M17."""
    found = answer(marketo.send("PUT", "/rest/v1/leads.json"))
    assert found["errors"] == [{"code": "605", "message": "Request method 'PUT' not supported"}]
