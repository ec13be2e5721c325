"""Writing the file of a bulk extract beside the other calls (facts/marketo-api.md 9.4; M69).

One thread a job, streaming from one snapshot of the database to disk: memory does not grow with the
file. It gives the interpreter away after every few rows, so that other calls stay fast meanwhile.
"""

from __future__ import annotations

import hashlib
import itertools
import logging
import os
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from sqlite3 import Connection
from typing import Protocol

from include.sandbox.marketo.database import Database
from include.sandbox.marketo.extract_request import CsvLines, header
from include.sandbox.service import Json

_SLICE = 50
"""Rows between two rests, about a millisecond of work."""
_REST = 0.0005
_log = logging.getLogger(__name__)


class ExtractKind(Protocol):
    """What can be extracted."""

    name: str

    def check(self, body: Mapping[str, Json]) -> dict[str, Json]:
        """The request as stored; raises `Refusal`."""
        ...

    def rows(self, connection: Connection, request: Mapping[str, Json]) -> Iterator[Sequence[str]]:
        """The rows of the file, values in the spelling of the file."""
        ...


@dataclass(frozen=True, slots=True)
class Written:
    """A file that is complete."""

    records: int
    size: int
    checksum: str
    """SHA-256 in hexadecimal."""


class FileWork(threading.Thread):
    """Writes one file under a temporary name and publishes it; `written` or `failure` says how it ended."""

    def __init__(self, database: Database, kind: ExtractKind, request: Mapping[str, Json], path: Path) -> None:
        """Keep what it needs; `start` begins."""
        super().__init__(name="marketo-extract", daemon=True)
        self._database = database
        self._kind = kind
        self._request = request
        self._path = path
        self._stop_asked = threading.Event()
        self.begun = time.monotonic()
        self.written: Written | None = None
        self.failure: str | None = None

    def stop(self) -> None:
        """End soon, without a file."""
        self._stop_asked.set()

    def run(self) -> None:
        """Write."""
        part = self._path.with_suffix(".part")
        try:
            self._path.parent.mkdir(exist_ok=True)
            written = self._write(part)
            if self._stop_asked.is_set():
                part.unlink()
            else:
                part.replace(self._path)
                self.written = written
        except Exception as error:  # noqa: BLE001 - whatever it is, the job has failed
            _log.exception("bulk extract failed inside the emulator")
            self.failure = f"{type(error).__name__}: {error}"

    def _write(self, part: Path) -> Written:
        digest, size, records = hashlib.sha256(), 0, 0
        with part.open("wb") as file, self._database.read() as connection:
            lines = CsvLines(self._request["format"])
            rows = self._kind.rows(connection, self._request)
            head = [header(self._request)]
            while True:
                some = list(itertools.islice(rows, _SLICE))
                data = lines.of([*head, *some])
                head.clear()
                file.write(data)
                digest.update(data)
                size, records = size + len(data), records + len(some)
                if len(some) < _SLICE or self._stop_asked.is_set():
                    break
                time.sleep(_REST)
            if not self._stop_asked.is_set():
                file.flush()
                os.fsync(file.fileno())
        return Written(records, size, digest.hexdigest())
