"""The expectations on canonical texts that Great Expectations lacks, on pandas only.

Each ignores nulls unless it says otherwise. A rule's checks exclude one another: a text that is no
number fails its format and passes its range.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import date, datetime
from decimal import ROUND_HALF_UP, Context, Decimal, InvalidOperation

import pandas as pd
from great_expectations.execution_engine.pandas_execution_engine import PandasExecutionEngine
from great_expectations.expectations.expectation import ColumnMapExpectation
from great_expectations.expectations.metrics.map_metric_provider.column_condition_partial import (
    column_condition_partial,
)
from great_expectations.expectations.metrics.map_metric_provider.column_map_metric_provider import (
    ColumnMapMetricProvider,
)

_EXACT = Context(prec=60)
_WIDEST = 40  # digits before the point; nothing in either system comes near


def _each(column: pd.Series[str], passes: Callable[[str], bool]) -> pd.Series[bool]:
    return pd.Series([passes(text) for text in column], index=column.index, dtype=bool)


class Utf16Length(ColumnMapMetricProvider):
    """Whether texts have at most `limit` UTF-16 units (facts/dataverse-api.md 17)."""

    condition_metric_name = "column_values.utf16_length_at_most"
    condition_value_keys = ("limit",)

    @column_condition_partial(engine=PandasExecutionEngine)
    def _pandas(cls, column: pd.Series[str], limit: int, **_: object) -> pd.Series[bool]:  # noqa: N805
        return column.str.len() + column.str.count("[\U00010000-\U0010ffff]") <= limit


class ExpectUtf16LengthsToBeAtMost(ColumnMapExpectation):
    """Expect texts of at most `limit` UTF-16 units; characters beyond U+FFFF count as two."""

    limit: int
    map_metric = Utf16Length.condition_metric_name
    success_keys = ("limit", "mostly")


class ByteLength(ColumnMapMetricProvider):
    """Whether texts have at most `limit` bytes in UTF-8 (facts/marketo-api.md 7)."""

    condition_metric_name = "column_values.utf8_bytes_at_most"
    condition_value_keys = ("limit",)

    @column_condition_partial(engine=PandasExecutionEngine)
    def _pandas(cls, column: pd.Series[str], limit: int, **_: object) -> pd.Series[bool]:  # noqa: N805
        return _each(column, lambda text: len(text.encode()) <= limit)


class ExpectUtf8BytesToBeAtMost(ColumnMapExpectation):
    """Expect texts of at most `limit` bytes in UTF-8."""

    limit: int
    map_metric = ByteLength.condition_metric_name
    success_keys = ("limit", "mostly")


class DecimalRange(ColumnMapMetricProvider):
    """Whether decimal texts, rounded to `scale`, lie between two bounds."""

    condition_metric_name = "column_values.decimal_between"
    condition_value_keys = ("bounds", "within", "scale")

    @column_condition_partial(engine=PandasExecutionEngine)
    def _pandas(
        cls,  # noqa: N805
        column: pd.Series[str],
        bounds: Sequence[str | None],
        within: Sequence[str | None],
        scale: int | None,
        **_: object,
    ) -> pd.Series[bool]:
        lowest, highest = _decimals(bounds)
        least, most = _decimals(within)

        def passes(text: str) -> bool:
            number = _number(text)
            if number is None or not least <= number <= most:
                return True
            return lowest <= _rounded(number, scale) <= highest

        return _each(column, passes)


def _decimals(bounds: Sequence[str | None]) -> tuple[Decimal, Decimal]:
    low, high = bounds
    return Decimal("-Infinity" if low is None else low), Decimal("Infinity" if high is None else high)


def _number(text: str) -> Decimal | None:
    try:
        number = Decimal(text)
    except InvalidOperation:
        return None
    return number if number.is_finite() else None


def _rounded(number: Decimal, scale: int | None) -> Decimal:
    if scale is None or number.adjusted() > _WIDEST:
        return number
    return number.quantize(Decimal(1).scaleb(-scale), rounding=ROUND_HALF_UP, context=_EXACT)


class ExpectDecimalsToBeBetween(ColumnMapExpectation):
    """Expect numbers between `bounds` after rounding to `scale` decimals.

    Texts that are no numbers pass (their format is another expectation's matter), and so do
    numbers outside `within`: those do not fit the wire type, which again is judged elsewhere.
    """

    bounds: list[str | None]
    within: list[str | None]
    scale: int | None = None
    map_metric = DecimalRange.condition_metric_name
    success_keys = ("bounds", "within", "scale", "mostly")


class CalendarText(ColumnMapMetricProvider):
    """Whether texts are canonical dates or datetimes that exist."""

    condition_metric_name = "column_values.calendar_text"
    condition_value_keys = ("form",)

    @column_condition_partial(engine=PandasExecutionEngine)
    def _pandas(cls, column: pd.Series[str], form: str, **_: object) -> pd.Series[bool]:  # noqa: N805
        return _each(column, lambda text: _moment(text, form) is not None)


class ExpectCalendarTexts(ColumnMapExpectation):
    """Expect YYYY-MM-DD (`form` date) or YYYY-MM-DDTHH:MM:SSZ (`form` datetime), and a day that exists."""

    form: str
    map_metric = CalendarText.condition_metric_name
    success_keys = ("form", "mostly")


class CalendarRange(ColumnMapMetricProvider):
    """Whether canonical dates or datetimes lie between two bounds."""

    condition_metric_name = "column_values.calendar_between"
    condition_value_keys = ("form", "minimum", "maximum")

    @column_condition_partial(engine=PandasExecutionEngine)
    def _pandas(
        cls,  # noqa: N805
        column: pd.Series[str],
        form: str,
        minimum: str,
        maximum: str,
        **_: object,
    ) -> pd.Series[bool]:
        return _each(column, lambda text: _moment(text, form) is None or minimum <= text <= maximum)


class ExpectCalendarTextsToBeBetween(ColumnMapExpectation):
    """Expect canonical dates or datetimes from `minimum` to `maximum`; what is none of them passes."""

    form: str
    minimum: str
    maximum: str
    map_metric = CalendarRange.condition_metric_name
    success_keys = ("form", "minimum", "maximum", "mostly")


_FORMATS = {"date": "%Y-%m-%d", "datetime": "%Y-%m-%dT%H:%M:%SZ"}
_WIDTHS = {"date": len("2026-01-05"), "datetime": len("2026-01-05T10:00:00Z")}


def _moment(text: str, form: str) -> date | None:
    """The moment a canonical text names: ASCII digits only, full width, a day of the calendar."""
    if len(text) != _WIDTHS[form] or not text.isascii():
        return None
    try:
        if form == "date":
            return date.fromisoformat(text) if text[4] == text[7] == "-" else None
        return datetime.strptime(text, _FORMATS[form])  # noqa: DTZ007 - the Z is part of the format
    except ValueError:
        return None


class EveryLabel(ColumnMapMetricProvider):
    """Whether every label of a multi-choice text is an option."""

    condition_metric_name = "column_values.every_label_in_set"
    condition_value_keys = ("labels",)

    @column_condition_partial(engine=PandasExecutionEngine)
    def _pandas(cls, column: pd.Series[str], labels: Iterable[str], **_: object) -> pd.Series[bool]:  # noqa: N805
        known = frozenset(labels)
        return _each(column, lambda text: known.issuperset(text.split(";")))


class ExpectEveryLabelInSet(ColumnMapExpectation):
    """Expect texts whose parts between semicolons all are among `labels` (D55)."""

    labels: list[str]
    map_metric = EveryLabel.condition_metric_name
    success_keys = ("labels", "mostly")


class NotWritten(ColumnMapMetricProvider):
    """Never true: whatever is written here, even a null if asked, must not be."""

    condition_metric_name = "column_values.not_written"
    filter_column_isnull = False
    condition_value_keys = ("nulls",)

    @column_condition_partial(engine=PandasExecutionEngine)
    def _pandas(cls, column: pd.Series[str], nulls: bool, **_: object) -> pd.Series[bool]:  # noqa: N805
        return pd.Series(False, index=column.index) if nulls else column.isna()


class ExpectNothingWritten(ColumnMapExpectation):
    """Expect no value at all, and with `nulls` not even a null."""

    nulls: bool
    map_metric = NotWritten.condition_metric_name
    success_keys = ("nulls", "mostly")
