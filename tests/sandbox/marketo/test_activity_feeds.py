from __future__ import annotations

from typing import Any
from urllib.parse import quote

import pytest

from tests.sandbox.marketo.caller import Caller, answer, attributes, code

FEED = "/rest/v1/activities.json"
CHANGES = "/rest/v1/activities/leadchanges.json"
TOKEN = "/rest/v1/activities/pagingtoken.json"


def rename(marketo: Caller, person: int, **values: Any) -> None:
    marketo.sync({"id": person, **values}, action="updateOnly", lookupField="id")


def guids(rows: list[dict[str, Any]]) -> list[str]:
    return [row["marketoGUID"] for row in rows]


@pytest.mark.parametrize(
    ("text", "seen"),
    [("2026-03-01T10:00:00Z", 3), ("2026-03-01T12:00:01+02:00", 2), ("2026-03-01T10:00:01.000Z", 2),
     ("2026-03-01", 3), ("2026-03-02", 0), ("2026-03-01T05:00:02-05:00", 1)],
)  # fmt: skip
def test_paging_tokens_take_dates_with_and_without_a_zone(marketo: Caller, text: str, seen: int) -> None:
    """M53; section 15: rows dated at the moment itself are included."""
    for _ in range(3):
        marketo.create()
        marketo.clock.advance(1)
    assert len(marketo.activities(marketo.since(text), "12")) == seen


def test_a_token_of_a_moment_to_come_excludes_what_happens_before_it(marketo: Caller) -> None:
    """M53."""
    token = marketo.since("2026-03-01T10:00:05Z")
    marketo.create()
    marketo.clock.advance(5)
    person = marketo.create()
    assert [row["leadId"] for row in marketo.activities(token, "12")] == [person]


@pytest.mark.parametrize("text", ["yesterday", "01.03.2026", "2026-13-01T00:00:00Z"])
def test_a_bad_date_is_refused(marketo: Caller, text: str) -> None:
    """M53."""
    assert code(marketo.get(TOKEN, sinceDatetime=text)) == "704"
    assert code(marketo.get(TOKEN)) == "1002"


def test_tokens_survive_url_encoding(marketo: Caller) -> None:
    """M53."""
    marketo.create()
    token = marketo.since()
    for spelled in (token, quote(token, safe="")):
        found = answer(marketo.send("GET", FEED, f"activityTypeIds=12&nextPageToken={spelled}"))
        assert len(found["result"]) == 1


def test_an_empty_page_has_a_token_and_no_result(marketo: Caller) -> None:
    """M54."""
    page = marketo.get(FEED, nextPageToken=marketo.since(), activityTypeIds="12")
    assert set(page) == {"requestId", "success", "nextPageToken", "moreResult"}
    assert page["moreResult"] is False


@pytest.mark.parametrize("block", [0, 1, 2, 5])
def test_following_the_tokens_yields_every_row_once_in_order(marketo: Caller, block: int) -> None:
    """M55: also through short and empty pages."""
    marketo.option(feed_block=block, limits=False)
    person = marketo.create()
    for number in range(10):
        rename(marketo, person, firstName=f"n{number}", lastName=f"m{number}")
        marketo.clock.advance(1)
    rows = marketo.activities(marketo.since(), "13", batchSize=3)
    names = [attributes(row)["New Value"] for row in rows if row["primaryAttributeValue"] == "First Name"]
    assert names == [f"n{number}" for number in range(10)]
    assert len(set(guids(rows))) == 20
    dates = [row["activityDate"] for row in rows]
    assert dates == sorted(dates)


def test_empty_pages_with_more_come_only_when_switched(marketo: Caller) -> None:
    """M55."""

    def first_page() -> dict[str, Any]:
        return marketo.get(FEED, nextPageToken=token, activityTypeIds="37")

    token = marketo.since()
    for _ in range(3):
        marketo.create()
    assert first_page()["moreResult"] is False
    marketo.option(feed_block=2)
    page = first_page()
    assert page["moreResult"] is True
    assert "result" not in page


def test_a_full_page_tells_of_more_only_if_there_is_more(marketo: Caller) -> None:
    """M54."""
    token = marketo.since()
    for _ in range(4):
        marketo.create()
    page = marketo.get(FEED, nextPageToken=token, activityTypeIds="12", batchSize=3)
    assert (len(page["result"]), page["moreResult"]) == (3, True)
    assert marketo.get(FEED, nextPageToken=token, activityTypeIds="12", batchSize=4)["moreResult"] is False


def test_the_last_token_returns_only_newer_rows(marketo: Caller) -> None:
    """M56: also within the same second, and after a restart."""
    marketo.create()
    _, token = marketo.feed("", marketo.since(), activityTypeIds="12")
    assert marketo.activities(token, "12") == []
    person = marketo.create()
    marketo.restart()
    assert [row["leadId"] for row in marketo.activities(token, "12")] == [person]


