from __future__ import annotations

import threading
from typing import Any

import pytest

from tests.sandbox.marketo.caller import Caller, attributes, code, ids, reason
from tests.waiting import PATIENCE

PATH = "/rest/v1/leads.json"


def update(marketo: Caller, person: int, **values: Any) -> dict[str, Any]:
    (result,) = marketo.sync({"id": person, **values}, action="updateOnly", lookupField="id")
    return result


def test_the_default_is_create_or_update_by_email(marketo: Caller) -> None:
    """M34."""
    (first,) = marketo.sync({"email": "ada@example.test"})
    (second,) = marketo.sync({"email": "ada@example.test", "firstName": "Ada"})
    assert (first["status"], second) == ("created", {"id": first["id"], "status": "updated"})


def test_new_ids_are_above_all_earlier_ones_even_deleted(marketo: Caller) -> None:
    """M34."""
    first, second = marketo.create(), marketo.create()
    marketo.post("/rest/v1/leads/delete.json", {"input": [{"id": second}]})
    assert first < second < marketo.create()


def test_results_keep_the_order_of_the_input(marketo: Caller) -> None:
    """M35."""
    known = marketo.create(email="known@example.test")
    results = marketo.sync(
        {"email": "bad"}, {"email": "new@example.test"}, {"email": "known@example.test"}, {"firstName": "x"}
    )
    assert [result["status"] for result in results] == ["skipped", "created", "updated", "skipped"]
    assert results[2]["id"] == known
    assert set(results[0]) == set(results[3]) == {"status", "reasons"}


def test_create_only_refuses_what_exists_and_ids(marketo: Caller) -> None:
    """M36."""
    marketo.create(email="ada@example.test")
    results = marketo.sync(
        {"email": "ada@example.test"}, {"id": 7, "email": "b@example.test"}, {"email": "c@example.test"},
        action="createOnly",
    )  # fmt: skip
    assert reason(results[0]) == ("1005", "Lead already exists")
    assert reason(results[1])[0] == "1003"
    assert results[2]["status"] == "created"


def test_update_only_refuses_what_is_missing(marketo: Caller) -> None:
    """M36."""
    (result,) = marketo.sync({"email": "nobody@example.test"}, action="updateOnly")
    assert reason(result) == ("1004", "Lead not found")
    assert reason(update(marketo, 999, firstName="x"))[0] == "1004"


def test_create_duplicate_always_creates(marketo: Caller) -> None:
    """M36."""
    results = marketo.sync(*[{"email": "ada@example.test"}] * 3, action="createDuplicate")
    assert len({result["id"] for result in results}) == 3


def test_an_id_is_refused_with_create_or_update(marketo: Caller) -> None:
    """Section 15."""
    person = marketo.create(email="ada@example.test")
    (result,) = marketo.sync({"id": person, "email": "ada@example.test", "firstName": "x"})
    assert reason(result)[0] == "1003"
    assert marketo.person(person)["firstName"] is None


def test_several_matches_change_nothing(marketo: Caller) -> None:
    """M37."""
    people = [marketo.create(email="twin@example.test") for _ in range(2)]
    token = marketo.since()
    for action in ("createOrUpdate", "updateOnly"):
        (result,) = marketo.sync({"email": "twin@example.test", "firstName": "x"}, action=action)
        assert result == {
            "status": "skipped", "reasons": [{"code": "1007", "message": "Multiple lead match lookup criteria"}],
        }  # fmt: skip
    assert [marketo.person(one)["firstName"] for one in people] == [None, None]
    assert [row["activityTypeId"] for row in marketo.changes(token, "firstName")] == [12, 12]


def test_unknown_fields_and_lookups_have_their_levels(marketo: Caller) -> None:
    """M39."""
    results = marketo.sync({"email": "ada@example.test", "nope": 1}, {"email": "bob@example.test"})
    assert reason(results[0]) == ("1006", "Field 'nope' not found")
    assert results[1]["status"] == "created"
    record = {"input": [{"email": "ada@example.test"}]}
    unknown = marketo.post(PATH, {**record, "lookupField": "nope"})
    assert unknown["errors"] == [{"code": "1006", "message": "Lookup field 'nope' not found"}]
    unsearchable = marketo.post(PATH, {**record, "lookupField": "firstName"})
    assert unsearchable["errors"] == [{"code": "1011", "message": "Field 'firstName' not supported"}]


@pytest.mark.parametrize("body", [{}, {"input": []}, {"input": None}, {"input": [{"email": "a@b.test"}] * 301}])
def test_empty_missing_and_oversized_input_is_refused(marketo: Caller, body: dict[str, Any]) -> None:
    """M39, section 15."""
    assert code(marketo.post(PATH, body)) == "1003"
    assert marketo.emulator.control("people_count", {}) == {"people": 0}


