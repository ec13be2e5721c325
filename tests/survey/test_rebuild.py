"""A lost state store is made anew from the ids in both systems; an instance that had the native sync (D11, D101)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from include.leadsync.clients.transport import HttpRequest, HttpResponse
from include.leadsync.errors import FixConfiguration
from include.leadsync.state import Links, StateStore
from include.leadsync.survey import store
from tests.engine.play import linked_rows
from tests.survey.test_first_sync import reported
from tests.world import START, World


def lose_the_store(world: World) -> None:
    """The state database is gone; both systems are as they were."""
    world.engine.store.close()
    world.state_url = f"sqlite:///{world.folder / 'new.db'}"
    world.engine = world.open_engine()


def in_step(world: World) -> list[tuple[str, str, int]]:
    """A lead and a contact with their persons, in step."""
    lead = {"lastname": "Lea", "subject": "Fair", "emailaddress1": "l@example.com"}
    contact = {"lastname": "Con", "emailaddress1": "c@example.com"}
    pairs = linked_rows(world, ("lead", lead), ("contact", contact))
    return [(entity, row, person) for entity, (person, row) in zip(("lead", "contact"), pairs, strict=True)]


def rebuilt(world: World, **asked: Any) -> dict[str, Any]:
    report = reported(world, asked.pop("kind", "rebuild"), **asked)
    store(world.engine, report["run_id"], f"{report['run_id']}-store")
    return report


def links(world: World) -> set[tuple[str, str, int]]:
    return {
        (row["entity"], row["crm_id"], row["person_id"])
        for page in Links(world.engine.store).pages()
        for row in page.to_pylist()
    }


def refuse_writes(request: HttpRequest) -> HttpResponse | None:
    sync = request.method == "POST" and "/rest/v1/leads.json" in request.url and "_method" not in request.url
    assert not sync, request.url
    assert request.method in {"GET", "POST"}, request.url
    assert not request.url.endswith("$batch") or b"PATCH" not in (request.body or b"")
    return None


@pytest.mark.parametrize("since", [None, START], ids=["by look-up", "by bulk extract"])
def test_a_lost_store_is_made_anew_and_neither_system_is_written_to(world: World, since: Any) -> None:
    pairs = in_step(world)
    lose_the_store(world)
    world.transport.before.append(refuse_writes)
    report = rebuilt(world, since=since)
    assert (report["counts"]["matched_by_id"], report["counts"]["equal"], report["conflicts"]) == (2, 2, [])
    assert links(world) == set(pairs)
    assert world.run()["steps"]["plan"]["operations"] == 0
    world.transport.before.clear()
    for entity, row, _ in pairs:  # and what changes from now on crosses
        world.edit_row(entity, row, jobtitle="CEO")
    world.settle()
    assert [world.person(person, "title")["title"] for _, _, person in pairs] == ["CEO", "CEO"]  # type: ignore[index]
    assert len(world.persons_by("email", "l@example.com")) == 1


def test_a_rebuilt_link_knows_what_both_sides_agree_on(world: World) -> None:
    (_, row, person), _ = in_step(world)
    lose_the_store(world)
    rebuilt(world)
    world.edit_row("lead", row, jobtitle="From Dynamics")
    world.edit_person(person, firstName="From Marketo")
    world.edit_row("lead", row, firstname=None)
    world.settle()
    shown = world.person(person, "title", "firstName")
    assert (shown["title"], shown["firstName"]) == ("From Dynamics", "From Marketo")  # type: ignore[index]


def test_what_differs_is_in_the_report_and_filled_by_the_rules_of_a_first_link(world: World) -> None:
    (_, row, person), _ = in_step(world)
    world.edit_row("lead", row, jobtitle="Dynamics", telephone1="1")
    world.edit_person(person, title="Marketo")
    lose_the_store(world)
    report = rebuilt(world)
    assert {(f["field"], f["to_marketo"], f["to_dynamics"]) for f in report["fields"]} == {
        ("title", 0, 1),
        ("phone", 1, 0),
    }
    world.settle()
    assert world.row("lead", row)["jobtitle"] == "Marketo"  # type: ignore[index]
    assert world.person(person, "phone")["phone"] == "1"  # type: ignore[index]


def test_ids_that_lead_nowhere_or_twice_are_listed(world: World) -> None:
    (_, lead, _), (_, contact, merged) = in_step(world)
    world.add_person(email="twice@example.com", lastName="Twice", microsoftId=lead)
    gone = "00000000-1111-2222-3333-444444444444"
    nowhere = world.add_person(email="gone@example.com", lastName="Gone", microsoftId=gone)
    loser = world.add_row("contact", lastname="Loser", emailaddress1="lo@example.com")
    world.dynamics.control("merge_rows", {"entity": "contact", "target": contact, "subordinate": loser})
    carrier = world.add_person(email="lo@example.com", lastName="Loser", microsoftId=loser)
    world.edit_person(merged, microsoftType="Lead")
    lose_the_store(world)
    report = reported(world, "rebuild", since=START)
    assert {each["code"]: each["count"] for each in report["conflicts"]} == {
        "several_carry_id": 2,
        "record_missing": 1,
        "record_merged": 1,
        "type_mismatch": 1,
    }
    staged = world.engine.staging(_run(report)).read("survey.conflicts")
    listed = set(staged.select("code", "crm_id", "person_id").iter_rows())
    assert {("record_missing", gone, nowhere), ("record_merged", loser, carrier)} <= listed


def _run(report: dict[str, Any]) -> Any:
    from include.leadsync.context import RunRequest

    return RunRequest(report["run_id"])


def test_a_rebuild_over_a_living_store_adds_only_what_is_missing(world: World) -> None:
    pairs = in_step(world)
    report = rebuilt(world)
    assert (report["counts"]["already_linked"], report["counts"]["matched_by_id"]) == (2, 0)
    assert links(world) == set(pairs)


def test_a_column_of_dynamics_may_hold_the_id(tmp_path: Path) -> None:
    with World(tmp_path, {"creation": {"person_id_column": "new_marketoid"}}) as world:
        for entity in ("lead", "contact"):
            column = {"entity": entity, "attribute": "new_marketoid", "type": "Integer"}
            world.dynamics.control("add_attribute", column)
        person = world.add_person(email="p@example.com", lastName="Berg")
        row = world.add_row("lead", lastname="Berg", subject="Fair", new_marketoid=person)
        rebuilt(world)
        assert links(world) == {("lead", row, person)}


def test_after_the_native_sync_another_field_or_the_address_makes_the_link(world: World) -> None:
    world.marketo.control(
        "create_fields", {"fields": [{"name": "crmGuid", "displayName": "CRM GUID", "dataType": "string"}]}
    )
    first = world.add_row("lead", lastname="Guid", subject="Fair", emailaddress1="a@example.com")
    second = world.add_row("contact", lastname="Mail", emailaddress1="b@example.com")
    by_guid = world.add_person(email="other@example.com", lastName="Guid", crmGuid="{" + first.upper() + "}")
    by_mail = world.add_person(email="b@example.com", lastName="Mail")
    asked = {"kind": "from-native", "id_fields": ("crmGuid",), "since": START}
    report = rebuilt(world, **asked)
    assert (report["counts"]["matched_by_id"], report["counts"]["matched_by_email"]) == (1, 1)
    assert links(world) == {("lead", first, by_guid), ("contact", second, by_mail)}
    world.settle()
    assert world.person(by_guid)["microsoftId"] == first  # type: ignore[index]
    assert world.person(by_mail)["microsoftType"] == "Contact"  # type: ignore[index]
    assert len(world.persons_by("email", "b@example.com")) == 1


def test_an_id_field_that_does_not_exist_is_a_sentence(world: World) -> None:
    with pytest.raises(FixConfiguration, match="no field crmGiud"):
        reported(world, "from-native", id_fields=("crmGiud",))


def test_a_report_stores_nothing(world: World) -> None:
    in_step(world)
    lose_the_store(world)
    reported(world, "rebuild")
    assert Links(world.engine.store).count() == 0
    assert isinstance(world.engine.store, StateStore)
