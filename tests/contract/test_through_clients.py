"""The same services through our own clients: what the engine relies on."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest

from include.leadsync.clients.dynamics import DynamicsClient, RowWrite
from include.leadsync.clients.marketo import MarketoClient
from include.leadsync.model import Entity
from tests.contract.services import real


@pytest.mark.parametrize("service", ["MARKETO", "DYNAMICS"])
def test_the_contract_is_held_against_the_real_service(service: str) -> None:
    if real(service) is None:
        pytest.skip(f"no real {service.title()} in the environment; docs/clients.md names the variables")


def test_fields_and_columns_are_described(marketo_client: MarketoClient, dynamics_client: DynamicsClient) -> None:
    fields = {field.name: field for field in marketo_client.describe()}
    assert fields["email"].searchable
    assert not fields["createdAt"].searchable
    columns = {column.name: column for column in dynamics_client.attributes(Entity.LEAD)}
    assert columns["lastname"].max_length
    assert (columns["createdon"].creatable, columns["createdon"].readable) == (False, True)


def test_feeds_end_with_a_token_to_go_on_from(marketo_client: MarketoClient) -> None:
    token = marketo_client.paging_token(datetime.now(UTC) - timedelta(minutes=5))
    feeds = (marketo_client.lead_changes(token, ["email"]), marketo_client.activities(token, [32]),
             marketo_client.deleted_leads(token))  # fmt: skip
    for feed in feeds:
        *_, last = feed
        assert last.next_token


def test_we_are_somebody_who_may_read(dynamics_client: DynamicsClient) -> None:
    assert dynamics_client.who_am_i().user_id
    assert dynamics_client.version()
    assert all(dynamics_client.may_read(table) for table in ("lead", "contact", "account", "systemuser"))
    assert dynamics_client.change_tracking_enabled(Entity.LEAD)


def test_rows_of_other_tables_are_found(dynamics_client: DynamicsClient) -> None:
    columns: dict[str, Any] = {"fullname": "text", "isdisabled": "boolean"}
    own = dynamics_client.who_am_i().user_id
    pages = dynamics_client.rows_where("systemuser", f"systemuserid eq {own}", columns)
    assert [row["id"] for page in pages for row in page.to_pylist()] == [own]


@pytest.mark.writes
def test_a_person_is_made_read_moved_merged_and_removed(marketo_client: MarketoClient) -> None:
    records = [{"email": f"contract-{uuid4().hex}@example.com"} for _ in range(2)]
    made = marketo_client.sync_persons(records, action="createOnly", lookup_field="email")
    winner, loser = (int(str(each.id)) for each in made)
    try:
        marketo_client.sync_persons([{"id": loser, "city": "Ulm"}], action="updateOnly", lookup_field="id")
        marketo_client.merge_persons(winner, [loser])
        left = marketo_client.persons("id", [str(winner), str(loser)], {"city": "text"})
        assert left.to_pylist() == [{"id": winner, "city": "Ulm"}]
    finally:
        marketo_client.delete_persons([winner, loser])


@pytest.mark.writes
def test_a_lead_is_made_once_changed_once_and_removed(dynamics_client: DynamicsClient) -> None:
    key = str(uuid4())
    create = RowWrite(
        Entity.LEAD, key, "create", {"subject": "contract", "lastname": "Ax"}, returning={"lastname": "text"}
    )
    try:
        first, second = dynamics_client.batch([create, create])
        assert (first.ok, second.ok, second.code) == (True, False, "0x80040237")
        (update,) = dynamics_client.batch([RowWrite(Entity.LEAD, key, "update", {"lastname": "Bo"}, first.etag)])
        (stale,) = dynamics_client.batch([RowWrite(Entity.LEAD, key, "update", {"lastname": "Cy"}, first.etag)])
        assert (update.ok, stale.ok, stale.code) == (True, False, "0x80060882")
        assert dynamics_client.rows(Entity.LEAD, [key], {"lastname": "text"})["lastname"].to_pylist() == ["Bo"]
    finally:
        dynamics_client.batch([RowWrite(Entity.LEAD, key, "delete")])
    assert dynamics_client.probe(Entity.LEAD, [key]) == {key: "gone"}
