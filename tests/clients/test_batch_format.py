"""Batch bodies: built exactly, read from whatever arrives."""

from __future__ import annotations

import json
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from include.leadsync.clients.batch_format import Part, build, content_type, is_batch_answer, new_boundary, parse

TYPE = "multipart/mixed; boundary=batchresponse_1"
ONE = Part("PATCH", "/api/data/v9.2/leads(1)", (("If-Match", "*"),), b'{"a":1}')


def answer_part(status: int, body: bytes = b"", *headers: str) -> bytes:
    lines = [
        "--batchresponse_1",
        "Content-Type: application/http",
        "Content-Transfer-Encoding: binary",
        "",
        f"HTTP/1.1 {status} Whatever",
        "OData-Version: 4.0",
        *headers,
    ]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body + b"\r\n"


def whole(*parts: bytes) -> bytes:
    return b"".join(parts) + b"--batchresponse_1--\r\n"


THREE = whole(
    answer_part(204, b"", 'ETag: W/"7"'),
    answer_part(412, b'{"error":{"code":"0x80060882","message":"a\\r\\n\\r\\nb"}}', "Content-Type: application/json"),
    answer_part(200, b'{"x":"--batchresponse_1"}', "Content-Type: application/json"),
)


def statuses(body: bytes, expected: int, content: str = TYPE) -> list[int | None]:
    return [answer.status if answer else None for answer in parse(body, content, expected)]


def test_a_request_is_built_byte_for_byte_as_documented() -> None:
    get = Part("GET", "/api/data/v9.2/contacts(2)", (("Accept", "application/json"),))
    assert build([ONE, get], "batch_a") == (
        b"--batch_a\r\nContent-Type: application/http\r\nContent-Transfer-Encoding: binary\r\n\r\n"
        b"PATCH /api/data/v9.2/leads(1) HTTP/1.1\r\nIf-Match: *\r\n\r\n"
        b'{"a":1}\r\n'
        b"--batch_a\r\nContent-Type: application/http\r\nContent-Transfer-Encoding: binary\r\n\r\n"
        b"GET /api/data/v9.2/contacts(2) HTTP/1.1\r\nAccept: application/json\r\n\r\n"
        b"\r\n"
        b"--batch_a--\r\n"
    )
    assert content_type("batch_a") == 'multipart/mixed; boundary="batch_a"'
    assert new_boundary() != new_boundary()


@pytest.mark.parametrize("count", [0, 1001])
def test_no_batch_is_empty_or_over_a_thousand(count: int) -> None:
    with pytest.raises(ValueError, match="possible"):
        build([ONE] * count, "b")


@pytest.mark.parametrize(
    "part",
    [
        Part("GET", "/x HTTP/1.1\r\nX: y"),
        Part("GET", "/x", (("If-Match", 'W/"1"\r\nX: y'),)),
        Part("GET", "/x", (("A\nB", "c"),)),
    ],
)
def test_line_breaks_cannot_smuggle_a_second_request(part: Part) -> None:
    with pytest.raises(ValueError, match="line break"):
        build([part], "b")


@pytest.mark.parametrize("line_end", [b"\r\n", b"\n"])
@pytest.mark.parametrize(
    "content",
    [TYPE, 'multipart/mixed; boundary="batchresponse_1"', "multipart/mixed; Boundary=batchresponse_1; charset=utf-8"],
)
def test_answers_are_read_in_order_with_either_line_end(line_end: bytes, content: str) -> None:
    answers = parse(THREE.replace(b"\r\n", line_end), content, 3)
    first, second, third = (answer for answer in answers if answer is not None)
    assert (first.status, first.headers["etag"], first.body) == (204, 'W/"7"', b"")
    assert second.status == 412
    assert json.loads(second.body)["error"]["code"] == "0x80060882"
    assert json.loads(third.body) == {"x": "--batchresponse_1"}


def test_the_boundary_is_found_in_the_body_when_the_header_lacks_it() -> None:
    assert statuses(THREE, 3, "multipart/mixed") == [204, 412, 200]


def test_a_preamble_is_ignored() -> None:
    assert statuses(b"This is a message\r\n" + THREE, 3) == [204, 412, 200]


def test_missing_parts_are_unanswered() -> None:
    assert statuses(whole(answer_part(204)), 3) == [204, None, None]


def test_a_part_that_is_cut_off_is_unanswered_however_complete_it_looks() -> None:
    body = answer_part(204) + answer_part(200, b'{"a":1}')
    assert statuses(body, 2) == [204, None]


def test_every_cut_leaves_only_answers_of_the_whole_body() -> None:
    complete = parse(THREE, TYPE, 3)
    for length in range(len(THREE) - 3):
        for position, answer in enumerate(parse(THREE[:length], TYPE, 3)):
            assert answer is None or answer == complete[position], length


def test_a_part_that_is_no_http_keeps_its_place() -> None:
    garbled = b"--batchresponse_1\r\nContent-Type: application/http\r\n\r\nHELLO\r\n"
    assert statuses(whole(answer_part(204), garbled, answer_part(404)), 3) == [204, None, 404]


def test_more_answers_than_requests_are_no_answers() -> None:
    assert statuses(THREE, 2) == [None, None]


def test_a_body_without_header_line_ends_is_read_to_its_end() -> None:
    bare = b"--batchresponse_1\r\nContent-Type: application/http\r\n\r\nHTTP/1.1 204 No Content\r\n"
    assert statuses(whole(bare, answer_part(200)), 2) == [204, 200]


@given(st.binary(max_size=300), st.integers(1, 4))
def test_no_bytes_make_the_reader_fail(body: bytes, expected: int) -> None:
    assert len(parse(body, TYPE, expected)) == expected


@given(st.randoms(use_true_random=False))
def test_no_scrambling_of_an_answer_makes_the_reader_fail(chance: random.Random) -> None:
    lines = THREE.split(b"\r\n")
    chance.shuffle(lines)
    assert len(parse(b"\r\n".join(lines), TYPE, 3)) == 3


@pytest.mark.parametrize(
    ("content", "is_batch"),
    [(TYPE, True), ("Multipart/Mixed; boundary=x", True), ("application/json", False), ("", False)],
)
def test_batch_answers_are_known_by_their_content_type(content: str, is_batch: bool) -> None:
    assert is_batch_answer(content) is is_batch
