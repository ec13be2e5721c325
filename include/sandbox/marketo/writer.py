"""Changes of persons, with the activities they leave (facts/marketo-api.md sections 6 and 8.3; M42-M49, M59-M61).

Every way to change a person ends here: sync calls, merges, edits as by a human.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass

from include.sandbox.marketo.catalog import Catalog, Field
from include.sandbox.marketo.feed import (
    CHANGE_DATA_VALUE,
    CHANGE_SCORE,
    DELETE_LEAD,
    NEW_LEAD,
    Activity,
    Feed,
)
from include.sandbox.marketo.options import Options
from include.sandbox.marketo.people import DEFAULTS, EMAIL, PARTITION, People, Person
from include.sandbox.marketo.subscription import Subscription
from include.sandbox.marketo.values import logged
from include.sandbox.marketo.wire import stamp
from include.sandbox.service import Json

API_SOURCE = "Web service API"
_SOURCE_KEYS = ("70", "71", "72", "73")
"""originalSourceType, originalSourceInfo, registrationSourceType, registrationSourceInfo."""
_ANONYMOUS = "51"
"""isAnonymous: changes of anonymous persons are not in the feeds (section 8.3)."""


@dataclass(frozen=True, slots=True)
class Provenance:
    """Who makes a change, as its activities tell it."""

    source: str = API_SOURCE
    reason: str = API_SOURCE
    user: str = ""
    method: str = "syncLead"
    request_id: str = ""
    campaign: int | None = None
    list_name: str = ""
    """The list that an import fills (section 10)."""


class Writer:
    """Creates, updates and deletes persons inside the caller's transaction."""

    def __init__(self, catalog: Catalog, people: People, feed: Feed, options: Options) -> None:
        """Keep what it works with."""
        self._catalog = catalog
        self._people = people
        self._feed = feed
        self._options = options
        self._subscription = Subscription(people, options)

    def create(
        self, connection: sqlite3.Connection, values: Mapping[Field, Json], by: Provenance, now: int, partition: int
    ) -> Person:
        """A new person with the source fields of the API; logs New Lead and no value changes (M46, M61)."""
        doc = {field.key: value for field, value in values.items() if value is not None}
        doc.update(dict.fromkeys(_SOURCE_KEYS, by.source))
        if partition != DEFAULTS[PARTITION]:
            doc[PARTITION] = partition
        self._subscription.born(connection, doc)
        person = self._people.insert(connection, now, now + self._options.created_skew, doc)
        attributes = {
            "Created Date": stamp(now)[:10],
            "List Name": by.list_name,
            "Source Type": by.source,
            "api method name": by.method,
            "modifying user": by.user,
            "request id": by.request_id,
        }
        # Recorded rows carry the person as primary attribute although types.json names none for this type.
        born = Activity(NEW_LEAD, person.id, now, person.id, person.full_name(), attributes)
        if not doc.get(_ANONYMOUS):
            self._feed.append(connection, [born], now)
        return person

    def update(
        self, connection: sqlite3.Connection, person: Person, values: Mapping[Field, Json], by: Provenance, now: int
    ) -> list[Field]:
        """Apply values to a person; returns the fields that really changed.

        A write that changes nothing leaves updatedAt alone and logs nothing (M42). Values are compared
        as the database holds them, so false over a boolean that was never set is a change (assumption).
        """
        changed = [(field, person.value(field), value) for field, value in values.items()]
        changed = [(field, old, new) for field, old, new in changed if type(old) is not type(new) or old != new]
        if not changed:
            return []
        changed += self._subscription.carried(connection, person, self._named(changed), self._catalog)
        self._apply(connection, person, changed, by, now)
        for other, more in self._subscription.spread(connection, person, self._named(changed), self._catalog):
            self._apply(connection, other, more, by, now)
        return [field for field, _, _ in changed]

    @staticmethod
    def _named(changed: list[tuple[Field, Json, Json]]) -> dict[str, tuple[Json, Json]]:
        return {field.name: (old, new) for field, old, new in changed}

    def _apply(
        self, connection: sqlite3.Connection, person: Person, changed: list[tuple[Field, Json, Json]],
        by: Provenance, now: int,
    ) -> None:  # fmt: skip
        doc = dict(person.doc)
        for field, _, new in changed:
            if new is None and field.key not in DEFAULTS:
                doc.pop(field.key, None)
            else:
                doc[field.key] = new
        visible = self._options.updated_at_custom or any(not field.custom for field, _, _ in changed)
        updated = now if visible else person.updated
        self._people.save(connection, person._replace(doc=doc, updated=updated, touched=now))
        if not doc.get(_ANONYMOUS):
            activities = [one for change in changed for one in self._logged(person.id, *change, by=by, now=now)]
            self._feed.append(connection, activities, now)

    @staticmethod
    def _logged(person: int, field: Field, old: Json, new: Json, *, by: Provenance, now: int) -> list[Activity]:
        values = {"New Value": logged(field, new), "Old Value": logged(field, old)}
        change = {**values, "Reason": by.reason, "Source": by.source}
        rows = [Activity(CHANGE_DATA_VALUE, person, now, field.id, field.display, change, by.campaign)]
        if field.score:
            step = (new or 0) - (old or 0)
            # Numbers here and text in the row of type 13, as recorded.
            score = {"Change Value": f"{step:+d}", "New Value": new, "Old Value": old, "Reason": by.reason}
            rows.insert(0, Activity(CHANGE_SCORE, person, now, field.id, field.display, score, by.campaign))
        return rows

    def delete(self, connection: sqlite3.Connection, person: Person, now: int) -> None:
        """Remove a person and log it; its other activities stay readable (assumption)."""
        self._people.remove(connection, person.id)
        gone = Activity(DELETE_LEAD, person.id, now, person.id, person.full_name() or person.doc.get(EMAIL))
        self._feed.append(connection, [gone], now)
