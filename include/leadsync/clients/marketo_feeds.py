"""Marketo's activity feeds: changed values, activities, deleted persons (facts/marketo-api §8)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from itertools import islice
from typing import Any, Final

import msgspec
import pyarrow as pa
import pyarrow.compute as pc

from include.leadsync.clients.decode import UTC_SECONDS
from include.leadsync.clients.marketo_session import PAGE, MarketoSession, typed
from include.leadsync.clients.records import FeedPage
from include.leadsync.clock import iso, parse_iso
from include.leadsync.errors import AnswerMalformed
from include.leadsync.model import System

CHANGES: Final = pa.schema(
    [
        ("guid", pa.string()),
        ("person_id", pa.int64()),
        ("at", UTC_SECONDS),
        ("type_id", pa.int32()),
        ("field", pa.string()),
        ("old", pa.string()),
        ("new", pa.string()),
        ("source", pa.string()),
        ("request_id", pa.string()),
    ]
)
"""One row per changed field; a new person (type 12) has one row without field."""

ACTIVITIES: Final = pa.schema(
    [
        ("guid", pa.string()),
        ("person_id", pa.int64()),
        ("at", UTC_SECONDS),
        ("type_id", pa.int32()),
        ("primary_id", pa.int64()),
        ("primary", pa.string()),
        ("attributes", pa.string()),
    ]
)
"""One row per activity; `attributes` is a JSON object name → value."""

_REMEMBERED: Final = 30_000  # a hundred pages; repeats are neighbours
_MOST_TYPES, _MOST_PERSONS = 10, 30  # facts/marketo-api §8.2


class _Attribute(msgspec.Struct, gc=False):
    name: str = ""
    value: Any = None


class _Field(msgspec.Struct, gc=False, rename="camel"):
    name: str
    old_value: Any = None
    new_value: Any = None


class _Activity(msgspec.Struct, rename="camel"):
    lead_id: int
    activity_date: str
    activity_type_id: int
    marketo_guid: str | int | None = msgspec.field(name="marketoGUID", default=None)
    id: int | str | None = None
    primary_attribute_value_id: int | None = None
    primary_attribute_value: str | None = None
    attributes: list[_Attribute] | None = None
    fields: list[_Field] | None = None

    @property
    def guid(self) -> str:
        """The unique key; older data had only `id` (facts/marketo-api §8.2)."""
        key = self.marketo_guid if self.marketo_guid is not None else self.id
        if key is None:
            raise AnswerMalformed(System.MARKETO, "an activity without marketoGUID", "")
        return str(key)

    def attribute(self, *names: str) -> str | None:
        """The first attribute of one of these names; their case differs between lists and data (§8.3)."""
        for attribute in self.attributes or ():
            if attribute.name.lower() in names:
                return _text(attribute.value)
        return None


class MarketoFeeds(MarketoSession):
    """Feeds, read from a token on.

    An activity that comes again within the last 30,000 is yielded once; across runs they may repeat (M63).
    """

    def paging_token(self, since: datetime) -> str:
        """A token for everything from `since` on, that second included (facts/marketo-api §8.1, §15)."""
        envelope = self._read("/rest/v1/activities/pagingtoken.json", {"sinceDatetime": iso(since)}, timeout=300.0)
        if not envelope.next_page_token:
            raise AnswerMalformed(System.MARKETO, "no paging token", "")
        return envelope.next_page_token

    def lead_changes(self, token: str, fields: Sequence[str]) -> Iterator[FeedPage]:
        """New persons (type 12) and changed values (type 13) of the named fields, as `CHANGES`; values are texts.

        Raises:
            ReadAgain: the token is rejected; read all linked persons and start at a fresh token (M-15).
            FixConfiguration: 1006, one of the fields does not exist.
        """
        return self._feed("leadchanges", token, {"fields": ",".join(fields)}, _changes)

    def activities(self, token: str, type_ids: Sequence[int], lead_ids: Sequence[int] = ()) -> Iterator[FeedPage]:
        """Activities of at most 10 types, of all or at most 30 persons, as `ACTIVITIES`.

        Raises:
            ReadAgain: the token is rejected.
            ValueError: too many types or persons.
        """
        if not 0 < len(type_ids) <= _MOST_TYPES or len(lead_ids) > _MOST_PERSONS:
            raise ValueError(f"1 to {_MOST_TYPES} types and at most {_MOST_PERSONS} persons can be asked for")
        parameters = {
            "activityTypeIds": ",".join(map(str, type_ids)),
            "leadIds": ",".join(map(str, lead_ids)) or None,
        }
        return self._feed("activities", token, parameters, _activities)

    def deleted_leads(self, token: str) -> Iterator[FeedPage]:
        """Deleted persons (type 37) of the last 14 days, as `ACTIVITIES` (M62). Losers of merges are not listed (§15).

        Raises:
            ReadAgain: the token is rejected.
        """
        return self._feed("deletedleads", token, {}, _activities)

    def _feed(
        self, name: str, token: str, parameters: dict[str, str | None], table: Callable[[list[_Activity]], pa.Table]
    ) -> Iterator[FeedPage]:
        seen: dict[str, None] = {}
        tokens = {hash(token)}  # so that thousands of pages stay small
        while True:
            envelope = self._read(
                "/rest/v1/activities.json" if name == "activities" else f"/rest/v1/activities/{name}.json",
                {"nextPageToken": token, "batchSize": PAGE, **parameters},
                cursor=f"marketo.{name}",
            )
            token = envelope.next_page_token or ""
            if not token:
                raise AnswerMalformed(System.MARKETO, f"a page of {name} without nextPageToken", "")
            more = envelope.more_result is True
            if more and hash(token) in tokens:
                raise AnswerMalformed(System.MARKETO, f"{name} leads back to a page already read", "")
            tokens.add(hash(token))
            yield FeedPage(table(_unseen(typed(envelope.result, list[_Activity]), seen)), token)
            if not more:
                return


def _unseen(activities: list[_Activity], seen: dict[str, None]) -> list[_Activity]:
    """Those that did not come before, as far as `seen` goes back; it learns them and forgets the oldest."""
    fresh = []
    for activity in activities:
        guid = activity.guid
        if guid not in seen:
            seen[guid] = None
            fresh.append(activity)
    for guid in [*islice(seen, max(0, len(seen) - _REMEMBERED))]:
        del seen[guid]
    return fresh


def _changes(activities: list[_Activity]) -> pa.Table:
    rows: list[tuple[Any, ...]] = []
    for activity in activities:
        head = (activity.guid, activity.lead_id, activity.activity_date, activity.activity_type_id)
        tail = (activity.attribute("source", "source type"), activity.attribute("request id"))
        if not activity.fields:
            rows.append((*head, None, None, None, *tail))
        rows.extend((*head, f.name, _text(f.old_value), _text(f.new_value), *tail) for f in activity.fields or ())
    return _table(rows, CHANGES)


def _activities(activities: list[_Activity]) -> pa.Table:
    rows = [
        (
            a.guid,
            a.lead_id,
            a.activity_date,
            a.activity_type_id,
            a.primary_attribute_value_id,
            a.primary_attribute_value,
            msgspec.json.encode({attribute.name: attribute.value for attribute in a.attributes or ()}).decode(),
        )
        for a in activities
    ]
    return _table(rows, ACTIVITIES)


def _table(rows: list[tuple[Any, ...]], schema: pa.Schema) -> pa.Table:
    if not rows:
        return schema.empty_table()
    try:
        arrays = [
            _moments(values) if field.name == "at" else pa.array(values, field.type)
            for field, values in zip(schema, zip(*rows, strict=True), strict=True)
        ]
    except (pa.ArrowException, OverflowError, ValueError):
        raise AnswerMalformed(System.MARKETO, "an activity with an impossible id or time", "") from None
    return pa.table(arrays, schema=schema)


def _moments(texts: Sequence[str]) -> pa.Array:
    spelled = pa.array(texts, pa.string())
    try:
        return pc.cast(spelled, UTC_SECONDS)
    except pa.ArrowInvalid:  # fractions of a second, offsets without colon, or no time at all
        return pa.array([parse_iso(text).replace(microsecond=0) for text in texts], UTC_SECONDS)


def _text(value: object) -> str | None:
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "True" if value else "False"  # as the feed itself spells them (§8.3)
    return msgspec.json.encode(value).decode()
