"""The transaction that turns a run's plan into stored work."""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from include.leadsync.backfills import DATASET as STRETCH
from include.leadsync.backfills import note_progress
from include.leadsync.baseline import encode_base
from include.leadsync.context import Engine, Json, RunRequest
from include.leadsync.enqueue.erasure import erase, welcome
from include.leadsync.enqueue.fates import ended_links, fate_ledger, history_links, keep_versions
from include.leadsync.enqueue.links import link_rows
from include.leadsync.enqueue.operations import (
    LEDGER_SCHEMA,
    decision_ledger,
    failure_activities,
    held_activities,
    notice_activities,
    operation_rows,
    still_open,
)
from include.leadsync.extract.merges import survivors
from include.leadsync.link.step import slices
from include.leadsync.model import LinkStatus
from include.leadsync.no_rows import no_rows, to_arrow
from include.leadsync.plan.blocked import DATASET as BLOCKED
from include.leadsync.plan.blocked import notices
from include.leadsync.plan.brake import Held
from include.leadsync.plan.step import LEFT_OUT
from include.leadsync.quiet import is_quiet
from include.leadsync.requests.answers import Answer, answer
from include.leadsync.restored import caught_up
from include.leadsync.schema import Schema, staged_schema
from include.leadsync.state import (
    ActivityLog,
    Cursors,
    Echoes,
    Layouts,
    Ledger,
    Links,
    Outbox,
    PersonMerges,
    Requests,
    SeenActivities,
    Transaction,
)

STREAMS = ("dynamics:lead", "dynamics:contact", "marketo:changes", "marketo:deletes", "marketo:overlap")
MERGES = "marketo:merges"
_COUNTS = ("operations", "parked", "held", "failures_logged", "recovered", "dropped_for_newer")


def enqueue(engine: Engine, run: RunRequest) -> dict[str, Json]:
    """Store everything a run decided, or nothing.

    Raises `AnotherRunAtWork` when another run moved a cursor since this one read it.
    """
    storing = _Enqueue(engine, run, staged_schema(engine, run))
    return storing.store_bookkeeping() if is_quiet(engine, run) else storing.store()


