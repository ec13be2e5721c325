"""The members that the requests of all bulk extracts share (facts/marketo-api.md 9.2, 9.3; M68, M69)."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping, Sequence

from include.sandbox.marketo.values import parse_moment, shown
from include.sandbox.marketo.wire import Refusal
from include.sandbox.service import Json

DELIMITERS = {"CSV": ",", "TSV": "\t", "SSV": ";"}
"""The documentation calls SSV semicolon-separated on one page and space-separated on another; the first is used."""
LONGEST = 31 * 86_400
_ENDING = "\r\n"
_INTEGER = 2**63


class CsvLines:
    """Rows as lines that end with LF, quoted by RFC 4180: carriage returns too, whatever the Python version does."""

    def __init__(self, layout: str) -> None:
        """Choose the delimiter."""
        self._lines: list[str] = []
        self._writer = csv.writer(self, delimiter=DELIMITERS[layout.upper()], lineterminator=_ENDING)

    def write(self, line: str) -> None:
        """Take one line of the writer."""
        self._lines.append(f"{line[: -len(_ENDING)]}\n")

    def of(self, rows: Iterable[Sequence[str]]) -> bytes:
        """The lines of some rows."""
        self._writer.writerows(rows)
        text = "".join(self._lines)
        self._lines.clear()
        return text.encode()


def layout(body: Mapping[str, Json]) -> dict[str, Json]:
    """`format` (CSV unless given, any case) and `columnHeaderNames` as stored."""
    name = shown(body.get("format") or "CSV").upper()
    if name not in DELIMITERS:
        raise Refusal("1003", f"Invalid value '{name}' for format")
    headers = body.get("columnHeaderNames")
    return {"format": name, "columnHeaderNames": headers if isinstance(headers, dict) else {}}


def header(request: Mapping[str, Json]) -> list[str]:
    """The header row: API names, or the names asked for."""
    return [str(request["columnHeaderNames"].get(name, name)) for name in request["fields"]]


def unknown_fields(names: list[Json]) -> Refusal:
    """The refusal of names that the extract does not know."""
    return Refusal("1003", f"Invalid fields [{', '.join(shown(name) for name in names)}]")


def integer(value: Json) -> int | None:
    """A whole number of 64 bits, given as a number or as text; None for anything else."""
    if isinstance(value, str) and value.isdecimal():
        value = int(value)
    return value if type(value) is int and -_INTEGER <= value < _INTEGER else None


def date_range(value: Json) -> list[int]:
    """Both ends in seconds, at most 31 days apart.

    Assumption: both must be given; a bare date means its midnight UTC; milliseconds are dropped.
    """
    ends = [value.get(end) for end in ("startAt", "endAt")] if isinstance(value, dict) else []
    moments = [parse_moment(end) if isinstance(end, str) else None for end in ends]
    if not moments or moments[0] is None or moments[1] is None:
        raise Refusal("1003", "startAt and endAt must be valid datetimes")
    start, end = (int(moment.timestamp()) for moment in (moments[0], moments[1]))
    if start > end:
        raise Refusal("1003", "startAt is after endAt")
    if end - start > LONGEST:
        raise Refusal("1003", "The date range exceeds 31 days")
    return [start, end]


def cell(value: Json) -> str:
    """A value in the spelling of the file: empty is the bare word null, booleans and numbers as JSON has them (M69)."""
    if type(value) is str:
        return value
    return "null" if value is None else shown(value)