def test_the_guid_is_a_unique_string_and_the_id_can_be_off(marketo: Caller) -> None:
    """M57."""
    token = marketo.since()
    for _ in range(3):
        marketo.create()
    rows = marketo.activities(token, "12")
    assert all(isinstance(row["marketoGUID"], str) and isinstance(row["id"], int) for row in rows)
    assert len(set(guids(rows))) == 3
    marketo.option(activity_ids=False)
    assert guids(marketo.activities(token, "12")) == guids(rows)
    assert not any("id" in row for row in marketo.activities(token, "12"))


def test_the_campaign_and_empty_attributes_show_only_when_set(marketo: Caller) -> None:
    """M57."""
    person, token = marketo.create(), marketo.since()
    activity = {"leadId": person, "activityTypeId": 300, "attributes": {"Assign To": "", "Sync As": "Lead"}}
    marketo.emulator.control("add_activity", activity)
    marketo.emulator.control("add_activity", {**activity, "campaignId": 4828, "activityDate": "2026-02-28T10:00:00Z"})
    caused, plain = marketo.activities(token, "300")
    assert plain["attributes"] == [{"name": "Sync As", "value": "Lead"}]
    assert "campaignId" not in plain
    assert (caused["campaignId"], caused["activityDate"]) == (4828, "2026-02-28T10:00:00Z")


def test_types_persons_lists_and_assets_narrow_the_feed(marketo: Caller) -> None:
    """M58."""
    token, number, other = marketo.since(), marketo.make_list(), marketo.make_list("Other")
    people = [marketo.create() for _ in range(3)]
    marketo.post(f"/rest/v1/lists/{number}/leads.json", {"input": [{"id": one} for one in people[:2]]})
    marketo.post(f"/rest/v1/lists/{other}/leads.json", {"input": [{"id": people[2]}]})
    assert [row["leadId"] for row in marketo.activities(token, "12")] == people
    assert len(marketo.activities(token, "12,24")) == 6
    assert [row["leadId"] for row in marketo.activities(token, "12", leadIds=f"{people[2]},{people[0]}")] == [
        people[0], people[2],
    ]  # fmt: skip
    assert [row["leadId"] for row in marketo.activities(token, "12", listId=number)] == people[:2]
    assert [row["leadId"] for row in marketo.activities(token, "24", assetIds=other)] == [people[2]]
    assert code(marketo.get(FEED, nextPageToken=token, activityTypeIds="24,12", assetIds=other)) == "1003"


def test_ten_types_and_thirty_persons_are_the_most(marketo: Caller) -> None:
    """M58, section 15."""
    token = marketo.since()

    def asked(types: int, people: int) -> dict[str, Any]:
        query = {"activityTypeIds": ",".join(map(str, range(1, types + 1)))}
        return marketo.get(FEED, nextPageToken=token, **query, leadIds=",".join(map(str, range(1, people + 1))))

    assert asked(10, 30)["success"]
    assert code(asked(11, 1)) == "1003"
    assert code(asked(1, 31)) == "1003"
    assert code(marketo.get(FEED, nextPageToken=token)) == "1002"
    assert code(marketo.get(FEED, activityTypeIds="12")) == "1002"
    assert code(marketo.get(FEED, nextPageToken="nonsense", activityTypeIds="12")) == "1003"


def test_lead_changes_show_new_persons_and_the_named_fields(marketo: Caller) -> None:
    """M59."""
    person, token = marketo.create(), marketo.since()
    rename(marketo, person, state="NC", city="Raleigh", firstName="Ada")
    rename(marketo, person, state=None)
    born, *changed = marketo.changes(token, "state,city")
    assert (born["activityTypeId"], born["fields"]) == (12, [])
    assert all(row["activityTypeId"] == 13 and len(row["fields"]) == 1 for row in changed)
    assert [row["fields"][0] for row in changed if row["fields"][0]["name"] == "state"] == [
        {"id": 65, "name": "state", "newValue": "NC", "oldValue": None},
        {"id": 65, "name": "state", "newValue": None, "oldValue": "NC"},
    ]
    assert {row["fields"][0]["name"] for row in changed} == {"state", "city"}
    assert attributes(changed[0]) == {"Reason": "Web service API", "Source": "Web service API"}


def test_lead_changes_need_known_fields(marketo: Caller) -> None:
    """M59, section 15."""
    token = marketo.since()
    assert code(marketo.get(CHANGES, nextPageToken=token)) == "1002"
    assert code(marketo.get(CHANGES, nextPageToken=token, fields="nope")) == "1006"


def test_a_manual_edit_names_its_source(marketo: Caller) -> None:
    """M59, section 8.3."""
    person, token = marketo.create(), marketo.since()
    done = marketo.emulator.control("edit_person", {"id": person, "values": {"firstName": "Ada", "fax": None}})
    assert done == {"changed": ["firstName"]}
    (_, row) = marketo.changes(token, "firstName")
    assert attributes(row) == {"Reason": "Manual person edit", "Source": "Lead update"}


