"""The activities of the instance: appended in the order of commits, read onwards from a position.

A position is (earliest activity date, last sequence number seen): rows above that number whose
date is not before that date. `high` is the largest activity date up to a row; it never falls, so
the first row of a date is found by index even when single rows are dated out of order. A page
seeks each wanted type (or field, asset, person, member of a list) by its own index and merges the
ways lazily: it costs what it returns.

Late rows (a switch, M63) have a time in `visible` and are not shown before it. They then lie behind
the position of a reader who is further on, or, with `late_reordered`, are published anew at the end.

Facts: marketo-api.md section 8; M53-M64.
"""

from __future__ import annotations

import heapq
import itertools
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import msgspec

from include.sandbox.marketo.database import Database
from include.sandbox.marketo.options import Options
from include.sandbox.service import Json

NEW_LEAD, CHANGE_DATA_VALUE, CHANGE_SCORE, ADD_TO_LIST, REMOVE_FROM_LIST = 12, 13, 22, 24, 25
NEAR = 40_000
"""Activities that are looked at one by one before the members of a list are."""
MERGE_LEADS, DELETE_LEAD, CHANGE_PARTITION = 32, 37, 100


@dataclass(slots=True)
class Activity:
    """One activity to be appended. `attributes` keeps its order; empty values are left out (M57)."""

    type: int
    person: int
    at: int
    primary_id: int | None = None
    primary_text: str | None = None
    attributes: Mapping[str, Json] = field(default_factory=dict)
    campaign: int | None = None


class FeedRow(NamedTuple):
    """One stored activity."""

    seq: int
    at: int
    type: int
    person: int
    primary_id: int | None
    primary_text: str | None
    campaign: int | None
    attributes: dict[str, Json]


class Position(NamedTuple):
    """A place in the feed."""

    since: int
    seq: int


class Selector(NamedTuple):
    """One indexed way into the activities: an SQL condition that starts with its index's first column."""

    condition: str
    arguments: tuple[Json, ...]
    source: str = "activity"


@dataclass(slots=True)
class FeedPage:
    """What a read returned, where the next one starts, and whether it would find more now."""

    rows: list[FeedRow]
    next: Position
    more: bool


class Feed:
    """Appends and pages. Appending happens inside the transaction that makes the change."""

    def __init__(self, database: Database, options: Options) -> None:
        """Find the largest activity date so far."""
        self._options = options
        self._database = database
        with database.read() as connection:
            row = connection.execute("SELECT high FROM activity ORDER BY seq DESC LIMIT 1").fetchone()
        self._high: int = row[0] if row else 0

    def append(self, connection: sqlite3.Connection, activities: Iterable[Activity], now: int) -> list[int]:
        """Store activities; returns their sequence numbers."""
        return [self._append(connection, activity, now) for activity in activities]

    def _append(self, connection: sqlite3.Connection, activity: Activity, now: int) -> int:
        self._high = max(self._high, activity.at)
        attributes = {name: value for name, value in activity.attributes.items() if value is not None and value != ""}
        cursor = connection.execute(
            "INSERT INTO activity (at, high, type, person, primary_id, primary_text, campaign, attributes)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (activity.at, self._high, activity.type, activity.person, activity.primary_id, activity.primary_text,
             activity.campaign, msgspec.json.encode(attributes).decode()),
        )  # fmt: skip
        seq = int(cursor.lastrowid or 0)
        every = self._options.late_every
        if every and seq % every == 0:
            self._hold(connection, seq, now + self._options.late_seconds)
        return seq

    def _hold(self, connection: sqlite3.Connection, seq: int, due: int) -> None:
        connection.execute("UPDATE activity SET visible = ? WHERE seq = ?", (due, seq))
        if self._options.late_reordered:
            connection.execute("INSERT INTO held_activity VALUES (?, ?)", (seq, due))

    def publish(self, now: int) -> None:
        """Move held rows that are due to the end of the feed, behind rows that happened after them (M63)."""
        due = "SELECT seq FROM held_activity WHERE due <= ? ORDER BY due, seq"
        with self._database.read() as connection:
            if connection.execute(due, (now,)).fetchone() is None:
                return
        moved = (
            "INSERT INTO activity (at, high, type, person, primary_id, primary_text, campaign, attributes)"
            " SELECT at, ?, type, person, primary_id, primary_text, campaign, attributes FROM activity WHERE seq = ?"
        )
        with self._database.write() as connection:
            for (seq,) in connection.execute(due, (now,)).fetchall():
                connection.execute(moved, (self._high, seq))
                connection.execute("DELETE FROM activity WHERE seq = ?", (seq,))
                connection.execute("DELETE FROM held_activity WHERE seq = ?", (seq,))

    @staticmethod
    def start(connection: sqlite3.Connection, since: int) -> Position:
        """The position just before the first activity dated `since` or later."""
        first = "SELECT seq FROM activity WHERE high >= ? ORDER BY high, seq LIMIT 1"
        row = connection.execute(first, (since,)).fetchone()
        return Position(since, row[0] - 1 if row else _last(connection))

    def page(
        self, connection: sqlite3.Connection, position: Position, selectors: Sequence[Selector], size: int, now: int,
        oldest: int = 0, near: Sequence[Selector] = (),
    ) -> FeedPage:  # fmt: skip
        """The next rows that one of the selectors wants; those of one page ascend by date (8.2).

        `oldest` hides rows dated before it (the 14 days of deleted persons). `near` are other ways to the same
        rows, for those that lie close by.
        """
        last = _last(connection)
        end = self._block_end(connection, position, last)
        since = max(position.since, oldest)
        after = max(position.seq, self.start(connection, since).seq)
        border = min(end, after + NEAR) if near else after
        numbers = _merged(connection, near, (after, border, since, now), size + 1)
        numbers += _merged(connection, selectors, (border, end, since, now), size + 1 - len(numbers))
        if len(numbers) > size:
            reached, more = numbers[size - 1], True
        else:
            reached, more = max(end, position.seq), end < last
        return FeedPage(_rows(connection, numbers[:size]), Position(position.since, reached), more)

    def _block_end(self, connection: sqlite3.Connection, position: Position, last: int) -> int:
        """The last number that this page may look at (M55)."""
        if not self._options.feed_block:
            return last
        block = "SELECT max(seq) FROM (SELECT seq FROM activity WHERE seq > ? ORDER BY seq LIMIT ?)"
        row = connection.execute(block, (position.seq, self._options.feed_block)).fetchone()
        return int(row[0] or last)