@pytest.mark.parametrize("value", [{}, {"email": None}, {"email": ""}])
def test_a_missing_lookup_value_skips_the_record(marketo: Caller, value: dict[str, Any]) -> None:
    """Section 15."""
    (result,) = marketo.sync({"firstName": "Ada", **value})
    assert reason(result) == ("1003", "Value for lookup field 'email' not found")


def test_custom_fields_serve_as_lookup(marketo: Caller) -> None:
    """M34, section 6."""
    marketo.make_field("microsoftId", "string")
    (made,) = marketo.sync({"microsoftId": "AB-1", "firstName": "Ada"}, lookupField="microsoftId")
    (again,) = marketo.sync({"microsoftId": "AB-1", "firstName": "Bea"}, lookupField="microsoftId")
    assert again == {"id": made["id"], "status": "updated"}
    assert marketo.person(made["id"], "microsoftId", "firstName") == {
        "id": made["id"], "microsoftId": "AB-1", "firstName": "Bea",
    }  # fmt: skip


def test_update_by_id_can_change_the_email(marketo: Caller) -> None:
    """M41."""
    person = marketo.create(email="old@example.test")
    assert update(marketo, person, email="new@example.test") == {"id": person, "status": "updated"}
    old = marketo.get(PATH, filterType="email", filterValues="old@example.test")["result"]
    new = marketo.get(PATH, filterType="email", filterValues="new@example.test")["result"]
    assert (ids(old), ids(new)) == ([], [person])


def test_a_write_that_changes_nothing_leaves_no_trace(marketo: Caller) -> None:
    """M42."""
    person = marketo.create(email="ada@example.test", firstName="Ada", annualRevenue=34.66)
    before, token = marketo.person(person), marketo.since("2026-03-01T10:00:01Z")
    marketo.clock.advance(100)
    (result,) = marketo.sync({"email": "ada@example.test", "firstName": "Ada", "annualRevenue": "34.66", "fax": None})
    assert result["status"] == "updated"
    assert marketo.person(person) == before
    assert marketo.changes(token, "email,firstName,annualRevenue,fax") == []


def test_a_change_moves_updated_at_and_logs_one_row_a_field(marketo: Caller) -> None:
    """M43."""
    person = marketo.create(firstName="Ada", lastName="Byron")
    token = marketo.since("2026-03-01T10:00:01Z")
    marketo.clock.advance(100.7)
    update(marketo, person, firstName="Augusta", lastName="Byron", title="Countess")
    found = marketo.person(person, "createdAt", "updatedAt")
    assert (found["createdAt"], found["updatedAt"]) == ("2026-03-01T10:00:00Z", "2026-03-01T10:01:40Z")
    rows = marketo.activities(token, "13")
    assert sorted(row["primaryAttributeValue"] for row in rows) == ["First Name", "Job Title"]
    assert {row["activityDate"] for row in rows} == {"2026-03-01T10:01:40Z"}


def test_the_visible_updated_at_follows_standard_fields_only(marketo: Caller) -> None:
    """Section 7; switchable."""
    marketo.make_field("regionCode", "string")
    person = marketo.create()
    marketo.clock.advance(10)
    update(marketo, person, regionCode="EU")
    assert marketo.person(person)["updatedAt"] == "2026-03-01T10:00:00Z"
    marketo.option(updated_at_custom=True)
    update(marketo, person, regionCode="US")
    assert marketo.person(person)["updatedAt"] == "2026-03-01T10:00:10Z"


@pytest.mark.parametrize("skew", [-1, 1])
def test_updated_at_may_differ_by_a_second_right_after_a_create(marketo: Caller, skew: int) -> None:
    """M43."""
    marketo.option(created_skew=skew)
    found = marketo.person(marketo.create())
    assert (found["createdAt"], found["updatedAt"][-3:]) == ("2026-03-01T10:00:00Z", {-1: "59Z", 1: "01Z"}[skew])


def test_email_matches_without_case_and_keeps_the_stored_case(marketo: Caller) -> None:
    """M45: a write with other letters changes the stored spelling, and the change is logged."""
    person = marketo.create(email="Release_10@Example.test")
    token = marketo.since()
    (found,) = marketo.get(PATH, filterType="email", filterValues="release_10@example.TEST")["result"]
    assert found["email"] == "Release_10@Example.test"
    (result,) = marketo.sync({"email": "release_10@example.test"})
    assert result == {"id": person, "status": "updated"}
    (row,) = [row for row in marketo.changes(token, "email") if row["fields"]]
    assert row["fields"][0]["oldValue"] == "Release_10@Example.test"


