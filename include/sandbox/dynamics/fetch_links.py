"""Tables that a FetchXML query joins: `link-entity` (V65)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from xml.etree.ElementTree import Element

from include.sandbox.dynamics.call import Call, not_implemented
from include.sandbox.dynamics.errors import ServiceError
from include.sandbox.dynamics.fetch_conditions import FetchCompiler, column_of, wrong
from include.sandbox.dynamics.operands import Operand, Sql
from include.sandbox.dynamics.schema import Column, Table
from include.sandbox.dynamics.selecting import compiler_for


@dataclass(slots=True)
class Link:
    """A joined table: the element, the alias in SQL and in the answer, and the columns to show under their names."""

    element: Element
    table: Table
    alias: str
    shown: str
    columns: list[tuple[str, Column]] = field(default_factory=list)


class Links:
    """Joins the links below an `entity`, gathers their orders; conditions may name them from then on."""

    def __init__(self, call: Call, table: Table) -> None:
        self._call = call
        self.compiler = FetchCompiler(compiler_for(call, table))
        self.found: list[Link] = []
        self.order: list[tuple[Operand, bool]] = []
        self._joins: list[Sql] = []

    @property
    def joins(self) -> Sql:
        """All joins, outermost first."""
        return Sql("".join(j.text for j in self._joins), tuple(v for j in self._joins for v in j.parameters))

    def gather(self, parent: Element, table: Table, alias: str) -> None:
        """The links below an element, each joined to its parent."""
        for element in parent.findall("link-entity"):
            child = self._call.schema.tables.get(element.get("name") or "")
            if child is None:
                text = f"The entity with a name = '{element.get('name')}' was not found in the MetadataCache."
                raise ServiceError(400, "0x80041102", text)
            self._call.demand("read", child)
            kind = element.get("link-type", "inner")
            if kind not in {"inner", "outer"}:
                raise not_implemented(f"link-type '{kind}' of FetchXML")
            number = len(self.found) + 1
            link = Link(element, child, f"e{number}", element.get("alias") or f"{child.name}{number}")
            if any(other.shown == link.shown for other in self.found):
                raise wrong(f"The alias '{link.shown}' is given to more than one link-entity.")
            self.found.append(link)
            self.compiler.named[link.shown] = (child, link.alias)
            self._join(element, link, (table, alias), outer=kind == "outer")
            self.gather(element, child, link.alias)

    def _join(self, element: Element, link: Link, parent: tuple[Table, str], *, outer: bool) -> None:
        own = self.compiler.operand(link.table, link.alias, element.get("from"))
        theirs = self.compiler.operand(*parent, element.get("to"))
        conditions = [Sql(f"{own.sql.text} = {theirs.sql.text}"), *self.filters(element, link.table, link.alias)]
        text = " AND ".join(condition.text for condition in conditions)
        word = "LEFT JOIN" if outer else "JOIN"
        parameters = tuple(value for condition in conditions for value in condition.parameters)
        self._joins.append(Sql(f' {word} "r_{link.table.name}" {link.alias} ON {text}', parameters))

    def filters(self, element: Element, table: Table, alias: str) -> list[Sql]:
        """The conditions of an element."""
        return [self.compiler.filter(part, table, alias) for part in element.findall("filter")]

    def show(self) -> None:
        """Read which columns of the links are shown, and how they sort."""
        for link in self.found:
            chosen = [(e.get("alias"), column_of(link.table, e.get("name"))) for e in link.element.findall("attribute")]
            if link.element.find("all-attributes") is not None:
                chosen = [(None, column) for column in link.table.exposed]
            link.columns = [(alias or column.name, column) for alias, column in chosen]
            for order in link.element.findall("order"):
                self.sort(order, link.table, link.alias)

    def sort(self, element: Element, table: Table, alias: str) -> None:
        """One `order`; it may name a link by `entityname`."""
        named = element.get("entityname")
        if named is not None:
            if named not in self.compiler.named:
                raise wrong(f"The link-entity '{named}' of an order is unknown.")
            table, alias = self.compiler.named[named]
        operand = self.compiler.operand(table, alias, element.get("attribute"))
        self.order.append((operand, is_true(element.get("descending"))))

    def sources(self, entity: Element, table: Table) -> Iterator[tuple[Element, Table, str]]:
        """Every element with attributes: the entity, then its links."""
        yield entity, table, "r"
        for link in self.found:
            yield link.element, link.table, link.alias


def is_true(text: str | None) -> bool:
    """A yes/no attribute of FetchXML."""
    return text in {"true", "1"}


def number_of(element: Element, name: str, usual: int) -> int:
    """A number among the attributes of an element; raises 400 for anything else."""
    text = element.get(name)
    if text is None:
        return usual
    if not text.isdigit() or len(text) > 9:
        raise wrong(f"The value '{text}' of '{name}' is not a number.")
    return int(text)
