"""Marketo → staging: which persons changed, their full current values, deletions.

Datasets: `persons` id and every mapped and system column as Marketo spells it · `persons_missing`
ids asked for that do not exist · `persons_deleted` id, at · `persons_merged` as `merges.MERGES_SCHEMA` ·
`overwritten` as `feed.OVERWRITTEN_SCHEMA` · `opt_outs` as `feed.OPT_OUTS_SCHEMA` ·
`echoes` person_id, field, op_id of own writes found again · `activities_seen` guid, at, person_id.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from functools import cached_property

import polars as pl
import pyarrow as pa

from include.leadsync.clients.marketo import FeedPage
from include.leadsync.clock import iso, parse_iso
from include.leadsync.context import Engine, Json, RunRequest
from include.leadsync.errors import AnswerMalformed, FixConfiguration, ReadAgain, RetryLater, RowFailed
from include.leadsync.extract import backlog
from include.leadsync.extract.feed import MATCHED_SCHEMA, OPT_OUTS_SCHEMA, OVERWRITTEN_SCHEMA, explain
from include.leadsync.extract.merges import MERGE_LEADS, MERGES_SCHEMA, merges, survivors
from include.leadsync.fields import Wire
from include.leadsync.load.outcome import Fate
from include.leadsync.logs import logger
from include.leadsync.model import SyncField, Window
from include.leadsync.no_rows import frame_from, frame_of, no_rows
from include.leadsync.progress import Progress
from include.leadsync.schema import Schema, staged_schema
from include.leadsync.state import Cursor, Cursors, Echoes, Links, PersonMerges, SeenActivities
from include.leadsync.turn import take_turn

log = logger("leadsync.extract")

CHANGES, DELETES, OVERLAP = "marketo:changes", "marketo:deletes", "marketo:overlap"
MERGES = "marketo:merges"
_START_MARGIN = timedelta(minutes=1)
_DELETED: dict[str, pl.DataType | type[pl.DataType]] = {"id": pl.Int64, "at": pl.Datetime("us", "UTC")}
_READ_CHUNK = 6_000  # persons held in memory at once: 20 calls


def extract_persons(engine: Engine, run: RunRequest) -> dict[str, Json]:
    """Stage Marketo's part of the run; returns counts.

    The feeds are read before the persons, so that a value read later than its feed row is at
    worst newer, never older. An edit after the read shows in the next run's feed.
    """
    return PersonReader(engine, run, staged_schema(engine, run)).extract()


class PersonReader:
    """Reads Marketo for one run."""

    def __init__(self, engine: Engine, run: RunRequest, schema: Schema) -> None:
        self._engine, self._run = engine, run
        self._staging = engine.staging(run)
        looked_at = {name: field for one in schema.filters.values() for name, field in one.person_fields().items()}
        self._fields: dict[str, SyncField] = looked_at | {
            f.name: f for m in reversed(list(schema.maps.values())) for f in m.fields
        }
        names = engine.settings.marketo.system_fields
        self._columns: dict[str, Wire] = {
            **schema.person_columns(),
            names.id: "text",
            names.type: "text",
            names.is_deleted: "boolean",
            names.merged_into: "text",
        }
        self._known = {field.name for field in schema.marketo}
        self._cursors = Cursors(engine.store)
        self._asked: set[int] = set()  # survivors of persons that were asked for by name

    def extract(self) -> dict[str, Json]:
        """Feeds first, then persons."""
        wanted = set(self._selected())
        overwritten = no_rows(OVERWRITTEN_SCHEMA)
        opt_outs = no_rows(OPT_OUTS_SCHEMA)
        deleted: dict[int, datetime] = {}
        merged = no_rows(MERGES_SCHEMA)
        if self._run.incremental:
            rows = self._feed_rows()
            merged = self._merged()
            echoes = self._echoes(rows)
            moved = self._echoes_of_losers(survivors(merged))
            explained = explain(rows, pl.concat([echoes, moved]), self._fields)
            # What we wrote to somebody who was merged away ran over nothing of the one that is left.
            overwritten = explained.overwritten
            if moved.height:
                overwritten = overwritten.filter(~pl.col("op_id").is_in(moved["op_id"].to_list()))
            opt_outs = explained.opt_outs
            wanted |= set(explained.foreign) | set(overwritten["person_id"])
            self._staging.write("echoes", pl.concat([explained.matched, self._never_written(echoes)]))
            # Losers are not listed as deleted (R173); where they are, the merge says more.
            losers = set(merged["loser"])
            deleted = {person: at for person, at in self._deleted() if person not in losers}
            wanted -= {*deleted, *merged["loser"]}
        wanted |= self._survivors(merged)
        self._staging.write("overwritten", overwritten)
        self._staging.write("opt_outs", opt_outs)
        self._staging.write("persons_deleted", frame_from(sorted(deleted.items()), _DELETED))
        read = self._read(sorted(self._linked(wanted)))
        if self._run.kind == "request" and self._staging.read("persons_missing").height:
            merged = self._merged_lately()
            read = self._read(sorted(self._linked(wanted | self._survivors(merged))))
        self._staging.write("persons_merged", merged)
        return {"read": read, "deleted": len(deleted), "overwritten": overwritten.height}

    def _selected(self) -> list[int]:
        selected = [*self._selected_by_name]
        window, by_change = self._run.window, self._run.window_on == "modified"
        chosen = self._run.persons or self._run.of_fields
        if not self._run.incremental and not chosen and window.since and by_change:
            selected += self._changed_between(window.since, window.until)
        return selected

    def _linked(self, ids: set[int]) -> Iterable[int]:
        """Only persons with a link, or asked for by name, are worth a call."""
        if not ids:
            return []
        linked = set(Links(self._engine.store).by_person(sorted(ids))["person_id"].to_pylist())
        return ids & (linked | set(self._selected_by_name) | self._asked)

    @cached_property
    def _selected_by_name(self) -> Sequence[int]:
        selected = self._staging.read("selection")["person_id"].to_list()
        return [person for person in selected if person is not None]

    def _changed_between(self, since: datetime, until: datetime | None) -> list[int]:
        token = self._engine.marketo.paging_token(since)
        ids: set[int] = set()
        for page in self._engine.marketo.lead_changes(token, self._feed_fields()):
            rows = frame_of(page.rows)
            if until is not None:
                rows = rows.filter(pl.col("at") < until)
            ids.update(rows["person_id"].to_list())
        return sorted(ids)

    def _feed_fields(self) -> list[str]:
        return sorted(name for name in self._fields if name in self._known)

    def _feed_rows(self) -> pl.DataFrame:
        """Rows since the cursor, plus now and then an overlap that catches late rows (M63, DECISIONS 18)."""
        cursor = self._cursors.get(CHANGES)
        pages = [*self._follow(CHANGES, cursor), *self._overlap()]
        tables = [page.rows for page in pages]
        rows = _frame(tables).unique("guid", maintain_order=True)
        seen = SeenActivities(self._engine.store)
        unseen = set(seen.unseen(rows["guid"].to_list()))
        fresh = rows.filter(pl.col("guid").is_in(list(unseen)))
        self._staging.write("activities_seen", fresh.select("guid", "at", "person_id"))
        return fresh

    def _follow(self, stream: str, cursor: Cursor | None) -> Iterator[FeedPage]:
        """All pages since the cursor; the last token is staged as the next cursor."""
        started = self._engine.now()
        token = cursor.token if cursor else self._engine.marketo.paging_token(started - _START_MARGIN)
        try:
            pages = list(self._pages(stream, token))
        except ReadAgain:
            overlap = timedelta(hours=self._engine.settings.marketo.overlap_hours)
            since = (parse_iso(cursor.as_of) if cursor else started) - overlap
            pages = list(self._pages(stream, self._engine.marketo.paging_token(since)))
        last = pages[-1].next_token if pages else token
        document = {"token": last, "version": cursor.version if cursor else 0, "as_of": iso(started)}
        self._staging.write_json(f"cursor.{stream.replace(':', '_')}", document)
        yield from pages

    def _pages(self, stream: str, token: str) -> Iterator[FeedPage]:
        if stream == DELETES:
            return self._engine.marketo.deleted_leads(token)
        if stream == MERGES:
            return self._engine.marketo.activities(token, [MERGE_LEADS])
        return self._engine.marketo.lead_changes(token, self._feed_fields())

    def _overlap(self) -> Iterator[FeedPage]:
        settings = self._engine.settings.marketo
        cursor = self._cursors.get(OVERLAP)
        now = self._engine.now()
        due = cursor is None or now - parse_iso(cursor.as_of) >= timedelta(minutes=settings.overlap_every_minutes)
        if not due:
            return
        document = {"token": "", "version": cursor.version if cursor else 0, "as_of": iso(now)}
        self._staging.write_json("cursor.marketo_overlap", document)
        if cursor is None:  # the first run has nothing behind it
            return
        token = self._engine.marketo.paging_token(now - timedelta(hours=settings.overlap_hours))
        yield from self._engine.marketo.lead_changes(token, self._feed_fields())

    def _echoes(self, rows: pl.DataFrame) -> pl.DataFrame:
        ids = sorted({*rows["person_id"].to_list(), *self._in_doubt})
        return frame_of(Echoes(self._engine.store).of_persons(ids))

    def _echoes_of_losers(self, left: Mapping[int, int]) -> pl.DataFrame:
        """`left`: persons merged away → who is left, whose feed tells now what was written to the others (R73)."""
        echoes = frame_of(Echoes(self._engine.store).of_persons(sorted(left)))
        return echoes.with_columns(pl.col("person_id").replace(dict(left))) if left else echoes

    @cached_property
    def _in_doubt(self) -> Sequence[int]:
        """Persons that a write of ours may have reached, read again in this run."""
        selection = self._staging.read("selection")
        if selection.is_empty():
            return []
        doubtful = selection["reason"].str.starts_with(Fate.UNKNOWN.value)
        return selection["person_id"].filter(doubtful).drop_nulls().to_list()

    def _never_written(self, echoes: pl.DataFrame) -> pl.DataFrame:
        """Echoes of doubtful writes end with this feed: what it does not show was not written.

        Left standing, they would one day take somebody's edit for our write.
        """
        if not self._in_doubt:
            return no_rows(MATCHED_SCHEMA)
        return echoes.filter(pl.col("person_id").is_in(self._in_doubt)).select(list(MATCHED_SCHEMA))

    def _deleted(self) -> Iterator[tuple[int, datetime]]:
        for page in self._follow(DELETES, self._cursors.get(DELETES)):
            yield from zip(page.rows["person_id"].to_pylist(), page.rows["at"].to_pylist(), strict=True)

    def _merged(self) -> pl.DataFrame:
        """Persons merged away since the cursor; those that come a second time with the overlap change nothing."""
        pages = list(self._follow(MERGES, self._cursors.get(MERGES)))
        if self._staging.read_json("cursor.marketo_overlap") and self._cursors.get(OVERLAP) is not None:
            since = self._engine.now() - timedelta(hours=self._engine.settings.marketo.overlap_hours)
            pages += self._pages(MERGES, self._engine.marketo.paging_token(since))
        return _merges(pages)

    def _merged_lately(self) -> pl.DataFrame:
        """Persons merged away since the last cycle; a run for requests asks only when somebody is not there."""
        cursor = self._cursors.get(MERGES)
        return _merges(self._pages(MERGES, cursor.token) if cursor else [])

    def _survivors(self, merged: pl.DataFrame) -> set[int]:
        """Persons that others were merged into: what they show may have changed without a word in the feed."""
        found = survivors(merged)
        by_name = set(self._selected_by_name)
        self._asked = {winner for loser, winner in found.items() if loser in by_name}
        before = PersonMerges(self._engine.store).survivors(by_name)  # what earlier runs were told
        self._asked |= {found.get(winner, winner) for winner in before.values()}
        return {*found.values(), *self._asked}

    def _read(self, ids: list[int]) -> int:
        """Full current values, in slices, so that memory does not grow with the number of persons."""
        window = backlog.extract_window(len(ids), len(self._columns), self._since(), self._engine.now())
        if window is not None:
            try:
                return self._stage(ids, window)
            except (RetryLater, FixConfiguration, RowFailed, AnswerMalformed) as error:
                log.warning("reading %d persons by id, because the bulk extract failed: %s", len(ids), error)
        return self._stage(ids, None)

    def _since(self) -> datetime | None:
        """From when on everybody who is to be read has changed, apart from those who were asked for by name."""
        if not self._run.incremental:
            return self._run.window.since
        cursor = self._cursors.get(CHANGES)
        return parse_iso(cursor.as_of) if cursor else None

    def _stage(self, ids: list[int], window: Window | None) -> int:
        columns = {name: wire for name, wire in self._columns.items() if name in self._known}
        schema = pa.schema(
            [("id", pa.int64()), *((name, _ARROW[wire]) for name, wire in columns.items() if name != "id")]
        )
        found: set[int] = set()
        progress = Progress(self._engine, self._run.run_id, "persons", len(ids))
        with self._staging.writer("persons", schema) as writer:
            if window is not None:
                for table in self._extracted(window, columns, set(ids), found):
                    writer.write(table.select(schema.names))
                    progress.advance(table.num_rows)
            left = [person for person in ids if person not in found]
            for start in range(0, len(left), _READ_CHUNK):
                chunk = [str(person) for person in left[start : start + _READ_CHUNK]]
                table = self._engine.marketo.persons("id", chunk, columns)
                found.update(table["id"].to_pylist())
                writer.write(table.select(schema.names))
                progress.advance(len(chunk))
                take_turn(self._engine, self._run)
        missing = [person for person in ids if person not in found]
        self._staging.write("persons_missing", pa.table({"id": pa.array(missing, pa.int64())}))
        return len(found)

    def _extracted(
        self, window: Window, columns: dict[str, Wire], wanted: set[int], found: set[int]
    ) -> Iterator[pa.Table]:
        """The wanted persons of a bulk extract, each once; `found` learns their ids."""
        tables = self._engine.marketo.extract_persons(
            columns,
            window,
            patience=backlog.PATIENCE.total_seconds(),
            while_waiting=lambda: take_turn(self._engine, self._run),
        )
        for table in tables:
            keep = []
            for row, person in enumerate(table["id"].to_pylist()):
                if person in wanted and person not in found:
                    found.add(person)
                    keep.append(row)
            yield table.take(pa.array(keep, pa.int64()))
            take_turn(self._engine, self._run)


def _merges(pages: Iterable[FeedPage]) -> pl.DataFrame:
    frames = [frame_of(page.rows) for page in pages if page.rows.num_rows]
    return merges(pl.concat(frames)) if frames else no_rows(MERGES_SCHEMA)


_ROWS: dict[str, pl.DataType | type[pl.DataType]] = {
    "guid": pl.String,
    "person_id": pl.Int64,
    "at": pl.Datetime("ms", "UTC"),
    "field": pl.String,
    "old": pl.String,
    "new": pl.String,
}
_ARROW = {"text": pa.string(), "integer": pa.int64(), "number": pa.decimal128(38, 10), "boolean": pa.bool_()}


def _frame(tables: list[pa.Table]) -> pl.DataFrame:
    if not tables:
        return no_rows(_ROWS)
    return frame_of(pa.concat_tables(tables))
