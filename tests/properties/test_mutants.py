"""An engine with one rule broken does not get through: histories, races and kills can fail (DECISIONS 32).

`MUTANTS=all` breaks every rule that is listed, `MUTANTS_SEED=17` plays other histories.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from include.leadsync import judge, merge
from include.leadsync.clients.dynamics import RowWrite
from include.leadsync.enqueue.step import STREAMS, _Enqueue
from include.leadsync.link import fates, step
from include.leadsync.link.by_email import ByEmail, Matches
from include.leadsync.link.candidates import Candidate, Candidates
from include.leadsync.link.frames import events
from include.leadsync.load import outbound
from include.leadsync.model import Entity, FieldMap, System
from include.leadsync.plan import concurrent
from include.leadsync.state.errors import LinkTaken
from tests.faults.images import Images
from tests.faults.test_kills import assert_as_it_should_be, prepare
from tests.properties.histories import play, written
from tests.properties.racing import EDITS, Race, Racer
from tests.properties.stage import Wrong, open_world
from tests.world import World

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


def nothing_is_validated(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(judge, "_collected", lambda _: (pl.DataFrame(schema=judge.FAILURE_SCHEMA), []))


def persons_are_taken_from_their_records(patch: pytest.MonkeyPatch) -> None:
    right = ByEmail._decide

    def wrong(
        self: ByEmail, record: str, place: int | None, group: pl.DataFrame, _: set[int], matches: Matches
    ) -> None:
        right(self, record, place, group, set(), matches)

    patch.setattr(ByEmail, "_decide", wrong)


def records_are_taken_from_their_persons(patch: pytest.MonkeyPatch) -> None:
    right = Candidates._follow

    def wrong(self: Candidates, candidate: Candidate) -> Candidate | None:
        found = right(self, candidate)
        return found and replace(found, owner=None)

    patch.setattr(Candidates, "_follow", wrong)


def cursors_move_before_the_data(patch: pytest.MonkeyPatch) -> None:
    store, advance = _Enqueue.store, _Enqueue._advance_cursors

    def wrong(self: _Enqueue) -> object:
        with self._store.begin() as tx:
            advance(self, STREAMS, tx)
        return store(self)

    patch.setattr(_Enqueue, "store", wrong)
    patch.setattr(_Enqueue, "_advance_cursors", lambda *_: None)


def caught_by_histories(folder: Path, broken: Callable[[], None]) -> bool:
    """Histories do not end as the model says; what takes somebody's link away, the store refuses in the end."""
    broken()
    number = 150 if os.environ.get("MUTANTS") == "all" else 50
    try:
        play(folder, [written(SEED, each, 1) for each in range(number)])
    except (Wrong, LinkTaken):
        return True
    return False


def caught_by_races(folder: Path, broken: Callable[[], None]) -> bool:
    """Edits made between two requests are lost, or the wrong one wins."""
    with open_world(folder) as world:
        race = Race(world, [Racer(*case, position) for position in range(15) for case in EDITS])
        race.prepare()
        broken()
        race.run()
        return bool(list(race.wrong()))


def caught_by_kills(folder: Path, broken: Callable[[], None]) -> bool:
    """A run that dies at some moment loses something."""
    broken()
    images = Images(folder / "images")
    (folder / "world").mkdir()
    with World(prepare(folder / "world"), fresh=False) as world, images.taken_of(world):
        world.run()
    return any(_lost(image) for image in images.taken)


def _lost(image: Path) -> bool:
    with World(image, fresh=False) as world:
        world.movable.advance(120)
        world.settle()
        try:
            assert_as_it_should_be(world)
        except AssertionError:
            return True
    return False


MUTANTS: dict[Break, Callable[[Path, Callable[[], None]], bool]] = {
    winners_swapped: caught_by_histories,
    versions_are_not_compared: caught_by_races,
    nothing_is_cleared: caught_by_histories,
    last_one_read_wins: caught_by_histories,
    conversions_are_not_followed: caught_by_histories,
    deletions_are_not_flagged: caught_by_histories,
    addresses_are_not_looked_for: caught_by_histories,
    nothing_is_validated: caught_by_histories,
    persons_are_taken_from_their_records: caught_by_histories,
    records_are_taken_from_their_persons: caught_by_histories,
    overwritten_edits_are_forgotten: caught_by_races,
    cursors_move_before_the_data: caught_by_kills,
}
PLAYED = list(MUTANTS) if os.environ.get("MUTANTS") == "all" else [winners_swapped, versions_are_not_compared]


@pytest.mark.parametrize("broken", PLAYED)
def test_an_engine_with_one_rule_broken_is_caught(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, broken: Break
) -> None:
    assert MUTANTS[broken](tmp_path, lambda: broken(monkeypatch))
