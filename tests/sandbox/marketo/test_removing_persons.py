from __future__ import annotations

from typing import Any

import pytest

from tests.sandbox.marketo.caller import Caller, answer, attributes, code, ids, reason

LEADS = "/rest/v1/leads.json"


def delete(marketo: Caller, way: str, *people: int) -> list[dict[str, Any]]:
    body = {"input": [{"id": one} for one in people]}
    if way == "query":
        query = {"id": ",".join(map(str, people))}
        return list(answer(marketo.send("POST", "/rest/v1/leads/delete.json", query))["result"])
    method, path, query = {
        "json": ("POST", "/rest/v1/leads/delete.json", {}),
        "delete": ("DELETE", LEADS, {}),
        "override": ("POST", LEADS, {"_method": "DELETE"}),
    }[way]
    return list(answer(marketo.send(method, path, query, body=body))["result"])


@pytest.mark.parametrize("way", ["json", "query", "delete", "override"])
def test_deleted_persons_are_gone_from_reads_and_lists(marketo: Caller, way: str) -> None:
    """M48."""
    person = marketo.create(email="max@example.test", firstName="Max", lastName="Test")
    kept, number = marketo.create(), marketo.make_list()
    members = f"/rest/v1/lists/{number}/leads.json"
    marketo.post(members, {"input": [{"id": person}, {"id": kept}]})
    results = delete(marketo, way, person, 999)
    assert results[0] == {"id": person, "status": "deleted"}
    assert set(results[1]) == {"status", "reasons"}
    assert reason(results[1]) == ("1004", "Lead not found")
    assert not marketo.exists(person)
    assert marketo.get(LEADS, filterType="email", filterValues="max@example.test")["result"] == []
    assert ids(marketo.get(members)["result"]) == [kept]


def test_deletions_appear_in_the_feed_with_the_name(marketo: Caller) -> None:
    """M48."""
    token = marketo.since()
    person = marketo.create(firstName="Max", lastName="Test")
    delete(marketo, "json", person)
    (row,), _ = marketo.feed("/deletedleads", token)
    assert {key: row[key] for key in row if key not in {"id", "marketoGUID"}} == {
        "leadId": person, "activityDate": "2026-03-01T10:00:00Z", "activityTypeId": 37,
        "primaryAttributeValueId": person, "primaryAttributeValue": "Max Test", "attributes": [],
    }  # fmt: skip


def test_deleting_twice_in_one_call_finds_it_once(marketo: Caller) -> None:
    """M48."""
    person = marketo.create()
    results = delete(marketo, "json", person, person)
    assert [result["status"] for result in results] == ["deleted", "skipped"]


def test_nothing_to_delete_is_refused(marketo: Caller) -> None:
    """Section 3.3: 1003 "Lead ids not specified"."""
    found = marketo.post("/rest/v1/leads/delete.json")
    assert found["errors"] == [{"code": "1003", "message": "Lead ids not specified"}]


def test_a_merge_fills_the_winner_and_removes_the_losers(marketo: Caller) -> None:
    """M49."""
    winner = marketo.create(email="a@example.test", firstName="Ada")
    losers = [marketo.create(firstName="Eve", title="Dr"), marketo.create(title="Prof", fax="1", unsubscribed=True)]
    marketo.make_field("regionCode", "string")
    number, token = marketo.make_list(), marketo.since()
    marketo.post(f"/rest/v1/lists/{number}/leads.json", {"input": [{"id": losers[0]}]})
    merged = marketo.post(f"/rest/v1/leads/{winner}/merge.json", leadIds=",".join(map(str, losers)))
    assert set(merged) == {"requestId", "success"}
    found = marketo.person(winner, "email", "firstName", "title", "fax")
    assert found == {"id": winner, "email": "a@example.test", "firstName": "Ada", "title": "Dr", "fax": "1"}
    assert not any(marketo.exists(loser) for loser in losers)
    assert ids(marketo.get(f"/rest/v1/lists/{number}/leads.json")["result"]) == [winner]
    assert len(marketo.activities(token, "12", leadIds=winner)) == 3
    (row,) = marketo.activities(token, "32")
    assert (row["primaryAttributeValueId"], row["primaryAttributeValue"]) == (winner, "Ada")
    assert attributes(row)["Merge IDs"] == losers
    assert (attributes(row)["Merged in Sales"], attributes(row)["Master Updated"]) == (False, True)
    assert attributes(row)["Merge Source"] == "leaddb"


