"""YAML text → plain data with the line of every key; refuses what a configuration has no use for.

YAML 1.2's core rules: only `true`/`false` are booleans (`no` and `on` are texts), dates are texts.
Anchors, aliases, tags and deep nesting are refused, so that a small file cannot become a large one.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import yaml

from include.leadsync.errors import ConfigurationInvalid, Problem

Plain = None | bool | int | float | str | list["Plain"] | dict[str, "Plain"]
Lines = dict[tuple[str, ...], int]

LARGEST = 1_000_000
"""Bytes; a map of a thousand fields takes a tenth of it."""
_DEEPEST = 16
_CORE = {"null", "bool", "int", "float", "str", "seq", "map"}
_Base = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class _Loader(_Base):  # type: ignore[misc, valid-type]
    """PyYAML's parser with the scalars of YAML 1.2's core schema."""

    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}  # noqa: RUF012


for _tag, _pattern, _first in (
    ("bool", r"true|True|TRUE|false|False|FALSE", "tTfF"),
    ("null", r"~|null|Null|NULL|", ["~", "n", "N", ""]),
    ("int", r"[-+]?[0-9]{1,18}", "-+0123456789"),
    ("float", r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]{1,3})?|[-+]?\.inf|\.nan", "-+0123456789."),
):
    _Loader.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", re.compile(rf"(?:{_pattern})\Z"), list(_first))


@dataclass(frozen=True)
class Document:
    """A configuration file as plain data, the line of every key path, and the keys that stand twice."""

    data: dict[str, Plain]
    lines: Lines
    problems: list[Problem]


def read_document(path: Path) -> Document:
    """Read a file. Raises `ConfigurationInvalid` with everything that keeps it from being read."""
    return parse_document(path, _body(path))


def parse_document(path: Path, body: bytes) -> Document:
    """What a file would say if it had this content; raises as `read_document`."""
    text = _text(path, body)
    _refuse_oddities(path, text)
    reader = _Reader(str(path))
    try:
        root = yaml.compose(text, Loader=_Loader)
    except yaml.YAMLError as error:
        raise ConfigurationInvalid([_syntax(path, error)]) from error
    data = reader.value(root, ()) if root is not None else None
    if not isinstance(data, dict):
        found = "nothing" if data is None else f"a {type(data).__name__}"
        raise ConfigurationInvalid([Problem(str(path), "(whole file)", found, "sections, as `fields:`")])
    return Document(data, reader.lines, reader.problems)


def _body(path: Path) -> bytes:
    try:
        with path.open("rb") as stream:
            return stream.read(LARGEST + 1)
    except OSError as error:
        problem = Problem(str(path), "(whole file)", f"cannot be read: {error.strerror}", "a readable YAML file")
        raise ConfigurationInvalid([problem]) from error


def _text(path: Path, body: bytes) -> str:
    if len(body) > LARGEST:
        problem = Problem(str(path), "(whole file)", f"more than {LARGEST:,} bytes", f"at most {LARGEST:,} bytes")
        raise ConfigurationInvalid([problem])
    try:
        return body.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = body[: error.start].count(b"\n") + 1
        problem = Problem(f"{path}:{line}", "(whole file)", f"byte 0x{body[error.start]:02x}", "text in UTF-8")
        raise ConfigurationInvalid([problem]) from error


def _refuse_oddities(path: Path, text: str) -> None:
    """Anchors, aliases, tags, several documents and deep nesting, before anything is built from the text."""
    problems: list[Problem] = []
    depth = documents = 0
    try:
        for event in yaml.parse(text, Loader=_Loader):
            where = f"{path}:{event.start_mark.line + 1 if event.start_mark else 1}"
            documents += isinstance(event, yaml.DocumentStartEvent)
            depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
            problems += [Problem(where, "(YAML)", found, expected) for found, expected in _odd(event)]
            if depth > _DEEPEST:
                problems.append(Problem(where, "(YAML)", f"more than {_DEEPEST} levels", "at most the levels shown"))
                break
    except yaml.YAMLError as error:
        problems.append(_syntax(path, error))
    if documents > 1:
        problems.append(Problem(str(path), "(YAML)", f"{documents} documents", "one document, without `---` lines"))
    if problems:
        raise ConfigurationInvalid(problems)


def _odd(event: yaml.Event) -> Iterator[tuple[str, str]]:
    if isinstance(event, yaml.AliasEvent):
        yield f"alias *{getattr(event, 'anchor', '')}", "the value itself; aliases are not allowed"
    elif anchor := getattr(event, "anchor", None):
        yield f"anchor &{anchor}", "no anchors; write the value where it is needed"
    tag = getattr(event, "tag", None)
    if tag and tag != "!" and tag.removeprefix("tag:yaml.org,2002:") not in _CORE:
        yield f"tag {tag}", "no tags; quote a value to make it a text"


def _syntax(path: Path, error: yaml.YAMLError) -> Problem:
    mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    where = str(path) if mark is None else f"{path}:{mark.line + 1}"
    reason = getattr(error, "problem", None) or getattr(error, "reason", None) or "cannot be read"
    column = "" if mark is None else f" at column {mark.column + 1}"
    return Problem(where, "(YAML syntax)", f"{reason}{column}", "valid YAML")


class _Reader:
    """Builds plain data from the node tree; collects lines and duplicate keys on the way."""

    def __init__(self, file: str) -> None:
        self._file = file
        self.lines: Lines = {}
        self.problems: list[Problem] = []

    def value(self, node: yaml.Node, path: tuple[str, ...]) -> Plain:
        """The data under a node."""
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, path)
        if isinstance(node, yaml.SequenceNode):
            return [self.value(item, (*path, str(index))) for index, item in enumerate(node.value)]
        return _scalar(node)

    def _mapping(self, node: yaml.MappingNode, path: tuple[str, ...]) -> dict[str, Plain]:
        found: dict[str, Plain] = {}
        for key_node, value_node in node.value:
            line = key_node.start_mark.line + 1
            if not isinstance(key_node, yaml.ScalarNode) or not key_node.value:
                self.problems.append(
                    Problem(f"{self._file}:{line}", ".".join(path) or "(whole file)", "a key that is no text", "a name")
                )
                continue
            key = str(key_node.value)
            here = (*path, key)
            if key in found:
                self.problems.append(self._duplicate(here, line))
                continue
            self.lines[here] = line
            found[key] = self.value(value_node, here)
        return found

    def _duplicate(self, here: tuple[str, ...], line: int) -> Problem:
        is_field = here[0] == "fields" and len(here) == len(("fields", "entity", "name"))
        what = f"Marketo field {here[-1]}" if is_field else "key"
        found = f"the {what} a second time (first in line {self.lines[here]})"
        return Problem(f"{self._file}:{line}", ".".join(here), found, "each key once")


def _scalar(node: yaml.Node) -> Plain:
    text = str(node.value)
    match node.tag.removeprefix("tag:yaml.org,2002:"):
        case "null":
            return None
        case "bool":
            return text.lower() == "true"
        case "int":
            return int(text)
        case "float":
            return float(text.lower().replace(".inf", "inf").replace(".nan", "nan"))
        case _:
            return text
