"""One random history over both systems: what people do, what the model expects of it, and the checks."""

from __future__ import annotations

import random
from collections import Counter
from typing import Any

from include.leadsync.clients.transport import HttpRequest, HttpResponse
from include.leadsync.errors import LeadSyncError
from include.leadsync.requests import request_persons
from tests.properties.histories import KINDS, Cell, Kind, Lost, Pair, kinds
from tests.world import World
from tests.world_transport import ConnectionDropped


class History:
    """One game: what people do, what the model expects of it, and the checks."""

    def __init__(self, world: World, dice: random.Random) -> None:
        self.world, self.dice = world, dice
        self.pairs = [
            Pair(world.persons_by("microsoftId", row[f"{entity}id"])[0]["id"], entity, row[f"{entity}id"])
            for entity in ("lead", "contact")
            for row in world.rows(entity)
        ]
        for pair in self.pairs:
            self.read(pair)
        self.persons = len(self.pairs)
        self.rows = {"lead": 3, "contact": 3}
        self.number = 0
        self.story: list[str] = []
        self.happened: Counter[str] = Counter()

    def play(self, rounds: int) -> None:
        """The whole history."""
        for number in range(rounds):
            self.round(calm=number % 2 == 0)
        self.end()

    def next(self) -> int:
        self.number += 1
        return self.number

    def tell(self, text: str, what: str = "edit") -> None:
        self.story.append(text)
        self.happened[what] += 1

    # --- what the systems show --------------------------------------------------------------------

    def shown(self, pair: Pair) -> dict[str, tuple[str | None, str | None]]:
        """Field → (what the person means, what the CRM record means)."""
        mine = kinds(pair.entity)
        person = self.world.person(pair.person, *(kind.person for kind in mine))
        row = self.world.row(pair.entity, pair.row)
        assert person is not None
        assert row is not None
        return {k.person: (k.plain(person[k.person]), k.plain(row[k.row], label=True)) for k in mine}

    def read(self, pair: Pair) -> None:
        """Take over what both sides show as agreed; they must be equal (P1)."""
        for name, (person, row) in self.shown(pair).items():
            assert person == row, f"{pair.entity} {pair.row}: {name} is {person!r} in Marketo, {row!r} in Dynamics"
            pair.cells[name] = Cell(person, person, person)

    # --- what people do ---------------------------------------------------------------------------

    def edit(self, pair: Pair, *, bad: bool = True) -> tuple[Pair, str, str | None]:
        """One edit of one field on one side."""
        return self.edit_field(pair, self.dice.choice(kinds(pair.entity)), self.dice.random() < 0.5, bad=bad)

    def edit_field(self, pair: Pair, kind: Kind, in_marketo: bool, *, bad: bool) -> tuple[Pair, str, str | None]:
        """A new value of a field, now and then one that the other side cannot take."""
        wrong = kind.bad_in_dynamics if in_marketo else kind.bad_in_marketo
        is_bad = bad and bool(wrong) and self.dice.random() < 0.3
        self.happened["refused"] += is_bad
        value = self.dice.choice(wrong) if is_bad else kind.make(self.dice, self.next())
        if in_marketo:
            self.edit_person(pair, kind, value, bad=is_bad)
        else:
            self.edit_row(pair, kind, value, bad=is_bad)
        return pair, kind.person, kind.plain(value)

    def edit_person(self, pair: Pair, kind: Kind, value: Any, *, bad: bool = False) -> None:
        self.tell(f"person {pair.person}: {kind.person} = {str(value)[:40]!r}")
        self.world.edit_person(pair.person, **{kind.person: value})
        cell = pair.cells[kind.person]
        cell.person, cell.bad_outbound = kind.plain(value), bad

    def edit_row(self, pair: Pair, kind: Kind, value: Any, *, bad: bool = False) -> None:
        self.tell(f"{pair.entity} {pair.row[:8]} of {pair.person}: {kind.person} = {str(value)[:40]!r}")
        self.world.edit_row(pair.entity, pair.row, **{kind.row: value if bad else kind.for_row(value)})
        cell = pair.cells[kind.person]
        cell.row, cell.bad_inbound = kind.plain(value), bad

    # --- rounds -----------------------------------------------------------------------------------

    def round(self, *, calm: bool) -> None:
        """Some edits, and often a record that comes or goes."""
        if calm:
            self.calm_round()
        else:
            self.repair()
            self.wild_round()
        if self.dice.random() < 0.6:
            self.repair()
            self.dice.choice((self.new_row, self.new_request, self.delete_row, self.delete_person))()

    def calm_round(self) -> None:
        """Edits, then cycles: the model knows exactly what comes of it."""
        for _ in range(self.dice.randint(2, 12)):
            pair = self.dice.choice(self.pairs)
            self.edit(pair)
            if self.dice.random() < 0.4:  # both hands at one field
                kind = self.dice.choice(kinds(pair.entity))
                self.edit_field(pair, kind, True, bad=False)
                self.edit_field(pair, kind, False, bad=False)
        expected = [(pair, lost) for pair in self.pairs for lost in pair.cycle()]
        self.happened["collision"] += len(expected)
        self.settle()
        self.check_exactly(expected)

    def check_exactly(self, expected: list[tuple[Pair, Lost]]) -> None:
        for pair in self.pairs:
            for name, (person, row) in self.shown(pair).items():
                cell = pair.cells[name]
                assert (person, row) == (cell.person, cell.row), f"{pair.entity} of {pair.person}: {name}"
        for pair, lost in expected:
            rows = self.world.ledger(pair.person, lost.field)
            found = {(r["after"], r["lost"]) for r in rows if r["kind"] == "collision"}
            kind = next(kind for kind in KINDS if kind.person == lost.field)
            meant = {(kind.plain(after), kind.plain(gone)) for after, gone in found}
            assert (lost.winner, lost.loser) in meant, f"collision not in the ledger: {lost}, only {found}"
        for pair in self.pairs:
            said = {row["field"] for row in self.world.activities(open_only=True) if row["person_id"] == pair.person}
            for name, cell in pair.cells.items():
                if cell.person != cell.row and (cell.bad_outbound or cell.bad_inbound):
                    assert name in said, f"{name} of {pair.person} does not cross, and no open row says so"

    def wild_round(self) -> None:
        """Edits also in the middle of a cycle, connections that drop: nothing may be lost without a word."""
        edits = [self.edit(self.dice.choice(self.pairs), bad=False) for _ in range(self.dice.randint(1, 6))]
        plan = sorted(self.dice.sample(range(1, 16), self.dice.randint(1, 3)))
        drop_at = self.dice.randint(1, 10)
        seen = [0]
        dropped: list[str] = []

        def meanwhile(request: HttpRequest) -> None:
            seen[0] += 1
            if seen[0] in plan:
                self.tell(f"meanwhile, before {request.method} {request.url[:70]}", "meanwhile")
                edits.append(self.edit(self.dice.choice(self.pairs), bad=False))

        def drop(request: HttpRequest, response: HttpResponse) -> HttpResponse:
            is_write = request.method == "POST" and ("leads.json" in request.url or "$batch" in request.url)
            if is_write and seen[0] >= drop_at and not dropped:
                dropped.append(request.url)
                self.tell(f"dropped answer of {request.url[:70]}", "dropped")
                raise ConnectionDropped
            return response

        self.world.transport.before.append(meanwhile)
        if self.dice.random() < 0.6:
            self.world.transport.after.append(drop)
        self.cycle()
        self.world.transport.before.clear()
        self.world.transport.after.clear()
        self.settle()
        for pair in self.pairs:
            self.read(pair)
        self.check_nothing_lost(edits)

    def check_nothing_lost(self, edits: list[tuple[Pair, str, str | None]]) -> None:
        for pair, name, value in edits:
            kind = next(kind for kind in KINDS if kind.person == name)
            rows = self.world.ledger(pair.person, name)
            told = {kind.plain(text) for row in rows for text in (row["after"], row["lost"])} | {
                "false" if kind.consent else None
            }
            replaced = [v for p, n, v in edits if p is pair and n == name]  # the same hand may have typed again
            last = pair.cells[name].base
            assert value == last or value in told or len(replaced) > 1, f"{name} of {pair.person}: lost {value!r}"

    def repair(self) -> None:
        """Everything that cannot cross is put right; then all must be equal and no failure open."""
        for pair in self.pairs:
            for kind in kinds(pair.entity):
                cell = pair.cells[kind.person]
                if cell.bad_outbound:
                    self.edit_person(pair, kind, kind.for_row(cell.row) if kind.number else cell.row)
                if cell.bad_inbound:
                    self.edit_row(pair, kind, cell.person)
        for pair in self.pairs:
            pair.cycle()
        self.settle()
        for pair in self.pairs:
            self.read(pair)
        still = [(row["person_id"], row["field"], row["code"], row["message"]) for row in self.failures()]
        assert not still

    def failures(self) -> list[dict[str, Any]]:
        return [row for row in self.world.activities(open_only=True) if row["outcome"] == "failed"]

    def new_row(self) -> None:
        entity = self.dice.choice(("lead", "contact"))
        values = {kind.row: kind.for_row(kind.make(self.dice, self.next())) for kind in kinds(entity)}
        row = self.world.add_row(entity, **values)
        self.tell(f"new {entity} {row}", "new")
        self.settle()
        self.rows[entity] += 1
        self.persons += 1
        self.bind(entity, row)

    def new_request(self) -> None:
        entity = self.dice.choice(("lead", "contact"))
        values = {kind.person: kind.make(self.dice, self.next()) for kind in kinds(entity)}
        person = self.world.add_person(**values)
        self.tell(f"request for {person} as {entity}", "new")
        request_persons(self.world.engine, [person], entity, source="test", token=str(person))
        self.settle()
        self.rows[entity] += 1
        self.persons += 1
        found = self.world.person(person, "microsoftId")
        assert found is not None
        self.bind(entity, found["microsoftId"])

    def bind(self, entity: str, row: str) -> None:
        found = self.world.persons_by("microsoftId", row)
        assert len(found) == 1
        self.pairs.append(Pair(found[0]["id"], entity, row))
        self.read(self.pairs[-1])

    def delete_row(self) -> None:
        pair = self.pairs.pop(self.dice.randrange(len(self.pairs)))
        self.tell(f"delete {pair.entity} {pair.row} of {pair.person}", "deleted")
        self.world.delete_row(pair.entity, pair.row)
        self.settle()
        self.rows[pair.entity] -= 1
        person = self.world.person(pair.person, "microsoftIsDeleted")
        assert person is not None
        assert person["microsoftIsDeleted"] is True

    def delete_person(self) -> None:
        pair = self.pairs.pop(self.dice.randrange(len(self.pairs)))
        self.tell(f"delete person {pair.person} of {pair.entity} {pair.row}", "deleted")
        self.world.delete_person(pair.person)
        self.settle()
        self.persons -= 1
        assert self.world.row(pair.entity, pair.row) is not None
        if self.dice.random() < 0.5:
            self.world.edit_row(pair.entity, pair.row, address1_line3=f"again {self.next()}")
            self.settle()
            self.persons += 1
            self.bind(pair.entity, pair.row)

    # --- cycles -----------------------------------------------------------------------------------

    def cycle(self) -> int:
        """One cycle; how many operations it planned, at least one when it could not end."""
        if self.dice.random() < 0.2:
            self.world.movable.advance(3_700)  # the overlap is read again
        try:
            planned = self.world.run()["steps"]["plan"]["operations"]
        except LeadSyncError as error:
            self.tell(f"stopped {error}", "stopped")
            return 1
        return int(planned)

    def settle(self) -> None:
        """Cycles until two in a row plan nothing; they must end."""
        quiet = 0
        for _ in range(12):
            quiet = 0 if self.cycle() else quiet + 1
            if quiet == 2:
                return
            self.world.movable.advance(120 if quiet else 1)
        raise AssertionError("still writing after 12 cycles")

    def end(self) -> None:
        """All put right: equal, nobody twice, a quiet cycle that reads and writes nothing, an edit that crosses."""
        self.repair()
        for entity, count in self.rows.items():
            assert len(self.world.rows(entity)) == count
        assert self.world.marketo.control("people_count", {})["people"] == self.persons
        self.world.transport.log.clear()
        assert self.world.run()["steps"]["plan"]["operations"] == 0
        urls = [url for _, url in self.world.transport.log]
        assert any("leadchanges" in url for url in urls)
        assert sum("deltatoken" in url for url in urls) == 2
        assert not [url for method, url in self.world.transport.log if method == "POST" and "token" not in url]
        for pair in self.pairs[:2]:
            self.world.edit_row(pair.entity, pair.row, address1_line2=f"last {pair.person}")
            self.world.edit_person(pair.person, microsoftHomePhone="+1")
        self.settle()
        for pair in self.pairs[:2]:
            person, row = self.world.person(pair.person, "microsoftAddress2"), self.world.row(pair.entity, pair.row)
            assert person is not None
            assert row is not None
            assert (person["microsoftAddress2"], row["telephone2"]) == (f"last {pair.person}", "+1")
