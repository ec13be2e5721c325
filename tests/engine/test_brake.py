"""What the brake holds waits until it is approved, whatever happens to the same people meanwhile (P8, DECISIONS 16)."""

from __future__ import annotations

import pytest

from include.leadsync.approval import UNANSWERED, NotHeld, approve, describe, park, to_ask
from include.leadsync.state import Outbox
from tests.engine.play import column, linked_leads, shown
from tests.world import World

Pairs = list[tuple[int, str]]


@pytest.fixture
def pairs(world: World) -> Pairs:
    """Three linked leads that count, a fourth that lives on, and a brake for more than one record."""
    rows = [{"emailaddress1": f"p{number}@example.com", "jobtitle": "old"} for number in range(4)]
    made = linked_leads(world, *rows)
    brake = {name: {"count": 1, "share": 0.0} for name in ("deletes", "overwrites")}
    world.configure({"policies": {"brake": brake}})
    world.reopen()
    return made[:3]


def approve_all(world: World) -> None:
    for plan in Outbox(world.engine.store).held().to_pylist():
        world.run(approve=plan["plan_hash"])
    world.settle()


def titles(world: World, pairs: Pairs) -> list[object]:
    return [column(world, "lead", lead, "jobtitle") for _, lead in pairs]


def test_a_further_edit_of_a_held_person_approves_nothing_and_stays_under_the_same_plan(
    world: World, pairs: Pairs
) -> None:
    for person, _ in pairs:
        world.edit_person(person, title="new")
    world.settle()
    (before,) = Outbox(world.engine.store).held().to_pylist()
    world.edit_person(pairs[0][0], city="Lund", unsubscribed=True)
    world.settle()
    assert titles(world, pairs) == ["old"] * 3
    assert column(world, "lead", pairs[0][1], "donotbulkemail") is True  # consent waits for nobody
    (after,) = Outbox(world.engine.store).held().to_pylist()
    assert (after["plan_hash"], after["links"]) == (before["plan_hash"], 3)
    approve_all(world)
    assert titles(world, pairs) == ["new"] * 3
    assert column(world, "lead", pairs[0][1], "address1_city") == "Lund"


def test_a_held_value_that_is_taken_back_is_not_written_on_approval(world: World, pairs: Pairs) -> None:
    for person, _ in pairs:
        world.edit_person(person, title="new")
    world.settle()
    world.edit_person(pairs[0][0], title="old")
    world.settle()
    approve_all(world)
    assert titles(world, pairs) == ["old", "new", "new"]


def test_held_deletions_stay_held_when_they_are_found_again_one_by_one(world: World, pairs: Pairs) -> None:
    for _, lead in pairs:
        world.delete_row("lead", lead)
    world.settle()
    world.edit_person(pairs[0][0], city="Lund")
    world.dynamics.control("age_delta_tokens", {"entity": "lead"})
    world.settle()
    assert [shown(world, person, "microsoftIsDeleted") for person, _ in pairs] == [False] * 3
    approve_all(world)
    assert [shown(world, person, "microsoftIsDeleted") for person, _ in pairs] == [True] * 3
    assert Outbox(world.engine.store).held().num_rows == 0


def hold(world: World, pairs: Pairs) -> str:
    for person, _ in pairs:
        world.edit_person(person, title="new")
    world.settle()
    (plan,) = Outbox(world.engine.store).held().to_pylist()
    return str(plan["plan_hash"])


def test_a_plan_that_is_not_approved_is_parked_and_neither_cycles_nor_edits_of_other_fields_write_it(
    world: World, pairs: Pairs
) -> None:
    plan_hash = hold(world, pairs)
    (asked,) = to_ask(world.engine.store)
    assert (asked["plan_hash"], to_ask(world.engine.store)) == (plan_hash, [asked])
    assert park(world.engine.store, plan_hash, UNANSWERED) == 3
    assert to_ask(world.engine.store) == []
    world.edit_person(pairs[0][0], city="Lund")
    world.edit_person(pairs[1][0], title="newer")
    world.settle()
    assert titles(world, pairs) == ["old", "newer", "old"]  # another value is another decision
    outbox = Outbox(world.engine.store)
    (parked,) = outbox.parked_plans().to_pylist()
    assert (parked["plan_hash"], parked["code"], parked["links"], plan_hash in parked["message"]) == (
        plan_hash, UNANSWERED, 2, True
    )  # fmt: skip
    assert outbox.held().num_rows == 0
    with pytest.raises(NotHeld, match="waits no more"):
        park(world.engine.store, plan_hash)
    world.run(approve=plan_hash)  # changed their mind
    world.settle()
    assert titles(world, pairs) == ["new", "newer", "new"]
    assert outbox.parked_plans().num_rows == 0


def test_a_plan_that_newer_ones_replaced_can_no_longer_be_approved_and_the_same_plan_is_asked_about_anew(
    world: World, pairs: Pairs
) -> None:
    plan_hash = hold(world, pairs)
    (first,) = to_ask(world.engine.store)
    about = describe(world.engine.store, plan_hash)
    assert (about["operations"], about["links"]) == (3, 3)
    assert about["fields"] == {("lead", "outbound", "title"): 3}
    for person, _ in pairs:
        world.edit_person(person, title="old")
    world.settle()
    for refused in (approve, park, describe):
        with pytest.raises(NotHeld, match="nothing was changed"):
            refused(world.engine.store, plan_hash)
    assert hold(world, pairs) == plan_hash
    assert to_ask(world.engine.store)[0]["since"] > first["since"]  # under another name than the answered question
    approve(world.engine.store, plan_hash)
    with pytest.raises(NotHeld):
        approve(world.engine.store, plan_hash)
    world.settle()
    assert titles(world, pairs) == ["new"] * 3
