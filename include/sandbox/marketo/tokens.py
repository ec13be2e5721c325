"""Paging tokens: a position in opaque base-32 text (facts/marketo-api.md 8.1; M28, M53).

A token carries its kind, its numbers and a checksum keyed by the instance, so a token that was
made up, cut short, used at another endpoint kind or taken from another instance is refused.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import secrets
import sqlite3
import struct

from include.sandbox.marketo.wire import Refusal

FEED = 1
"""Position in the activities: earliest activity date, last sequence number seen."""
PEOPLE = 2
"""Last person id seen."""
MEMBERS = 3
LISTS = 4
FIELDS = 5
MEMBERSHIP = 6
JOBS = 7
PROGRAM_MEMBERS = 20
OBJECTS = 21
_SIGNATURE = 4


class PagingTokens:
    """Writes and reads the tokens of one instance."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        """Take the instance's key from the file, or make one."""
        fresh = secrets.token_hex(8)
        connection.execute("INSERT OR IGNORE INTO meta VALUES ('paging key', ?)", (fresh,))
        row = connection.execute("SELECT value FROM meta WHERE key = 'paging key'").fetchone()
        self._key = bytes.fromhex(row[0])

    def write(self, kind: int, *numbers: int) -> str:
        """The token of a position."""
        body = struct.pack(f">B{len(numbers)}q", kind, *numbers)
        return base64.b32encode(self._signature(body) + body).decode()

    def read(self, kind: int, token: str) -> tuple[int, ...]:
        """The numbers of a token.

        Raises:
            Refusal: 1003, for a bad or foreign token (section 15).
        """
        try:
            raw = base64.b32decode(token)
        except (binascii.Error, ValueError):
            raw = b""
        body = raw[_SIGNATURE:]
        if not body or raw[:_SIGNATURE] != self._signature(body) or body[0] != kind:
            raise Refusal("1003", f"Invalid value '{token[:80]}' for nextPageToken")
        return struct.unpack(f">{(len(body) - 1) // 8}q", body[1:])

    def _signature(self, body: bytes) -> bytes:
        return hashlib.blake2b(body, digest_size=_SIGNATURE, key=self._key).digest()
