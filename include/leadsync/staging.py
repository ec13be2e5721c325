"""Parquet in and out: immutable datasets per run, published whole or not at all.

A dataset is written under a temporary name and moved to its own when complete, so a reader
sees all of it or none (facts: performance, "Staging"). Paths are fsspec URLs: a local folder,
S3, ADLS. Steps pass run ids, never data: where a dataset lies follows from run and name. A process that takes
several steps of a run may keep small datasets at hand: what it has published or read, it need not read again.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from functools import lru_cache
from io import BytesIO
from typing import Any
from uuid import uuid4

import fsspec
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
from fsspec.implementations.local import LocalFileSystem

from include.leadsync.errors import AnswerMalformed, FixConfiguration, RetryLater
from include.leadsync.no_rows import frame_of, to_arrow

ROW_GROUP = 131_072
_COLLECT = 20_000  # rows gathered before a row group is written: 300-row groups read up to 13 times slower
_SMALL = 1_000  # rows of a dataset that may be kept at hand, and is not worth compressing


class DatasetWriter:
    """Gathers small tables into row groups of a decent size."""

    def __init__(self, sink: Any, schema: pa.Schema) -> None:
        self._sink, self._schema = sink, schema
        self._parquet: pq.ParquetWriter | None = None
        self._waiting: list[pa.Table] = []
        self._gathered = 0
        self.rows = 0

    def write(self, table: pa.Table) -> None:
        """Add rows; they reach the file with the next full row group or `flush`."""
        fitting = table if table.schema.equals(self._schema) else table.cast(self._schema)
        if fitting.num_rows:
            self._waiting.append(fitting)
        self._gathered += table.num_rows
        self.rows += table.num_rows
        if self._gathered >= _COLLECT:
            self.flush()

    def close(self) -> None:
        """Write the end of the file."""
        if self._parquet is None:
            self._sink.write(_empty_file(self._schema))
        else:
            self._parquet.close()

    def flush(self) -> None:
        """Write what is gathered."""
        if self._gathered:
            if self._parquet is None:
                self._parquet = _parquet(self._sink, self._schema, self._gathered)
            self._parquet.write_table(pa.concat_tables(self._waiting), row_group_size=ROW_GROUP)
        self._waiting, self._gathered = [], 0

    def small(self) -> pa.Table | None:
        """All rows, as long as they are few and none of them is in the file."""
        if self._parquet is not None or self.rows > _SMALL:
            return None
        return pa.concat_tables(self._waiting) if self._waiting else _no_rows(self._schema)


def _parquet(sink: Any, schema: pa.Schema, rows: int) -> pq.ParquetWriter:
    """What makes a large file smaller takes time: dictionaries and statistics double it, compression of a few rows too.

    `rows`: of the first row group.
    """
    large = rows >= _COLLECT
    dear: dict[str, Any] = {"use_dictionary": large, "write_statistics": large}
    dear |= {"compression": "none"} if rows <= _SMALL else {"compression": "zstd", "compression_level": 1}
    return pq.ParquetWriter(sink, schema, **dear)


@lru_cache(maxsize=256)
def _empty_file(schema: pa.Schema) -> bytes:
    """A dataset without rows, as most of a run are: it follows from its columns."""
    sink = BytesIO()
    _parquet(sink, schema, 0).close()
    return sink.getvalue()


@lru_cache(maxsize=256)
def _no_rows(schema: pa.Schema) -> pa.Table:
    return schema.empty_table()


class Staging:
    """The datasets of one run below `url`. `url` is any fsspec URL or a plain folder.

    `at_hand`: keep small ones in memory; for a process that nobody else's writing concerns any more.
    """

    def __init__(self, url: str, run_id: str, *, at_hand: bool = False) -> None:
        self.run_id = run_id
        self._keeps, self._kept = at_hand, dict[str, pa.Table | pl.DataFrame]()
        self._fs, base = open_file_system(url)
        self._place = self._fs.unstrip_protocol(base)
        self._folder = f"{base}/{run_id}"
        # A local disk needs none of fsspec's generality: a run publishes some fifty files.
        local, self._made = isinstance(self._fs, LocalFileSystem), False
        self._open: Callable[[str, str], Any] = open if local else self._fs.open
        self._rename: Callable[[str, str], Any] = os.replace if local else self._fs.mv

    def path(self, name: str) -> str:
        """Where a file of this run lies, as the file system names it."""
        return f"{self._folder}/{name}"

    def write(self, name: str, table: pa.Table | pl.DataFrame) -> int:
        """Publish one dataset; returns its number of rows."""
        arrow = to_arrow(table) if isinstance(table, pl.DataFrame) else table
        with self.writer(name, arrow.schema) as writer:
            writer.write(arrow)
        if name in self._kept and isinstance(table, pl.DataFrame):
            self._kept[name] = table
        return int(arrow.num_rows)

    @contextmanager
    def writer(self, name: str, schema: pa.Schema) -> Iterator[DatasetWriter]:
        """Publish one dataset from a stream of tables; on an error nothing is published."""
        with self._published(f"{name}.parquet") as sink:
            writer = DatasetWriter(sink, schema)
            try:
                yield writer
                small = writer.small()
                writer.flush()
            finally:
                writer.close()
        self._kept.pop(name, None)
        if self._keeps and small is not None:
            self._kept[name] = small

    def read(self, name: str) -> pl.DataFrame:
        """A published dataset. Raises `RetryLater` when the step that makes it has not run."""
        if (kept := self._kept.get(name)) is not None:
            frame = kept if isinstance(kept, pl.DataFrame) else frame_of(kept)
            self._kept[name] = frame
            return frame
        path = self.path(f"{name}.parquet")
        try:
            with self._open(path, "rb") as source:
                frame = pl.read_parquet(source.read())
        except FileNotFoundError as error:
            raise RetryLater(f"dataset {name!r} of run {self.run_id} is not staged; start the run anew") from error
        except OSError as error:
            raise _trouble(self._place, "read", error) from error
        except pl.exceptions.PolarsError as error:
            raise AnswerMalformed("staging", f"dataset {name} of run {self.run_id}", str(error)) from error
        if self._keeps and frame.height <= _SMALL:
            self._kept[name] = frame
        return frame

    def read_table(self, name: str) -> pa.Table:
        """A published dataset as `read` has it, in Arrow. Raises as `read`."""
        return to_arrow(self.read(name))

    def batches(self, name: str, columns: Sequence[str] | None = None) -> Iterator[pa.Table]:
        """A published dataset in row groups, all columns or some. Raises as `read`."""
        path = self.path(f"{name}.parquet")
        try:
            with self._open(path, "rb") as source:
                file = pq.ParquetFile(source)
                for group in range(file.num_row_groups):
                    yield file.read_row_group(group, columns=None if columns is None else list(columns))
        except FileNotFoundError as error:
            raise RetryLater(f"dataset {name!r} of run {self.run_id} is not staged; start the run anew") from error
        except OSError as error:
            raise _trouble(self._place, "read", error) from error

    def exists(self, name: str) -> bool:
        """Whether a Parquet dataset of this name is published."""
        return name in self._kept or bool(self._fs.exists(self.path(f"{name}.parquet")))

    def write_json(self, name: str, value: Any) -> None:
        """Publish a small JSON document."""
        self.write_text(f"{name}.json", json.dumps(value, ensure_ascii=False))

    def read_json(self, name: str) -> Any:
        """A small JSON document; None when it is not there."""
        try:
            with self._open(self.path(f"{name}.json"), "rb") as source:
                return json.loads(source.read())
        except FileNotFoundError:
            return None

    def write_text(self, file_name: str, text: str) -> str:
        """Publish a text file such as a report; returns its path."""
        with self._published(file_name) as sink:
            sink.write(text.encode())
        return self.path(file_name)

    def discard(self) -> None:
        """Drop everything this run staged."""
        self._kept.clear()
        if self._fs.exists(self._folder):
            self._fs.rm(self._folder, recursive=True)
        self._made = False

    @contextmanager
    def _published(self, file_name: str) -> Iterator[Any]:
        """A file to write to, under a temporary name; it gets its own when the block ends well."""
        temporary = self.path(f".{file_name}.{uuid4().hex}.tmp")
        try:
            if not self._made:
                self._fs.makedirs(self._folder, exist_ok=True)
                self._made = True
            with self._open(temporary, "wb") as sink:
                yield sink
            self._rename(temporary, self.path(file_name))
        except OSError as error:
            raise _trouble(self._place, "written", error) from error


def _trouble(place: str, what: str, error: OSError) -> RetryLater:
    return RetryLater(
        f"staging {place} cannot be {what} ({error.strerror or type(error).__name__});"
        " free space or check LEADSYNC_STAGING, the next run starts over"
    )


def read_note(url: str, name: str) -> str | None:
    """A small text beside the runs; None when it is not there."""
    fs, base = open_file_system(url)
    try:
        with fs.open(f"{base}/{name}", "rb") as source:
            return bytes(source.read()).decode(errors="replace")
    except FileNotFoundError:
        return None
    except OSError as error:
        raise _trouble(fs.unstrip_protocol(base), "read", error) from error


def write_note(url: str, name: str, text: str) -> None:
    """Replace a small text beside the runs, whole."""
    fs, base = open_file_system(url)
    temporary = f"{base}/.{name}.{uuid4().hex}.tmp"
    try:
        fs.makedirs(base, exist_ok=True)
        with fs.open(temporary, "wb") as sink:
            sink.write(text.encode())
        fs.mv(temporary, f"{base}/{name}")
    except OSError as error:
        raise _trouble(fs.unstrip_protocol(base), "written", error) from error


def open_file_system(url: str) -> tuple[Any, str]:
    """The file system of an fsspec URL and the path in it, without what the URL says of a login.

    Raises `FixConfiguration` when no installed package can open it.
    """
    try:
        fs, base = fsspec.core.url_to_fs(url.rstrip("/"))
    except (ValueError, ImportError, OSError) as error:
        protocol = url.partition("://")[0] if "://" in url else "that"
        raise FixConfiguration(
            f"LEADSYNC_STAGING names a place that cannot be opened ({type(error).__name__}): install the fsspec package"
            f" for {protocol!r}, or set a local folder or another URL"
        ) from error
    return fs, str(base)


def sweep(url: str, keep: timedelta, now: datetime) -> int:
    """Delete the staging of runs older than `keep`; returns how many. The run id begins with its time."""
    fs, base = open_file_system(url)
    if not fs.exists(base):
        return 0
    oldest = (now - keep).strftime("%Y%m%dT%H%M%SZ")
    gone = 0
    for folder in fs.ls(base, detail=False):
        name = str(folder).rstrip("/").rsplit("/", 1)[-1]
        if name[:8].isdigit() and name[:16] < oldest:
            fs.rm(folder, recursive=True)
            gone += 1
    return gone
