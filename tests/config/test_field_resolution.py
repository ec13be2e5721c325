"""The field map against live metadata: what does not fit is named at once, or set aside with its reason."""

from __future__ import annotations

from pathlib import Path

import pytest

from include.leadsync.config import Paths, Settings, field_warnings, load_settings, resolve_fields, setup_fields
from include.leadsync.errors import ConfigurationInvalid
from include.leadsync.fields.compatibility import CREATED_AS, MARKETO_TYPES
from include.leadsync.model import Entity, FieldMap, FieldType, MarketoField, Option
from tests.config.files import FIELDS, settings_with, write
from tests.config.metadata import column, dynamics_attributes, marketo_fields

MORE = (
    MarketoField(201, "hobby", "Hobby", "string", 255),
    MarketoField(202, "born", "Born", "date"),
    MarketoField(203, "seenAt", "Seen", "datetime"),
    MarketoField(204, "score2", "Score", "score"),
    MarketoField(205, "ref", "Reference", "reference"),
    MarketoField(206, "vip", "VIP", "boolean"),
    MarketoField(207, "short", "Short", "string", 40),
)
COLUMNS = (
    column("new_hobby", "Picklist", options=(Option(1, "Golf"), Option(2, "Chess"))),
    column("new_hobbies", "MultiSelectPicklist", options=(Option(1, "Golf; indoor"), Option(2, "Chess"))),
    column("new_born", "DateTime", format="DateOnly", date_behavior="DateOnly"),
    column("new_met", "DateTime", format="DateOnly", date_behavior="UserLocal"),
    column("new_seen", "DateTime", format="DateAndTime", date_behavior="UserLocal"),
    column("new_points", "Integer"),
    column("new_total", "Decimal", precision=2, creatable=False, updatable=False),
    column("new_import", "Integer", updatable=False),
    column("new_later", "String", max_length=50, creatable=False),
    column("new_hidden", "String", max_length=50, readable=False),
    column("new_long", "String", max_length=4000),
    column("new_twins", "Picklist", options=(Option(1, "Other"), Option(2, "Other"))),
    column("new_picture", "Image"),
    column("ownerid", "Owner", targets=("systemuser",)),
    column("leadid", "Uniqueidentifier"),
)


def resolve(settings: Settings) -> dict[Entity, FieldMap]:
    return resolve_fields(settings, marketo_fields(*MORE), dynamics_attributes(*COLUMNS))


def mistakes(settings: Settings) -> list[str]:
    with pytest.raises(ConfigurationInvalid) as caught:
        resolve(settings)
    return [f"{problem.key}: {problem.found} → {problem.expected}" for problem in caught.value.problems]


@pytest.mark.parametrize(
    "entry",
    [
        "hobby: {dynamics: new_hobby, type: choice, aliases: {golf: [Golfing]}, default_on_create: golfing}",
        "born: {dynamics: new_born, type: date}",
        "born: {dynamics: new_met, type: date}",
        "seenAt: {dynamics: new_met, type: datetime}",
        "seenAt: {dynamics: new_seen, type: datetime}",
        "score2: {dynamics: new_points, type: integer}",
        "hobby: {dynamics: new_points, type: integer}",
        "score2: {dynamics: new_import, type: integer, outbound_on_create_only: true}",
        "hobby: {dynamics: new_later, type: string}",
        "hobby: {dynamics: ownerid, type: lookup, direction: inbound}",
        "hobby: {dynamics: leadid, type: string, direction: inbound}",
        "updatedAt: {dynamics: new_seen, type: datetime, direction: outbound}",
        "vip: {dynamics: donotfax, type: boolean}",
    ],
)
def test_an_entry_that_fits_becomes_a_field(tmp_path: Path, entry: str) -> None:
    maps = resolve(settings_with(tmp_path, entry))
    assert maps[Entity.LEAD].names == ("firstName", "company", entry.split(":", maxsplit=1)[0])
    assert not maps[Entity.LEAD].quarantined
    assert maps[Entity.CONTACT].names == ("firstName",)


