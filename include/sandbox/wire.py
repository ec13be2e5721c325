"""The connection under one request: reading it whole, answering it, or breaking it on purpose.

Breaking needs the socket, which the protocols of `connection.py` hand to every request. A client that
stops sending, or stops reading, in the middle of an exchange loses the connection.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from contextlib import suppress
from typing import Any
from urllib.parse import quote

from include.sandbox.connection import METHOD, TRANSPORT
from include.sandbox.service import Request, Response

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

STALL_SECONDS = 60.0
"""How long a body may stand still under way, and an answer that is not read."""
_LINGER_SECONDS, _LINGER_IDLE_SECONDS = 5.0, 0.2
_BODILESS = frozenset({204, 304})
_INFORMATIONAL = 200


class Refused(Exception):
    """A request that is not read to its end, with the HTTP status that says why."""

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


class Room:
    """Bytes that the bodies of all requests under way may take together."""

    def __init__(self, limit: int) -> None:
        self.left = limit


class Wire:
    """One request's way in and its answer's way out."""

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self._scope = scope
        self._receive = receive
        self._send = send
        self._room = Room(0)
        self._taken = 0
        self._transport: asyncio.Transport = scope["state"][TRANSPORT]

    @property
    def port(self) -> int:
        """The port on which the request came in."""
        return int(self._scope["server"][1])

    async def request(self, most: int, room: Room) -> Request | None:
        """The whole request, or None when the client left before its end.

        The body takes its bytes from `room` until `done` is called. Raises `Refused`: 400 for a request to
        no host, 413 over `most` bytes, 408 when nothing more comes, 503 without room.
        """
        self._room = room
        headers = _headers(self._scope["headers"])
        if "host" not in headers and self._scope["http_version"] == "1.1":
            raise Refused(400)  # RFC 9112, 3.2
        announced = headers.get("content-length", "")
        if announced.isdigit() and int(announced) > most:
            raise Refused(413)  # before a client that asks first (Expect: 100-continue) is told to go on
        pieces = []
        more = True
        while more:
            message = await self._next_piece()
            if message["type"] == "http.disconnect":
                return None
            piece = message.get("body", b"")
            self._take(len(piece), most)
            pieces.append(piece)
            more = message.get("more_body", False)
        return self._whole(headers, b"".join(pieces))

    async def _next_piece(self) -> Message:
        try:
            async with asyncio.timeout(STALL_SECONDS):
                return await self._receive()
        except TimeoutError:
            raise Refused(408) from None

    def _take(self, size: int, most: int) -> None:
        self._room.left -= size
        self._taken += size
        if self._taken > most:
            raise Refused(413)
        if self._room.left < 0:
            raise Refused(503)

    def done(self) -> None:
        """The body is not needed any more."""
        self._room.left += self._taken
        self._taken = 0

    def _whole(self, headers: dict[str, str], body: bytes) -> Request:
        host, port = self._scope["server"]
        base = headers.get("host") or f"{host}:{port}"
        raw_path = self._scope.get("raw_path") or quote(self._scope["path"]).encode()
        return Request(
            method=self._scope["state"].get(METHOD) or self._scope["method"],
            target=raw_path.decode("latin-1"),
            query=self._scope["query_string"].decode("latin-1"),
            headers=headers,
            body=body,
            base_url=f"{self._scope['scheme']}://{base}",
        )

    async def answer(self, response: Response, sent: int | None = None) -> None:
        """Send an answer; with `sent`, only that many bytes of the body, then end the connection."""
        await self._send({"type": "http.response.start", "status": response.status, "headers": _raw(response)})
        if sent is None or sent >= response.size:
            for piece in response.pieces():
                await self._send_on({"type": "http.response.body", "body": piece, "more_body": True})
            await self._send_on({"type": "http.response.body"})
            return
        await self._send_on({"type": "http.response.body", "body": response.body[:sent], "more_body": True})
        self._transport.close()  # what is buffered still goes out
        await self._gone()

    async def refuse(self, response: Response) -> None:
        """Answer a request that was not read to its end, and end the connection.

        What is still on its way is taken and forgotten for a moment: closing over unread bytes would reset
        the connection, and a client that is busy sending would never see the answer.
        """
        self.done()
        await self._send({"type": "http.response.start", "status": response.status, "headers": _raw(response)})
        await self._send_on({"type": "http.response.body", "body": response.body, "more_body": True})
        with suppress(TimeoutError):
            async with asyncio.timeout(_LINGER_SECONDS):
                while await self._more_comes():
                    pass
        await self._send_on({"type": "http.response.body"})

    async def _more_comes(self) -> bool:
        async with asyncio.timeout(_LINGER_IDLE_SECONDS):
            message = await self._receive()
        return message["type"] != "http.disconnect" and bool(message.get("more_body"))

    async def _send_on(self, message: Message) -> None:
        """Send; a client that reads nothing for a while is left, one that reads slowly is not."""
        sending = asyncio.ensure_future(self._send(message))
        waiting = -1
        while not (await asyncio.wait({sending}, timeout=STALL_SECONDS))[0]:
            before, waiting = waiting, self._transport.get_write_buffer_size()
            if waiting == before:
                self._transport.abort()
        await sending

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
