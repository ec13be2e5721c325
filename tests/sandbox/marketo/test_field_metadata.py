from __future__ import annotations

from typing import Any

import pytest

from tests.sandbox.marketo.caller import Caller, code, ids, reason

SCHEMA = "/rest/v1/leads/schema/fields"


def described(marketo: Caller) -> dict[str, dict[str, Any]]:
    result = marketo.get("/rest/v1/leads/describe.json")["result"]
    return {field["rest"]["name"] if "rest" in field else field["soap"]["name"]: field for field in result}


def test_describe_lists_every_field_ascending_by_id(marketo: Caller) -> None:
    """M22."""
    result = marketo.get("/rest/v1/leads/describe.json")["result"]
    assert len(result) == 91 + 27, "the recorded fields and the social ones"
    assert ids(result) == sorted(ids(result))
    assert result[ids(result).index(56)] == {
        "id": 56, "displayName": "Email Address", "dataType": "email", "length": 255,
        "rest": {"name": "email", "readOnly": False}, "soap": {"name": "Email", "readOnly": False},
    }  # fmt: skip


def test_describe_gives_a_length_to_string_like_types_only(marketo: Caller) -> None:
    """M22: text areas have none either."""
    kinds = {field["dataType"] for field in described(marketo).values() if "length" in field}
    assert kinds == {"string", "email", "phone", "url"}


def test_read_only_marks_are_as_recorded(marketo: Caller) -> None:
    """M22: system times are read-only, id is not."""
    fields = described(marketo)
    assert not fields["id"]["rest"]["readOnly"]
    assert fields["createdAt"]["rest"]["readOnly"]
    assert fields["updatedAt"]["rest"]["readOnly"]
    assert "soap" not in fields["createdAt"]


def test_a_soap_only_field_has_no_rest_name_and_no_use(marketo: Caller) -> None:
    """M22."""
    definition = {"name": "OldField", "displayName": "Old", "dataType": "string", "soapOnly": True}
    marketo.emulator.control("create_fields", {"fields": [definition]})
    assert "rest" not in described(marketo)["OldField"]
    assert code(marketo.get("/rest/v1/lead/1.json", fields="OldField")) == "1006"


def test_describe2_is_one_element_with_single_searchable_fields(marketo: Caller) -> None:
    """M23."""
    for name, kind in (("regionCode", "string"), ("altMail", "email"), ("externalNumber", "integer"), ("f", "float")):
        marketo.make_field(name, kind)
    (only,) = marketo.get("/rest/v1/leads/describe2.json")["result"]
    searchable = only["searchableFields"]
    assert all(len(group) == 1 for group in searchable)
    names = {group[0] for group in searchable}
    social, salesforce = {"facebookId", "twitterId", "linkedInId"}, {name for name in names if name.startswith("sfdc")}
    own = {"regionCode", "altMail", "externalNumber"}
    assert names == {"id", "email", "cookies", "leadPartitionId"} | social | salesforce | own
    for name in sorted(salesforce):
        assert marketo.get("/rest/v1/leads.json", filterType=name, filterValues="7")["result"] == []
    fields = {field["name"]: field for field in only["fields"]}
    assert fields["email"]["updateable"]
    assert not fields["id"]["updateable"]
    assert not any(field["crmManaged"] for field in fields.values())


def test_every_searchable_field_works_as_a_filter_and_others_do_not(marketo: Caller) -> None:
    """M23."""
    marketo.make_field("regionCode", "string")
    (only,) = marketo.get("/rest/v1/leads/describe2.json")["result"]
    searchable = {group[0] for group in only["searchableFields"]}
    for field in only["fields"]:
        found = marketo.get("/rest/v1/leads.json", filterType=field["name"], filterValues="7")
        assert found["success"] == (field["name"] in searchable), field
        if not found["success"]:
            assert code(found) == "1011"
        marketo.clock.advance(1)


