"""Deleting and merging persons, and moving them between partitions (facts/marketo-api.md 6.1-6.3; M48, M49, M51)."""

from __future__ import annotations

import sqlite3

from include.sandbox.marketo.feed import CHANGE_PARTITION, MERGE_LEADS, Activity
from include.sandbox.marketo.identity import Permission
from include.sandbox.marketo.instance import Instance
from include.sandbox.marketo.people import DEFAULTS, PARTITION, Person
from include.sandbox.marketo.person_reading import LEAD
from include.sandbox.marketo.routes import Body, Route
from include.sandbox.marketo.values import shown
from include.sandbox.marketo.wire import PAGE, Call, Refusal, Reply, Skip, as_integer, too_many
from include.sandbox.marketo.writer import API_SOURCE, Provenance
from include.sandbox.service import Json

MOST_LOSERS = 25
MERGE_SOURCE = "leaddb"
"""As recorded of a merge in the lead database; assumption: merges through the API say the same."""
WRITE = (Permission.WRITE_LEAD,)
NOT_FOUND = Skip("1004", "Lead not found")


def input_ids(call: Call, empty: str) -> list[int | None]:
    """Person ids from `?id=` or the records of a JSON body; None where a record has no usable id."""
    if ids := call.integers("id"):
        too_many(len(ids), PAGE, "ids")
        return list(ids)
    records = call.input(call.json(), empty)
    return [as_person_id(record.get("id")) for record in records]


def as_person_id(value: Json) -> int | None:
    """A person id, or another number, of a JSON record, given as number or digits; None when it is neither."""
    if isinstance(value, bool) or not isinstance(value, (int, str)):
        return None
    try:
        number = as_integer(str(value))
    except Refusal:
        return None
    return number


class PersonRemoval:
    """Delete, merge, partitions."""

    def __init__(self, instance: Instance) -> None:
        """Keep the instance."""
        self._at = instance

    def routes(self) -> list[Route]:
        """Its resources; DELETE on leads.json is undocumented but recorded."""
        partitions = "/rest/v1/leads/partitions.json"
        return [
            Route("POST", "/rest/v1/leads/delete.json", self.delete, WRITE, Body.OPTIONAL_JSON),
            Route("DELETE", "/rest/v1/leads.json", self.delete, WRITE, Body.OPTIONAL_JSON),
            Route("POST", "/rest/v1/leads/{id}/merge.json", self.merge, WRITE, Body.ANY),
            Route("GET", partitions, self.partitions, LEAD),
            Route("POST", partitions, self.move, WRITE, Body.JSON),
        ]

    def delete(self, call: Call) -> Reply:
        """Delete by id (M48)."""
        ids = input_ids(call, "Lead ids not specified")
        with self._at.database.write() as connection:
            return Reply([self._deleted(connection, person_id, call) for person_id in ids])

    def _deleted(self, connection: sqlite3.Connection, person_id: int | None, call: Call) -> dict[str, Json]:
        person = self._at.people.get(connection, person_id) if person_id is not None else None
        if person is None:
            return NOT_FOUND.result()
        try:
            self._at.partitions.check(connection, call.user, person)
        except Skip as skip:
            return skip.result()
        self._at.writer.delete(connection, person, call.second)
        return {"id": person.id, "status": "deleted"}

    def merge(self, call: Call) -> Reply:
        """Merge losers into the winner of the path (M49)."""
        ids = [*call.integers("leadId"), *call.integers("leadIds")]
        losers = [one for one in dict.fromkeys(ids) if one != call.place("id")]
        if not losers:
            raise Refusal("1003", "Lead ids not specified")
        if len(losers) > MOST_LOSERS:
            raise Refusal("1080", f"At most {MOST_LOSERS} leads can be merged")
        with self._at.database.write() as connection:
            winner = self._need(connection, call.place("id"))
            merged = [self._need(connection, one) for one in losers]
            for person in (winner, *merged):
                self._at.partitions.check_whole(connection, call.user, person)
            self._merge(connection, winner, merged, call)
        return Reply()

    def _need(self, connection: sqlite3.Connection, person_id: int) -> Person:
        person = self._at.people.get(connection, person_id)
        if person is None:
            raise Refusal("1004", f"Lead '{person_id}' not found")
        return person

    def _merge(self, connection: sqlite3.Connection, winner: Person, losers: list[Person], call: Call) -> None:
        """The winner's empty fields take the first loser's value; what hangs on losers moves over.

        Assumption: the taken values are logged as changes, and losers leave no Delete Lead activity (section 15).
        """
        taken: dict[str, Json] = {}
        for loser in losers:
            taken = {**loser.doc, **taken}
        present = {key for key, value in winner.doc.items() if value is not None}
        values = {
            self._at.catalog.by_key[key]: value
            for key, value in taken.items()
            if key not in present and key not in DEFAULTS and value is not None
        }
        for loser in losers:
            for table in ("member", "program_member"):
                moved = f"UPDATE OR IGNORE {table} SET person_id = ? WHERE person_id = ?"  # noqa: S608
                connection.execute(moved, (winner.id, loser.id))
            connection.execute("UPDATE activity SET person = ? WHERE person = ?", (winner.id, loser.id))
            self._at.people.remove(connection, loser.id)
        by = Provenance(user=call.user, request_id=call.request_id)
        changed = self._at.writer.update(connection, winner, values, by, call.second)
        attributes = {
            "Merge IDs": [loser.id for loser in losers],
            "Merge Source": MERGE_SOURCE, "Merged in Sales": False, "Master Updated": bool(changed),
        }  # fmt: skip
        winner = self._need(connection, winner.id)
        logged = Activity(MERGE_LEADS, winner.id, call.second, winner.id, winner.full_name(), attributes)
        self._at.feed.append(connection, [logged], call.second)

    def partitions(self, _call: Call) -> Reply:
        """Every partition (M51)."""
        with self._at.database.read() as connection:
            rows = connection.execute("SELECT id, name, description FROM partition ORDER BY id").fetchall()
        return Reply([_partition_record(*row) for row in rows])

    def move(self, call: Call) -> Reply:
        """Move persons to partitions (M51)."""
        records = call.input(call.json(), "Leads not specified")
        with self._at.database.write() as connection:
            return Reply([self._moved(connection, record, call) for record in records])

    def _moved(self, connection: sqlite3.Connection, record: dict[str, Json], call: Call) -> dict[str, Json]:
        number, name = as_person_id(record.get("id")), record.get("partitionName")
        person = self._at.people.get(connection, number) if number is not None else None
        named: dict[str, Json] = {} if number is None else {"id": number}
        if person is None:
            return NOT_FOUND.result(**named)
        if not name:
            return Skip("1009", "Partition name must be specified").result(**named)
        try:
            self._at.partitions.check(connection, call.user, person)
            target = self._at.partitions.named(connection, call.user, name)
        except Skip as skip:
            return skip.result(**named)
        before = person.doc.get(PARTITION, DEFAULTS[PARTITION])
        if target != before:
            now = call.second
            self._at.people.save(connection, person._replace(doc={**person.doc, PARTITION: target}, touched=now))
            told = {"Old Partition ID": before, "Reason": API_SOURCE}
            moved = Activity(CHANGE_PARTITION, person.id, now, target, shown(name), told)
            self._at.feed.append(connection, [moved], now)
        return {"id": person.id, "status": "updated"}


def _partition_record(number: int, name: str, description: str | None) -> dict[str, Json]:
    return {"id": number, "name": name, **({"description": description} if description else {})}
