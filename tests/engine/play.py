"""Linked pairs to play with."""

from __future__ import annotations

import atexit
import json
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.world import World

_LEAD = {"subject": "Web form", "firstname": "Ann", "lastname": "Ax", "emailaddress1": "ann@example.com"}
_CONTACT = {"firstname": "Bo", "lastname": "Berg", "emailaddress1": "bo@example.com"}
_LINKED: dict[str, tuple[Path, int, list[tuple[int, str]]]] = {}
"""Worlds in which these pairs were linked: copied, for a cycle takes longer than most tests."""


def linked_lead(world: World, **values: object) -> tuple[int, str]:
    """A lead made in Dynamics and brought to Marketo by the sync: (person, lead)."""
    (pair,) = linked_leads(world, values)
    return pair


def linked_leads(world: World, *leads: Mapping[str, object]) -> list[tuple[int, str]]:
    """Several at once: a cycle costs the same for one as for ten."""
    return linked_rows(world, *(("lead", {**_LEAD, **values}) for values in leads))


def linked_contact(world: World, **values: object) -> tuple[int, str]:
    """A contact made in Dynamics and brought to Marketo by the sync: (person, contact)."""
    (pair,) = linked_rows(world, ("contact", {**_CONTACT, **values}))
    return pair


def linked_rows(world: World, *rows: tuple[str, Mapping[str, object]]) -> list[tuple[int, str]]:
    """CRM records (entity, values) linked by the sync itself: (person, record) of each.

    Where nothing has happened in the world before, at most once per process.
    """
    if not world.untouched:
        return _link(world, rows)
    key = json.dumps([world.config.read_text("utf-8"), rows], sort_keys=True)
    if key in _LINKED:
        folder, runs, pairs = _LINKED[key]
        world.become(folder, runs)
    else:
        pairs = _link(world, rows)
        folder = Path(tempfile.mkdtemp(prefix="leadsync-linked-")) / "world"
        atexit.register(shutil.rmtree, folder.parent, ignore_errors=True)
        world.copy_to(folder)
        _LINKED[key] = (folder, world.runs, pairs)
    return list(pairs)


def _link(world: World, rows: Sequence[tuple[str, Mapping[str, object]]]) -> list[tuple[int, str]]:
    records = [world.add_row(entity, **row) for entity, row in rows]
    world.settle()
    return [(person["id"], record) for record in records for person in world.persons_by("microsoftId", record)]


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
