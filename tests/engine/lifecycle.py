"""A small company of linked pairs, made once and copied for each scene, and hands that qualify and merge."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from include.leadsync.state import Links
from tests.world import World

Json = Any

PEOPLE = {"ann": "lead", "bo": "lead", "cy": "contact", "di": "contact"}
"""Name (also of the e-mail address) → what the linked CRM record is."""


@dataclass
class Scene:
    """A world with the pairs of `PEOPLE` in it."""

    world: World

    def __post_init__(self) -> None:
        """Remember who is who; addresses may change."""
        self._pairs: dict[str, tuple[int, str]] = {}
        for name, entity in PEOPLE.items():
            (row,) = self.world.rows(entity, f"emailaddress1 eq '{name}@example.com'")
            (person,) = self.world.persons_by("email", f"{name}@example.com")
            self._pairs[name] = (int(person["id"]), str(row[f"{entity}id"]))

    def person(self, name: str) -> int:
        """The person of this name."""
        return self._pairs[name][0]

    def record(self, name: str) -> str:
        """The CRM record of this name."""
        return self._pairs[name][1]

    def qualify(self, lead: str, **options: Json) -> str | None:
        """A salesperson qualifies a lead; returns the contact that was made."""
        created = self.world.dynamics.control("qualify_lead", {"id": lead, "create_account": False, **options})
        return created["created"].get("contact")  # type: ignore[no-any-return]

    def merge_rows(self, entity: str, winner: str, loser: str, **values: Json) -> None:
        """A salesperson merges two CRM records."""
        given = {"entity": entity, "target": winner, "subordinate": loser, "values": values}
        self.world.dynamics.control("merge_rows", given)

    def merge_persons(self, winner: int, *losers: int) -> None:
        """A marketer merges persons."""
        ids = ",".join(map(str, losers))
        self.world._marketo("POST", f"/rest/v1/leads/{winner}/merge.json", f"leadIds={ids}")

    def shown(self, person: int) -> dict[str, Json] | None:
        """What the sync keeps on a person; None when it is gone."""
        found = self.world.person(person, "microsoftId", "microsoftType", "microsoftIsDeleted", "microsoftMergedInto")
        return (
            {name.removeprefix("microsoft"): value for name, value in found.items() if name != "id"} if found else None
        )

    def links(self) -> list[tuple[str, int | None, str | None, str]]:
        """Every stored link: entity, person, CRM record, status."""
        links = Links(self.world.engine.store)
        rows = links.by_id(list(range(1, 100)), statuses=None).to_pylist()
        return [(row["entity"], row["person_id"], row["crm_id"], row["status"]) for row in rows]

    def live(self) -> set[tuple[str, int | None, str | None]]:
        """Links that are in use: entity, person, CRM record."""
        return {link[:3] for link in self.links() if link[3] in {"active", "creating", "suspended"}}

    def said(self, *, open_only: bool = False) -> list[tuple[str, str]]:
        """Code and rule of the rows of the activity log, newest first."""
        return [(row["code"], row["rule"]) for row in self.world.activities(open_only=open_only)]

    def settled(self) -> None:
        """Cycles until nothing is planned, and one more that writes nothing at all."""
        self.world.settle()
        self.world.transport.log.clear()
        assert self.world.run()["steps"]["plan"]["operations"] == 0
        assert not [url for method, url in self.world.transport.log if method in {"PATCH", "DELETE"} or "$batch" in url]


def prepare(folder: Path, changes: Mapping[str, Json] | None = None) -> Path:
    """Make the pairs and bring them into step."""
    with World(folder, changes) as world:
        for name, entity in PEOPLE.items():
            more = {"subject": "Web form", "companyname": "Acme"} if entity == "lead" else {}
            address = f"{name}@example.com"
            world.add_row(entity, firstname=name.capitalize(), lastname="Ax", emailaddress1=address, **more)
        world.settle()
    return folder


@contextmanager
def copy_of(prepared: Path, folder: Path, changes: Mapping[str, Json] | None = None) -> Iterator[Scene]:
    """A scene of its own."""
    shutil.copytree(prepared, folder)
    with World(folder, changes, fresh=False) as world:
        yield Scene(world)
