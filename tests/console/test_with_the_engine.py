"""What a button sets off is carried out by the next run, and what a page shows is what both systems show."""

from __future__ import annotations

from include.leadsync import approval
from include.leadsync.config import load_settings
from include.leadsync.console import failures, held_plans, lookup, map_impact, map_saving, persons
from include.leadsync.console.failures import Wanted
from include.leadsync.console.known_fields import read_afresh
from include.leadsync.console.map_proposal import MapChange, propose
from include.leadsync.errors import Throttled
from include.leadsync.model import Entity, System
from include.leadsync.state import Outbox
from tests.engine.play import column, linked_contact, linked_lead, linked_leads, shown
from tests.engine.test_secured_columns import permit, secure
from tests.world import World

_PARTS = {"settings", "paths", "connections", "store", "clock", "transport"}


def test_a_failure_that_is_tried_again_after_its_cause_was_mended_crosses(world: World) -> None:
    person, lead = linked_lead(world)
    world.edit_person(person, phone="1" * 60)
    world.run()
    store = world.engine.store
    (group,) = failures.groups(store)[0]
    assert (group["field"], group["direction"], group["count"], group["linked"]) == ("phone", "outbound", 1, 1)
    (sides,) = [row for row in persons.sides(store, persons.of_person(store, person).links[0]) if row["differs"]]
    assert (sides["field"], sides["marketo"], sides["dynamics"]) == ("phone", "1" * 60, None)
    assert sides["waiting"]

    assert failures.retry(store, Wanted(code=group["code"], field="phone")) == {"failures": 1, "links": 1}
    world.run()
    assert failures.groups(store)[0][0]["activity_id"] == group["activity_id"]  # the same failure, not a second one

    world.edit_person(person, phone="12345")
    failures.retry(store, Wanted(), group["activity_id"])
    world.run()
    assert column(world, "lead", lead, "telephone1") == "12345"
    assert failures.groups(store) == ([], False)
    said = [(e["source"], e.get("outcome") or e.get("kind")) for e in persons.timeline(
        store, persons.of_person(store, person), "phone")[0]]  # fmt: skip
    assert said[:2] in (
        [("activity", "recovered"), ("ledger", "update")],
        [("ledger", "update"), ("activity", "recovered")],
    )
    assert ("activity", "failed") in said


def test_a_plan_that_is_approved_is_written_and_one_that_is_rejected_is_not(world: World) -> None:
    world.configure({"policies": {"brake": {"overwrites": {"count": 0, "share": 0.0}}}})
    world.reopen()
    person, contact = linked_contact(world, jobtitle="old")
    store = world.engine.store
    for title, decide in (("no", approval.park), ("yes", approval.approve)):
        world.edit_person(person, title=title)
        world.run()
        (plan,) = (row for row in held_plans.waiting(store) if row["state"] == "held")
        (operation,) = held_plans.operations(store, plan["plan_hash"])
        assert {"field": "title", "before": "old", "after": title}.items() <= operation["writes"][0].items()
        decide(store, plan["plan_hash"])
        world.run()
        assert Outbox(store).held().num_rows == 0
        assert column(world, "contact", contact, "jobtitle") == (title if title == "yes" else "old")


def test_an_address_is_looked_up_in_both_systems_and_a_name_where_it_can_be(world: World) -> None:
    person, lead = linked_lead(world, firstname="O'Ann", emailaddress1="o'ann@example.com")
    alone = world.add_row("contact", firstname="O'Ann", lastname="Alone")
    found, troubles = lookup.look_up(world.engine, "o'ann@example.com")
    assert troubles == []
    assert {(row["system"], row["id"], row["linked"], row["person_id"]) for row in found} == {
        ("marketo", str(person), True, person),
        ("dynamics", lead, True, person),
    }
    by_name, _ = lookup.look_up(world.engine, "O'Ann")
    assert {(row["entity"], row["id"], row["linked"]) for row in by_name} == {
        ("lead", lead, True),
        ("contact", alone, False),
    }
    waits = lookup.WebEngine(**{name: getattr(world.engine, name) for name in vars(world.engine) if name in _PARTS})
    waits.budget(System.DYNAMICS).penalise(System.DYNAMICS, 600)
    slept = sum(world.clock.slept)
    found, ((system, reason),) = lookup.look_up(waits, "o'ann@example.com")
    assert [row["system"] for row in found] == ["marketo"]
    assert (system, type(reason)) == ("dynamics", Throttled)
    assert sum(world.clock.slept) - slept <= lookup.PATIENCE  # nobody waits at a page for ten minutes


def test_what_a_new_field_is_said_to_write_is_what_the_next_run_writes(world: World) -> None:
    pairs = linked_leads(
        world, *({"websiteurl": url} for url in ("https://a.example", None, "https://c.example", None))
    )
    persons_of = [person for person, _ in pairs]
    world.edit_person(persons_of[1], website="https://only-here.example")
    world.edit_person(persons_of[2], website="https://other.example")
    change = MapChange("add", Entity.LEAD, "website", "websiteurl")
    asked = propose(world.engine.store, world.config, world.config.read_bytes(), change)
    assert asked.problems == []
    found = map_impact.of_added(world.engine, asked)
    assert (found["links"], found["looked"], found["exact"], found["equal"]) == (4, 4, True, 1)
    assert found["into_marketo"] == {"filled": 1, "overwritten": 1, "emptied": 1}
    assert sum(found["into_dynamics"].values()) == 0

    assert not found["hidden"]
    secure(world, "websiteurl")
    permit(world, "websiteurl", [])
    read_afresh(world.engine)
    secured = propose(world.engine.store, world.config, world.config.read_bytes(), change)
    assert map_impact.of_added(world.engine, secured)["hidden"]
    secure(world, "websiteurl", on=False)
    read_afresh(world.engine)

    map_saving.save(world.config, asked.was, asked.body)
    assert load_settings(world.config).fields.lead["website"].type == asked.change.type
    world.reopen()
    world.run()
    assert [shown(world, person, "website") for person in persons_of] == [
        "https://a.example", None, "https://c.example", None,
    ]  # fmt: skip
