"""Records that are deleted, restored and changed again are treated as often as it happens (R75, R77, D47, D48)."""

from __future__ import annotations

from tests.engine.play import linked_lead, shown
from tests.world import World


def test_a_lead_deleted_and_restored_again_and_again_is_flagged_and_unflagged_each_time(world: World) -> None:
    person, lead = linked_lead(world)
    for _ in range(3):
        world.delete_row("lead", lead)
        world.settle()
        assert shown(world, person, "microsoftIsDeleted") is True
        world.add_row("lead", leadid=lead, subject="Web form", lastname="Ax", emailaddress1="ann@example.com")
        world.settle()
        assert shown(world, person, "microsoftIsDeleted") is False
    assert len(world.persons_by("microsoftId", lead)) == 1


def test_a_person_is_made_anew_even_when_the_record_says_word_for_word_the_same(world: World) -> None:
    person, lead = linked_lead(world)
    world.delete_person(person)
    world.settle()
    world.edit_row("lead", lead, websiteurl="https://not-mapped.example")
    world.settle()
    (again,) = world.persons_by("microsoftId", lead)
    assert again["id"] != person
