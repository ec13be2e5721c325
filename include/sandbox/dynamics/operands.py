"""Columns, paths and literals as SQL over the stored documents, and how they are compared (V16, V17, section 3.4)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from itertools import count

from odata_query import ast

from include.sandbox.dynamics.documents import extract
from include.sandbox.dynamics.errors import ServiceError, bad_query, unknown_property
from include.sandbox.dynamics.filter_text import ARRAY_MARK, parse_filter, path_of
from include.sandbox.dynamics.literals import LITERALS, NUMBERS, family, fitted_literal
from include.sandbox.dynamics.schema import OWNER_ID, TEXT, Column, Schema, Table
from include.sandbox.service import Json

Scope = Mapping[str, tuple[Table, str]]
SIGNS = {"Eq": "=", "NotEq": "IS NOT", "Gt": ">", "GtE": ">=", "Lt": "<", "LtE": "<="}
_FLIPPED = {"Gt": "Lt", "GtE": "LtE", "Lt": "Gt", "LtE": "GtE"}
_LONGEST_PATH = 16
KINDS = {"Eq": "Equal", "NotEq": "NotEqual", "Gt": "GreaterThan", "GtE": "GreaterThanOrEqual"} | {
    "Lt": "LessThan",
    "LtE": "LessThanOrEqual",
}


@dataclass(frozen=True, slots=True)
class Sql:
    """A piece of SQL with its parameters."""

    text: str
    parameters: tuple[Json, ...] = ()


@dataclass(frozen=True, slots=True)
class Operand:
    """One side of a comparison: SQL of its comparable form and its OData type (None: null)."""

    sql: Sql
    edm: str | None
    column: Column | None = None
    literal: Json = None


def column_sql(table: Table, column: Column, alias: str, *, plain: bool = False) -> str:
    """SQL of a column in the form in which it is compared and sorted, or `plain` as it is stored."""
    if table.hides(column.name):
        return "NULL"
    kept = {"versionnumber": "version", "modifiedon": "modified", "statecode": "state"}
    if table.is_key(column.name):
        return f"{alias}.id"
    if column.name in kept:
        return f"{alias}.{kept[column.name]}"
    stored = extract(table, column.name, alias)
    if plain or column.type not in TEXT:
        return stored
    return f"{alias}.email" if column.name == "emailaddress1" else f"dv_fold({stored})"


class OperandCompiler:
    """Compiles columns, paths, literals and their comparisons for filters of one table."""

    def __init__(self, schema: Schema, table: Table, now: datetime, user: str, aliases: Mapping[str, str]) -> None:
        self.schema = schema
        self.table = table
        self.now = now
        self.user = user
        self.aliases = aliases
        self.arrays: list[list[str]] = []
        self.joins = count(1)
        self._plain = False

    def column_operand(self, name: str, scope: Scope) -> Operand:
        """A column of the filtered table by its wire name."""
        table, alias = scope[""]
        column = table.by_wire.get(name)
        if column is None and name in table.navigation:
            return self._reference(table, name, alias)
        if column is None:
            raise unknown_property(name, table.name)
        return Operand(Sql(column_sql(table, column, alias, plain=self._plain)), column.edm, column)

    def _reference(self, table: Table, name: str, alias: str) -> Operand:
        """A navigation property itself: it can be compared with null only, its type is that of the row behind it."""
        column, target = table.navigation[name]
        text = column_sql(table, column, alias)
        if len(column.targets) > 1 and target != "owner":
            text = f"iif({extract(table, f'{column.name}type', alias)} = '{target}', {text}, NULL)"
        return Operand(Sql(text), f"Microsoft.Dynamics.CRM.{'principal' if target == 'owner' else target}", column)

    def path_operand(self, node: ast.Attribute, scope: Scope) -> Operand:
        """`parentaccountid/name`, or `c/name` for a lambda variable."""
        chain = path_of(node)
        if chain[0] in scope:
            return self._walk(scope[chain[0]], chain[1:])
        return self._walk(scope[""], chain)

    def _walk(self, start: tuple[Table, str], chain: list[str]) -> Operand:
        table, alias = start
        if len(chain) > _LONGEST_PATH:
            raise bad_query("Recursion depth exceeded allowed limit.")
        if len(chain) == 1:
            return self.column_operand(chain[0], {"": start})
        if chain[0] not in table.navigation:
            raise unknown_property(chain[0], table.name)
        column, target_name = table.navigation[chain[0]]
        if target_name == "owner":
            # The abstract owner has its key only (section 3.3).
            if chain[1:] != [OWNER_ID]:
                raise unknown_property(chain[1], "principal")
            return Operand(Sql(column_sql(table, column, alias)), column.edm, column)
        target = self.schema.tables.get(target_name)
        if target is None:
            raise unknown_property(chain[0], table.name)
        join = f"j{next(self.joins)}"
        inner = self._walk((target, join), chain[1:])
        link = column_sql(table, column, alias)
        source = f'FROM "r_{target.name}" {join} WHERE {join}.id = {link}'
        text = f"(SELECT {inner.sql.text} {source})"
        return Operand(Sql(text, inner.sql.parameters), inner.edm, inner.column)

    def shown(self, path: str, scope: Scope) -> Sql:
        """A column or a path by the value that answers show, not the form in which it is compared."""
        tree = parse_filter(path, self.aliases).tree
        self._plain = True
        try:
            return self.operand(tree, scope).sql
        finally:
            self._plain = False

    def operand(self, node: ast._Node, scope: Scope) -> Operand:
        """A column, a path or a literal."""
        if isinstance(node, ast.Identifier) and not node.namespace:
            return self.column_operand(node.name, scope)
        if isinstance(node, ast.Attribute):
            return self.path_operand(node, scope)
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
            inner = self.operand(node.operand, scope)
            if inner.edm in NUMBERS and inner.column is None:
                return Operand(Sql("?", (-inner.literal,)), inner.edm, None, -inner.literal)
        literal = LITERALS.get(type(node))
        if literal is None:
            raise ServiceError(400, "0x8006088a", "Bad Request - Error in query syntax.")
        edm, convert = literal
        value = convert(node)
        return Operand(Sql("?", (value,)), edm, None, value)

    def compare(self, operator: str, left: Operand, right: Operand) -> Sql:
        """A comparison, types checked."""
        if left.column is None and right.column is not None:
            left, right, operator = right, left, _FLIPPED.get(operator, operator)
        if right.edm is None or left.edm is None:
            return _null_test(operator, left if right.edm is None else right)
        right = self._fitted(operator, left, right)
        text = f"({left.sql.text} {SIGNS[operator]} {right.sql.text})"
        return Sql(text, (*left.sql.parameters, *right.sql.parameters))

    def compare_stored(self, operator: str, left: Operand, value: Json) -> Sql:
        """A comparison with a value that is in the column's comparable form already."""
        return Sql(f"({left.sql.text} {SIGNS[operator]} ?)", (*left.sql.parameters, value))

    def _fitted(self, operator: str, left: Operand, right: Operand) -> Operand:
        if right.column is not None or left.column is None:
            if family(left.edm) != family(right.edm):
                raise _clash(operator, left, right)
            return right
        value = fitted_literal(left.column, right.edm, right.literal)
        if value is None or left.edm != left.column.edm:
            raise _clash(operator, left, right)
        return Operand(Sql("?", (value,)), left.edm, None, value)


