"""The feeds: activities, changes of persons, deleted persons (facts/marketo-api.md section 8; M53-M64)."""

from __future__ import annotations

import sqlite3
from datetime import timedelta

from include.sandbox.marketo import tokens
from include.sandbox.marketo.builtin_activities import BUILTIN_TYPES
from include.sandbox.marketo.feed import (
    CHANGE_DATA_VALUE,
    DELETE_LEAD,
    NEW_LEAD,
    FeedPage,
    FeedRow,
    Position,
    Selector,
    by_primary,
    by_type,
    of_large_list,
    of_persons,
    of_small_list,
)
from include.sandbox.marketo.identity import Permission
from include.sandbox.marketo.instance import Instance
from include.sandbox.marketo.routes import Route
from include.sandbox.marketo.type_store import approved_types, listed
from include.sandbox.marketo.values import parse_moment
from include.sandbox.marketo.wire import PAGE, Call, Refusal, Reply, stamp, too_many
from include.sandbox.service import Json

MOST_TYPES, MOST_PERSONS, MOST_MEMBERS = 10, 30, 10_000
MEMBERS_LIMITED_FROM = "2026-12-30"
DELETED_KEPT = timedelta(days=14)
ACTIVITY = (Permission.READ_ACTIVITY, Permission.WRITE_ACTIVITY)


