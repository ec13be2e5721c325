"""`$filter` and `$orderby` to SQL over the stored documents (V16, V17, section 3.4).

Two-valued logic as callers of the service see it: a comparison with null is false, so its negation
is true, and `ne` matches null rows.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from itertools import count

from odata_query import ast

from include.sandbox.dynamics.documents import extract
from include.sandbox.dynamics.errors import ServiceError, bad_query, unknown_property
from include.sandbox.dynamics.filter_text import ARRAY_MARK, flattened, parse_filter, path_of
from include.sandbox.dynamics.literals import LITERALS, NUMBERS, family, fitted_literal
from include.sandbox.dynamics.schema import OWNER_ID, TEXT, Column, Schema, Table
from include.sandbox.service import Json

Scope = Mapping[str, tuple[Table, str]]
_SIGNS = {"Eq": "=", "NotEq": "IS NOT", "Gt": ">", "GtE": ">=", "Lt": "<", "LtE": "<="}
_FLIPPED = {"Gt": "Lt", "GtE": "LtE", "Lt": "Gt", "LtE": "GtE"}
_DEEPEST = 100  # conditions inside each other; SQLite itself takes some hundreds
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


class FilterCompiler:
    """Compiles filters of one table; `functions` handles the Dataverse query functions."""

    def __init__(self, schema: Schema, table: Table, now: datetime, user: str, aliases: Mapping[str, str]) -> None:
        self.schema = schema
        self.table = table
        self.now = now
        self.user = user
        self.aliases = aliases
        self.arrays: list[list[str]] = []
        self._joins = count(1)
        self._plain = False
        self._depth = 0

    def compile(self, text: str, alias: str = "r") -> Sql:
        """The condition of a filter text; raises 400 for anything the service would not take."""
        parsed = parse_filter(text, self.aliases)
        self.arrays = parsed.arrays
        return self.condition(parsed.tree, {"": (self.table, alias)})

    def condition(self, node: ast._Node, scope: Scope) -> Sql:
        """A node that is true or false; raises 400 for one that is nested too deep."""
        handler = _CONDITIONS.get(type(node))
        if handler is None:
            raise bad_query("The $filter expression must evaluate to a single boolean value.")
        self._depth += 1
        if self._depth > _DEEPEST:
            raise bad_query("Recursion depth exceeded allowed limit.")
        try:
            return handler(self, node, scope)
        finally:
            self._depth -= 1

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
        join = f"j{next(self._joins)}"
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
        text = f"({left.sql.text} {_SIGNS[operator]} {right.sql.text})"
        return Sql(text, (*left.sql.parameters, *right.sql.parameters))

    def compare_stored(self, operator: str, left: Operand, value: Json) -> Sql:
        """A comparison with a value that is in the column's comparable form already."""
        return Sql(f"({left.sql.text} {_SIGNS[operator]} ?)", (*left.sql.parameters, value))

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


def _boolean(compiler: FilterCompiler, node: ast.BoolOp, scope: Scope) -> Sql:
    parts = [compiler.condition(part, scope) for part in flattened(node, type(node.op))]
    word = " AND " if isinstance(node.op, ast.And) else " OR "
    while len(parts) > 1:  # balanced: SQLite's expression trees may be 1000 deep at most
        pairs = [parts[i : i + 2] for i in range(0, len(parts), 2)]
        parts = [_joined(word, pair) for pair in pairs]
    return parts[0]


def _joined(word: str, parts: list[Sql]) -> Sql:
    if len(parts) == 1:
        return parts[0]
    return Sql(f"({parts[0].text}{word}{parts[1].text})", (*parts[0].parameters, *parts[1].parameters))


def negated(condition: Sql) -> Sql:
    """Not, with null counting as false."""
    return Sql(f"(NOT coalesce({condition.text}, 0))", condition.parameters)


def _unary(compiler: FilterCompiler, node: ast.UnaryOp, scope: Scope) -> Sql:
    return negated(compiler.condition(node.operand, scope))


