"""What Marketo answers to anybody, over raw HTTP (facts/marketo-api §16). Reads work on any instance as it is."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import pytest

from tests.contract.services import Service, marketo_form, token_of

NOBODY = "nobody-at-all.7f1c@example.invalid"
HUGE = 2_000_000_000


def code(answer: Any) -> str:
    """The code of a refused call; codes are texts (M10)."""
    assert answer["success"] is False
    assert "result" not in answer
    found = answer["errors"][0]["code"]
    assert isinstance(found, str)
    return found


def test_a_token_has_four_members_and_comes_again_until_it_ends(marketo: Service) -> None:  # M1, M2
    first, second = (token_of(marketo, marketo_form(marketo.connection)).json() for _ in range(2))
    assert set(first) == {"access_token", "token_type", "expires_in", "scope"}
    assert first["token_type"] == "bearer"
    assert isinstance(first["expires_in"], int)
    same = first["access_token"] == second["access_token"]
    assert same
    assert second["expires_in"] <= first["expires_in"]


def test_a_wrong_secret_is_401_without_envelope(marketo: Service) -> None:  # M3
    answer = token_of(marketo, {**marketo_form(marketo.connection), "client_secret": "wrong"})
    assert answer.status_code == 401
    assert set(answer.json()) == {"error", "error_description"}


@pytest.mark.parametrize(("token", "expected"), [("made-up:int", "601"), ("", "603")])
def test_a_made_up_token_is_601_and_none_603_both_with_http_200(
    marketo: Service, token: str, expected: str
) -> None:  # M5, M6
    answer = marketo.send("GET", "/rest/v1/leads/describe.json", token=token)
    assert answer.status_code == 200
    assert code(answer.json()) == expected


def test_an_answer_names_its_request_and_has_no_empty_errors(marketo: Service) -> None:  # M9, M10, M11
    answer = marketo.send("GET", "/rest/v1/leads.json", params={"filterType": "email", "filterValues": NOBODY})
    assert re.sub(r"\s", "", answer.headers["Content-Type"]).lower() == "application/json;charset=utf-8"
    assert re.fullmatch(r"[0-9a-f]+#[0-9a-f]+", answer.json()["requestId"])
    assert not {"errors", "warnings"} & set(answer.json())
    assert answer.json()["result"] == []  # M26


def test_a_path_that_does_not_exist_is_610_and_a_wrong_method_605(marketo: Service) -> None:  # M17
    assert code(marketo.get("/rest/v1/no/such/thing.json")) == "610"
    assert code(marketo.post("/rest/v1/leads/describe.json", {})) == "605"


def test_unknown_and_empty_parameters_are_ignored(marketo: Service) -> None:  # M15
    answer = marketo.get("/rest/v1/leads.json", filterType="email", filterValues=NOBODY, nonsense="1", programName="")
    assert answer["success"] is True


def test_a_read_may_travel_as_a_form(marketo: Service) -> None:  # M14
    form = {"filterType": "email", "filterValues": NOBODY}
    answer = marketo.send("POST", "/rest/v1/leads.json?_method=GET", data=form).json()
    assert (answer["success"], answer["result"]) == (True, [])


def test_described_fields_ascend_and_say_what_is_read_only(marketo: Service) -> None:  # M22
    fields = marketo.get("/rest/v1/leads/describe.json")["result"]
    ids = [field["id"] for field in fields]
    assert ids == sorted(ids)
    read_only = {field["rest"]["name"]: field["rest"]["readOnly"] for field in fields if "rest" in field}
    assert (read_only["id"], read_only["createdAt"], read_only["updatedAt"]) == (False, True, True)


def test_searchable_fields_are_lists_of_one(marketo: Service) -> None:  # M23
    (described,) = marketo.get("/rest/v1/leads/describe2.json")["result"]
    assert ["email"] in described["searchableFields"]
    assert all(len(names) == 1 for names in described["searchableFields"])


def test_a_search_without_values_is_1003_and_by_an_unsearchable_field_1011(marketo: Service) -> None:  # M30
    assert code(marketo.get("/rest/v1/leads.json", filterType="email")) == "1003"
    assert code(marketo.get("/rest/v1/leads.json", filterType="firstName", filterValues="Ada")) == "1011"


def test_an_unknown_person_is_an_empty_result(marketo: Service) -> None:  # M25
    answer = marketo.get(f"/rest/v1/lead/{HUGE}.json")
    assert (answer["success"], answer["result"]) == (True, [])


@pytest.mark.parametrize(
    ("feed", "more"),
    [("activities", {"activityTypeIds": "12"}), ("activities/leadchanges", {"fields": "email"}),
     ("activities/deletedleads", {})],
)  # fmt: skip
def test_a_feed_always_says_where_to_go_on_and_whether_there_is_more(
    marketo: Service, feed: str, more: dict[str, str]
) -> None:  # M53, M54
    start = marketo.get("/rest/v1/activities/pagingtoken.json", sinceDatetime="2030-01-01T00:00:00Z")
    answer = marketo.get(f"/rest/v1/{feed}.json", nextPageToken=start["nextPageToken"], **more)
    assert answer["nextPageToken"]
    assert answer["moreResult"] is False
    assert "result" not in answer


def test_a_made_up_paging_token_is_refused(marketo: Service) -> None:  # open point, section 15
    assert code(marketo.get("/rest/v1/activities.json", nextPageToken="made-up", activityTypeIds="12"))


def test_the_list_of_activity_types_has_the_ones_we_read(marketo: Service) -> None:  # M64
    types = {each["id"]: each for each in marketo.get("/rest/v1/activities/types.json")["result"]}
    assert {12, 13, 32, 37} <= set(types)
    assert "primaryAttribute" not in types[12]
    assert types[13]["primaryAttribute"]["name"] == "Attribute Name"


def test_usage_counts_calls_by_user(marketo: Service) -> None:  # M21
    (today,) = marketo.get("/rest/v1/stats/usage.json")["result"]
    assert set(today) == {"date", "total", "users"}
    assert all(set(user) == {"userId", "count"} for user in today["users"])


@pytest.fixture
def person(marketo: Service) -> Iterator[tuple[int, str]]:
    """A person of the test's own: id and e-mail."""
    email = f"contract-{uuid4().hex}@example.com"
    answer = marketo.post("/rest/v1/leads.json", {"input": [{"email": email, "firstName": "Ada"}]})
    (made,) = answer["result"]
    assert made["status"] == "created"
    yield made["id"], email
    marketo.post("/rest/v1/leads/delete.json", {"input": [{"id": made["id"]}]})