WRONG = [
    (
        "Hobby: {dynamics: new_hobby, type: choice}",
        "Hobby: Marketo has no field Hobby → a REST name from Marketo's describe; did you mean 'hobby'?",
    ),
    (
        "sport: {dynamics: new_hobby, type: choice, setup: Sport}",
        "sport: Marketo has no field sport → that field (`setup` creates it); did you mean 'short'?",
    ),
    (
        "hobby: {dynamics: new_hoby, type: choice}",
        (
            "hobby.dynamics: lead has no readable attribute new_hoby → a logical name from Dynamics' metadata;"
            " did you mean 'new_hobby'?"
        ),
    ),
    (
        "hobby: {dynamics: new_hidden, type: string}",
        "hobby.dynamics: new_hidden cannot be read → a column the sync user may read (R21)",
    ),
    (
        "hobby: {dynamics: new_hobby, type: string}",
        "hobby.type: string, but new_hobby is of type Picklist → one of: choice",
    ),
    (
        "born: {dynamics: new_seen, type: date}",
        "born.type: date, but new_seen is of type DateTime (UserLocal) → one of: datetime",
    ),
    (
        "seenAt: {dynamics: new_born, type: datetime}",
        "seenAt.type: datetime, but new_born is of type DateTime (DateOnly) → one of: date",
    ),
    (
        "hobby: {dynamics: new_picture, type: string}",
        "hobby.type: string, but new_picture is of type Image → another column: this type cannot be synced",
    ),
    (
        "vip: {dynamics: new_later, type: string}",
        "vip.type: string, but the Marketo field is of type boolean → one of: boolean",
    ),
    (
        "ref: {dynamics: new_later, type: string}",
        (
            "ref.type: string, but the Marketo field is of type reference → another Marketo field:"
            " this type cannot be synced"
        ),
    ),
    (
        "updatedAt: {dynamics: new_seen, type: datetime}",
        "updatedAt.direction: both, but the Marketo field is read-only → outbound",
    ),
    (
        "leadStatus: {dynamics: statecode, type: choice}",
        "leadStatus.direction: both, but statecode is a state column → inbound (D58)",
    ),
    ("hobby: {dynamics: leadid, type: string}", "hobby.direction: both, but leadid is read-only → inbound (D57)"),
    (
        "score2: {dynamics: new_import, type: integer}",
        "score2.direction: both, but new_import is writable on create only → inbound, or outbound_on_create_only: true",
    ),
    (
        "hobby: {dynamics: new_later, type: string, outbound_on_create_only: true}",
        "hobby.outbound_on_create_only: true, but new_later is writable on update only → false, or inbound",
    ),
    (
        "hobby: {dynamics: new_hobby, type: choice, aliases: {Gulf: [x]}}",
        "hobby.aliases: the unknown label 'Gulf' → one of: Golf, Chess",
    ),
    (
        "hobby: {dynamics: new_hobby, type: choice, aliases: {Golf: [CHESS]}}",
        "hobby.aliases: 'CHESS' for 'Golf' → no alias that is another label ('Chess')",
    ),
    (
        "hobby: {dynamics: new_hobby, type: choice, default_on_create: Tennis}",
        (
            "hobby.default_on_create: 'Tennis' → a value that new_hobby accepts"
            " (hobby: 'Tennis' is not one of: Golf, Chess)"
        ),
    ),
    (
        "hobby: {dynamics: new_hobbies, type: multi_choice}",
        "hobby.dynamics: the label 'Golf; indoor' → labels without ';', which separates them in Marketo",
    ),
]


@pytest.mark.parametrize(("entry", "sentence"), WRONG)
def test_a_users_own_entry_that_does_not_fit_is_an_error(tmp_path: Path, entry: str, sentence: str) -> None:
    assert mistakes(settings_with(tmp_path, entry)) == [f"fields.lead.{sentence}"]


@pytest.mark.parametrize(("entry", "sentence"), WRONG)
def test_a_default_entry_that_does_not_fit_is_set_aside_with_the_same_reason(
    tmp_path: Path, entry: str, sentence: str
) -> None:
    name = entry.split(":", maxsplit=1)[0]
    settings = settings_with(tmp_path, f"{entry[:-1]}, optional: true}}")
    lead = resolve(settings)[Entity.LEAD]
    assert lead.names == ("firstName", "company")
    assert lead.quarantined == {name: sentence.partition(": ")[2].replace(" → ", ", expected ")}


def test_all_entries_are_checked_before_any_is_refused(tmp_path: Path) -> None:
    entry = "hobby: {dynamics: nope, type: string}\n    vip: {dynamics: new_total, type: decimal}"
    keys = [text.partition(": ")[0] for text in mistakes(settings_with(tmp_path, entry))]
    assert keys == ["fields.lead.hobby.dynamics", "fields.lead.vip.type", "fields.lead.vip.direction"]


