r"""OData `$batch` bodies: built by joining bytes, read by splitting (facts/dataverse-api §9, performance).

Requests use CRLF throughout; answers are read with CRLF and with LF (V55). All parts are single requests outside change
sets, so position links answer to request. A part counts as answered only when the delimiter after it has arrived.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from include.leadsync.clients.transport import Headers

MOST_PARTS: Final = 1000

_STATUS = re.compile(rb"HTTP/\d(?:\.\d)? (\d{3})(?: |\r|\n|$)")
_CONTENT_ID = re.compile(rb"\A[^{]{0,500}?\ncontent-id:[ \t]*(\d{1,9})[ \t]*\r?\n", re.IGNORECASE)
_BOUNDARY = re.compile(r'boundary="?([^";,\s]{1,200})"?', re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Part:
    """One request of a batch; `url` is relative to the host."""

    method: str
    url: str
    headers: Sequence[tuple[str, str]] = ()
    body: bytes = b""


@dataclass(frozen=True, slots=True)
class PartAnswer:
    """One answer of a batch."""

    status: int
    headers: Headers
    body: bytes


def new_boundary() -> str:
    """A boundary that occurs in no body."""
    return f"batch_{uuid.uuid4().hex}"


def content_type(boundary: str) -> str:
    """The Content-Type of a batch request."""
    return f'multipart/mixed; boundary="{boundary}"'


def build(parts: Sequence[Part], boundary: str) -> bytes:
    """The body of a batch request.

    Raises:
        ValueError: no or more than 1,000 parts, or a line break in an address or header.
    """
    if not 0 < len(parts) <= MOST_PARTS:
        raise ValueError(f"{len(parts)} parts in a batch; 1 to {MOST_PARTS} are possible")
    opening = f"--{boundary}\r\nContent-Type: application/http\r\nContent-Transfer-Encoding: binary\r\n\r\n"
    pieces: list[bytes] = []
    for part in parts:
        fields = "".join([f"{name}: {value}\r\n" for name, value in part.headers])
        head = f"{part.method} {part.url} HTTP/1.1\r\n{fields}"
        lines = len(part.headers) + 1
        if head.count("\n") != lines or head.count("\r") != lines:
            raise ValueError("a line break in an address or header of a batch part")
        pieces += (f"{opening}{head}\r\n".encode(), part.body, b"\r\n")
    pieces.append(f"--{boundary}--\r\n".encode())
    return b"".join(pieces)


def parse(body: bytes, content: str, expected: int) -> list[PartAnswer | None]:
    """The answers in the order of the requests; None where none can be told.

    `content` is the answer's Content-Type. More answers than requests are no answers at all, nor are answers whose
    Content-IDs repeat or go backwards: nothing says which belongs to which. (We send no Content-ID; outside change sets
    the order is the link, §9.2.)
    """
    found = _BOUNDARY.search(content)
    delimiter = b"\n--" + found[1].encode() if found else _first_delimiter(body)
    segments = (b"\n" + body).split(delimiter) if delimiter else []
    complete = segments[1:-1]  # before the first delimiter is preamble, after the last is the end or a cut-off part
    complete = [segment for segment in complete if not segment.startswith(b"--")]
    if len(complete) > expected or _out_of_order(complete):
        return [None] * expected
    answers = [_answer(segment) for segment in complete]
    return answers + [None] * (expected - len(answers))


def is_batch_answer(content: str) -> bool:
    """Whether a Content-Type announces batch answers."""
    return content.lower().lstrip().startswith("multipart/mixed")


def _out_of_order(segments: list[bytes]) -> bool:
    ids = [int(found[1]) for segment in segments if (found := _CONTENT_ID.search(segment))]
    return any(later <= earlier for earlier, later in pairwise(ids))


def _first_delimiter(body: bytes) -> bytes:
    start = body.find(b"--")
    line = body[start:].split(b"\n", 1)[0].strip() if start >= 0 else b""
    return b"\n" + line if line else b""


def _answer(segment: bytes) -> PartAnswer | None:
    _, found, answer = _cut(segment)
    if not found:
        return None
    head, _, body = _cut(answer.lstrip())
    status = _STATUS.match(head)
    if status is None:
        return None
    fields = [line.partition(":") for line in head.decode("latin-1").splitlines()[1:]]
    headers = Headers({name.strip(): value.strip() for name, colon, value in fields if colon})
    return PartAnswer(int(status[1]), headers, body.strip(b"\r\n"))


def _cut(text: bytes) -> tuple[bytes, bytes, bytes]:
    """Before and after the first blank line, of whichever line end comes first."""
    crlf, lf = text.find(b"\r\n\r\n"), text.find(b"\n\n")
    blank = b"\r\n\r\n" if crlf >= 0 and (lf < 0 or crlf < lf) else b"\n\n"
    return text.partition(blank)