def read(marketo: Service, number: int, *fields: str) -> dict[str, Any]:
    answer = marketo.get(f"/rest/v1/lead/{number}.json", fields=",".join(("id", *fields)))
    found: dict[str, Any] = answer["result"][0]
    return found


@pytest.mark.writes
def test_the_same_key_updates_and_a_write_without_change_moves_nothing(
    marketo: Service, person: tuple[int, str]
) -> None:  # M34, M42
    number, email = person
    before = read(marketo, number, "updatedAt")
    (again,) = marketo.post("/rest/v1/leads.json", {"input": [{"email": email.upper(), "firstName": "Ada"}]})["result"]
    assert (again["id"], again["status"]) == (number, "updated")
    record = {"action": "updateOnly", "lookupField": "id", "input": [{"id": number, "firstName": "Ada"}]}
    between = read(marketo, number, "updatedAt")
    marketo.post("/rest/v1/leads.json", record)
    assert read(marketo, number, "updatedAt") == between
    assert between["updatedAt"] >= before["updatedAt"]


@pytest.mark.writes
def test_null_clears_and_one_bad_value_skips_its_record_alone(
    marketo: Service, person: tuple[int, str]
) -> None:  # M35, M38, M40
    number, email = person
    records = [{"id": number, "firstName": None}, {"id": number, "leadScore": "x"}, {"id": HUGE, "city": "Ulm"}]
    answer = marketo.post("/rest/v1/leads.json", {"action": "updateOnly", "lookupField": "id", "input": records})
    assert [each["status"] for each in answer["result"]] == ["updated", "skipped", "skipped"]
    assert [each["reasons"][0]["code"] for each in answer["result"][1:]] == ["1003", "1004"]
    assert read(marketo, number, "firstName", "email") == {"id": number, "firstName": None, "email": email}


@pytest.mark.writes
def test_creating_whom_there_is_is_1005_and_deleting_twice_1004(
    marketo: Service, person: tuple[int, str]
) -> None:  # M36, M48
    number, email = person
    (refused,) = marketo.post("/rest/v1/leads.json", {"action": "createOnly", "input": [{"email": email}]})["result"]
    assert refused["reasons"][0]["code"] == "1005"
    removals = [marketo.post("/rest/v1/leads/delete.json", {"input": [{"id": number}]}) for _ in range(2)]
    assert [each["result"][0]["status"] for each in removals] == ["deleted", "skipped"]
    assert removals[1]["result"][0]["reasons"][0]["code"] == "1004"
