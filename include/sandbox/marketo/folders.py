"""Folders of the asset API: find, browse, make, change, delete (vendor page: REST API, Folders).

A new instance has the system folders of a real one; their ids are the recorded ones where a recording names them.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from typing import NamedTuple

from include.sandbox.marketo.asset_answers import asset_stamp, assets, link, not_blank, place_of, slice_of
from include.sandbox.marketo.identity import ASSETS, Permission
from include.sandbox.marketo.instance import Instance
from include.sandbox.marketo.routes import Body, Route
from include.sandbox.marketo.wire import Call, Refusal, Reply, as_integer
from include.sandbox.service import Json

COLUMNS = "id, name, description, kind, parent, parent_type, system, archived, created, updated"
GROUP_LISTS = 12
FIRST_ID = 40
DEFAULT_DEPTH = 2
_SYSTEM = (
    (1, "Design Studio", "Root node for the Design Studio app area", "Zone", None),
    (2, "Default", "Root node of the Design Studio Default", "Zone", 1),
    (4, "Lead Database", "Root node for the Lead Database app area", "Zone", None),
    (5, "Default", "Root node of the Lead Database Default", "Zone", 4),
    (11, "Emails", None, "Email", 2),
    (GROUP_LISTS, "Group Lists", None, "List", 5),
    (14, "Marketing Activities", "Root node for the Marketing Activities app area", "Zone", None),
    (15, "Default", "Root node of the Marketing activities Default", "Zone", 14),
)


class Folder(NamedTuple):
    """One folder; times in seconds since 1970. `kind` says what it may hold (Zone, List, Marketing Folder)."""

    id: int
    name: str
    description: str | None
    kind: str
    parent: int | None
    parent_type: str
    system: int
    archived: int
    created: int
    updated: int


class Folders:
    """The folder endpoints."""

    def __init__(self, instance: Instance) -> None:
        """Give a new instance its system folders."""
        self._at = instance
        now = instance.now()
        rows = [(*one, "Folder", 1, 0, now, now) for one in _SYSTEM]
        with instance.database.write() as connection:
            connection.executemany(f"INSERT OR IGNORE INTO folder ({COLUMNS}) VALUES (?,?,?,?,?,?,?,?,?,?)", rows)  # noqa: S608
            connection.execute("UPDATE sqlite_sequence SET seq = max(seq, ?) WHERE name = 'folder'", (FIRST_ID - 1,))

    def routes(self) -> list[Route]:
        """Its resources."""
        one, change = "/rest/asset/v1/folder", (Permission.WRITE_ASSETS,)
        return [
            Route("GET", f"{one}/byName.json", self.by_name, ASSETS),
            Route("GET", f"{one}/{{id}}.json", self.one, ASSETS),
            Route("GET", f"{one}/{{id}}/content.json", self.content, ASSETS),
            Route("GET", f"{one}s.json", self.browse, ASSETS),
            Route("POST", f"{one}s.json", self.create, change, Body.ANY),
            Route("POST", f"{one}/{{id}}.json", self.change, change, Body.ANY),
            Route("POST", f"{one}/{{id}}/delete.json", self.delete, change, Body.ANY),
        ]

    def by_name(self, call: Call) -> Reply:
        """Every folder with exactly this name, under `root` when that is given."""
        name, root = not_blank(call, "name"), call.text("root")
        with self._at.database.read() as connection:
            found = self._find(connection, "name = ?", (name,))
            if root:
                number, _ = place_of(root)
                found = [one for one in found if number in self._line(connection, one)]
            return assets([self._record(connection, call, one) for one in found])

    def one(self, call: Call) -> Reply:
        """One folder by its id; programs are not folders here."""
        wanted = call.text("type") or "Folder"
        with self._at.database.read() as connection:
            found = self._find(connection, "id = ?", (call.place("id"),)) if wanted == "Folder" else []
            return assets([self._record(connection, call, one) for one in found])

    def content(self, call: Call) -> Reply:
        """Folders and lists directly inside a folder."""
        offset, size = slice_of(call)
        number = call.place("id")
        with self._at.database.read() as connection:
            inside: list[dict[str, Json]] = [
                {"id": one.id, "type": "Folder"} for one in self._find(connection, "parent = ?", (number,))
            ]
            lists = self._at.lists.find(connection, "ifnull(folder, ?) = ?", (GROUP_LISTS, number), 2**31)
        inside += [{"id": one.id, "type": "Static List"} for one in lists]
        return assets(inside[offset : offset + size])

    def browse(self, call: Call) -> Reply:
        """A folder and those below it, `maxDepth` levels down (2 unless given)."""
        offset, size = slice_of(call)
        depth, root = as_integer(call.text("maxDepth") or str(DEFAULT_DEPTH)), call.text("root")
        with self._at.database.read() as connection:
            level = self._find(connection, "id = ?", (place_of(root)[0],)) if root else self._roots(connection)
            found = list(level)
            for _ in range(min(max(depth, 0), len(_SYSTEM) * 100)):
                level = [below for one in level for below in self._find(connection, "parent = ?", (one.id,))]
                if not level:
                    break
                found += level
            return assets([self._record(connection, call, one) for one in found[offset : offset + size]])

    def create(self, call: Call) -> Reply:
        """A folder inside another; it holds what its parent holds."""
        name, (above, kind) = not_blank(call, "name"), place_of(not_blank(call, "parent"))
        now = call.second
        with self._at.database.write() as connection:
            parents = self._find(connection, "id = ?", (above,)) if kind == "Folder" else []
            if not parents:
                raise Refusal("710", "Parent folder not found")
            if self._find(connection, "name = ? AND parent = ?", (name, above)):
                raise Refusal("709", f"Folder with name '{name}' already exists")
            holds = "Marketing Folder" if parents[0].kind == "Zone" else parents[0].kind
            row = (None, name, call.text("description"), holds, above, kind, 0, 0, now, now)
            sql = f"INSERT INTO folder ({COLUMNS}) VALUES (?,?,?,?,?,?,?,?,?,?)"  # noqa: S608
            made = connection.execute(sql, row).lastrowid
            return assets([self._record(connection, call, one) for one in self._find(connection, "id = ?", (made,))])

    def change(self, call: Call) -> Reply:
        """Another name, description or place in the archive."""
        with self._at.database.write() as connection:
            present = self._own(connection, call)
            archived = call.text("isArchive")
            connection.execute(
                "UPDATE folder SET name = ?, description = ?, archived = ?, updated = ? WHERE id = ?",
                (call.text("name") or present.name, call.text("description") or present.description,
                 present.archived if archived is None else int(archived.lower() == "true"), call.second, present.id),
            )  # fmt: skip
            found = self._find(connection, "id = ?", (present.id,))
            return assets([self._record(connection, call, one) for one in found])

    def delete(self, call: Call) -> Reply:
        """An empty folder that is not the system's; anything else is a business rule (709)."""
        with self._at.database.write() as connection:
            present = self._own(connection, call)
            used = self._find(connection, "parent = ?", (present.id,)) or self._at.lists.find(
                connection, "folder = ?", (present.id,), 1
            )
            if used:
                raise Refusal("709", "Folder is not empty")
            connection.execute("DELETE FROM folder WHERE id = ?", (present.id,))
        return assets([{"id": present.id}])

    def _own(self, connection: sqlite3.Connection, call: Call) -> Folder:
        found = self._find(connection, "id = ?", (call.place("id"),))
        if not found:
            raise Refusal("702", "No data found")
        if found[0].system:
            raise Refusal("709", "System folders cannot be changed")
        return found[0]

    @staticmethod
    def _roots(connection: sqlite3.Connection) -> list[Folder]:
        return Folders._find(connection, "parent IS NULL", ())

    @staticmethod
    def _find(connection: sqlite3.Connection, condition: str, arguments: Iterable[Json]) -> list[Folder]:
        sql = f"SELECT {COLUMNS} FROM folder WHERE {condition} ORDER BY id"  # noqa: S608
        return [Folder(*row) for row in connection.execute(sql, tuple(arguments))]

    def _line(self, connection: sqlite3.Connection, one: Folder) -> list[int]:
        """The folder's id and those above it, itself first."""
        line, parent = [one.id], one.parent
        while parent is not None:
            line.append(parent)
            above = self._find(connection, "id = ?", (parent,))
            parent = above[0].parent if above else None
        return line

    def _record(self, connection: sqlite3.Connection, call: Call, one: Folder) -> dict[str, Json]:
        """The JSON object, member order as recorded."""
        names = [self._find(connection, "id = ?", (number,))[0].name for number in self._line(connection, one)]
        above = None if one.parent is None else {"id": one.parent, "type": one.parent_type}
        return {
            "name": one.name, "description": one.description, "createdAt": asset_stamp(one.created),
            "updatedAt": asset_stamp(one.updated), "url": None if one.system else link(call, "MF", one.id),
            "folderId": {"id": one.id, "type": "Folder"}, "folderType": one.kind, "parent": above,
            "path": "/" + "/".join(reversed(names)), "isArchive": bool(one.archived), "isSystem": bool(one.system),
            "accessZoneId": 1, "workspace": "Default", "id": one.id,
        }  # fmt: skip
