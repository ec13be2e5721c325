"""Tables of spellings that people and services use, and what each means."""

from __future__ import annotations

import unicodedata
from decimal import Decimal

import pyarrow as pa
import pytest

from include.leadsync.errors import AnswerMalformed, RowFailed
from include.leadsync.fields import (
    canonical_persons,
    canonical_rows,
    dynamics_columns,
    dynamics_value,
    from_activity_text,
    marketo_columns,
    marketo_value,
)
from include.leadsync.model import Entity, FieldMap, FieldType, Option
from tests.fields.sample_fields import FIELDS, RATING, make_field, map_of

LOOKUP = make_field(FieldType.LOOKUP, "string", "Owner", name="owner")


@pytest.mark.parametrize(
    ("kind", "text", "canonical"),
    [
        ("integer", "10", "10"),
        ("integer", "5.0", "5"),
        ("integer", "+5", "5"),
        ("integer", "007", "7"),
        ("integer", "-0", "0"),
        ("integer", "1E2", "100"),
        ("integer", "5.50", "5.5"),
        ("integer", "123456789012345678901234567890", "123456789012345678901234567890"),
        ("integer", "1,000", "1,000"),
        ("integer", "٣", "٣"),
        ("integer", " 5", " 5"),
        ("integer", "", None),
        ("decimal", "34.6600", "34.66"),
        ("decimal", ".5", "0.5"),
        ("decimal", "1.0E7", "10000000"),
        ("decimal", "-0.00001", "0"),
        ("decimal", "NaN", "NaN"),
        ("decimal", "Infinity", "Infinity"),
        ("decimal", "1e99", "1e99"),
        ("decimal", "34,66", "34,66"),
        ("money", "10000.00", "10000"),
        ("money", "2.345", "2.34"),
        ("money", "2.355", "2.36"),
        ("money", "2.3450000001", "2.35"),
        ("money", "-2.345", "-2.34"),
        ("boolean", "True", "true"),
        ("boolean", "False", "false"),
        ("boolean", "1", "true"),
        ("boolean", "0", "false"),
        ("boolean", None, "false"),
        ("boolean", "", "false"),
        ("boolean", "maybe", "maybe"),
        ("date", "2026-01-05", "2026-01-05"),
        ("date", "2026-01-05T23:30:00-05:00", "2026-01-05"),
        ("date kept as local time", "2026-01-05T00:00:00Z", "2026-01-05"),
        ("date", "2026-02-30", "2026-02-30"),
        ("date", "05.01.2026", "05.01.2026"),
        ("datetime", "2023-01-26 18:46:00", "2023-01-26T18:46:00Z"),
        ("datetime", "2026-01-05T10:00:00.999Z", "2026-01-05T10:00:00Z"),
        ("datetime", "2026-01-05T10:00:00+01:00", "2026-01-05T09:00:00Z"),
        ("datetime", "2026-01-01T00:30:00+0100", "2025-12-31T23:30:00Z"),
        ("datetime", "2026-01-05T10:00Z", "2026-01-05T10:00:00Z"),
        ("datetime", "2026-01-05", "2026-01-05T00:00:00Z"),
        ("datetime", "0001-01-01T00:00:00+05:00", "0001-01-01T00:00:00+05:00"),
        ("datetime", "tomorrow", "tomorrow"),
        ("choice", "Hot", "Hot"),
        ("choice", "hot", "Hot"),
        ("choice", "LUKEWARM", "Warm"),
        ("choice", "3", "Cold"),
        ("choice", "Tepid", "Tepid"),
        ("choice", " Hot", " Hot"),
        ("awkward choice", "STRASSE", "Straße"),
        ("awkward choice", "2", "2"),
        ("awkward choice", "10", "Straße"),
        ("awkward choice", "30", "30"),
        ("multi-choice", "Hot;Cold", "Cold;Hot"),
        ("multi-choice", "cold; hot ;Hot", "Cold;Hot"),
        ("multi-choice", "3;1", "Cold;Hot"),
        ("multi-choice", "Hot;Tepid", "Hot;Tepid"),
        ("multi-choice", ";;", None),
        ("string", "", None),
        ("string", "  two  blanks ", "  two  blanks "),
        ("string", "bell\x07", "bell\x07"),
        ("string", "null", "null"),
        ("text", "line\r\nbreak", "line\r\nbreak"),
        ("email", "Ann@Example.test", "Ann@Example.test"),
        ("phone", "+46 (0)8-123", "+46 (0)8-123"),
    ],
)
def test_each_spelling_has_one_meaning(kind: str, text: str | None, canonical: str | None) -> None:
    assert from_activity_text(FIELDS[kind], text) == canonical


