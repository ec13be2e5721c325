"""The companies people work for: one fixed list, the same for every seed."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache
from itertools import cycle, product

from include.sandbox.people.asia import ARABIC, CHINESE, JAPANESE, KOREAN
from include.sandbox.people.europe import ENGLISH, GERMAN, PORTUGUESE, SPANISH, SWEDISH
from include.sandbox.people.locales import City, Locale, ascii_of

LOCALES = (CHINESE, SWEDISH, PORTUGUESE, SPANISH, KOREAN, ARABIC, JAPANESE, GERMAN, ENGLISH)
_LONG_NOTE = 1990  # under the 2000 UTF-16 units of a Dynamics description


@dataclass(frozen=True, slots=True)
class Company:
    """A company: its place in the list, its name as written, its mail domain, its seat."""

    number: int
    name: str
    domain: str
    city: City
    street: str
    locale: Locale = field(repr=False)


@cache
def companies() -> tuple[Company, ...]:
    """All companies, grouped by locale."""
    found: list[Company] = []
    for locale in LOCALES:
        for place, (stem, trade) in enumerate(product(locale.stems, locale.trades)):
            city = locale.cities[place % len(locale.cities)]
            street = locale.street.format(street=locale.streets[place % len(locale.streets)], number=place + 1)
            name = locale.company.format(stem=stem[0], trade=trade[0])
            domain = "-".join(ascii_of(part[1]).replace("&", "-and-").strip("-") for part in (stem, trade))
            found.append(Company(len(found), name, f"{domain}.example", city, street, locale))
    return tuple(found)


@cache
def employers(locale: Locale) -> tuple[Company, ...]:
    """The companies of one locale."""
    return tuple(company for company in companies() if company.locale is locale)


@cache
def notes(locale: Locale) -> tuple[str, ...]:
    """Texts for the notes field: short ones, some of several lines, one close to the limit."""
    alone = locale.sentences
    pairs = tuple(f"{first}\n{second}" for first, second in product(alone, alone) if first != second)
    long = alone[0]
    for sentence in cycle(alone):
        longer = f"{long}\n{sentence}"
        if len(longer.encode("utf-16-le")) // 2 > _LONG_NOTE:
            break
        long = longer
    return (*alone * 6, *pairs, long)
