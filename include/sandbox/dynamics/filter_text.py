"""What Dataverse adds to OData's `$filter` grammar, put into a form that the parser library reads.

One pass that knows where quoted strings are: JSON arrays (`PropertyValues=["a","b"]`) become
references, parameter aliases (`@p1`) their values, enum literals (`Ns.Type'Value'`) plain strings,
pairs of values an array, `not(` gets its blank. The grammar itself is odata-query's.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from odata_query import ast
from odata_query.exceptions import (
    ArgumentCountException,
    ODataException,
    ParsingException,
    TokenizingException,
    UnknownFunctionException,
)
from odata_query.grammar import ODataLexer, ODataParser

from include.sandbox.dynamics.errors import ServiceError, bad_query
from include.sandbox.service import Json

ARRAY_MARK = "\x01array:"
_OPERATORS = frozenset(
    {"eq", "ne", "gt", "ge", "lt", "le", "and", "or", "not", "add", "sub", "mul", "div", "mod", "in"}
)


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
    except UnknownFunctionException as error:
        raise unknown_function(error.function_name) from error
    except ArgumentCountException as error:
        raise wrong_arguments(error.function_name) from error
    except ParsingException as error:
        raise bad_query(_parse_problem(text, plain, error.token)) from error
    except (ODataException, AttributeError, IndexError, ValueError, RecursionError) as error:
        # The library stumbles over some malformed paths; the service calls all of them syntax errors.
        raise bad_query(f"Syntax error at position {len(text)} in '{text}'.") from error


def unknown_function(name: str) -> ServiceError:
    """400 for a function that OData lacks (the text of the standard library)."""
    return bad_query(
        f"An unknown function with name '{name}' was found. This may also be a function import or a key lookup on a "
        "navigation property, which is not allowed."
    )


def wrong_arguments(name: str) -> ServiceError:
    """400 for arguments that a text function does not take (the text of the standard library)."""
    return bad_query(
        f"No function signature for the function with name '{name}' matches the specified arguments. The function "
        f"signatures considered are: {name}(Edm.String Nullable=true, Edm.String Nullable=true)."
    )


def _parse_problem(text: str, plain: str, token: Json) -> str:
    """The standard library's words for what the grammar did not expect."""
    if token is None:
        missing = "')' or operator" if _open(plain) else "Expression"
        return f"{missing} expected at position {len(text)} in '{text}'."
    if token.type == "WS" and token.index >= len(plain.rstrip()) - len(_last_word(plain)) - 1:
        return f"Expression expected at position {len(text)} in '{text}'."
    end = token.index + 1
    if token.type == "WS":  # the word behind the blank is what is wrong
        while end < len(plain) and not plain[end].isspace() and plain[end] not in "(),'":
            end += 1
    return f"Syntax error at position {min(end, len(text))} in '{text}'."


def _open(plain: str) -> bool:
    depth, quoted = 0, False
    for char in plain:
        quoted ^= char == "'"
        depth += 0 if quoted else {"(": 1, ")": -1}.get(char, 0)
    return depth > 0


def _last_word(plain: str) -> str:
    words = plain.split()
    return words[-1] if words else ""


def _token_problem(text: str, plain: str, position: int) -> str:
    if plain[position] == "'":
        return f"There is an unterminated literal at position {len(text)} in '{text}'."
    return f"Syntax error: character '{plain[position]}' is not valid at position {position} in '{text}'."


def path_of(node: ast._Node) -> list[str]:
    """The names of a path, first to last; raises 400 for anything else."""
    names = []
    while isinstance(node, ast.Attribute):
        names.append(node.attr)
        node = node.owner
    if not isinstance(node, ast.Identifier):
        raise bad_query("Unsupported path in $filter.")
    return [node.name, *reversed(names)]


def flattened(node: ast._Node, operator: type) -> Iterator[ast._Node]:
    """The operands of a chain of one operator, left to right."""
    stack = [node]
    while stack:
        current = stack.pop()
        if isinstance(current, ast.BoolOp) and isinstance(current.op, operator):
            stack += [current.right, current.left]
        else:
            yield current


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
        if word not in _OPERATORS and word.lower() in _OPERATORS and self._out:
            # The library reads operators in any case; the service does not (section 2.1).
            raise bad_query(f"Syntax error at position {end} in '{self._text}'.")
        if word == "PropertyValue1" and following == "=":
            self._two_values(end + 1)
            return
        if following == "'" and "." in word:
            return  # an enum literal: its quoted part follows as a plain string
        self._out.append(word)
        if word == "not" and following == "(":
            self._out.append(" ")

    def _two_values(self, start: int) -> None:
        """`PropertyValue1=a,PropertyValue2=b` as one array: the library takes at most two named parameters."""
        end = self._text.find(")", start)
        first, _, second = self._text[start : end if end >= 0 else len(self._text)].partition(",")
        name, _, value = second.strip().partition("=")
        if name != "PropertyValue2":
            raise bad_query(f"Syntax error at position {start} in '{self._text}'.")
        values = [self._aliases.get(text.strip(), text).strip().strip("'") for text in (first, value)]
        self.arrays.append(values)
        self._out.append(f"PropertyValues='{ARRAY_MARK}{len(self.arrays) - 1}'")
        self._at = end if end >= 0 else len(self._text)

    def _word_end(self, start: int) -> int:
        end = start
        while end < len(self._text) and (self._text[end].isalnum() or self._text[end] in "_.-"):
            end += 1
        return end
