"""Filters and conditions of FetchXML as SQL (V65)."""

from __future__ import annotations

from collections.abc import Mapping
from xml.etree.ElementTree import Element

from include.sandbox.dynamics.collation import fold
from include.sandbox.dynamics.conditions import OPERATORS, Condition, relative
from include.sandbox.dynamics.errors import ServiceError
from include.sandbox.dynamics.filters import FilterCompiler
from include.sandbox.dynamics.literals import text_literal
from include.sandbox.dynamics.operands import Operand, Sql, column_sql, negated
from include.sandbox.dynamics.query_functions import like
from include.sandbox.dynamics.schema import Column, Table

_COMPARISONS = {"eq": "Eq", "ne": "NotEq", "neq": "NotEq", "gt": "Gt", "ge": "GtE", "lt": "Lt", "le": "LtE"}
_PATTERNS = {"like": "{}", "begins-with": "{}%", "ends-with": "%{}"}
_NEGATED = {"not-like": "like", "not-begin-with": "begins-with", "not-end-with": "ends-with"}
_NAMES = {
    "eq-userid": "EqualUserId",
    "ne-userid": "NotEqualUserId",
    "eq-userteams": "EqualUserTeams",
    "eq-useroruserteams": "EqualUserOrUserTeams",
    "eq-useroruserhierarchy": "EqualUserOrUserHierarchy",
    "eq-useroruserhierarchyandteams": "EqualUserOrUserHierarchyAndTeams",
    "eq-businessid": "EqualBusinessId",
    "ne-businessid": "NotEqualBusinessId",
    "last-seven-days": "Last7Days",
    "next-seven-days": "Next7Days",
    "not-contain-values": "DoesNotContainValues",
}
_DEEPEST = 50


def wrong(text: str) -> ServiceError:
    """400 for FetchXML that is not understood."""
    return ServiceError(400, "0x80040201", text)


def column_of(table: Table, name: str | None) -> Column:
    """A column by logical name; raises the service's error for an unknown one."""
    column = table.columns.get(name or "")
    if column is None or not column.exposed:
        text = f"'{table.name}' entity doesn't contain attribute with Name = '{name}' and NameMapping = 'Logical'."
        raise ServiceError(400, "0x80041103", text)
    return column


class FetchCompiler:
    """Compiles the conditions of one query; `named` holds its links by the alias that conditions may give."""

    def __init__(self, compiler: FilterCompiler) -> None:
        self._compiler = compiler
        self.named: dict[str, tuple[Table, str]] = {}

    def operand(self, table: Table, alias: str, name: str | None) -> Operand:
        """A column in the form in which it is compared."""
        column = column_of(table, name)
        return Operand(Sql(column_sql(table, column, alias)), column.edm, column)

    def shown(self, table: Table, alias: str, column: Column) -> Sql:
        """A column as it is stored."""
        return Sql(column_sql(table, column, alias, plain=True))

    def filter(self, element: Element, table: Table, alias: str, depth: int = 0) -> Sql:
        """A `filter` with its conditions and inner filters."""
        word = {"and": " AND ", "or": " OR "}.get(element.get("type", "and"))
        if word is None or depth > _DEEPEST:
            raise wrong(f"The filter type '{element.get('type')}' is unknown, or filters are nested too deep.")
        parts = [
            self.filter(child, table, alias, depth + 1)
            if child.tag == "filter"
            else self._condition(child, table, alias)
            for child in element
            if child.tag in {"filter", "condition"}
        ]
        if not parts:
            return Sql("1")
        text = word.join(part.text for part in parts)
        return Sql(f"({text})", tuple(value for part in parts for value in part.parameters))

    def _condition(self, element: Element, table: Table, alias: str) -> Sql:
        link = element.get("entityname")
        if link is not None:
            if link not in self.named:
                raise wrong(f"The link-entity '{link}' of a condition is unknown.")
            table, alias = self.named[link]
        operand = self.operand(table, alias, element.get("attribute"))
        name = element.get("operator") or ""
        values = [child.text or "" for child in element.findall("value")]
        if element.get("value") is not None:
            values.insert(0, element.get("value") or "")
        if element.get("valueof") is not None and name in _COMPARISONS:
            other = self.operand(table, alias, element.get("valueof"))
            return self._compiler.compare(_COMPARISONS[name], operand, other)
        return self._compiled(name, operand, values)

    def _compiled(self, name: str, operand: Operand, values: list[str]) -> Sql:
        column = operand.column
        if name in {"null", "not-null"}:
            return Sql(f"({operand.sql.text} IS {'NOT ' if name == 'not-null' else ''}NULL)", operand.sql.parameters)
        if name in _NEGATED:
            return negated(self._compiled(_NEGATED[name], operand, values))
        if column is None:
            raise wrong("A condition compares a column.")
        if name in _COMPARISONS:
            literal = text_literal(column, _single(name, values))
            return self._compiler.compare_stored(_COMPARISONS[name], operand, literal)
        if name in _PATTERNS:
            return like(operand, _PATTERNS[name].format(fold(_single(name, values))))
        handler = OPERATORS.get(pascal(name)) or relative(pascal(name))
        if handler is None:
            raise wrong(f"The operator '{name}' is unknown.")
        return handler(Condition(self._compiler, name, operand, column, values))


def _single(name: str, values: list[str]) -> str:
    if len(values) != 1:
        raise wrong(f"The operator '{name}' wants one value.")
    return values[0]


def pascal(name: str) -> str:
    """`last-x-days` as `LastXDays`: the name that the same operator has in `$filter`."""
    special: Mapping[str, str] = _NAMES
    words = name.replace("olderthan", "older-than").split("-")
    return special.get(name) or "".join(word.capitalize() for word in words)
