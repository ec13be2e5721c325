"""A change of the field map is judged by the checks of a run, on the file as it would be."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from include.leadsync.clock import FakeClock
from include.leadsync.config import load_settings
from include.leadsync.console import map_impact
from include.leadsync.console.known_fields import choosable, known_fields, suggested
from include.leadsync.console.map_proposal import MapChange, digest, propose
from include.leadsync.console.map_text import CannotEdit
from include.leadsync.errors import ConfigurationInvalid
from include.leadsync.model import Entity
from include.leadsync.state import StateStore
from tests.console.stored import fill, keep_metadata

SHIPPED = Path(__file__).resolve().parents[2] / "include" / "config" / "leadsync.yaml"
BODY = SHIPPED.read_bytes()
LEAD = Entity.LEAD


@pytest.fixture
def store(tmp_path: Path) -> Iterator[StateStore]:
    opened = StateStore.open(f"sqlite:///{tmp_path / 'state.db'}", FakeClock(datetime(2026, 3, 1, tzinfo=UTC)))
    keep_metadata(opened)
    yield opened
    opened.close()


def _add(name: str = "favouriteColour", column: str = "new_colour", **more: Any) -> MapChange:
    return MapChange("add", LEAD, name, column, **more)


def test_a_pair_that_fits_has_no_problem_and_a_type_that_holds_both_ends(store: StateStore) -> None:
    found = propose(store, SHIPPED, BODY, _add())
    assert (found.problems, found.was, found.change.type) == ([], digest(BODY), "string")
    assert found.diff[-1] != ("+", "")
    assert [line for sign, line in found.diff if sign == "+"] == [
        "    favouriteColour: {dynamics: new_colour, type: string}"
    ]
    assert found.warnings == [
        "lead.favouriteColour: Marketo holds 50 characters, new_colour only 20; longer values are refused (R111)"
    ]
    assert found.pair is not None
    assert found.pair.dynamics.name == "new_colour"
    flag = propose(store, SHIPPED, BODY, _add("optIn", "new_flag", consent=True))
    assert (flag.problems, flag.change.type) == ([], "boolean")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (_add("nobody"), "Marketo has no field nobody"),
        (_add(column="new_color"), "did you mean 'new_colour'"),
        (_add("optIn"), "boolean"),
        (_add(column="ownerid"), "look-up"),
        (_add(column="new_sum"), "read-only"),
        (_add("urgency", "new_count"), "the Marketo field is read-only"),
        (_add(direction="inbound", winner="marketo"), "no winner"),
        (_add(winner="opt_out_wins"), "opt_out_wins only on boolean fields"),
        (_add("optIn", "new_flag", winner="never_blank"), "never_blank on a boolean"),
        (_add(type="money"), "one of"),
        (_add(column="jobtitle"), "which title writes already"),
        (_add("microsoftId"), "the sync itself keeps this field"),
    ],
)
def test_a_change_that_the_checks_refuse_says_why(store: StateStore, change: MapChange, said: str) -> None:
    problems = propose(store, SHIPPED, BODY, change).problems
    assert said in " ".join(f"{one.found} {one.expected}" for one in problems)


def test_two_mistakes_are_both_named(store: StateStore) -> None:
    found = propose(store, SHIPPED, BODY, _add("nobody", "nothing"))
    assert len(found.problems) == 2
    assert all(one.key.startswith("fields.lead.nobody") for one in found.problems)


def test_an_optional_entry_that_would_be_set_aside_by_the_change_is_a_problem(store: StateStore) -> None:
    body = BODY.replace(
        b"title:          {dynamics: jobtitle,", b"title:          {dynamics: new_sum, direction: inbound,"
    )
    assert propose(store, SHIPPED, body, MapChange("change", LEAD, "title", direction="inbound")).problems == []
    (problem,) = propose(store, SHIPPED, body, MapChange("change", LEAD, "title", direction="outbound")).problems
    assert "read-only" in problem.found


def test_a_pair_leaves_and_others_are_not_asked_about(store: StateStore) -> None:
    found = propose(store, SHIPPED, BODY, MapChange("remove", LEAD, "fax"))
    assert found.problems == []
    assert [sign for sign, _ in found.diff if sign in "+-"] == ["-"]
    template = propose(store, SHIPPED, BODY, MapChange("remove", LEAD, "company"))
    assert "unknown field {company}" in template.problems[0].found  # the topic's default names it


def test_without_metadata_a_pair_can_leave_but_none_can_join(store: StateStore, tmp_path: Path) -> None:
    empty = StateStore.open(f"sqlite:///{tmp_path / 'empty.db'}", FakeClock(datetime(2026, 3, 1, tzinfo=UTC)))
    assert known_fields(empty) is None
    assert propose(empty, SHIPPED, BODY, MapChange("remove", LEAD, "fax")).problems == []
    assert "no metadata" in propose(empty, SHIPPED, BODY, _add()).problems[0].found
    empty.close()


def test_a_file_with_mistakes_is_for_an_editor(store: StateStore) -> None:
    with pytest.raises(ConfigurationInvalid):
        propose(store, SHIPPED, BODY + b"nonsense: 1\n", _add())
    with pytest.raises(CannotEdit):
        propose(store, SHIPPED, BODY, MapChange("remove", LEAD, "nobody"))


def test_only_fields_that_could_join_can_be_chosen(store: StateStore) -> None:
    known = known_fields(store)
    assert known is not None
    found = choosable(load_settings(SHIPPED), known, LEAD)
    assert [row["name"] for row in found["marketo"]] == ["favouriteColour", "nickname", "optIn", "urgency"]
    columns = {row["name"]: row["mapped"] for row in found["dynamics"]}
    assert columns["jobtitle"] == ["title"]
    assert columns["new_colour"] == []
    assert "entityimage" not in columns
    assert suggested(known, LEAD, found) == [{"field": "optIn", "column": "new_flag", "type": "boolean"}]


def test_what_a_synced_field_touches_is_read_from_the_store_alone(store: StateStore) -> None:
    fill(store)
    found = map_impact.of_synced(store, MapChange("remove", LEAD, "title"))
    assert (found["links"], found["looked"], found["with_value"], found["differing"]) == (6, 6, 6, 1)
    assert found["collisions"] == {"marketo": 6, "dynamics": 0}
    assert map_impact.of_synced(store, MapChange("remove", LEAD, "phone"))["open"] == 4
    nothing = map_impact.of_synced(store, MapChange("remove", Entity.CONTACT, "fax"))
    assert (nothing["looked"], nothing["with_value"]) == (1, 0)


def test_a_sample_is_spread_over_all_links(store: StateStore, monkeypatch: pytest.MonkeyPatch) -> None:
    from tests.state.rows import add_links

    ids = add_links(store, range(1, 101), status="active")
    monkeypatch.setattr(map_impact, "_STORED_SAMPLE", 20)
    spread = map_impact._spread(store, LEAD, 20)["link_id"].to_list()
    assert len(spread) >= 18
    assert spread[0] == ids[0]
    assert spread[-1] > ids[85]
    assert map_impact._spread(store, LEAD, 100).height == 100
