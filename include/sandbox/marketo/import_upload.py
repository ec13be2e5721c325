"""The upload of an import file: multipart/form-data with one part `file` (facts/marketo-api.md section 10; M71)."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from include.sandbox.marketo.wire import Refusal
from include.sandbox.service import Request

LARGEST_FILE = 10 * 1024 * 1024
LARGEST_BODY = LARGEST_FILE + 64 * 1024
"""Boundaries and part headers come on top of the file."""
logging.getLogger("python_multipart").addHandler(logging.NullHandler())  # what clients send wrong is their matter


@dataclass(slots=True)
class Upload:
    """What was sent: the file, and the other parts by name."""

    file: bytes
    texts: Mapping[str, str]


@dataclass(slots=True)
class _Parts:
    """Collects the parser's events."""

    found: dict[str, bytearray] = field(default_factory=dict)
    complete: bool = False
    _header: bytearray = field(default_factory=bytearray)
    _value: bytearray = field(default_factory=bytearray)
    _name: str = ""

    def begin(self) -> None:
        self._name = ""

    def header_name(self, data: bytes, start: int, end: int) -> None:
        self._header += data[start:end]

    def header_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def header_end(self) -> None:
        if self._header.lower() == b"content-disposition":
            _, options = parse_options_header(bytes(self._value))
            self._name = options.get(b"name", b"").decode(errors="replace")
            self.found[self._name] = bytearray()
        self._header.clear()
        self._value.clear()

    def data(self, data: bytes, start: int, end: int) -> None:
        self.found.setdefault(self._name, bytearray()).extend(data[start:end])

    def end(self) -> None:
        self.complete = True


def parse_upload(request: Request) -> Upload:
    """The parts of a request.

    Raises:
        Refusal: 613 when the body is no complete multipart/form-data, 1002 without a part `file` (code assumed).
    """
    kind, options = parse_options_header(request.header("content-type"))
    boundary = options.get(b"boundary")
    if kind.lower() != b"multipart/form-data" or not boundary:
        raise _malformed()
    parts = _Parts()
    try:
        parser = MultipartParser(boundary, {
            "on_part_begin": parts.begin, "on_header_field": parts.header_name, "on_header_value": parts.header_value,
            "on_header_end": parts.header_end, "on_part_data": parts.data, "on_end": parts.end,
        })  # fmt: skip
        parser.write(request.body)
        parser.finalize()
    except FormParserError as error:
        raise _malformed() from error
    if not parts.complete:
        raise _malformed()
    if "file" not in parts.found:
        raise Refusal("1002", "Missing value for required parameter 'file'")
    file = bytes(parts.found.pop("file"))
    return Upload(file, {name: bytes(text).decode(errors="replace") for name, text in parts.found.items()})


def _malformed() -> Refusal:
    """A new one each time: an exception that is kept keeps the frames it came through, and their bodies."""
    return Refusal("613", "Invalid Multipart Request")
