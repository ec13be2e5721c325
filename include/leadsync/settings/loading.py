"""leadsync.yaml → `Settings`, or every mistake in it at once."""

from __future__ import annotations

import difflib
import json
import types
import typing
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from pydantic import BaseModel, ValidationError

from include.leadsync.errors import ConfigurationInvalid, Problem
from include.leadsync.settings.cross_checks import contradictions
from include.leadsync.settings.document import Document, Lines, Plain, parse_document, read_document
from include.leadsync.settings.section import WEB_ADDRESS
from include.leadsync.settings.tree import Settings

_LONGEST_SHOWN = 60
_KINDS = {
    "string_type": "a text",
    "int_type": "a whole number, without quotes",
    "float_type": "a number, without quotes",
    "bool_type": "true or false, without quotes",
    "tuple_type": "a list: [one, two]",
    "dict_type": "keys with values",
    "model_type": "keys with values",
    "finite_number": "a finite number",
}
_BOUNDS = {
    "greater_than_equal": ("ge", "at least {}"),
    "less_than_equal": ("le", "at most {}"),
    "greater_than": ("gt", "more than {}"),
    "string_too_short": ("min_length", "a text of {} character or more"),
    "string_too_long": ("max_length", "a text of at most {} characters"),
}


def load_settings(path: Path | str) -> Settings:
    """Read and check leadsync.yaml.

    Raises `ConfigurationInvalid` whose `problems` name every mistake: file and line, key, what was
    found and what belongs there. Whether the fields exist is checked later, by `resolve_fields`.
    """
    path = Path(path)
    return _checked(path, read_document(path))


def parse_settings(path: Path, body: bytes) -> Settings:
    """What `load_settings` would make of a file with this content."""
    return _checked(path, parse_document(path, body))


def _checked(path: Path, document: Document) -> Settings:
    data, lines, problems = document.data, document.lines, list(document.problems)
    settings = None
    try:
        settings = Settings.model_validate_json(json.dumps(data))
    except ValidationError as error:
        problems += [_problem(path, lines, detail) for detail in error.errors(include_url=False)]
    for key, found, expected in contradictions(data):
        problems.append(Problem(_where(path, lines, key), ".".join(key), found, expected))
    if problems or settings is None:
        raise ConfigurationInvalid(sorted(problems, key=_line_of))
    settings.came_from(str(path), lines)
    return settings


def _line_of(problem: Problem) -> int:
    tail = problem.file.rpartition(":")[2]
    return int(tail) if tail.isdigit() else 0


def _where(path: Path, lines: Lines, key: tuple[str, ...]) -> str:
    line = next((lines[key[:end]] for end in range(len(key), 0, -1) if key[:end] in lines), None)
    return str(path) if line is None else f"{path}:{line}"


def _problem(path: Path, lines: Lines, detail: Mapping[str, typing.Any]) -> Problem:
    key = tuple(str(part) for part in detail["loc"] if part != "[key]")
    kind, found, expected = detail["type"], _shown(detail["input"]), _expected(detail)
    if kind == "missing":
        found = "nothing"
    elif kind == "extra_forbidden":
        found = f"the unknown key {key[-1]!r}"
        expected = suggestion(key[-1], known_keys(key[:-1]))
    return Problem(_where(path, lines, key), ".".join(key) or "(whole file)", found, expected)


def _expected(detail: Mapping[str, typing.Any]) -> str:
    kind, context = str(detail["type"]), detail.get("ctx", {})
    if kind in _KINDS:
        return _KINDS[kind]
    if kind in _BOUNDS:
        name, sentence = _BOUNDS[kind]
        return sentence.format(context[name])
    if kind in {"enum", "literal_error"}:
        return suggestion(
            str(detail["input"]), str(context["expected"]).replace("'", "").replace(" or ", ", ").split(", ")
        )
    if kind == "string_pattern_mismatch":
        return _name_wanted(str(context["pattern"]))
    if kind == "missing":
        return f"the key {detail['loc'][-1]!r}"
    return str(detail["msg"])


def _name_wanted(pattern: str) -> str:
    if pattern == WEB_ADDRESS:
        return "https:// and a host, nothing behind it: https://app-sj01.marketo.com"
    if "@" in pattern:
        return "an e-mail address"
    lower = "A-Z" not in pattern
    what = "a Dynamics logical name: lower-case" if lower else "a Marketo REST name:"
    return f"{what} letters, digits and underscores, a letter first"


def suggestion(found: str, known: Iterable[str]) -> str:
    """`one of: …`, and the nearest of them when there is one."""
    names = [name for name in known if name]
    nearest = difflib.get_close_matches(found.lower(), names, n=1)
    hint = f"; did you mean {nearest[0]!r}?" if nearest else ""
    return f"one of: {', '.join(names)}{hint}"


def known_keys(path: tuple[str, ...]) -> list[str]:
    """The keys that may stand under a section of the file."""
    model: object = Settings
    for part in path:
        model = _below(model, part)
    return list(model.model_fields) if isinstance(model, type) and issubclass(model, BaseModel) else []


def _below(model: object, part: str) -> object:
    if isinstance(model, type) and issubclass(model, BaseModel):
        annotation: object = model.model_fields[part].annotation if part in model.model_fields else None
    elif typing.get_origin(model) is dict:
        annotation = typing.get_args(model)[1]
    else:
        return None
    return next(_plain_types(annotation), None)


def _plain_types(annotation: object) -> Iterator[object]:
    if typing.get_origin(annotation) in {typing.Union, types.UnionType}:
        yield from (part for part in typing.get_args(annotation) if part is not type(None))
    elif annotation is not None:
        yield annotation


def _shown(value: Plain) -> str:
    text = json.dumps(value, ensure_ascii=False) if not isinstance(value, str) else repr(value)
    return text if len(text) <= _LONGEST_SHOWN else f"{text[:_LONGEST_SHOWN]}… ({len(text)} characters)"
