"""The story: which scenes, in which rounds, on which people."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from scripts.demo.scene import Reading, Round, Scene
from scripts.demo.systems import Dynamics, Marketo

Request = Callable[[list[int]], None]
LONG_MOBILE = "+46 70 123 45 67 / 89 / 90"  # 26 characters; leads hold 20, contacts 50


class Story:
    """Picks people from the generated ones and plays with them.

    `request` starts the DAG sync_person_to_microsoft for some persons and waits for it.
    """

    def __init__(self, marketo: Marketo, dynamics: Dynamics, request: Request) -> None:
        self.marketo, self.dynamics, self.request = marketo, dynamics, request
        self._leads, self._contacts = self._people("lead", 14), self._people("contact", 6)
        self._new: dict[str, Any] = {}

    def rounds(self) -> Iterator[Round]:
        """In order; a later round goes on with the people of an earlier one."""
        yield Round("Changes on both sides", [*self._edits(), *self._lifecycle(), *self._refusals()], runs=2)
        yield Round("What follows", [*self._follow_ups(), self._meanwhile()], runs=3)

    def _people(self, table: str, most: int) -> Iterator[tuple[int, str]]:
        """Linked pairs that are open and have an e-mail address: (person, CRM record)."""
        rows = self.dynamics.find(
            table, "statecode eq 0 and emailaddress1 ne null and jobtitle ne null", f"{table}id", most * 3
        )
        for row in rows:
            person = self.marketo.person_of(row[f"{table}id"])
            if person:
                yield person["id"], row[f"{table}id"]

    # --- scenes -----------------------------------------------------------------------------------

    def _edits(self) -> list[Scene]:
        return [
            self._simple(
                "A lead is edited in Dynamics",
                "job title in Dynamics",
                "reaches Marketo",
                "lead",
                None,
                "Head of Tea 🫖",
            ),
            self._simple(
                "A person is edited in Marketo", "job title in Marketo", "reaches Dynamics", "lead", "Chief of 茶", None
            ),
            self._different_fields(),
            self._simple(
                "Collision on a lead",
                "job title on both sides",
                "Marketo wins",
                "lead",
                "said Marketo",
                "said Dynamics",
                "said Marketo",
            ),
            self._simple(
                "Collision on a contact",
                "job title on both sides",
                "Dynamics wins",
                "contact",
                "said Marketo",
                "said Dynamics",
                "said Dynamics",
            ),
            self._cleared("lead", "Marketo's clear wins", None),
            self._cleared("contact", "Dynamics' value wins", "kept by Dynamics"),
        ]

    def _simple(
        self,
        title: str,
        done: str,
        should: str,
        table: str,
        in_marketo: str | None,
        in_dynamics: str | None,
        winner: str | None = None,
    ) -> Scene:
        person, row = next(self._leads if table == "lead" else self._contacts)
        value = winner or in_marketo or in_dynamics

        def prepare() -> None:
            if in_marketo:
                self.marketo.edit(person, title=in_marketo)
            if in_dynamics:
                self.dynamics.edit(table, row, jobtitle=in_dynamics)

        return Scene(
            title, done, should, prepare, self._title_of(person, table, row), {"Marketo": value, "Dynamics": value}
        )

    def _cleared(self, table: str, should: str, value: str | None) -> Scene:
        person, row = next(self._leads if table == "lead" else self._contacts)

        def prepare() -> None:
            self.marketo.edit(person, title=None)
            self.dynamics.edit(table, row, jobtitle="kept by Dynamics")

        title = f"Cleared in Marketo, edited in Dynamics ({table})"
        read = self._title_of(person, table, row)
        return Scene(
            title, "job title cleared against changed", should, prepare, read, {"Marketo": value, "Dynamics": value}
        )

    def _title_of(self, person: int, table: str, row: str) -> Callable[[], Reading]:
        return lambda: {
            "Marketo": self.marketo.person(person, "title").get("title"),
            "Dynamics": self.dynamics.row(table, row).get("jobtitle"),
        }

    def _different_fields(self) -> Scene:
        person, row = next(self._leads)

        def prepare() -> None:
            self.marketo.edit(person, title="Redaktör")
            self.dynamics.edit("lead", row, address1_city="São Paulo")

        def read() -> Reading:
            shown, record = self.marketo.person(person, "title", "city"), self.dynamics.row("lead", row)
            return {
                "Marketo": f"{shown['title']}, {shown['city']}",
                "Dynamics": f"{record['jobtitle']}, {record['address1_city']}",
            }

        both = "Redaktör, São Paulo"
        return Scene(
            "Different fields on both sides",
            "title in Marketo, city in Dynamics",
            "both survive",
            prepare,
            read,
            {"Marketo": both, "Dynamics": both},
        )

    def _lifecycle(self) -> list[Scene]:
        return [self._new_lead(), self._requested(), self._deleted_in_dynamics(), self._deleted_in_marketo()]

    def _new_lead(self) -> Scene:
        def prepare() -> None:
            self._new["lead"] = self.dynamics.add(
                "lead",
                subject="Trade fair",
                firstname="하윤",
                lastname="김",
                emailaddress1="hayun.kim@example.com",
                leadsourcecode=7,
            )

        def read() -> Reading:
            shown = self.marketo.person_of(self._new["lead"], "lastName", "leadSource", "microsoftType")
            return {"person": [shown.get("lastName"), shown.get("leadSource"), shown.get("microsoftType")]}

        return Scene(
            "A new lead in Dynamics",
            "a lead is created",
            "a person appears, Microsoft Type = Lead",
            prepare,
            read,
            {"person": ["김", "Trade Show", "Lead"]},
        )

    def _requested(self) -> Scene:
        email = "maria.souza@example.com"

        def prepare() -> None:
            self._new["asked"] = self.marketo.add(
                email=email, firstName="María", lastName="de Souza", company="Café Ltda"
            )
            self.request([self._new["asked"]])

        def read() -> Reading:
            found = self.dynamics.find("lead", f"emailaddress1 eq '{email}'", "leadid,lastname,companyname", 5)
            return {"leads": [[lead["lastname"], lead["companyname"]] for lead in found]}

        return Scene(
            "Sync Person to Microsoft",
            "a Marketo-only person is requested",
            "one lead is created",
            prepare,
            read,
            {"leads": [["de Souza", "Café Ltda"]]},
        )

    def _deleted_in_dynamics(self) -> Scene:
        person, row = next(self._leads)
        self._new["deleted_row_person"] = person

        def read() -> Reading:
            shown = self.marketo.person(person, "microsoftIsDeleted")
            return {"person is there": bool(shown), "Microsoft is Deleted": shown.get("microsoftIsDeleted")}

        return Scene(
            "A lead is deleted in Dynamics",
            "the lead is deleted",
            "the person stays, flagged",
            lambda: self.dynamics.delete("lead", row),
            read,
            {"person is there": True, "Microsoft is Deleted": True},
        )

    def _deleted_in_marketo(self) -> Scene:
        person, row = next(self._leads)
        self._new["orphan"], self._new["gone_person"] = row, person
        return Scene(
            "A person is deleted in Marketo",
            "the person is deleted",
            "the CRM record is untouched",
            lambda: self.marketo.delete(person),
            lambda: {"lead is there": bool(self.dynamics.row("lead", row))},
            {"lead is there": True},
        )

    def _refusals(self) -> list[Scene]:
        return [
            self._refused("A value too long", {"mobilePhone": LONG_MOBILE}, "mobilephone", "mobilePhone"),
            self._refused("A required field is emptied", {"lastName": None}, "lastname", "lastName"),
            self._refused("A wrong option", {"rating": "Boiling"}, "leadqualitycode", "rating"),
        ]

    def _refused(self, title: str, values: dict[str, str | None], column: str, name: str) -> Scene:
        person, row = next(self._leads)
        before = self.dynamics.row("lead", row).get(column)
        self._new[f"refused {name}"] = (person, row)
        return Scene(
            title,
            f"{name} = {values[name]!r} in Marketo",
            "not written; the activity log says so",
            lambda: self.marketo.edit(person, **values),
            lambda: {
                "Dynamics": self.dynamics.row("lead", row).get(column),
                "activity log": self.marketo.outcomes(person),
            },
            {"Dynamics": before, "activity log": [f"failed: {name}"]},
        )

    def _follow_ups(self) -> list[Scene]:
        return [self._requested_again(), self._orphan_updated(), self._repaired()]

    def _requested_again(self) -> Scene:
        def read() -> Reading:
            found = self.dynamics.find("lead", "emailaddress1 eq 'maria.souza@example.com'", "leadid", 5)
            return {"leads": len(found)}

        return Scene(
            "Requested again",
            "the same person is requested once more",
            "nothing happens",
            lambda: self.request([self._new["asked"]]),
            read,
            {"leads": 1},
        )

    def _orphan_updated(self) -> Scene:
        row, gone = self._new["orphan"], self._new["gone_person"]

        def read() -> Reading:
            shown = self.marketo.person_of(row, "title")
            return {"title": shown.get("title"), "another person": bool(shown) and shown["id"] != gone}

        return Scene(
            "Its lead is updated later",
            "the lead of the deleted person is edited",
            "a new person appears",
            lambda: self.dynamics.edit("lead", row, jobtitle="back again"),
            read,
            {"title": "back again", "another person": True},
        )

    def _repaired(self) -> Scene:
        person, row = self._new["refused mobilePhone"]
        return Scene(
            "The long value is corrected",
            "mobile number shortened in Marketo",
            "written; the activity log closes the failure",
            lambda: self.marketo.edit(person, mobilePhone="+46 70 123 45 67"),
            lambda: {
                "Dynamics": self.dynamics.row("lead", row).get("mobilephone"),
                "activity log": self.marketo.outcomes(person),
            },
            {"Dynamics": "+46 70 123 45 67", "activity log": ["failed: mobilePhone", "recovered: mobilePhone"]},
        )

    def _meanwhile(self) -> Scene:
        """An edit in Marketo after the run has read the person, just before it writes it."""
        person, row = next(self._leads)

        def prepare() -> None:
            self.dynamics.edit("lead", row, jobtitle="from Dynamics")
            edit = {"id": person, "values": {"title": "typed meanwhile"}}
            then = {"service": "marketo", "command": "edit_person", "arguments": edit}
            rule = {
                "service": "marketo",
                "method": "POST",
                "path": "/rest/v1/leads\\.json$",
                "client": "sandbox",
                "times": 1,
                "effect": {"then": [then]},
            }
            self.marketo.control("faults.set", {"rules": [rule]})

        return Scene(
            "An edit while the run is under way",
            "Marketo edit between our read and our write",
            "comes back: Marketo wins on a lead",
            prepare,
            self._title_of(person, "lead", row),
            {"Marketo": "typed meanwhile", "Dynamics": "typed meanwhile"},
        )
