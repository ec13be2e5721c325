"""A loader that falls asleep with a batch in hand does not send it when it wakes up (P2, DECISIONS 13)."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pytest
import sqlalchemy as sa

from include.leadsync.context import RunRequest
from include.leadsync.cycle import run_cycle
from include.leadsync.errors import LeaseLost
from include.leadsync.state import Outbox
from tests.engine.play import column, linked_lead, shown
from tests.world import World


@pytest.mark.parametrize(("side", "seconds"), [("dynamics", 120), ("marketo", 120), ("dynamics", 1)])
def test_what_others_wrote_meanwhile_stays(
    world: World, monkeypatch: pytest.MonkeyPatch, side: str, seconds: int
) -> None:
    person, lead = linked_lead(world)
    claim = Outbox.claim

    def edit(value: str) -> None:
        if side == "dynamics":
            world.edit_row("lead", lead, jobtitle=value)
        else:
            world.edit_person(person, title=value)

    def claim_and_sleep(outbox: Outbox, *given: Any) -> pa.Table:
        claimed = claim(outbox, *given)
        if claimed.num_rows:
            monkeypatch.setattr(Outbox, "claim", claim)
            world.movable.advance(seconds)
            with world.engine.store.begin() as tx:  # its lease has ended for others, whose clocks may be ahead of ours
                tx.execute(sa.text("UPDATE lease SET expires_at = 1"))
            for number, value in enumerate(("old", "new")):
                edit(value)
                world.movable.advance(min(seconds, 30))
                with world.open_engine() as engine:
                    assert run_cycle(engine, RunRequest(f"20260301T10000{number}Z-other0"))["outcome"] == "done"
            world.transport.log.clear()
        return claimed

    edit("old")
    monkeypatch.setattr(Outbox, "claim", claim_and_sleep)
    with pytest.raises(LeaseLost):
        world.run()
    assert world.transport.log == []
    assert (shown(world, person, "title"), column(world, "lead", lead, "jobtitle")) == ("new", "new")
    assert world.settle() == 1
    assert (shown(world, person, "title"), column(world, "lead", lead, "jobtitle")) == ("new", "new")


def test_a_batch_that_takes_longer_than_the_lease_keeps_it(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    person, lead = linked_lead(world)
    world.edit_row("lead", lead, jobtitle="slow")
    claim = Outbox.claim

    def claim_slowly(outbox: Outbox, *given: Any) -> pa.Table:
        world.movable.advance(50)
        return claim(outbox, *given)

    monkeypatch.setattr(Outbox, "claim", claim_slowly)
    assert world.run()["outcome"] == "done"
    assert shown(world, person, "title") == "slow"
