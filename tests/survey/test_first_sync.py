"""Two systems that both hold people: report, accept, link, fill (D4, D18, D19)."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pytest

from include.leadsync.errors import FixConfiguration
from include.leadsync.state import Links
from include.leadsync.survey import Survey, accept, survey, write_report
from tests.world import START, World

ID = "{:08d}-0000-0000-0000-000000000000"


def populate(world: World) -> dict[str, Any]:
    """One pair by id, two by address (a lead, a contact), one alone on each side, one address of two persons."""
    lead = world.add_row("lead", lastname="Id", subject="Fair", emailaddress1="id@example.com", jobtitle="CTO")
    made: dict[str, Any] = {"by_id": (lead, world.add_person(email="id@example.com", lastName="Id", microsoftId=lead))}
    for entity, title in (("lead", "Crm"), ("contact", "Crm")):
        subject = {"subject": "Fair"} if entity == "lead" else {}
        row = world.add_row(
            entity, lastname="Mail", emailaddress1=f"{entity}@example.com", jobtitle=title, telephone1="1", **subject
        )
        made[entity] = (row, world.add_person(email=f"{entity}@example.com", lastName="Mail", title="Person"))
    made["crm_only"] = world.add_row("lead", lastname="Crm", subject="Fair", emailaddress1="crm@example.com")
    made["person_only"] = world.add_person(email="person@example.com", lastName="Alone")
    made["held"] = world.add_row("contact", lastname="Two", emailaddress1="two@example.com")
    made["two"] = [world.add_person(email="two@example.com", lastName="Two") for _ in range(2)]
    return made


def reported(world: World, kind: str = "first-sync", **asked: Any) -> dict[str, Any]:
    world.movable.advance(60)
    world.runs += 1
    return survey(world.engine, Survey(f"{world.clock.now():%Y%m%dT%H%M%SZ}-{world.runs:06d}", kind, **asked))


def stamp(world: World, person: int) -> Any:
    return world.person(person, "microsoftBackfilledAt")["microsoftBackfilledAt"]  # type: ignore[index]


def test_the_report_counts_what_would_happen_and_writes_nothing(world: World, tmp_path: Path) -> None:
    populate(world)
    before = world.transport.log.copy()
    report = reported(world, since=START)
    writes = [(m, u) for m, u in world.transport.log[len(before) :] if m in {"PATCH", "PUT", "DELETE"}]
    assert writes == []
    assert report["counts"] == {
        "matched_by_id": 1,
        "matched_by_email": 2,
        "already_linked": 0,
        "ambiguous": 1,
        "only_in_dynamics": 1,
        "only_in_marketo": 3,
        "kept_out_by_filter": 0,
        "became_contacts": 0,
        "equal": 0,
        "to_fill": 3,
    }
    fields = {(f["entity"], f["field"]): (f["to_marketo"], f["to_dynamics"]) for f in report["fields"]}
    assert fields["lead", "title"] == (1, 1)  # the pair by id gets Dynamics' value, an empty one never wins
    assert fields["contact", "title"] == (1, 0)  # on a contact Dynamics wins
    assert fields["lead", "phone"] == (1, 0)
    assert Links(world.engine.store).count() == 0
    page = write_report(world.engine, report, tmp_path / "out", "microsoftBackfilledAt")
    assert report["hash"] in page.read_text()
    assert json.loads((tmp_path / "out" / "report.json").read_text())["counts"] == report["counts"]
    with (tmp_path / "out" / "matches.csv").open() as file:
        assert sorted(row["how"] for row in csv.DictReader(file)) == ["email", "email", "id"]
    with (tmp_path / "out" / "conflicts.csv").open() as file:
        assert [row["code"] for row in csv.DictReader(file)] == ["several_candidates"]
    with (tmp_path / "out" / "alone.csv").open() as file:
        assert [row["kind"] for row in csv.DictReader(file)] == ["record", "person", "person", "person"]


def test_without_reading_everybody_persons_alone_are_not_counted(world: World) -> None:
    populate(world)
    counts = reported(world)["counts"]
    assert counts["only_in_marketo"] is None
    assert (counts["matched_by_id"], counts["matched_by_email"], counts["ambiguous"]) == (1, 2, 1)


def test_accepted_pairs_are_linked_and_the_cycle_fills_and_marks_them(world: World) -> None:
    made = populate(world)
    report = reported(world, since=START)
    assert accept(world.engine, report["hash"], "accepting", ["first-sync"]) == {"linked": 3, "linked_meanwhile": 0}
    world.settle()
    for name, title in (("by_id", "CTO"), ("lead", "Person"), ("contact", "Crm")):
        row, person = made[name]
        entity = "contact" if name == "contact" else "lead"
        assert world.row(entity, row)["jobtitle"] == title  # type: ignore[index]
        shown = world.person(person, "title", "microsoftId")
        assert (shown["title"], shown["microsoftId"]) == (title, row)  # type: ignore[index]
        assert stamp(world, person) is not None
    (created,) = world.persons_by("microsoftId", made["crm_only"])
    assert stamp(world, created["id"]) is not None
    assert stamp(world, made["person_only"]) is None
    assert {row["code"] for row in world.activities(open_only=True)} == {"several_candidates"}
    assert all(world.person(person)["microsoftId"] is None for person in made["two"])  # type: ignore[index]


def test_an_ordinary_change_afterwards_carries_no_mark(world: World) -> None:
    made = populate(world)
    accept(world.engine, reported(world)["hash"], "accepting", ["first-sync"])
    world.settle()
    row, person = made["lead"]
    marked = stamp(world, person)
    world.edit_row("lead", row, jobtitle="CEO")
    world.settle()
    assert world.person(person, "title")["title"] == "CEO"  # type: ignore[index]
    assert stamp(world, person) == marked


def test_an_edit_between_report_and_fill_is_no_first_link_and_not_lost(world: World) -> None:
    row = world.add_row("lead", lastname="Same", subject="Fair", emailaddress1="s@example.com")
    person = world.add_person(
        email="s@example.com",
        lastName="Same",
        microsoftTopic="Fair",
        microsoftId=row,
        microsoftType="Lead",
        microsoftCreatedDate=world.row("lead", row)["createdon"],  # type: ignore[index]
    )
    world.run(dry_run=True)
    report = reported(world)
    world.edit_person(person, title="From Marketo")
    world.edit_row("lead", row, firstname="From Dynamics")
    world.movable.advance(3600)
    accept(world.engine, report["hash"], "accepting", ["first-sync"])
    world.settle()
    assert world.row("lead", row)["jobtitle"] == "From Marketo"  # type: ignore[index]
    assert world.person(person, "firstName")["firstName"] == "From Dynamics"  # type: ignore[index]


def test_accepting_twice_or_again_after_a_crash_links_nobody_twice(world: World) -> None:
    populate(world)
    digest = reported(world)["hash"]
    accept(world.engine, digest, "first", ["first-sync"])
    assert accept(world.engine, digest, "second", ["first-sync"]) == {"linked": 0, "linked_meanwhile": 3}
    assert Links(world.engine.store).count() == 3


@pytest.mark.parametrize("kinds", [["rebuild"], ["first-sync"]])
def test_only_the_hash_of_a_report_of_the_same_kind_is_accepted(world: World, kinds: list[str]) -> None:
    populate(world)
    digest = reported(world)["hash"] if kinds == ["rebuild"] else "0123456789abcdef"
    with pytest.raises(FixConfiguration, match="no report has the hash"):
        accept(world.engine, digest, "accepting", kinds)


def test_a_report_of_another_field_map_is_not_accepted(world: World) -> None:
    populate(world)
    digest = reported(world)["hash"]
    fields = world.engine.settings.model_dump(mode="json", exclude_none=True)["fields"]
    del fields["lead"]["title"]
    world.configure({"fields": fields})
    world.reopen()
    with pytest.raises(FixConfiguration, match="field map changed"):
        accept(world.engine, digest, "accepting", ["first-sync"])


def test_an_unasked_first_sync_stops_before_it_writes(tmp_path: Path) -> None:
    with World(tmp_path, {"creation": {"first_sync_matches": 1}}) as world:
        made = populate(world)
        with pytest.raises(FixConfiguration, match="first-sync report"):
            world.run()
        assert Links(world.engine.store).count() == 0
        assert world.person(made["lead"][1])["microsoftId"] is None  # type: ignore[index]
        assert world.run(dry_run=True)["outcome"] == "planned"
        accept(world.engine, reported(world)["hash"], "accepting", ["first-sync"])
        world.settle()
        assert Links(world.engine.store).count() == 4


def test_pairs_that_carry_each_others_ids_need_no_acceptance(tmp_path: Path) -> None:
    with World(tmp_path, {"creation": {"first_sync_matches": 0}}) as world:
        row = world.add_row("lead", lastname="Id", subject="Fair", emailaddress1="id@example.com")
        world.add_person(email="id@example.com", lastName="Id", microsoftId=row)
        world.settle()
        assert Links(world.engine.store).count() == 1


def test_many_new_persons_wait_for_approval(tmp_path: Path) -> None:
    brake = {"creations": {"count": 2, "share": 0.0}}
    with World(tmp_path, {"policies": {"brake": brake}}) as world:
        rows = [world.add_row("contact", lastname=f"P{n}", emailaddress1=f"p{n}@example.com") for n in range(3)]
        summary = world.run()["steps"]["plan"]
        assert summary["held"] == 3
        assert "creations" in summary["held_because"][0]
        assert [world.persons_by("microsoftId", row) for row in rows] == [[], [], []]
        world.movable.advance(120)
        world.run(approve=summary["plan_hash"])
        world.settle()
        assert [len(world.persons_by("microsoftId", row)) for row in rows] == [1, 1, 1]
