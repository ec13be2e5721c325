"""CRM records that are new to the sync: whose they are, where their person goes (R31, R83-R88, D13-D20)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.engine.lifecycle import Scene
from tests.engine.play import shown
from tests.engine.together import Story, together
from tests.world import World

ADDRESS = "mia@example.com"
EU = {"column": "address1_country", "operator": "one_of", "values": ["Germany"]}


@contextmanager
def a_world(folder: Path, **creation: Any) -> Iterator[World]:
    with World(folder, {"creation": creation}) as world:
        yield world


def lead(world: World, email: str | None = ADDRESS, **values: Any) -> str:
    return world.add_row("lead", lastname="Berg", emailaddress1=email, **{"subject": "Fair", **values})


def record(scene: Scene, entity: str, name: str = "mia", **values: Any) -> str:
    return scene.add_row(entity, lastname="Berg", emailaddress1=scene.address(name), **values)


def carries(scene: Scene, person: int) -> str | None:
    """The Microsoft Id that a person shows."""
    found: str | None = shown(scene.world, person, "microsoftId")  # type: ignore[assignment]
    return found


def add_filter(world: World) -> None:
    """Contacts may be kept out."""
    column = {"entity": "contact", "attribute": "new_synctomkto", "type": "Boolean", "default": "true"}
    world.dynamics.control("add_attribute", column)


def codes(world: World, *, open_only: bool = False) -> list[tuple[str, str]]:
    return [(row["code"], row["rule"]) for row in world.activities(open_only=open_only)]


@pytest.mark.parametrize(("entity", "said"), [("lead", "Lead"), ("contact", "Contact")])
@together(pairs=False, before=add_filter)
def test_a_new_record_gets_a_person_with_its_id_and_type(scene: Scene, entity: str, said: str) -> Story:
    row = record(scene, entity)  # R31
    yield
    person = scene.world.person(scene.person_of(row), "lastName", "microsoftType", "microsoftIsDeleted")
    assert person is not None
    assert (person["lastName"], person["microsoftType"], person["microsoftIsDeleted"]) == ("Berg", said, False)


@together(pairs=False, before=add_filter)
def test_one_unlinked_person_with_the_address_is_the_person(scene: Scene) -> Story:
    person = scene.add_person(email=scene.address("mia").upper(), lastName="Berg")  # D13
    row = record(scene, "lead")
    yield
    assert [found["id"] for found in scene.world.persons_by("email", scene.address("mia"))] == [person]
    assert carries(scene, person) == row


def test_the_parity_switch_gives_every_new_record_a_person_of_its_own(tmp_path: Path) -> None:
    with a_world(tmp_path, when_found="create") as world:  # D13, R32
        person = world.add_person(email=ADDRESS, lastName="Berg")
        row = lead(world)
        world.run()
        assert world.person(person)["microsoftId"] is None  # type: ignore[index]
        assert len(world.persons_by("email", ADDRESS)) == 2
        assert len(world.persons_by("microsoftId", row)) == 1


@together(pairs=False, before=add_filter)
def test_a_link_is_never_stolen_and_the_shared_address_is_told(scene: Scene) -> Story:
    first = record(scene, "lead")  # D14, D15, R84
    yield
    second = record(scene, "contact")
    yield
    persons = {each: scene.person_of(each) for each in (first, second)}
    assert len(set(persons.values())) == 2
    assert ("shared_address", "D14") in scene.said()
    assert scene.said(open_only=True) == []
    scene.world.edit_row("lead", first, jobtitle="CEO")
    yield
    assert shown(scene.world, persons[first], "title") == "CEO"
    assert shown(scene.world, persons[second], "title") is None


@pytest.mark.parametrize("kept_out", [False, True], ids=["arrives later", "is kept out by its filter"])
@together(pairs=False, before=add_filter)
def test_a_person_that_carries_the_id_of_another_record_is_not_taken_by_its_address(
    scene: Scene, *, kept_out: bool
) -> Story:
    first = record(scene, "lead")  # leads are looked at before contacts; D11, D14
    second = record(scene, "contact", new_synctomkto=not kept_out)
    kind = {"microsoftId": second, "microsoftType": "Contact"}
    person = scene.add_person(email=scene.address("mia"), lastName="Berg", **kind)
    yield
    assert carries(scene, person) == second
    assert scene.person_of(first) != person
    assert ("shared_address", "D14") in scene.said()


@together(pairs=False, before=add_filter)
def test_an_id_that_leads_nowhere_or_to_the_lead_of_a_contact_binds_nobody_else(scene: Scene) -> Story:
    world, address = scene.world, scene.address("q")
    qualified = record(scene, "lead", "q")  # D47, R67
    contact = scene.qualify(qualified)
    carrier = scene.add_person(email=address, lastName="Q", microsoftId=qualified, microsoftType="Lead")
    nowhere = "00000000-1111-2222-3333-444444444444"
    gone = scene.add_person(email=scene.address("mia"), lastName="Berg", microsoftId=nowhere)
    row = record(scene, "lead")
    yield
    assert carries(scene, gone) == row
    assert carries(scene, carrier) == contact
    assert len(world.persons_by("email", address)) == len(world.persons_by("email", scene.address("mia"))) == 1


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


@together(pairs=False, before=add_filter)
def test_ten_records_with_one_address_are_ten_persons(scene: Scene) -> Story:
    rows = [record(scene, entity, firstname=f"M{n}") for entity in ("lead", "contact") for n in range(5)]  # R84
    yield
    assert len({scene.person_of(row) for row in rows}) == 10
    assert len(scene.world.persons_by("email", scene.address("mia"))) == 10


@together(pairs=False, before=add_filter)
def test_an_id_that_two_persons_carry_makes_no_third_one(scene: Scene) -> Story:
    row = record(scene, "lead")  # D11
    for _ in range(2):
        scene.add_person(email=scene.address("other"), lastName="Berg", microsoftId=row)
    yield
    assert scene.said(open_only=True) == [("several_carry_id", "D11")]
    assert len(scene.world.persons_by("microsoftId", row)) == 2


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


@together(pairs=False, before=add_filter)
def test_an_address_changed_to_that_of_another_person_is_applied_and_told(scene: Scene) -> Story:
    row = record(scene, "lead", "old")  # D17, R83
    yield
    person, address = scene.person_of(row), scene.address("mia")
    scene.add_person(email=address, lastName="Somebody else")
    scene.world.edit_row("lead", row, emailaddress1=address)
    yield
    assert (shown(scene.world, person, "email"), carries(scene, person)) == (address, row)
    told = [each for each in scene.activities() if each["code"] == "shared_address"]
    assert [(each["rule"], each["person_id"], each["open"]) for each in told] == [("D17", person, False)]


def add_partitions(world: World) -> None:
    for name in ("EU", "World"):
        world.marketo.control("create_partition", {"name": name})


PARTITIONS = {"partitions": [{"partition": "EU", "lead": [EU]}], "default_partition": "World"}


def partition_of(scene: Scene, row: str) -> str:
    """The name of the partition that the person of a record is in."""
    partitions = scene.world._marketo("GET", "/rest/v1/leads/partitions.json")["result"]
    names: dict[object, str] = {each["id"]: each["name"] for each in partitions}
    return names[shown(scene.world, scene.person_of(row), "leadPartitionId")]


@together(pairs=False, before=add_partitions, creation=PARTITIONS)
def test_a_rule_says_into_which_partition_a_new_person_goes(scene: Scene) -> Story:
    german = record(scene, "lead", address1_country="Germany")  # D20
    others = [record(scene, "lead", "else", address1_country="Peru")]
    others += [record(scene, "contact", "c", address1_country="Germany")]
    yield
    assert [partition_of(scene, row) for row in (german, *others)] == ["EU", "World", "World"]
    scene.world.edit_row("lead", german, address1_country="Peru")  # an existing person is never moved
    yield
    assert partition_of(scene, german) == "EU"


@together(pairs=False, before=add_partitions, creation=PARTITIONS)
def test_a_person_of_another_partition_is_no_match(scene: Scene) -> Story:
    elsewhere = scene.add_person(email=scene.address("mia"), lastName="Berg")  # D20, R88
    row = record(scene, "lead", address1_country="Germany")
    yield
    assert scene.person_of(row) != elsewhere
    assert partition_of(scene, row) == "EU"


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
