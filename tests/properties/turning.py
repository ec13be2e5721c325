"""Conversions, merges and restores in a random history, with edits on their way, and what the model expects of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tests.properties.histories import Pair, kinds
from tests.properties.playing import History


def qualify(history: History) -> None:
    """A lead becomes a contact: same person, and what it had just changed goes along."""
    pair = _one(history, "lead")
    expected = _edited(history, pair, "contact")
    made = history.world.dynamics.control("qualify_lead", {"id": pair.row, "create_account": False})["created"]
    history.tell(f"qualified lead {pair.row} of {pair.person} into {made['contact']}", "converted")
    history.rows["contact"] += 1
    _goes_on(history, pair, "contact", made["contact"], expected)


def merge_rows(history: History) -> None:
    """Two records become one: its person goes on, the other one says where its record went."""
    winner = history.dice.choice(history.pairs)
    rivals = [pair for pair in history.pairs if pair.entity == winner.entity and pair is not winner]
    loser = history.dice.choice(rivals) if rivals else _new(history, winner.entity)
    expected = _edited(history, winner, winner.entity)
    rows = {"entity": winner.entity, "target": winner.row, "subordinate": loser.row}
    history.world.dynamics.control("merge_rows", rows)
    history.tell(f"merged {loser.entity} {loser.row} of {loser.person} into {winner.row} of {winner.person}", "merged")
    history.pairs.remove(loser)
    _goes_on(history, winner, winner.entity, winner.row, expected)
    person = history.world.person(loser.person, "microsoftIsDeleted", "microsoftMergedInto")
    assert person is not None
    assert (person["microsoftIsDeleted"], person["microsoftMergedInto"]) == (True, winner.row)


def merge_persons(history: History) -> None:
    """A linked person goes up in one without a record: the record is that person's now, and takes its values."""
    pair = history.dice.choice(history.pairs)
    mine = [kind for kind in kinds(pair.entity) if not kind.consent]
    values = {kind.person: kind.make(history.dice, history.next()) for kind in mine}
    survivor = history.world.add_person(**values)
    history.world._marketo("POST", f"/rest/v1/leads/{survivor}/merge.json", f"leadId={pair.person}")
    history.tell(f"merged person {pair.person} of {pair.entity} {pair.row} into {survivor}", "merged")
    pair.person = survivor
    given = {kind.person: kind.plain(values[kind.person]) for kind in mine}
    _goes_on(history, pair, pair.entity, pair.row, {name: value for name, value in given.items() if value is not None})


def restore(history: History) -> None:
    """A record is deleted and comes back under its own id: the same person has it."""
    pair = history.dice.choice(history.pairs)
    history.world.delete_row(pair.entity, pair.row)
    history.settle()
    mine = kinds(pair.entity)
    values = {kind.row: kind.for_row(kind.make(history.dice, history.next())) for kind in mine}
    history.world.add_row(pair.entity, **{f"{pair.entity}id": pair.row}, **values)
    history.tell(f"restored {pair.entity} {pair.row} of {pair.person}", "restored")
    _goes_on(history, pair, pair.entity, pair.row, {})


TURNS: tuple[Callable[[History], None], ...] = (qualify, merge_rows, merge_persons, restore)


def turn(history: History, number: int) -> None:
    """One of them, after all that is wrong was put right."""
    history.repair()
    TURNS[number % len(TURNS)](history)


def _one(history: History, entity: str) -> Pair:
    found = [pair for pair in history.pairs if pair.entity == entity]
    return history.dice.choice(found) if found else _new(history, entity)


def _new(history: History, entity: str) -> Pair:
    while history.pairs[-1].entity != entity or history.pairs[-1].blocked:
        history.new_row()
    return history.pairs[-1]


def _edited(history: History, pair: Pair, entity: str) -> dict[str, Any]:
    """Edits of the person that are on their way: field → what must arrive."""
    mine = [kind for kind in kinds(entity) if not kind.consent]
    chosen = history.dice.sample(mine, history.dice.randint(0, 3))
    return {kind.person: history.edit_field(pair, kind, True, bad=False)[2] for kind in chosen}


def _goes_on(history: History, pair: Pair, entity: str, row: str, expected: dict[str, Any]) -> None:
    """The pair has this record now; both sides are equal and show what was on its way."""
    pair.entity, pair.row, pair.cells = entity, row, {}
    history.settle()
    history.read(pair)
    shown = history.world.person(pair.person, "microsoftId", "microsoftType", "microsoftIsDeleted")
    assert shown is not None
    kept = (shown["microsoftId"], shown["microsoftType"], shown["microsoftIsDeleted"])
    assert kept == (row, entity.capitalize(), False)
    for name, value in expected.items():
        assert pair.cells[name].base == value, f"{name} of {pair.person}: {pair.cells[name].base!r}, not {value!r}"