def test_new_persons_carry_the_source_fields(marketo: Caller) -> None:
    """M46."""
    person = marketo.create(firstName="Ada", lastName="Byron")
    names = (
        "originalSourceType", "originalSourceInfo", "registrationSourceType", "registrationSourceInfo", "personType",
        "isLead", "isAnonymous", "leadPartitionId", "leadPerson", "personPrimaryLeadInterest", "mktoName",
    )  # fmt: skip
    found = marketo.person(person, *names, "contactCompany")
    assert [found[name] for name in names] == [
        *["Web service API"] * 4, "contact", True, False, 1, person, person, "Ada Byron",
    ]  # fmt: skip
    assert isinstance(found["contactCompany"], int)


def both_upsert(marketo: Caller) -> list[int]:
    marketo.token()
    barrier = threading.Barrier(2, timeout=PATIENCE)
    marketo.clock.sleep = lambda _seconds: barrier.wait()  # type: ignore[assignment,method-assign]
    found: list[int] = []

    def run() -> None:
        found.append(marketo.sync({"email": "ada@example.test"})[0]["id"])

    threads = [threading.Thread(target=run) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)
    return found


def test_parallel_upserts_can_both_create_when_switched(marketo: Caller) -> None:
    """M47."""
    marketo.option(upsert_race_seconds=0.01)
    first, second = both_upsert(marketo)
    assert first != second


def test_parallel_upserts_do_not_race_by_default(marketo: Caller) -> None:
    """M47."""
    first, second = both_upsert(marketo)
    assert first == second


def test_the_same_key_twice_in_one_input_creates_then_updates(marketo: Caller) -> None:
    """Section 15."""
    first, second = marketo.sync({"email": "ada@example.test"}, {"email": "ADA@example.test", "firstName": "Ada"})
    assert (first["status"], second) == ("created", {"id": first["id"], "status": "updated"})
    assert marketo.person(first["id"])["firstName"] == "Ada"


def test_a_score_change_logs_both_activities(marketo: Caller) -> None:
    """Section 8.3: 22 and 13."""
    person = marketo.create(leadScore=5)
    token = marketo.since()
    update(marketo, person, leadScore=15)
    rows = {row["activityTypeId"]: attributes(row) for row in marketo.activities(token, "13,22")}
    assert rows[22] == {"Change Value": "+10", "New Value": 15, "Old Value": 5, "Reason": "Web service API"}
    assert (rows[13]["New Value"], rows[13]["Old Value"]) == ("15", "5")


def test_company_fields_of_a_linked_person_are_refused(marketo: Caller) -> None:
    """Section 15."""
    free, linked = marketo.create(company="A"), marketo.create(externalCompanyId="C-1")
    assert update(marketo, free, company="B")["status"] == "updated"
    assert reason(update(marketo, linked, company="B"))[0] == "1021"


def test_partitions_are_checked(marketo: Caller) -> None:
    """M51."""
    number = marketo.emulator.control("create_partition", {"name": "EU"})["id"]
    (made,) = marketo.sync({"email": "ada@example.test"}, partitionName="EU")
    assert marketo.person(made["id"], "leadPartitionId")["leadPartitionId"] == number
    (result,) = marketo.sync({"email": "b@example.test"}, partitionName="Moon")
    assert reason(result) == ("1008", "Access denied to partition 'Moon'")
    (result,) = marketo.sync({"email": "ada@example.test"}, partitionName="EU", action="updateOnly")
    assert reason(result)[0] == "1010"


def test_an_update_that_names_another_partition_is_refused(marketo: Caller) -> None:
    """M51: the person stays where it is, and as it is."""
    marketo.emulator.control("create_partition", {"name": "EU"})
    (made,) = marketo.sync({"email": "ada@example.test"})
    (result,) = marketo.sync({"email": "ada@example.test", "firstName": "x"}, partitionName="EU")
    assert reason(result) == ("1010", "Partition update not allowed")
    assert marketo.person(made["id"], "firstName", "leadPartitionId") == {
        "id": made["id"], "firstName": None, "leadPartitionId": 1,
    }  # fmt: skip
    (result,) = marketo.sync({"email": "ada@example.test", "firstName": "x"}, partitionName="Default")
    assert result["status"] == "updated"


def test_an_async_call_answers_ids_all_the_same(marketo: Caller) -> None:
    """Section 6: as recorded."""
    (result,) = marketo.sync({"email": "ada@example.test"}, asyncProcessing=True)
    assert (result["status"], set(result)) == ("created", {"id", "status"})
