"""Programs and channels of the asset API: find, browse, make, change, delete (vendor page: REST API, Programs)."""

from __future__ import annotations

import sqlite3

from include.sandbox.marketo.asset_answers import asset_stamp, assets, link, not_blank, place_of, slice_of
from include.sandbox.marketo.identity import ASSETS, Permission
from include.sandbox.marketo.instance import Instance
from include.sandbox.marketo.program_store import CHANNELS, Program, statuses
from include.sandbox.marketo.routes import Body, Route
from include.sandbox.marketo.wire import Call, Refusal, Reply
from include.sandbox.service import Json

MARKETING_ROOT = 15
"""The folder of programs that nobody placed."""


class ProgramAssets:
    """The program endpoints, as far as memberships and lists in programs need them."""

    def __init__(self, instance: Instance) -> None:
        """Keep the instance."""
        self._at = instance

    def routes(self) -> list[Route]:
        """Its resources."""
        one, change = "/rest/asset/v1/program", (Permission.WRITE_ASSETS,)
        return [
            Route("GET", f"{one}/byName.json", self.by_name, ASSETS),
            Route("GET", f"{one}/{{id}}.json", self.one, ASSETS),
            Route("GET", f"{one}s.json", self.browse, ASSETS),
            Route("POST", f"{one}s.json", self.create, change, Body.ANY),
            Route("POST", f"{one}/{{id}}.json", self.change, change, Body.ANY),
            Route("POST", f"{one}/{{id}}/delete.json", self.delete, change, Body.ANY),
            Route("GET", "/rest/asset/v1/channels.json", self.channels, ASSETS),
            Route("GET", "/rest/asset/v1/channel/byName.json", self.channel, ASSETS),
        ]

    def by_name(self, call: Call) -> Reply:
        """The program with exactly this name."""
        return self._answer(call, "name = ?", not_blank(call, "name"))

    def one(self, call: Call) -> Reply:
        """One program by its id."""
        return self._answer(call, "id = ?", call.place("id"))

    def browse(self, call: Call) -> Reply:
        """All programs, sliced by `offset` and `maxReturn`."""
        offset, size = slice_of(call)
        with self._at.database.read() as connection:
            found = self._at.programs.find(connection, "1", (), min(offset + size, 2**62))[offset:]
            return assets([self._record(connection, call, one) for one in found])

    def create(self, call: Call) -> Reply:
        """A new program from name, folder, type, channel and description."""
        name, (folder, _) = not_blank(call, "name"), place_of(not_blank(call, "folder"))
        kind, channel = not_blank(call, "type"), not_blank(call, "channel")
        # Assumption: any channel name is taken, for administrators make their own.
        if kind not in {"Default", "Event", "Event with Webinar", "Engagement", "Email"}:
            raise Refusal("709", f"Program type '{kind}' is not valid")
        with self._at.database.write() as connection:
            if self._at.programs.find(connection, "name = ?", (name,), 1):
                raise Refusal("709", f"Program with name '{name}' already exists")
            made = self._at.programs.create(
                connection, name, call.second, description=call.text("description"), kind=kind, channel=channel,
                folder=folder,
            )  # fmt: skip
            return assets([self._record(connection, call, made)])

    def change(self, call: Call) -> Reply:
        """Another name or description."""
        with self._at.database.write() as connection:
            present = self._need(connection, call)
            name = call.text("name") or present.name
            if name != present.name and self._at.programs.find(connection, "name = ?", (name,), 1):
                raise Refusal("709", f"Program with name '{name}' already exists")
            connection.execute(
                "UPDATE program SET name = ?, description = ?, updated = ? WHERE id = ?",
                (name, call.text("description") or present.description, call.second, present.id),
            )
            connection.execute("UPDATE static_list SET program = ? WHERE program = ?", (name, present.name))
            (changed,) = self._at.programs.find(connection, "id = ?", (present.id,))
            return assets([self._record(connection, call, changed)])

    def delete(self, call: Call) -> Reply:
        """The program and its memberships; one with lists stays (709)."""
        with self._at.database.write() as connection:
            present = self._need(connection, call)
            if self._at.lists.find(connection, "program = ?", (present.name,), 1):
                raise Refusal("709", "Program is not empty")
            connection.execute("DELETE FROM program_member WHERE program_id = ?", (present.id,))
            connection.execute("DELETE FROM program WHERE id = ?", (present.id,))
        return assets([{"id": present.id}])

    def channels(self, call: Call) -> Reply:
        """Every channel with the statuses of its members."""
        offset, size = slice_of(call)
        return assets(self._channels(list(CHANNELS))[offset : offset + size])

    def channel(self, call: Call) -> Reply:
        """One channel by its name."""
        wanted = not_blank(call, "name")
        return assets([one for one in self._channels(list(CHANNELS)) if one["name"] == wanted])

    def _channels(self, names: list[str]) -> list[dict[str, Json]]:
        with self._at.database.read() as connection:
            row = connection.execute("SELECT created FROM folder WHERE id = ?", (MARKETING_ROOT,)).fetchone()
        return [_channel(number, name, row[0]) for number, name in enumerate(names, start=1)]

    def _need(self, connection: sqlite3.Connection, call: Call) -> Program:
        found = self._at.programs.find(connection, "id = ?", (call.place("id"),), 1)
        if not found:
            raise Refusal("702", "No data found")
        return found[0]

    def _answer(self, call: Call, condition: str, argument: Json) -> Reply:
        with self._at.database.read() as connection:
            found = self._at.programs.find(connection, condition, (argument,), 1)
            return assets([self._record(connection, call, one) for one in found])

    @staticmethod
    def _record(connection: sqlite3.Connection, call: Call, one: Program) -> dict[str, Json]:
        """The JSON object, member order as documented and recorded."""
        folder = one.folder or MARKETING_ROOT
        row = connection.execute("SELECT name FROM folder WHERE id = ?", (folder,)).fetchone()
        return {
            "id": one.id, "name": one.name, "description": one.description or "",
            "createdAt": asset_stamp(one.created), "updatedAt": asset_stamp(one.updated),
            "url": link(call, "PG", one.id), "type": one.type, "channel": one.channel,
            "folder": {"type": "Folder", "value": folder, "folderName": row[0] if row else f"Folder {folder}"},
            "status": "", "workspace": "Default",
        }  # fmt: skip


def _channel(number: int, name: str, made: int) -> dict[str, Json]:
    ladder = [
        {"name": one.name, "step": one.step, "description": None, "hidden": False, "success": one.success}
        for one in statuses()
    ]
    return {
        "id": number, "name": name, "applicableProgramType": CHANNELS[name], "progressionStatuses": ladder,
        "createdAt": asset_stamp(made), "updatedAt": asset_stamp(made),
    }  # fmt: skip
