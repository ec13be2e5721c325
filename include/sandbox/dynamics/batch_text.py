"""The multipart text of `$batch`, in both directions (section 9)."""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from http import HTTPStatus

from include.sandbox.dynamics.errors import ServiceError
from include.sandbox.service import Response


@dataclass(frozen=True, slots=True)
class Part:
    """One request of a batch."""

    method: str
    url: str
    headers: dict[str, str]
    body: bytes
    content_id: str | None


@dataclass(frozen=True, slots=True)
class ChangeSet:
    """Requests that succeed or fail together."""

    parts: list[Part]


def unreadable(detail: str) -> ServiceError:
    """400 for a batch that cannot be read."""
    return ServiceError(400, "0x80048d19", detail)


def parse_batch(content_type: str, body: bytes, *, strict: bool) -> list[Part | ChangeSet]:
    """The parts of a batch; raises 400. `strict` refuses bare line feeds (section 9.1)."""
    bare = body.count(b"\n") != body.count(b"\r\n")
    if strict and bare and not body.endswith(b"\n\n"):
        raise unreadable("Stream was not readable.")
    parts: list[Part | ChangeSet] = []
    for chunk in _chunks(body, _boundary(content_type)):
        headers, content = _headers(chunk)
        kind = headers.get("content-type", "")
        if kind.lower().startswith("multipart/mixed"):
            inner = [_headers(piece) for piece in _chunks(content, _boundary(kind), closed=True)]
            parts.append(ChangeSet([_part(*piece) for piece in inner]))
        else:
            parts.append(_part(headers, content))
    return parts


def _boundary(content_type: str) -> bytes:
    kind, _, parameters = content_type.partition(";")
    if kind.strip().lower() != "multipart/mixed":
        raise unreadable(f"The content type '{kind}' of a batch must be multipart/mixed with a boundary.")
    for parameter in parameters.split(";"):
        name, _, value = parameter.strip().partition("=")
        if name.lower() == "boundary" and value:
            return value.strip().strip('"').encode()
    raise unreadable(f"The content type '{kind}' of a batch must be multipart/mixed with a boundary.")


def _chunks(body: bytes, boundary: bytes, *, closed: bool = False) -> list[bytes]:
    """What stands between the boundary lines, without the line end that belongs to the boundary.

    Raises 400 without any boundary; with `closed` also without the last one.
    """
    opening, closing = b"--" + boundary, b"--" + boundary + b"--"
    chunks: list[list[bytes]] = []
    for line in body.splitlines(keepends=True):
        bare = line.rstrip()
        if bare == closing:
            return [_without_last_end(b"".join(chunk)) for chunk in chunks]
        if bare == opening:
            chunks.append([])
        elif chunks:
            chunks[-1].append(line)
    if not chunks:
        raise unreadable("The multipart body has no part with the boundary of its header.")
    # Assumption: a body that ends without its closing boundary is read as far as it goes, a change set is not: half of
    # what should happen together must not.
    if closed:
        raise unreadable("The change set has no closing boundary.")
    return [_without_last_end(b"".join(chunk)) for chunk in chunks]


def _without_last_end(chunk: bytes) -> bytes:
    return chunk.removesuffix(b"\n").removesuffix(b"\r")


def _headers(chunk: bytes) -> tuple[dict[str, str], bytes]:
    headers: dict[str, str] = {}
    rest = chunk
    while rest:
        line, _, rest = rest.partition(b"\n")
        text = line.rstrip(b"\r").decode("utf-8", "replace")
        if not text.strip():
            if headers:
                break
            continue
        name, _, value = text.partition(":")
        headers[name.strip().lower()] = value.strip()
    return headers, rest


def _part(headers: dict[str, str], content: bytes) -> Part:
    if not headers.get("content-type", "").lower().startswith("application/http"):
        raise unreadable("A part of a batch must have the content type application/http or multipart/mixed.")
    line, _, rest = content.lstrip().partition(b"\n")
    words = line.decode("utf-8", "replace").split()
    if len(words) < 3 or not words[-1].startswith("HTTP/"):
        raise unreadable(
            f"The request line '{' '.join(words)[:200]}' is invalid. The request line at the start of each operation "
            "must be of the format 'HttpMethod RequestUrl HttpVersion'."
        )
    method, url = words[0].upper(), " ".join(words[1:-1])
    inner, body = _part_headers(rest)
    return Part(method, url, inner, body, headers.get("content-id") or inner.get("content-id"))


def _part_headers(rest: bytes) -> tuple[dict[str, str], bytes]:
    first = rest.partition(b"\n")[0]
    if not first.strip():  # no header at all: the body follows
        return {}, rest.partition(b"\n")[2].strip()
    headers, body = _headers(rest)
    return headers, body.strip()


def batch_boundary(kind: str) -> str:
    """A boundary for an answer: `batchresponse_<guid>` or `changesetresponse_<guid>`."""
    return f"{kind}_{uuid.uuid4()}"


def write_multipart(boundary: str, parts: Iterable[bytes]) -> bytes:
    """Parts between boundaries, line ends CRLF."""
    pieces = [b"--" + boundary.encode() + b"\r\n" + part + b"\r\n" for part in parts]
    return b"".join(pieces) + b"--" + boundary.encode() + b"--\r\n"


def write_part(response: Response, content_id: str | None) -> bytes:
    """One answer as an `application/http` part."""
    head = ["Content-Type: application/http", "Content-Transfer-Encoding: binary"]
    if content_id is not None:
        head.append(f"Content-ID: {content_id}")
    reason = HTTPStatus(response.status).phrase
    lines = [*head, "", f"HTTP/1.1 {response.status} {reason}"]
    lines += [f"{name}: {value}" for name, value in response.headers]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + response.body


def write_change_set(boundary: str, parts: Iterable[bytes]) -> bytes:
    """The answer of a change set as one part."""
    head = f"Content-Type: multipart/mixed; boundary={boundary}\r\n\r\n".encode()
    return head + write_multipart(boundary, parts).removesuffix(b"\r\n")
