"""The expectations on canonical texts that Great Expectations lacks, on pandas only.

Each ignores nulls. A rule's checks exclude one another: a text that is no
number fails its format and passes its range.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from datetime import date, datetime
from decimal import ROUND_HALF_EVEN, Context, Decimal

import pandas as pd
from great_expectations.execution_engine.pandas_execution_engine import PandasExecutionEngine
from great_expectations.expectations.expectation import ColumnMapExpectation
from great_expectations.expectations.metrics.map_metric_provider.column_condition_partial import (
    column_condition_partial,
)
from great_expectations.expectations.metrics.map_metric_provider.column_map_metric_provider import (
    ColumnMapMetricProvider,
)

from include.leadsync.validate import patterns

_CANONICAL_NUMBER = re.compile(patterns.DECIMAL)
_EXACT = Context(prec=60)
_WIDEST = 40  # digits before the point; nothing in either system comes near


def _each(column: pd.Series[str], passes: Callable[[str], bool]) -> pd.Series[bool]:
    return pd.Series([passes(text) for text in column.to_numpy(dtype=object)], index=column.index, dtype=bool)


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
            if not _CANONICAL_NUMBER.match(text):
                return True
            number = Decimal(text)
            if not least <= number <= most:
                return True
            return lowest <= _rounded(number, scale) <= highest

        return _each(column, passes)


def _decimals(bounds: Sequence[str | None]) -> tuple[Decimal, Decimal]:
    low, high = bounds
    return Decimal("-Infinity" if low is None else low), Decimal("Infinity" if high is None else high)


def _rounded(number: Decimal, scale: int | None) -> Decimal:
    if scale is None or number.adjusted() > _WIDEST:
        return number
    return number.quantize(Decimal(1).scaleb(-scale), rounding=ROUND_HALF_EVEN, context=_EXACT)


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


_SHAPES = {form: re.compile(shape) for form, shape in patterns.CALENDAR.items()}


def _moment(text: str, form: str) -> date | None:
    """The moment that a canonical text names, if the calendar has it."""
    if not _SHAPES[form].match(text):
        return None
    try:
        return date.fromisoformat(text) if form == "date" else datetime.fromisoformat(text)
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
