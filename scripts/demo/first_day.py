"""The first sync of two systems that both hold people: report, accept, link, fill (D4, D11, D13, D18, D19)."""

from __future__ import annotations

import contextlib
import io
import json
from collections.abc import Callable
from typing import Any

from scripts.demo.scene import Reading, Scene
from scripts.demo.systems import Dynamics, Marketo

_SAID = {"Marketo": "Marketo on the first day", "Dynamics": "Dynamics on the first day"}
_IN_DYNAMICS, _IN_MARKETO = "only.in.dynamics@example.com", "only.in.marketo@example.com"
_SHARED, _SHARING = "ten.share.it@example.com", 10
_MARK = "microsoftBackfilledAt"
_COUNTED = ("matched_by_id", "matched_by_email", "ambiguous", "only_in_dynamics")


class FirstDay:
    """Two scenes: the second one accepts what the first one reports.

    `cycle` is a run of the DAG; `writes` counts what the sync has written to either system so far; `people` know each
    other's id at the beginning, and two of them forget it.
    """

    def __init__(
        self,
        marketo: Marketo,
        dynamics: Dynamics,
        cycle: Callable[[], dict[str, Any]],
        writes: Callable[[], int],
        people: int,
    ) -> None:
        self._marketo, self._dynamics, self._cycle, self._writes = marketo, dynamics, cycle, writes
        self._people = people
        self._strangers: dict[str, tuple[int, str]] = {}  # table → pair that only shares an address
        self._lead, self._person = "", 0  # alone
        self._report: dict[str, Any] = {}
        self._run: dict[str, Any] = {}
        self._written = 0

    def scenes(self) -> list[Scene]:
        """In order."""
        return [self._reported(), self._accepted()]

    def _reported(self) -> Scene:
        def prepare() -> None:
            self._set_the_stage()
            before = self._writes()
            self._report = json.loads(command("first-sync", "report", "--json"))
            self._written = self._writes() - before

        found = {"matched by id": self._people - 2, "matched by email": 2, "ambiguous": 1, "only in dynamics": 1}
        return Scene(
            "Two systems that both hold people",
            f"{self._people - 2} pairs carry each other's id, a lead and a contact share only an address and a title"
            f" differs, {_SHARING} persons share one address, a lead and a person are alone",
            "a report says who belongs to whom; nothing is written",
            prepare,
            lambda: {n.replace("_", " "): self._report["counts"][n] for n in _COUNTED} | {"writes": self._written},
            found | {"writes": 0},
        )

    def _accepted(self) -> Scene:
        def prepare() -> None:
            command("first-sync", "accept", self._report["hash"])
            self._run = self._cycle()

        return Scene(
            "The report is accepted",
            "`first-sync accept` with its hash, then the first run",
            "the pairs are linked and filled, a lead from Marketo, a contact from Dynamics; the lead that was alone"
            " gets a person; whoever is written is marked, so that campaigns leave it out",
            prepare,
            self._read_back,
            {
                "operations": 5,
                "lead": dict.fromkeys(_SAID, _SAID["Marketo"]),
                "contact": dict.fromkeys(_SAID, _SAID["Dynamics"]),
                "alone in Dynamics": {"persons": 1, "marked": 1},
                "pairs marked": 2,
                "alone in Marketo": {"linked": False, "marked": False},
                "of the ten linked": 0,
            },
        )

    def _read_back(self) -> Reading:
        titles = {
            table: {
                "Marketo": self._marketo.person(person, "title").get("title"),
                "Dynamics": self._dynamics.row(table, row).get("jobtitle"),
            }
            for table, (person, row) in self._strangers.items()
        }
        made = [self._shown(person["id"]) for person in self._marketo.by_email(_IN_DYNAMICS)]
        filled = [self._shown(person) for person, _ in self._strangers.values()]
        alone = self._shown(self._person)
        ten = [self._shown(person["id"]) for person in self._marketo.by_email(_SHARED)]
        return {
            "operations": self._run["plan"]["operations"],
            **titles,
            "alone in Dynamics": {"persons": len(made), "marked": sum(map(_marked, made))},
            "pairs marked": sum(map(_marked, filled)),
            "alone in Marketo": {"linked": bool(alone.get("microsoftId")), "marked": _marked(alone)},
            "of the ten linked": sum(bool(person.get("microsoftId")) for person in ten),
        }

    def _shown(self, person: int) -> dict[str, Any]:
        return self._marketo.person(person, "microsoftId", _MARK)

    def _set_the_stage(self) -> None:
        for table in ("lead", "contact"):
            person, row = self._strangers[table] = self._pair(table)
            self._marketo.edit(person, microsoftId=None, microsoftType=None, title=_SAID["Marketo"])
            self._dynamics.edit(table, row, jobtitle=_SAID["Dynamics"])
        self._lead = self._dynamics.add("lead", subject="Fair", lastname="Alone", emailaddress1=_IN_DYNAMICS)
        self._person = self._marketo.add(email=_IN_MARKETO, lastName="Alone")
        self._dynamics.add("contact", lastname="Tenfold", emailaddress1=_SHARED)
        for number in range(_SHARING):
            self._marketo.add(email=_SHARED, lastName=f"Tenfold {number}")

    def _pair(self, table: str) -> tuple[int, str]:
        """An open pair that nobody else shares its address with."""
        condition = "statecode eq 0 and emailaddress1 ne null and jobtitle ne null"
        for row in self._dynamics.find(table, condition, f"{table}id,emailaddress1", 10):
            persons = self._marketo.by_email(row["emailaddress1"])
            if len(persons) == 1:
                return int(persons[0]["id"]), str(row[f"{table}id"])
        raise AssertionError(f"no {table} for the first scene")


def command(*words: str) -> str:
    """One command of `python -m include.leadsync`; what it said. Raises `SystemExit` when it fails."""
    from include.leadsync.cli import main

    said = io.StringIO()
    with contextlib.redirect_stdout(said):
        status = main(words)
    if status:
        raise SystemExit(f"`{' '.join(words)}` failed; the message above says why")
    return said.getvalue()


def _marked(person: dict[str, Any]) -> bool:
    return bool(person.get(_MARK))
