"""Members of programs, and the memberships of a person (facts/marketo-api.md 5.3, 6.3; vendor page Program Members)."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Mapping

from include.sandbox.marketo import tokens
from include.sandbox.marketo.asset_answers import moment_of
from include.sandbox.marketo.feed import Activity
from include.sandbox.marketo.identity import ASSETS, Permission
from include.sandbox.marketo.instance import Instance
from include.sandbox.marketo.people import FIRST_SIX, Projection
from include.sandbox.marketo.person_reading import LEAD
from include.sandbox.marketo.person_removal import as_person_id
from include.sandbox.marketo.program_store import CHANGE_PROGRAM_STATUS, Member, Program, Status, status
from include.sandbox.marketo.routes import Body, Route
from include.sandbox.marketo.values import shown
from include.sandbox.marketo.wire import PAGE, Call, Refusal, Reply, Skip, as_integer, stamp, too_many
from include.sandbox.service import Json

WRITE = (Permission.WRITE_LEAD,)
_TEXT, _FLAG, _TIME, _NUMBER = ("string", 255), ("boolean", None), ("datetime", None), ("integer", None)
FIELDS: dict[str, tuple[str, int | None]] = {
    "acquiredBy": _FLAG, "attendanceLikelihood": _NUMBER, "createdAt": _TIME, "isExhausted": _FLAG, "leadId": _NUMBER,
    "membershipDate": _TIME, "nurtureCadence": ("string", 4), "program": _TEXT, "programId": _NUMBER,
    "reachedSuccess": _FLAG, "reachedSuccessDate": _TIME, "registrationLikelihood": _NUMBER, "statusName": _TEXT,
    "statusReason": _TEXT, "trackName": _TEXT, "updatedAt": _TIME, "waitlistPriority": _NUMBER,
}  # fmt: skip
"""Fields of a membership as the vendor page describes them, with type and length; none is updateable."""
FIRST_FIELDS = ("leadId", "reachedSuccess", "programId", "acquiredBy", "membershipDate")
SEARCHABLE = ("leadId", "reachedSuccess", "statusName")
LONGEST_WINDOW = 7 * 86_400
_VALUES: dict[str, Callable[[Member, Program], Json]] = {
    "acquiredBy": lambda member, _: bool(member.acquired),
    "createdAt": lambda member, _: stamp(member.since),
    "isExhausted": lambda *_: False,
    "leadId": lambda member, _: member.person,
    "membershipDate": lambda member, _: stamp(member.since),
    "program": lambda _, program: program.name,
    "programId": lambda member, _: member.program,
    "reachedSuccess": lambda member, _: bool(member.success),
    "statusName": lambda member, _: member.status,
    "updatedAt": lambda member, _: stamp(member.updated),
}


class ProgramMembers:
    """The membership endpoints."""

    def __init__(self, instance: Instance) -> None:
        """Keep the instance."""
        self._at = instance

    def routes(self) -> list[Route]:
        """Its resources."""
        members, person = "/rest/v1/programs/{id}/members", "/rest/v1/leads/{id}"
        return [
            Route("GET", "/rest/v1/programs/members/describe.json", self.describe, LEAD),
            Route("GET", "/rest/v1/program/members/describe.json", self.describe, LEAD),
            Route("GET", f"{members}.json", self.find, LEAD),
            Route("POST", f"{members}.json", self.change, WRITE, Body.JSON),
            Route("POST", f"{members}/status.json", self.set_status, WRITE, Body.JSON),
            Route("POST", f"{members}/delete.json", self.delete, WRITE, Body.JSON),
            Route("GET", "/rest/v1/leads/programs/{id}.json", self.persons, LEAD),
            Route("POST", "/rest/v1/leads/programs/{id}/status.json", self.set_status_old, WRITE, Body.JSON),
            Route("GET", f"{person}/programMembership.json", self.of_person, ASSETS),
            Route("GET", f"{person}/smartCampaignMembership.json", self.campaigns_of_person, ASSETS),
        ]

    def describe(self, _call: Call) -> Reply:
        """The fields of a membership."""
        fields = [
            {"name": name, "displayName": name, "dataType": kind, **({"length": length} if length else {}),
             "updateable": False, "crmManaged": False}
            for name, (kind, length) in FIELDS.items()
        ]  # fmt: skip
        return Reply([{
            "name": "API Program Membership", "description": "Map for API program membership fields",
            "createdAt": "2021-02-20T01:40:05Z", "updatedAt": "2021-02-20T01:40:05Z", "dedupeFields": [
                "leadId", "programId"],
            "searchableFields": [[name] for name in SEARCHABLE], "fields": fields,
        }])  # fmt: skip

    def find(self, call: Call) -> Reply:
        """Memberships by person, status, success, or time of change (seven days at most)."""
        condition, arguments = self._filter(call)
        names = call.many("fields") or list(FIRST_FIELDS)
        for name in names:
            if name not in FIELDS:
                raise Refusal("1006", f"Field '{name}' not found")
        after, size = self._after(call), call.batch_size()
        with self._at.database.read() as connection:
            program = self._need(connection, call.place("id"))
            sql = f"program_id = ? AND {condition} AND person_id > ?"
            found = self._at.programs.members(connection, sql, (program.id, *arguments, after), size + 1)
            seen = self._seen(connection, call, found)
        result = [
            {"seq": seq, **{name: _VALUES[name](one, program) for name in names if name in _VALUES}}
            for seq, one in enumerate(one for one in found[:size] if one.person in seen)
        ]
        return Reply(result, self._more(len(found) > size, found[size - 1].person if found[size:] else 0))

    def _seen(self, connection: sqlite3.Connection, call: Call, members: Iterable[Member]) -> set[int]:
        """The persons among members that the user sees."""
        within = self._at.partitions.within(connection, call.user)
        return self._at.people.existing(connection, {one.person for one in members}, within)

    @staticmethod
    def _filter(call: Call) -> tuple[str, list[Json]]:
        field = call.required("filterType")
        if field == "updatedAt":
            start, end = moment_of(call, "startAt"), moment_of(call, "endAt")
            if start is None or end is None:
                raise Refusal("1002", "Missing value for required parameter 'startAt' or 'endAt'")
            if not 0 <= end - start <= LONGEST_WINDOW:
                raise Refusal("1003", "The range of startAt and endAt must be at most 7 days")
            return "updated BETWEEN ? AND ?", [start, end]
        if field not in SEARCHABLE:
            raise Refusal("1011", f"Field '{field}' not supported")
        values: list[Json] = list(call.many("filterValues"))
        if not values:
            raise Refusal("1003", "filterValues not specified")
        too_many(len(values), PAGE, "filterValues")
        if field == "leadId":
            values = [as_integer(value) for value in values]
        if field == "reachedSuccess":
            values = [int(value.lower() in {"true", "1"}) for value in values]
        column = {"leadId": "person_id", "statusName": "status", "reachedSuccess": "success"}[field]
        return f"{column} IN ({', '.join('?' * len(values))})", values

    def persons(self, call: Call) -> Reply:
        """The members of a program as persons, each with its `membership`."""
        projection = Projection(self._at.catalog, call.many("fields") or FIRST_SIX)
        after, size = self._after(call), call.batch_size()
        with self._at.database.read() as connection:
            program = self._need(connection, call.place("id"))
            sql = "program_id = ? AND person_id > ?"
            found = self._at.programs.members(connection, sql, (program.id, after), size + 1)
            seen = self._seen(connection, call, found[:size])
            people = {one.id: one for one in self._at.people.get_many(connection, seen)}
        result = [
            {**projection.record(people[one.person]), "membership": _membership(one, with_type=True)}
            for one in found[:size] if one.person in people
        ]  # fmt: skip
        more = {"nextPageToken": self._token(found[size - 1].person)} if found[size:] else {}
        return Reply(result, more)

    def of_person(self, call: Call) -> Reply:
        """The programs of a person; unknown persons have none."""
        after, size, wanted = self._after(call), call.batch_size(), call.integers("filterValues")
        condition, arguments = ["person_id = ?", "program_id > ?"], [call.place("id"), after]
        if wanted:
            condition.append(f"program_id IN ({', '.join('?' * len(wanted))})")
            arguments += wanted
        for name, comparison in (("earliestUpdatedAt", ">="), ("latestUpdatedAt", "<=")):
            if (moment := moment_of(call, name)) is not None:
                condition.append(f"updated {comparison} ?")
                arguments.append(moment)
        with self._at.database.read() as connection:
            sql = " AND ".join(condition)
            found = self._at.programs.members(connection, sql, arguments, size + 1, "program_id")
            if not self._seen(connection, call, found):
                found = []
        result = [_membership(one) for one in found[:size]]
        return Reply(result, self._more(len(found) > size, found[size - 1].program if found[size:] else 0))

    def campaigns_of_person(self, call: Call) -> Reply:
        """No person is in a smart campaign, for the sandbox has none."""
        call.place("id")
        call.batch_size()
        return Reply([], {"moreResult": False})

    def set_status(self, call: Call) -> Reply:
        """Give persons a status; one who is at it or past it is skipped (1037)."""
        body = call.json()
        return self._set_all(call, body, body.get("statusName"), "leadId")

    def set_status_old(self, call: Call) -> Reply:
        """The same by the older path, whose members are `status` and `id`."""
        body = call.json()
        reply = self._set_all(call, body, body.get("status"), "id")
        assert isinstance(reply.result, list)
        for one in reply.result:
            one.pop("seq")
            if "leadId" in one:
                one["id"] = one.pop("leadId")
        return reply

    def _set_all(self, call: Call, body: Mapping[str, Json], wanted: Json, key: str) -> Reply:
        records = call.input(body, "Lead ids not specified")
        if not wanted:
            raise Refusal("1002", "Missing value for required parameter 'statusName'")
        to = status(shown(wanted))
        if to is None:
            raise Refusal("1025", "Program status not found")
        with self._at.database.write() as connection:
            program = self._need(connection, call.place("id"))
            return Reply([
                {"seq": seq, **self._set(connection, program, as_person_id(record.get(key)), to, call.second)}
                for seq, record in enumerate(records)
            ])  # fmt: skip

    def _set(
        self, connection: sqlite3.Connection, program: Program, person: int | None, to: Status, now: int
    ) -> dict[str, Json]:
        if person is None or not self._at.people.existing(connection, [person]):
            return Skip("1004", "Lead not found").result()
        old = self._at.programs.member(connection, program.id, person)
        before = status(old.status) if old else None
        if before is not None and before.step >= to.step:
            return Skip("1037", "Lead skipped because it is already in or past this status").result()
        self._at.programs.place(connection, program.id, person, to, now)
        told = {
            "Old Status": before.name if before else "Not in Program", "New Status": to.name,
            "Acquired By": False, "Success": to.success, "Reason": "Web service API",
        }  # fmt: skip
        moved = Activity(CHANGE_PROGRAM_STATUS, person, now, program.id, program.name, told)
        self._at.feed.append(connection, [moved], now)
        return {"status": "updated" if old else "created", "leadId": person}

    def change(self, call: Call) -> Reply:
        """Values of members. The standard fields cannot be written, and the sandbox has no others."""
        records = call.input(call.json(), "Lead ids not specified")
        with self._at.database.read() as connection:
            program = self._need(connection, call.place("id"))
            return Reply(
                [{"seq": seq, **self._refused(connection, program, record)} for seq, record in enumerate(records)]
            )

    def _refused(self, connection: sqlite3.Connection, program: Program, record: Mapping[str, Json]) -> dict[str, Json]:
        person = as_person_id(record.get("leadId"))
        if person is None or self._at.programs.member(connection, program.id, person) is None:
            return Skip("1013", "Membership not found").result()
        for name, value in record.items():
            if name not in FIELDS:
                return Skip("1006", f"Field '{name}' not found").result()
            if name != "leadId":
                return Skip("1003", f"Invalid value for field '{name}' and value '{shown(value)}'").result()
        return {"status": "updated", "leadId": person}

    def delete(self, call: Call) -> Reply:
        """End memberships."""
        records = call.input(call.json(), "Lead ids not specified")
        with self._at.database.write() as connection:
            program = self._need(connection, call.place("id"))
            return Reply(
                [
                    {"seq": seq, **self._deleted(connection, program, as_person_id(record.get("leadId")))}
                    for seq, record in enumerate(records)
                ]
            )

    @staticmethod
    def _deleted(connection: sqlite3.Connection, program: Program, person: int | None) -> dict[str, Json]:
        sql = "DELETE FROM program_member WHERE program_id = ? AND person_id = ?"
        if person is None or not connection.execute(sql, (program.id, person)).rowcount:
            return Skip("1037", "Lead not in program").result()  # code and text as the vendor page shows them
        return {"status": "deleted", "leadId": person}

    def _need(self, connection: sqlite3.Connection, number: int) -> Program:
        found = self._at.programs.find(connection, "id = ?", (number,), 1)
        if not found:
            raise Refusal("1013", "Object not found")
        return found[0]

    def _after(self, call: Call) -> int:
        token = call.text("nextPageToken")
        return self._at.tokens.read(tokens.PROGRAM_MEMBERS, token)[0] if token else 0

    def _token(self, last: int) -> str:
        return self._at.tokens.write(tokens.PROGRAM_MEMBERS, last)

    def _more(self, more: bool, last: int) -> dict[str, Json]:
        return {"nextPageToken": self._token(last), "moreResult": True} if more else {"moreResult": False}


def _membership(one: Member, *, with_type: bool = False) -> dict[str, Json]:
    kind = {"progressionStatusType": one.status} if with_type else {}
    return {
        "id": one.program, "progressionStatus": one.status, **kind, "isExhausted": False,
        "acquiredBy": bool(one.acquired), "reachedSuccess": bool(one.success), "membershipDate": stamp(one.since),
        "updatedAt": stamp(one.updated),
    }  # fmt: skip
