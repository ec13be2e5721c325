"""The state store on SQLite: looking up and changing links against a bare `sqlite3` on the same file."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from itertools import count
from pathlib import Path
from random import Random
from uuid import UUID

import pyarrow as pa

from include.leadsync.clock import SystemClock
from include.leadsync.state import Layouts, Links, StateStore
from scripts.bench.figures import Bar, Figure, ratio
from scripts.bench.timing import interleaved, medians

_FIELDS = 40
_INSERT_AT_ONCE = 20_000
_TWICE = Bar(2)
_JUDGED = 10_000  # rows for which the bars are stated


def storing(folder: Path, links: int, rows: int) -> Iterator[Figure]:
    """`rows` of `links` links, by id: read with all columns, then changed (baseline, hashes, version)."""
    file = folder / "store.db"
    store = StateStore.open(f"sqlite:///{file}", SystemClock())
    try:
        _fill(store, links)
        chosen = Random(1).sample(range(1, links + 1), rows)
        yield from _compared(store, file, chosen, f"State store, {rows:,} of {links:,} links")
    finally:
        store.close()


def _compared(store: StateStore, file: Path, chosen: list[int], group: str) -> Iterator[Figure]:
    api = Links(store)
    bar = _TWICE if len(chosen) >= _JUDGED else None
    with closing(sqlite3.connect(file, isolation_level=None)) as bare:
        for pragma in ("synchronous = FULL", "cache_size = -65536"):  # as the store has them
            bare.execute(f"PRAGMA {pragma}")
        look_up = {"store": lambda: api.by_person(chosen), "bare": lambda: _bare_look_up(bare, chosen)}
        middle = medians(interleaved(look_up))
        yield Figure(group, "look-up to an Arrow table", middle["store"] * 1000, "ms")
        yield Figure(group, "look-up by bare sqlite3 (json_each)", middle["bare"] * 1000, "ms")
        yield ratio(group, "look-up, store / bare", middle["store"], middle["bare"], bar)
        version = count(2)
        change: dict[str, Callable[[], object]] = {
            "store": lambda: api.update(_changed(chosen, next(version))),
            "bare": lambda: _bare_change(bare, _changed(chosen, next(version))),
        }
        middle = medians(interleaved(change))
        yield Figure(group, "change from an Arrow table", middle["store"] * 1000, "ms")
        yield Figure(group, "change by bare sqlite3 (executemany)", middle["bare"] * 1000, "ms")
        yield ratio(group, "change, store / bare", middle["store"], middle["bare"], bar)


def _bare_look_up(connection: sqlite3.Connection, chosen: list[int]) -> list[tuple[object, ...]]:
    statement = "SELECT link.* FROM json_each(?) AS wanted JOIN link ON link.person_id = wanted.value"
    return connection.execute(statement, (json.dumps(chosen),)).fetchall()


_CHANGED = ("base", "person_hash", "crm_hash", "crm_etag", "version")


def _changed(chosen: list[int], version: int) -> pa.Table:
    """Every call with another `version`: SQLite does not write a row whose bytes are what they were."""
    base = _base(f"after {version}")
    values = {
        "base": [base] * len(chosen),
        "person_hash": chosen,
        "crm_hash": chosen,
        "crm_etag": [f'W/"{number}"' for number in chosen],
        "version": [version] * len(chosen),
    }
    return pa.table({"link_id": chosen, **values})


def _bare_change(connection: sqlite3.Connection, changed: pa.Table) -> None:
    assignments = ", ".join(f"{name} = ?" for name in _CHANGED)
    rows = list(zip(*(changed[name].to_pylist() for name in (*_CHANGED, "link_id")), strict=True))
    connection.execute("BEGIN IMMEDIATE")
    connection.executemany(f"UPDATE link SET {assignments} WHERE link_id = ?", rows)  # noqa: S608 - fixed names
    connection.execute("COMMIT")


def _fill(store: StateStore, links: int) -> None:
    api = Links(store)
    layout = Layouts(store).id_of("lead", [(f"field{number:02}", "string") for number in range(_FIELDS)])
    base = _base("before")
    for start in range(1, links + 1, _INSERT_AT_ONCE):
        numbers = list(range(start, min(start + _INSERT_AT_ONCE, links + 1)))
        same = {"entity": "lead", "layout_id": layout, "base": base, "hash_tag": "bench", "version": 1}
        columns = {
            "person_id": numbers,
            "crm_id": [str(UUID(int=number * 0x9E3779B97F4A7C15F39CC060 % 2**128)) for number in numbers],
            "person_hash": numbers,
            "crm_hash": numbers,
            "crm_etag": [f'W/"{number}"' for number in numbers],
            **{name: [value] * len(numbers) for name, value in same.items()},
        }
        api.insert(pa.table(columns))


def _base(word: str) -> str:
    return json.dumps({"v": [f"{word} {number}" if number % 3 else None for number in range(_FIELDS)]})