def test_a_native_sync_marks_its_fields(marketo: Caller) -> None:
    """M52."""
    marketo.emulator.control("native_sync", {"on": True})
    (only,) = marketo.get("/rest/v1/leads/describe2.json")["result"]
    managed = {field["name"] for field in only["fields"] if field["crmManaged"]}
    assert {"firstName", "email", "unsubscribed"} <= managed
    assert "leadScore" not in managed


def test_schema_pages_with_a_token_and_always_tells_of_more(marketo: Caller) -> None:
    """M24."""
    names: list[str] = []
    query: dict[str, Any] = {"batchSize": 40}
    page: dict[str, Any] = {}
    for _ in range(3):
        assert not page or page["moreResult"]
        page = marketo.get(f"{SCHEMA}.json", **query)
        names += [field["name"] for field in page["result"]]
        assert page["moreResult"] == ("nextPageToken" in page)
        query = {"batchSize": 40, "nextPageToken": page.get("nextPageToken", "")}
    assert len(names) == len(set(names)) == 118
    assert not page["moreResult"]


def test_a_created_field_can_be_described_written_and_read_at_once(marketo: Caller) -> None:
    """M24."""
    definition = {"name": "regionCode", "displayName": "Region Code", "dataType": "string", "description": "where"}
    made = marketo.post(f"{SCHEMA}.json", {"input": [definition]})
    assert made["result"] == [{"name": "regionCode", "status": "created"}]
    field = described(marketo)["regionCode"]
    assert (field["displayName"], field["dataType"], field["length"]) == ("Region Code", "string", 255)
    person = marketo.create(regionCode="EU")
    assert marketo.person(person, "regionCode") == {"id": person, "regionCode": "EU"}
    (schema,) = marketo.get(f"{SCHEMA}/regionCode.json")["result"]
    assert (schema["isCustom"], schema["isApiCreated"], schema["description"]) == (True, True, "where")


def test_created_fields_survive_a_restart(marketo: Caller) -> None:
    marketo.make_field("regionCode", "string")
    person = marketo.create(regionCode="EU")
    marketo.restart()
    assert marketo.person(person, "regionCode")["regionCode"] == "EU"


@pytest.mark.parametrize(
    ("definition", "expected"),
    [
        ({"name": "1st", "displayName": "x", "dataType": "string"}, "1003"),
        ({"name": "a b", "displayName": "x", "dataType": "string"}, "1003"),
        ({"name": "okay", "displayName": "x", "dataType": "text"}, "1003"),
        ({"name": "okay", "displayName": "x", "dataType": "banana"}, "1003"),
        ({"name": "okay", "dataType": "string"}, "1002"),
        ({"name": "EMAIL", "displayName": "x", "dataType": "string"}, "1017"),
    ],
)
def test_bad_definitions_are_skipped_one_by_one(marketo: Caller, definition: dict[str, str], expected: str) -> None:
    """M24, section 4.3."""
    good = {"name": "fine", "displayName": "Fine", "dataType": "boolean"}
    results = marketo.post(f"{SCHEMA}.json", {"input": [definition, good]})["result"]
    assert reason(results[0])[0] == expected
    assert results[1] == {"name": "fine", "status": "created"}


def test_at_most_100_fields_can_be_created(marketo: Caller) -> None:
    """Section 4.3."""
    fields = [{"name": f"f{number}", "displayName": "x", "dataType": "date"} for number in range(101)]
    assert code(marketo.post(f"{SCHEMA}.json", {"input": fields})) == "1003"
    assert all(one["status"] == "created" for one in marketo.post(f"{SCHEMA}.json", {"input": fields[1:]})["result"])
    assert code(marketo.post(f"{SCHEMA}.json", {"input": fields[:1]})) == "1003"


def test_a_custom_score_is_reported_as_an_integer(marketo: Caller) -> None:
    """Section 4.1."""
    definition = {"name": "fitScore", "displayName": "Fit", "dataType": "score"}
    marketo.post(f"{SCHEMA}.json", {"input": [definition]})
    assert described(marketo)["fitScore"]["dataType"] == "integer"


