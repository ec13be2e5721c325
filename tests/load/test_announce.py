"""A person learns the id of its CRM record when that record is known to exist, and not before."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from include.leadsync.config import SystemFields
from include.leadsync.load.announce import announcements
from include.leadsync.load.outcome import Fate, Operation, Outcome

NOW = datetime(2026, 3, 1, 10, tzinfo=UTC)
NAMES = SystemFields(id="microsoftId", type="microsoftType", is_deleted="microsoftIsDeleted")
MADE = Operation(
    op_id="0123456789abcdef0123456789abcdef",
    run_id="20260301T100000Z-000001",
    link_id=7,
    entity="contact",
    direction="outbound",
    kind="create",
    lane=1,
    person_id=1001,
    crm_id="f0000000-0000-4000-8000-000000000001",
    etag=None,
    attempts=1,
    writes=(),
    request_id="r1",
    binds=None,
)


def test_a_created_record_is_announced_with_id_type_and_that_it_is_not_deleted() -> None:
    (row,) = announcements([Outcome(MADE, Fate.DONE)], NAMES, NOW).to_pylist()
    writes = json.loads(row["payload"])["writes"]
    assert {write["field"]: write["after"] for write in writes} == {
        "microsoftId": MADE.crm_id,
        "microsoftType": "Contact",
        "microsoftIsDeleted": "false",
    }
    assert all(write["system"] for write in writes)
    names = ("link_id", "person_id", "direction", "kind", "lane", "state")
    assert [row[name] for name in names] == [7, 1001, "inbound", "link", 1, "pending"]


@pytest.mark.parametrize("fate", [fate for fate in Fate if fate is not Fate.DONE])
def test_nothing_is_announced_that_may_not_exist(fate: Fate) -> None:
    assert announcements([Outcome(MADE, fate)], NAMES, NOW).num_rows == 0


@pytest.mark.parametrize(("kind", "direction"), [("update", "outbound"), ("create", "inbound"), ("link", "inbound")])
def test_other_operations_announce_nothing(kind: str, direction: str) -> None:
    other = replace(MADE, kind=kind, direction=direction)
    assert announcements([Outcome(other, Fate.DONE)], NAMES, NOW).num_rows == 0


def test_the_same_creation_is_announced_under_the_same_id_and_two_under_two() -> None:
    twin = replace(MADE, op_id="f" * 32, link_id=8)
    first = announcements([Outcome(MADE, Fate.DONE), Outcome(twin, Fate.DONE)], NAMES, NOW)["op_id"].to_pylist()
    assert len(set(first)) == 2
    assert announcements([Outcome(MADE, Fate.DONE)], NAMES, NOW)["op_id"].to_pylist() == first[:1]
