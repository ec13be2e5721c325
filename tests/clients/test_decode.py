"""JSON to Arrow: exact, tolerant of what is missing, intolerant of what is wrong."""

from __future__ import annotations

import json
import traceback
from decimal import Decimal

import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from include.leadsync.clients import decode
from include.leadsync.clients.decode import Column, excerpt, rows
from include.leadsync.errors import AnswerMalformed

COLUMNS = (
    Column("leadid", "id", "text"),
    Column("n", "n", "number"),
    Column("i", "i", "integer"),
    Column("b", "b", "boolean"),
)
TYPES = {"id": pa.string(), "n": pa.decimal128(38, 10), "i": pa.int64(), "b": pa.bool_()}


def table(body: bytes) -> pa.Table:
    return rows("dynamics", body, COLUMNS)


def number(text: str) -> Decimal | None:
    value: Decimal | None = table(b'[{"n":%s}]' % text.encode())["n"][0].as_py()
    return value


def test_columns_have_the_announced_names_and_types_even_without_rows() -> None:
    empty = table(b"[]")
    assert {field.name: field.type for field in empty.schema} == TYPES
    assert empty.num_rows == 0


def test_missing_members_and_nulls_are_null_and_unknown_members_are_ignored() -> None:
    body = b'[{"leadid":"A","x":{"y":[1]}},{"n":null,"i":null,"b":null}]'
    assert table(body).to_pylist() == [
        {"id": "A", "n": None, "i": None, "b": None},
        {"id": None, "n": None, "i": None, "b": None},
    ]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("10000", "10000"),
        ("10000.0", "10000"),
        ("5000000.0000", "5000000"),
        ("34.66", "34.66"),
        ("922337203685477.5807", "922337203685477.5807"),
        ("-0.0", "0"),
        ("1E+5", "100000"),
        ("5e-12", "0"),
        ("1e-999999999", "0"),
        ("47.639580000000002", "47.63958"),
        ("0.00000000005", "0"),
        ("0.00000000015", "0.0000000002"),
        ('"200"', "200"),
    ],
)
def test_numbers_keep_their_digits_up_to_ten_places(text: str, value: str) -> None:
    assert number(text) == Decimal(value)


@settings(deadline=None)  # a busy machine is no error
@given(st.decimals(min_value=-(10**20), max_value=10**20, places=10))
def test_any_decimal_with_ten_places_survives(value: Decimal) -> None:
    assert number(str(value)) == value


@pytest.mark.parametrize(
    "body",
    [
        b'[{"n":"x"}]',
        b'[{"n":"NaN"}]',
        b'[{"n":NaN}]',
        b'[{"n":Infinity}]',
        b'[{"n":""}]',
        b'[{"i":""}]',
        b'[{"i":true}]',
        b'[{"i":"five"}]',
        b'[{"b":2}]',
        b'[{"b":"yes"}]',
        b'[{"leadid":{"a":1}}]',
        b'[{"leadid":["a"]}]',
        b'[{"leadid":"\\ud800"}]',
        b'[{"n":true}]',
        b'[{"n":[1]}]',
        b'[{"n":[1,\n2]}]',
        b'[{"n":1e99}]',
        b'[{"n":1e999999999}]',
        b'[{"n":%s}]' % (b"1" * 400),
        b'[{"i":5.5}]',
        b'[{"i":99999999999999999999}]',
        b'[{"leadid":"\xff"}]',
        b"[null]",
        b"null",
        b'{"value":[]}',
        b'[{"n":1',
        b"",
        b"<html>busy</html>",
        b'[{"x":' + b"[" * 200_000,
    ],
)
def test_what_cannot_be_read_spoils_the_answer_instead_of_becoming_a_wrong_value(body: bytes) -> None:
    with pytest.raises(AnswerMalformed):
        table(body)


@pytest.mark.parametrize(
    ("body", "name", "value"),
    [
        (b'[{"leadid":8000}]', "id", "8000"),
        (b'[{"leadid":8.50}]', "id", "8.50"),
        (b'[{"leadid":true}]', "id", "true"),
        (b'[{"leadid":"null"}]', "id", "null"),
        (b'[{"leadid":""}]', "id", ""),
        (b'[{"i":"5"}]', "i", 5),
        (b'[{"i":"9007199254740993"}]', "i", 2**53 + 1),
        (b'[{"n":"34.66"}]', "n", Decimal("34.66")),
        (b'[{"b":"true"}]', "b", True),
        (b'[{"b":0}]', "b", False),
    ],
)
@pytest.mark.parametrize("beside", [b"", b',{"leadid":"a\\\\b"}'])  # the second sends the page the slow way
def test_a_value_of_another_json_type_is_read_when_nothing_is_lost(
    body: bytes, name: str, value: object, beside: bytes
) -> None:
    assert table(body[:-1] + beside + b"]")[name][0].as_py() == value


