"""Generated people into both emulators."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

from include.sandbox.people.generation import Pair, Record, accounts, people
from include.sandbox.service import Emulator, Json

_CHUNK = 5_000

CUSTOM_FIELDS = (
    ("microsoftId", "Microsoft Id", "string"),
    ("microsoftType", "Microsoft Type", "string"),
    ("microsoftCreatedDate", "Microsoft Created Date", "datetime"),
    ("microsoftIsDeleted", "Microsoft is Deleted", "boolean"),
    ("microsoftTopic", "Microsoft Topic", "string"),
    ("microsoftAddress2", "Microsoft Address 2", "string"),
    ("microsoftAddress3", "Microsoft Address 3", "string"),
    ("microsoftDoNotEmail", "Microsoft Do Not Email", "boolean"),
    ("microsoftDoNotFax", "Microsoft Do Not Fax", "boolean"),
    ("microsoftDoNotSendMarketingMaterial", "Microsoft Do Not Send Marketing Material", "boolean"),
    ("microsoftHomePhone", "Microsoft Home Phone", "phone"),
    ("microsoftPreferredMethodOfContact", "Microsoft Preferred Method of Contact", "string"),
    ("microsoftStatusReason", "Microsoft Status Reason", "string"),
)
"""The custom fields that the default map needs in Marketo: name, display name, data type (D12)."""


def prepare(marketo: Emulator) -> None:
    """Create the custom fields; those that exist stay as they are."""
    fields = [{"name": name, "displayName": shown, "dataType": kind} for name, shown, kind in CUSTOM_FIELDS]
    marketo.control("create_fields", {"fields": fields})


def load_people(
    marketo: Emulator,
    dynamics: Emulator,
    *,
    seed: int = 1,
    count: int = 0,
    start: int = 0,
    linked: float = 1.0,
    contacts: float = 0.4,
    with_ids: bool = True,
) -> Json:
    """Load `people(...)`, a few thousand at a time, with the accounts first when `start` is 0.

    Returns how many rows went into each table.
    """
    loaded = {"person": 0, "lead": 0, "contact": 0, "account": 0}
    if start == 0 and count:
        loaded["account"] = dynamics.load("account", accounts(seed))
    stream = people(seed, count, start=start, linked=linked, contacts=contacts, with_ids=with_ids)
    for chunk in _chunks(stream):
        for table in ("lead", "contact"):  # first: their ids tell pairs that are there already
            loaded[table] += dynamics.load(table, _records(chunk, table))
        loaded["person"] += marketo.load("person", [pair.person for pair in chunk if pair.person is not None])
    return loaded


def _records(chunk: list[Pair], table: str) -> list[Record]:
    return [pair.record for pair in chunk if pair.table == table and pair.record is not None]


def _chunks(pairs: Iterator[Pair]) -> Iterator[list[Pair]]:
    while chunk := list(islice(pairs, _CHUNK)):
        yield chunk