def test_activities_spell_changes_by_display_name_and_as_text(marketo: Caller) -> None:
    """M60."""
    person, token = marketo.create(), marketo.since()
    rename(
        marketo, person, unsubscribed=True, leadScore=10, annualRevenue=34.5,
        mktoAcquisitionDate="2023-01-26T18:46:00Z", firstName="2023-01-26T18:46:00Z", dateOfBirth="2020-08-30",
    )  # fmt: skip
    rename(marketo, person, unsubscribed=False)
    rows = {row["primaryAttributeValue"]: row for row in marketo.activities(token, "13")}
    assert rows["First Name"]["primaryAttributeValueId"] == 53
    assert {name: attributes(row)["New Value"] for name, row in rows.items()} == {
        "Unsubscribed": "False", "Lead Score": "10", "Annual Revenue": "34.5", "Date of Birth": "2020-08-30",
        "Acquisition Date": "2023-01-26 18:46:00", "First Name": "2023-01-26T18:46:00Z",
    }  # fmt: skip
    assert attributes(rows["Unsubscribed"]) == {
        "New Value": "False", "Old Value": "True", "Reason": "Web service API", "Source": "Web service API",
    }  # fmt: skip
    assert "Old Value" not in attributes(rows["First Name"])


def test_creating_a_person_logs_its_birth_and_no_values(marketo: Caller) -> None:
    """M61."""
    token = marketo.since()
    made = marketo.post("/rest/v1/leads.json", {"input": [{"email": "ada@example.test", "firstName": "Ada"}]})
    (row,) = marketo.activities(token, "12,13")
    assert row["activityTypeId"] == 12
    assert (row["primaryAttributeValueId"], row["primaryAttributeValue"]) == (row["leadId"], "Ada")
    assert attributes(row) == {
        "Created Date": "2026-03-01", "Source Type": "Web service API", "api method name": "syncLead",
        "modifying user": "sync-api@example.test", "request id": made["requestId"],
    }  # fmt: skip
    assert marketo.changes(token, "email,firstName")[0]["attributes"] == row["attributes"]


def test_deleted_persons_are_forgotten_after_14_days(marketo: Caller) -> None:
    """M62."""
    token = marketo.since()
    marketo.post("/rest/v1/leads/delete.json", {"input": [{"id": marketo.create()}]})
    marketo.clock.advance(14 * 86_400)
    marketo.token()
    assert len(marketo.feed("/deletedleads", token)[0]) == 1
    marketo.clock.advance(1)
    assert marketo.feed("/deletedleads", token)[0] == []


def test_late_rows_are_missed_by_the_token_and_found_by_an_overlap(marketo: Caller) -> None:
    """M63."""
    marketo.option(late_every=2, late_seconds=60)
    start = marketo.since("2026-03-01T10:00:00Z")
    people = [marketo.create() for _ in range(5)]
    seen, token = marketo.feed("", start, activityTypeIds="12")
    marketo.clock.advance(60)
    assert marketo.activities(token, "12") == []
    overlap = marketo.activities(start, "12")
    assert [row["leadId"] for row in overlap] == people
    assert len(seen) == 3
    assert set(guids(seen)) < set(guids(overlap))


def test_types_list_the_recorded_names(marketo: Caller) -> None:
    """M64."""
    types = {one["id"]: one for one in marketo.get("/rest/v1/activities/types.json")["result"]}
    assert types[12]["name"] == "New Lead"
    assert "primaryAttribute" not in types[12]
    assert types[13]["primaryAttribute"] == {"name": "Attribute Name", "dataType": "integer"}
    assert {"New Value", "Old Value", "Reason", "Source"} <= {one["name"] for one in types[13]["attributes"]}
    assert {"API Method Name", "Modifying User", "Request Id"} <= {one["name"] for one in types[12]["attributes"]}
    assert types[37]["name"] == "Delete Lead"
    assert [one["name"] for one in types[300]["attributes"]] == ["Assign To", "Sync As"]


def test_a_backdated_row_reaches_a_reader_that_is_already_further(marketo: Caller) -> None:
    """Section 8.2, position by commit order: an activity dated in the past is still new."""
    person, token = marketo.create(), marketo.since()
    _, token = marketo.feed("", token, activityTypeIds="300")
    old = {"leadId": person, "activityTypeId": 300, "activityDate": "2026-02-01T00:00:00Z"}
    marketo.emulator.control("add_activity", old)
    (row,) = marketo.activities(token, "300")
    assert row["activityDate"] == "2026-02-01T00:00:00Z"
    assert marketo.activities(marketo.since("2026-02-02"), "300") == []
    assert len(marketo.activities(marketo.since("2026-02-01"), "300")) == 1
