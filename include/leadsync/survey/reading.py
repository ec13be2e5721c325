"""Both systems → staging, page by page, so that memory does not grow with the number of people.

Datasets: `survey.rows.E` id, etag, allowed, @state and one canonical column per field · `survey.row_keys.E` id, email,
state, merged, master, contact, origin, allowed, partition, modified, said · `survey.persons` id and every column as
Marketo spells it · `survey.claims` person_id, crm_id: a person says it is that record, or a record it is that person.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from datetime import datetime

import polars as pl
import pyarrow as pa

from include.leadsync.clients.decode import ARROW
from include.leadsync.context import Engine, Json
from include.leadsync.errors import FixConfiguration
from include.leadsync.extract.identity import MASTER, MERGED, PLACE, STATE_SEEN, canonical_records, record_columns
from include.leadsync.fields import Wire
from include.leadsync.link.people import People
from include.leadsync.model import Entity, Window
from include.leadsync.no_rows import frame_of, no_rows
from include.leadsync.progress import Progress, once
from include.leadsync.schema import Schema
from include.leadsync.staging import DatasetWriter, Staging

_EXTRA: dict[str, Wire] = {"emailaddress1": "text", "modifiedon": "text"}
ROW_KEYS: dict[str, pl.DataType | type[pl.DataType]] = {
    "id": pl.String,
    "email": pl.String,
    "state": pl.Int64,
    "merged": pl.Boolean,
    "master": pl.String,
    "contact": pl.String,
    "origin": pl.String,
    "allowed": pl.Boolean,
    "partition": pl.String,
    "modified": pl.String,
    "said": pl.Int64,
}
CLAIMS: dict[str, pl.DataType | type[pl.DataType]] = {"person_id": pl.Int64, "crm_id": pl.String}
_GUID = r"^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$"
_PERSONS_A_CALL = 300


class Reading:
    """One look at both systems.

    `id_fields`: Marketo fields that may hold a CRM id. `since`: read every person created since then by bulk extract;
    None: look up the persons that the records lead to, which shows nobody who is in Marketo only.
    """

    def __init__(
        self, engine: Engine, schema: Schema, staging: Staging, id_fields: Sequence[str], since: datetime | None
    ) -> None:
        self._engine, self._schema, self._staging, self._since = engine, schema, staging, since
        self._people = People(engine, schema)
        self._reference = engine.settings.lifecycle.conversion_reference
        known = {field.name: field for field in schema.marketo}
        missing = [name for name in id_fields if name not in known]
        if missing:
            raise FixConfiguration(f"Marketo has no field {', '.join(missing)}; name fields that hold the CRM id")
        deaf = [name for name in id_fields if not known[name].searchable]
        if deaf and since is None:
            raise FixConfiguration(f"{', '.join(deaf)} cannot be searched; add --since DATE to read every person")
        self._id_fields = list(id_fields)
        self._columns: dict[str, Wire] = {**self._people.columns, **dict.fromkeys(id_fields, "text")}
        self._seen: set[int] = set()

    def read(self, *, by_email: bool) -> dict[str, Json]:
        """Stage everything; returns how many rows and persons there are."""
        counts: dict[str, Json] = {}
        fields = [("id", pa.int64()), *((n, ARROW[wire]) for n, wire in self._columns.items() if n != "id")]
        with ExitStack() as stack:
            persons = stack.enter_context(self._staging.writer("survey.persons", pa.schema(fields)))
            claims = stack.enter_context(self._staging.writer("survey.claims", _arrow_schema(CLAIMS)))
            if self._since is not None:
                window = Window(self._since, None)
                progress = Progress(self._engine, self._staging.run_id, "persons")
                for page in self._engine.marketo.extract_persons(self._columns, window, filter="createdAt"):
                    self._keep(page, persons, claims)
                    progress.advance(page.num_rows)
            for entity in Entity:
                counts[entity.value] = self._table(entity, persons, claims, by_email=by_email)
        return {"rows": counts, "persons": len(self._seen)}

    def _table(self, entity: Entity, persons: DatasetWriter, claims: DatasetWriter, *, by_email: bool) -> int:
        names = self._schema.map(entity).names
        fixed = [("id", pa.string()), ("etag", pa.string()), ("allowed", pa.bool_()), (STATE_SEEN, pa.int64())]
        with ExitStack() as stack:
            rows = stack.enter_context(
                self._staging.writer(
                    f"survey.rows.{entity.value}", pa.schema(fixed + [(n, pa.string()) for n in names])
                )
            )
            keys = stack.enter_context(self._staging.writer(f"survey.row_keys.{entity.value}", _arrow_schema(ROW_KEYS)))
            all_of = once(lambda: self._engine.dynamics.record_count(entity))
            progress = Progress(self._engine, self._staging.run_id, f"records of {entity.value}", all_of)
            for raw in self._pages(entity):
                records = canonical_records(raw, self._schema, entity, self._reference)
                rows.write(records.select("id", "etag", "allowed", STATE_SEEN, *names).to_arrow())
                known = self._keys(raw, records)
                keys.write(known.to_arrow())
                said = known.filter(pl.col("said").is_not_null()).select(pl.col("said").alias("person_id"), crm_id="id")
                claims.write(said.to_arrow())
                if self._since is None:
                    for page in self._led_to(known, by_email=by_email):
                        self._keep(page, persons, claims)
                progress.advance(raw.num_rows)
        return keys.rows

    def _pages(self, entity: Entity) -> Iterator[pa.Table]:
        """A full tracked read: unlike a query in pages it misses nothing that changes meanwhile."""
        columns = {**record_columns(self._schema, entity, self._reference), **_EXTRA}
        if (own := self._engine.settings.creation.person_id_column) is not None:
            kinds = {attribute.name: attribute.type for attribute in self._schema.dynamics[entity]}
            if own not in kinds:
                raise FixConfiguration(f"creation.person_id_column: {entity.value} has no readable column {own}")
            columns[own] = "text" if kinds[own] in {"String", "Memo"} else "integer"
        for page in self._engine.dynamics.track(entity, columns, None):
            if page.rows.num_rows:
                yield page.rows

    def _keys(self, raw: pa.Table, records: pl.DataFrame) -> pl.DataFrame:
        own = self._engine.settings.creation.person_id_column
        raw_frame = frame_of(raw)
        keys = raw_frame.select(
            "id",
            pl.col("emailaddress1").str.to_lowercase().alias("email"),
            pl.col(MERGED).fill_null(value=False).alias("merged"),
            pl.col(MASTER).str.to_lowercase().alias("master"),
            pl.col("modifiedon").alias("modified"),
            (pl.col(own) if own else pl.lit(None)).cast(pl.Int64, strict=False).alias("said"),
        ).unique("id", keep="last", maintain_order=True)
        told = records.select(
            "id",
            "allowed",
            "origin",
            pl.col("@contact").str.to_lowercase().alias("contact"),
            pl.col(STATE_SEEN).alias("state"),
            pl.col(PLACE).alias("partition"),
        )
        return keys.join(told, on="id").select(pl.col(name).cast(dtype) for name, dtype in ROW_KEYS.items())

    def _led_to(self, keys: pl.DataFrame, *, by_email: bool) -> Iterator[pa.Table]:
        """Persons that carry an id of these records, that a record names, or that have its address."""
        marketo = self._engine.marketo
        for name in self._id_fields:
            yield marketo.persons(name, keys["id"].to_list(), self._columns)
        if said := keys["said"].drop_nulls().to_list():
            yield marketo.persons("id", [str(person) for person in said], self._columns)
        if by_email:
            emails = keys["email"].drop_nulls().unique(maintain_order=True).to_list()
            yield marketo.persons("email", emails, self._columns)

    def _keep(self, page: pa.Table, persons: DatasetWriter, claims: DatasetWriter) -> None:
        frame = frame_of(page)
        once = frame.unique("id", keep="last", maintain_order=True)
        new = once.filter(pl.Series([person not in self._seen for person in once["id"]], dtype=pl.Boolean))
        if new.is_empty():
            return
        self._seen |= set(new["id"].to_list())
        persons.write(new.select("id", *(name for name in self._columns if name != "id")).to_arrow())
        for name in self._id_fields:
            said = new.select(person_id="id", crm_id=pl.col(name).str.to_lowercase().str.strip_chars("{} "))
            claims.write(said.filter(pl.col("crm_id").str.contains(_GUID)).to_arrow())


def _arrow_schema(columns: dict[str, pl.DataType | type[pl.DataType]]) -> pa.Schema:
    return no_rows(columns).to_arrow().schema
