"""Functions in `$filter`: contains and its like, and Dataverse's own (section 3.4, V16, V17)."""

from __future__ import annotations

from odata_query import ast

from include.sandbox.dynamics.collation import fold
from include.sandbox.dynamics.conditions import OPERATORS, Condition, relative
from include.sandbox.dynamics.errors import ServiceError, bad_query, unknown_property
from include.sandbox.dynamics.filter_text import unknown_function, wrong_arguments
from include.sandbox.dynamics.operands import Operand, OperandCompiler, Scope, Sql, array_of, column_sql
from include.sandbox.dynamics.schema import Column

_NAMESPACE = ("Microsoft", "Dynamics", "CRM")
_PATTERNS = {"contains": "%{}%", "startswith": "{}%", "endswith": "%{}"}


def call(compiler: OperandCompiler, node: ast.Call, scope: Scope) -> Sql:
    """The condition of one function call; raises 400 for an unknown function."""
    name = node.func.name
    if node.func.namespace == _NAMESPACE:
        return _own_function(compiler, name, node, scope)
    if node.func.namespace or name not in _PATTERNS:
        raise unknown_function(name)
    operand = compiler.operand(node.args[0], scope)
    value = node.args[1]
    if operand.edm != "Edm.String" or not isinstance(value, ast.String):
        raise wrong_arguments(name)
    return like(operand, _PATTERNS[name].format(fold(value.val)))


def like(operand: Operand, pattern: str) -> Sql:
    """A pattern on folded text; the values' own %, _ and [] act as wildcards, as in the service."""
    if "[" in pattern:
        return Sql(f"dv_match({operand.sql.text}, ?)", (*operand.sql.parameters, pattern))
    return Sql(f"({operand.sql.text} LIKE ?)", (*operand.sql.parameters, pattern))


def _own_function(compiler: OperandCompiler, name: str, node: ast.Call, scope: Scope) -> Sql:
    handler = OPERATORS.get(name) or relative(name)
    if handler is None:
        raise bad_query(f"An unknown function with name 'Microsoft.Dynamics.CRM.{name}' was found.")
    given = {part.name.name: part.param for part in node.args if isinstance(part, ast.NamedParam)}
    table, alias = scope[""]
    property_name = _text(name, given, "PropertyName")
    column = table.reference(property_name)
    if column is None:
        raise unknown_property(property_name, table.name)
    return handler(Condition(compiler, name, _operand(scope, column, alias), column, _values(compiler, name, given)))


def _operand(scope: Scope, column: Column, alias: str) -> Operand:
    return Operand(Sql(column_sql(scope[""][0], column, alias)), column.edm, column)


def _values(compiler: OperandCompiler, name: str, given: dict[str, ast._Node]) -> list[str]:
    """`PropertyValues`, an array; `PropertyValue`; or `PropertyValue1` and `PropertyValue2`."""
    if "PropertyValues" in given:
        found = array_of(compiler, _text(name, given, "PropertyValues"))
        return found if isinstance(found, list) else []
    single = [key for key in ("PropertyValue", "PropertyValue1", "PropertyValue2") if key in given]
    return [_text(name, given, key) for key in single]


def _text(function: str, given: dict[str, ast._Node], name: str) -> str:
    node = given.get(name)
    if node is None:
        raise ServiceError(400, "0x80040203", f"{function}: the parameter '{name}' is missing.")
    if isinstance(node, ast.UnaryOp):
        return f"-{getattr(node.operand, 'val', '')}"
    return str(getattr(node, "val", ""))
