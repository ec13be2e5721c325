"""What no single key can show: entries that contradict each other or themselves."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import TypeVar

from pydantic import ValidationError

from include.leadsync.fields.defaults import TemplateInvalid, names_in
from include.leadsync.fields.operators import ONE_VALUE, WITHOUT_VALUES
from include.leadsync.model import Entity, FieldType, Flow, Shows, Winner
from include.leadsync.settings.document import Plain
from include.leadsync.settings.filters import Filters, PersonCondition, RecordCondition
from include.leadsync.settings.section import Section
from include.leadsync.settings.tree import FieldEntry, MarketoSettings, Retention

Mistake = tuple[tuple[str, ...], str, str]
"""Key path, what was found, what was expected."""
Entries = dict[str, FieldEntry]

RESERVED = ("id", "etag", "link_id", "hash", "origin", "allowed")
"""Names of columns that frames have beside the fields."""
_MODEL = TypeVar("_MODEL", bound=Section)
_CHOICES = {FieldType.CHOICE, FieldType.MULTI_CHOICE}


def contradictions(data: dict[str, Plain]) -> Iterator[Mistake]:
    """All contradictions among those parts of the file that are well-formed by themselves."""
    sections = data.get("fields")
    marketo = _valid(MarketoSettings, data.get("marketo", {}))
    entities = sections if isinstance(sections, dict) else {}
    well_formed: dict[str, Entries] = {}
    for entity, entries in entities.items():
        if isinstance(entries, dict):
            read = {name: _valid(FieldEntry, entry) for name, entry in entries.items()}
            well_formed[entity] = {name: entry for name, entry in read.items() if entry is not None}
            yield from _names(entity, entries)
    for entity, good in well_formed.items():
        raw = entities[entity]
        known = set(raw) if isinstance(raw, dict) else set()
        for name, entry in good.items():
            for key, found, expected in _entry(entry, known - {name}):
                yield ("fields", entity, name, key), found, expected
        yield from _one_writer(entity, good)
        if marketo:
            yield from _system_fields(entity, good, marketo)
    yield from _request_fields(data.get("requests"), well_formed)
    yield from _same_setup(well_formed)
    yield from _filters(_valid(Filters, data.get("filter", {})))
    yield from _memory(marketo, _valid(Retention, data.get("retention", {})))


def _valid(model: type[_MODEL], data: Plain) -> _MODEL | None:
    try:
        return model.model_validate_json(json.dumps(data))
    except ValidationError:
        return None


def _filters(filters: Filters | None) -> Iterator[Mistake]:
    for entity in Entity if filters else ():
        assert filters
        entry = filters.of(entity)
        both: dict[str, Sequence[RecordCondition | PersonCondition]]
        both = {"records": entry.records, "persons": entry.persons}
        for kind, conditions in both.items():
            for number, condition in enumerate(conditions):
                for found, expected in _condition(condition):
                    yield ("filter", entity.value, kind, str(number), "values"), found, expected


def _condition(condition: RecordCondition | PersonCondition) -> Iterator[tuple[str, str]]:
    """How many values an operator takes."""
    operator, count = condition.operator, len(condition.values)
    if operator in WITHOUT_VALUES and count:
        yield f"{count} value(s) with {operator.value}", "no values"
    elif operator in ONE_VALUE and count != 1:
        yield f"{count} values with {operator.value}", "one value in a list: [10]"
    elif operator not in WITHOUT_VALUES and not count:
        yield f"no values with {operator.value}", "a list of one value or more"


def _names(entity: str, entries: dict[str, Plain]) -> Iterator[Mistake]:
    seen: dict[str, str] = {}
    for name in entries:
        path = ("fields", entity, name)
        folded = name.casefold()
        if folded in RESERVED:
            yield path, f"the name {name!r}", "another field; both ids are kept by the link itself"
        elif not (name.isascii() and name.replace("_", "a").isalnum() and name[0].isalpha()):
            yield path, f"the name {name!r}", "a Marketo REST name: letters, digits and underscores, a letter first"
        if folded in seen:
            yield path, f"the Marketo field {name} a second time (first as {seen[folded]})", "each Marketo field once"
        seen.setdefault(folded, name)


def _entry(entry: FieldEntry, others: set[str]) -> Iterator[tuple[str, str, str]]:
    yield from _consent_and_winner(entry)
    if entry.type is FieldType.LOOKUP and entry.direction is not Flow.INBOUND:
        yield "direction", entry.direction.value, "inbound: a look-up is read as its name and never written (D56)"
    if entry.shows is not Shows.NAME and entry.type is not FieldType.LOOKUP:
        yield "shows", f"{entry.shows.value} of a {entry.type.value} field", "shows only on lookup fields"
    if entry.aliases and entry.type not in _CHOICES:
        yield "aliases", f"aliases on a {entry.type.value} field", "aliases only on choice and multi_choice fields"
    yield from _ambiguous_aliases(entry)
    if entry.setup and entry.type is FieldType.TEXT:
        yield "setup", "setup of a text area", "no `setup`: Marketo's API cannot create text areas, an admin can"
    yield from _write_once(entry)
    if entry.direction is Flow.INBOUND:
        for key in ("outbound_on_create_only", "outbound_on_update_only", "default_on_create"):
            if getattr(entry, key):
                yield key, "an outbound setting on an inbound field", "direction both or outbound, or not this key"
    elif entry.default_on_create:
        yield from _default(entry.default_on_create, others)


def _write_once(entry: FieldEntry) -> Iterator[tuple[str, str, str]]:
    for key in ("outbound_on_create_only", "default_on_create"):
        if entry.outbound_on_update_only and getattr(entry, key):
            yield (
                "outbound_on_update_only",
                f"{key} beside it",
                "only one of the two: it is sent on creation or it is not",
            )
    if entry.inbound_write_once and entry.direction is Flow.OUTBOUND:
        yield (
            "inbound_write_once",
            "an inbound setting on an outbound field",
            "direction both or inbound, or not this key",
        )
    if entry.inbound_write_once and entry.type is FieldType.BOOLEAN:
        yield "inbound_write_once", "write-once on a boolean field", "another field: an empty boolean is false (D62)"


def _consent_and_winner(entry: FieldEntry) -> Iterator[tuple[str, str, str]]:
    boolean = entry.type is FieldType.BOOLEAN
    if entry.consent and not boolean:
        yield "consent", f"consent on a {entry.type.value} field", "consent only on boolean fields"
    if entry.winner is Winner.OPT_OUT and not boolean:
        yield "winner", f"opt_out_wins on a {entry.type.value} field", "opt_out_wins only on boolean fields"
    if entry.winner is Winner.NEVER_BLANK and boolean:
        yield "winner", "never_blank on a boolean field", "another winner: an empty boolean is false, never blank (D62)"
    if entry.winner and entry.direction is not Flow.BOTH:
        yield (
            "winner",
            f"a winner on an {entry.direction.value} field",
            "no winner: only one side may change this field",
        )


def _ambiguous_aliases(entry: FieldEntry) -> Iterator[tuple[str, str, str]]:
    owner: dict[str, str] = {}
    for label, spellings in entry.aliases.items():
        for spelling in spellings:
            first = owner.setdefault(spelling.casefold(), label)
            if first != label:
                yield "aliases", f"{spelling!r} for both {first!r} and {label!r}", "each spelling for one label"


def _default(template: str, others: set[str]) -> Iterator[tuple[str, str, str]]:
    try:
        unknown = [name for name in names_in(template) if name not in others]
    except TemplateInvalid as error:
        yield "default_on_create", repr(template), str(error)
        return
    for name in unknown:
        yield "default_on_create", f"the unknown field {{{name}}}", "names of other fields of the same entity in braces"


def _one_writer(entity: str, entries: Entries) -> Iterator[Mistake]:
    """Two Marketo fields may read one attribute, only one may write it (D65)."""
    writers: dict[str, str] = {}
    for name, entry in entries.items():
        if entry.direction is Flow.INBOUND:
            continue
        first = writers.setdefault(entry.dynamics, name)
        if first != name:
            expected = "one outbound field per attribute; make the other `direction: inbound`"
            yield ("fields", entity, name, "dynamics"), f"{entry.dynamics}, which {first} writes already", expected


def _system_fields(entity: str, entries: Entries, marketo: MarketoSettings) -> Iterator[Mistake]:
    fields = marketo.system_fields
    names = [fields.id, fields.type, fields.created_date, fields.is_deleted, fields.merged_into]
    names.append(fields.backfilled_at)
    if len({name.casefold() for name in names}) < len(names) and entity == "lead":
        yield ("marketo", "system_fields"), ", ".join(names), "six different fields"
    for name in (fields.id, fields.type, fields.is_deleted, fields.merged_into, fields.backfilled_at):
        if name in entries:
            yield ("fields", entity, name), f"the system field {name}", "no entry: the sync itself keeps this field"
    created = entries.get(fields.created_date)
    if created and (created.dynamics, created.direction) != ("createdon", Flow.INBOUND):
        found = f"{created.direction.value} from {created.dynamics}"
        yield ("fields", entity, fields.created_date), found, "direction inbound from createdon (R9)"


def _request_fields(requests: Plain, entities: dict[str, Entries]) -> Iterator[Mistake]:
    """A field that asks is cleared once it is answered; a synced one would carry that across (D22)."""
    section = requests if isinstance(requests, dict) else {}
    fields = section.get("fields")
    mapped = {name for entries in entities.values() for name in entries}
    for name in fields if isinstance(fields, dict) else {}:
        if name in mapped:
            found = f"{name}, which the field map syncs"
            yield ("requests", "fields", name), found, "a field that is only for requests"


def _same_setup(entities: dict[str, Entries]) -> Iterator[Mistake]:
    """A Marketo field that both entities want created must be the same field in both."""
    first: dict[str, tuple[str, FieldEntry]] = {}
    for entity, entries in entities.items():
        for name, entry in entries.items():
            if not entry.setup:
                continue
            other, known = first.setdefault(name, (entity, entry))
            if (known.setup, known.type) != (entry.setup, entry.type):
                expected = f"{known.setup!r} of type {known.type.value}, as under {other}"
                yield ("fields", entity, name, "setup"), f"{entry.setup!r} of type {entry.type.value}", expected


def _memory(marketo: MarketoSettings | None, retention: Retention | None) -> Iterator[Mistake]:
    """What has been seen must be remembered for longer than the feeds are read again (DECISIONS 18)."""
    if marketo is None or retention is None:
        return
    needed = marketo.overlap_hours // 24 + 1
    for key in ("seen_days", "echo_days"):
        if getattr(retention, key) < needed:
            expected = f"at least {needed}, longer than marketo.overlap_hours ({marketo.overlap_hours})"
            yield ("retention", key), str(getattr(retention, key)), expected
