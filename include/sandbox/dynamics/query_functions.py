"""Functions in `$filter`: contains and its like, and Dataverse's own (section 3.4)."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta

from odata_query import ast

from include.sandbox.dynamics.collation import fold
from include.sandbox.dynamics.errors import ServiceError, bad_query, unknown_property
from include.sandbox.dynamics.filters import (
    FilterCompiler,
    Operand,
    Scope,
    Sql,
    array_of,
    column_sql,
    in_list,
    negated,
)
from include.sandbox.dynamics.literals import text_literal
from include.sandbox.dynamics.schema import Column
from include.sandbox.dynamics.values import format_moment, parse_moment
from include.sandbox.service import Json

_NAMESPACE = ("Microsoft", "Dynamics", "CRM")
_PATTERNS = {"contains": "%{}%", "startswith": "{}%", "endswith": "%{}"}
_DAY = timedelta(days=1)
_UNITS = {"Minutes": timedelta(minutes=1), "Hours": timedelta(hours=1), "Days": _DAY, "Weeks": timedelta(weeks=1)}
# Assumption: a month is 30 days and a year 365 days back from now; the service uses calendar months.
_LONG_UNITS = {**_UNITS, "Months": timedelta(days=30), "Years": timedelta(days=365)}


def call(compiler: FilterCompiler, node: ast.Call, scope: Scope) -> Sql:
    """The condition of one function call; raises 400 for an unknown function."""
    name = node.func.name
    if node.func.namespace == _NAMESPACE:
        return _own_function(compiler, name, node, scope)
    if node.func.namespace or name not in _PATTERNS:
        raise bad_query(f"An unknown function with name '{name}' was found.")
    operand = compiler.operand(node.args[0], scope)
    value = node.args[1]
    if operand.edm != "Edm.String" or not isinstance(value, ast.String):
        raise bad_query(f"No function signature for the function with name '{name}' matches the specified arguments.")
    return _pattern(operand, _PATTERNS[name].format(fold(value.val)))


def _pattern(operand: Operand, pattern: str) -> Sql:
    # The values' own %, _ and [] act as wildcards, as in the service.
    if "[" in pattern:
        return Sql(f"dv_match({operand.sql.text}, ?)", (*operand.sql.parameters, pattern))
    return Sql(f"({operand.sql.text} LIKE ?)", (*operand.sql.parameters, pattern))


class _Call:
    """The named parameters of one Dataverse function."""

    def __init__(self, compiler: FilterCompiler, name: str, node: ast.Call, scope: Scope) -> None:
        self.compiler = compiler
        self.name = name
        self._given: dict[str, ast._Node] = {
            part.name.name: part.param for part in node.args if isinstance(part, ast.NamedParam)
        }
        table, alias = scope[""]
        property_name = self._text("PropertyName")
        column = table.reference(property_name)
        if column is None:
            raise unknown_property(property_name, table.name)
        self.column: Column = column
        self.operand = Operand(Sql(column_sql(table, column, alias)), column.edm, column)

    def _text(self, name: str) -> str:
        node = self._given.get(name)
        if node is None:
            raise ServiceError(400, "0x80040203", f"{self.name}: the parameter '{name}' is missing.")
        return str(node.val if hasattr(node, "val") else "")

    def values(self) -> list[str]:
        """`PropertyValues`, an array."""
        found = array_of(self.compiler, self._text("PropertyValues"))
        return found if isinstance(found, list) else []

    def value(self) -> str:
        """`PropertyValue`."""
        return self._text("PropertyValue")

    def number(self) -> int:
        """`PropertyValue` as a number."""
        try:
            return int(self.value())
        except ValueError:
            raise ServiceError(400, "0x80040203", f"{self.name} wants a whole number.") from None

    def range(self, start: datetime | None, end: datetime | None) -> Sql:
        """Moments from `start` to before `end`."""
        parts, parameters = [], []
        width = 10 if self.column.is_date else 20
        for sign, bound in ((">=", start), ("<", end)):
            if bound is not None:
                parts.append(f"{self.operand.sql.text} {sign} ?")
                parameters.append(format_moment(bound)[:width])
        return Sql(f"({' AND '.join(parts)})", tuple(parameters))


def _own_function(compiler: FilterCompiler, name: str, node: ast.Call, scope: Scope) -> Sql:
    handler = _FUNCTIONS.get(name)
    if handler is None:
        handler = _relative(name)
    if handler is None:
        raise bad_query(f"An unknown function with name 'Microsoft.Dynamics.CRM.{name}' was found.")
    return handler(_Call(compiler, name, node, scope))


def _in(call: _Call) -> Sql:
    values = [text_literal(call.column, text) for text in call.values()]
    return in_list(call.operand, values)


def _between(call: _Call) -> Sql:
    values = [text_literal(call.column, text) for text in call.values()]
    if len(values) != 2:
        raise ServiceError(400, "0x80040203", f"{call.name} wants two values.")
    return Sql(f"({call.operand.sql.text} BETWEEN ? AND ?)", tuple(values))


def _day(text: str) -> datetime:
    try:
        return _midnight(parse_moment(text))
    except ValueError:
        raise ServiceError(400, "0x80040203", f"'{text}' is not a date.") from None


def _midnight(moment: datetime) -> datetime:
    return moment.replace(hour=0, minute=0, second=0, microsecond=0)


def _today(call: _Call, offset: int) -> Sql:
    start = _midnight(call.compiler.now) + offset * _DAY
    return call.range(start, start + _DAY)


def _equal_user(call: _Call) -> Sql:
    return Sql(f"({call.operand.sql.text} = ?)", (call.compiler.user,))


def _contain_values(call: _Call) -> Sql:
    held = f"instr(',' || {call.operand.sql.text} || ',', w.value) > 0"
    text = f"EXISTS (SELECT 1 FROM json_each(?) w WHERE {held})"  # noqa: S608 - own column expressions
    wanted: list[Json] = [f",{int(text_literal(call.column, value) or 0)}," for value in call.values()]
    return Sql(text, (json.dumps(wanted), *call.operand.sql.parameters))


def _relative(name: str) -> Callable[[_Call], Sql] | None:
    for unit, length in _LONG_UNITS.items():
        if name == f"LastX{unit}":
            return lambda call: call.range(_reach(call, -call.number() * length, unit), call.compiler.now)
        if name == f"NextX{unit}":
            return lambda call: call.range(call.compiler.now, call.compiler.now + call.number() * length)
        if name == f"OlderThanX{unit}":
            return lambda call: call.range(None, call.compiler.now - call.number() * length)
    return None


def _reach(call: _Call, distance: timedelta, unit: str) -> datetime:
    start = call.compiler.now + distance
    return start if unit in {"Hours", "Minutes"} else _midnight(start)


_FUNCTIONS: Mapping[str, Callable[[_Call], Sql]] = {
    "In": _in,
    "NotIn": lambda call: negated(_in(call)),
    "Between": _between,
    "NotBetween": lambda call: negated(_between(call)),
    "On": lambda call: call.range(_day(call.value()), _day(call.value()) + _DAY),
    "NotOn": lambda call: negated(call.range(_day(call.value()), _day(call.value()) + _DAY)),
    "OnOrAfter": lambda call: call.range(_day(call.value()), None),
    "OnOrBefore": lambda call: call.range(None, _day(call.value()) + _DAY),
    "Today": lambda call: _today(call, 0),
    "Yesterday": lambda call: _today(call, -1),
    "Tomorrow": lambda call: _today(call, 1),
    "Last7Days": lambda call: call.range(_midnight(call.compiler.now) - 7 * _DAY, call.compiler.now),
    "EqualUserId": _equal_user,
    "NotEqualUserId": lambda call: negated(_equal_user(call)),
    "ContainValues": _contain_values,
    "DoesNotContainValues": lambda call: negated(_contain_values(call)),
}
