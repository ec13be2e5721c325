"""leadsync.yaml with one entry of the field map changed: every other character stays, comments and order too.

The text is edited at the marks of YAML's own parser, then read again: what it says afterwards must be what it said
before plus the change, or nothing is handed back. (A round trip through a YAML writer would lay out the rest anew.)
"""

from __future__ import annotations

import copy
import json
import re
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from include.leadsync.errors import LeadSyncError
from include.leadsync.model import Entity
from include.leadsync.settings.document import parse_document

_PLAIN = re.compile(r"[A-Za-z][A-Za-z0-9_]*\Z")
_WORDS = {"true", "false", "null"}
_BOM = "\ufeff"


class CannotEdit(LeadSyncError):
    """The text is written in a way in which this change cannot be made safely; it is for a person and an editor."""


def with_entry(body: bytes, entity: Entity, name: str, values: Mapping[str, str | bool]) -> bytes:
    """The file with a new entry behind the last one of that entity. Raises `CannotEdit`."""
    text = _Text(body)
    data = text.data()
    entries = data["fields"][entity.value]
    if name in entries:
        raise CannotEdit(f"fields.{entity.value}.{name} is there already")
    entries[name] = dict(values)
    return text.insert_entry(entity, name, values).checked(data)


def without_entry(body: bytes, entity: Entity, name: str) -> bytes:
    """The file without an entry; comments above it stay. Raises `CannotEdit`."""
    text = _Text(body)
    data = text.data()
    _entry_of(data, entity, name)
    del data["fields"][entity.value][name]
    return text.drop(_place(text.map(entity), name)).checked(data)


def with_values(body: bytes, entity: Entity, name: str, values: Mapping[str, str | bool | None]) -> bytes:
    """The file with keys of an entry set; None takes a key out. Raises `CannotEdit`."""
    text = _Text(body)
    data = text.data()
    entry = _entry_of(data, entity, name)
    for key, value in values.items():
        if entry.get(key) == value:  # absent and to be taken out, too
            continue
        node = _value(text.map(entity), name)
        if value is None:
            del entry[key]
            text.drop(_place(node, key))
        else:
            text.put(node, key, value, new=key not in entry)
            entry[key] = value
    return text.checked(data)


def _entry_of(data: Any, entity: Entity, name: str) -> dict[str, Any]:
    entry = data["fields"][entity.value].get(name)
    if not isinstance(entry, dict):
        raise CannotEdit(f"fields.{entity.value}.{name} is not in the file")
    return entry


Place = tuple[yaml.MappingNode, int]
"""A key of a mapping, by its position."""


