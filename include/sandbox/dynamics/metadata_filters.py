"""`$filter` over metadata objects: comparisons, and, or, not, paths; no functions (section 13.1)."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from decimal import Decimal

from odata_query import ast

from include.sandbox.dynamics.errors import ServiceError, bad_query
from include.sandbox.dynamics.filter_text import parse_filter
from include.sandbox.dynamics.operands import KINDS
from include.sandbox.service import Json

_COMPARE: Mapping[type, Callable[[Json, Json], bool]] = {
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
}


def metadata_filter(text: str, aliases: Mapping[str, str], type_name: str) -> Callable[[Mapping[str, Json]], bool]:
    """A predicate; raises 400 for functions and unknown properties once it meets an object."""
    tree = parse_filter(text, aliases).tree
    return lambda shape: bool(_value(tree, shape, type_name))


def _value(node: ast._Node, shape: Mapping[str, Json], type_name: str) -> Json:  # noqa: PLR0911 - one per node type
    if isinstance(node, ast.BoolOp):
        left = bool(_value(node.left, shape, type_name))
        right = bool(_value(node.right, shape, type_name))
        return (left and right) if isinstance(node.op, ast.And) else (left or right)
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
        return not _value(node.operand, shape, type_name)
    if isinstance(node, ast.Compare):
        return _compare(node, shape, type_name)
    if isinstance(node, ast.Call):
        text = f'The "{node.func.name}" function isn\'t supported for Metadata Entities.'
        raise ServiceError(400, "0x8006088a", text)
    if isinstance(node, ast.Identifier):
        return _member(shape, node.name, type_name)
    if isinstance(node, ast.Attribute):
        owner = _value(node.owner, shape, type_name)
        return _member(owner, node.attr, type_name) if isinstance(owner, Mapping) else None
    if isinstance(node, ast.GUID):
        return node.val.lower()
    if hasattr(node, "py_val"):
        return node.py_val
    raise bad_query("The $filter expression is not supported for Metadata Entities.")


def _compare(node: ast.Compare, shape: Mapping[str, Json], type_name: str) -> bool:
    if isinstance(node.left, ast.UnaryOp) and isinstance(node.left.op, ast.Not):
        return not _compare(ast.Compare(node.comparator, node.left.operand, node.right), shape, type_name)
    if not isinstance(node.comparator, ast.Eq | ast.NotEq) and type(node.comparator) not in _COMPARE:
        raise bad_query("The $filter operator is not supported for Metadata Entities.")
    left, right = _value(node.left, shape, type_name), _value(node.right, shape, type_name)
    if left is not None and right is not None and _family(left) != _family(right):
        raise bad_query(
            "A binary operator with incompatible types was detected. Found operand types "
            f"'{_family(left)}' and '{_family(right)}' for operator kind '{KINDS[type(node.comparator).__name__]}'."
        )
    if isinstance(node.comparator, ast.Eq):
        return bool(left == right)
    if isinstance(node.comparator, ast.NotEq):
        return bool(left != right)
    compare = _COMPARE[type(node.comparator)]
    return left is not None and right is not None and compare(left, right)


def _family(value: Json) -> str:
    """The type of a value as far as comparing goes."""
    if isinstance(value, bool):
        return "Edm.Boolean"
    return "Edm.Int32" if isinstance(value, int | float | Decimal) else "Edm.String"


def _member(shape: Mapping[str, Json], name: str, type_name: str) -> Json:
    if name not in shape:
        raise bad_query(f"Could not find a property named '{name}' on type 'Microsoft.Dynamics.CRM.{type_name}'.")
    return shape[name]