def _comparison(compiler: FilterCompiler, node: ast.Compare, scope: Scope) -> Sql:
    operator = type(node.comparator).__name__
    if isinstance(node.left, ast.UnaryOp) and isinstance(node.left.op, ast.Not):
        # The library binds `not` to the name; the service binds it weaker than comparisons (section 3.4).
        return negated(_comparison(compiler, ast.Compare(node.comparator, node.left.operand, node.right), scope))
    if operator not in _SIGNS:
        raise ServiceError(400, "0x8006088a", "Bad Request - Error in query syntax.")
    if isinstance(node.left, ast.Call) and isinstance(node.right, ast.Boolean):
        condition = compiler.condition(node.left, scope)
        return condition if node.right.py_val == (operator == "Eq") else negated(condition)
    return compiler.compare(operator, compiler.operand(node.left, scope), compiler.operand(node.right, scope))


def _truth(compiler: FilterCompiler, node: ast._Node, scope: Scope) -> Sql:
    operand = compiler.operand(node, scope)
    if operand.edm != "Edm.Boolean":
        raise bad_query("The $filter expression must evaluate to a single boolean value.")
    return Sql(f"({operand.sql.text} = 1)", operand.sql.parameters)


def _call(compiler: FilterCompiler, node: ast.Call, scope: Scope) -> Sql:
    from include.sandbox.dynamics.query_functions import call  # the functions compile with this module's classes

    return call(compiler, node, scope)


def _lambda(compiler: FilterCompiler, node: ast.CollectionLambda, scope: Scope) -> Sql:
    chain = path_of(node.owner)
    named = len(chain) > 1 and chain[0] in scope
    table, alias = scope[chain[0]] if named else scope[""]
    if len(chain) > (2 if named else 1):
        # The vendor's filter-rows page: no conditions on collections behind a lookup.
        raise bad_query(f"The collection '{'/'.join(chain)}' behind a lookup is not supported in $filter.")
    relationship = compiler.schema.collections(table.name).get(chain[-1])
    if relationship is None:
        raise unknown_property(chain[-1], table.name)
    child = compiler.schema.tables[relationship.child]
    join = f"l{next(compiler._joins)}"
    link = f'FROM "r_{child.name}" {join} WHERE {extract(child, relationship.column, join)} = {alias}.id'
    if node.lambda_ is None:
        return Sql(f"EXISTS (SELECT 1 {link})")
    inner = compiler.condition(node.lambda_.expression, {**scope, node.lambda_.identifier.name: (child, join)})
    if isinstance(node.operator, ast.Any):
        return Sql(f"EXISTS (SELECT 1 {link} AND {inner.text})", inner.parameters)
    return Sql(f"NOT EXISTS (SELECT 1 {link} AND NOT coalesce({inner.text}, 0))", inner.parameters)


def array_of(compiler: FilterCompiler, value: str) -> Sql | list[str]:
    """The array a string literal stands for; a plain string is an array of one."""
    if value.startswith(ARRAY_MARK):
        return compiler.arrays[int(value[len(ARRAY_MARK) :])]
    return [value]


def in_list(operand: Operand, values: list[Json]) -> Sql:
    """Membership, for any number of values."""
    text = f"{operand.sql.text} IN (SELECT value FROM json_each(?))"  # noqa: S608 - own column expressions
    return Sql(text, (*operand.sql.parameters, json.dumps(values)))


_CONDITIONS: Mapping[type, Callable[[FilterCompiler, Json, Scope], Sql]] = {
    ast.BoolOp: _boolean,
    ast.UnaryOp: _unary,
    ast.Compare: _comparison,
    ast.Call: _call,
    ast.CollectionLambda: _lambda,
    ast.Identifier: _truth,
    ast.Attribute: _truth,
    ast.Boolean: lambda _compiler, node, _scope: Sql("1" if node.py_val else "0"),
}
