"""The field map against what both systems say of themselves: what works, what is set aside, what is wrong.

A default entry (`optional: true`) that does not fit is quarantined with its reason and reported; an
entry of the user's own is a mistake to be fixed, and all of them are named at once (DECISIONS 10).
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache

from include.leadsync.errors import ConfigurationInvalid, Problem, RowFailed
from include.leadsync.fields.choices import SEPARATOR, label_of
from include.leadsync.fields.compatibility import LOOKUPS, MARKETO_TYPES, STATES, fits_dynamics, types_for
from include.leadsync.fields.defaults import names_in
from include.leadsync.fields.writing import dynamics_value
from include.leadsync.model import (
    DynamicsAttribute,
    Entity,
    FieldMap,
    FieldRule,
    FieldType,
    Flow,
    MarketoField,
    Shows,
    SyncField,
)
from include.leadsync.settings.tree import FieldEntry, Settings

Mistake = tuple[str, str, str]
"""Key of the entry ("" = the entry itself), what was found, what was expected."""

_TEXT_LIKE = {FieldType.STRING, FieldType.EMAIL, FieldType.PHONE, FieldType.URL, FieldType.TEXT}


def shape_of(rule: FieldRule) -> str:
    """What a field was when it worked: its column, its type and its direction."""
    column = rule.dynamics if rule.shows is Shows.NAME else f"{rule.dynamics}@{rule.shows.value}"
    return f"{column}|{rule.type.value}|{rule.flow.value}"


def resolve_fields(
    settings: Settings,
    marketo: Sequence[MarketoField],
    dynamics: Mapping[Entity, Sequence[DynamicsAttribute]],
    proven: Mapping[Entity, Mapping[str, str]] | None = None,
) -> dict[Entity, FieldMap]:
    """The active field map of each entity, in the order of the file.

    `proven`: name → shape of fields that worked before. One that does not any more, with its entry unchanged, is set
    aside with its reason, whoever wrote the entry (D67); so is one whose column security hides (R21).

    Raises `ConfigurationInvalid` naming every entry without `optional: true` that either system
    contradicts: existence, direction, type, options, defaults.
    """
    by_name = {field.name: field for field in marketo}

    def worked(rule: FieldRule) -> bool:
        return (proven or {}).get(rule.entity, {}).get(rule.name) == shape_of(rule)

    maps: dict[Entity, FieldMap] = {}
    problems: list[Problem] = []
    for entity in Entity:
        attributes = {attribute.name: attribute for attribute in dynamics.get(entity, ())}
        active: list[SyncField] = []
        quarantined: dict[str, str] = {}
        kept: list[tuple[str, str]] = []
        hidden: list[str] = []
        for name, entry in settings.fields.of(entity).items():
            rule = entry.rule(entity, name)
            field, mistakes = _resolve(rule, entry, by_name, attributes)
            if field is not None and not mistakes:
                active.append(field)
            elif worked(rule) or rule.optional or (field is not None and field.dynamics.hidden):
                quarantined[name] = "; ".join(f"{found}, expected {expected}" for _, found, expected in mistakes)
                kept += [(name, rule.type.value)] if worked(rule) else []
                hidden += [name] if field is not None and field.dynamics.hidden else []
            else:
                path = ("fields", entity.value, name)
                problems += [
                    settings.problem((*path, key) if key else path, found, expected)
                    for key, found, expected in mistakes
                ]
        maps[entity] = FieldMap(entity, tuple(active), quarantined, tuple(kept), tuple(hidden))
    if problems:
        raise ConfigurationInvalid(problems)
    return maps


def _resolve(
    rule: FieldRule, entry: FieldEntry, marketo: Mapping[str, MarketoField], dynamics: Mapping[str, DynamicsAttribute]
) -> tuple[SyncField | None, list[Mistake]]:
    there, here = marketo.get(rule.name), dynamics.get(rule.dynamics)
    mistakes: list[Mistake] = []
    if there is None:
        remedy = "that field (`setup` creates it)" if entry.setup else "a REST name from Marketo's describe"
        mistakes.append(("", f"Marketo has no field {rule.name}", remedy + _nearest(rule.name, marketo)))
    else:
        mistakes += _marketo_mistakes(rule, there)
    if here is None:
        found = f"{rule.entity.value} has no readable attribute {rule.dynamics}"
        mistakes.append(
            ("dynamics", found, "a logical name from Dynamics' metadata" + _nearest(rule.dynamics, dynamics))
        )
    else:
        mistakes += _dynamics_mistakes(rule, here)
    if there is None or here is None:
        return None, mistakes
    field = SyncField(rule, there, here)
    if not mistakes:
        mistakes += _value_mistakes(field)
    return field, mistakes


def _nearest(name: str, known: Iterable[str]) -> str:
    return _nearest_of(name, tuple(known))


@lru_cache(maxsize=1024)  # the map is resolved in every cycle, and the same optional fields are missing each time
def _nearest_of(name: str, known: tuple[str, ...]) -> str:
    folded = {other.lower(): other for other in known}
    nearest = difflib.get_close_matches(name.lower(), folded, n=1)
    return f"; did you mean {folded[nearest[0]]!r}?" if nearest else ""


def _marketo_mistakes(rule: FieldRule, field: MarketoField) -> Iterator[Mistake]:
    if field.type not in MARKETO_TYPES[rule.type]:
        wanted = ", ".join(kind.value for kind in FieldType if field.type in MARKETO_TYPES[kind])
        found = f"{rule.type.value}, but the Marketo field is of type {field.type}"
        yield "type", found, f"one of: {wanted}" if wanted else "another Marketo field: this type cannot be synced"
    if field.read_only and rule.flow is not Flow.OUTBOUND:
        yield "direction", f"{rule.flow.value}, but the Marketo field is read-only", "outbound"


def _dynamics_mistakes(rule: FieldRule, attribute: DynamicsAttribute) -> Iterator[Mistake]:
    if attribute.hidden:
        found = f"{attribute.name} is under column security and shows our user no value"
        yield "dynamics", found, "a column security profile with Read for the application user, or a value to be seen"
    elif not attribute.readable:
        yield "dynamics", f"{attribute.name} cannot be read", "a column the sync user may read (R21)"
    if not fits_dynamics(rule.type, attribute):
        wanted, behavior = types_for(attribute), f" ({attribute.date_behavior})" if attribute.date_behavior else ""
        found = f"{rule.type.value}, but {attribute.name} is of type {attribute.type}{behavior}"
        yield "type", found, f"one of: {', '.join(wanted)}" if wanted else "another column: this type cannot be synced"
    if rule.shows is Shows.EMAIL and attribute.type != "Owner":
        yield "shows", f"email, but {attribute.name} is of type {attribute.type}", "name or id: only owners have one"
    if rule.flow is not Flow.INBOUND:
        yield from _direction_mistakes(rule, attribute)


def _direction_mistakes(rule: FieldRule, attribute: DynamicsAttribute) -> Iterator[Mistake]:
    flow, name = rule.flow.value, attribute.name
    if attribute.type in LOOKUPS:
        yield "direction", f"{flow}, but {name} is a look-up", "inbound (D56)"
    elif attribute.type in STATES:
        yield "direction", f"{flow}, but {name} is a {attribute.type.lower()} column", "inbound (D58)"
    elif attribute.type == "Uniqueidentifier" or not (attribute.creatable or attribute.updatable):
        yield "direction", f"{flow}, but {name} is read-only", "inbound (D57)"
    elif not attribute.updatable and not rule.outbound_on_create_only:
        yield "direction", f"{flow}, but {name} is writable on create only", "inbound, or outbound_on_create_only: true"
    elif not attribute.creatable and rule.outbound_on_create_only:
        yield "outbound_on_create_only", f"true, but {name} is writable on update only", "false, or inbound"


def _value_mistakes(field: SyncField) -> Iterator[Mistake]:
    labels = {label_of(option).casefold(): label_of(option) for option in field.dynamics.options}
    if field.rule.type is FieldType.MULTI_CHOICE:
        for label in labels.values():
            if SEPARATOR in label:
                yield (
                    "dynamics",
                    f"the label {label!r}",
                    f"labels without {SEPARATOR!r}, which separates them in Marketo",
                )
    for label, spellings in field.rule.aliases.items():
        if label.casefold() not in labels:
            yield "aliases", f"the unknown label {label!r}", f"one of: {', '.join(labels.values())}"
        for spelling in spellings:
            other = labels.get(spelling.casefold())
            if other is not None and other.casefold() != label.casefold():
                yield "aliases", f"{spelling!r} for {label!r}", f"no alias that is another label ({other!r})"
    default = field.rule.default_on_create
    if default and not names_in(default):
        try:
            dynamics_value(field, default)
        except RowFailed as error:
            yield "default_on_create", repr(default), f"a value that {field.dynamics.name} accepts ({error.message})"


def field_warnings(maps: Mapping[Entity, FieldMap]) -> list[str]:
    """What may go wrong value by value although the map is right: lengths, options that share a label."""
    return [
        f"{entity.value}.{field.name}: {warning}"
        for entity, field_map in maps.items()
        for field in field_map.fields
        for warning in _warnings(field)
    ]


def _warnings(field: SyncField) -> Iterator[str]:
    here, there, flow = field.dynamics.max_length, field.marketo.length, field.rule.flow
    if field.rule.type in _TEXT_LIKE:
        if flow is not Flow.INBOUND and here and (there is None or there > here):
            holds = f"{there} characters" if there else "more"
            yield f"Marketo holds {holds}, {field.dynamics.name} only {here}; longer values are refused (R111)"
        if flow is not Flow.OUTBOUND and there and here and here > there:
            yield f"{field.dynamics.name} holds {here} characters, Marketo only {there}; longer values are refused"
    labels = [label_of(option) for option in field.dynamics.options]
    for label in sorted({label for label in labels if labels.count(label) > 1}):
        yield f"{labels.count(label)} options are labelled {label!r}; the first of them is written"
