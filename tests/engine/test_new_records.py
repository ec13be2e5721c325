"""CRM records that are new to the sync: whose they are, where their person goes (R31, R83-R88, D13-D20)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.world import World

ADDRESS = "mia@example.com"
EU = {"column": "address1_country", "operator": "one_of", "values": ["Germany"]}


@contextmanager
def a_world(folder: Path, **creation: Any) -> Iterator[World]:
    with World(folder, {"creation": creation}) as world:
        yield world


def lead(world: World, email: str | None = ADDRESS, **values: Any) -> str:
    return world.add_row("lead", lastname="Berg", emailaddress1=email, **{"subject": "Fair", **values})


def codes(world: World, *, open_only: bool = False) -> list[tuple[str, str]]:
    return [(row["code"], row["rule"]) for row in world.activities(open_only=open_only)]


@pytest.mark.parametrize(("entity", "said"), [("lead", "Lead"), ("contact", "Contact")])
def test_a_new_record_gets_a_person_with_its_id_and_type(world: World, entity: str, said: str) -> None:
    values = {"subject": "Fair"} if entity == "lead" else {}
    row = world.add_row(entity, lastname="Berg", emailaddress1=ADDRESS, **values)  # R31
    world.run()
    (person,) = world.persons_by("microsoftId", row)
    shown = world.person(person["id"], "lastName", "microsoftType", "microsoftIsDeleted")
    assert shown is not None
    assert (shown["lastName"], shown["microsoftType"], shown["microsoftIsDeleted"]) == ("Berg", said, False)


def test_one_unlinked_person_with_the_address_is_the_person(world: World) -> None:
    person = world.add_person(email=ADDRESS.upper(), lastName="Berg")  # D13
    row = lead(world)
    world.run()
    assert [found["id"] for found in world.persons_by("email", ADDRESS)] == [person]
    assert world.person(person)["microsoftId"] == row  # type: ignore[index]


def test_the_parity_switch_gives_every_new_record_a_person_of_its_own(tmp_path: Path) -> None:
    with a_world(tmp_path, when_found="create") as world:  # D13, R32
        person = world.add_person(email=ADDRESS, lastName="Berg")
        row = lead(world)
        world.run()
        assert world.person(person)["microsoftId"] is None  # type: ignore[index]
        assert len(world.persons_by("email", ADDRESS)) == 2
        assert len(world.persons_by("microsoftId", row)) == 1


def test_a_link_is_never_stolen_and_the_shared_address_is_told(world: World) -> None:
    first = lead(world)  # D14, D15, R84
    world.run()
    second = world.add_row("contact", lastname="Berg", emailaddress1=ADDRESS)
    world.run()
    persons = {each: world.persons_by("microsoftId", each)[0]["id"] for each in (first, second)}
    assert len(set(persons.values())) == 2
    assert ("shared_address", "D14") in codes(world)
    assert codes(world, open_only=True) == []
    world.edit_row("lead", first, jobtitle="CEO")
    world.settle()
    assert world.person(persons[first], "title")["title"] == "CEO"  # type: ignore[index]
    assert world.person(persons[second], "title")["title"] is None  # type: ignore[index]


@pytest.mark.parametrize("kept_out", [False, True], ids=["arrives later", "is kept out by its filter"])
def test_a_person_that_carries_the_id_of_another_record_is_not_taken_by_its_address(
    world: World, *, kept_out: bool
) -> None:
    column = {"entity": "contact", "attribute": "new_synctomkto", "type": "Boolean"}
    world.dynamics.control("add_attribute", column)
    first = lead(world)  # leads are looked at before contacts; D11, D14
    second = world.add_row("contact", lastname="Berg", emailaddress1=ADDRESS, new_synctomkto=not kept_out)
    person = world.add_person(email=ADDRESS, lastName="Berg", microsoftId=second, microsoftType="Contact")
    world.run()
    assert world.person(person)["microsoftId"] == second  # type: ignore[index]
    (made,) = world.persons_by("microsoftId", first)
    assert made["id"] != person
    assert ("shared_address", "D14") in codes(world)


def test_an_id_that_leads_nowhere_or_to_the_lead_of_a_contact_binds_nobody_else(world: World) -> None:
    qualified = lead(world, "q@example.com")  # D47, R67
    status, _ = world._dynamics(
        "POST",
        f"leads({qualified})/Microsoft.Dynamics.CRM.QualifyLead",
        "",
        {"CreateAccount": False, "CreateContact": True, "CreateOpportunity": False, "Status": -1},
    )
    assert status == 200
    carrier = world.add_person(email="q@example.com", lastName="Q", microsoftId=qualified, microsoftType="Lead")
    gone = world.add_person(email=ADDRESS, lastName="Berg", microsoftId="00000000-1111-2222-3333-444444444444")
    row = lead(world)
    world.settle()
    (contact,) = world.rows("contact")
    assert world.person(gone)["microsoftId"] == row  # type: ignore[index]
    assert world.person(carrier)["microsoftId"] == contact["contactid"]  # type: ignore[index]
    assert len(world.persons_by("email", "q@example.com")) == len(world.persons_by("email", ADDRESS)) == 1


def test_ten_persons_with_one_address_hold_the_record_until_somebody_says_which(world: World) -> None:
    persons = [world.add_person(email=ADDRESS, lastName=f"Berg {n}") for n in range(10)]  # D13
    row = lead(world)
    world.run()
    (held,) = world.activities(open_only=True)
    assert (held["code"], held["rule"], held["crm_id"]) == ("several_candidates", "D13", row)
    assert "write" in held["message"]
    assert len(world.persons_by("email", ADDRESS)) == 10
    world.edit_person(persons[3], microsoftId=row)  # the way out
    world.run()  # looked at again in the next cycle, then every hour
    assert codes(world, open_only=True) == []
    world.edit_row("lead", row, jobtitle="CEO")
    world.settle()
    assert [p for p in persons if world.person(p, "title")["title"] == "CEO"] == [persons[3]]  # type: ignore[index]


def test_ten_records_with_one_address_are_ten_persons(world: World) -> None:
    rows = [lead(world, firstname=f"M{n}") for n in range(5)]  # R84
    rows += [world.add_row("contact", lastname="Berg", emailaddress1=ADDRESS) for _ in range(5)]
    world.settle()
    persons = [world.persons_by("microsoftId", row) for row in rows]
    assert [len(found) for found in persons] == [1] * 10
    assert len({found[0]["id"] for found in persons}) == 10
    assert len(world.persons_by("email", ADDRESS)) == 10


def test_an_id_that_two_persons_carry_makes_no_third_one(world: World) -> None:
    row = lead(world)  # D11
    for _ in range(2):
        world.add_person(email="other@example.com", lastName="Berg", microsoftId=row)
    world.run()
    assert codes(world, open_only=True) == [("several_carry_id", "D11")]
    assert len(world.persons_by("microsoftId", row)) == 2


@pytest.mark.parametrize("required", [False, True])
def test_a_record_without_an_address_is_synced_unless_one_is_required(tmp_path: Path, *, required: bool) -> None:
    with a_world(tmp_path, require_email=required) as world:  # R87, D16
        row = lead(world, email=None)
        world.run()
        assert len(world.persons_by("microsoftId", row)) == (0 if required else 1)
        world.edit_row("lead", row, emailaddress1=ADDRESS)
        world.settle()
        assert len(world.persons_by("microsoftId", row)) == 1
        assert world.persons_by("microsoftId", row)[0]["email"] == ADDRESS


def test_an_address_changed_to_that_of_another_person_is_applied_and_told(world: World) -> None:
    row = lead(world, "old@example.com")  # D17, R83
    world.run()
    (person,) = world.persons_by("microsoftId", row)
    world.add_person(email=ADDRESS, lastName="Somebody else")
    world.edit_row("lead", row, emailaddress1=ADDRESS)
    world.settle()
    assert world.person(person["id"])["email"] == ADDRESS  # type: ignore[index]
    assert world.person(person["id"])["microsoftId"] == row  # type: ignore[index]
    told = [each for each in world.activities() if each["code"] == "shared_address"]
    assert [(each["rule"], each["person_id"], each["open"]) for each in told] == [("D17", person["id"], False)]


PARTITIONS = {"partitions": [{"partition": "EU", "lead": [EU]}], "default_partition": "World"}


def partitions(world: World) -> dict[str, int]:
    return {name: world.marketo.control("create_partition", {"name": name})["id"] for name in ("EU", "World")}


def test_a_rule_says_into_which_partition_a_new_person_goes(tmp_path: Path) -> None:
    with a_world(tmp_path, **PARTITIONS) as world:  # D20
        ids = partitions(world)
        german = lead(world, address1_country="Germany")
        other = lead(world, "else@example.com", address1_country="Peru")
        contact = world.add_row("contact", lastname="Berg", emailaddress1="c@example.com", address1_country="Germany")
        world.run()
        placed = {}
        for row in (german, other, contact):
            person = world.persons_by("microsoftId", row)[0]["id"]
            placed[row] = world.person(person, "leadPartitionId")["leadPartitionId"]  # type: ignore[index]
        assert placed == {german: ids["EU"], other: ids["World"], contact: ids["World"]}
        world.edit_row("lead", german, address1_country="Peru")  # an existing person is never moved
        world.settle()
        (person,) = world.persons_by("microsoftId", german)
        assert world.person(person["id"], "leadPartitionId")["leadPartitionId"] == ids["EU"]  # type: ignore[index]


def test_a_person_of_another_partition_is_no_match(tmp_path: Path) -> None:
    with a_world(tmp_path, **PARTITIONS) as world:  # D20, R88
        ids = partitions(world)
        elsewhere = world.add_person(email=ADDRESS, lastName="Berg")
        row = lead(world, address1_country="Germany")
        world.run()
        (made,) = world.persons_by("microsoftId", row)
        assert made["id"] != elsewhere
        assert world.person(made["id"], "leadPartitionId")["leadPartitionId"] == ids["EU"]  # type: ignore[index]


def test_a_partition_that_marketo_lacks_holds_the_record(tmp_path: Path) -> None:
    with a_world(tmp_path, default_partition="Nowhere") as world:  # D20
        row = lead(world)
        world.run()
        assert codes(world, open_only=True) == [("partition_unknown", "D20")]
        world.marketo.control("create_partition", {"name": "Nowhere"})
        world.movable.advance(3600)
        world.run()
        assert len(world.persons_by("microsoftId", row)) == 1
        assert codes(world, open_only=True) == []
