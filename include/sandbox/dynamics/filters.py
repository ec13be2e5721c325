"""`$filter` to SQL over the stored documents (V16, V17, section 3.4).

Two-valued logic as callers of the service see it: a comparison with null is false, so its negation
is true, and `ne` matches null rows.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime

from odata_query import ast

from include.sandbox.dynamics.documents import extract
from include.sandbox.dynamics.errors import ServiceError, bad_query, unknown_property
from include.sandbox.dynamics.filter_text import flattened, parse_filter, path_of
from include.sandbox.dynamics.operands import SIGNS, OperandCompiler, Scope, Sql, negated
from include.sandbox.dynamics.query_functions import call
from include.sandbox.dynamics.schema import Schema, Table
from include.sandbox.service import Json

_DEEPEST = 100  # conditions inside each other; SQLite itself takes some hundreds


class FilterCompiler(OperandCompiler):
    """Compiles filters of one table."""

    def __init__(self, schema: Schema, table: Table, now: datetime, user: str, aliases: Mapping[str, str]) -> None:
        super().__init__(schema, table, now, user, aliases)
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


def _unary(compiler: FilterCompiler, node: ast.UnaryOp, scope: Scope) -> Sql:
    return negated(compiler.condition(node.operand, scope))


def _comparison(compiler: FilterCompiler, node: ast.Compare, scope: Scope) -> Sql:
    operator = type(node.comparator).__name__
    if isinstance(node.left, ast.UnaryOp) and isinstance(node.left.op, ast.Not):
        # The library binds `not` to the name; the service binds it weaker than comparisons (section 3.4).
        return negated(_comparison(compiler, ast.Compare(node.comparator, node.left.operand, node.right), scope))
    if operator not in SIGNS:
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
    join = f"l{next(compiler.joins)}"
    link = f'FROM "r_{child.name}" {join} WHERE {extract(child, relationship.column, join)} = {alias}.id'
    if node.lambda_ is None:
        return Sql(f"EXISTS (SELECT 1 {link})")
    inner = compiler.condition(node.lambda_.expression, {**scope, node.lambda_.identifier.name: (child, join)})
    if isinstance(node.operator, ast.Any):
        return Sql(f"EXISTS (SELECT 1 {link} AND {inner.text})", inner.parameters)
    return Sql(f"NOT EXISTS (SELECT 1 {link} AND NOT coalesce({inner.text}, 0))", inner.parameters)


_CONDITIONS: Mapping[type, Callable[[FilterCompiler, Json, Scope], Sql]] = {
    ast.BoolOp: _boolean,
    ast.UnaryOp: _unary,
    ast.Compare: _comparison,
    ast.Call: call,
    ast.CollectionLambda: _lambda,
    ast.Identifier: _truth,
    ast.Attribute: _truth,
    ast.Boolean: lambda _compiler, node, _scope: Sql("1" if node.py_val else "0"),
}
