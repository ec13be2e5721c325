"""What a locale is: the pools from which people of one language are put together.

Every pool is a tuple, so that one draw is one index. Names come with an ASCII spelling, since an
e-mail address is ASCII in both systems (M: data type email; dataverse-api.md 14).
"""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass

_EXTRA = str.maketrans(
    {"ß": "ss", "ø": "o", "Ø": "O", "æ": "ae", "ł": "l", "'": "", "’": "", " ": "", "-": "", ".": ""}
)

Name = tuple[str, str]
"""As written, and in lower-case ASCII."""


@dataclass(frozen=True, slots=True)
class City:
    """A place of business. `postal` has `#` for a digit and `@` for a letter."""

    name: str
    state: str | None
    country: str
    postal: str


@dataclass(frozen=True, slots=True)
class Locale:
    """One language's pools. `phone`, `mobile`: `#` is a digit; a mobile number has at most 20 characters."""

    code: str
    weight: int
    family: tuple[Name, ...]
    given: tuple[Name, ...]
    middle: tuple[str, ...]
    salutations: tuple[str, ...]
    cities: tuple[City, ...]
    street: str  # with {street} and {number}
    streets: tuple[str, ...]
    second_lines: tuple[str, ...]
    phone: str
    mobile: str
    titles: tuple[str, ...]
    stems: tuple[Name, ...]
    trades: tuple[Name, ...]
    company: str  # with {stem} and {trade}
    topics: tuple[str, ...]
    sentences: tuple[str, ...]


def ascii_of(text: str) -> str:
    """A lower-case ASCII spelling of Latin text."""
    plain = unicodedata.normalize("NFKD", text.translate(_EXTRA))
    return plain.encode("ascii", "ignore").decode().lower()


def latin(text: str) -> tuple[Name, ...]:
    """Names separated by commas, in Latin script."""
    return tuple((name.strip(), ascii_of(name.strip())) for name in text.split(","))


def romanised(text: str) -> tuple[Name, ...]:
    """Pairs `as written:ascii`, separated by commas."""
    pairs = (entry.strip().rpartition(":") for entry in text.split(","))
    return tuple((written, roman) for written, _, roman in pairs)


def listed(text: str, separator: str = ",") -> tuple[str, ...]:
    """Texts separated by commas, or by another separator."""
    return tuple(entry.strip() for entry in text.split(separator))


def cities(text: str, country: str) -> tuple[City, ...]:
    """Entries `city/state/postal pattern`, separated by commas; an empty state is null."""
    found = []
    for entry in text.split(","):
        name, state, postal = entry.strip().split("/")
        found.append(City(name, state or None, country, postal))
    return tuple(found)