def test_a_merge_of_members_of_one_list_keeps_one_membership(marketo: Caller) -> None:
    """M49."""
    winner, loser, number = marketo.create(), marketo.create(), marketo.make_list()
    path = f"/rest/v1/lists/{number}/leads.json"
    marketo.post(path, {"input": [{"id": winner}, {"id": loser}]})
    assert marketo.post(f"/rest/v1/leads/{winner}/merge.json", leadId=loser)["success"]
    assert ids(marketo.get(path)["result"]) == [winner]


def test_merges_have_their_refusals_and_change_nothing_then(marketo: Caller) -> None:
    """M49."""
    winner = marketo.create()
    others = [marketo.create() for _ in range(26)]
    path = f"/rest/v1/leads/{winner}/merge.json"
    assert code(marketo.post(path, leadIds=",".join(map(str, others)))) == "1080"
    unknown = marketo.post(path, leadIds=f"{others[0]},7777")
    assert unknown["errors"] == [{"code": "1004", "message": "Lead '7777' not found"}]
    assert code(marketo.post("/rest/v1/leads/8888/merge.json", leadId=winner)) == "1004"
    assert all(marketo.exists(one) for one in others)
    assert marketo.post(path, leadIds=",".join(map(str, others[:25])))["success"]


def test_merge_losers_are_not_among_the_deleted(marketo: Caller) -> None:
    """Section 15."""
    token, winner, loser = marketo.since(), marketo.create(), marketo.create()
    marketo.post(f"/rest/v1/leads/{winner}/merge.json", leadId=loser)
    assert marketo.feed("/deletedleads", token)[0] == []


def test_partitions_are_listed_and_persons_moved(marketo: Caller) -> None:
    """M51."""
    marketo.emulator.control("create_partition", {"name": "EU", "description": "Europe"})
    path = "/rest/v1/leads/partitions.json"
    assert marketo.get(path)["result"] == [
        {"id": 1, "name": "Default", "description": "Initial partition"},
        {"id": 2, "name": "EU", "description": "Europe"},
    ]
    person = marketo.create()
    moves = [{"id": person, "partitionName": "EU"}, {"id": 999, "partitionName": "EU"},
             {"id": person, "partitionName": "Moon"}, {"id": person}]  # fmt: skip
    results = marketo.post(path, {"input": moves})["result"]
    assert results[0] == {"id": person, "status": "updated"}
    assert [reason(result)[0] for result in results[1:]] == ["1004", "1008", "1009"]
    assert marketo.person(person, "leadPartitionId")["leadPartitionId"] == 2
    assert ids(marketo.get(LEADS, filterType="leadPartitionId", filterValues="2")["result"]) == [person]


def test_a_user_may_be_kept_out_of_partitions(marketo: Caller) -> None:
    """M51: 1008 for what exists and may not be entered, 1009 without a home."""
    for name in ("EU", "US"):
        marketo.emulator.control("create_partition", {"name": name})
    at_home, user = marketo.create(email="home@example.test"), "sync-api@example.test"
    path = "/rest/v1/leads/partitions.json"
    denied = ("1008", "Access denied to partition 'Default'")
    marketo.emulator.control("restrict_partitions", {"user": user, "partitions": ["EU", "US"]})
    (result,) = marketo.sync({"email": "home@example.test", "firstName": "x"}, action="updateOnly")
    assert reason(result) == denied
    (result,) = marketo.sync({"email": "new@example.test"})
    assert reason(result) == ("1009", "Partition name must be specified")
    (result,) = marketo.sync({"email": "new@example.test"}, partitionName="Default")
    assert reason(result) == denied
    (made,) = marketo.sync({"email": "new@example.test"}, partitionName="US")
    moves = [{"id": at_home, "partitionName": "EU"}, {"id": made["id"], "partitionName": "Default"},
             {"id": made["id"], "partitionName": "EU"}]  # fmt: skip
    results = marketo.post(path, {"input": moves})["result"]
    assert [reason(one) for one in results[:2]] == [denied, denied]
    assert results[2] == {"id": made["id"], "status": "updated"}
    marketo.emulator.control("restrict_partitions", {"user": user, "partitions": ["EU"]})
    (only,) = marketo.sync({"email": "third@example.test"})
    assert marketo.person(only["id"], "leadPartitionId")["leadPartitionId"] == 2
    marketo.emulator.control("restrict_partitions", {"user": user, "partitions": None})
    (result,) = marketo.sync({"email": "home@example.test", "firstName": "x"})
    assert result == {"id": at_home, "status": "updated"}


