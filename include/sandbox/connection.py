"""Connections: uvicorn's protocols, kept from being held open, filled up or broken by whoever is on the other side.

uvicorn bounds neither the time that a request may take to arrive nor, with httptools, the size of its
head. A service has both limits, mostly in the web server in front of it.
"""

from __future__ import annotations

import asyncio
import re
from http import HTTPMethod
from typing import Any

from uvicorn.protocols.http.h11_impl import H11Protocol

HEAD_SECONDS = 60.0
"""How long a request line and headers may take, from the first byte or the connection on."""
LARGEST_HEAD = 128 * 1024
"""Assumption: more than a web server in front of the services takes. The emulators refuse long addresses themselves."""
LONGEST_LINE = 60 * 1024
"""Likewise; httptools takes no address of 64 KiB."""
METHOD = "sandbox.method"
"""Where `scope["state"]` holds a method that httptools does not know."""
TRANSPORT = "sandbox.transport"
"""Where a request's `scope["state"]` holds its transport: uvicorn copies a protocol's `app_state` into it."""

_REASONS = {400: "Bad Request", 414: "Request-URI Too Large", 431: "Request Header Fields Too Large"}
_REQUEST_LINE = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]{1,64}) \S+ HTTP/1\.[01]\r?\n")
_PLAIN_METHODS = frozenset(HTTPMethod) - {HTTPMethod.CONNECT}


class Guarded:
    """Mixed into a protocol of uvicorn: a head that does not come, or does not end, ends the connection."""

    transport: Any
    cycle: Any
    app_state: dict[str, Any]
    loop: asyncio.AbstractEventLoop
    _head_bytes = 0
    _in_line = False
    _deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Let the requests of this connection know its transport."""
        super().connection_made(transport)  # type: ignore[misc]  # the protocol beside this class
        self.app_state = {**self.app_state, TRANSPORT: transport}
        self._expect_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the deadline."""
        if self._deadline is not None:
            self._deadline.cancel()
        super().connection_lost(exc)  # type: ignore[misc]  # the protocol beside this class

    def data_received(self, data: bytes) -> None:
        """Take bytes; those that belong to no request yet are counted and timed."""
        if self.transport.is_closing():
            return
        before = self.cycle
        between = before is None or before.response_complete or not before.more_body
        if between:
            self._expect_head()
            if self._line_too_long(data):
                self._refuse(414)
                return
            if not self._head_bytes:
                data = self._first(data)
        super().data_received(data)  # type: ignore[misc]  # the protocol beside this class
        self._head_bytes = self._head_bytes + len(data) if between and self.cycle is before else 0
        if self._head_bytes > LARGEST_HEAD:
            self._refuse(431)

    def _line_too_long(self, data: bytes) -> bool:
        """Whether the request line goes on beyond all measure."""
        if not self._head_bytes:
            self._in_line = True
        if not self._in_line:
            return False
        end = data.find(b"\n")
        self._in_line = end < 0
        return self._head_bytes + (len(data) if end < 0 else end) > LONGEST_LINE

    def _first(self, data: bytes) -> bytes:
        """The first bytes of a request as the protocol wants them."""
        return data

    def send_400_response(self, _message: str) -> None:
        """What is no HTTP is refused with a page, as by the web server in front of a service."""
        self._refuse(400)

    def timeout_keep_alive_handler(self) -> None:
        """End an idle connection; an answer that nobody reads is not waited for."""
        if self.transport.get_write_buffer_size():
            self.transport.abort()
        else:
            self.transport.close()

    def _expect_head(self) -> None:
        if self._deadline is None:
            self._deadline = self.loop.call_later(HEAD_SECONDS, self._look, self.cycle)

    def _look(self, before: Any) -> None:
        self._deadline = None
        if self.transport.is_closing():
            return
        if self.cycle is not before:
            if self._head_bytes:
                self._expect_head()  # of a later request
        elif self.cycle is None or self.cycle.response_complete:
            self.timeout_keep_alive_handler()
        else:
            self._expect_head()  # the next request waits for the answer to this one

    def _refuse(self, status: int) -> None:
        if self.transport.is_closing():
            return
        title = f"{status} {_REASONS[status]}"
        body = f"<html>\r\n<head><title>{title}</title></head>\r\n<body>\r\n<h1>{title}</h1>\r\n</body>\r\n</html>\r\n"
        head = f"HTTP/1.1 {title}\r\nContent-Type: text/html\r\nContent-Length: {len(body)}\r\nConnection: close\r\n"
        self.transport.write(f"{head}\r\n{body}".encode())
        self.transport.close()


class PlainProtocol(Guarded, H11Protocol):
    """The protocol in pure Python."""


def protocol_class() -> type[asyncio.Protocol]:
    """The faster protocol where httptools is installed, else the plain one."""
    try:
        from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
    except ImportError:
        return PlainProtocol

    class FastProtocol(Guarded, HttpToolsProtocol):
        """The protocol on httptools, which knows some methods only: others travel beside it."""

        _method = ""

        def _first(self, data: bytes) -> bytes:
            line = _REQUEST_LINE.match(data)
            if line is None or line[1].decode() in _PLAIN_METHODS:
                return data
            self._method = line[1].decode()
            return HTTPMethod.OPTIONS.encode() + data[line.end(1) :]

        def on_message_begin(self) -> None:
            super().on_message_begin()
            if self._method:
                self.scope["state"][METHOD], self._method = self._method, ""

    return FastProtocol