def _clash(operator: str, left: Operand, right: Operand) -> ServiceError:
    return bad_query(
        "A binary operator with incompatible types was detected. Found operand types "
        f"'{left.edm}' and '{right.edm}' for operator kind '{KINDS[operator]}'."
    )


def _null_test(operator: str, tested: Operand) -> Sql:
    if operator not in {"Eq", "NotEq"}:
        raise bad_query(f"null cannot be compared with operator kind '{KINDS[operator]}'.")
    suffix = "IS NULL" if operator == "Eq" else "IS NOT NULL"
    return Sql(f"({tested.sql.text} {suffix})", tested.sql.parameters)


def negated(condition: Sql) -> Sql:
    """Not, with null counting as false."""
    return Sql(f"(NOT coalesce({condition.text}, 0))", condition.parameters)


def array_of(compiler: OperandCompiler, value: str) -> Sql | list[str]:
    """The array a string literal stands for; a plain string is an array of one."""
    if value.startswith(ARRAY_MARK):
        return compiler.arrays[int(value[len(ARRAY_MARK) :])]
    return [value]


def in_list(operand: Operand, values: list[Json]) -> Sql:
    """Membership, for any number of values."""
    text = f"{operand.sql.text} IN (SELECT value FROM json_each(?))"  # noqa: S608 - own column expressions
    return Sql(text, (*operand.sql.parameters, json.dumps(values)))
