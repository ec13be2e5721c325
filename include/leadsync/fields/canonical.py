"""Whole tables into canonical form: one text column per field, the same spelling from both systems.

Vectorised: a column costs a few passes of polars, plus one Python call per *distinct* value that is
not canonical yet. A few rows cost less value by value, and are read so. Texts are not trimmed, NFC and
NFD are not unified and control characters stay: they are content, and validation has the word on them.
Empty text is null (DECISIONS 7).

polars is used here, so call nothing of this in a process that forks afterwards (facts: performance).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from decimal import Decimal
from functools import partial

import polars as pl
import pyarrow as pa

from include.leadsync.errors import AnswerMalformed
from include.leadsync.fields.choices import choices
from include.leadsync.fields.columns import display_column
from include.leadsync.fields.spelling import is_guid, scale_of, spell
from include.leadsync.model import Canonical, FieldMap, FieldType, SyncField, System

_FEW = 32  # values that are read one by one before a column of polars is made of them
_PLAIN_INTEGER = r"^(0|-?[1-9][0-9]{0,36})$"
_PLAIN_DAY = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$"
_PLAIN_MOMENT = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z$"
_PLAIN = {
    FieldType.INTEGER: _PLAIN_INTEGER,
    FieldType.DECIMAL: _PLAIN_INTEGER,
    FieldType.MONEY: _PLAIN_INTEGER,
    FieldType.DATE: _PLAIN_DAY,
    FieldType.DATETIME: _PLAIN_MOMENT,
    FieldType.BOOLEAN: r"^(true|false)$",
}
_TEXT = {FieldType.STRING, FieldType.EMAIL, FieldType.PHONE, FieldType.URL, FieldType.TEXT, FieldType.LOOKUP}
_CHOICE = {FieldType.CHOICE, FieldType.MULTI_CHOICE}


def canonical_persons(raw: pa.Table, field_map: FieldMap) -> pa.Table:
    """Persons as read from Marketo → canonical.

    `raw` has columns by REST name in the types of `marketo_columns`. The result keeps `raw`'s columns
    that are no field (`id`, …) as they are, followed by one large_string column per field that
    `raw` has, in layout order. A field that was not read has no column: unset is not null.
    Raises `AnswerMalformed` for a number that is none (NaN, infinite).
    """
    sources = {field.name: field.name for field in field_map.fields}
    return _canonical(raw, field_map, System.MARKETO, sources)


def canonical_rows(raw: pa.Table, field_map: FieldMap) -> pa.Table:
    """CRM records as read from Dynamics → canonical, columns named by field id (= REST name).

    `raw` has the columns of `dynamics_columns`, lookups with their name in `<column>@name`. The result
    keeps the columns that no field is read from (`id`, `etag`, …), then one large_string column per field.
    """
    sources = {field.name: display_column(field) for field in field_map.fields}
    return _canonical(raw, field_map, System.DYNAMICS, sources)


def _canonical(raw: pa.Table, field_map: FieldMap, system: System, sources: dict[str, str]) -> pa.Table:
    present = set(raw.column_names)
    fields = [field for field in field_map.fields if sources[field.name] in present]
    taken = {sources[field.name] for field in fields} | {field.name for field in fields}
    taken |= {field.column for field in field_map.fields} if system is System.DYNAMICS else set()
    columns = {name: raw.column(name) for name in raw.column_names if name not in taken}
    for field in fields:
        columns[field.name] = _column(raw, sources[field.name], field, system)
    return pa.table(columns)


def _column(raw: pa.Table, source: str, field: SyncField, system: System) -> pa.Array:
    values = raw.column(source)
    if values.null_count == len(values) and field.rule.type is not FieldType.BOOLEAN:  # as most columns of a few rows
        return pa.nulls(len(values), pa.large_string())
    if len(values) <= _FEW and not (pa.types.is_floating(values.type) or pa.types.is_temporal(values.type)):
        return pa.array(_one_by_one(values.to_pylist(), field, system), pa.large_string())
    column = pl.Series(source, values)
    if column.dtype.is_float():
        column = _refuse_nan(column, system, source)
    if system is System.DYNAMICS and field.rule.type in _CHOICE:
        spelled = _labels(column, field)
    else:
        spelled = _spelled(column, field)
    return spelled.cast(pl.String).to_arrow(compat_level=pl.CompatLevel.oldest())


def _one_by_one(values: Iterable[object], field: SyncField, system: System) -> list[Canonical]:
    """What a column of polars comes to, without its passes."""
    texts = [None if value is None else _text(value) for value in values]
    if system is System.DYNAMICS and field.rule.type in _CHOICE:
        label = _label(field)
        return [None if text is None else label(text) for text in texts]
    return [spell(field, text) for text in texts]


def _text(value: object) -> str:
    """As polars spells values of the types that columns come in."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return format(value, "f") if isinstance(value, Decimal) else str(value)


def _labels(column: pl.Series, field: SyncField) -> pl.Series:
    """Dynamics' numbers (or its text of numbers) as labels."""
    return by_distinct(column.cast(pl.String), _label(field))


def _label(field: SyncField) -> Callable[[str], Canonical]:
    table = choices(field)
    return table.labels if field.rule.type is FieldType.MULTI_CHOICE else _single(table.label)


def _single(label: Callable[[int], str]) -> Callable[[str], Canonical]:
    return lambda text: label(int(text))


def _spelled(column: pl.Series, field: SyncField) -> pl.Series:
    kind = field.rule.type
    if column.dtype.is_decimal() and kind in {FieldType.DECIMAL, FieldType.MONEY, FieldType.INTEGER}:
        return _plain_decimal(column, None if kind is FieldType.INTEGER else scale_of(field))
    text = column.cast(pl.String)
    if kind in _TEXT:
        empty = text == ""
        cleared = text.set(empty, None) if empty.any() else text
        return cleared.str.to_lowercase() if is_guid(field) else cleared
    spelled = by_distinct(text, partial(spell, field), _PLAIN.get(kind))
    return spelled.fill_null("false") if kind is FieldType.BOOLEAN else spelled


def _plain_decimal(column: pl.Series, scale: int | None) -> pl.Series:
    """Decimals as plain text at `scale` places, half to even as in `spelling.decimal`."""
    rounded = column if scale is None else column.round(scale, mode="half_to_even")
    text = rounded.cast(pl.String)
    has_point = isinstance(rounded.dtype, pl.Decimal) and rounded.dtype.scale > 0
    return text.str.strip_chars_end("0").str.strip_chars_end(".") if has_point else text


def _refuse_nan(column: pl.Series, system: System, source: str) -> pl.Series:
    """Floats as decimals; what is no number never gets further (facts: performance, gotchas)."""
    if not column.is_finite().all():
        raise AnswerMalformed(system.value, f"a number in column {source} is NaN or infinite", "NaN")
    return column.map_elements(repr, return_dtype=pl.String)


def by_distinct(column: pl.Series, read: Callable[[str], Canonical], plain: str | None = None) -> pl.Series:
    """Apply `read` once per distinct text; texts that match the pattern `plain` are canonical already."""
    odd = column if plain is None else column.filter(~column.str.contains(plain))
    texts = odd.unique().drop_nulls().to_list()
    changed = {text: spelled for text in texts if (spelled := read(text)) != text}
    if not changed:
        return column
    return column.replace(list(changed), pl.Series(list(changed.values()), dtype=pl.String))
