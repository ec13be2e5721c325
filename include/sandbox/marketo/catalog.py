"""The person fields of the instance: standard ones from the recorded list, custom ones from the file.

Facts: marketo-api.md section 4; M22-M24.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from functools import cache

import msgspec

from include.sandbox.marketo.standard_fields import FIRST_CUSTOM_ID, STANDARD_FIELDS
from include.sandbox.marketo.wire import Refusal, Skip
from include.sandbox.service import Json

CUSTOM_LIMIT = 100
CREATABLE: dict[str, int | None] = {
    "boolean": None, "currency": None, "date": None, "datetime": None, "email": 255, "float": None, "integer": None,
    "percent": None, "phone": 255, "score": None, "string": 255, "url": 255,
}  # fmt: skip
"""Data types of POST schema/fields.json with the length that a new field gets."""
CONTROL_ONLY: dict[str, int | None] = {"text": None, "textarea": None, "reference": None}
"""Types that an administrator can create in the user interface but the API cannot."""

SEARCHABLE_STANDARD = frozenset({
    "cookies", "email", "facebookId", "id", "leadPartitionId", "linkedInId", "twitterId",
})  # fmt: skip
SALESFORCE_FILTERS = ("sfdcAccountId", "sfdcContactId", "sfdcLeadId", "sfdcLeadOwnerId", "sfdcOpptyId")
"""Legal filters that are no fields here: an instance without Salesforce finds nobody by them (section 5.2)."""
SEARCHABLE_TYPES = frozenset({"string", "email", "integer"})
STRING_LIKE = frozenset({"string", "text", "email", "phone", "url"})
TEXT_TYPES = frozenset({"string", "text", "textarea", "email", "phone", "url"})
"""Types whose fields are HTML-encoded in e-mails unless said otherwise."""
SENSITIVE = frozenset({
    "salutation", "firstName", "middleName", "lastName", "dateOfBirth", "email", "phone", "mobilePhone", "fax", "title",
    "unsubscribed",
})  # fmt: skip
"""Fields that the vendor page shows as sensitive."""
COMPANY_IDS = frozenset({4, 5, 6, 7, 8, 9, 10, 11, 12, 15, 16, 17, 18, 20})
CRM_MANAGED = frozenset({
    "salutation", "firstName", "middleName", "lastName", "email", "title", "phone", "mobilePhone", "fax", "address",
    "city", "state", "country", "postalCode", "leadSource", "leadStatus", "mktoPersonNotes", "doNotCall",
    "unsubscribed", "rating", "company", "annualRevenue",
})  # fmt: skip
"""Fields that a native Dynamics sync owns: its default mapping (native-sync.md section 12)."""

_REPORTED: dict[str, str] = {"score": "integer", "textarea": "text"}
"""What describe calls the types that it does not name itself."""
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*\Z")


@dataclass(frozen=True, slots=True)
class Field:
    """One person field. `data_type` is what describe reports; `score` marks a field that logs score changes."""

    id: int
    name: str
    display: str
    data_type: str
    length: int | None = None
    read_only: bool = False
    soap: str = ""
    custom: bool = False
    score: bool = False
    soap_only: bool = False
    description: str = ""
    hidden: bool = False
    html_encoded: bool = True
    sensitive: bool = False
    by_api: bool = False
    soap_read_only: bool = False

    @property
    def key(self) -> str:
        """Its member name in a stored person: the id, shorter than any name and safe from renaming."""
        return str(self.id)

    @property
    def searchable(self) -> bool:
        """Whether it may stand in filterType and lookupField (section 5.2)."""
        if self.soap_only or self.hidden:
            return False
        return self.data_type in SEARCHABLE_TYPES if self.custom else self.name in SEARCHABLE_STANDARD


@cache
def _standard() -> tuple[Field, ...]:
    rows = (line.split("|") for line in STANDARD_FIELDS.split("\n") if line)
    return tuple(
        Field(int(number), name, display, kind, int(length) if length else None, bool(ro), soap,
              score=name == "leadScore", html_encoded=kind in TEXT_TYPES, sensitive=name in SENSITIVE,
              soap_read_only=ro == "ro+soap")
        for number, name, display, kind, length, ro, soap in rows
    )  # fmt: skip


class Catalog:
    """All fields. Readers see one consistent set; a change of the schema swaps it whole."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        """Read custom fields, and standard ones that were changed, from the file."""
        rows = connection.execute("SELECT body FROM field ORDER BY id")
        stored = [Field(**msgspec.json.decode(body)) for (body,) in rows]
        self._set({one.id: one for one in (*_standard(), *stored)}.values())

    def _set(self, fields: Iterable[Field]) -> None:
        self.all: tuple[Field, ...] = tuple(sorted(fields, key=lambda one: one.id))
        self.visible = tuple(one for one in self.all if not one.hidden)
        """What describe shows; hidden fields are out of reads and writes too (section 13, trap 7)."""
        self._by_name = {one.name: one for one in self.visible if not one.soap_only}
        self._in_schema = {one.name: one for one in self.all if not one.soap_only}
        self.by_key = {one.key: one for one in self.all}

    def get(self, name: str) -> Field | None:
        """A field by its REST name, spelled exactly."""
        return self._by_name.get(name)

    def in_schema(self, name: str) -> Field | None:
        """A field by its REST name, hidden ones included."""
        return self._in_schema.get(name)

    def named(self, names: Iterable[str]) -> list[Field]:
        """Fields of a read, in order, each once; an unknown one fails the request (1006; section 15)."""
        chosen: dict[str, Field] = {}
        for name in names:
            one = self._by_name.get(name)
            if one is None:
                raise Refusal("1006", f"Field '{name}' not found")
            chosen[name] = one
        return list(chosen.values())

    def custom_count(self) -> int:
        """How many fields were made through the API."""
        return sum(1 for one in self.all if one.by_api)

    def create(self, connection: sqlite3.Connection, definition: Mapping[str, Json], *, by_api: bool) -> Field:
        """Make a custom field from the members of a schema request.

        Raises:
            Skip: 1002 a member is missing, 1003 a bad name or type, 1017 the name exists. The
                documentation gives no codes for this endpoint (assumption: those of other objects).
        """
        for member in ("displayName", "name", "dataType"):
            if not isinstance(definition.get(member), str) or not definition[member]:
                raise Skip("1002", f"Missing value for required parameter '{member}'")
        name, kind = str(definition["name"]), str(definition["dataType"])
        types = CREATABLE if by_api else CREATABLE | CONTROL_ONLY
        if not _NAME.match(name):
            raise Skip("1003", f"Invalid value for field 'name' and value '{name}'")
        if kind not in types:
            raise Skip("1003", f"Invalid value for field 'dataType' and value '{kind}'")
        if any(one.name.lower() == name.lower() for one in self.all):
            raise Skip("1017", "Object already exists")
        number = max(FIRST_CUSTOM_ID, self.all[-1].id + 1)
        made = Field(
            number, name, definition["displayName"], _REPORTED.get(kind, kind),
            types[kind], soap=name, custom=True, score=kind == "score", soap_only=bool(definition.get("soapOnly")),
            description=str(definition.get("description") or ""), hidden=bool(definition.get("isHidden")),
            html_encoded=bool(definition.get("isHtmlEncodingInEmail", kind in TEXT_TYPES)),
            sensitive=bool(definition.get("isSensitive")), by_api=by_api,
        )  # fmt: skip
        self.keep(connection, made)
        return made

    def keep(self, connection: sqlite3.Connection, one: Field) -> None:
        """Store a new or changed field and show it at once."""
        body = msgspec.json.encode(asdict(one)).decode()
        connection.execute("INSERT OR REPLACE INTO field VALUES (?, ?, ?)", (one.id, one.name, body))
        self._set([*(other for other in self.all if other.id != one.id), one])
