"""Field metadata over the wire: describe, describe2, schema (facts/marketo-api.md section 4; M22-M24)."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from include.sandbox.marketo import tokens
from include.sandbox.marketo.catalog import CRM_MANAGED, CUSTOM_LIMIT, SALESFORCE_FILTERS, STRING_LIKE, Field
from include.sandbox.marketo.identity import Permission
from include.sandbox.marketo.instance import Instance
from include.sandbox.marketo.person_reading import LEAD
from include.sandbox.marketo.routes import Body, Route
from include.sandbox.marketo.values import shown
from include.sandbox.marketo.wire import Call, Refusal, Reply, Skip
from include.sandbox.service import Json

SCHEMA = (Permission.STANDARD_FIELDS, Permission.CUSTOM_FIELDS)
CHANGEABLE = {
    "displayName": "display", "description": "description", "isHidden": "hidden",
    "isHtmlEncodingInEmail": "html_encoded", "isSensitive": "sensitive",
}  # fmt: skip
CHANGEABLE_STANDARD = frozenset({"description", "isHtmlEncodingInEmail", "isSensitive"})


class FieldSchema:
    """The metadata endpoints of persons."""

    def __init__(self, instance: Instance) -> None:
        """Keep the instance."""
        self._at = instance

    def routes(self) -> list[Route]:
        """Its resources."""
        schema = "/rest/v1/leads/schema/fields"
        return [
            Route("GET", "/rest/v1/leads/describe.json", self.describe, LEAD),
            Route("GET", "/rest/v1/leads/describe2.json", self.describe2, LEAD),
            Route("GET", f"{schema}.json", self.browse, SCHEMA),
            Route("POST", f"{schema}.json", self.create, (Permission.CUSTOM_FIELDS,), Body.JSON),
            Route("GET", f"{schema}/{{name}}.json", self.one, SCHEMA),
            Route("POST", f"{schema}/{{name}}.json", self.change, SCHEMA, Body.JSON),
        ]

    def describe(self, _call: Call) -> Reply:
        """Every field, ascending by id (M22)."""
        return Reply([_described(field) for field in self._at.catalog.visible])

    def describe2(self, _call: Call) -> Reply:
        """One object with the searchable fields and all fields (M23)."""
        fields = [field for field in self._at.catalog.visible if not field.soap_only]
        searchable = [field.name for field in fields if field.searchable] + list(SALESFORCE_FILTERS)
        managed = CRM_MANAGED if self._at.options.native_sync else frozenset()
        return Reply([{
            "name": "API Lead",
            "searchableFields": [[name] for name in searchable],
            "fields": [_updateable(field, field.name in managed) for field in fields],
        }])  # fmt: skip

    def browse(self, call: Call) -> Reply:
        """Fields a page at a time, always with moreResult (M24)."""
        size, token = call.batch_size(), call.text("nextPageToken")
        (after,) = self._at.tokens.read(tokens.FIELDS, token) if token else (0,)
        mine = self._permitted(call)
        rest = [field for field in self._at.catalog.all if field.id > after and not field.soap_only and mine(field)]
        more: dict[str, Json] = {"moreResult": len(rest) > size}
        if len(rest) > size:
            more["nextPageToken"] = self._at.tokens.write(tokens.FIELDS, rest[size - 1].id)
        return Reply([_schema(field) for field in rest[:size]], more)

    def one(self, call: Call) -> Reply:
        """One field by its REST name."""
        return Reply([_schema(self._need(call))])

    def create(self, call: Call) -> Reply:
        """Create custom fields, one result each (M24).

        Raises:
            Refusal: 1003 when the instance would have more than 100 fields made by API (code assumed).
        """
        definitions = call.input(call.json(), "Fields not specified")
        if self._at.catalog.custom_count() + len(definitions) > CUSTOM_LIMIT:
            raise Refusal("1003", f"At most {CUSTOM_LIMIT} custom fields are allowed")
        with self._at.database.write() as connection:
            return Reply([self._created(connection, definition) for definition in definitions])

    def _created(self, connection: sqlite3.Connection, definition: Mapping[str, Json]) -> dict[str, Json]:
        try:
            field = self._at.catalog.create(connection, definition, by_api=True)
        except Skip as skip:
            return skip.result()
        return {"name": field.name, "status": "created"}

    def change(self, call: Call) -> Reply:
        """Change texts and flags of one field; name, type and length never change."""
        field = self._need(call)
        definitions = call.input(call.json(), "Fields not specified")
        if len(definitions) != 1:
            raise Refusal("1003", "Exactly one field can be updated")
        sent = definitions[0]
        allowed = frozenset(CHANGEABLE) if field.custom else CHANGEABLE_STANDARD
        allowed = allowed if field.by_api else allowed - {"isHidden"}
        for member in sent:
            if member not in allowed:
                raise Refusal("1003", f"Invalid value for field '{member}': it cannot be changed")
        changes: dict[str, Any] = {
            CHANGEABLE[member]: bool(value) if member.startswith("is") else shown(value or "")
            for member, value in sent.items()
        }
        with self._at.database.write() as connection:
            self._at.catalog.keep(connection, replace(field, **changes))
        return Reply([{"name": field.name, "status": "updated"}])

    def _need(self, call: Call) -> Field:
        field = self._at.catalog.in_schema(call.names["name"])
        if field is None:
            raise Refusal("1006", f"Field '{call.names['name']}' not found")
        if not self._permitted(call)(field):
            raise Refusal("603", "Access denied")
        return field

    def _permitted(self, call: Call) -> Callable[[Field], bool]:
        """Which fields the user's permissions cover: standard ones, custom ones, or both (section 4.3)."""
        held = self._at.identity.permissions(call.user)
        standard, custom = Permission.STANDARD_FIELDS in held, Permission.CUSTOM_FIELDS in held
        return lambda field: custom if field.custom else standard


def _length(field: Field) -> dict[str, Json]:
    return {"length": field.length} if field.length is not None and field.data_type in STRING_LIKE else {}


def _described(field: Field) -> dict[str, Json]:
    head = {"id": field.id, "displayName": field.display, "dataType": field.data_type, **_length(field)}
    rest = {} if field.soap_only else {"rest": {"name": field.name, "readOnly": field.read_only}}
    soap = {"soap": {"name": field.soap, "readOnly": field.soap_read_only}} if field.soap else {}
    return {**head, **rest, **soap}


def _updateable(field: Field, managed: bool) -> dict[str, Json]:
    # The recorded describe calls `id` writable; the example of describe2 shows updateable false.
    writable = not field.read_only and field.name != "id"
    head = {"name": field.name, "displayName": field.display, "dataType": field.data_type, **_length(field)}
    return {**head, "updateable": writable, "crmManaged": managed}


def _schema(field: Field) -> dict[str, Json]:
    kind = "score" if field.score else field.data_type
    return {
        "displayName": field.display, "name": field.name, "description": field.description or None, "dataType": kind,
        **_length(field), "isHidden": field.hidden, "isHtmlEncodingInEmail": field.html_encoded,
        "isSensitive": field.sensitive, "isCustom": field.custom, "isApiCreated": field.by_api,
    }  # fmt: skip