def test_a_number_column_rounds_ties_to_the_even_digit_as_texts_do() -> None:
    ties = ["2.345", "2.355", "-2.345", "-2.355", "0.005", "0.015", "99.995", "2.3450000001"]
    raw = pa.table({"sample": pa.array([Decimal(tie) for tie in ties], pa.decimal128(38, 10))})
    rounded = ["2.34", "2.36", "-2.34", "-2.36", "0", "0.02", "100", "2.35"]
    assert canonical_persons(raw, map_of(FIELDS["money"]))["sample"].to_pylist() == rounded
    assert [from_activity_text(FIELDS["money"], tie) for tie in ties] == rounded


def test_composed_and_decomposed_accents_stay_different_texts() -> None:
    composed, decomposed = "Zo\u00eb", unicodedata.normalize("NFD", "Zo\u00eb")
    raw = pa.table({"sample": [composed, decomposed]})
    assert canonical_persons(raw, map_of(FIELDS["string"]))["sample"].to_pylist() == [composed, decomposed]


def test_configured_aliases_are_read_after_labels_and_before_numbers() -> None:
    field = make_field(FieldType.CHOICE, "string", "Picklist", options=RATING, aliases={"hot": ("1st", "Warm", "3")})
    assert [from_activity_text(field, text) for text in ("1ST", "warm", "3", "2")] == ["Hot", "Warm", "Hot", "Warm"]


def test_guids_compare_without_case() -> None:
    field = make_field(FieldType.STRING, "string", "Uniqueidentifier")
    upper = "A1B2C3D4-0000-0000-0000-00000000000F"
    assert from_activity_text(field, upper) == upper.lower()
    assert canonical_persons(pa.table({"sample": [upper]}), map_of(field))["sample"].to_pylist() == [upper.lower()]


def test_a_choice_number_that_metadata_does_not_know_stays_visible() -> None:
    raw = pa.table({"id": ["x"], "new_sample": pa.array([99], pa.int64())})
    assert canonical_rows(raw, map_of(FIELDS["choice"]))["sample"].to_pylist() == ["99"]
    raw = pa.table({"id": ["x"], "new_sample": ["3,99,1"]})
    assert canonical_rows(raw, map_of(FIELDS["multi-choice"]))["sample"].to_pylist() == ["99;Cold;Hot"]


def test_a_lookup_is_its_name() -> None:
    raw = pa.table({"id": ["x", "y"], "_new_owner_value": ["a-guid", None], "_new_owner_value@name": ["Ann Ax", None]})
    rows = canonical_rows(raw, map_of(LOOKUP))
    assert rows.column_names == ["id", "owner"]
    assert rows["owner"].to_pylist() == ["Ann Ax", None]
    assert dynamics_columns(map_of(LOOKUP)) == {"_new_owner_value": "text"}


def test_numbers_that_are_none_are_refused_at_the_door() -> None:
    raw = pa.table({"sample": pa.array([1.5, float("nan")])})
    with pytest.raises(AnswerMalformed, match="NaN"):
        canonical_persons(raw, map_of(FIELDS["decimal"]))


def test_other_columns_are_kept_as_they_came_and_fields_follow_in_layout_order() -> None:
    money, rating = make_field(FieldType.MONEY, "currency", "Money", name="b", precision=2), FIELDS["choice"]
    raw = pa.table(
        {
            "sample": ["hot"],
            "id": pa.array([7], pa.int64()),
            "b": pa.array([Decimal("1.50")], pa.decimal128(38, 10)),
            "microsoftIsDeleted": [True],
        }
    )
    table = canonical_persons(raw, map_of(money, rating))
    assert table.column_names == ["id", "microsoftIsDeleted", "b", "sample"]
    assert table.to_pylist() == [{"id": 7, "microsoftIsDeleted": True, "b": "1.5", "sample": "Hot"}]
    assert table.schema.field("b").type == pa.large_string()


def test_a_field_that_was_not_read_has_no_column() -> None:
    table = canonical_persons(pa.table({"id": [1]}), map_of(FIELDS["boolean"]))
    assert table.column_names == ["id"]


def test_an_attribute_may_feed_two_fields() -> None:
    topic = make_field(FieldType.STRING, "string", "String", name="topic")
    subject = make_field(FieldType.STRING, "string", "String", name="subject")
    subject = type(subject)(subject.rule, subject.marketo, topic.dynamics)
    rows = canonical_rows(pa.table({"id": ["x"], "new_topic": ["Hello"]}), map_of(topic, subject))
    assert rows.to_pylist() == [{"id": "x", "topic": "Hello", "subject": "Hello"}]


