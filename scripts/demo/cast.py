"""The people of the story: who is picked for which scene, and what later scenes know of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from scripts.demo.scene import Reading
from scripts.demo.systems import Dynamics, Marketo

Request = Callable[[list[int]], None]


class Cast:
    """Linked pairs for scenes to play with; each is handed out once.

    `request` starts the DAG sync_person_to_microsoft for some persons and waits for it. `known` keeps
    what an earlier round made for a later one.
    """

    def __init__(self, marketo: Marketo, dynamics: Dynamics, request: Request) -> None:
        self.marketo, self.dynamics, self.request = marketo, dynamics, request
        self.known: dict[str, Any] = {}
        self._pairs = {"lead": self._people("lead", 20), "contact": self._people("contact", 10)}

    def pair(self, table: str) -> tuple[int, str]:
        """The next linked pair that is open and has an e-mail address and a job title: (person, CRM record)."""
        return next(self._pairs[table])

    def titles(self, person: int, table: str, row: str) -> Callable[[], Reading]:
        """Reads the job title on both sides."""
        return lambda: {
            "Marketo": self.marketo.person(person, "title").get("title"),
            "Dynamics": self.dynamics.row(table, row).get("jobtitle"),
        }

    def _people(self, table: str, most: int) -> Iterator[tuple[int, str]]:
        rows = self.dynamics.find(
            table, "statecode eq 0 and emailaddress1 ne null and jobtitle ne null", f"{table}id", most * 3
        )
        for row in rows:
            person = self.marketo.person_of(row[f"{table}id"])
            if person:
                yield person["id"], row[f"{table}id"]
