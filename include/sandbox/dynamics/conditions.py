"""The operators that OData lacks: sets, ranges, dates, users; for `$filter` functions and FetchXML alike (V16, V65).

Assumption: the fiscal year is the calendar year in quarters, weeks start on Sunday, all in UTC: the settings of a
new org.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from include.sandbox.dynamics.errors import ServiceError
from include.sandbox.dynamics.literals import text_literal
from include.sandbox.dynamics.operands import Operand, OperandCompiler, Sql, in_list, negated
from include.sandbox.dynamics.schema import Column
from include.sandbox.dynamics.values import format_moment, parse_moment
from include.sandbox.service import Json

_DAY = timedelta(days=1)
_FIRST, _LAST = datetime(1, 1, 1, tzinfo=UTC), datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)
_SECOND = timedelta(seconds=1)  # the finest time stamp: what happened now is in the last hours
_MOST = 100_000  # units a relative date may reach; the calendar ends before


@dataclass(slots=True)
class Condition:
    """One operator on one column, with its values as text."""

    compiler: OperandCompiler
    name: str
    operand: Operand
    column: Column
    values: list[str]

    @property
    def now(self) -> datetime:
        """Sandbox time."""
        return self.compiler.now

    def value(self) -> str:
        """The only value."""
        if len(self.values) != 1:
            raise ServiceError(400, "0x80040203", f"{self.name} wants one value.")
        return self.values[0]

    def number(self, position: int = 0) -> int:
        """A value as a number."""
        try:
            number = int(self.values[position])
        except (ValueError, IndexError):
            raise ServiceError(400, "0x80040203", f"{self.name} wants a whole number.") from None
        if not 0 <= number <= _MOST:
            raise ServiceError(400, "0x80040203", f"{self.name}: {number} is out of range.")
        return number

    def range(self, start: datetime | None, end: datetime | None) -> Sql:
        """Moments from `start` to before `end`."""
        if self.column.type != "DateTime":
            raise ServiceError(400, "0x80040203", f"{self.name} wants a date and time column.")
        parts: list[str] = []
        parameters: list[Json] = []
        width = 10 if self.column.is_date else 20
        for sign, bound in ((">=", start), ("<", end)):
            if bound is not None:
                parts.append(f"{self.operand.sql.text} {sign} ?")
                parameters += [*self.operand.sql.parameters, format_moment(bound)[:width]]
        return Sql(f"({' AND '.join(parts)})", tuple(parameters))


def _in(given: Condition) -> Sql:
    return in_list(given.operand, [text_literal(given.column, text) for text in given.values])


def _between(given: Condition) -> Sql:
    values = [text_literal(given.column, text) for text in given.values]
    if len(values) != 2:
        raise ServiceError(400, "0x80040203", f"{given.name} wants two values.")
    return Sql(f"({given.operand.sql.text} BETWEEN ? AND ?)", (*given.operand.sql.parameters, *values))


def _day(text: str) -> datetime:
    try:
        return _midnight(parse_moment(text))
    except (ValueError, OverflowError):
        raise ServiceError(400, "0x80040203", f"'{text}' is not a date.") from None


def _midnight(moment: datetime) -> datetime:
    return moment.replace(hour=0, minute=0, second=0, microsecond=0)


def _shifted(moment: datetime, months: int) -> datetime:
    """The same day some months away, the last one of a shorter month."""
    years, month = divmod(moment.month - 1 + months, 12)
    year = min(max(moment.year + years, 1), 9999)
    for day in range(moment.day, 0, -1):
        try:
            return moment.replace(year=year, month=month + 1, day=day)
        except ValueError:
            continue
    return moment


def _moved(moment: datetime, number: int, unit: str) -> datetime:
    if unit in {"Months", "Years", "FiscalYears", "FiscalPeriods"}:
        return _shifted(moment, number * {"Months": 1, "FiscalPeriods": 3}.get(unit, 12))
    length = {"Minutes": timedelta(minutes=1), "Hours": timedelta(hours=1), "Days": _DAY, "Weeks": 7 * _DAY}[unit]
    try:
        return moment + number * length
    except OverflowError:
        return _LAST if number > 0 else _FIRST


def _start(moment: datetime, unit: str) -> datetime:
    """The beginning of the day, week, month, quarter or year of a moment."""
    day = _midnight(moment)
    if unit == "Day":
        return day
    if unit == "Week":
        return day - ((day.weekday() + 1) % 7) * _DAY
    if unit == "FiscalPeriod":
        return day.replace(month=(day.month - 1) // 3 * 3 + 1, day=1)
    return day.replace(day=1) if unit == "Month" else day.replace(month=1, day=1)


def _period(unit: str, offset: int) -> Callable[[Condition], Sql]:
    """This, the last or the next unit of the calendar."""

    def compile_period(given: Condition) -> Sql:
        start = _start(given.now, unit)
        first = _moved(start, offset, f"{unit}s")
        return given.range(first, _moved(start, offset + 1, f"{unit}s"))

    return compile_period


def _equal_user(given: Condition) -> Sql:
    return Sql(f"({given.operand.sql.text} = ?)", (*given.operand.sql.parameters, given.compiler.user))


def _equal_business_unit(given: Condition) -> Sql:
    users = given.compiler.schema.tables["systemuser"]
    unit = f"""json_extract(u.doc, '$."{users.codes["businessunitid"]}"')"""
    text = f'({given.operand.sql.text} = (SELECT {unit} FROM "r_systemuser" u WHERE u.id = ?))'  # noqa: S608 - own
    return Sql(text, (*given.operand.sql.parameters, given.compiler.user))


def _contain_values(given: Condition) -> Sql:
    held = f"instr(',' || {given.operand.sql.text} || ',', w.value) > 0"
    text = f"EXISTS (SELECT 1 FROM json_each(?) w WHERE {held})"  # noqa: S608 - own column expressions
    wanted: list[Json] = []
    for value in given.values:
        if not value.strip().isdigit():
            raise ServiceError(400, "0x80040203", f"{given.name} wants option values.")
        wanted.append(f",{int(value)},")
    return Sql(text, (json.dumps(wanted), *given.operand.sql.parameters))


def _fiscal(given: Condition) -> tuple[datetime, datetime]:
    """Beginning and end of the fiscal period and year given as two numbers."""
    period, year = given.number(0), given.number(1)
    if not 1 <= period <= 4 or not 1 <= year < 9999:
        raise ServiceError(400, "0x80040203", f"{given.name} wants a period from 1 to 4 and a year.")
    start = _midnight(given.now).replace(year=year, month=period * 3 - 2, day=1)
    return start, _shifted(start, 3)


def _fiscal_year(given: Condition) -> Sql:
    year = given.number()
    if not 1 <= year < 9999:
        raise ServiceError(400, "0x80040203", f"{given.name} wants a year.")
    start = _midnight(given.now).replace(year=year, month=1, day=1)
    return given.range(start, _shifted(start, 12))


def _fiscal_period(given: Condition) -> Sql:
    period = given.number()
    if not 1 <= period <= 4:
        raise ServiceError(400, "0x80040203", f"{given.name} wants a period from 1 to 4.")
    months = ", ".join(f"'{month:02d}'" for month in range(period * 3 - 2, period * 3 + 1))
    return Sql(f"(substr({given.operand.sql.text}, 6, 2) IN ({months}))", given.operand.sql.parameters)


_WITHIN = {"Minutes", "Hours"}
_UNITS = ("Minutes", "Hours", "Days", "Weeks", "Months", "Years", "FiscalPeriods", "FiscalYears")


def relative(name: str) -> Callable[[Condition], Sql] | None:
    """`LastXDays`, `NextXHours`, `OlderThanXMonths`, ...: the operator of a name, or None."""
    for unit in _UNITS:
        if name == f"LastX{unit}":
            return lambda given: given.range(_reach(given, -given.number(), unit), given.now + _SECOND)
        if name == f"NextX{unit}":
            return lambda given: given.range(given.now, _reach(given, given.number(), unit, end=True))
        if name == f"OlderThanX{unit}" and not unit.startswith("Fiscal"):
            return lambda given: given.range(None, _moved(given.now, -given.number(), unit))
    return None


def _reach(given: Condition, number: int, unit: str, *, end: bool = False) -> datetime:
    moment = _moved(given.now, number, unit)
    if unit in _WITHIN:
        return moment
    return _moved(_midnight(moment), 1, "Days") if end else _midnight(moment)


def _on(given: Condition) -> Sql:
    day = _day(given.value())
    return given.range(day, _moved(day, 1, "Days"))


OPERATORS: Mapping[str, Callable[[Condition], Sql]] = {
    "In": _in,
    "NotIn": lambda given: negated(_in(given)),
    "Between": _between,
    "NotBetween": lambda given: negated(_between(given)),
    "On": _on,
    "NotOn": lambda given: negated(_on(given)),
    "OnOrAfter": lambda given: given.range(_day(given.value()), None),
    "OnOrBefore": lambda given: given.range(None, _moved(_day(given.value()), 1, "Days")),
    "Today": _period("Day", 0),
    "Yesterday": _period("Day", -1),
    "Tomorrow": _period("Day", 1),
    "Last7Days": lambda given: given.range(_midnight(given.now) - 7 * _DAY, given.now + _SECOND),
    "Next7Days": lambda given: given.range(given.now, _midnight(given.now) + 8 * _DAY),
    **{
        f"{word}{unit}": _period(unit, offset)
        for word, offset in (("This", 0), ("Last", -1), ("Next", 1))
        for unit in ("Week", "Month", "Year", "FiscalPeriod", "FiscalYear")
    },
    "InFiscalYear": _fiscal_year,
    "InFiscalPeriod": _fiscal_period,
    "InFiscalPeriodAndYear": lambda given: given.range(*_fiscal(given)),
    "InOrAfterFiscalPeriodAndYear": lambda given: given.range(_fiscal(given)[0], None),
    "InOrBeforeFiscalPeriodAndYear": lambda given: given.range(None, _fiscal(given)[1]),
    "EqualUserId": _equal_user,
    "NotEqualUserId": lambda given: negated(_equal_user(given)),
    # Assumption: nobody is a member of a team or has subordinates: such rows are nobody's, or the caller's alone.
    "EqualUserTeams": lambda _given: Sql("0"),
    "EqualUserOrUserTeams": _equal_user,
    "EqualUserOrUserHierarchy": _equal_user,
    "EqualUserOrUserHierarchyAndTeams": _equal_user,
    "EqualBusinessId": _equal_business_unit,
    "NotEqualBusinessId": lambda given: negated(_equal_business_unit(given)),
    "ContainValues": _contain_values,
    "DoesNotContainValues": lambda given: negated(_contain_values(given)),
}
