"""The choices behind one generated record: a digest of seed and number, read piece by piece."""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Iterator
from typing import TypeVar

T = TypeVar("T")

_DRAWS = struct.Struct("<96H")
_DIGEST = _DRAWS.size + 16
_LETTERS = "ABEHLNPRSWXY"


class Dice:
    """The choices for record `index`, drawn one after the other; at most 96 of them.

    `guid` is a lower-case GUID of its own.
    """

    __slots__ = ("_next", "guid")

    def __init__(self, key: bytes, index: int) -> None:
        digest = hashlib.shake_128(key + index.to_bytes(8, "big")).digest(_DIGEST)
        draws: Iterator[int] = iter(_DRAWS.unpack_from(digest))
        self._next = draws.__next__
        self.guid = _guid(digest[_DRAWS.size :])

    def below(self, limit: int) -> int:
        """A whole number from 0 to `limit` - 1; `limit` is at most 65536."""
        return self._next() * limit >> 16

    def pick(self, pool: tuple[T, ...]) -> T:
        """One of a pool."""
        return pool[self._next() * len(pool) >> 16]

    def chance(self, share: float) -> bool:
        """True in that share of cases."""
        return self._next() < share * 65536

    def digits(self, pattern: str) -> str:
        """The pattern with `#` replaced by digits and `@` by letters."""
        if "#" in pattern:
            count = pattern.count("#")
            number = (self._next() << 16 | self._next()) % 10**count
            for digit in f"{number:0{count}d}":
                pattern = pattern.replace("#", digit, 1)
        while "@" in pattern:
            pattern = pattern.replace("@", _LETTERS[self.below(len(_LETTERS))], 1)
        return pattern


def _guid(digest: bytes) -> str:
    text = digest.hex()
    return f"{text[:8]}-{text[8:12]}-4{text[13:16]}-{'89ab'[digest[8] >> 6]}{text[17:20]}-{text[20:]}"