def by_type(type_ids: Iterable[int]) -> list[Selector]:
    """Ways into all activities of some types."""
    return [Selector("type = ?", (type_id,)) for type_id in dict.fromkeys(type_ids)]


def by_primary(type_id: int, primary_ids: Iterable[int]) -> list[Selector]:
    """Ways into the activities of one type whose primary attribute is one of some assets or fields."""
    return [Selector("type = ? AND primary_id = ?", (type_id, primary)) for primary in dict.fromkeys(primary_ids)]


def of_persons(selectors: Iterable[Selector], person_ids: Sequence[int]) -> list[Selector]:
    """The selectors narrowed to some persons, through the persons' index."""
    condition, arguments = _any_of(selectors)
    return [Selector(f"person = ? AND {condition}", (one, *arguments)) for one in dict.fromkeys(person_ids)]


def of_small_list(selectors: Iterable[Selector], list_id: int) -> list[Selector]:
    """The selectors narrowed to the members of a list: member by member, through the persons' index."""
    condition, arguments = _any_of(selectors)
    source = "member CROSS JOIN activity ON activity.person = member.person_id"
    return [Selector(f"member.list_id = ? AND {condition}", (list_id, *arguments), source)]


def of_large_list(selectors: Iterable[Selector], list_id: int) -> list[Selector]:
    """The same where most rows belong to members: row by row, each asked for its membership."""
    member = "EXISTS (SELECT 1 FROM member WHERE list_id = ? AND person_id = activity.person)"
    return [Selector(f"{one.condition} AND {member}", (*one.arguments, list_id)) for one in selectors]


def _any_of(selectors: Iterable[Selector]) -> tuple[str, tuple[Json, ...]]:
    chosen = list(selectors)
    condition = " OR ".join(f"({one.condition})" for one in chosen)
    return f"({condition})", tuple(value for one in chosen for value in one.arguments)


def _last(connection: sqlite3.Connection) -> int:
    row = connection.execute("SELECT max(seq) FROM activity").fetchone()
    return int(row[0] or 0)


def _merged(
    connection: sqlite3.Connection, selectors: Sequence[Selector], span: tuple[int, int, int, int], limit: int
) -> list[int]:
    """The first sequence numbers of a span that one of the selectors wants, ascending, each once."""
    if limit <= 0 or span[0] >= span[1]:
        return []
    ways = (_numbers(connection, chosen, span, limit) for chosen in selectors)
    return list(itertools.islice((number for number, _ in itertools.groupby(heapq.merge(*ways))), limit))


def _numbers(
    connection: sqlite3.Connection, chosen: Selector, span: tuple[int, int, int, int], limit: int
) -> Iterator[int]:
    sql = (
        f"SELECT seq FROM {chosen.source} WHERE {chosen.condition} AND seq > ? AND seq <= ? AND at >= ?"  # noqa: S608
        " AND (visible IS NULL OR visible <= ?) ORDER BY seq LIMIT ?"
    )
    for (seq,) in connection.execute(sql, (*chosen.arguments, *span, limit)):
        yield seq


def _rows(connection: sqlite3.Connection, numbers: Sequence[int]) -> list[FeedRow]:
    sql = (
        "SELECT seq, at, type, person, primary_id, primary_text, campaign, attributes FROM activity"
        " WHERE seq IN (SELECT value FROM json_each(?)) ORDER BY at, seq"
    )
    rows: Iterable[Any] = connection.execute(sql, (msgspec.json.encode(list(numbers)).decode(),))
    return [FeedRow._make((*row[:-1], msgspec.json.decode(row[-1]))) for row in rows]
