"""Linked pairs to play with."""

from __future__ import annotations

from tests.world import World


def linked_lead(world: World, **values: object) -> tuple[int, str]:
    """A lead made in Dynamics and brought to Marketo by the sync: (person, lead)."""
    row = {"subject": "Web form", "firstname": "Ann", "lastname": "Ax", "emailaddress1": "ann@example.com", **values}
    lead = world.add_row("lead", **row)
    world.settle()
    (person,) = world.persons_by("microsoftId", lead)
    return person["id"], lead


def linked_contact(world: World, **values: object) -> tuple[int, str]:
    """A contact made in Dynamics and brought to Marketo by the sync: (person, contact)."""
    row = {"firstname": "Bo", "lastname": "Berg", "emailaddress1": "bo@example.com", **values}
    contact = world.add_row("contact", **row)
    world.settle()
    (person,) = world.persons_by("microsoftId", contact)
    return person["id"], contact


def column(world: World, entity: str, row_id: str, name: str) -> object:
    """One column of a CRM record that must exist."""
    row = world.row(entity, row_id)
    assert row is not None
    return row[name]


def shown(world: World, person_id: int, name: str) -> object:
    """One field of a person that must exist."""
    person = world.person(person_id, name)
    assert person is not None
    return person[name]
