"""A small company of linked pairs, made once and copied for each scene, and hands that qualify and merge."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from include.leadsync.state import Links
from tests.world import World

Json = Any

PEOPLE = {"ann": "lead", "bo": "lead", "cy": "contact", "di": "contact"}
"""Name (also of the e-mail address) → what the linked CRM record is."""


@dataclass
class Scene:
    """Some people of a world: the pairs of `PEOPLE` unless told otherwise, and who joins them.

    Several scenes may share a world (`alone=False`): each has addresses of its own, and sees of logs and links what is
    about its own people, or about nobody.
    """

    world: World
    host: str = "example.com"
    people: Mapping[str, str] = field(default_factory=lambda: PEOPLE)
    alone: bool = True

    def __post_init__(self) -> None:
        """Remember who is who; addresses may change."""
        self._pairs: dict[str, tuple[int, str]] = {}
        for name, entity in self.people.items():
            (row,) = self.world.rows(entity, f"emailaddress1 eq '{self.address(name)}'")
            (person,) = self.world.persons_by("email", self.address(name))
            self._pairs[name] = (int(person["id"]), str(row[f"{entity}id"]))
        self._persons = {person for person, _ in self._pairs.values()}
        self._records = {record for _, record in self._pairs.values()}
        self._addresses = {self.address(name) for name in self.people}

    @staticmethod
    def add_pairs(world: World, host: str = "example.com") -> None:
        """Make the CRM records of `PEOPLE`; cycles bring the persons."""
        for name, entity in PEOPLE.items():
            more = {"subject": "Web form", "companyname": "Acme"} if entity == "lead" else {}
            world.add_row(entity, firstname=name.capitalize(), lastname="Ax", emailaddress1=f"{name}@{host}", **more)

    def address(self, name: str) -> str:
        """The e-mail address of somebody of this scene."""
        return f"{name}@{self.host}"

    def person(self, name: str) -> int:
        """The person of this name."""
        return self._pairs[name][0]

    def record(self, name: str) -> str:
        """The CRM record of this name."""
        return self._pairs[name][1]

    def person_of(self, record: str) -> int:
        """The one person that shows the id of a CRM record."""
        (person,) = self.world.persons_by("microsoftId", record)
        self._persons.add(int(person["id"]))
        return int(person["id"])

    def add_person(self, **values: Json) -> int:
        """A new person, who belongs to this scene."""
        person = self.world.add_person(**values)
        self._persons.add(person)
        self._addresses |= {str(values["email"]).lower()} if values.get("email") else set()
        return person

    def add_row(self, entity: str, **values: Json) -> str:
        """A new CRM record, which belongs to this scene; a lead has a topic."""
        topic = {"subject": "Web form"} if entity == "lead" else {}
        record = self.world.add_row(entity, **topic | values)
        self._records.add(record)
        self._addresses |= {str(values["emailaddress1"]).lower()} if values.get("emailaddress1") else set()
        return record

    def count(self) -> int:
        """How many persons there are; in a shared world those with an address or a CRM record of this scene."""
        if self.alone:
            return int(self.world.marketo.control("people_count", {})["people"])
        by_address = self.world.persons_by("email", ",".join(sorted(self._addresses)))
        by_record = self.world.persons_by("microsoftId", ",".join(sorted(self._own()[1])))
        by_id = [self.world.person(person) for person in self._persons]
        return len({each["id"] for each in (*by_address, *by_record, *by_id) if each})

    def qualify(self, lead: str, **options: Json) -> str | None:
        """A salesperson qualifies a lead; returns the contact that was made."""
        created = self.world.dynamics.control("qualify_lead", {"id": lead, "create_account": False, **options})
        contact: str | None = created["created"].get("contact")
        self._records |= {contact} if contact else set()
        return contact

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
        found = self._all_links()
        if not self.alone:
            persons, records = self._own()
            found = [link for link in found if link[1] in persons or link[2] in records]
        return found

    def live(self) -> set[tuple[str, int | None, str | None]]:
        """Links that are in use: entity, person, CRM record."""
        return {link[:3] for link in self.links() if link[3] in {"active", "creating", "suspended"}}

    def activities(self, *, open_only: bool = False) -> list[dict[str, Json]]:
        """The rows of the activity log, newest first."""
        rows = self.world.activities(open_only=open_only)
        if not self.alone:
            persons, records = self._own()
            about = [(row, row["person_id"], row["crm_id"]) for row in rows]
            rows = [row for row, at, record in about if at in persons or record in records or at is record is None]
        return rows

    def said(self, *, open_only: bool = False) -> list[tuple[str, str]]:
        """Code and rule of the rows of the activity log, newest first."""
        return [(row["code"], row["rule"]) for row in self.activities(open_only=open_only)]

    def settled(self) -> None:
        """Cycles until nothing is planned, and one more that writes nothing at all."""
        settled(self.world)

    def _all_links(self) -> list[tuple[str, int | None, str | None, str]]:
        links = Links(self.world.engine.store)
        rows = links.by_id(list(range(1, 2_000)), statuses=None).to_pylist()
        return [(row["entity"], row["person_id"], row["crm_id"], row["status"]) for row in rows]

    def _own(self) -> tuple[set[int], set[str]]:
        """Persons and CRM records of this scene, and whoever is linked with them."""
        persons, records, before = set(self._persons), set(self._records), -1
        links = self._all_links()
        while before < (before := len(persons) + len(records)):
            for _, person, record, _ in links:
                if person in persons or record in records:
                    persons |= {person} if person else set()
                    records |= {record} if record else set()
        return persons, records


def settled(world: World) -> None:
    """Cycles until nothing is planned, and one more that writes nothing at all."""
    world.settle()
    quiet(world)


def quiet(world: World) -> None:
    """One more cycle, which neither plans nor writes anything."""
    world.transport.log.clear()
    assert world.run()["steps"]["plan"]["operations"] == 0
    assert not [url for method, url in world.transport.log if method in {"PATCH", "DELETE"} or "$batch" in url]


def prepare(folder: Path, changes: Mapping[str, Json] | None = None) -> Path:
    """Make the pairs and bring them into step."""
    with World(folder, changes) as world:
        Scene.add_pairs(world)
        world.settle()
    return folder


@contextmanager
def copy_of(prepared: Path, folder: Path, changes: Mapping[str, Json] | None = None) -> Iterator[Scene]:
    """A scene of its own."""
    shutil.copytree(prepared, folder)
    with World(folder, changes, fresh=False) as world:
        yield Scene(world)
