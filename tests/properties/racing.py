"""One cycle, and somebody else at work between any two of its requests.

Every kind of interference has a pair of its own for every position, so one cycle tries all positions at once.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa

from include.leadsync.clients.transport import HttpRequest, HttpResponse
from include.leadsync.errors import LeadSyncError
from tests.properties.vocabulary import CONTACT, LEAD
from tests.world import World
from tests.world_transport import ConnectionDropped

SIDES = ("person", "record")
EDITS = tuple((kind, side, what) for kind in (LEAD, CONTACT) for side in SIDES for what in ("same", "other", "again"))
"""What the record is, on which side the change is that the cycle carries, and what is edited meanwhile: the same field
on the other side, another field there, or the same field once more."""
FATES = tuple(
    (kind, side, what)
    for kind in (LEAD, CONTACT)
    for side in SIDES
    for what in ("delete record", "delete person", "qualify", "merge persons", "merge records")
    if (kind, what) != (CONTACT, "qualify")
)


@dataclass
class Racer:
    """A pair with a change that the cycle carries, and what is done to it before the request of its position."""

    kind: str
    side: str
    what: str
    position: int
    person: int = 0
    record: str = ""
    written: int | None = None  # position of the request that carried its change across
    other: int | str | None = None  # the person or record that a merge is with

    @property
    def name(self) -> str:
        return f"{self.kind}-{self.side}-{self.what}-{self.position}".replace(" ", "")

    @property
    def first(self) -> str:
        return f"first {self.name}"

    @property
    def second(self) -> str:
        return f"second {self.name}"


@dataclass
class Race:
    """All of them in one world."""

    world: World
    racers: list[Racer]
    requests: int = 0  # of the cycle in which all this happens
    dropping: bool = False  # the first answer to a write of each service is lost
    _dropped: set[str] = field(default_factory=set)

    def prepare(self) -> None:
        """Linked pairs, and what merges need."""
        for racer in self.racers:
            given = {"subject": "s"} if racer.kind == LEAD else {}
            address = f"{racer.name}@example.com"
            racer.record = self.world.add_row(racer.kind, lastname="L", emailaddress1=address, jobtitle="base", **given)
            if racer.what == "merge records":
                address = f"rival-{racer.name}@example.com"
                racer.other = self.world.add_row(racer.kind, lastname="R", emailaddress1=address, **given)
            if racer.what == "merge persons":
                racer.other = self.world.add_person(lastName="S", email=f"stray-{racer.name}@example.com")
        self.world.settle()
        persons = self.persons_of()
        for racer in self.racers:
            (racer.person,) = persons[racer.record]

    def persons_of(self) -> dict[str, list[int]]:
        """Which persons carry the id of which record."""
        found: dict[str, list[int]] = {}
        for row in self.persons().values():
            found.setdefault(row["microsoftId"], []).append(row["id"])
        return found

    def persons(self) -> dict[int, dict[str, Any]]:
        """Every person."""
        (newest,) = self.world.marketo.control("find_people", {"text": "", "limit": 1})
        shown = "title,city,lastName,email,microsoftId,microsoftType,microsoftIsDeleted,microsoftMergedInto"
        return {
            row["id"]: row
            for start in range(1, newest["id"] + 1, 300)
            for row in self._by_id(",".join(map(str, range(start, start + 300))), shown)
        }

    def _by_id(self, ids: str, shown: str) -> list[dict[str, Any]]:
        query = f"filterType=id&filterValues={ids}&fields={shown}"
        rows: list[dict[str, Any]] = self.world._marketo("GET", "/rest/v1/leads.json", query)["result"]
        return rows

    def rows(self) -> dict[str, dict[str, Any]]:
        """Every lead and contact."""
        return {row[f"{kind}id"]: row for kind in (LEAD, CONTACT) for row in self.world.rows(kind)}

    def run(self) -> None:
        """The change of each pair, one cycle with everybody at work in it, and cycles until all is quiet."""
        for racer in self.racers:
            self._edit(racer, racer.side, "title", racer.first)
        by_position: dict[int, list[Racer]] = {}
        for racer in self.racers:
            by_position.setdefault(racer.position, []).append(racer)

        def meanwhile(request: HttpRequest) -> None:
            for racer in by_position.get(self.requests, ()):
                self._interfere(racer)
            self._note(request)
            self.requests += 1

        transport = self.world.transport
        transport.log.clear()
        transport.before.append(meanwhile)
        transport.after.append(self._answered)
        try:
            self.world.run()
        except LeadSyncError:
            assert self.dropping
        transport.before.clear()
        transport.after.clear()
        assert self.requests == len(transport.log)  # there is no other position (DECISIONS 33)
        for _ in range(6):
            self.world.movable.advance(3_700)
            steps = self.world.run()["steps"]
            if steps["plan"]["operations"] == steps["enqueue"]["parked"]:
                return
        raise AssertionError("still writing")

    def _answered(self, request: HttpRequest, response: HttpResponse) -> HttpResponse:
        kind = _write(request)
        if self.dropping and kind and kind not in self._dropped:
            self._dropped.add(kind)
            raise ConnectionDropped
        return response

    def _note(self, request: HttpRequest) -> None:
        kind, body = _write(request), (request.body or b"").decode()
        for racer in self.racers if kind else ():
            if racer.first in body:
                racer.written = self.requests

    def _edit(self, racer: Racer, side: str, name: str, value: str) -> None:
        if side == "person":
            self.world.edit_person(racer.person, **{name: value})
        else:
            column = {"title": "jobtitle", "city": "address1_city"}[name]
            self.world.edit_row(racer.kind, racer.record, **{column: value})

    def _interfere(self, racer: Racer) -> None:
        other = SIDES[1 - SIDES.index(racer.side)]
        world = self.world
        if racer.what == "same":
            self._edit(racer, other, "title", racer.second)
        elif racer.what == "other":
            self._edit(racer, other, "city", racer.second)
        elif racer.what == "again":
            self._edit(racer, racer.side, "title", racer.second)
        elif racer.what == "delete record":
            world.delete_row(racer.kind, racer.record)
        elif racer.what == "delete person":
            world.delete_person(racer.person)
        elif racer.what == "qualify":
            asked = {"id": racer.record, "create_account": False}
            racer.other = world.dynamics.control("qualify_lead", asked)["created"]["contact"]
        elif racer.what == "merge persons":
            world._marketo("POST", f"/rest/v1/leads/{racer.other}/merge.json", f"leadIds={racer.person}")
        else:
            rows = {"entity": racer.kind, "target": racer.record, "subordinate": racer.other}
            world.dynamics.control("merge_rows", rows)

    # --- what must be so afterwards ---------------------------------------------------------------

    def wrong(self) -> Iterator[str]:
        """Everything that is not as the rules say, in words."""
        persons, rows, carriers, told = self.persons(), self.rows(), self.persons_of(), self._told()
        for racer in self.racers:
            if racer.position >= self.requests:
                continue
            wrong = list(self._wrong(racer, persons, rows, carriers, told))
            if wrong:
                yield f"{racer.name} (written by request {racer.written}): " + "; ".join(wrong)

    def _wrong(  # noqa: C901, PLR0912 - the rules one after another
        self,
        racer: Racer,
        persons: dict[int, dict[str, Any]],
        rows: dict[str, dict[str, Any]],
        carriers: dict[str, list[int]],
        told: dict[str, set[str]],
    ) -> Iterator[str]:
        if racer.what == "delete person":
            carrying = carriers.get(racer.record, [])
            if racer.record not in rows or len(carrying) > 1:
                yield f"the record is gone, or has several persons: {carrying}"
            if racer.side == "record" and rows[racer.record]["jobtitle"] != racer.first:
                yield "the record lost its own edit"
            for new in carrying:
                if persons[new]["title"] != rows[racer.record]["jobtitle"]:
                    yield "the new person is not equal to its record"
            return
        number = int(racer.other or 0) if racer.what == "merge persons" else racer.person
        record = str(racer.other) if racer.what == "qualify" else racer.record
        person = persons[number]
        kind = CONTACT if racer.what == "qualify" else racer.kind
        marks = (person["microsoftId"], person["microsoftType"], person["microsoftIsDeleted"])
        if marks != (record, kind.capitalize(), racer.what == "delete record"):
            yield f"the person says {marks}"
        if carriers.get(record) != [number]:
            yield f"persons of the record: {carriers.get(record)}"
        if racer.what == "delete record":
            if racer.side == "person" and person["title"] != racer.first:
                yield "the person lost its own edit"
            return
        row = rows[record]
        got = (person["title"], row["jobtitle"], person["city"], row["address1_city"])
        if got[0] != got[1] or got[2] != got[3]:
            yield f"not equal: {got}"
        elif racer.what == "other" and got[2] != racer.second:
            yield f"the edit of another field is lost: {got}"
        if racer.what not in {"same", "again"} and got[0] != racer.first:
            yield f"the change that was carried is lost: {got}"
        if racer.what == "again" and got[0] != racer.second:
            yield f"the second edit is lost: {got}"
        if racer.what == "same":
            yield from self._wrong_winner(racer, got[0], told)

    def _wrong_winner(self, racer: Racer, final: str, told: dict[str, set[str]]) -> Iterator[str]:
        second_wins = racer.side == ("record" if racer.kind == LEAD else "person")  # the other side has the last word
        late = racer.written is not None and racer.position > racer.written  # it came when the first one had crossed
        allowed = {racer.second} if second_wins or late else {racer.first}
        if late and self.dropping:
            allowed |= {racer.first}  # whether the first one had crossed, nobody knew
        if final not in allowed:
            yield f"{final!r} won"
        loser = racer.second if final == racer.first else racer.first
        if loser not in told.get(racer.name, set()):
            yield f"{loser!r} is not in the ledger"

    def _told(self) -> dict[str, set[str]]:
        """The values that the ledger knows, by racer."""
        query = "SELECT before, after, lost FROM ledger WHERE field = 'title'"
        found: dict[str, set[str]] = {}
        with self.world.engine.store.engine.connect() as connection:
            for values in connection.execute(sa.text(query)):
                for value in filter(None, values):
                    found.setdefault(value.partition(" ")[2], set()).add(value)
        return found


def _write(request: HttpRequest) -> str | None:
    """Whether a request writes values, and to which service."""
    if request.method == "POST" and "$batch" in request.url:
        return "dynamics"
    return "marketo" if request.method == "POST" and "/rest/v1/leads.json" in request.url else None
