"""What Dataverse adds to OData's `$filter` grammar, put into a form that the parser library reads.

One pass that knows where quoted strings are: JSON arrays (`PropertyValues=["a","b"]`) become
references, parameter aliases (`@p1`) their values, enum literals (`Ns.Type'Value'`) plain strings,
`not(` gets its blank. The grammar itself is odata-query's.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field

from odata_query import ast
from odata_query.exceptions import ODataException, TokenizingException
from odata_query.grammar import ODataLexer, ODataParser

from include.sandbox.dynamics.errors import bad_query

ARRAY_MARK = "\x01array:"


@dataclass(slots=True)
class ParsedFilter:
    """The syntax tree, and the arrays that string literals starting with `ARRAY_MARK` stand for."""

    tree: ast._Node
    arrays: list[list[str]] = field(default_factory=list)


def parse_filter(text: str, aliases: Mapping[str, str]) -> ParsedFilter:
    """Parse a filter; raises 400 for a syntax error (section 11.2)."""
    reader = _Reader(text, aliases)
    plain = reader.read()
    try:
        return ParsedFilter(ODataParser().parse(ODataLexer().tokenize(plain)), reader.arrays)
    except TokenizingException as error:
        position = error.token.index
        raise bad_query(_token_problem(text, plain, position)) from error
    except (ODataException, AttributeError, IndexError, ValueError) as error:
        first_line = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise bad_query(f"Syntax error in '{text}': {first_line}") from error


def _token_problem(text: str, plain: str, position: int) -> str:
    if plain[position] == "'":
        return f"There is an unterminated literal at position {len(text)} in '{text}'."
    return f"Syntax error: character '{plain[position]}' is not valid at position {position} in '{text}'."


class _Reader:
    def __init__(self, text: str, aliases: Mapping[str, str]) -> None:
        self._text = text.strip()
        self._aliases = aliases
        self._at = 0
        self._out: list[str] = []
        self.arrays: list[list[str]] = []

    def read(self) -> str:
        while self._at < len(self._text):
            char = self._text[self._at]
            if char == "'":
                self._quoted()
            elif char == "[":
                self._array()
            elif char == "@":
                self._alias()
            elif char.isalpha() or char == "_":
                self._word()
            else:
                self._out.append(char)
                self._at += 1
        return "".join(self._out)

    def _quoted(self) -> None:
        end = self._at + 1
        while end < len(self._text):
            if self._text[end] == "'":
                if self._text[end + 1 : end + 2] != "'":
                    break
                end += 1
            end += 1
        self._out.append(self._text[self._at : end + 1])
        self._at = end + 1

    def _array(self) -> None:
        try:
            values, length = json.JSONDecoder().raw_decode(self._text[self._at :])
        except json.JSONDecodeError as error:
            raise bad_query(f"Invalid JSON array at position {self._at} in '{self._text}'.") from error
        self.arrays.append([str(value).lower() if isinstance(value, bool) else str(value) for value in values])
        self._out.append(f"'{ARRAY_MARK}{len(self.arrays) - 1}'")
        self._at += length

    def _alias(self) -> None:
        end = self._word_end(self._at + 1)
        name = self._text[self._at : end]
        if name not in self._aliases:
            raise bad_query(f"The parameter alias '{name}' has no value.")
        inner = _Reader(self._aliases[name], {})
        inner.arrays = self.arrays
        self._out.append(inner.read())
        self._at = end

    def _word(self) -> None:
        end = self._word_end(self._at)
        word = self._text[self._at : end]
        following = self._text[end : end + 1]
        self._at = end
        if following == "'" and "." in word:
            return  # an enum literal: its quoted part follows as a plain string
        self._out.append(word)
        if word == "not" and following == "(":
            self._out.append(" ")

    def _word_end(self, start: int) -> int:
        end = start
        while end < len(self._text) and (self._text[end].isalnum() or self._text[end] in "_.-"):
            end += 1
        return end
