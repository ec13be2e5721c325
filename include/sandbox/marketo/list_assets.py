"""Static lists as assets: find, browse, make, rename, delete (vendor page: REST API, Static Lists; M50)."""

from __future__ import annotations

import sqlite3

from include.sandbox.marketo.asset_answers import (
    asset_stamp,
    assets,
    link,
    moment_of,
    not_blank,
    place_of,
    slice_of,
)
from include.sandbox.marketo.folders import GROUP_LISTS
from include.sandbox.marketo.identity import ASSETS, Permission
from include.sandbox.marketo.instance import Instance
from include.sandbox.marketo.list_store import StaticList
from include.sandbox.marketo.routes import Body, Route
from include.sandbox.marketo.wire import Call, Refusal, Reply
from include.sandbox.service import Json


class ListAssets:
    """The asset endpoints of lists."""

    def __init__(self, instance: Instance) -> None:
        """Keep the instance."""
        self._at = instance

    def routes(self) -> list[Route]:
        """Its resources."""
        one, change = "/rest/asset/v1/staticList", (Permission.WRITE_ASSETS,)
        return [
            Route("GET", f"{one}/byName.json", self.by_name, ASSETS),
            Route("GET", f"{one}/{{id}}.json", self.one, ASSETS),
            Route("GET", f"{one}s.json", self.browse, ASSETS),
            Route("POST", f"{one}s.json", self.create, change, Body.ANY),
            Route("POST", f"{one}/{{id}}.json", self.change, change, Body.ANY),
            Route("POST", f"{one}/{{id}}/delete.json", self.delete, change, Body.ANY),
        ]

    def by_name(self, call: Call) -> Reply:
        """The list with exactly this name."""
        with self._at.database.read() as connection:
            return self._answer(call, self._at.lists.find(connection, "name = ?", (not_blank(call, "name"),), 1))

    def one(self, call: Call) -> Reply:
        """One list by its id."""
        with self._at.database.read() as connection:
            return self._answer(call, self._at.lists.find(connection, "id = ?", (call.place("id"),), 1))

    def browse(self, call: Call) -> Reply:
        """Lists by folder and time of change, sliced by `offset` and `maxReturn`."""
        offset, size = slice_of(call)
        condition, arguments = ["1"], list[Json]()
        if folder := call.text("folder"):
            condition.append(f"ifnull(folder, {GROUP_LISTS}) = ?")
            arguments.append(place_of(folder)[0])
        for name, comparison in (("earliestUpdatedAt", ">="), ("latestUpdatedAt", "<=")):
            if (moment := moment_of(call, name)) is not None:
                condition.append(f"updated {comparison} ?")
                arguments.append(moment)
        with self._at.database.read() as connection:
            found = self._at.lists.find(connection, " AND ".join(condition), arguments, min(offset + size, 2**62))
        return self._answer(call, found[offset:])

    def create(self, call: Call) -> Reply:
        """A new list from the parameters name, folder and description, form or query.

        Assumption: a folder number that nobody made is taken as it is, for numbers differ per instance.
        """
        name, (folder, kind) = not_blank(call, "name"), place_of(not_blank(call, "folder"))
        with self._at.database.write() as connection:
            self._check_name(connection, name)
            program = self._at.programs.numbered(connection, folder, call.second).name if kind == "Program" else None
            made = self._at.lists.create(
                connection, name, call.second, description=call.text("description"), folder=folder, program=program
            )
        return self._answer(call, [made])

    def change(self, call: Call) -> Reply:
        """Another name or description."""
        name, description = call.text("name"), call.text("description")
        with self._at.database.write() as connection:
            present = self._need(connection, call)
            if name is not None and name != present.name:
                self._check_name(connection, name)
            connection.execute(
                "UPDATE static_list SET name = ?, description = ?, updated = ? WHERE id = ?",
                (name or present.name, description or present.description, call.second, present.id),
            )
            return self._answer(call, self._at.lists.find(connection, "id = ?", (present.id,), 1))

    def delete(self, call: Call) -> Reply:
        """The list and its memberships. Assumption: nothing is logged for its members."""
        with self._at.database.write() as connection:
            present = self._need(connection, call)
            connection.execute("DELETE FROM member WHERE list_id = ?", (present.id,))
            connection.execute("DELETE FROM static_list WHERE id = ?", (present.id,))
        return assets([{"id": present.id}])

    def _need(self, connection: sqlite3.Connection, call: Call) -> StaticList:
        found = self._at.lists.find(connection, "id = ?", (call.place("id"),), 1)
        if not found:
            raise Refusal("702", "No data found")
        return found[0]

    def _check_name(self, connection: sqlite3.Connection, name: str) -> None:
        if self._at.lists.find(connection, "name = ?", (name,), 1):
            raise Refusal("709", f"Static List with name '{name}' already exists")

    @staticmethod
    def _answer(call: Call, lists: list[StaticList]) -> Reply:
        """Member order as recorded; an empty description is left out."""
        return assets([
            {
                "id": one.id, "name": one.name, **({"description": one.description} if one.description else {}),
                "createdAt": asset_stamp(one.created), "updatedAt": asset_stamp(one.updated),
                "folder": {"id": one.folder or GROUP_LISTS, "type": "Program" if one.program else "Folder"},
                "computedUrl": link(call, "ST", one.id), "workspace": "Default",
            }
            for one in lists
        ])  # fmt: skip
