"""The file we ship says what the code does, and the reference page names every key with its default."""

from __future__ import annotations

import json
import re
import typing
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic.fields import FieldInfo

from include.leadsync.config import Paths, Settings, load_settings
from include.leadsync.fields.compatibility import DYNAMICS_TYPES, MARKETO_TYPES
from include.leadsync.model import Entity, FieldType, Flow, Winner
from include.leadsync.settings.document import read_document
from include.leadsync.settings.requests import Ask
from include.leadsync.settings.tree import FieldEntry

INBOUND = {"leadStatus", "microsoftStatusReason", "microsoftCreatedDate"}
OUTBOUND = {
    "leadScore",
    "priority",
    "relativeScore",
    "relativeUrgency",
    "msiLastInterestingMomentDate",
    "msiLastInterestingMomentDesc",
    "msiLastInterestingMomentSource",
    "msiLastInterestingMomentType",
}
LEAD_ONLY = {"fax", "leadSource", "rating", "microsoftTopic", "company", "annualRevenue"}


@pytest.fixture(scope="module")
def shipped() -> Settings:
    return load_settings(Paths.from_environment({}).config)


def defaults(section: dict[str, object], above: str = "") -> Iterator[tuple[str, object]]:
    """Dotted key and default of every setting."""
    for name, value in section.items():
        if isinstance(value, dict) and value:
            yield from defaults(value, f"{above}{name}.")
        else:
            yield f"{above}{name}", value


DEFAULTS = Settings.model_validate({"fields": {"lead": {}, "contact": {}}})
KEYS = dict(defaults(DEFAULTS.model_dump(mode="json", exclude={"fields"})))


def shown_default(facts: FieldInfo) -> str:
    if facts.is_required():
        return "required"
    return f"`{json.dumps(facts.get_default(call_default_factory=True))}`"


def test_directions_winners_and_consent_are_those_of_the_default_mapping(shipped: Settings) -> None:
    for entity in Entity:
        for rule in shipped.rules(entity):
            flow = Flow.INBOUND if rule.name in INBOUND else Flow.OUTBOUND if rule.name in OUTBOUND else Flow.BOTH
            assert rule.flow is flow, rule.name
            consent = rule.dynamics in {"donotbulkemail", "donotemail", "donotsendmm"}
            assert rule.consent is consent, rule.name
            assert rule.winner is (Winner.OPT_OUT if consent else Winner.BY_TYPE), rule.name
            assert rule.optional, f"{rule.name}: a default entry is set aside when a system lacks it (DECISIONS 10)"
            assert rule.outbound_on_create_only is (rule.name == "leadSource")


def test_what_only_leads_have_is_mapped_on_leads_only(shipped: Settings) -> None:
    lead, contact = ({rule.name: rule for rule in shipped.rules(entity)} for entity in Entity)
    assert lead.keys() - contact.keys() == LEAD_ONLY
    assert contact.keys() <= lead.keys()
    assert all(contact[name].dynamics == lead[name].dynamics for name in contact)
    assert all(contact[name].type == lead[name].type for name in contact)


def test_fields_that_marketo_lacks_are_created_by_setup(shipped: Settings) -> None:
    for entity in Entity:
        for name, entry in shipped.fields.of(entity).items():
            assert bool(entry.setup) is name.startswith("microsoft"), name


def test_the_shipped_sections_show_exactly_the_defaults(shipped: Settings) -> None:
    assert shipped.model_dump(exclude={"fields"}) == DEFAULTS.model_dump(exclude={"fields"})


def test_the_shipped_file_shows_every_key_there_is() -> None:
    lines = read_document(Paths.from_environment({}).config).lines
    assert KEYS.keys() - {".".join(path) for path in lines} == set()


def test_the_reference_has_every_key_with_its_default(project_root: Path) -> None:
    page = (project_root / "docs" / "configuration.md").read_text(encoding="utf-8")
    rows = dict(re.findall(r"^\| `([a-z_.]+)` \| (.*?) \|", page, re.MULTILINE))
    types = {str(kind) for kind in FieldType}
    expected = {name: shown_default(facts) for name, facts in FieldEntry.model_fields.items()}
    expected |= {name: shown_default(facts) for name, facts in Ask.model_fields.items()}
    expected |= {key: f"`{json.dumps(default)}`" for key, default in KEYS.items()}
    assert {key: default for key, default in rows.items() if key not in types} == expected


def test_the_reference_shows_the_type_matrix(project_root: Path) -> None:
    page = (project_root / "docs" / "configuration.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `([a-z_]+)` \| ([A-Z][A-Za-z, ]+?)(?: \(.*?\))? \| ([a-z, ]+) \|", page, re.MULTILINE)
    shown = {kind: (set(there.split(", ")), set(here.split(", "))) for kind, there, here in rows}
    assert shown == {kind.value: (set(DYNAMICS_TYPES[kind]), set(MARKETO_TYPES[kind])) for kind in FieldType}


def test_the_reference_lists_every_choice_of_an_entry(project_root: Path) -> None:
    page = (project_root / "docs" / "configuration.md").read_text(encoding="utf-8")
    for kind in (FieldType, Flow, Winner):
        missing = [str(value) for value in typing.cast("type[FieldType]", kind) if f"`{value}`" not in page]
        assert not missing


def test_the_reference_names_every_variable(project_root: Path) -> None:
    page = (project_root / "docs" / "configuration.md").read_text(encoding="utf-8")
    source = (project_root / "include" / "leadsync" / "settings" / "environment.py").read_text(encoding="utf-8")
    variables = set(re.findall(r"LEADSYNC_[A-Z_]+", source))
    assert variables == set(re.findall(r"LEADSYNC_[A-Z_]+", page))
    places = {"LEADSYNC_HOME", "LEADSYNC_CONFIG", "LEADSYNC_STATE_URL", "LEADSYNC_STAGING"}
    assert places | {"LEADSYNC_ERASURE_KEY", "LEADSYNC_CONFIG_SHARED"} == variables