def test_a_dynamics_column_named_like_another_field_does_not_take_its_place() -> None:
    company = make_field(FieldType.STRING, "string", "String", name="company")
    raw = pa.table({"id": ["x"], "company": ["+46 8 123"], "new_company": ["Example AB"]})
    assert canonical_rows(raw, map_of(company)).to_pylist() == [{"id": "x", "company": "Example AB"}]


def test_an_empty_table_and_a_column_of_nulls_have_text_columns() -> None:
    for kind, field in FIELDS.items():
        for column in (pa.array([], pa.string()), pa.nulls(2)):
            table = canonical_persons(pa.table({"sample": column}), map_of(field))
            assert table.schema.field("sample").type == pa.large_string(), kind
            assert set(table["sample"].to_pylist()) <= {None, "false"}, kind


def test_marketo_columns_are_those_of_either_map() -> None:
    maps = {
        Entity.LEAD: FieldMap(Entity.LEAD, (make_field(FieldType.MONEY, "currency", "Money", name="a"),)),
        Entity.CONTACT: FieldMap(Entity.CONTACT, (make_field(FieldType.BOOLEAN, "boolean", "Boolean", name="b"),)),
    }
    assert marketo_columns(maps) == {"a": "number", "b": "boolean"}


@pytest.mark.parametrize(
    ("kind", "value", "marketo", "dynamics"),
    [
        ("integer", "5", 5, 5),
        ("integer as text", "5", "5", 5),
        ("money", "34.66", 34.66, 34.66),
        ("money", "10000", 10000, 10000),
        ("money", "922337203685477.58", "922337203685477.58", "922337203685477.58"),
        ("boolean", "true", True, True),
        ("date", "2026-01-05", "2026-01-05", "2026-01-05"),
        ("date kept as local time", "2026-01-05", "2026-01-05", "2026-01-05T00:00:00Z"),
        ("datetime", "2026-01-05T10:00:00Z", "2026-01-05T10:00:00Z", "2026-01-05T10:00:00Z"),
        ("choice", "Cold", "Cold", 3),
        ("choice", "lukewarm", "Warm", 2),
        ("multi-choice", "Cold;Hot", "Cold;Hot", "1,3"),
        ("string", "😀", "😀", "😀"),
    ],
)
def test_each_value_leaves_as_the_api_wants_it(kind: str, value: str, marketo: object, dynamics: object) -> None:
    written = marketo_value(FIELDS[kind], value), dynamics_value(FIELDS[kind], value)
    assert written == (marketo, dynamics)
    assert [type(part) for part in written] == [type(marketo), type(dynamics)]


@pytest.mark.parametrize(
    ("kind", "value", "code"),
    [
        ("integer", "5.5", "invalid_integer"),
        ("integer", "five", "invalid_integer"),
        ("integer", "2147483648", "out_of_range"),
        ("long integer", "9223372036854775808", "out_of_range"),
        ("money", "NaN", "invalid_money"),
        ("decimal", "1e99", "invalid_decimal"),
        ("boolean", "maybe", "invalid_boolean"),
        ("date", "2026-02-30", "invalid_date"),
        ("datetime", "2026-02-30T10:00:00Z", "invalid_datetime"),
        ("choice", "Tepid", "unknown_option"),
        ("multi-choice", "Hot;Tepid", "unknown_option"),
        ("string", "\ud83d", "invalid_characters"),
        ("string", "", "invalid_string"),
    ],
)
def test_what_is_no_value_of_its_type_never_leaves_for_dynamics(kind: str, value: str, code: str) -> None:
    with pytest.raises(RowFailed) as caught:
        dynamics_value(FIELDS[kind], value)
    assert (caught.value.code, caught.value.field) == (code, "sample")


def test_an_integer_beyond_64_bits_never_leaves_for_marketo() -> None:
    with pytest.raises(RowFailed, match="does not fit 64 bits"):
        marketo_value(FIELDS["integer"], "9223372036854775808")


def test_a_lookup_is_never_written_to_dynamics() -> None:
    with pytest.raises(RowFailed, match="inbound only"):
        dynamics_value(LOOKUP, "Ann Ax")
    assert marketo_value(LOOKUP, "Ann Ax") == "Ann Ax"


def test_the_first_of_two_options_with_one_label_is_written() -> None:
    options = (Option(4, "Other"), Option(9, "Other"))
    field = make_field(FieldType.CHOICE, "string", "Picklist", options=options)
    assert dynamics_value(field, "Other") == 4
    assert from_activity_text(field, "9") == "Other"
