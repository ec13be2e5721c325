"""A canonical value written to either system and read back is itself (D8, D54 to D64)."""

from __future__ import annotations

from typing import Any

import hypothesis.strategies as st
import pyarrow as pa
import pytest
from hypothesis import given, settings

from include.leadsync.fields import (
    canonical_persons,
    canonical_rows,
    dynamics_columns,
    dynamics_value,
    from_activity_text,
    marketo_columns,
    marketo_value,
)
from include.leadsync.model import FieldType, SyncField
from tests.fields.sample_fields import (
    ARROW,
    CANONICAL,
    FIELDS,
    as_stored,
    brief,
    briefest,
    few_and_many,
    make_field,
    many,
    map_of,
)

every_field = pytest.mark.parametrize("kind", FIELDS)


def through_marketo(field: SyncField, values: list[str | None]) -> list[str | None]:
    wire = marketo_columns([map_of(field)])[field.name]
    stored = [as_stored(marketo_value(field, value), wire) for value in values]
    raw = pa.table({"id": list(range(len(values))), field.name: pa.array(stored, ARROW[wire])})
    back: list[str | None] = canonical_persons(raw, map_of(field))[field.name].to_pylist()
    return back


def through_dynamics(field: SyncField, values: list[str | None]) -> list[str | None]:
    wire = dynamics_columns(map_of(field))[field.column]
    stored = [as_stored(dynamics_value(field, value), wire) for value in values]
    raw = pa.table({"id": [str(n) for n in range(len(values))], field.column: pa.array(stored, ARROW[wire])})
    back: list[str | None] = canonical_rows(raw, map_of(field))[field.name].to_pylist()
    return back


@every_field
@brief
@given(data=st.data())
def test_a_value_written_to_marketo_and_read_back_is_itself(kind: str, data: Any) -> None:
    for values in few_and_many(data.draw(many(CANONICAL[kind]))):
        assert through_marketo(FIELDS[kind], values) == values


@every_field
@brief
@given(data=st.data())
def test_a_value_written_to_dynamics_and_read_back_is_itself(kind: str, data: Any) -> None:
    for values in few_and_many(data.draw(many(CANONICAL[kind]))):
        assert through_dynamics(FIELDS[kind], values) == values


@every_field
def test_a_cleared_field_reads_back_cleared_from_both_sides(kind: str) -> None:
    field = FIELDS[kind]
    cleared = "false" if field.rule.type is FieldType.BOOLEAN else None
    assert through_marketo(field, [None, None]) == [cleared, cleared]
    assert through_dynamics(field, [None, None]) == [cleared, cleared]


@every_field
@briefest
@given(data=st.data())
def test_the_feed_reads_a_value_as_the_table_does(kind: str, data: Any) -> None:
    values = data.draw(many(CANONICAL[kind]))
    assert [from_activity_text(FIELDS[kind], value) for value in values] == values


_LOOSE = {
    FieldType.INTEGER: st.from_regex(r"\A[+-]?0{0,3}[0-9]{0,25}(\.[0-9]{0,3})?([eE][+-]?[0-9])?\Z"),
    FieldType.DECIMAL: st.from_regex(r"\A[+-]?[0-9]{0,25}(\.[0-9]{0,12})?([eE][+-]?[0-9]{1,2})?\Z"),
    FieldType.MONEY: st.from_regex(r"\A[+-]?[0-9]{0,25}(\.[0-9]{0,12})?\Z"),
    FieldType.BOOLEAN: st.sampled_from(["True", "FALSE", "1", "0", "yes", "No", "true", "maybe"]),
    FieldType.DATE: st.from_regex(r"\A20[0-9]{2}-[01][0-9]-[0-3][0-9]([T ][0-2][0-9]:[0-5][0-9](:00Z)?)?\Z"),
    FieldType.DATETIME: st.from_regex(
        r"\A20[0-9]{2}-[01][0-9]-[0-3][0-9][T ][0-2][0-9]:[0-5][0-9](:[0-5][0-9](\.[0-9]{1,3})?)?"
        r"(Z|[+-]0[0-9]:?[03]0)?\Z"
    ),
    FieldType.CHOICE: st.sampled_from(["hot", "WARM", "lukewarm", "3", "Tepid", "strasse", "1", "2"]),
    FieldType.MULTI_CHOICE: st.sampled_from(["cold;hot", "Hot; Warm", "3;1", "x;Hot", ";", " spaced ;2", "hot;;hot"]),
}


@every_field
@brief
@given(data=st.data())
def test_a_column_spells_every_text_as_the_value_alone_is_spelled(kind: str, data: Any) -> None:
    field = FIELDS[kind]
    texts = st.one_of(st.none(), st.text(max_size=12), CANONICAL[kind], _LOOSE.get(field.rule.type, st.none()))
    drawn = [value if value is None else value.encode("utf-8", "ignore").decode() for value in data.draw(many(texts))]
    for values in few_and_many(drawn):
        raw = pa.table({field.name: pa.array(values, pa.string())})
        column = canonical_persons(raw, map_of(field))[field.name].to_pylist()
        assert column == [from_activity_text(field, value) for value in values]


@every_field
@briefest
@given(data=st.data())
def test_spelling_a_canonical_value_again_changes_nothing(kind: str, data: Any) -> None:
    field = FIELDS[kind]
    loose = st.one_of(st.text(st.characters(exclude_categories=["Cs"])), _LOOSE.get(field.rule.type, st.just("x")))
    once = [from_activity_text(field, value) for value in data.draw(many(loose))]
    assert [from_activity_text(field, value) for value in once] == once


@settings(brief, max_examples=50)  # and every number of places
@given(many(st.decimals(-(10**20), 10**20, places=10, allow_nan=False)), st.integers(0, 10))
def test_a_number_column_rounds_as_its_digits_alone_do(numbers: list[Any], places: int) -> None:
    field = make_field(FieldType.DECIMAL, "float", "Decimal", precision=places)
    for values in few_and_many(numbers):
        raw = pa.table({"sample": pa.array(values, pa.decimal128(38, 10))})
        column = canonical_persons(raw, map_of(field))["sample"].to_pylist()
        assert column == [from_activity_text(field, format(number, "f")) for number in values]


def test_marketo_and_dynamics_readings_of_equal_values_agree() -> None:
    for kind, field in FIELDS.items():
        sample = [from_activity_text(field, text) for text in _SAMPLES[field.rule.type]]
        assert through_marketo(field, sample) == through_dynamics(field, sample) == sample, kind


_SAMPLES: dict[FieldType, tuple[str, ...]] = {
    **dict.fromkeys((FieldType.STRING, FieldType.EMAIL, FieldType.PHONE, FieldType.URL, FieldType.TEXT), ("Å 新 😀",)),
    FieldType.INTEGER: ("5.0", "-7"),
    FieldType.DECIMAL: ("34.660", "1e3"),
    FieldType.MONEY: ("34.660", "10000.00"),
    FieldType.BOOLEAN: ("True", "0"),
    FieldType.DATE: ("2026-01-05 00:00:00",),
    FieldType.DATETIME: ("2026-01-05 10:00:00",),
    FieldType.CHOICE: ("1",),
    FieldType.MULTI_CHOICE: ("1;2",),
}
