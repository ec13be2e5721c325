"""Pairs to merge: canonical frames of 40 mixed fields, as the merge step gets them.

2 % of the rows changed on each side, 0.2 % of them in the same field to another value, as in the shared facts
(performance). Every value is the canonical text of its type; every eighth change is a clear.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import polars as pl

from include.leadsync.model import (
    DynamicsAttribute,
    Entity,
    FieldMap,
    FieldRule,
    FieldType,
    MarketoField,
    SyncField,
)

FIELDS = 40
_CHANGED, _COLLIDING = 0.02, 0.002
_POOL = 4_000
_WORDS = ("Ångström", "Köhler & Söhne", "株式会社", "Rua das Flores", "شركة", "Acme", "São Paulo", "김민준")
_LABELS = ("Hot", "Warm", "Cold", "Advertisement", "Trade Show", "Word of Mouth")

Random = np.random.Generator


def field_map() -> FieldMap:
    """40 two-way fields of a lead, winner by type."""
    return FieldMap(Entity.LEAD, tuple(_field(f"field{number:02}") for number in range(FIELDS)))


def _field(name: str) -> SyncField:
    return SyncField(
        FieldRule(Entity.LEAD, name, name, FieldType.STRING),
        MarketoField(1, name, name, "string", 255),
        DynamicsAttribute(Entity.LEAD, name, "String", name, max_length=100),
    )


def pairs(rows: int, seed: int = 1) -> pl.DataFrame:
    """`rows` linked pairs in the wide form of `include.leadsync.baseline`."""
    random = np.random.default_rng(seed)
    order = random.permutation(rows)
    changed, colliding = int(rows * _CHANGED), int(rows * _COLLIDING)
    person_rows = order[:changed]
    crm_rows = np.concatenate([order[:colliding], order[changed : 2 * changed - colliding]])
    place = random.integers(0, FIELDS, rows)  # the field in which a row changes, on whichever side
    columns: list[pl.Series] = []
    for number in range(FIELDS):
        name = f"field{number:02}"
        base = _column(number, rows, random)
        columns += [
            base.alias(f"b.{name}"),
            pl.Series(f"n.{name}", [False]).new_from_index(0, rows),
            _edited(base, person_rows[place[person_rows] == number], "M").alias(f"p.{name}"),
            _edited(base, crm_rows[place[crm_rows] == number], "D").alias(f"c.{name}"),
        ]
    return pl.DataFrame(columns)


def _edited(base: pl.Series, rows: np.ndarray, mark: str) -> pl.Series:
    values = [None if row % 8 == 0 and mark == "M" else f"{mark}{row}" for row in rows.tolist()]
    edited = base.clone()
    return edited.scatter(pl.Series(rows), pl.Series(values, dtype=pl.String)) if values else edited


def _column(number: int, rows: int, random: Random) -> pl.Series:
    """Half of the fields are texts, the others integers, decimals, labels, booleans, dates and times."""
    kinds: tuple[Callable[[int, Random], pl.Series], ...] = (_integers, _decimals, _labels, _flags, _days, _times)
    if number == 0:
        return pl.select(pl.format("person{}@example{}.com", pl.int_range(rows), pl.int_range(rows) % 997)).to_series()
    values = _texts(rows, random) if number <= FIELDS // 2 else kinds[number % len(kinds)](rows, random)
    empty = pl.Series(random.random(rows) < (0.05, 0.3, 0.6)[number % 3])
    return pl.select(pl.when(~empty).then(values)).to_series()


def _texts(rows: int, random: Random) -> pl.Series:
    words = [f"{_WORDS[i % len(_WORDS)]} {random.integers(1, 10**6)}" for i in range(_POOL)]
    return pl.Series(words).gather(pl.Series(random.integers(0, _POOL, rows)))


def _labels(rows: int, random: Random) -> pl.Series:
    return pl.Series(_LABELS).gather(pl.Series(random.integers(0, len(_LABELS), rows)))


def _flags(rows: int, random: Random) -> pl.Series:
    return pl.Series(["false", "true"]).gather(pl.Series(random.integers(0, 2, rows)))


def _integers(rows: int, random: Random) -> pl.Series:
    return pl.Series(random.integers(0, 1000, rows)).cast(pl.String)


def _decimals(rows: int, random: Random) -> pl.Series:
    return pl.select(pl.format("{}.5", pl.Series(random.integers(0, 10**7, rows)))).to_series()


def _days(rows: int, random: Random) -> pl.Series:
    return pl.Series(random.integers(0, 20_000, rows)).cast(pl.Date).cast(pl.String)


def _times(rows: int, random: Random) -> pl.Series:
    return pl.Series(random.integers(0, 1_700_000_000, rows)).cast(pl.Datetime("ms")).dt.to_string("%Y-%m-%dT%H:%M:%SZ")
