"""Marketo's fields, activity types, custom activities and usage (facts/marketo-api §4, §8.4, §8.7, §11)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final
from urllib.parse import quote

import msgspec

from include.leadsync.clients.marketo_session import (
    PAGE,
    Envelope,
    ErrorEntry,
    MarketoSession,
    outcomes,
    typed,
)
from include.leadsync.clients.records import ActivityType, RecordResult
from include.leadsync.clients.writes import REPEATS, Repeat
from include.leadsync.errors import AccessRefused, AnswerMalformed, ConnectionBroken, FixConfiguration, RowFailed
from include.leadsync.model import MarketoField, System

_EXTERNAL: Final = "/rest/v1/activities/external"
_NATIVE: Final = "1018"
_DENIED: Final = "603"
_NEEDED: Final[tuple[tuple[str, str, dict[str, object]], ...]] = (
    ("Read-Write Lead", "/rest/v1/leads.json", {"action": "updateOnly", "lookupField": "id", "input": []}),
    ("Read-Write Activity", f"{_EXTERNAL}.json", {"input": []}),
)
_NO_COMPANY: Final = "lead-sync-looks-for-the-native-sync"
_LOOKS: Final = 4  # a type is made in three steps


class _Rest(msgspec.Struct, rename="camel"):
    name: str
    read_only: bool = False


class _Described(msgspec.Struct, rename="camel"):
    id: int
    display_name: str = ""
    data_type: str = "string"
    length: int | None = None
    rest: _Rest | None = None


class _Searchable(msgspec.Struct, rename="camel"):
    searchable_fields: list[list[str]] = []


class _Usage(msgspec.Struct):
    total: int = 0


class _TypeAttribute(msgspec.Struct, rename="camel"):
    name: str = ""
    api_name: str | None = None


class _Type(msgspec.Struct, rename="camel"):
    id: int | None = None
    name: str = ""
    api_name: str | None = None
    status: str | None = None
    primary_attribute: _TypeAttribute | None = None
    attributes: list[_TypeAttribute] | None = None


class _Added(msgspec.Struct):
    status: str = ""
    id: int | None = None
    errors: list[ErrorEntry] | None = None
    reasons: list[ErrorEntry] | None = None


class MarketoSchema(MarketoSession):
    """Metadata, usage, and the custom activity."""

    def describe(self) -> list[MarketoField]:
        """All person fields that REST knows, with the ones that can be searched marked (M22, M23)."""
        fields = typed(self._read("/rest/v1/leads/describe.json").result, list[_Described])
        described = typed(self._read("/rest/v1/leads/describe2.json").result, list[_Searchable])
        searchable = {name for each in described for names in each.searchable_fields for name in names}
        return [
            MarketoField(
                id=each.id,
                name=each.rest.name,
                label=each.display_name,
                type=each.data_type,
                length=each.length,
                read_only=each.rest.read_only,
                searchable=each.rest.name in searchable,
            )
            for each in fields
            if each.rest is not None
        ]

    def usage(self) -> int:
        """Calls of the whole instance today, US Central time (M21)."""
        return sum(day.total for day in typed(self._read("/rest/v1/stats/usage.json").result, list[_Usage]))

    def native_sync(self) -> bool | None:
        """Whether Marketo's own CRM sync owns companies (R163, M52); None if the API user may not write companies.

        Asks for an update of a company that does not exist: nothing is ever written.
        """
        body = {"action": "updateOnly", "dedupeBy": "dedupeFields", "input": [{"externalCompanyId": _NO_COMPANY}]}
        try:
            results = self._write(
                "/rest/v1/companies.json", body, lambda answer: typed(answer.result, list[_Added]), repeat=Repeat.READ
            )
        except AccessRefused as refused:
            if refused.code not in {_NATIVE, _DENIED}:
                raise
            return True if refused.code == _NATIVE else None
        return any(str(reason.code) == _NATIVE for each in results for reason in each.reasons or each.errors or ())

    def lacking_permissions(self) -> list[str]:
        """Permissions that every run needs and the API user lacks.

        Asks for writes of nothing: an empty input is refused with 1003 (M39), or first with 603 where the permission
        lacks (M6). Assumption: the service looks at the permission before it looks at the content.
        """
        lacking = []
        for permission, path, body in _NEEDED:
            try:
                self._write(path, body, lambda answer: answer, repeat=Repeat.READ)
            except AccessRefused as refused:
                if refused.code != _DENIED:
                    raise
                lacking.append(permission)
            except (FixConfiguration, RowFailed):
                continue
        return lacking

    def create_fields(self, fields: Sequence[Mapping[str, object]]) -> list[RecordResult]:
        """Create custom person fields, each `{name, displayName, dataType, …}` (§4.3); existing ones are refused alone.

        Raises:
            AccessRefused: 603, the API user lacks Read-Write Schema Custom Field.
        """
        if not fields:
            return []
        body = {"input": list(fields)}
        return self._write(
            "/rest/v1/leads/schema/fields.json",
            body,
            lambda answer: outcomes(answer, len(fields)),
            repeat=REPEATS["create fields"],
        )

    def activity_types(self) -> list[ActivityType]:
        """All activity types; custom ones with API name and status (M64)."""
        every = typed(self._read("/rest/v1/activities/types.json").result, list[_Type])
        custom = {each.id: each for each in self._custom_types()}
        return [_activity_type(custom.get(each.id), each) for each in every] + [
            _activity_type(each, each) for each in custom.values() if each.id not in {one.id for one in every}
        ]

    def create_activity_type(self, definition: Mapping[str, object]) -> ActivityType:
        """Make sure that a custom activity type exists, has the attributes and is approved.

        `definition` as in §8.7: apiName, name, triggerName, filterName, description, primaryAttribute, and attributes
        as a list of `{apiName, name, dataType}`. What is there already stays: calling it again changes nothing, and a
        draft left by a broken run is completed. Sending data needs the `id` in the result.

        Raises:
            AccessRefused: 1027 or 1028, the instance's types or the type's attributes are used up; 603.
        """
        looks = 0
        while True:
            looks += 1
            try:
                return self._completed_type(definition)
            except ConnectionBroken as error:  # what the lost call did is there or is not: look, then go on
                if not error.maybe_committed or looks == _LOOKS:
                    raise

    def _completed_type(self, definition: Mapping[str, object]) -> ActivityType:
        api_name = str(definition["apiName"])
        base = f"{_EXTERNAL}/type/{quote(api_name, safe='')}"
        wanted = _attributes(definition.get("attributes"))
        draft = self._draft(api_name)
        if draft is None:
            self._schema(
                "create activity type",
                f"{_EXTERNAL}/type.json",
                {k: v for k, v in definition.items() if k != "attributes"},
            )
            draft = _Type(api_name=api_name, status="draft")
        present = {attribute.api_name for attribute in draft.attributes or ()}
        missing = [each for each in wanted if each["apiName"] not in present]
        if missing:
            self._schema("add attributes", f"{base}/attributes/create.json", {"attributes": missing})
        if missing or draft.status != "approved":
            self._schema("approve activity type", f"{base}/approve.json", None)
        for each in self._custom_types():
            if each.api_name == api_name and each.id is not None:
                names = tuple(str(attribute["apiName"]) for attribute in wanted)
                return ActivityType(each.id, each.name, api_name, each.status, attributes=names)
        raise AnswerMalformed(System.MARKETO, f"the activity type {api_name} is approved but not listed", "")

    def add_activities(self, activities: Sequence[Mapping[str, object]]) -> list[RecordResult]:
        """Write custom activities, 300 per call; results in order, `id` is that of the activity (M65).

        Never repeated after an unknown outcome: activities have no key and cannot be removed (DECISIONS 24).

        Raises:
            ConnectionBroken: with `maybe_committed`; earlier calls of the same list have happened.
            ValueError: more than 300.
        """
        if len(activities) > PAGE:
            raise ValueError(f"{len(activities)} activities; {PAGE} are possible")
        if not activities:
            return []
        body = {"input": list(activities)}
        return self._write(
            f"{_EXTERNAL}.json",
            body,
            lambda answer: outcomes(answer, len(activities)),
            repeat=REPEATS["add activities"],
        )

    def _custom_types(self) -> list[_Type]:
        return typed(self._read(f"{_EXTERNAL}/types.json").result, list[_Type])

    def _draft(self, api_name: str) -> _Type | None:
        """The draft of a custom type, or what is approved when there is no draft; None if it is unknown."""
        listed = next((each for each in self._custom_types() if each.api_name == api_name), None)
        if listed is None:
            return None
        path = f"{_EXTERNAL}/type/{quote(api_name, safe='')}/describe.json"
        draft: str | None = None if listed.status == "approved" else "true"
        found = typed(self._read(path, {"draft": draft}).result, list[_Type])
        return msgspec.structs.replace(listed, attributes=found[0].attributes if found else None)

    def _schema(self, call: str, path: str, body: Mapping[str, object] | None) -> None:
        def accepted(answer: Envelope) -> None:
            for each in typed(answer.result, list[_Added]):
                for reason in each.errors or each.reasons or ():
                    raise RowFailed(str(reason.code), reason.message)

        self._write(path, body, accepted, repeat=REPEATS[call])


def _attributes(listed: Any) -> list[dict[str, Any]]:
    return [dict(each) for each in listed or ()]


def _activity_type(custom: _Type | None, every: _Type) -> ActivityType:
    source = custom or every
    names = [a.api_name or a.name for a in (source.attributes or every.attributes or ())]
    primary = every.primary_attribute or source.primary_attribute
    return ActivityType(
        id=source.id,
        name=source.name,
        api_name=source.api_name,
        status=source.status,
        primary=primary.name if primary else None,
        attributes=tuple(names),
    )
