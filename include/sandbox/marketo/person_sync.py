"""`POST /rest/v1/leads.json`: create and update persons (facts/marketo-api.md section 6; M34-M47)."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from include.sandbox.marketo.catalog import COMPANY_IDS, Field
from include.sandbox.marketo.company_link import CompanyLink
from include.sandbox.marketo.identity import Permission
from include.sandbox.marketo.instance import Instance
from include.sandbox.marketo.people import DEFAULTS, PARTITION, Person, match_key
from include.sandbox.marketo.routes import Body, Route
from include.sandbox.marketo.values import accept, shown
from include.sandbox.marketo.wire import Call, Refusal, Reply, Skip
from include.sandbox.marketo.writer import Provenance
from include.sandbox.service import Json

ACTIONS = frozenset({"createOrUpdate", "createOnly", "updateOnly", "createDuplicate"})
EXTERNAL_COMPANY = "41"


@dataclass(slots=True)
class Record:
    """One valid record of the input: its look-up value (None with createDuplicate) and its fields."""

    key: Json
    values: dict[Field, Json]


@dataclass(slots=True)
class Batch:
    """What all records of a call share."""

    action: str
    lookup: Field
    partition: int
    refusal: Skip | None
    """Why no record of this call may be written (partitions)."""
    by: Provenance
    now: int
    user: str
    named: bool = False
    """Whether the call named its partition."""
    freshest: bool = False
    """Of several matches take the one changed last, as forms do, instead of refusing them (1007)."""


Done: TypeAlias = Callable[[sqlite3.Connection, dict[str, Json]], None]
"""What else a call does with a record that was written, inside its transaction."""


class PersonSync:
    """The sync endpoint."""

    def __init__(self, instance: Instance) -> None:
        """Keep the instance."""
        self._at = instance
        self._link = CompanyLink(instance)

    def routes(self) -> list[Route]:
        """Its resources."""
        return [Route("POST", "/rest/v1/leads.json", self.sync, (Permission.WRITE_LEAD,), Body.JSON)]

    def sync(self, call: Call) -> Reply:
        """One result per record in input order; each is applied wholly or not at all (M35)."""
        body = call.json()
        batch = self.batch(call, body)
        return Reply(self.run(batch, call.input(body, "Leads not specified")))

    def run(
        self, batch: Batch, records: Sequence[Mapping[str, Json]], done: Done | None = None
    ) -> list[dict[str, Json]]:
        """Write the records in one transaction; one result each."""
        prepared = [self._prepared(record, batch) for record in records]
        valid = [record for record in prepared if isinstance(record, Record)]
        if batch.action != "createDuplicate":
            self._at.people.prepare(batch.lookup)
        raced = self._raced(batch, valid)
        with self._at.database.write() as connection:
            known = self._known(connection, batch, valid) if raced is None else raced
            results = [self._result(connection, batch, record, known) for record in prepared]
            for result in results:
                if done is not None and "id" in result:
                    done(connection, result)
        return results

    def batch(self, call: Call, body: Mapping[str, Json]) -> Batch:
        """Action, lookupField and partitionName of a body."""
        action = body.get("action") or "createOrUpdate"
        if not isinstance(action, str) or action not in ACTIONS:
            raise Refusal("1003", f"Invalid value '{shown(action)}' for action")
        name = body.get("lookupField") or "email"
        lookup = self._at.catalog.get(name) if isinstance(name, str) else None
        if lookup is None:
            raise Refusal("1006", f"Lookup field '{shown(name)}' not found")
        if not lookup.searchable:
            raise Refusal("1011", f"Field '{name}' not supported")
        partition, refusal = self._partition(call.user, body.get("partitionName"), action)
        by = Provenance(user=call.user, request_id=call.request_id)
        return Batch(action, lookup, partition, refusal, by, call.second, call.user, bool(body.get("partitionName")))

    def _partition(self, user: str, name: Json, action: str) -> tuple[int, Skip | None]:
        """Where new persons of the call go, or why none of its records may be written."""
        if name and action == "updateOnly":
            return 1, Skip("1010", "Partition update not allowed")
        access = self._at.partitions
        with self._at.database.read() as connection:
            try:
                return (access.named(connection, user, name) if name else access.home(connection, user)), None
            except Skip as skip:
                # An update needs no home: the person has one.
                return 1, None if not name and action == "updateOnly" else skip

    def _prepared(self, record: Mapping[str, Json], batch: Batch) -> Record | Skip:
        """The record with every value in stored form, or why it is refused."""
        try:
            self._check_partition(batch)
            values = {field: value for name, sent in record.items() for field, value in [self._value(name, sent)]}
            key = None if batch.action == "createDuplicate" else self._key(values, batch)
            self._check_id(record, batch)
        except Skip as skip:
            return skip
        return Record(key, {field: value for field, value in values.items() if field.name != "id"})

    @staticmethod
    def _check_id(record: Mapping[str, Json], batch: Batch) -> None:
        """An id belongs in a record with updateOnly by id only.

        Documented for createOnly; for createOrUpdate, createDuplicate and another lookupField an assumption.
        """
        if "id" in record and (batch.action != "updateOnly" or batch.lookup.name != "id"):
            raise Skip("1003", f"Invalid value for field 'id' and value '{shown(record['id'])}'")

    @staticmethod
    def _check_partition(batch: Batch) -> None:
        if batch.refusal:
            raise batch.refusal

    def _value(self, name: str, sent: Json) -> tuple[Field, Json]:
        field = self._at.catalog.get(name)
        if field is None:
            raise Skip("1006", f"Field '{name}' not found")
        if field.read_only:
            # Assumption (section 15): a read-only field refuses the record, with the text of a bad value.
            raise Skip("1003", f"Invalid value for field '{name}' and value '{shown(sent)}'")
        value = accept(field, sent, truncate=self._at.options.truncate_strings)
        if field.key == PARTITION:
            value = self._known_partition(field, value)
        return field, value

    def _known_partition(self, field: Field, value: Json) -> Json:
        value = DEFAULTS[PARTITION] if value is None else value
        with self._at.database.read() as connection:
            known = connection.execute("SELECT 1 FROM partition WHERE id = ?", (value,)).fetchone()
        if not known:
            raise Skip("1003", f"Invalid value for field '{field.name}' and value '{value}'")
        return value

    @staticmethod
    def _key(values: Mapping[Field, Json], batch: Batch) -> Json:
        key = values.get(batch.lookup)
        if key is None:
            raise Skip("1003", f"Value for lookup field '{batch.lookup.name}' not found")
        return key

    def _raced(self, batch: Batch, valid: Sequence[Record]) -> dict[str, list[int]] | None:
        """With the race switched on, look up before the write lock and wait, as the real service may (M47)."""
        pause = self._at.options.upsert_race_seconds
        if pause <= 0:
            return None
        with self._at.database.read() as connection:
            known = self._known(connection, batch, valid)
        self._at.clock.sleep(pause)
        return known

    def _known(self, connection: sqlite3.Connection, batch: Batch, valid: Sequence[Record]) -> dict[str, list[int]]:
        keys = [record.key for record in valid if record.key is not None]
        return self._at.people.holders(connection, batch.lookup, keys) if keys else {}

    def _result(
        self, connection: sqlite3.Connection, batch: Batch, record: Record | Skip, known: dict[str, list[int]]
    ) -> dict[str, Json]:
        if isinstance(record, Skip):
            return record.result()
        try:
            return self._applied(connection, batch, record, known)
        except Skip as skip:
            return skip.result()

    def _applied(
        self, connection: sqlite3.Connection, batch: Batch, record: Record, known: dict[str, list[int]]
    ) -> dict[str, Json]:
        """Create or update by the action; a key used twice in one input finds its first person (section 15)."""
        matches = known.get(match_key(record.key), []) if record.key is not None else []
        if batch.freshest and len(matches) > 1:
            people = self._at.people.get_many(connection, matches)
            matches = [max(people, key=lambda one: (one.updated, one.id)).id]
        if matches and batch.action == "createOnly":
            raise Skip("1005", "Lead already exists")
        if len(matches) > 1:
            raise Skip("1007", "Multiple lead match lookup criteria")
        person = self._at.people.get(connection, matches[0]) if matches else None
        if person is not None:
            self._at.partitions.check(connection, batch.user, person)
            self._check_home(person, batch)
            self._check_company(person, record.values)
            values = self._link.filled(connection, record.values)
            self._at.writer.update(connection, person, values, batch.by, batch.now)
            return {"id": person.id, "status": "updated"}
        if batch.action == "updateOnly":
            raise Skip("1004", "Lead not found")
        values = self._link.filled(connection, record.values)
        made = self._at.writer.create(connection, values, batch.by, batch.now, batch.partition)
        if record.key is not None:
            known[match_key(record.key)] = [made.id]
        return {"id": made.id, "status": "created"}

    @staticmethod
    def _check_home(person: Person, batch: Batch) -> None:
        """An update that names a partition finds the person there or fails (vendor page Leads).

        The code is 1010: a published client explains it as "already exists in a separate lead partition".
        """
        if batch.named and batch.partition != person.doc.get(PARTITION, DEFAULTS[PARTITION]):
            raise Skip("1010", "Partition update not allowed")

    @staticmethod
    def _check_company(person: Person, values: Mapping[Field, Json]) -> None:
        """Company fields of a person linked to a company are written through the company (1021; section 15)."""
        if person.doc.get(EXTERNAL_COMPANY) and any(field.id in COMPANY_IDS for field in values):
            raise Skip("1021", "Company update not allowed")
