"""What an emulator is: a function from one HTTP request to one HTTP response, plus its life cycle.

The server (`server.py`) owns sockets, TLS, threads, the call log and fault injection; an emulator
owns protocol, state and validation. So each emulator can be tested without a socket.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol
from urllib.parse import parse_qsl, unquote

Json = Any


@dataclass(frozen=True, slots=True)
class Request:
    """One HTTP request as received. Header names are lower case; `target` is the raw path."""

    method: str
    target: str
    query: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    base_url: str = "http://127.0.0.1"

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