class Partitioned:
    """Two persons with the same history, one in a partition that the user may not enter."""

    def __init__(self, marketo: Caller) -> None:
        self.marketo, self.token, self.list = marketo, marketo.since(), marketo.make_list()
        marketo.emulator.control("create_partition", {"name": "EU"})
        marketo.emulator.control("create_program", {"name": "Onboarding"})
        self.seen, self.hidden = (marketo.create(email="ada@example.test", firstName=name) for name in ("A", "B"))
        members = {"input": [{"leadId": self.seen}, {"leadId": self.hidden}]}
        marketo.post("/rest/v1/programs/1001/members/status.json", {**members, "statusName": "Member"})
        self.both = {"input": [{"id": self.seen}, {"id": self.hidden}]}
        marketo.post(f"/rest/v1/lists/{self.list}/leads.json", self.both)
        marketo.post("/rest/v1/leads/partitions.json", {"input": [{"id": self.seen, "partitionName": "EU"}]})
        marketo.emulator.control("restrict_partitions", {"user": "sandbox", "partitions": ["EU"]})


@pytest.fixture
def split(marketo: Caller) -> Partitioned:
    return Partitioned(marketo)


def test_persons_of_other_partitions_are_not_found(split: Partitioned) -> None:
    """M51: assumption, by id, filter, list and program; the same persons for all when nobody is restricted."""
    hidden, marketo = split.hidden, split.marketo
    filters = [{"filterType": "email", "filterValues": "ada@example.test"},
               {"filterType": "id", "filterValues": f"{split.seen},{hidden}"},
               {"filterType": "leadPartitionId", "filterValues": "1,2"}]  # fmt: skip
    asked = [*((LEADS, one) for one in filters), (f"/rest/v1/lists/{split.list}/leads.json", {}),
             ("/rest/v1/leads/programs/1001.json", {})]  # fmt: skip
    for path, query in asked:
        assert ids(marketo.get(path, **query)["result"]) == [split.seen]
    found = marketo.get("/rest/v1/programs/1001/members.json", filterType="statusName", filterValues="Member")
    assert [(one["seq"], one["leadId"]) for one in found["result"]] == [(0, split.seen)]
    assert [marketo.exists(one) for one in (split.seen, hidden)] == [True, False]
    for name in ("listMembership", "programMembership"):
        rows = [marketo.get(f"/rest/v1/leads/{one}/{name}.json")["result"] for one in (split.seen, hidden)]
        assert [len(each) for each in rows] == [1, 0]
    marketo.emulator.control("restrict_partitions", {"user": "sandbox", "partitions": None})
    assert [ids(marketo.get(path, **query)["result"]) for path, query in asked] == [[split.seen, hidden]] * 5


def test_activities_of_persons_in_other_partitions_are_not_told(split: Partitioned) -> None:
    """M51: assumption; a deletion is told, for no partition is left."""
    marketo = split.marketo
    assert [row["leadId"] for row in marketo.activities(split.token, "12,24")] == [split.seen] * 2
    assert {row["leadId"] for row in marketo.changes(split.token, "firstName")} == {split.seen}
    marketo.emulator.control("delete_person", {"id": split.hidden})
    assert [row["leadId"] for row in marketo.feed("/deletedleads", split.token)[0]] == [split.hidden]


def test_persons_of_other_partitions_are_not_written(split: Partitioned) -> None:
    """M51: 1008 where the person itself is changed, 1004 where it is only named."""
    marketo, hidden = split.marketo, split.hidden
    denied = ("1008", "Access denied to partition 'Default'")
    (result,) = marketo.post("/rest/v1/leads/delete.json", {"input": [{"id": hidden}]})["result"]
    assert reason(result) == denied
    assert code(marketo.post(f"/rest/v1/leads/{split.seen}/merge.json", leadId=hidden)) == "1008"
    assert code(marketo.post(f"/rest/v1/leads/{hidden}/merge.json", leadId=split.seen)) == "1008"
    cookie = "id:123-ABC-456&token:_mch-example-1"
    assert code(marketo.post(f"/rest/v1/leads/{hidden}/associate.json", cookie=cookie)) == "1008"
    of_list = f"/rest/v1/lists/{split.list}/leads"
    results = [marketo.get(f"{of_list}/ismember.json", id=hidden), marketo.post(f"{of_list}.json", split.both),
               answer(marketo.send("DELETE", f"{of_list}.json", body=split.both))]  # fmt: skip
    assert [reason(one["result"][-1])[0] for one in results] == ["1004"] * 3


@pytest.mark.parametrize("wrong", [{"user": "nobody", "partitions": []}, {"user": "sandbox", "partitions": ["Moon"]}])
def test_a_restriction_that_means_nothing_is_refused(marketo: Caller, wrong: dict[str, Any]) -> None:
    """M51."""
    with pytest.raises(ValueError, match="unknown"):
        marketo.emulator.control("restrict_partitions", wrong)
