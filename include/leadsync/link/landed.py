"""Writes whose answer was lost and whose value stands where it was sent: they arrived, and nobody typed them (P3).

Without this the value that we wrote looks like an edit of the side it was written to, and on a link where that side
wins it would run over what the other side has typed since.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

import polars as pl

from include.leadsync.load.acknowledge import DEFAULTED
from include.leadsync.load.outcome import Fate
from include.leadsync.merge import Change
from include.leadsync.model import Direction, FieldMap, OperationKind, OperationState
from include.leadsync.no_rows import no_rows
from include.leadsync.state import Outbox, StateStore

_TO = {Direction.INBOUND.value: "p", Direction.OUTBOUND.value: "c"}
_ABSENT = object()
_WRITTEN = {OperationKind.UPDATE.value, OperationKind.CREATE.value}
_SCHEMA = {"link_id": pl.Int64, "field": pl.String, "side": pl.String, "after": pl.String}
LANDED_SCHEMA = pl.Schema(
    {
        **dict.fromkeys(("run_id", "op_id"), pl.String()),
        **dict.fromkeys(("link_id", "person_id"), pl.Int64()),
        **dict.fromkeys(("crm_id", "entity", "field", "direction", "kind"), pl.String()),
        **dict.fromkeys(("base", "before", "after", "lost", "rule"), pl.String()),
        "at": pl.Datetime("us", "UTC"),
    }
)
"""Ledger entries of such writes, of the time when they were sent."""


def with_landed(pairs: pl.DataFrame, links: pl.DataFrame, store: StateStore, field_map: FieldMap) -> pl.DataFrame:
    """`pairs` with the value of such a write as the base of its field, where its source shows another one by now.

    `links`: rows of the link table as they were; `dirty` tells of whose last write nobody knows whether it arrived.
    Consent is left as it is: there an opt-out wins over whatever is in doubt. Assumption: the same value typed by hand
    on that side at that very time is the same as ours.
    """
    unanswered = _unanswered(links)
    if not unanswered:
        return pairs
    sent = pl.DataFrame(list(_sent(store, unanswered)), schema=_SCHEMA, orient="row")
    for field in field_map.fields:
        written = sent.filter(pl.col("field") == field.name).unique(["link_id", "side"], keep="last")
        if not written.is_empty() and not field.rule.consent:
            pairs = _based_on(pairs, field.name, written)
    return pairs


def landed_entries(pairs: pl.DataFrame, links: pl.DataFrame, store: StateStore) -> pl.DataFrame:
    """What the ledger has to say of such writes (P9): `LANDED_SCHEMA`, one row per field whose value stands."""
    unanswered = _unanswered(links)
    if not unanswered:
        return no_rows(LANDED_SCHEMA)
    here = {row["link_id"]: row for row in pairs.filter(pl.col("link_id").is_in(unanswered)).iter_rows(named=True)}
    entries = [
        {**row, **write, "person_id": pair["person_id"], "crm_id": pair["crm_id"], "at": row["updated_at"]}
        for row in _operations(store, unanswered)
        if (pair := here.get(row["link_id"]))
        for write in json.loads(row["payload"])["writes"]
        if pair.get(f"{_TO[row['direction']]}.{write['field']}", _ABSENT) == write["after"]
    ]
    return pl.DataFrame([{name: entry[name] for name in LANDED_SCHEMA} for entry in entries], schema=LANDED_SCHEMA)


def _unanswered(links: pl.DataFrame) -> list[int]:
    if links["dirty"].null_count() == links.height:
        return []
    return links.filter(pl.col("dirty").str.starts_with(Fate.UNKNOWN.value))["link_id"].sort().to_list()


def _operations(store: StateStore, links: list[int]) -> list[Mapping[str, Any]]:
    """The last operations of each link and direction that were sent and not acknowledged, oldest first."""
    rows: list[Mapping[str, Any]] = Outbox(store).of_links(links, states=[OperationState.SUPERSEDED.value]).to_pylist()
    sent = sorted((row for row in rows if row["attempts"] and row["kind"] in _WRITTEN), key=lambda r: r["created_at"])
    newest = {(row["link_id"], row["direction"]): row["run_id"] for row in sent}
    return [row for row in sent if newest[row["link_id"], row["direction"]] == row["run_id"]]


def _sent(store: StateStore, links: list[int]) -> Iterator[dict[str, Any]]:
    """The writes of those operations.

    Without values that came from neither side (defaults), edits that are on their way to both (`plan.unfinished`), and
    what an undo takes back (`plan.undoing`).
    """
    writes = [
        {"link_id": row["link_id"], "field": write["field"], "side": _TO[row["direction"]], "after": write["after"]}
        for row in _operations(store, links)
        for write in json.loads(row["payload"])["writes"]
        if not write["system"] and write["change"] not in {DEFAULTED, Change.UNDONE}
    ]
    sides = Counter((write["link_id"], write["field"]) for write in writes)
    return (write for write in writes if sides[write["link_id"], write["field"]] == 1)


def _based_on(pairs: pl.DataFrame, field: str, written: pl.DataFrame) -> pl.DataFrame:
    bases = [name for name in (f"b.{field}", f"ps.{field}", f"cs.{field}") if name in pairs.columns]
    for side, source in (("p", "c"), ("c", "p")):
        here = written.filter(pl.col("side") == side).select("link_id", "after", pl.lit(value=True).alias("sent"))
        values = pairs.select("link_id").join(here, on="link_id", how="left", maintain_order="left")
        arrived = values["sent"].fill_null(value=False) & pairs[f"{side}.{field}"].eq_missing(values["after"])
        landed = arrived & pairs[f"{source}.{field}"].ne_missing(values["after"])
        pairs = pairs.with_columns(
            *(pl.when(landed).then(values["after"]).otherwise(pl.col(name)).alias(name) for name in bases),
            (pl.col(f"n.{field}") & ~landed).alias(f"n.{field}"),
        )
    return pairs
