"""`$select`, `$expand`, `$orderby`, `$top`: parsed and checked against the schema (section 3.4)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from include.sandbox.dynamics.errors import bad_query, unknown_property
from include.sandbox.dynamics.filter_text import parse_filter
from include.sandbox.dynamics.filters import FilterCompiler
from include.sandbox.dynamics.operands import Operand
from include.sandbox.dynamics.schema import OWNER_ID, Column, Relationship, Schema, Table

_SUB_OPTIONS = frozenset({"$select", "$filter", "$orderby", "$top", "$expand"})
_MAX_JOINS = 15


@dataclass(slots=True)
class Expand:
    """One expanded navigation property: a lookup's column, or the relationship of a collection.

    `reference`: only the address of the row is wanted (`/$ref`).
    """

    name: str
    table: Table | None
    selection: Selection | None
    column: Column | None = None
    relationship: Relationship | None = None
    options: Mapping[str, str] = field(default_factory=dict)
    reference: bool = False

    @property
    def is_owner(self) -> bool:
        """Whether it is the abstract owner, of which only the key is known."""
        return self.column is not None and self.column.type == "Owner" and self.table is None

    @property
    def context(self) -> str:
        """Its part of `@odata.context`."""
        if self.reference:
            return f"{self.name},{self.name}/$ref()"
        text = f"{self.name}{self.selection.context if self.selection else ''}"
        return text if text.endswith(")") else f"{text}()"


@dataclass(slots=True)
class Selection:
    """Columns to show, in order. `names` is what the context lists; empty when everything is shown."""

    table: Table
    columns: list[Column]
    names: list[str]
    expands: list[Expand] = field(default_factory=list)

    @property
    def context(self) -> str:
        """The list behind the set's name in `@odata.context`, with parentheses."""
        names = [*self.names, *(expand.context for expand in self.expands)]
        return f"({','.join(names)})" if names else ""


def parse_selection(schema: Schema, table: Table, options: Mapping[str, str | None]) -> Selection:
    """The selection of `$select` and `$expand`; raises 400 for unknown names (V13)."""
    selection = _select(table, options.get("$select"))
    expand = options.get("$expand")
    if expand:
        selection.expands = [_expand(schema, table, part) for part in split(expand, ",")]
        _check_expands(selection.expands)
        for entry in selection.expands:
            if entry.reference and entry.column is not None and entry.column not in selection.columns:
                selection.columns.append(entry.column)
    return selection


def _joins(expands: list[Expand]) -> int:
    return sum(1 + (_joins(expand.selection.expands) if expand.selection else 0) for expand in expands)


def _check_expands(expands: list[Expand]) -> None:
    """Limits of the vendor's join-tables page: 15 joins, and what may stand beside a nested `$expand`."""
    if _joins(expands) > _MAX_JOINS:
        raise bad_query(f"The number of $expand options exceeds the limit of {_MAX_JOINS}.")
    nested = any(e.selection is not None and e.selection.expands for e in expands)
    for expand in expands:
        if (nested or expand.relationship is None) and {"$orderby", "$top"} & expand.options.keys():
            raise bad_query(
                "Only $select and $filter clause can be provided while doing $expand on many-to-one relationship or "
                "nested one-to-many relationship."
            )


def _select(table: Table, text: str | None) -> Selection:
    if not text or not text.strip() or text.strip() == "*":
        return Selection(table, list(table.exposed), [])
    columns: dict[str, Column] = {}
    for part in text.split(","):
        name = part.strip()
        column = table.select(name)
        if column is None:
            raise unknown_property(name, table.name)
        columns[column.name] = column
    names = [column.wire for column in columns.values()]
    columns.setdefault(table.key, table.columns[table.key])
    if table.principal:
        columns.setdefault(OWNER_ID, table.by_wire[OWNER_ID])
    # A selected money column always brings its currency (section 3.2).
    if table.money & columns.keys() and "transactioncurrencyid" in table.columns:
        columns.setdefault("transactioncurrencyid", table.columns["transactioncurrencyid"])
    return Selection(table, list(columns.values()), names)


def _expand(schema: Schema, table: Table, part: str) -> Expand:
    name, opened, rest = part.strip().partition("(")
    name, reference = name.removesuffix("/$ref"), name.endswith("/$ref")
    options: dict[str, str] = {}
    if opened:
        if not rest.endswith(")"):
            raise bad_query(f"Syntax error in $expand: '{part}'.")
        for option in split(rest[:-1], ";"):
            key, _, value = option.strip().partition("=")
            key, value = key.strip(), value.strip()
            if key not in _SUB_OPTIONS:
                raise bad_query(f"Found an unsupported option '{key}' in $expand.")
            options[key] = value
    column, target, relationship = _navigation(schema, table, name)
    if reference and relationship is not None:
        raise bad_query("Expand with $ref is only supported on lookup type navigation property.")
    selection = parse_selection(schema, target, options) if target is not None and not reference else None
    if target is None:
        _check_abstract(table.navigation[name][1], options)
    return Expand(name, target, selection, column, relationship, options, reference)


def _check_abstract(target: str, options: Mapping[str, str]) -> None:
    """The abstract owner has its key only; a table that this org lacks has nothing to select."""
    known = {OWNER_ID} if target == "owner" else set()
    for name in split(options.get("$select") or "", ","):
        if name.strip() not in known:
            raise unknown_property(name.strip(), "principal" if target == "owner" else target)


def _navigation(schema: Schema, table: Table, name: str) -> tuple[Column | None, Table | None, Relationship | None]:
    if name in table.navigation:
        column, target = table.navigation[name]
        return column, schema.tables.get(target), None
    relationship = schema.collections(table.name).get(name)
    if relationship is None:
        raise unknown_property(name, table.name)
    return None, schema.tables[relationship.child], relationship


def split(text: str, separator: str) -> list[str]:
    """Parts between separators that are outside parentheses, brackets and quotes."""
    parts, depth, quoted = [""], 0, False
    for char in text:
        quoted ^= char == "'"
        if not quoted:
            depth += {"(": 1, "[": 1, "{": 1, ")": -1, "]": -1, "}": -1}.get(char, 0)
        if char == separator and depth == 0 and not quoted:
            parts.append("")
        else:
            parts[-1] += char
    return [part for part in parts if part.strip()]


def parse_order(compiler: FilterCompiler, text: str | None, alias: str = "r") -> list[tuple[Operand, bool]]:
    """`$orderby`: operands with True for descending."""
    order = []
    for part in split(text or "", ","):
        words = part.split()
        if len(words) > 2 or (len(words) == 2 and words[1].lower() not in {"asc", "desc"}):
            raise bad_query(f"Syntax error at position {len(words[0])} in '{part}'.")
        parsed = parse_filter(words[0], compiler.aliases)
        operand = compiler.operand(parsed.tree, {"": (compiler.table, alias)})
        if operand.column is None:
            raise bad_query(f"The $orderby expression '{part}' must be a property.")
        order.append((operand, len(words) == 2 and words[1].lower() == "desc"))
    return order


def parse_top(text: str | None) -> int | None:
    """`$top` as a number; raises 400 for anything else."""
    if text is None:
        return None
    if not text.strip().isdigit() or len(text.strip()) > 18:
        raise bad_query(f"Invalid value '{text}' for $top query option found. The $top query option requires a number.")
    return int(text)