class _Enqueue:
    def __init__(self, engine: Engine, run: RunRequest, schema: Schema) -> None:
        self._engine, self._run, self._schema = engine, run, schema
        self._staging = engine.staging(run)
        self._store = engine.store
        self._now = engine.now()
        self._links = Links(self._store)
        self._real: dict[int, int] = {}  # provisional link id → stored one
        self._lost: set[int] = set()  # links that another run changed meanwhile
        self._touched: list[int] = []
        self._outlived: list[int] = []  # links of deleted persons whose records were updated afterwards

    def store(self) -> dict[str, Json]:
        staging = self._staging
        plan, dropped = staging.read("plan"), staging.read("dropped")
        if dropped.height:
            plan = plan.join(dropped, on=["op_id", "field"], how="anti")
        failures, refused = staging.read("failures"), staging.read("refused")["op_id"].to_list()
        summary = staging.read_json("plan_summary")
        reasons = tuple(summary["held_because"])
        held = Held(frozenset(summary["held_ops"]), summary["plan_hash"], reasons, summary["kept_ops"])
        events = pl.concat([staging.read("events"), staging.read("notices")])
        waiting = set(plan.filter(pl.col("op_id").is_in(held.every))["link_id"]) if held.every else set()
        with self._store.begin() as tx:
            self._advance_cursors(STREAMS, tx)
            self._end_links(events, waiting, tx)  # first: what they held may go to others
            ledger = self._store_links(tx)
            plan, events = self._settled_ids(plan), self._settled_ids(events)
            self._moved_links(events, tx)
            left_out = self._settled_ids(staging.read(LEFT_OUT))["link_id"].to_list()
            self._links.set_dirty(left_out, "fields that a backfill left out wait for a cycle", tx)
            operations = operation_rows(plan, failures, refused, held, self._run.run_id, self._now)
            self._links_after_events(events, waiting, tx)
            outbox = Outbox(self._store)
            parked = outbox.parked_plans(tx).to_pylist() if held.kept else []
            outbox.supersede(sorted(set(self._touched)), tx)
            outbox.add(to_arrow(operations), tx)
            for plan_ in parked:  # what takes the place of one that was not approved waits with the rest of its plan
                outbox.park(plan_["plan_hash"], plan_["code"], plan_["message"], tx)
            Ledger(self._store).add_once(to_arrow(staging.read("landed")), tx)
            Ledger(self._store).add(to_arrow(ledger), tx)
            written = self._tell(plan, failures, events, tx)
            recovered = ActivityLog(self._store).settle_absent(
                sorted(self._touched), to_arrow(still_open(plan, failures, refused)), self._run.run_id, tx
            )
            self._requests(events, plan, failures.filter(pl.col("op_id").is_in(refused)), tx)
            erase(self._engine, self._outlived, tx)
            self._bookkeeping(tx)
            backfilled = note_progress(self._store, self._staging.read_json(STRETCH), tx)
        counts = (operations.height, len(refused), len(held.every), written, recovered, len(self._lost))
        return dict(zip(_COUNTS, counts, strict=True)) | ({"backfill_done": True} if backfilled else {})

    def store_bookkeeping(self) -> dict[str, Json]:
        """What is left of a run that decided nothing."""
        with self._store.begin() as tx:
            self._advance_cursors((*STREAMS, MERGES), tx)
            self._bookkeeping(tx)
            backfilled = note_progress(self._store, self._staging.read_json(STRETCH), tx)
        return dict.fromkeys(_COUNTS, 0) | ({"backfill_done": True} if backfilled else {})

    def _advance_cursors(self, streams: Sequence[str], tx: Transaction) -> None:
        if not self._run.incremental:
            return
        cursors = Cursors(self._store)
        for stream in streams:
            staged = self._staging.read_json(f"cursor.{stream.replace(':', '_')}")
            if staged:
                cursors.advance(stream, staged["token"], staged["as_of"], staged["version"], tx)

    def _store_links(self, tx: Transaction) -> pl.DataFrame:
        ledgers: list[pl.DataFrame] = []
        for entity, number in slices(self._engine, self._run):
            field_map = self._schema.map(entity)
            layout = Layouts(self._store).id_of(entity, field_map.layout, tx)
            pairs = self._staging.read(f"pairs.{entity.value}.{number}")
            decisions = self._staging.read(f"decisions.{entity.value}.{number}")
            rows = link_rows(pairs, decisions, field_map, layout, self._now)
            new = rows["link_id"] < 0
            self._insert(rows.filter(new), tx)
            known = rows.filter(~new)
            lost = self._links.update(to_arrow(known), tx) if known.height else []
            self._lost |= set(lost)
            self._touched += [i for i in known["link_id"].to_list() if i not in self._lost]
            ledger = decision_ledger(pairs, decisions, entity.value, self._run.run_id, self._now)
            ledgers.append(self._settled_ids(ledger))
        self._survivor_bases(tx)
        if self._lost:
            self._links.set_dirty(sorted(self._lost), "changed by another run meanwhile", tx)
        return pl.concat([no_rows(LEDGER_SCHEMA), *ledgers])

    def _survivor_bases(self, tx: Transaction) -> None:
        """What records of merged persons show now, so that their next change is told from this one (D44)."""
        for entity, field_map in self._schema.maps.items():
            name = f"survivor_bases.{entity.value}"
            if self._staging.exists(name) and (bases := self._staging.read(name)).height:
                fields = [(f.name, f.rule.type.value) for f in field_map.fields]
                layout = Layouts(self._store).id_of(entity, fields, tx)
                nothing = [pl.lit(None, pl.String).alias(column) for column in ("crm_side", "crm_open")]
                known = bases.select("link_id", encode_base(bases, field_map.names), pl.lit(layout).alias("layout_id"))
                self._links.update(to_arrow(known.with_columns(*nothing)), tx)

    def _insert(self, rows: pl.DataFrame, tx: Transaction) -> None:
        if rows.is_empty():
            return
        new = rows.drop("expected_version").with_columns(
            pl.lit(self._run.run_id).alias("created_run"), pl.lit(self._now).alias("created_at")
        )
        stored = self._links.insert(to_arrow(new.drop("link_id")), tx)
        ActivityLog(self._store).found(stored, self._run.run_id, tx)
        welcome(self._engine, stored, tx)
        self._real |= dict(zip(rows["link_id"].to_list(), stored["link_id"].to_pylist(), strict=True))

    def _settled_ids(self, rows: pl.DataFrame) -> pl.DataFrame:
        """Stored link ids for provisional ones; rows of links that another run changed are dropped."""
        if rows.is_empty():
            return rows
        if self._real:
            known = pl.col("link_id")
            rows = rows.with_columns(known.replace_strict(self._real, default=known, return_dtype=pl.Int64))
        if self._lost:
            rows = rows.filter(~pl.col("link_id").is_in(list(self._lost)).fill_null(value=False))
        return rows

    def _end_links(self, events: pl.DataFrame, waiting: set[int], tx: Transaction) -> None:
        """Links whose record or person another link has now; not those whose flag the brake holds."""
        self._touched = []
        if events.height and (rows := ended_links(events, waiting, self._now)).height:
            self._links.update(to_arrow(rows), tx)
            Outbox(self._store).retire(rows["link_id"].to_list(), tx)
            updated = pl.col("status") == LinkStatus.PERSON_DELETED.value  # read again, these are updates still (R77)
            self._outlived = rows.filter(updated)["link_id"].to_list()
            keep_versions(self._staging, self._links, rows.filter(~updated)["link_id"].to_list(), tx)
            self._touched = rows["link_id"].to_list()

    def _moved_links(self, events: pl.DataFrame, tx: Transaction) -> None:
        """The history of links that go on with another record or person; theirs no longer waits for the old ones.

        A merge of persons that could not be stored now is read again: nothing else would tell of it.
        """
        found = events.height > 0
        if found and (history := history_links(events, self._touched, self._run.run_id, self._now)).height:
            self._links.insert(to_arrow(history), tx)
            moved = events.filter((pl.col("kind") == "moved") & pl.col("link_id").is_in(self._touched))
            Outbox(self._store).retire(moved["link_id"].to_list(), tx)
        told = self._staging.read("events")
        by_person = told.filter((told["kind"] == "moved") & (told["code"] == LinkStatus.PERSON_MERGED.value))
        if set(by_person["link_id"].to_list()) <= set(self._touched):
            self._advance_cursors([MERGES], tx)

    def _tell(self, plan: pl.DataFrame, failures: pl.DataFrame, events: pl.DataFrame, tx: Transaction) -> int:
        """Ledger and activity log of what happened and what was refused; returns how many failures are new."""
        log, written = ActivityLog(self._store), 0
        run_id, now = self._run.run_id, self._now
        for (code,), rows in events.filter(pl.col("kind") == "over").group_by("code") if events.height else ():
            persons, crm_ids = rows["person_id"].drop_nulls().to_list(), rows["crm_id"].drop_nulls().to_list()
            log.over([str(code)], run_id, persons=persons, crm_ids=crm_ids, tx=tx)
        merged = survivors(self._staging.read("persons_merged"))
        PersonMerges(self._store).add(merged, tx)
        log.moved(merged, tx)  # what persons that were merged away were not told yet
        if failures.height:
            written += log.record(to_arrow(failure_activities(plan, failures, run_id, now)), tx)
        if events.height:
            Ledger(self._store).add(to_arrow(fate_ledger(events, run_id, now)), tx)
            written += log.record(to_arrow(held_activities(events, run_id, now)), tx)
            log.record(to_arrow(notice_activities(events, run_id, now)), tx)
        blocked = self._settled_ids(self._staging.read(BLOCKED))
        if blocked.height:
            log.record(notices(blocked.drop("op_id"), run_id, now), tx)
            Echoes(self._store).remove(to_arrow(blocked.select("person_id", "field", "op_id")), tx)
        return written

    def _links_after_events(self, events: pl.DataFrame, waiting: set[int], tx: Transaction) -> None:
        if events.height:
            self._ended_alone(events, waiting, tx)
        again = self._staging.read_json("look_again") or []
        self._links.set_dirty(again, "its record or person has a successor that could not be followed yet", tx)
        if events.is_empty():
            return
        still_there = pl.col("kind").is_in(["held", "refreshed"]) | pl.col("link_id").is_in(list(waiting))
        seen = events.filter(still_there & pl.col("link_id").is_not_null())["link_id"].unique().to_list()
        if seen:
            self._links.update(
                to_arrow(pl.DataFrame({"link_id": seen}).with_columns(pl.lit(None, pl.String).alias("dirty"))), tx
            )

    def _ended_alone(self, events: pl.DataFrame, waiting: set[int], tx: Transaction) -> None:
        """Links whose record or person was deleted, nobody having taken its place."""
        ends = {"crm_deleted": LinkStatus.CRM_DELETED, "person_deleted": LinkStatus.PERSON_DELETED}
        for kind, status in ends.items():
            ids = [i for i in events.filter(pl.col("kind") == kind)["link_id"].to_list() if i not in waiting]
            if ids:
                ended = pl.DataFrame({"link_id": ids}).with_columns(
                    pl.lit(status.value).alias("status"),
                    pl.lit(None, pl.String).alias("dirty"),
                    pl.lit(self._now).alias("changed_at"),
                )
                self._links.update(to_arrow(ended), tx)
                self._touched += ids
                if status is LinkStatus.PERSON_DELETED:
                    keep_versions(self._staging, self._links, ids, tx)
                    erase(self._engine, ids, tx)
        closed = [i for i in events.filter(pl.col("kind") == "ended")["link_id"].to_list() if i in waiting]
        if closed:  # merged away, and waiting to be flagged: nothing is written to them meanwhile
            self._links.update(to_arrow(pl.DataFrame({"link_id": closed, "crm_state": [1] * len(closed)})), tx)

    def _requests(self, events: pl.DataFrame, plan: pl.DataFrame, refused: pl.DataFrame, tx: Transaction) -> None:
        """Requests without a create end here; the others end when their record is created or refused."""
        requests = Requests(self._store)
        asked = plan.filter(plan["request_id"].is_not_null()).select("op_id", "request_id")
        requests.accept(asked["request_id"].unique().to_list(), tx)
        answers = []
        if asked.height:
            failed = refused.unique("op_id", keep="first", maintain_order=True).join(asked.unique("op_id"), on="op_id")
            answers = [
                Answer(request_id, "failed", code, message, "R110")
                for request_id, code, message in failed.select("request_id", "code", "message").iter_rows()
            ]
        if events["request_id"].null_count() < events.height:
            settled = events.filter(pl.col("request_id").is_not_null())
            answers += [Answer(**{name: row[name] for name in Answer.__slots__}) for row in settled.to_dicts()]
        answer(self._store, answers, self._run.run_id, self._now, tx)

    def _bookkeeping(self, tx: Transaction) -> None:
        staging = self._staging
        if self._run.incremental:
            caught_up(self._engine, tx)
        if staging.exists("versions"):
            self._links.update(to_arrow(staging.read("versions")), tx)
        for name in ("crm_seen.lead", "crm_seen.contact"):
            if staging.exists(name) and (rows := staging.read(name)).height:
                rows = rows.filter(~pl.col("link_id").is_in(self._outlived)).rename({"etag": "crm_etag"})
                self._links.update(to_arrow(rows), tx)
        # Of a link that another run changed nothing was decided: its feed rows come again with the overlap.
        undecided = self._links.by_id(sorted(self._lost), tx)["person_id"].to_pylist() if self._lost else []
        decided = ~pl.col("person_id").is_in(undecided)
        if staging.exists("echoes") and (echoes := staging.read("echoes")).height:
            Echoes(self._store).remove(to_arrow(echoes.filter(decided)), tx)
        if staging.exists("activities_seen") and (seen := staging.read("activities_seen")).height:
            SeenActivities(self._store).add(to_arrow(seen.filter(decided).select("guid", "at")), tx)
