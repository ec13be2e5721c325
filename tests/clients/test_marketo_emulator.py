"""The Marketo client against the Marketo emulator, in this process."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from include.leadsync.clients.budget import NullBudget
from include.leadsync.clients.marketo import MarketoClient
from include.leadsync.clients.retry import RetryPolicy
from include.leadsync.errors import AccessRefused, FixConfiguration, ReadAgain, RowFailed, Throttled
from include.leadsync.model import Connection, Window
from include.sandbox.clock import MovableClock
from include.sandbox.marketo import MarketoEmulator
from tests.clients.servers import EmulatorTransport, SandboxClock

URL = "http://marketo.sandbox"
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def email(number: int) -> str:
    return f"a.rather.long.name.{number}@example.test"


@dataclass
class World:
    """An emulator and a client that share a clock."""

    emulator: MarketoEmulator
    transport: EmulatorTransport
    client: MarketoClient
    clock: MovableClock

    def create(self, count: int) -> list[int]:
        records = [{"email": email(number), "lastName": f"N{number}"} for number in range(count)]
        ids = []
        for start in range(0, count, 300):
            part = records[start : start + 300]
            results = self.client.sync_persons(part, action="createOrUpdate", lookup_field="email")
            ids += [int(str(result.id)) for result in results]
        return ids


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    clock = MovableClock()
    clock.freeze(NOON)
    emulator = MarketoEmulator(tmp_path, clock)
    transport = EmulatorTransport(emulator, URL)
    client = MarketoClient(
        Connection(URL, "sandbox", "sandbox"),
        transport=transport,
        budget=NullBudget(),
        clock=SandboxClock(clock),
        retry=RetryPolicy(jitter=lambda: 0.5),
    )
    yield World(emulator, transport, client, clock)
    emulator.close()


def changes(world: World, token: str, fields: list[str]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = pa.concat_tables(
        page.rows for page in world.client.lead_changes(token, fields)
    ).to_pylist()
    return found


def test_a_person_written_is_read_back_with_its_values(world: World) -> None:
    record = {"email": "Ada@example.test", "firstName": "Ada", "annualRevenue": Decimal("34.66"), "unsubscribed": True}
    (result,) = world.client.sync_persons([record], action="createOrUpdate", lookup_field="email")
    columns: dict[str, Any] = {"email": "text", "annualRevenue": "number", "unsubscribed": "boolean", "city": "text"}
    assert world.client.persons("email", ["ada@example.test"], columns).to_pylist() == [
        {"id": result.id, "email": "Ada@example.test", "annualRevenue": Decimal("34.66"), "unsubscribed": True,
         "city": None}
    ]  # fmt: skip


def test_a_bad_value_refuses_its_record_and_no_other(world: World) -> None:
    records: list[dict[str, object]] = [
        {"email": "a@b.test"},
        {"email": "bad"},
        {"email": "c@d.test", "leadScore": 14.1},
    ]
    results = world.client.sync_persons(records, action="createOnly", lookup_field="email")
    assert [(result.ok, result.code) for result in results] == [(True, None), (False, "1003"), (False, "1003")]


def test_the_feed_of_changes_tells_old_and_new_value_and_goes_on_from_its_last_token(world: World) -> None:
    token = world.client.paging_token(NOON - timedelta(days=1))
    (person,) = world.create(1)
    world.clock.advance(60)
    world.client.sync_persons([{"id": person, "lastName": "Later"}], action="updateOnly", lookup_field="id")
    rows = changes(world, token, ["lastName", "email"])
    assert [(row["type_id"], row["field"], row["old"], row["new"]) for row in rows] == [
        (12, None, None, None),
        (13, "lastName", "N0", "Later"),
    ]
    *_, last = world.client.lead_changes(token, ["lastName"])
    assert changes(world, last.next_token, ["lastName"]) == []
    world.clock.advance(60)
    world.client.sync_persons([{"id": person, "lastName": None}], action="updateOnly", lookup_field="id")
    (row,) = changes(world, last.next_token, ["lastName"])
    assert (row["old"], row["new"]) == ("Later", None)


def test_feeds_in_small_blocks_with_empty_pages_give_every_row_once(world: World) -> None:
    token = world.client.paging_token(NOON - timedelta(days=1))
    ids = world.create(450)
    world.emulator.control("set_options", {"feed_block": 7})
    rows = changes(world, token, ["city"])
    assert sorted(row["person_id"] for row in rows) == ids


def test_more_persons_than_fit_a_call_or_an_address_are_all_found(world: World) -> None:
    ids = world.create(700)
    emails = [email(number) for number in range(700)]
    columns: dict[str, Any] = {"lastName": "text"}
    assert sorted(world.client.persons("email", emails, columns)["id"].to_pylist()) == ids
    assert any(request.url.endswith("?_method=GET") for request in world.transport.requests)


def test_a_token_that_expires_or_is_revoked_is_renewed_on_the_way(world: World) -> None:
    world.client.usage()
    for command in ("expire_tokens", "revoke_tokens"):
        world.emulator.control(command, {})
        assert world.client.usage() > 0


def test_a_deleted_person_is_in_the_feed_and_gone(world: World) -> None:
    token = world.client.paging_token(NOON - timedelta(days=1))
    first, second = world.create(2)
    results = world.client.delete_persons([first, 999_999])
    assert [(result.ok, result.code) for result in results] == [(True, None), (False, "1004")]
    pages = list(world.client.deleted_leads(token))
    assert [person for page in pages for person in page.rows["person_id"].to_pylist()] == [first]
    assert world.client.persons("id", [str(first), str(second)], {})["id"].to_pylist() == [second]


def test_a_made_up_paging_token_asks_for_a_full_read(world: World) -> None:
    with pytest.raises(ReadAgain):
        list(world.client.lead_changes("GARBAGE", ["email"]))


def test_an_unknown_field_and_one_that_cannot_be_searched_are_named(world: World) -> None:
    with pytest.raises(FixConfiguration, match="noSuchField"):
        world.client.persons("email", ["a@b.test"], {"noSuchField": "text"})
    with pytest.raises(FixConfiguration, match="searched"):
        world.client.persons("firstName", ["Ada"], {})


def test_a_wrong_secret_is_refused_with_a_remedy(world: World) -> None:
    wrong = Connection(URL, "sandbox", "wrong")
    client = MarketoClient(
        wrong, transport=world.transport, budget=NullBudget(), clock=SandboxClock(world.clock), retry=RetryPolicy()
    )
    with pytest.raises(AccessRefused, match="LaunchPoint"):
        client.usage()


def test_the_rate_limit_is_waited_out_and_the_daily_one_is_not(world: World) -> None:
    world.emulator.control("set_options", {"rate_limit": 3})
    for _ in range(8):
        world.client.usage()
    world.emulator.control("set_options", {"daily_quota": 1})
    with pytest.raises(Throttled) as caught:
        world.client.usage()
    assert caught.value.after is not None
    assert caught.value.after > 3600


def test_a_custom_activity_type_is_made_once_and_takes_activities(world: World) -> None:
    definition = {
        "apiName": "leadSyncOutcome", "name": "Lead Sync Outcome", "triggerName": "Lead Sync Reports",
        "filterName": "Lead Sync Reported", "description": "What became of a sync",
        "primaryAttribute": {"apiName": "operation", "name": "Operation"},
        "attributes": [{"apiName": "code", "name": "Code", "dataType": "string"}],
    }  # fmt: skip
    made = world.client.create_activity_type(definition)
    assert world.client.create_activity_type(definition) == made
    assert made.id in {each.id for each in world.client.activity_types() if each.api_name == "leadSyncOutcome"}
    (person,) = world.create(1)
    token = world.client.paging_token(NOON - timedelta(days=1))
    activity = {
        "leadId": person, "activityDate": "2026-03-01T12:00:00Z", "activityTypeId": made.id,
        "primaryAttributeValue": "update", "attributes": [{"apiName": "code", "value": "1003"}],
    }  # fmt: skip
    first, second = world.client.add_activities([activity, {**activity, "leadId": 999_999}])
    assert (first.ok, second.ok, second.code) == (True, False, "1004")
    assert made.id is not None
    rows = [row for page in world.client.activities(token, [made.id], [person]) for row in page.rows.to_pylist()]
    assert [(row["person_id"], row["primary"]) for row in rows] == [(person, "update")]


def test_a_created_field_is_described_and_can_be_searched(world: World) -> None:
    field = {"name": "microsoftId", "displayName": "Microsoft Id", "dataType": "string"}
    first, again = (world.client.create_fields([field])[0] for _ in range(2))
    assert (first.ok, again.ok) == (True, False)
    described = {each.name: each for each in world.client.describe()}
    assert (described["microsoftId"].type, described["microsoftId"].searchable) == ("string", True)
    assert described["updatedAt"].read_only
    records = [{"microsoftId": "x-1", "email": "a@b.test"}]
    assert world.client.sync_persons(records, action="createOrUpdate", lookup_field="microsoftId")[0].ok
    assert world.client.persons("microsoftId", ["x-1"], {}).num_rows == 1


def test_members_of_a_list_are_added_read_and_removed(world: World) -> None:
    made = world.emulator.control("create_list", {"name": "To Microsoft"})
    list_id = world.client.find_list("To Microsoft")
    assert list_id is not None, made
    ids = world.create(350)
    assert all(result.ok for result in world.client.add_to_list(list_id, ids))
    members = pa.concat_tables(world.client.list_members(list_id, {"email": "text"}))
    assert sorted(members["id"].to_pylist()) == ids
    assert all(result.ok for result in world.client.remove_from_list(list_id, ids[:-1]))
    assert world.client.remove_from_list(list_id, [ids[0]])[0].code == "1015"
    assert [t["id"].to_pylist() for t in world.client.list_members(list_id, {})] == [[ids[-1]]]


def test_a_bulk_extract_gives_the_values_of_every_person(world: World) -> None:
    ids = world.create(20)
    extra = {"id": ids[0], "lastName": 'Zoë "Z",\n null', "annualRevenue": 34.66, "unsubscribed": True}
    assert world.client.sync_persons([extra], action="updateOnly", lookup_field="id")[0].ok
    world.clock.advance(5)
    columns: dict[str, Any] = {"lastName": "text", "annualRevenue": "number", "unsubscribed": "boolean"}
    window = Window(NOON - timedelta(days=40), None)
    rows = pa.concat_tables(world.client.extract_persons(columns, window, filter="createdAt")).to_pylist()
    found = {row["id"]: row for row in rows}
    assert sorted(found) == ids
    assert found[ids[0]]["lastName"] == 'Zoë "Z",\n null'
    assert found[ids[0]]["annualRevenue"] == Decimal("34.66")
    assert found[ids[0]]["unsubscribed"] is True
    world.emulator.control("set_options", {"extract_updated_at": False})
    with pytest.raises(AccessRefused, match="createdAt"):
        list(world.client.extract_persons(columns, window, filter="updatedAt"))


def test_missing_rights_are_named(world: World) -> None:
    world.emulator.control(
        "revoke", {"user": "sync-api@example.test", "permissions": ["Read-Only Lead", "Read-Write Lead"]}
    )
    with pytest.raises(AccessRefused, match="603"):
        world.client.persons("email", ["a@b.test"], {})


def test_a_merge_leaves_the_winner_with_the_losers_values_and_an_activity_that_names_them(world: World) -> None:
    winner, *losers = world.create(28)
    world.client.sync_persons(
        [{"id": losers[-1], "city": "Ulm"}], action="updateOnly", lookup_field="id"
    )  # in the second call: at most 25 are merged by one
    token = world.client.paging_token(NOON - timedelta(hours=1))
    world.client.merge_persons(winner, losers)
    left = world.client.persons("id", [str(each) for each in (winner, *losers)], {"city": "text"})
    assert left.to_pylist() == [{"id": winner, "city": "Ulm"}]
    merges = [row for page in world.client.activities(token, [32]) for row in page.rows.to_pylist()]
    named = {each for row in merges for each in json.loads(row["attributes"])["Merge IDs"]}
    assert (len(merges), {row["person_id"] for row in merges}, named) == (2, {winner}, set(losers))


def test_a_merge_with_somebody_who_does_not_exist_does_nothing(world: World) -> None:
    winner, loser = world.create(2)
    with pytest.raises(RowFailed) as caught:
        world.client.merge_persons(winner, [loser, 999_999])
    assert caught.value.code == "1004"
    assert world.client.persons("id", [str(loser)], {}).num_rows == 1


@pytest.mark.parametrize("losers", [[], [7]])
def test_a_merge_needs_others_than_the_winner(world: World, losers: list[int]) -> None:
    with pytest.raises(ValueError, match="other person"):
        world.client.merge_persons(7, losers)


def test_persons_are_created_in_a_partition_and_moved_to_another(world: World) -> None:
    world.emulator.control("create_partition", {"name": "EU"})
    assert world.client.partitions() == ["Default", "EU"]
    (made,) = world.client.sync_persons(
        [{"email": email(1)}], action="createOrUpdate", lookup_field="email", partition="EU"
    )
    person = int(str(made.id))
    columns: dict[str, Any] = {"leadPartitionId": "integer"}
    (before,) = world.client.persons("id", [str(person)], columns).to_pylist()
    moved = world.client.move_to_partition([person, 999_999], "Default")
    (after,) = world.client.persons("id", [str(person)], columns).to_pylist()
    assert before["leadPartitionId"] != after["leadPartitionId"] == 1
    assert [(each.ok, each.code) for each in moved] == [(True, None), (False, "1004")]


def test_an_update_takes_no_partition(world: World) -> None:
    with pytest.raises(ValueError, match="takes no partition"):
        world.client.sync_persons([{"id": 1}], action="updateOnly", lookup_field="id", partition="EU")


def test_a_list_is_made_found_and_not_made_twice(world: World) -> None:
    made = world.client.create_list("From the CRM", description="who came from there")
    assert world.client.find_list("From the CRM") == made
    with pytest.raises(RowFailed) as caught:
        world.client.create_list("From the CRM")
    assert caught.value.code == "709"


def test_a_list_in_a_folder_that_is_not_there_is_a_matter_of_configuration(world: World) -> None:
    with pytest.raises(FixConfiguration, match="no folder named 'Nowhere'"):
        world.client.create_list("Lost", "Nowhere")