class _Text:
    """The text of the file while it is being edited."""

    def __init__(self, body: bytes) -> None:
        whole = body.decode("utf-8")
        self._bom = _BOM if whole.startswith(_BOM) else ""
        self._text = whole.removeprefix(_BOM)
        self._break = "\r\n" if "\r\n" in self._text else "\n"

    def data(self) -> Any:
        """What the text says; a copy."""
        return copy.deepcopy(parse_document(Path("leadsync.yaml"), self._text.encode()).data)

    def map(self, entity: Entity) -> yaml.MappingNode:
        """The entries of an entity, as they stand now."""
        root: yaml.Node | None = yaml.compose(self._text, Loader=yaml.SafeLoader)
        return _value(_value(root, "fields"), entity.value)

    def checked(self, wanted: Any) -> bytes:
        """The text as bytes, if it says what it should."""
        body = (self._bom + self._text).encode()
        if parse_document(Path("leadsync.yaml"), body).data != wanted:
            raise CannotEdit("the file is written in a way in which this change cannot be made safely")
        return body

    def drop(self, place: Place) -> _Text:
        """Take a key and its value out."""
        mapping, at = place
        pairs = mapping.value
        if len(pairs) == 1 and not mapping.flow_style:  # a block must not end up empty
            self._replace(mapping.start_mark.index, _end(mapping), "{}")
        elif mapping.flow_style:
            begin = pairs[at][0].start_mark.index
            if at + 1 < len(pairs):
                self._replace(begin, pairs[at + 1][0].start_mark.index, "")
            else:
                self._replace(_end(pairs[at - 1][1]) if at else begin, _end(pairs[at][1]), "")
        else:
            begin = self._line_start(pairs[at][0].start_mark.index)
            self._replace(begin, self._line_end(_end(pairs[at][1])), "")
        return self

    def put(self, mapping: yaml.MappingNode, key: str, value: str | bool, *, new: bool) -> _Text:
        """Set a key whose value is one word."""
        if not new:
            node = _value(mapping, key)
            self._replace(node.start_mark.index, node.end_mark.index, _scalar(value))
        elif mapping.flow_style:
            where = _value(mapping, "type").end_mark.index
            self._replace(where, where, f", {key}: {_scalar(value)}")
        else:
            indent = " " * mapping.value[0][0].start_mark.column
            where = self._line_end(_value(mapping, "type").end_mark.index)
            self._insert_line(where, f"{indent}{key}: {_scalar(value)}")
        return self

    def insert_entry(self, entity: Entity, name: str, values: Mapping[str, str | bool]) -> _Text:
        """A line for an entry, behind the last one, laid out as the others are."""
        mapping = self.map(entity)
        inside = ", ".join(f"{key}: {_scalar(value)}" for key, value in values.items())
        if mapping.flow_style and mapping.value:
            where = _end(mapping.value[-1][1])
            self._replace(where, where, f", {name}: {{{inside}}}")
        elif mapping.value:
            key = mapping.value[0][0].start_mark
            label = f"{name}:".ljust(_column(mapping) - key.column - 1)
            where = self._line_end(_end(mapping.value[-1][1]))
            self._insert_line(where, f"{' ' * key.column}{label} {{{inside}}}")
        else:
            begin = mapping.start_mark.index
            line = self._text[self._line_start(begin) : begin]
            indent = len(line) - len(line.lstrip(" "))
            entry = f"{self._break}{' ' * (indent + 2)}{name}: {{{inside}}}"
            self._replace(len(self._text[:begin].rstrip(" ")), mapping.end_mark.index, entry)
        return self

    def _insert_line(self, where: int, line: str) -> None:
        before = self._text[:where]
        gap = "" if before.endswith("\n") else self._break  # the last line of a file may lack its end
        self._replace(where, where, f"{gap}{line}{self._break}")

    def _replace(self, begin: int, end: int, text: str) -> None:
        self._text = self._text[:begin] + text + self._text[end:]

    def _line_start(self, index: int) -> int:
        return self._text.rfind("\n", 0, index) + 1

    def _line_end(self, index: int) -> int:
        """Behind the line break of the line that `index` is in."""
        found = self._text.find("\n", index)
        return len(self._text) if found < 0 else found + 1


def _value(mapping: yaml.Node | None, key: str) -> yaml.MappingNode:
    node, at = _place(mapping, key)
    value: yaml.MappingNode = node.value[at][1]
    return value


def _place(mapping: yaml.Node | None, key: str) -> Place:
    if isinstance(mapping, yaml.MappingNode):
        for at, (name, _) in enumerate(mapping.value):
            if isinstance(name, yaml.ScalarNode) and name.value == key:
                return mapping, at
    raise CannotEdit(f"{key} is not where it should be")


def _end(node: yaml.Node) -> int:
    """Where the text of a node ends; that of a block is marked at what follows, beyond comments and empty lines."""
    if not isinstance(node, yaml.CollectionNode) or node.flow_style or not node.value:
        return int(node.end_mark.index)
    last = node.value[-1]
    return _end(last[1] if isinstance(node, yaml.MappingNode) else last)


def _column(mapping: yaml.MappingNode) -> int:
    """The column in which most entries begin on the line of their names; 0 where none does."""
    columns = Counter(
        value.start_mark.column for key, value in mapping.value if key.start_mark.line == value.start_mark.line
    )
    return columns.most_common(1)[0][0] if columns else 0


def _scalar(value: str | bool) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return value if _PLAIN.match(value) and value.lower() not in _WORDS else json.dumps(value)
