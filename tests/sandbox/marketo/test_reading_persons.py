from __future__ import annotations

from typing import Any

import pytest

from tests.sandbox.marketo.caller import Caller, answer, code, ids

DEFAULT_FIELDS = ["id", "firstName", "lastName", "email", "updatedAt", "createdAt"]


def by(marketo: Caller, field: str, *values: Any, **query: Any) -> dict[str, Any]:
    return marketo.get("/rest/v1/leads.json", filterType=field, filterValues=",".join(map(str, values)), **query)


def test_one_person_has_six_fields_unless_asked_otherwise(marketo: Caller) -> None:
    """M25."""
    person = marketo.create(email="ada@example.test", firstName="Ada")
    assert list(marketo.person(person)) == DEFAULT_FIELDS
    assert marketo.person(person, "email") == {"id": person, "email": "ada@example.test"}


def test_an_unknown_id_is_an_empty_success(marketo: Caller) -> None:
    """M25."""
    assert marketo.get("/rest/v1/lead/999.json")["result"] == []
    assert code(marketo.get("/rest/v1/lead/abc.json")) == "1001"


def test_filters_find_by_email_id_and_custom_fields(marketo: Caller) -> None:
    """M26."""
    marketo.make_field("regionCode", "string")
    marketo.make_field("externalNumber", "integer")
    people = [marketo.create(email=f"p{n}@example.test", regionCode=f"R{n}", externalNumber=n) for n in range(4)]
    assert ids(by(marketo, "email", "p3@example.test", "p1@example.test")["result"]) == [people[1], people[3]]
    assert ids(by(marketo, "id", people[2], people[0])["result"]) == [people[0], people[2]]
    assert ids(by(marketo, "regionCode", "R2", "R9")["result"]) == [people[2]]
    assert ids(by(marketo, "externalNumber", 3, 0)["result"]) == [people[0], people[3]]
    assert by(marketo, "email", "nobody@example.test")["result"] == []


def test_a_filter_sees_later_changes_of_its_field(marketo: Caller) -> None:
    """M26, M33: also once the field has been looked up before."""
    marketo.make_field("regionCode", "string")
    person = marketo.create(regionCode="EU")
    assert ids(by(marketo, "regionCode", "EU")["result"]) == [person]
    marketo.sync({"id": person, "regionCode": "US"}, action="updateOnly", lookupField="id")
    assert by(marketo, "regionCode", "EU")["result"] == []
    assert ids(by(marketo, "regionCode", "US")["result"]) == [person]


def test_record_keys_follow_the_requested_order(marketo: Caller) -> None:
    """M27."""
    person = marketo.create(email="ada@example.test")
    (found,) = by(marketo, "id", person, fields="unsubscribed,lastName,email,leadScore")["result"]
    assert list(found.items()) == [
        ("id", person), ("unsubscribed", False), ("lastName", None), ("email", "ada@example.test"), ("leadScore", None),
    ]  # fmt: skip


def test_an_unknown_field_in_a_read_is_refused(marketo: Caller) -> None:
    """Section 15."""
    assert code(by(marketo, "id", 1, fields="email,nope")) == "1006"


@pytest.mark.parametrize("size", [1, 2, 3, 7])
def test_pages_hold_every_person_once_without_more_result(marketo: Caller, size: int) -> None:
    """M28."""
    people = [marketo.create(email="same@example.test") for _ in range(7)]
    found: list[int] = []
    query: dict[str, Any] = {"batchSize": size}
    for _ in range(10):
        page = by(marketo, "email", "same@example.test", **query)
        assert "moreResult" not in page
        assert len(page["result"]) <= size
        found += ids(page["result"])
        if "nextPageToken" not in page:
            break
        query["nextPageToken"] = page["nextPageToken"]
    assert found == people


def test_more_than_a_thousand_matches_are_refused(marketo: Caller) -> None:
    """M29."""
    marketo.emulator.load("person", ({"email": "same@example.test"} for _ in range(1000)))
    assert len(by(marketo, "email", "same@example.test")["result"]) == 300
    marketo.create(email="same@example.test")
    found = by(marketo, "email", "same@example.test")
    assert found["errors"] == [{"code": "1003", "message": "Too many results match the filter"}]