def test_name_and_type_of_a_field_never_change(marketo: Caller) -> None:
    """Section 4.3."""
    marketo.make_field("regionCode", "string")
    path = f"{SCHEMA}/regionCode.json"
    assert code(marketo.post(path, {"input": [{"dataType": "text"}]})) == "1003"
    assert marketo.post(path, {"input": [{"displayName": "Area"}]})["result"][0]["status"] == "updated"
    assert described(marketo)["regionCode"]["displayName"] == "Area"
    assert code(marketo.post(f"{SCHEMA}/email.json", {"input": [{"displayName": "Mail"}]})) == "1003"


def test_rest_and_soap_have_their_own_read_only_marks(marketo: Caller) -> None:
    """M22: as recorded, what REST may not write SOAP often may."""
    fields = described(marketo)
    assert fields["originalSourceType"] == {
        "id": 70, "displayName": "Original Source Type", "dataType": "string", "length": 255,
        "rest": {"name": "originalSourceType", "readOnly": True},
        "soap": {"name": "OriginalSourceType", "readOnly": False},
    }  # fmt: skip
    assert fields["totalReferredVisits"]["soap"] == {"name": "MarketoSocialTotalReferredVisits", "readOnly": True}


@pytest.mark.parametrize(
    ("name", "kind", "encoded", "sensitive"),
    [("email", "email", True, True), ("dateOfBirth", "date", False, True), ("annualRevenue", "currency", False, False)],
)
def test_the_schema_of_a_standard_field_has_the_documented_members(
    marketo: Caller, name: str, kind: str, encoded: bool, sensitive: bool
) -> None:
    """M24, section 4.3."""
    (found,) = marketo.get(f"{SCHEMA}/{name}.json")["result"]
    expected = {
        "name": name, "description": None, "dataType": kind, "isHidden": False, "isHtmlEncodingInEmail": encoded,
        "isSensitive": sensitive, "isCustom": False, "isApiCreated": False,
    }  # fmt: skip
    assert {key: value for key, value in found.items() if key not in {"displayName", "length"}} == expected
    assert list(found)[:3] == ["displayName", "name", "description"]
    assert code(marketo.get(f"{SCHEMA}/nope.json")) == "1006"


def test_a_hidden_field_is_out_of_describe_reads_and_writes_but_not_out_of_the_schema(marketo: Caller) -> None:
    """Sections 4.3 and 13."""
    marketo.post(f"{SCHEMA}.json", {"input": [{"name": "old", "displayName": "Old", "dataType": "string"}]})
    person = marketo.create(old="x")
    assert marketo.post(f"{SCHEMA}/old.json", {"input": [{"isHidden": True}]})["result"][0]["status"] == "updated"
    assert "old" not in described(marketo)
    assert code(marketo.get(f"/rest/v1/lead/{person}.json", fields="old")) == "1006"
    (result,) = marketo.sync({"old": "y"}, action="createDuplicate")
    assert reason(result)[0] == "1006"
    assert marketo.get(f"{SCHEMA}/old.json")["result"][0]["isHidden"] is True
    marketo.post(f"{SCHEMA}/old.json", {"input": [{"isHidden": False}]})
    assert marketo.person(person, "old")["old"] == "x"


def test_only_fields_made_by_the_api_can_be_hidden_by_it(marketo: Caller) -> None:
    """Section 4.3."""
    marketo.make_field("regionCode", "string")
    assert code(marketo.post(f"{SCHEMA}/regionCode.json", {"input": [{"isHidden": True}]})) == "1003"


def test_schema_permissions_cover_standard_or_custom_fields(marketo: Caller) -> None:
    """M6, section 4.3."""
    marketo.make_field("regionCode", "string")
    revoked = {"user": "sync-api@example.test", "permissions": ["Read-Write Schema Standard Field"]}
    marketo.emulator.control("revoke", revoked)
    assert [field["name"] for field in marketo.get(f"{SCHEMA}.json")["result"]] == ["regionCode"]
    assert marketo.get(f"{SCHEMA}/regionCode.json")["success"]
    assert code(marketo.get(f"{SCHEMA}/email.json")) == "603"
    assert code(marketo.post(f"{SCHEMA}/email.json", {"input": [{"description": "x"}]})) == "603"
