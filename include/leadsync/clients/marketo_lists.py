"""Static lists of Marketo: find, make, read members, add and remove them (facts/marketo-api §5.3, §6.3)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

import msgspec
import pyarrow as pa

from include.leadsync.clients.decode import Wire
from include.leadsync.clients.marketo_persons import MarketoPersons, each_once, person_columns
from include.leadsync.clients.marketo_session import PAGE, Envelope, typed
from include.leadsync.clients.records import RecordResult
from include.leadsync.clients.writes import REPEATS
from include.leadsync.errors import AnswerMalformed, ConnectionBroken, FixConfiguration
from include.leadsync.model import System

_LISTS: Final = "/rest/asset/v1/staticLists.json"
_FOLDER: Final = "Group Lists"
"""Where every instance keeps lists of its database."""


class _StaticList(msgspec.Struct):
    id: int
    name: str = ""


class _FolderId(msgspec.Struct):
    id: int


class _Folder(msgspec.Struct, rename="camel"):
    id: int = 0
    folder_id: _FolderId | None = None


class MarketoLists(MarketoPersons):
    """Static lists."""

    def list_members(self, list_id: int, columns: Mapping[str, Wire]) -> Iterator[pa.Table]:
        """The members of a static list, page by page, columns as `persons`."""
        wanted = person_columns(columns)
        for page in self._pages(f"/rest/v1/lists/{list_id}/leads.json", {}, wanted):
            yield each_once(page)

    def find_list(self, name: str) -> int | None:
        """The id of the static list of exactly this name; the oldest if there are several."""
        envelope = self._read("/rest/v1/lists.json", {"name": name, "batchSize": PAGE})
        ids = [each.id for each in typed(envelope.result, list[_StaticList]) if each.name == name]
        return min(ids, default=None)

    def add_to_list(self, list_id: int, ids: Sequence[int]) -> list[RecordResult]:
        """Put persons on a static list; a member stays one and is `ok` (M50)."""
        return self._by_id("add to list", f"/rest/v1/lists/{list_id}/leads.json", ids)

    def remove_from_list(self, list_id: int, ids: Sequence[int]) -> list[RecordResult]:
        """Take persons off a static list; 1015 for those who are not on it (M50)."""
        return self._by_id("remove from list", f"/rest/v1/lists/{list_id}/leads.json", ids)

    def create_list(self, name: str, folder: str = _FOLDER, *, description: str = "") -> int:
        """Make a static list in the folder of this name and return its id (vendor page: REST API, Static Lists).

        After an unknown outcome the list is looked for by its name; nothing is sent twice.

        Raises:
            FixConfiguration: there is no such folder.
            RowFailed: 709, a list of this name exists already.
            ConnectionBroken: with `maybe_committed`, and the list is not to be seen yet.
        """
        place = msgspec.json.encode({"id": self._folder(folder), "type": "Folder"}).decode()
        form = {"folder": place, "name": name, "description": description}
        try:
            made = self._write_form(_LISTS, {k: v for k, v in form.items() if v}, _only, REPEATS["create list"])
        except ConnectionBroken as error:
            found = self.find_list(name) if error.maybe_committed else None
            if found is None:
                raise
            return found
        return made.id

    def _folder(self, name: str) -> int:
        found = typed(self._read("/rest/asset/v1/folder/byName.json", {"name": name}).result, list[_Folder])
        if not found:
            raise FixConfiguration(f"Marketo has no folder named {name!r} that a list could be made in")
        return found[0].folder_id.id if found[0].folder_id else found[0].id


def _only(answer: Envelope) -> _StaticList:
    made = typed(answer.result, list[_StaticList])
    if len(made) != 1:
        raise AnswerMalformed(System.MARKETO, f"{len(made)} lists made where one was asked for", "")
    return made[0]
