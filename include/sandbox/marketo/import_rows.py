"""What an import does with its file, row by row (facts/marketo-api.md section 10; M71).

Insert or update by the look-up field; `id` updates only. A row is applied wholly or not at all.
"""

from __future__ import annotations

import csv
import io
import itertools
import sqlite3
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from include.sandbox.marketo.catalog import COMPANY_IDS, Field
from include.sandbox.marketo.extract_request import DELIMITERS, CsvLines
from include.sandbox.marketo.import_store import Batch
from include.sandbox.marketo.instance import Instance
from include.sandbox.marketo.list_store import StaticList
from include.sandbox.marketo.people import Person, match_key
from include.sandbox.marketo.values import accept
from include.sandbox.marketo.wire import Skip
from include.sandbox.marketo.writer import Provenance
from include.sandbox.service import Json

FAILURE, WARNING = "Import Failure Reason", "Import Warning Reason"
LIST_IMPORT = "List import"
CLEARS = frozenset({"null", "NULL"})
"""Assumption: an empty cell leaves the value alone, the bare word null clears it."""
_EXTERNAL_COMPANY = "41"
_SLICE = 50
_REST = 0.0005


class BadFile(Exception):
    """The file cannot be imported at all; the text becomes the message of the job."""


@dataclass(slots=True)
class Outcome:
    """What became of the rows: those that failed or were warned about, with the reason appended."""

    header: list[str]
    imported: int = 0
    failures: list[list[str]] = field(default_factory=list)
    warnings: list[list[str]] = field(default_factory=list)

    @property
    def message(self) -> str:
        """The text of the job (recorded forms; that of failures and warnings together is an assumption)."""
        failed, warned = len(self.failures), len(self.warnings)
        start = "Import completed with errors" if failed else "Import succeeded"
        more = [f"{failed} failed"] * bool(failed) + [f"{warned} warning."] * bool(warned)
        return ", ".join([start, f"{self.imported} records imported ({self.imported} members)", *more])


@dataclass(slots=True)
class _Row:
    cells: list[str]
    key: Json = None
    values: dict[Field, Json] = field(default_factory=dict)
    warning: str | None = None
    failure: Skip | None = None


class RowImport:
    """Imports one file."""

    def __init__(self, instance: Instance, batch: Batch, stop: threading.Event) -> None:
        """Keep the job; `stop` ends the work between two slices."""
        self._at = instance
        self._batch = batch
        self._stop = stop
        lookup = instance.catalog.get(batch.lookup)
        assert lookup is not None, batch.lookup
        self._lookup = lookup

    def run(self, path: Path) -> Outcome:
        """Import the file.

        Raises:
            BadFile: it has no header, or one that names no field (assumption).
        """
        text = path.read_bytes().decode("utf-8-sig", "replace")
        rows = csv.reader(io.StringIO(text, newline=""), delimiter=DELIMITERS[self._batch.layout.upper()])
        try:
            header = next(rows, None)
            if not header:
                raise BadFile("The file has no header")
            outcome = Outcome(header)
            fields = [self._column(name.strip()) for name in header]
            if self._lookup.name != "id":
                self._at.people.prepare(self._lookup)
            for some in _slices(rows):
                if self._stop.is_set():
                    break
                self._slice(some, fields, outcome)
                time.sleep(_REST)
        except csv.Error as error:
            raise BadFile(f"The file cannot be read: {error}") from error
        return outcome

    def _column(self, name: str) -> Field:
        one = self._at.catalog.get(name)
        if one is None:
            raise BadFile(f"Field '{name}' not found")
        if one.read_only or (one.name == "id" and self._lookup.name != "id"):
            raise BadFile(f"Field '{name}' cannot be imported")
        return one

    def _slice(self, some: list[list[str]], fields: Sequence[Field], outcome: Outcome) -> None:
        now = self._at.now()
        with self._at.database.write() as connection:
            rows = [self._read(cells, fields) for cells in some]
            keys = [row.key for row in rows if row.failure is None]
            known = self._at.people.holders(connection, self._lookup, keys) if keys else {}
            target, by = self._target(connection)
            for row in rows:
                try:
                    person = self._apply(connection, row, known, by, now)
                except Skip as skip:
                    outcome.failures.append([*row.cells, skip.message])
                    continue
                if target is not None:
                    self._at.lists.add(connection, target, person, LIST_IMPORT, now)
                outcome.imported += 1
                if row.warning:
                    outcome.warnings.append([*row.cells, row.warning])

    def _target(self, connection: sqlite3.Connection) -> tuple[StaticList | None, Provenance]:
        target = None if self._batch.list_id is None else self._at.lists.need(connection, self._batch.list_id)
        name = target.name if target else ""
        return target, Provenance(source=LIST_IMPORT, reason=LIST_IMPORT, method="", list_name=name)

    def _read(self, cells: list[str], fields: Sequence[Field]) -> _Row:
        """A row with its values in stored form, or with what is wrong with it."""
        values: dict[Field, Json] = {}
        warning = None
        for one, cell in zip(fields, cells, strict=False):
            if cell == "":
                continue
            try:
                values[one] = None if cell in CLEARS else accept(one, cell, truncate=self._at.options.truncate_strings)
            except Skip:
                if one.data_type != "email" or len(cell) > (one.length or 255):
                    return _Row(cells, failure=Skip("1003", f"Invalid data type in field {one.display}"))
                values[one], warning = cell, "Invalid email address"
        key = values.get(self._lookup)
        if key is None:
            return _Row(cells, failure=Skip("1003", f"Value for lookup field '{self._lookup.name}' not found"))
        return _Row(cells, key, {one: value for one, value in values.items() if one.name != "id"}, warning)

    def _apply(
        self, connection: sqlite3.Connection, row: _Row, known: dict[str, list[int]], by: Provenance, now: int
    ) -> int:
        """Create or update; the person's id. Assumption: failures have the texts of sync leads."""
        if row.failure is not None:
            raise row.failure
        matches = known.get(match_key(row.key), [])
        if len(matches) > 1:
            raise Skip("1007", "Multiple lead match lookup criteria")
        person = self._at.people.get(connection, matches[0]) if matches else None
        if person is not None:
            _check_company(person, row.values)
            self._at.writer.update(connection, person, row.values, by, now)
            return person.id
        if self._lookup.name == "id":
            raise Skip("1004", "Lead not found")
        made = self._at.writer.create(connection, row.values, by, now, self._batch.partition)
        known[match_key(row.key)] = [made.id]
        return made.id


def _check_company(person: Person, values: dict[Field, Json]) -> None:
    if person.doc.get(_EXTERNAL_COMPANY) and any(one.id in COMPANY_IDS for one in values):
        raise Skip("1021", "Company update not allowed")


def _slices(rows: Iterator[list[str]]) -> Iterator[list[list[str]]]:
    """Rows that are not blank, some at a time."""
    filled = (cells for cells in rows if any(cells))
    while some := list(itertools.islice(filled, _SLICE)):
        yield some


def write_reasons(path: Path, layout: str, header: Sequence[str], reason: str, rows: Sequence[Sequence[str]]) -> None:
    """A failures or warnings file in the format of the upload; without rows it is empty."""
    path.write_bytes(CsvLines(layout).of([[*header, reason], *rows]) if rows else b"")
