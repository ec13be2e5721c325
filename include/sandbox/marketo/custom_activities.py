"""Data of custom activities over the wire (facts/marketo-api.md 8.7; M65)."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping

import msgspec

from include.sandbox.marketo import type_store
from include.sandbox.marketo.catalog import Field
from include.sandbox.marketo.feed import Activity
from include.sandbox.marketo.identity import Permission
from include.sandbox.marketo.instance import Instance
from include.sandbox.marketo.person_removal import as_person_id
from include.sandbox.marketo.routes import Body, Route
from include.sandbox.marketo.type_store import CustomType
from include.sandbox.marketo.values import accept, parse_moment, shown
from include.sandbox.marketo.wire import Call, Reply, Skip
from include.sandbox.service import Json

ATTRIBUTE_BYTES = 65_536
REQUIRED = ("leadId", "activityDate", "activityTypeId", "primaryAttributeValue", "attributes")


class CustomActivities:
    """The endpoint that takes activities."""

    def __init__(self, instance: Instance) -> None:
        """Keep the instance."""
        self._at = instance

    def routes(self) -> list[Route]:
        """Its resources."""
        route = Route("POST", "/rest/v1/activities/external.json", self.add, (Permission.WRITE_ACTIVITY,), Body.JSON)
        return [route]

    def add(self, call: Call) -> Reply:
        """Add activities; a refused one has `errors`, not `reasons` (M65)."""
        records = call.input(call.json(), "Activities not specified")
        with self._at.database.write() as connection:
            known = {one.id: one for one in type_store.approved_types(connection)}
            return Reply([self._added(connection, record, known, call) for record in records])

    def _added(
        self, connection: sqlite3.Connection, record: Mapping[str, Json], known: Mapping[int, CustomType], call: Call
    ) -> dict[str, Json]:
        try:
            activity = self._activity(connection, record, known, call.user)
        except Skip as skip:
            return skip.result("errors")
        (seq,) = self._at.feed.append(connection, [activity], call.second)
        numbered = {"id": seq} if self._at.options.activity_ids else {}
        return {**numbered, "marketoGUID": str(seq), "status": "added"}

    def _activity(
        self, connection: sqlite3.Connection, record: Mapping[str, Json], known: Mapping[int, CustomType], user: str
    ) -> Activity:
        """The activity of a record. Codes other than 1004 and 1049 are an assumption: those of parameters."""
        for member in REQUIRED:
            if record.get(member) is None:
                raise Skip("1002", f"Missing value for required parameter '{member}'")
        person, number = as_person_id(record["leadId"]), as_person_id(record["activityTypeId"])
        moment = parse_moment(record["activityDate"]) if isinstance(record["activityDate"], str) else None
        if moment is None:
            raise Skip("704", "Invalid date format")
        if number is None or number not in known:
            sent = shown(record["activityTypeId"])
            raise Skip("1003", f"Invalid value for field 'activityTypeId' and value '{sent}'")
        within = self._at.partitions.within(connection, user)
        if person is None or not self._at.people.existing(connection, [person], within):
            raise Skip("1004", "Lead not found")
        attributes = _attributes(known[number], record["attributes"])
        primary = accept(Field(0, "primaryAttributeValue", "", "string", 255), record["primaryAttributeValue"])
        return Activity(number, person, int(moment.timestamp()), primary_text=primary, attributes=attributes)


def _attributes(one: CustomType, sent: Json) -> dict[str, Json]:
    """Attribute values by display name, checked like person fields of the same type.

    Each is named by apiName or name (section 8.7).
    """
    if not isinstance(sent, list) or not all(isinstance(each, dict) for each in sent):
        raise Skip("1003", "Invalid value for field 'attributes'")
    if len(msgspec.json.encode(sent)) > ATTRIBUTE_BYTES:
        raise Skip("1049", f"Attributes are longer than {ATTRIBUTE_BYTES} bytes")
    defined = (one.approved or {})["attributes"]
    by_name = {each[key]: each for key in ("name", "apiName") for each in defined}
    values: dict[str, Json] = {}
    for each in sent:
        name = each.get("apiName") or each.get("name")
        definition = by_name.get(name) if isinstance(name, str) else None
        if definition is None:
            raise Skip("1006", f"Field '{shown(name)}' not found")
        kind = definition["dataType"]
        field = Field(0, str(name), "", "url" if kind == "link" else kind, None if kind == "text" else 2000)
        values[definition["name"]] = accept(field, each.get("value"))
    return values
