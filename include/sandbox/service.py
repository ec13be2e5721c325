"""What an emulator is: a function from one HTTP request to one HTTP response, plus its life cycle.

The server (`server.py`) owns sockets, TLS, threads, the call log and fault injection; an emulator
owns protocol, state and validation. So each emulator can be tested without a socket.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, runtime_checkable
from urllib.parse import parse_qsl, unquote

Json = Any
_PIECE = 256 * 1024


@dataclass(frozen=True, slots=True)
class Hold:
    """A request that counts as running longer than it is handled, because a fault makes it slow."""

    release: Callable[[], None]
    refused: bool = False
    """More were running than the service allows when this one came."""


@dataclass(frozen=True, slots=True)
class Request:
    """One HTTP request as received. Header names are lower case; `target` is the raw path."""

    method: str
    target: str
    query: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    base_url: str = "http://127.0.0.1"
    hold: Hold | None = None

    @property
    def path(self) -> str:
        """The decoded path, dot segments left in place."""
        return unquote(self.target)

    def parameters(self) -> list[tuple[str, str]]:
        """Query parameters in order, repeated and empty ones kept."""
        return parse_qsl(self.query, keep_blank_values=True)

    def header(self, name: str, default: str = "") -> str:
        """A header by any case of its name."""
        return self.headers.get(name.lower(), default)


@dataclass(slots=True)
class Response:
    """One HTTP response. `headers` may repeat a name (cookies)."""

    status: int = 200
    body: bytes = b""
    headers: list[tuple[str, str]] = field(default_factory=list)

    @property
    def size(self) -> int:
        """Bytes of the body."""
        return len(self.body)

    def pieces(self) -> Iterator[bytes]:
        """The body in pieces that are small enough to be held in memory."""
        yield self.body


class FileResponse(Response):
    """A response whose body is a part of a file: sent piece by piece, read whole only by who asks for `body`."""

    __slots__ = ("length", "path", "start")

    def __init__(self, status: int, headers: list[tuple[str, str]], path: Path, start: int, length: int) -> None:
        self.status, self.headers = status, headers
        self.path, self.start, self.length = path, start, length

    @property
    def body(self) -> bytes:  # type: ignore[override]  # a field there, computed here
        """The whole body."""
        return b"".join(self.pieces())

    @property
    def size(self) -> int:
        """Bytes of the body."""
        return self.length

    def pieces(self) -> Iterator[bytes]:
        """The body in pieces."""
        left = self.length
        with self.path.open("rb") as file:
            file.seek(self.start)
            while left > 0 and (piece := file.read(min(left, _PIECE))):
                left -= len(piece)
                yield piece


@runtime_checkable
class Counting(Protocol):
    """An emulator that counts the requests that run at once."""

    def hold(self, request: Request) -> Hold | None:
        """Count a request as running until it is released; None for one that does not count."""
        ...


class Emulator(Protocol):
    """An emulated service. `handle` is called from several threads at once."""

    name: str

    def handle(self, request: Request) -> Response:
        """Answer one request; state changes are durable when this returns."""
        ...

    def control(self, command: str, arguments: Mapping[str, Json]) -> Json:
        """Carry out one command of the control endpoint; raises `KeyError` for an unknown one."""
        ...

    def load(self, table: str, rows: Iterable[Mapping[str, Json]]) -> int:
        """Bulk-insert generated records past the API, without activities; returns how many."""
        ...

    def close(self) -> None:
        """Release files."""
        ...
