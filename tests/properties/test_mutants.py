"""An engine with one rule broken does not get through: histories and races are proofs that can fail (DECISIONS 32).

`MUTANTS=all` breaks every rule that is listed, `MUTANTS_SEED=17` plays other histories.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from include.leadsync import merge
from include.leadsync.clients.dynamics import RowWrite
from include.leadsync.link import fates, step
from include.leadsync.link.by_email import ByEmail, Matches
from include.leadsync.link.frames import events
from include.leadsync.load import outbound
from include.leadsync.model import Entity, FieldMap, System
from include.leadsync.plan import concurrent
from tests.properties.histories import play, written
from tests.properties.racing import EDITS, Race, Racer
from tests.properties.stage import Wrong, open_world

SEED = int(os.environ.get("MUTANTS_SEED", "1"))
Break = Callable[[pytest.MonkeyPatch], None]


def winners_swapped(patch: pytest.MonkeyPatch) -> None:
    swapped = {Entity.LEAD: (System.DYNAMICS, "R40"), Entity.CONTACT: (System.MARKETO, "R41")}
    patch.setattr(merge, "_BY_TYPE", swapped)


def last_one_read_wins(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(merge, "_BY_TYPE", dict.fromkeys(Entity, (System.DYNAMICS, "R41")))


def nothing_is_cleared(patch: pytest.MonkeyPatch) -> None:
    right = merge._verdict

    def wrong(*given: Any) -> tuple[pl.Expr, pl.Expr]:
        direction, rule = right(*given)
        clears = ((direction == "outbound") & pl.col("person").is_null()) | (
            (direction == "inbound") & pl.col("crm").is_null()
        )
        return pl.when(clears).then(None).otherwise(direction), rule

    patch.setattr(merge, "_verdict", wrong)


def conversions_are_not_followed(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(fates, "resolve", lambda *_: ([], []))


def deletions_are_not_flagged(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(step, "removed_rows", lambda *_: events([]))


def addresses_are_not_looked_for(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(ByEmail, "match", lambda *_: Matches())


def versions_are_not_compared(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(outbound, "RowWrite", lambda **given: RowWrite(**{**given, "etag": None}))


def overwritten_edits_are_forgotten(patch: pytest.MonkeyPatch) -> None:
    right = concurrent.restored_edits

    def wrong(pairs: pl.DataFrame, overwritten: pl.DataFrame, field_map: FieldMap) -> tuple[pl.DataFrame, pl.DataFrame]:
        return right(pairs, overwritten.clear(), field_map)

    patch.setattr("include.leadsync.plan.deciding.restored_edits", wrong)


IN_HISTORIES: list[Break] = [
    winners_swapped, nothing_is_cleared, last_one_read_wins, conversions_are_not_followed, deletions_are_not_flagged,
    addresses_are_not_looked_for,
]  # fmt: skip
IN_RACES: list[Break] = [versions_are_not_compared, overwritten_edits_are_forgotten]
if os.environ.get("MUTANTS") != "all":
    IN_HISTORIES, IN_RACES = IN_HISTORIES[:1], IN_RACES[:1]


@pytest.mark.parametrize("broken", IN_HISTORIES)
def test_histories_do_not_end_as_the_model_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, broken: Break) -> None:
    broken(monkeypatch)
    scripts = [written(SEED, number, 1) for number in range(150)]
    with pytest.raises(Wrong):
        play(tmp_path, scripts)


@pytest.mark.parametrize("broken", IN_RACES)
def test_races_are_lost(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, broken: Break) -> None:
    with open_world(tmp_path) as world:
        race = Race(world, [Racer(*case, position) for position in range(15) for case in EDITS])
        race.prepare()
        broken(monkeypatch)
        race.run()
        assert list(race.wrong())
