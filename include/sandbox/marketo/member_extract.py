"""What a bulk extract of program members contains (facts/marketo-api.md 9.1, trap 11; vendor page of this extract)."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence

from include.sandbox.marketo.extract_request import cell, date_range, integer, layout, unknown_fields
from include.sandbox.marketo.instance import Instance
from include.sandbox.marketo.people import COLUMNS, Projection, person_of
from include.sandbox.marketo.program_members import FIELDS
from include.sandbox.marketo.program_store import MEMBER_COLUMNS, Member
from include.sandbox.marketo.values import shown
from include.sandbox.marketo.wire import Refusal, stamp
from include.sandbox.service import Json

FILTERS = frozenset({"programId", "programIds", "statusNames", "updatedAt", "isExhausted", "nurtureCadence"})
MOST_PROGRAMS = 10
_CELLS: dict[str, Callable[[Member], str]] = {
    "acquiredBy": lambda member: str(member.acquired),
    "createdAt": lambda member: stamp(member.since),
    "isExhausted": lambda _: "0",
    "leadId": lambda member: str(member.person),
    "membershipDate": lambda member: stamp(member.since),
    "programId": lambda member: str(member.program),
    "reachedSuccess": lambda member: str(member.success),
    "statusName": lambda member: member.status,
    "updatedAt": lambda member: stamp(member.updated),
}
"""Recorded files write booleans of memberships as 0 and 1. Fields of a membership that stand in no line are empty."""


class MemberExtract:
    """The kind `program/members`."""

    name = "program/members"

    def __init__(self, instance: Instance) -> None:
        """Keep the instance."""
        self._at = instance

    def check(self, body: Mapping[str, Json]) -> dict[str, Json]:
        """The request as stored: format, columnHeaderNames, fields, filter; or why it is refused."""
        fields = body.get("fields")
        if not isinstance(fields, list) or not fields:
            raise Refusal("1003", "fields not specified")
        if unknown := [name for name in fields if not isinstance(name, str) or not self._known(name)]:
            raise unknown_fields(unknown)
        chosen = self._filter(body.get("filter"))
        if chosen["several"]:
            fields = ["programId", *(name for name in fields if name != "programId")]
        return {**layout(body), "fields": fields, "filter": chosen}

    def _known(self, name: str) -> bool:
        return name in FIELDS or self._at.catalog.get(name) is not None

    def _filter(self, sent: Json) -> dict[str, Json]:
        if not isinstance(sent, dict) or ("programId" in sent) == ("programIds" in sent) or set(sent) - FILTERS:
            raise Refusal("1003", "One of the filters programId and programIds must be specified")
        if "updatedAt" in sent and not self._at.options.extract_updated_at:
            raise Refusal("1035", "Unsupported filter type for target subscription: updatedAt")
        programs = sent["programIds"] if "programIds" in sent else [sent["programId"]]
        if not isinstance(programs, list) or not 1 <= len(programs) <= MOST_PROGRAMS:
            raise Refusal("1003", f"From 1 to {MOST_PROGRAMS} programs must be specified")
        with self._at.database.read() as connection:
            for one in programs:
                if not self._at.programs.find(connection, "id = ?", (integer(one),), 1):
                    raise Refusal("1013", "Object not found")
        names = sent.get("statusNames") or []
        if not isinstance(names, list):
            raise Refusal("1003", "Invalid value for statusNames")
        return {
            "programs": [integer(one) for one in programs], "several": "programIds" in sent,
            "statuses": [shown(name) for name in names],
            "updatedAt": date_range(sent["updatedAt"]) if "updatedAt" in sent else None,
            # Assumption: nobody in the sandbox has exhausted content or another cadence than none.
            "nobody": sent.get("isExhausted") is True or bool(sent.get("nurtureCadence")),
        }  # fmt: skip

    def rows(self, connection: sqlite3.Connection, request: Mapping[str, Json]) -> Iterator[Sequence[str]]:
        """One row a membership: its own fields, and those of the person."""
        chosen = request["filter"]
        conditions, arguments = [f"program_id IN ({', '.join('?' * len(chosen['programs']))})"], [*chosen["programs"]]
        if chosen["statuses"]:
            conditions.append(f"status IN ({', '.join('?' * len(chosen['statuses']))})")
            arguments += chosen["statuses"]
        if chosen["updatedAt"]:
            conditions.append("program_member.updated BETWEEN ? AND ?")
            arguments += chosen["updatedAt"]
        if chosen["nobody"]:
            conditions.append("0")
        names = [f"program_member.{column}" for column in MEMBER_COLUMNS.split(", ")]
        person = [f"person.{column}" for column in COLUMNS.split(", ")]
        sql = (
            f"SELECT {', '.join(names + person)}, program.name FROM program_member"  # noqa: S608
            " JOIN person ON person.id = person_id JOIN program ON program.id = program_id"
            f" WHERE {' AND '.join(conditions)}"
        )
        leads = [name for name in request["fields"] if name not in FIELDS]
        projection = Projection(self._at.catalog, leads or ["id"], unset=None)
        for row in connection.execute(sql, arguments):
            member = Member(*row[: len(names)])
            record = projection.record(person_of(row[len(names) :]))
            yield [_cell(name, member, row[-1], record) for name in request["fields"]]


def _cell(name: str, member: Member, program: str, record: Mapping[str, Json]) -> str:
    if name == "program":
        return program
    if name in _CELLS:
        return _CELLS[name](member)
    return cell(record.get(name))
