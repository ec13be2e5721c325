from __future__ import annotations

from typing import Any
from urllib.parse import quote

import pytest

from include.sandbox.marketo import feed
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


def test_changes_of_anonymous_persons_are_not_returned(marketo: Caller) -> None:
    """Section 8.3: neither here nor there, until the person is known."""
    token, person = marketo.since(), marketo.create(isAnonymous=True)
    rename(marketo, person, city="Ulm")
    assert marketo.activities(token, "12,13") == marketo.changes(token, "city") == []
    rename(marketo, person, isAnonymous=False, city="Bonn")
    assert [row["fields"][0]["newValue"] for row in marketo.changes(token, "city")] == ["Bonn"]


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


def test_late_rows_can_come_after_newer_ones_instead(marketo: Caller) -> None:
    """M63: out of order for who follows the token, each row once; nothing shows without the switch."""
    marketo.option(late_every=2, late_seconds=60, late_reordered=True)
    start = marketo.since("2026-03-01T10:00:00Z")
    people = []
    for _ in range(4):
        people.append(marketo.create())
        marketo.clock.advance(1)
    seen, token = marketo.feed("", start, activityTypeIds="12")
    assert [row["leadId"] for row in seen] == people[::2]
    marketo.option(late_every=0)
    marketo.clock.advance(57)
    newer = marketo.create()
    more, token = marketo.feed("", token, activityTypeIds="12")
    assert [row["leadId"] for row in more] == [people[1], newer]
    marketo.clock.advance(10)
    last, _ = marketo.feed("", token, activityTypeIds="12")
    assert [(row["leadId"], row["activityDate"]) for row in last] == [(people[3], "2026-03-01T10:00:03Z")]
    whole = marketo.activities(start, "12")
    assert sorted(guids(whole)) == sorted(guids([*seen, *more, *last]))
    assert len(set(guids(whole))) == 5


def test_rows_of_a_page_ascend_by_date_even_when_logged_in_another_order(marketo: Caller) -> None:
    """M55, section 8.2."""
    person, token = marketo.create(), marketo.since()
    for day in (3, 1, 2):
        date = f"2026-02-0{day}T00:00:00Z"
        marketo.emulator.control("add_activity", {"leadId": person, "activityTypeId": 46, "activityDate": date})
    assert [row["activityDate"][:10] for row in marketo.activities(token, "46")] == [
        "2026-02-01", "2026-02-02", "2026-02-03",
    ]  # fmt: skip


def test_many_empty_pages_in_a_row_end_at_the_row(marketo: Caller) -> None:
    """M55, section 13, trap 1."""
    token = marketo.since()
    marketo.sync(*({"firstName": str(number)} for number in range(40)), action="createDuplicate")
    marketo.post("/rest/v1/leads/delete.json", {"input": [{"id": marketo.create(lastName="Last")}]})
    marketo.option(feed_block=2)
    pages: list[dict[str, Any]] = []
    while not pages or pages[-1]["moreResult"]:
        pages.append(marketo.get("/rest/v1/activities/deletedleads.json", nextPageToken=token))
        token = pages[-1]["nextPageToken"]
    assert ["result" in page for page in pages] == [False] * 20 + [True]
    assert pages[-1]["result"][0]["primaryAttributeValue"] == "Last"


def test_the_members_of_a_list_are_followed_in_changes_too(marketo: Caller) -> None:
    """M58, M59: a small list goes member by member, one from 10,000 on row by row; both find the same."""
    token, number = marketo.since(), marketo.make_list()
    people = [marketo.create() for _ in range(3)]
    marketo.post(f"/rest/v1/lists/{number}/leads.json", {"input": [{"id": one} for one in people[1:]]})
    for person in people:
        rename(marketo, person, city="Ulm")
    expected = [(12, people[1]), (12, people[2]), (13, people[1]), (13, people[2])]

    def found(**query: Any) -> list[tuple[int, int]]:
        rows = marketo.changes(token, "city", listId=number, batchSize=2, **query)
        return [(row["activityTypeId"], row["leadId"]) for row in rows]

    assert found() == expected
    assert found(leadIds=people[2]) == expected[1::2]
    others = ({"listId": number, "leadId": one} for one in range(100_001, 110_000))
    assert marketo.emulator.load("list_member", others) == 9_999
    assert found() == expected
    assert code(marketo.get(CHANGES, nextPageToken=token, fields="city", listId=999)) == "1013"


@pytest.mark.parametrize("near", [1, 7, 40_000])
def test_a_long_list_is_followed_row_by_row_and_member_by_member(
    marketo: Caller, monkeypatch: pytest.MonkeyPatch, near: int
) -> None:
    """M55: whatever the way, every row of a member comes once, in order, also over the border between the ways."""
    monkeypatch.setattr(feed, "NEAR", near)
    token, number = marketo.since(), marketo.make_list()
    people = [marketo.create(lastName=str(one)) for one in range(6)]
    for city in ("Rome", "Oslo", "Bern"):
        marketo.sync(*({"id": one, "city": city} for one in people), action="updateOnly", lookupField="id")
    others = ({"listId": number, "leadId": one} for one in range(100_001, 100_401))
    marketo.emulator.load("list_member", [*others, *({"listId": number, "leadId": one} for one in people[::2])])
    expected = [row for row in marketo.activities(token, "12,13") if row["leadId"] in people[::2]]
    assert len(expected) == 12
    for size in (1, 4, 300):
        assert marketo.activities(token, "12,13", listId=number, batchSize=size) == expected


