"""What the HTTP library lacks: one time limit for a whole answer, redirects left alone, compressed bodies checked.

The library's own limit starts anew with every byte, it reads the whole body of a redirect on its own account even if
told not to follow it, and it takes a compressed body that ends early for a whole one.
"""

from __future__ import annotations

import io
import socket
import time
import zlib
from collections.abc import Iterator
from http.client import HTTPResponse
from typing import Any, Final, Protocol

import requests
from requests.adapters import HTTPAdapter
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.connection import HTTPConnection, HTTPSConnection

ACCEPTED: Final = "gzip"
"""The content coding that `unpacked` reads, for `Accept-Encoding`."""

_CHUNK: Final = 64 * 1024
_GZIP: Final = 16 + zlib.MAX_WBITS
_GZIP_BEGINS: Final = b"\x1f\x8b"


class BodyUnreadable(OSError):
    """A body that is not what its headers say, or ends before its end."""


class _Body(Protocol):
    @property
    def headers(self) -> Any: ...

    def read1(self, amt: int, decode_content: bool) -> bytes: ...


class _UntilDeadline(io.RawIOBase):
    """Reads a socket until the time is up that the socket had for one read when the answer began."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock, self._raw = sock, sock.makefile("rb", buffering=0)
        limit = sock.gettimeout()
        self._until = None if limit is None else time.monotonic() + limit

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        if self._until is not None:
            left = self._until - time.monotonic()
            if left <= 0:
                raise TimeoutError("the answer dripped in too slowly")
            self._sock.settimeout(left)
        return self._raw.readinto(buffer)

    def close(self) -> None:
        if not self.closed:
            self._raw.close()
        super().close()


class _Answer(HTTPResponse):
    """An answer whose head counts towards the time limit like its body, and so do interim answers (1xx)."""

    def __init__(self, sock: socket.socket, *arguments: Any, **more: Any) -> None:
        super().__init__(sock, *arguments, **more)
        self.fp.close()
        self.fp = io.BufferedReader(_UntilDeadline(sock))


class _Plain(HTTPConnection):
    response_class = _Answer


class _Secure(HTTPSConnection):
    response_class = _Answer


class _PlainPool(HTTPConnectionPool):
    ConnectionCls = _Plain


class _SecurePool(HTTPSConnectionPool):
    ConnectionCls = _Secure


_POOLS: Final = {"http": _PlainPool, "https": _SecurePool}


class _Adapter(HTTPAdapter):
    def init_poolmanager(self, *arguments: Any, **more: Any) -> None:
        super().init_poolmanager(*arguments, **more)
        self.poolmanager.pool_classes_by_scheme = _POOLS

    def proxy_manager_for(self, *arguments: Any, **more: Any) -> Any:
        manager = super().proxy_manager_for(*arguments, **more)
        manager.pool_classes_by_scheme = _POOLS
        return manager


class BoundedSession(requests.Session):
    """A session that follows no redirect, reads no .netrc and repeats nothing."""

    def __init__(self, connections: int) -> None:
        super().__init__()
        self.auth = _leave_as_is  # otherwise a .netrc entry would replace our Authorization
        adapter = _Adapter(pool_connections=4, pool_maxsize=connections, max_retries=0)
        self.mount("https://", adapter)
        self.mount("http://", adapter)

    def get_redirect_target(self, resp: requests.Response) -> str | None:  # noqa: ARG002 - the library's signature
        """None: a redirect is an answer like any other, and its body is not read behind our back."""
        return None


def _leave_as_is(request: requests.PreparedRequest) -> requests.PreparedRequest:
    return request


def unpacked(raw: _Body) -> Iterator[bytes]:
    """The body in pieces of at most 64 KB, decompressed.

    Raises:
        BodyUnreadable: it ends inside the compression, is not compressed though it says so, or in a way not asked for.
    """
    coding = (raw.headers.get("content-encoding") or "identity").strip().lower()
    if coding == "identity":
        while piece := raw.read1(_CHUNK, False):
            yield piece
    elif coding in {"gzip", "x-gzip"}:
        yield from _gunzipped(raw)
    elif raw.read1(1, False):
        raise BodyUnreadable("a body in a content coding that nobody asked for")


def _gunzipped(raw: _Body) -> Iterator[bytes]:
    unpacker, begun = zlib.decompressobj(_GZIP), False
    while packed := raw.read1(_CHUNK, False):
        begun = True
        while packed:
            if unpacker.eof:
                if not packed.startswith(_GZIP_BEGINS):
                    break  # what follows the end means nothing (RFC 1952 knows further members only)
                unpacker = zlib.decompressobj(_GZIP)
            try:
                piece = unpacker.decompress(packed, _CHUNK)
            except zlib.error:
                raise BodyUnreadable("a body that is not compressed as it says") from None
            packed = unpacker.unconsumed_tail or unpacker.unused_data
            if piece:
                yield piece
    if begun and not unpacker.eof:
        raise BodyUnreadable("a compressed body that ends before its end")
