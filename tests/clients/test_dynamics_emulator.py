"""The Dynamics client against the Dynamics emulator, in this process."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

import pyarrow as pa
import pytest

from include.leadsync.clients.budget import NullBudget
from include.leadsync.clients.dynamics import DynamicsClient, RowWrite, TrackedPage, WriteResult
from include.leadsync.clients.retry import RetryPolicy
from include.leadsync.errors import AccessRefused, FixConfiguration, ReadAgain
from include.leadsync.model import Connection, Entity
from include.sandbox.clock import MovableClock
from include.sandbox.dynamics import DynamicsEmulator
from tests.clients.servers import EmulatorTransport, SandboxClock

URL = "http://dynamics.sandbox"
COLUMNS: dict[str, Any] = {
    "lastname": "text",
    "emailaddress1": "text",
    "revenue": "number",
    "leadsourcecode": "integer",
    "donotemail": "boolean",
    "_ownerid_value": "text",
}


def key(number: int) -> str:
    return str(UUID(int=number, version=4))


@dataclass
class World:
    """An emulator and a client that share a clock."""

    emulator: DynamicsEmulator
    transport: EmulatorTransport
    client: DynamicsClient
    clock: MovableClock

    def create(self, *leads: dict[str, object]) -> list[WriteResult]:
        writes = [
            RowWrite(Entity.LEAD, key(number), "create", {"subject": "s", **lead}, returning=COLUMNS)
            for number, lead in enumerate(leads)
        ]
        return self.client.batch(writes)

    def load(self, count: int) -> list[str]:
        ids = [key(number) for number in range(count)]
        self.emulator.load("lead", [{"leadid": each, "lastname": f"N{n}"} for n, each in enumerate(ids)])
        return ids

    def track(self, link: str | None = None, columns: dict[str, Any] | None = None) -> list[TrackedPage]:
        return list(self.client.track(Entity.LEAD, columns or COLUMNS, link))


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    clock = MovableClock()
    clock.freeze(datetime(2026, 3, 1, 12, tzinfo=UTC))
    emulator = DynamicsEmulator(tmp_path, clock)
    transport = EmulatorTransport(emulator, URL)
    client = DynamicsClient(
        Connection(URL, "sandbox", "sandbox", tenant_id="sandbox", authority=URL),
        transport=transport,
        budget=NullBudget(),
        clock=SandboxClock(clock),
        retry=RetryPolicy(jitter=lambda: 0.5),
    )
    yield World(emulator, transport, client, clock)
    emulator.close()


def test_a_row_created_with_our_key_comes_back_with_etag_and_owner(world: World) -> None:
    (result,) = world.create({"lastname": "Ax", "revenue": Decimal("10000.50"), "leadsourcecode": 8})
    assert (result.ok, result.status) == (True, 201)
    assert result.row is not None
    (row,) = result.row.to_pylist()
    assert row == world.client.rows(Entity.LEAD, [key(0).upper()], COLUMNS).to_pylist()[0]
    assert (row["id"], row["etag"], row["revenue"]) == (key(0), result.etag, Decimal("10000.5"))
    assert row["leadsourcecode"] == 8
    assert row["donotemail"] is False
    assert row["_ownerid_value"] == world.client.who_am_i().user_id
    assert row["_ownerid_value@name"]


def test_each_write_of_a_batch_stands_alone(world: World) -> None:
    results = world.create({"lastname": "Ax"}, {"lastname": "x" * 51}, {"leadsourcecode": 99}, {"lastname": "张伟"})
    assert [result.ok for result in results] == [True, False, False, True]
    assert [result.code for result in results] == [None, "0x80044331", "0x8004431a", None]
    assert world.client.probe(Entity.LEAD, [key(0), key(1), key(3)]) == {
        key(0): "exists", key(1): "gone", key(3): "exists",
    }  # fmt: skip


def test_a_create_repeated_with_its_key_finds_the_first(world: World) -> None:
    world.create({"lastname": "Ax"})
    (again,) = world.create({"lastname": "Bo"})
    assert (again.ok, again.status, again.code) == (False, 412, "0x80040237")
    assert world.client.rows(Entity.LEAD, [key(0)], COLUMNS)["lastname"].to_pylist() == ["Ax"]


def test_an_edit_made_meanwhile_is_a_conflict_and_is_not_overwritten(world: World) -> None:
    (created,) = world.create({"lastname": "Ax"})
    assert world.client.batch([RowWrite(Entity.LEAD, key(0), "update", {"lastname": "Theirs"})])[0].ok
    (late,) = world.client.batch([RowWrite(Entity.LEAD, key(0), "update", {"lastname": "Ours"}, created.etag)])
    assert (late.ok, late.status, late.code) == (False, 412, "0x80060882")
    (row,) = world.client.rows(Entity.LEAD, [key(0)], COLUMNS).to_pylist()
    assert row["lastname"] == "Theirs"
    fresh = RowWrite(Entity.LEAD, key(0), "update", {"lastname": None}, row["etag"], COLUMNS)
    (result,) = world.client.batch([fresh])
    assert result.row is not None
    assert result.row["lastname"].to_pylist() == [None]


def test_an_update_of_a_row_that_is_not_there_does_not_create_it(world: World) -> None:
    (result,) = world.client.batch([RowWrite(Entity.LEAD, key(7), "update", {"lastname": "Ghost"})])
    assert (result.ok, result.status) == (False, 404)
    assert world.client.probe(Entity.LEAD, [key(7)]) == {key(7): "gone"}


def test_the_first_tracked_read_is_everything_and_the_next_only_what_changed(world: World) -> None:
    ids = world.load(3)
    (first,) = world.track()
    assert first.fresh
    assert sorted(first.rows["id"].to_pylist()) == ids
    (nothing,) = world.track(first.delta_link)
    assert (nothing.rows.num_rows, nothing.deleted, nothing.fresh) == (0, [], False)
    world.client.batch(
        [RowWrite(Entity.LEAD, ids[0], "update", {"lastname": "New"}), RowWrite(Entity.LEAD, ids[1], "delete")]
    )
    (changed,) = world.track(nothing.delta_link)
    assert changed.rows.select(["id", "lastname"]).to_pylist() == [{"id": ids[0], "lastname": "New"}]
    assert changed.deleted == [ids[1]]


def test_a_full_read_of_several_pages_gives_every_row_and_one_link(world: World) -> None:
    ids = world.load(5200)
    pages = world.track(columns={"lastname": "text"})
    assert [page.delta_link is not None for page in pages] == [False, True]
    assert sorted(pa.concat_tables(page.rows for page in pages)["id"].to_pylist()) == sorted(ids)


def test_a_link_older_than_the_retention_asks_for_a_full_read(world: World) -> None:
    (page,) = world.track()
    world.clock.advance(8 * 24 * 3600)
    with pytest.raises(ReadAgain, match="0x80044352"):
        world.track(page.delta_link)


def test_a_link_with_a_made_up_token_asks_for_a_full_read(world: World) -> None:
    with pytest.raises(ReadAgain):
        world.track(f"{URL}/api/data/v9.2/leads?$deltatoken=garbage")


def test_a_token_that_expires_between_two_pages_is_renewed(world: World) -> None:
    ids = world.load(5200)
    seen: list[str] = []
    for page in world.client.track(Entity.LEAD, {"lastname": "text"}, None):
        seen += page.rows["id"].to_pylist()
        world.clock.advance(2 * 3600)
    assert sorted(seen) == sorted(ids)


def test_many_ids_are_read_in_parts(world: World) -> None:
    ids = world.load(450)
    wanted = [*ids, key(9999)]
    assert sorted(world.client.rows(Entity.LEAD, wanted, {"lastname": "text"})["id"].to_pylist()) == sorted(ids)
    states = world.client.probe(Entity.LEAD, wanted)
    assert [each for each, state in states.items() if state != "exists"] == [key(9999)]


def test_rows_are_found_by_email_without_regard_to_case_and_with_apostrophes(world: World) -> None:
    world.create(
        {"lastname": "A", "emailaddress1": "o'neil@Example.test"}, {"lastname": "B", "emailaddress1": "b@c.test"}
    )
    found = world.client.rows_by_email(Entity.LEAD, ["O'Neil@example.test", "nobody@x.test", "a@b\n.test"], COLUMNS)
    assert found["emailaddress1"].to_pylist() == ["o'neil@Example.test"]
    assert world.client.rows_by_email(Entity.CONTACT, ["b@c.test"], {"lastname": "text"}).num_rows == 0


def test_rows_are_found_by_a_filter(world: World) -> None:
    world.create({"lastname": "A & B"}, {"lastname": "C"})
    tables = list(world.client.rows_where(Entity.LEAD, "lastname eq 'A & B' and statecode eq 0", COLUMNS))
    assert pa.concat_tables(tables)["id"].to_pylist() == [key(0)]


def test_a_column_that_does_not_exist_is_named(world: World) -> None:
    with pytest.raises(FixConfiguration, match="nosuchcolumn"):
        world.client.rows(Entity.LEAD, [key(0)], {"nosuchcolumn": "text"})
    with pytest.raises(FixConfiguration, match="nosuchcolumn"):
        world.track(columns={"nosuchcolumn": "text"})


def test_a_wrong_secret_is_refused_with_what_to_check(world: World) -> None:
    wrong = Connection(URL, "sandbox", "wrong", tenant_id="sandbox", authority=URL)
    client = DynamicsClient(
        wrong, transport=world.transport, budget=NullBudget(), clock=SandboxClock(world.clock), retry=RetryPolicy()
    )
    with pytest.raises(AccessRefused, match="AADSTS7000215"):
        client.who_am_i()


def test_columns_are_described_with_limits_options_and_rights(world: World) -> None:
    leads = {attribute.name: attribute for attribute in world.client.attributes(Entity.LEAD)}
    assert (leads["lastname"].type, leads["lastname"].max_length) == ("String", 50)
    assert leads["lastname"].required == "ApplicationRequired"
    assert leads["emailaddress1"].format == "Email"
    assert (leads["revenue"].type, leads["revenue"].precision, leads["revenue"].minimum) == ("Money", 2, 0)
    assert {option.value: option.label for option in leads["leadsourcecode"].options}[8] == "Web"
    assert {option.value: option.label for option in leads["statecode"].options}[0] == "Open"
    assert {option.value: option.label for option in leads["donotemail"].options} == {0: "Allow", 1: "Do Not Allow"}
    assert not leads["createdon"].updatable
    assert leads["ownerid"].type in {"Owner", "Lookup"}
    assert leads["leadid"].type == "Uniqueidentifier"
    assert leads["description"].type == "Memo"
    contacts = {attribute.name: attribute for attribute in world.client.attributes(Entity.CONTACT)}
    assert contacts["birthdate"].date_behavior == "DateOnly"
    assert "owneridname" not in contacts


def test_tracking_and_identity_are_known(world: World) -> None:
    assert world.client.change_tracking_enabled(Entity.LEAD)
    assert world.client.version().startswith("9.2.")
    me = world.client.who_am_i()
    assert str(UUID(me.user_id)) == me.user_id


def test_columns_outside_the_field_map_are_tracked_and_read_like_any_other(world: World) -> None:
    columns: dict[str, Any] = {
        "merged": "boolean", "_masterid_value": "text", "statecode": "integer", "_parentcontactid_value": "text",
    }  # fmt: skip
    (lead,) = world.load(1)
    link = world.track(columns=columns)[-1].delta_link
    world.client.batch([RowWrite(Entity.LEAD, lead, "update", {"jobtitle": "CTO"})])
    (page,) = world.track(link, columns)
    read = world.client.rows(Entity.LEAD, [lead], columns)
    for table in (page.rows, read):
        (row,) = table.to_pylist()
        assert (row["merged"], row["_masterid_value"], row["statecode"]) == (False, None, 0)
    contact = world.client.rows(Entity.CONTACT, [lead], {"_originatingleadid_value": "text", "statecode": "integer"})
    assert contact.num_rows == 0


@pytest.mark.parametrize("table", ["systemuser", "team", "account", "opportunity", "transactioncurrency", "task"])
def test_rows_of_any_table_are_found_by_a_filter(world: World, table: str) -> None:
    pages = list(world.client.rows_where(table, "createdon ne null", {"createdon": "text"}))
    assert all(set(page.column_names) == {"id", "etag", "createdon"} for page in pages)
    assert pages


def test_a_probing_read_tells_whether_a_table_may_be_read(world: World) -> None:
    assert world.client.may_read("account")
    world.emulator.control("set_privileges", {"user": "sandbox", "table": "account", "privileges": ["create"]})
    assert not world.client.may_read("account")
    assert world.client.may_read("lead")


def test_a_table_that_does_not_exist_is_no_matter_of_rights(world: World) -> None:
    with pytest.raises(FixConfiguration):
        world.client.may_read("new_nothing")
