"""Which messages a table takes: rows of `sdkmessage` and `sdkmessagefilter` (sections 8 and 14, V54)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from include.sandbox.dynamics.schema import Table, stable_id
from include.sandbox.service import Json

_EVERY_TABLE = ("Create", "Delete", "Retrieve", "RetrieveMultiple", "Update")
_OWNED = ("Assign", "GrantAccess", "ModifyAccess", "RevokeAccess", "SetState")
_BULK = ("Associate", "CreateMultiple", "Disassociate", "Restore", "UpdateMultiple", "Upsert", "UpsertMultiple")
_MERGED = frozenset({"account", "contact", "lead"})
# Assumption: besides the three tables of the fact sheet, those that people own take the bulk messages too.
_USER_OWNED = "UserOwned"


def messages_of(table: Table) -> list[str]:
    """Names of the messages of a table, sorted."""
    names = {*_EVERY_TABLE}
    if table.ownership == _USER_OWNED:
        names |= {*_OWNED, *_BULK}
    if table.name in _MERGED:
        names.add("Merge")
    if table.name == "lead":
        names.add("QualifyLead")
    return sorted(names)


def message_rows(tables: Iterable[Table]) -> Iterator[tuple[str, Mapping[str, Json]]]:
    """Table name and values of each row that describes a message; messages before the filters that point to them."""
    listed = [(table.name, messages_of(table)) for table in tables]
    for name in sorted({name for _, names in listed for name in names}):
        yield "sdkmessage", {"sdkmessageid": stable_id("message", name), "name": name}
    for table, names in listed:
        for name in names:
            yield (
                "sdkmessagefilter",
                {
                    "sdkmessagefilterid": stable_id("message", name, table),
                    "sdkmessageid": stable_id("message", name),
                    "primaryobjecttypecode": table,
                    "secondaryobjecttypecode": "none",
                },
            )