def test_a_filter_needs_values_and_a_searchable_field(marketo: Caller) -> None:
    """M30."""
    assert code(by(marketo, "email")) == "1003"
    assert code(by(marketo, "firstName", "Ada")) == "1011"
    assert code(by(marketo, "nope", "Ada")) == "1011"
    assert code(marketo.get("/rest/v1/leads.json", filterValues="1")) == "1002"
    assert code(by(marketo, "id", "abc")) == "1001"


def test_more_than_300_values_or_records_a_page_are_refused(marketo: Caller) -> None:
    """Section 15."""
    assert by(marketo, "id", *range(1, 301))["success"]
    assert code(by(marketo, "id", *range(1, 302))) == "1003"
    assert code(by(marketo, "id", 1, batchSize=301)) == "1003"
    assert code(by(marketo, "id", 1, batchSize=0)) == "1003"
    assert code(by(marketo, "id", 1, batchSize="many")) == "1001"


def test_persons_with_the_same_email_are_all_returned(marketo: Caller) -> None:
    """M31."""
    people = [marketo.create(email=email) for email in ("ada@example.test", "ADA@example.test")]
    assert ids(by(marketo, "email", "Ada@Example.test")["result"]) == people


@pytest.mark.parametrize("token", ["nonsense", "AAAA====", "GIYDAOBNGEYS2MBWKQYDAORQGA5DAMBOGAYDAKZQGAYDALBQ", "é"])
def test_a_foreign_page_token_is_refused(marketo: Caller, token: str) -> None:
    """Section 15."""
    assert code(by(marketo, "id", 1, nextPageToken=token)) == "1003"


def test_a_token_of_the_feed_is_no_token_of_a_filter(marketo: Caller) -> None:
    """Section 15."""
    assert code(by(marketo, "id", 1, nextPageToken=marketo.since())) == "1003"


@pytest.mark.parametrize("path", ["/rest/v1/list/{}/leads.json", "/rest/v1/lists/{}/leads.json"])
def test_list_members_are_read_by_both_paths_in_pages(marketo: Caller, path: str) -> None:
    """M32."""
    number = marketo.make_list()
    people = [marketo.create(email=f"p{n}@example.test") for n in range(5)]
    marketo.post(f"/rest/v1/lists/{number}/leads.json", {"input": [{"id": one} for one in people[:4]]})
    found: list[int] = []
    query: dict[str, Any] = {"fields": "email", "batchSize": 3}
    while True:
        page = answer(marketo.send("POST", path.format(number), "_method=GET", form=query))
        assert page == {**page, "result": marketo.get(path.format(number), **query)["result"]}
        found += ids(page["result"])
        if "nextPageToken" not in page:
            break
        query["nextPageToken"] = page["nextPageToken"]
    assert found == people[:4]
    assert code(marketo.get(path.format(number + 1))) == "1013"


def test_the_lists_of_a_person_tell_of_more(marketo: Caller) -> None:
    """M32."""
    person = marketo.create()
    lists = [marketo.make_list(f"List {number}") for number in range(3)]
    for number in lists:
        marketo.post(f"/rest/v1/lists/{number}/leads.json", {"input": [{"id": person}]})
    path = f"/rest/v1/leads/{person}/listMembership.json"
    first = marketo.get(path, batchSize=2)
    assert first["moreResult"]
    assert set(first["result"][0]) == {"listId", "createdAt", "updatedAt"}
    last = marketo.get(path, batchSize=2, nextPageToken=first["nextPageToken"])
    assert last["moreResult"] is False
    assert "nextPageToken" not in last
    assert [one["listId"] for one in (*first["result"], *last["result"])] == lists


def test_a_written_value_is_readable_by_the_next_call(marketo: Caller) -> None:
    """M33."""
    person = marketo.create(email="ada@example.test", firstName="Ada")
    marketo.sync({"email": "ada@example.test", "firstName": "Augusta"})
    assert marketo.person(person)["firstName"] == "Augusta"
    assert by(marketo, "email", "ada@example.test")["result"][0]["firstName"] == "Augusta"