def test_a_mistake_against_metadata_points_to_its_line(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationInvalid) as caught:
        resolve(settings_with(tmp_path, "hobby: {dynamics: nope, type: string}"))
    assert caught.value.problems[0].file == f"{tmp_path / 'leadsync.yaml'}:5"


def test_the_shipped_map_fits_a_vanilla_pair_of_systems_once_setup_has_run() -> None:
    settings = load_settings(Paths.from_environment({}).config)
    created = [
        MarketoField(900 + n, field["name"], field["displayName"], field["dataType"], 255)
        for n, field in enumerate(setup_fields(settings, marketo_fields()))
    ]
    maps = resolve_fields(settings, marketo_fields(*created), dynamics_attributes())
    assert (len(maps[Entity.LEAD].fields), len(maps[Entity.CONTACT].fields)) == (32, 26)
    for field_map in maps.values():
        assert set(field_map.quarantined) == {
            "leadScore",
            "priority",
            "relativeScore",
            "relativeUrgency",
            "msiLastInterestingMomentDate",
            "msiLastInterestingMomentDesc",
            "msiLastInterestingMomentSource",
            "msiLastInterestingMomentType",
        }
        assert all("attribute mkt_" in field_map.quarantined[name] for name in ("leadScore", "priority"))
    assert setup_fields(settings, marketo_fields(*created)) == []


def test_before_setup_the_missing_marketo_fields_are_set_aside_not_fatal() -> None:
    settings = load_settings(Paths.from_environment({}).config)
    maps = resolve_fields(settings, marketo_fields(), dynamics_attributes())
    reason = maps[Entity.LEAD].quarantined["microsoftTopic"]
    assert reason == "Marketo has no field microsoftTopic, expected that field (`setup` creates it)"


def test_a_column_that_vanishes_takes_only_its_own_default_entry_along() -> None:
    settings = load_settings(Paths.from_environment({}).config)
    tables = dynamics_attributes()
    tables[Entity.LEAD] = [attribute for attribute in tables[Entity.LEAD] if attribute.name != "fax"]
    before = resolve_fields(settings, marketo_fields(), dynamics_attributes())[Entity.LEAD]
    after = resolve_fields(settings, marketo_fields(), tables)[Entity.LEAD]
    assert set(before.names) - set(after.names) == {"fax"}
    assert "fax" in after.quarantined


def test_setup_creates_the_syncs_own_fields_and_those_the_map_asks_for(tmp_path: Path) -> None:
    text = FIELDS.replace("  contact:", "    vip2: {dynamics: new_vip, type: boolean, setup: VIP two}\n  contact:")
    settings = load_settings(write(tmp_path, f"{text}marketo: {{system_fields: {{id: crmId}}}}\n"))
    existing = marketo_fields(MarketoField(1, "microsoftType", "Microsoft Type", "string"))
    wanted = [(field["name"], field["displayName"], field["dataType"]) for field in setup_fields(settings, existing)]
    assert wanted == [
        ("crmId", "Microsoft Id", "string"),
        ("microsoftCreatedDate", "Microsoft Created Date", "datetime"),
        ("microsoftIsDeleted", "Microsoft is Deleted", "boolean"),
        ("microsoftMergedInto", "Microsoft Merged Into", "string"),
        ("microsoftBackfilledAt", "Microsoft Backfilled At", "datetime"),
        ("vip2", "VIP two", "boolean"),
    ]


def test_every_type_that_setup_creates_can_hold_its_field_type() -> None:
    assert set(CREATED_AS) == set(FieldType) - {FieldType.TEXT}
    assert all(data_type in MARKETO_TYPES[kind] for kind, data_type in CREATED_AS.items())


def test_lengths_and_labels_that_may_refuse_values_are_warned_of(tmp_path: Path) -> None:
    entry = "short: {dynamics: new_long, type: string}\n    hobby: {dynamics: new_twins, type: choice}"
    assert field_warnings(resolve(settings_with(tmp_path, entry))) == [
        "lead.firstName: Marketo holds 255 characters, firstname only 50; longer values are refused (R111)",
        "lead.company: Marketo holds 255 characters, companyname only 100; longer values are refused (R111)",
        "lead.short: new_long holds 4000 characters, Marketo only 40; longer values are refused",
        "lead.hobby: 2 options are labelled 'Other'; the first of them is written",
        "contact.firstName: Marketo holds 255 characters, firstname only 50; longer values are refused (R111)",
    ]
