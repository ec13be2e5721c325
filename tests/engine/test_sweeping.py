"""Calculated columns change without a word; a slow sweep catches up (D57, R106)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from include.leadsync.config import load_settings
from tests.engine.play import linked_lead, shown
from tests.world import World


def with_calculated_column(world: World, hours: int) -> None:
    """A column that nobody can write, mapped to the person's website."""
    fields: dict[str, Any] = load_settings(world.config).model_dump(mode="json", exclude_unset=True)["fields"]
    fields["lead"]["website"] = {"dynamics": "new_score", "type": "string", "direction": "inbound"}
    world.configure({"fields": fields, "backfill": {"sweep_hours": hours, "records_per_cycle": 1}})
    world.reopen()


def recalculate(world: World, lead: str, value: str) -> None:
    """Dynamics changes the column and nothing else: no version, no time of change, no row in any feed."""
    table = world.dynamics.schema.table("lead")
    with world.dynamics.storage.write() as transaction:
        path = f'$."{table.code("new_score")}"'
        changed = transaction.connection.execute(
            "UPDATE r_lead SET doc = json_set(doc, ?, ?) WHERE id = ?", (path, value, lead)
        )
        assert changed.rowcount == 1


@pytest.mark.parametrize("hours", [24, 0])
def test_a_calculated_column_is_swept_in_its_time(tmp_path: Path, hours: int) -> None:
    with World(tmp_path) as world:
        column = {"entity": "lead", "attribute": "new_score", "type": "String", "create": False, "update": False}
        world.dynamics.control("add_attribute", column)
        world.read_metadata()
        with_calculated_column(world, hours)
        pairs = [linked_lead(world, emailaddress1=f"p{number}@example.com") for number in range(3)]
        for _, lead in pairs:
            recalculate(world, lead, "A")
        world.settle()
        assert [shown(world, person, "website") for person, _ in pairs] == [None] * 3
        world.movable.advance(24 * 3600)
        for _ in range(4):  # one record in each cycle
            world.run()
        found = [shown(world, person, "website") for person, _ in pairs]
        assert found == (["A"] * 3 if hours else [None] * 3)