def test_a_list_of_ten_thousand_is_refused_from_the_end_of_2026_on(marketo: Caller) -> None:
    """Sections 3.3 and 8.2."""
    number = marketo.make_list()
    marketo.emulator.load("list_member", ({"listId": number, "leadId": one} for one in range(10_000)))
    query = {"nextPageToken": marketo.since(), "activityTypeIds": "12", "listId": number}
    assert marketo.get(FEED, **query)["success"]
    marketo.clock.advance(304 * 86_400)
    marketo.token()
    assert code(marketo.get(FEED, **query)) == "1003"


def test_a_merge_names_its_losers_and_a_score_counts_in_numbers(marketo: Caller) -> None:
    """Sections 6.2 and 8.4: attributes and their order as recorded."""
    winner, loser, token = marketo.create(lastName="W"), marketo.create(), marketo.since()
    rename(marketo, winner, leadScore=10)
    rename(marketo, winner, leadScore=None)
    answer(marketo.send("POST", f"/rest/v1/leads/{winner}/merge.json", {"leadId": loser}))
    up, down, merged = marketo.activities(token, "22,32")
    assert up["attributes"] == [
        {"name": "Change Value", "value": "+10"}, {"name": "New Value", "value": 10},
        {"name": "Reason", "value": "Web service API"},
    ]  # fmt: skip
    assert attributes(down) == {"Change Value": "-10", "Old Value": 10, "Reason": "Web service API"}
    assert (merged["primaryAttributeValueId"], merged["primaryAttributeValue"]) == (winner, "W")
    assert attributes(merged) == {
        "Merge IDs": [loser], "Merge Source": "leaddb", "Merged in Sales": False, "Master Updated": False,
    }  # fmt: skip


def test_list_membership_and_partitions_leave_the_recorded_attributes(marketo: Caller) -> None:
    """Section 8.4: 24, 25, 100; a list of a program is named with it."""
    person, token = marketo.create(), marketo.since()
    number = marketo.make_list("List 1", programName="Onboarding")
    path = f"/rest/v1/lists/{number}/leads.json"
    marketo.post(path, {"input": [{"id": person}]})
    marketo.send("DELETE", path, {"id": person})
    marketo.emulator.control("create_partition", {"name": "EU"})
    marketo.post("/rest/v1/leads/partitions.json", {"input": [{"id": person, "partitionName": "EU"}]})
    added, removed, moved = marketo.activities(token, "24,25,100")
    for row, kind in ((added, 24), (removed, 25)):
        assert (row["activityTypeId"], row["primaryAttributeValueId"]) == (kind, number)
        assert row["primaryAttributeValue"] == "Onboarding.List 1"
        assert row["attributes"] == [{"name": "Source", "value": "Web service API"}]
    assert (moved["primaryAttributeValueId"], moved["primaryAttributeValue"]) == (2, "EU")
    assert attributes(moved) == {"Old Partition ID": 1, "Reason": "Web service API"}


KNOWN_TYPES = {
    1: "Visit Webpage", 2: "Fill Out Form", 6: "Send Email", 19: "Sync Lead to SFDC", 22: "Change Score",
    24: "Add to List", 25: "Remove from List", 27: "Email Bounced Soft", 32: "Merge Leads", 46: "Interesting Moment",
    47: "Request Campaign", 100: "Change Lead Partition", 104: "Change Status in Progression", 110: "Call Webhook",
    115: "Change Nurture Cadence", 123: "Change Program Member Data", 145: "Push Lead to Marketo",
    155: "Execute Campaign", 300: "Sync Lead to Microsoft", 400: "Share Content", 410: "Refer to Social App",
}  # fmt: skip


def test_every_type_is_listed_with_typed_attributes(marketo: Caller) -> None:
    """M64."""
    types = {one["id"]: one for one in marketo.get("/rest/v1/activities/types.json")["result"]}
    assert {number: types[number]["name"] for number in KNOWN_TYPES} == KNOWN_TYPES
    shape = ["id", "name", "description", "primaryAttribute", "attributes"]
    for one in types.values():
        assert [member for member in shape if member in one] == list(one)
        assert all(set(each) == {"name", "dataType"} for each in one["attributes"])
    assert types[1] == {
        "id": 1, "name": "Visit Webpage", "description": "User visits a web page",
        "primaryAttribute": {"name": "Webpage ID", "dataType": "integer"},
        "attributes": [{"name": name, "dataType": "string"} for name in (
            "Client IP Address", "Query Parameters", "Referrer URL", "Search Engine", "Search Query", "User Agent",
            "Webpage URL",
        )],
    }  # fmt: skip
    assert [one["name"] for one in types[22]["attributes"]] == ["Change Value", "New Value", "Old Value", "Reason"]


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
