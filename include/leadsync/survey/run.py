"""One survey: read, match, compare, and keep what was found under a hash until somebody accepts it."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta

import polars as pl

from include.leadsync.clock import iso
from include.leadsync.context import Engine, Json, RunRequest
from include.leadsync.link.by_email import place_of
from include.leadsync.model import Entity
from include.leadsync.no_rows import frame_of, no_rows
from include.leadsync.recover import require_setup
from include.leadsync.schema import Schema, current_schema, stage_schema
from include.leadsync.staging import Staging
from include.leadsync.state import Links, Metadata, Runs
from include.leadsync.survey.comparing import Comparing, field_counts
from include.leadsync.survey.matching import MEANING, Matched, match
from include.leadsync.survey.reading import Reading

OUTCOME = "survey"
"""Name of the staged JSON document that `storing` goes by."""

_MARGIN = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class Survey:
    """What is asked. `kind`: first-sync, rebuild or from-native.

    `id_fields`: more Marketo fields that may hold the CRM id (D101). `since`: read every person created since then;
    None: only those that the records lead to.
    """

    run_id: str
    kind: str
    id_fields: tuple[str, ...] = ()
    since: datetime | None = None

    @property
    def by_email(self) -> bool:
        """A rebuild goes by ids alone; whoever had no link before is the cycle's matter."""
        return self.kind != "rebuild"


def survey(engine: Engine, asked: Survey) -> dict[str, Json]:
    """Look at both systems and report; nothing is stored but the report itself.

    The report is a JSON object: kind, run_id, hash, counts, fields (who would win, how often), conflicts by code.
    Raises `FixConfiguration` when `setup` was not run or a field does not exist.
    """
    staging = engine.staging(RunRequest(asked.run_id))
    Runs(engine.store).start(asked.run_id, asked.kind, _plain(asked))
    schema = current_schema(engine, refresh=True)  # asked for by a person, who may just have made a field
    require_setup(engine, schema)
    stage_schema(engine, RunRequest(asked.run_id), schema)
    started = engine.now()
    token = engine.marketo.paging_token(started - _MARGIN)
    names = engine.settings.marketo.system_fields
    reading = Reading(engine, schema, staging, (names.id, *asked.id_fields), asked.since)
    read = reading.read(by_email=asked.by_email and engine.settings.creation.when_found == "link")
    matched = _matched(engine, asked, staging)
    comparing = Comparing(engine, schema, staging)
    comparing.compare(matched.matches)
    staging.write("survey.matches", matched.matches)
    staging.write("survey.conflicts", matched.conflicts)
    staging.write("survey.alone", matched.alone)
    digest = _digest(matched, fields_of(schema))
    report = _report(asked, started, read, matched, comparing) | {"hash": digest}
    outcome = {
        "report": report,
        "fields": fields_of(schema),
        "slices": comparing.slices,
        "id_fields": list(asked.id_fields),
        "token": token,
        "as_of": iso(started),
    }
    staging.write_json(OUTCOME, outcome)
    Metadata(engine.store).put("leadsync", f"survey.{digest}", asked.run_id)
    Runs(engine.store).finish(asked.run_id, "reported", report)
    return report


def _matched(engine: Engine, asked: Survey, staging: Staging) -> Matched:
    places = engine.marketo.partition_ids() if _placing(engine) else None
    rows = [
        staging.read(f"survey.row_keys.{entity.value}")
        .unique("id", keep="last", maintain_order=True)
        .with_columns(entity=pl.lit(entity.value))
        for entity in Entity
    ]
    every = pl.concat(rows)
    every = every.with_columns(place_of(every["partition"], places))
    names = engine.settings.marketo.system_fields
    wanted = ["id", "email", names.type, *(["leadPartitionId"] if places is not None else [])]
    persons = pl.concat(
        [no_rows({"id": pl.Int64, "email": pl.String, "type": pl.String, "place": pl.Int64})]
        + [_person_keys(batch, names.type) for batch in map(frame_of, staging.batches("survey.persons", wanted))]
    )
    linked = pl.concat(
        [no_rows({"person_id": pl.Int64, "crm_id": pl.String})]
        + [frame_of(page.select(["person_id", "crm_id"])) for page in Links(engine.store).pages()]
    )
    by_email = asked.by_email and engine.settings.creation.when_found == "link"
    return match(every, persons, staging.read("survey.claims"), linked, by_email=by_email)


def _person_keys(batch: pl.DataFrame, type_field: str) -> pl.DataFrame:
    place = pl.col("leadPartitionId") if "leadPartitionId" in batch.columns else pl.lit(None)
    return batch.select(
        "id", pl.col("email").str.to_lowercase(), pl.col(type_field).alias("type"), place.cast(pl.Int64).alias("place")
    )


def _placing(engine: Engine) -> bool:
    return bool(engine.settings.creation.partitions or engine.settings.creation.default_partition)


def fields_of(schema: Schema) -> dict[str, list[list[str]]]:
    """Entity → name and type of every field that is compared, in order."""
    return {e.value: [[f.name, f.rule.type.value] for f in schema.map(e).fields] for e in Entity}


def _digest(matched: Matched, fields: dict[str, list[list[str]]]) -> str:
    """What is accepted: these very pairs and open questions, compared on these fields; 16 hex digits."""
    digest = hashlib.sha256(json.dumps(fields).encode())
    for frame in (matched.matches, matched.conflicts):
        for row in frame.iter_rows():
            digest.update("|".join(map(str, row)).encode() + b"\n")
    return digest.hexdigest()[:16]


def _report(
    asked: Survey, started: datetime, read: dict[str, Json], matched: Matched, comparing: Comparing
) -> dict[str, Json]:
    how = dict(matched.matches.group_by("how").len().iter_rows())
    codes = dict(matched.conflicts.group_by("code").len().iter_rows())
    pairs = matched.matches.height
    return {
        "kind": asked.kind,
        "run_id": asked.run_id,
        "at": iso(started),
        "read": read,
        "counts": {
            "matched_by_id": how.get("id", 0),
            "matched_by_email": how.get("email", 0),
            "already_linked": matched.already_linked,
            "ambiguous": codes.get("several_candidates", 0),
            "only_in_dynamics": matched.to_create,
            "only_in_marketo": matched.persons_alone if asked.since is not None else None,
            "kept_out_by_filter": matched.kept_out,
            "became_contacts": matched.converted,
            "equal": comparing.equal,
            "to_fill": pairs - comparing.equal,
        },
        "fields": field_counts(comparing.differing),
        "conflicts": [
            {"code": code, "count": codes[code], "rule": MEANING[code][0], "meaning": MEANING[code][1]}
            for code in MEANING
            if code in codes
        ],
    }


def _plain(asked: Survey) -> dict[str, Json]:
    return {**asdict(asked), "since": iso(asked.since) if asked.since else None}
