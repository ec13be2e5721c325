"""Custom activity types on disk: a draft and an approved version each (facts/marketo-api.md 8.7; M64, M65)."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass

import msgspec

from include.sandbox.marketo.wire import stamp
from include.sandbox.service import Json

FIRST_ID = 100_001
COLUMNS = "id, api_name, approved, draft, deleted, created, updated"


@dataclass(slots=True)
class CustomType:
    """One custom type.

    `approved` and `draft` are definitions: name, description, triggerName, filterName, primaryAttribute, attributes.
    """

    id: int
    api_name: str
    approved: dict[str, Json] | None
    draft: dict[str, Json] | None
    deleted: bool
    created: int
    updated: int

    @property
    def status(self) -> str:
        """Status as the service words it."""
        if self.deleted:
            return "deleted"
        if self.approved is None:
            return "draft"
        return "approved with draft" if self.draft is not None else "approved"

    def head(self) -> dict[str, Json]:
        """The record of external/types.json: no attributes; an id and dates only once approved (appendix A)."""
        return self._head(self.approved or self.draft or {})

    def _head(self, shown: Mapping[str, Json]) -> dict[str, Json]:
        numbered = {"id": self.id} if self.approved is not None else {}
        texts = {name: shown[name] for name in ("name", "description", "triggerName", "filterName") if shown.get(name)}
        born = self.approved is not None
        dates = {"createdAt": stamp(self.created), "updatedAt": stamp(self.updated)} if born else {}
        return {**numbered, "apiName": self.api_name, **texts, **dates, "status": self.status}

    def described(self, *, draft: bool) -> dict[str, Json]:
        """The record of describe.json; without attributes there is no such member (documented examples)."""
        shown = (self.draft if draft else self.approved) or self.approved or self.draft or {}
        attributes = {"attributes": shown["attributes"]} if shown["attributes"] else {}
        return {**self._head(shown), "primaryAttribute": shown["primaryAttribute"], **attributes}


def listed(one: CustomType) -> dict[str, Json]:
    """An approved type as types.json shows it, without a mark that it is custom."""
    body = one.approved or {}
    primary = body["primaryAttribute"]
    return {
        "id": one.id, "name": body["name"], "description": body.get("description") or body["name"],
        "primaryAttribute": {"name": primary["name"], "dataType": primary["dataType"]},
        "attributes": [{"name": each["name"], "dataType": each["dataType"]} for each in body["attributes"]],
    }  # fmt: skip


def find(connection: sqlite3.Connection, condition: str, *arguments: Json) -> list[CustomType]:
    """Types by an SQL condition on their columns, ascending by id."""
    rows = connection.execute(f"SELECT {COLUMNS} FROM activity_type WHERE {condition} ORDER BY id", arguments)  # noqa: S608
    return [
        CustomType(number, name, _body(approved), _body(draft), bool(deleted), created, updated)
        for number, name, approved, draft, deleted, created, updated in rows
    ]


def approved_types(connection: sqlite3.Connection) -> list[CustomType]:
    """Types that accept data."""
    return find(connection, "approved IS NOT NULL AND NOT deleted")


def add(connection: sqlite3.Connection, api_name: str, draft: Mapping[str, Json], now: int) -> CustomType:
    """A new type in draft."""
    row = connection.execute("SELECT seq FROM sqlite_sequence WHERE name = 'activity_type'").fetchone()
    number = max(FIRST_ID, (row[0] if row else 0) + 1)
    connection.execute(
        "INSERT INTO activity_type (id, api_name, draft, created, updated) VALUES (?, ?, ?, ?, ?)",
        (number, api_name, _text(draft), now, now),
    )
    return find(connection, "id = ?", number)[0]


def save(connection: sqlite3.Connection, one: CustomType, now: int) -> CustomType:
    """Write back a changed type."""
    connection.execute(
        "UPDATE activity_type SET approved = ?, draft = ?, deleted = ?, updated = ? WHERE id = ?",
        (_text(one.approved), _text(one.draft), one.deleted, now, one.id),
    )
    return find(connection, "id = ?", one.id)[0]


def _body(text: str | None) -> dict[str, Json] | None:
    return None if text is None else msgspec.json.decode(text, type=dict[str, Json])


def _text(body: Mapping[str, Json] | None) -> str | None:
    return None if body is None else msgspec.json.encode(body).decode()