class ActivityReading:
    """The read endpoints of activities."""

    def __init__(self, instance: Instance) -> None:
        """Keep the instance."""
        self._at = instance

    def routes(self) -> list[Route]:
        """Its resources."""
        base = "/rest/v1/activities"
        return [
            Route("GET", f"{base}/pagingtoken.json", self.paging_token, ACTIVITY),
            Route("GET", f"{base}/types.json", self.types, ACTIVITY),
            Route("GET", f"{base}.json", self.activities, ACTIVITY),
            Route("GET", f"{base}/leadchanges.json", self.changes, ACTIVITY),
            Route("GET", f"{base}/deletedleads.json", self.deleted, ACTIVITY),
        ]

    def paging_token(self, call: Call) -> Reply:
        """The position of a date (M53): rows dated then or later follow."""
        text = call.required("sinceDatetime")
        # A "+" that was not encoded arrives as a blank and is no date; the documentation asks to encode it.
        since = parse_moment(text)
        if since is None:
            raise Refusal("704", "Invalid date format")
        second = int(since.timestamp())
        with self._at.database.read() as connection:
            position = self._at.feed.start(connection, second)
        return Reply(None, {"nextPageToken": self._at.tokens.write(tokens.FEED, *position)})

    def types(self, _call: Call) -> Reply:
        """Built-in and approved custom types (M64)."""
        with self._at.database.read() as connection:
            custom = [listed(one) for one in approved_types(connection)]
        return Reply([*BUILTIN_TYPES, *custom])

    def activities(self, call: Call) -> Reply:
        """Activities of up to ten types (M54-M58)."""
        call.required("nextPageToken")
        type_ids = call.integers("activityTypeIds")
        if not type_ids:
            raise Refusal("1002", "Missing value for required parameter 'activityTypeIds'")
        too_many(len(set(type_ids)), MOST_TYPES, "activityTypeIds")
        selectors = by_type(type_ids)
        if assets := call.integers("assetIds"):
            too_many(len(assets), PAGE, "assetIds")
            if len(set(type_ids)) > 1:
                raise Refusal("1003", "assetIds can be used with one activityTypeId only")
            selectors = by_primary(type_ids[0], assets)
        page = self._page(call, selectors)
        return self._reply(page, [self._activity(row) for row in page.rows])

    def changes(self, call: Call) -> Reply:
        """New persons, and changes of the named fields, one field a row (M59)."""
        call.required("nextPageToken")
        names = call.many("fields")
        if not names:
            raise Refusal("1002", "Missing value for required parameter 'fields'")
        fields = self._at.catalog.named(names)
        page = self._page(call, [*by_type([NEW_LEAD]), *by_primary(CHANGE_DATA_VALUE, [one.id for one in fields])])
        return self._reply(page, [self._change(row) for row in page.rows])

    def deleted(self, call: Call) -> Reply:
        """Deleted persons of the last 14 days (M62)."""
        oldest = int((call.now - DELETED_KEPT).timestamp())
        page = self._page(call, by_type([DELETE_LEAD]), oldest)
        return self._reply(page, [self._activity(row) for row in page.rows])

    def _page(self, call: Call, selectors: list[Selector], oldest: int = 0) -> FeedPage:
        position = Position(*self._at.tokens.read(tokens.FEED, call.required("nextPageToken")))
        people = call.integers("leadIds")
        too_many(len(set(people)), MOST_PERSONS, "leadIds")
        size = call.batch_size()
        self._at.feed.publish(call.second)
        with self._at.database.read() as connection:
            near: list[Selector] = []
            if lists := call.integers("listId"):
                selectors, near = self._of_list(call, connection, selectors, lists[0], alone=not people)
            if people:
                selectors = of_persons(selectors, people)
            page = self._at.feed.page(connection, position, selectors, size, call.second, oldest, near)
            page.rows = self._seen(connection, call.user, page.rows)
            return page

    def _seen(self, connection: sqlite3.Connection, user: str, rows: list[FeedRow]) -> list[FeedRow]:
        """The rows without those of persons in partitions that the user may not enter: a page may get shorter."""
        within = self._at.partitions.within(connection, user)
        if within is None:
            return rows
        people = {row.person for row in rows}
        hidden = self._at.people.existing(connection, people) - self._at.people.existing(connection, people, within)
        return [row for row in rows if row.person not in hidden]

    def _of_list(
        self, call: Call, connection: sqlite3.Connection, selectors: list[Selector], list_id: int, *, alone: bool
    ) -> tuple[list[Selector], list[Selector]]:
        """The ways to the rows of members. Where members are many, most pages are full before theirs are sought."""
        chosen = self._at.lists.need(connection, list_id)
        members = self._at.lists.count(connection, chosen.id)
        self._check_list_size(call, members)
        by_row = of_large_list(selectors, chosen.id)
        if not alone or members >= MOST_MEMBERS:
            return by_row, []
        return of_small_list(selectors, chosen.id), by_row if members > PAGE else []

    @staticmethod
    def _check_list_size(call: Call, members: int) -> None:
        if members >= MOST_MEMBERS and call.now.date().isoformat() >= MEMBERS_LIMITED_FROM:
            raise Refusal("1003", f"The list has {members} members; fewer than {MOST_MEMBERS} are allowed")

    def _reply(self, page: FeedPage, records: list[dict[str, Json]]) -> Reply:
        token = self._at.tokens.write(tokens.FEED, *page.next)
        return Reply(records or None, {"nextPageToken": token, "moreResult": page.more})

    def _head(self, row: FeedRow) -> dict[str, Json]:
        """The members that every activity has."""
        numbered = {"id": row.seq} if self._at.options.activity_ids else {}
        campaign = {} if row.campaign is None else {"campaignId": row.campaign}
        return {
            **numbered, "marketoGUID": str(row.seq), "leadId": row.person, "activityDate": stamp(row.at),
            "activityTypeId": row.type, **campaign,
        }  # fmt: skip

    def _activity(self, row: FeedRow) -> dict[str, Json]:
        """A row of activities.json and deletedleads.json: fields by id and display name (M60)."""
        head = self._head(row)
        if row.primary_id is not None:
            head["primaryAttributeValueId"] = row.primary_id
        if row.primary_text is not None:
            head["primaryAttributeValue"] = row.primary_text
        return {**head, "attributes": _pairs(row.attributes)}

    def _change(self, row: FeedRow) -> dict[str, Json]:
        """A row of leadchanges.json: fields by REST name, empty values null (M59)."""
        if row.type == NEW_LEAD:
            return {**self._head(row), "fields": [], "attributes": _pairs(row.attributes)}
        rest = dict(row.attributes)
        new, old = rest.pop("New Value", None), rest.pop("Old Value", None)
        name = self._at.catalog.by_key[str(row.primary_id)].name
        field = {"id": row.primary_id, "name": name, "newValue": new, "oldValue": old}
        return {**self._head(row), "fields": [field], "attributes": _pairs(rest)}


def _pairs(attributes: dict[str, Json]) -> list[dict[str, Json]]:
    return [{"name": name, "value": value} for name, value in attributes.items()]