def test_of_a_member_named_twice_the_last_one_counts() -> None:
    assert table(b'[{"i":1,"i":2}]')["i"].to_pylist() == [2]


@settings(deadline=None)  # a busy machine is no error
@given(
    st.lists(st.tuples(st.text(), st.none() | st.integers(-(2**63), 2**63 - 1), st.none() | st.booleans()), min_size=1)
)
@example([("a\\b\n\r\t/\x1f{[\x08\x0c", 1, None), ('\U0001f600\u2028"', None, True), ("", 0, False)])
def test_both_ways_read_what_json_says(found: list[tuple[str, int | None, bool | None]]) -> None:
    people = [{"leadid": text, "i": whole, "b": yes} for text, whole, yes in found]
    for ascii_only in (True, False):
        body = json.dumps(people, ensure_ascii=ascii_only).encode()
        read = table(body).select(["id", "i", "b"]).to_pylist()
        assert read == [{"id": text, "i": whole, "b": yes} for text, whole, yes in found]


def test_an_ordinary_page_goes_the_quick_way(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decode, "one_column", None)
    people = [{"leadid": 'São "João"\r\n\u2028/', "n": 1.5, "i": 7, "b": True, "@odata.etag": 'W/"1"'}]
    for ascii_only in (True, False):
        (row,) = table(json.dumps(people, ensure_ascii=ascii_only).encode()).to_pylist()
        assert row == {"id": 'São "João"\r\n\u2028/', "n": Decimal("1.5"), "i": 7, "b": True}


def test_whole_numbers_written_with_a_point_are_whole() -> None:
    assert table(b'[{"i":7.0},{"i":8},{"i":null}]')["i"].to_pylist() == [7, 8, None]


def test_whole_numbers_keep_all_64_bits() -> None:
    assert table(b'[{"i":9223372036854775807},{"i":-9223372036854775808}]')["i"].to_pylist() == [2**63 - 1, -(2**63)]


def test_a_byte_order_mark_is_tolerated() -> None:
    assert table(b'\xef\xbb\xbf[{"leadid":"A"}]').num_rows == 1


def test_the_excerpt_shows_no_credential() -> None:
    with pytest.raises(AnswerMalformed) as caught:
        table(b'{"access_token":"abc-secret')
    assert "abc-secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("body", "shown"),
    [
        (
            b'{"requestId":"e4#1","result":[{"id":7,"email":"ada@example.test"},',
            '{"requestId":"…","result":[{"id":7,"email":"…"},',
        ),
        (b'{"a":"say \\"Ada\\" : twice","b', '{"a":"…","…"'),
        (b'\xef\xbb\xbf ["Ada", "Lovel', '["…", "…"'),
        (b"<html>502 Bad Gateway</html>", "<html>502 Bad Gateway</html>"),
        (b"ada@example.test;Ada", "20 bytes that are neither JSON nor a page"),
        (b'{"a":"cut in an escape\\', '{"a":"…"'),
    ],
)
def test_the_excerpt_shows_the_shape_of_an_answer_and_nobodys_data(body: bytes, shown: str) -> None:
    assert excerpt(body) == shown


@pytest.mark.parametrize("body", [b'[{"n":"ada@example.test"}]', b'[{"i":"ada@example.test"}]', b'[{"i":5.5}]'])
def test_a_traceback_shows_no_value(body: bytes) -> None:
    with pytest.raises(AnswerMalformed) as caught:
        table(body)
    shown = "".join(traceback.format_exception(caught.value))
    assert "ada@" not in shown
    assert "5.5" not in shown


def test_texts_of_every_script_survive() -> None:
    names = ["张伟", "Åsa", "José", "김", "ليلى", "👩‍🚀", 'a"b\\c\n']
    body = json.dumps([{"leadid": name} for name in names]).encode()
    assert table(body)["id"].to_pylist() == names
