"""Custom activity types over the wire: draft, attributes, approval (facts/marketo-api.md 8.7; M64, M65)."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Callable, Mapping
from typing import TypeAlias

from include.sandbox.marketo import type_store
from include.sandbox.marketo.activity_reading import ACTIVITY
from include.sandbox.marketo.identity import Permission
from include.sandbox.marketo.instance import Instance
from include.sandbox.marketo.routes import Body, Route
from include.sandbox.marketo.type_store import CustomType
from include.sandbox.marketo.values import shown
from include.sandbox.marketo.wire import Call, Refusal, Reply
from include.sandbox.service import Json

MOST_TYPES, MOST_ATTRIBUTES = 10, 20
ATTRIBUTE_TYPES = frozenset(
    {"string", "boolean", "integer", "float", "link", "email", "currency", "date", "datetime", "phone", "text"}
)
TEXTS = ("name", "description", "triggerName", "filterName")
METADATA = (Permission.ACTIVITY_METADATA,)
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*\Z")
_Attributes: TypeAlias = list[dict[str, Json]]
_Edit: TypeAlias = Callable[[_Attributes, _Attributes], _Attributes]


class CustomTypes:
    """The endpoints under activities/external that define types. Codes without a source are assumptions."""

    def __init__(self, instance: Instance) -> None:
        """Keep the instance."""
        self._at = instance

    def routes(self) -> list[Route]:
        """Its resources."""
        base = "/rest/v1/activities/external"
        one = f"{base}/type/{{apiName}}"
        post = {
            f"{base}/type.json": self.create, f"{one}.json": self.change, f"{one}/approve.json": self.approve,
            f"{one}/discardDraft.json": self.discard, f"{one}/delete.json": self.delete,
            f"{one}/attributes/create.json": self.add_attributes,
            f"{one}/attributes/update.json": self.update_attributes,
            f"{one}/attributes/delete.json": self.delete_attributes,
        }  # fmt: skip
        return [
            Route("GET", f"{base}/types.json", self.types, (*ACTIVITY, *METADATA)),
            Route("GET", f"{one}/describe.json", self.describe, (*ACTIVITY, *METADATA)),
            *(Route("POST", path, handler, METADATA, Body.OPTIONAL_JSON) for path, handler in post.items()),
        ]

    def types(self, _call: Call) -> Reply:
        """All custom types that are not deleted."""
        with self._at.database.read() as connection:
            return Reply([one.head() for one in type_store.find(connection, "NOT deleted")])

    def describe(self, call: Call) -> Reply:
        """One type with its attributes; `draft=true` shows the draft."""
        with self._at.database.read() as connection:
            return Reply([_need(connection, call).described(draft=call.text("draft") == "true")])

    def create(self, call: Call) -> Reply:
        """A new type in draft; it has no id yet."""
        body = call.json()
        for member in ("apiName", "name", "triggerName", "filterName", "primaryAttribute"):
            if not body.get(member):
                raise Refusal("1002", f"Missing value for required parameter '{member}'")
        name = body["apiName"]
        if not isinstance(name, str) or not _NAME.match(name):
            raise Refusal("1003", f"Invalid value '{name}' for apiName")
        draft = {
            **{member: shown(body[member]) for member in TEXTS if body.get(member)},
            "primaryAttribute": _definition(body["primaryAttribute"]),
            "attributes": _fresh([], _objects(body, may_lack=True)),
        }
        _check_count(draft)
        with self._at.database.write() as connection:
            if type_store.find(connection, "api_name = ?", name):
                raise Refusal("1017", "Object already exists")
            if len(type_store.find(connection, "NOT deleted")) >= MOST_TYPES:
                raise Refusal("1027", f"Activity type limit ({MOST_TYPES}) reached")
            return Reply([type_store.add(connection, name, draft, call.second).described(draft=True)])

    def change(self, call: Call) -> Reply:
        """Change texts or the primary attribute, in the draft."""
        body = call.json()
        with self._at.database.write() as connection:
            one, draft = _draft(connection, call)
            draft.update({member: shown(body[member]) for member in TEXTS if body.get(member)})
            if body.get("primaryAttribute"):
                draft["primaryAttribute"] = _definition(body["primaryAttribute"])
            one.draft = draft
            return Reply([type_store.save(connection, one, call.second).described(draft=True)])

    def approve(self, call: Call) -> Reply:
        """Make the draft the version that accepts data."""
        with self._at.database.write() as connection:
            one = _need(connection, call)
            if one.draft is None:
                raise Refusal("1003", "The activity type has no draft")
            one.approved, one.draft = one.draft, None
            return Reply([type_store.save(connection, one, call.second).described(draft=False)])

    def discard(self, call: Call) -> Reply:
        """Drop the draft of an approved type."""
        with self._at.database.write() as connection:
            one = _need(connection, call)
            if one.draft is None or one.approved is None:
                raise Refusal("1048", "Only the draft of an approved type can be discarded")
            one.draft = None
            return Reply([type_store.save(connection, one, call.second).described(draft=False)])

    def delete(self, call: Call) -> Reply:
        """Delete a type; its data stay, its name stays taken (assumption)."""
        with self._at.database.write() as connection:
            one = _need(connection, call)
            one.deleted = True
            return Reply([type_store.save(connection, one, call.second).described(draft=False)])

    def add_attributes(self, call: Call) -> Reply:
        """Add attributes to the draft."""
        return self._edit(call, lambda present, sent: [*present, *_fresh(present, sent)])

    def update_attributes(self, call: Call) -> Reply:
        """Change attributes of the draft; apiName finds them, dataType stays."""

        def updated(present: _Attributes, sent: _Attributes) -> _Attributes:
            by_name = _known(present, sent)
            return [
                _definition({**each, **by_name.get(each["apiName"], {}), "dataType": each["dataType"]})
                for each in present
            ]

        return self._edit(call, updated)

    def delete_attributes(self, call: Call) -> Reply:
        """Remove attributes from the draft."""

        def without(present: _Attributes, sent: _Attributes) -> _Attributes:
            gone = _known(present, sent)
            return [each for each in present if each["apiName"] not in gone]

        return self._edit(call, without)

    def _edit(self, call: Call, change: _Edit) -> Reply:
        sent = _objects(call.json())
        with self._at.database.write() as connection:
            one, draft = _draft(connection, call)
            draft["attributes"] = change(draft["attributes"], sent)
            _check_count(draft)
            one.draft = draft
            return Reply([type_store.save(connection, one, call.second).described(draft=True)])


def _need(connection: sqlite3.Connection, call: Call) -> CustomType:
    found = type_store.find(connection, "api_name = ? AND NOT deleted", call.names["apiName"])
    if not found:
        raise Refusal("1013", "Object not found")
    return found[0]


def _draft(connection: sqlite3.Connection, call: Call) -> tuple[CustomType, dict[str, Json]]:
    """The type and its draft, which starts as a copy of the approved version."""
    one = _need(connection, call)
    return one, dict(one.draft or one.approved or {})


def _definition(sent: Json) -> dict[str, Json]:
    """An attribute as stored: apiName, name, description if any, dataType (string unless given)."""
    if not isinstance(sent, dict):
        raise Refusal("1003", "Invalid value for an attribute")
    for member in ("apiName", "name"):
        if not sent.get(member) or not isinstance(sent[member], str):
            raise Refusal("1002", f"Missing value for required parameter '{member}'")
    kind = sent.get("dataType") or "string"
    if not isinstance(kind, str) or kind not in ATTRIBUTE_TYPES:
        raise Refusal("1003", f"Invalid value '{shown(kind)}' for dataType")
    described = {"description": shown(sent["description"])} if sent.get("description") else {}
    return {"apiName": sent["apiName"], "name": sent["name"], **described, "dataType": kind}


def _fresh(present: _Attributes, sent: _Attributes) -> _Attributes:
    made = [_definition(each) for each in sent]
    names = [each["apiName"] for each in (*present, *made)]
    if len(set(names)) < len(names):
        raise Refusal("1017", "Object already exists")
    return made


def _known(present: _Attributes, sent: _Attributes) -> dict[str, dict[str, Json]]:
    """What was sent, by apiName; each must name an attribute that there is."""
    names = {each["apiName"] for each in present}
    for each in sent:
        if not isinstance(each.get("apiName"), str) or each["apiName"] not in names:
            raise Refusal("1006", f"Field '{shown(each.get('apiName'))}' not found")
    return {each["apiName"]: each for each in sent}


def _objects(body: Mapping[str, Json], *, may_lack: bool = False) -> _Attributes:
    sent = body.get("attributes") or []
    if not isinstance(sent, list) or not all(isinstance(each, dict) for each in sent) or not (sent or may_lack):
        raise Refusal("1003", "attributes not specified")
    return sent


def _check_count(draft: Mapping[str, Json]) -> None:
    if len(draft["attributes"]) > MOST_ATTRIBUTES:
        raise Refusal("1028", f"At most {MOST_ATTRIBUTES} attributes are allowed")
