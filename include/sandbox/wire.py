"""The connection under one request: reading it whole, answering it, or breaking it on purpose.

Breaking needs the socket. uvicorn hands a copy of its protocol's `app_state` to every request as
`scope["state"]`; the protocols below put their transport in there, so nothing private is reached.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any
from urllib.parse import quote

from uvicorn.protocols.http.h11_impl import H11Protocol

from include.sandbox.service import Request, Response

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

_TRANSPORT = "sandbox.transport"
_BODILESS = frozenset({204, 304})
_INFORMATIONAL = 200


class PlainProtocol(H11Protocol):
    """uvicorn's protocol in pure Python."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as in uvicorn
        """Let the requests of this connection know its transport."""
        super().connection_made(transport)
        self.app_state = {**self.app_state, _TRANSPORT: transport}


def protocol_class() -> type[asyncio.Protocol]:
    """The faster protocol where httptools is installed, else the plain one."""
    try:
        from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
    except ImportError:
        return PlainProtocol

    class FastProtocol(HttpToolsProtocol):
        """uvicorn's protocol on httptools."""

        def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as in uvicorn
            super().connection_made(transport)
            self.app_state = {**self.app_state, _TRANSPORT: transport}

    return FastProtocol


class Wire:
    """One request's way in and its answer's way out."""

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self._scope = scope
        self._receive = receive
        self._send = send
        self._transport: asyncio.Transport = scope["state"][_TRANSPORT]

    @property
    def port(self) -> int:
        """The port on which the request came in."""
        return int(self._scope["server"][1])

    async def request(self) -> Request | None:
        """The whole request, or None when the client left before its end."""
        pieces = []
        more = True
        while more:
            message = await self._receive()
            if message["type"] == "http.disconnect":
                return None
            pieces.append(message.get("body", b""))
            more = message.get("more_body", False)
        headers = _headers(self._scope["headers"])
        host, port = self._scope["server"]
        base = headers.get("host") or f"{host}:{port}"
        raw_path = self._scope.get("raw_path") or quote(self._scope["path"]).encode()
        return Request(
            method=self._scope["method"],
            target=raw_path.decode("latin-1"),
            query=self._scope["query_string"].decode("latin-1"),
            headers=headers,
            body=b"".join(pieces),
            base_url=f"{self._scope['scheme']}://{base}",
        )

    async def answer(self, response: Response, sent: int | None = None) -> None:
        """Send an answer; with `sent`, only that many bytes of the body, then end the connection."""
        await self._send({"type": "http.response.start", "status": response.status, "headers": _raw(response)})
        if sent is None or sent >= response.size:
            for piece in response.pieces():
                await self._send({"type": "http.response.body", "body": piece, "more_body": True})
            await self._send({"type": "http.response.body"})
            return
        await self._send({"type": "http.response.body", "body": response.body[:sent], "more_body": True})
        self._transport.close()  # what is buffered still goes out
        await self._gone()

    async def drop(self) -> None:
        """End the connection without a byte of an answer."""
        self._transport.abort()
        await self._gone()

    async def _gone(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass


def _headers(raw: list[tuple[bytes, bytes]]) -> dict[str, str]:
    headers: dict[str, str] = {}
    for raw_name, raw_value in raw:
        name, value = raw_name.decode("latin-1").lower(), raw_value.decode("latin-1")
        if name in headers:
            # Repeated headers are one list (Prefer: dataverse-api.md 2.1); cookies join by semicolon.
            value = f"{headers[name]}{'; ' if name == 'cookie' else ', '}{value}"
        headers[name] = value
    return headers


def _raw(response: Response) -> list[tuple[bytes, bytes]]:
    headers = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in response.headers]
    has_body = response.status >= _INFORMATIONAL and response.status not in _BODILESS
    if has_body and not any(name in (b"content-length", b"transfer-encoding") for name, _ in headers):
        headers.append((b"content-length", str(response.size).encode()))
    return headers
