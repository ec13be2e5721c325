from __future__ import annotations

from typing import Any

import pytest

from tests.sandbox.marketo.caller import Caller, answer, code, reason

RESOURCES = ["companies", "opportunities", "opportunities/roles", "salespersons", "namedaccounts"]
CRM = RESOURCES[:4]


def root(resource: str) -> str:
    return f"/rest/v1/{resource}"


def sync(marketo: Caller, resource: str, *records: dict[str, Any], **more: Any) -> list[dict[str, Any]]:
    return list(marketo.post(f"{root(resource)}.json", {"input": list(records), **more})["result"])


@pytest.mark.parametrize("resource", RESOURCES)
def test_every_object_type_is_described_and_found_empty(marketo: Caller, resource: str) -> None:
    """Section 6.3, appendix B."""
    (found,) = marketo.get(f"{root(resource)}/describe.json")["result"]
    assert {"name", "createdAt", "updatedAt", "idField", "dedupeFields", "searchableFields", "fields"} <= set(found)
    names = {field["name"] for field in found["fields"]}
    assert {found["idField"], *found["dedupeFields"]} <= names
    assert not any(field["crmManaged"] for field in found["fields"])
    empty = marketo.get(f"{root(resource)}.json", filterType="idField", filterValues="7")
    assert (empty["result"], set(empty)) == ([], {"requestId", "result", "success"})


@pytest.mark.parametrize("resource", CRM)
def test_a_native_sync_makes_crm_objects_read_only(marketo: Caller, resource: str) -> None:
    """M52: writes answer 1018, reads work, every field is the CRM's."""
    sync(marketo, "companies", {"externalCompanyId": "A-1", "company": "Example"})
    marketo.emulator.control("native_sync", {"on": True})
    body = {"input": [{"externalCompanyId": "A-1", "company": "Example"}]}
    for ending in ("", "/delete"):
        refused = marketo.post(f"{root(resource)}{ending}.json", body)
        assert refused["errors"] == [{"code": "1018", "message": "CRM Enabled"}]
    (found,) = marketo.get(f"{root(resource)}/describe.json")["result"]
    assert all(field["crmManaged"] for field in found["fields"])
    kept = marketo.get("/rest/v1/companies.json", filterType="externalCompanyId", filterValues="A-1")["result"]
    assert [one["externalCompanyId"] for one in kept] == ["A-1"]
    assert sync(marketo, "namedaccounts", {"name": "Example"})[0]["status"] == "created"


def test_companies_are_created_updated_found_and_deleted(marketo: Caller) -> None:
    """Section 6.3: seq, status, id; by key, by id, by a searchable field."""
    made = sync(marketo, "companies", {"externalCompanyId": "A-1", "company": "Example", "annualRevenue": 12.5},
                {"externalCompanyId": "A-2", "company": "Other"})  # fmt: skip
    number = made[0]["id"]
    assert made[0] == {"seq": 0, "status": "created", "id": number}
    assert made[1]["seq"] == 1
    (again,) = sync(marketo, "companies", {"externalCompanyId": "A-1", "industry": "Wool", "company": None})
    assert again == {"seq": 0, "status": "updated", "id": number}
    path = f"{root('companies')}.json"
    query = {"filterType": "id", "filterValues": number}
    assert marketo.get(path, **query, fields="company,industry,annualRevenue")["result"] == [
        {"seq": 0, "id": number, "company": None, "industry": "Wool", "annualRevenue": 12.5}
    ]
    (by_default,) = marketo.get(path, filterType="dedupeFields", filterValues="A-1")["result"]
    assert list(by_default) == ["seq", "id", "externalCompanyId", "createdAt", "updatedAt"]
    assert marketo.get(path, filterType="company", filterValues="Other")["result"][0]["id"] == made[1]["id"]
    body = {"deleteBy": "dedupeFields", "input": [{"externalCompanyId": "A-1"}, {"externalCompanyId": "A-9"}]}
    gone = marketo.post(f"{root('companies')}/delete.json", body)["result"]
    assert gone[0] == {"seq": 0, "id": number, "status": "deleted"}
    assert reason(gone[1]) == ("1013", "Object not found")


@pytest.mark.parametrize(
    ("record", "more", "expected"),
    [
        ({"company": "x"}, {}, "1002"),
        ({"externalCompanyId": "A", "nope": 1}, {}, "1006"),
        ({"externalCompanyId": "A", "annualRevenue": "much"}, {}, "1003"),
        ({"externalCompanyId": "A", "id": 5}, {}, "1003"),
        ({"externalCompanyId": "Known"}, {"action": "createOnly"}, "1017"),
        ({"externalCompanyId": "A"}, {"action": "updateOnly"}, "1013"),
        ({"id": 999, "company": "x"}, {"dedupeBy": "idField"}, "1013"),
    ],
)
def test_bad_records_of_objects_are_skipped(
    marketo: Caller, record: dict[str, Any], more: dict[str, Any], expected: str
) -> None:
    """Section 3.3."""
    sync(marketo, "companies", {"externalCompanyId": "Known"})
    (result,) = sync(marketo, "companies", record, **more)
    assert (result["seq"], reason(result)[0]) == (0, expected)


def test_the_key_of_an_object_never_changes(marketo: Caller) -> None:
    """Vendor page Lead Database: the key's fields are not updateable."""
    (made,) = sync(marketo, "companies", {"externalCompanyId": "A-1"})
    (result,) = sync(marketo, "companies", {"id": made["id"], "externalCompanyId": "A-2"}, dedupeBy="idField")
    assert reason(result)[0] == "1003"
    (result,) = sync(marketo, "companies", {"id": made["id"], "company": "x"}, dedupeBy="idField")
    assert result["status"] == "updated"


def test_linked_persons_show_the_values_of_their_company(marketo: Caller) -> None:
    """Vendor page Companies: at linking, and whenever the company changes."""
    sync(marketo, "companies", {"externalCompanyId": "A-1", "company": "Example", "industry": "Wool"})
    linked = marketo.create(email="ada@example.test", externalCompanyId="A-1")
    free, later = marketo.create(company="Own"), marketo.create(company="Own", externalCompanyId="A-9")
    assert marketo.person(linked, "company", "industry") == {"id": linked, "company": "Example", "industry": "Wool"}
    marketo.clock.advance(60)
    token = marketo.since("2026-03-01T10:00:30Z")
    sync(marketo, "companies", {"externalCompanyId": "A-1", "industry": None, "companyNotes": "x"},
         {"externalCompanyId": "A-9", "company": "Late"})  # fmt: skip
    found = marketo.person(linked, "company", "industry", "mktoCompanyNotes")
    assert found == {"id": linked, "company": "Example", "industry": None, "mktoCompanyNotes": "x"}
    assert [marketo.person(one, "company")["company"] for one in (free, later)] == ["Own", "Late"]
    rows = [row for row in marketo.changes(token, "industry") if row["fields"]]
    assert [(row["leadId"], row["fields"][0]["oldValue"]) for row in rows] == [(linked, "Wool")]


def test_the_same_key_twice_in_one_input_is_refused(marketo: Caller) -> None:
    """Section 3.3: 1036."""
    first, second = sync(marketo, "companies", {"externalCompanyId": "A"}, {"externalCompanyId": "A", "company": "x"})
    assert (first["status"], reason(second)) == ("created", ("1036", "Duplicate object found in input"))


def test_roles_have_a_compound_key_and_need_both_ends(marketo: Caller) -> None:
    """Vendor page Opportunity Roles: 1004 without the person, 1013 without the opportunity."""
    person = marketo.create()
    role = {"externalOpportunityId": "O-1", "leadId": person, "role": "Buyer", "isPrimary": True}
    assert reason(sync(marketo, "opportunities/roles", role)[0])[0] == "1013"
    (opportunity,) = sync(marketo, "opportunities", {"externalOpportunityId": "O-1", "name": "Chairs"})
    assert len(opportunity["marketoGUID"]) == 36
    (made,) = sync(marketo, "opportunities/roles", role)
    assert (made["status"], set(made)) == ("created", {"seq", "status", "marketoGUID"})
    assert reason(sync(marketo, "opportunities/roles", {**role, "leadId": 999})[0])[0] == "1004"
    body = {"filterType": "dedupeFields", "fields": ["marketoGUID", "role"],
            "input": [{"externalOpportunityId": "O-1", "leadId": person, "role": "Buyer"}]}  # fmt: skip
    path = f"{root('opportunities/roles')}.json"
    found = answer(marketo.send("POST", path, "_method=GET", body=body))
    assert found["result"] == [{"seq": 0, "marketoGUID": made["marketoGUID"], "role": "Buyer"}]
    by_person = marketo.get(path, filterType="leadId", filterValues=person)["result"]
    assert [one["marketoGUID"] for one in by_person] == [made["marketoGUID"]]


def test_sales_persons_in_use_stay(marketo: Caller) -> None:
    """Section 3.3: 1022; vendor page Sales Persons."""
    free, used = {"externalSalesPersonId": "sam@example.test"}, {"externalSalesPersonId": "eva@example.test"}
    sync(marketo, "salespersons", {**free, "email": "sam@example.test"}, used)
    marketo.create(externalSalesPersonId="eva@example.test")
    results = marketo.post(f"{root('salespersons')}/delete.json", {"input": [free, used]})["result"]
    assert results[0]["status"] == "deleted"
    assert reason(results[1])[0] == "1022"
    unknown = {"input": [{"externalOpportunityId": "O", "name": "x", "externalSalesPersonId": "nobody"}]}
    refused = marketo.post(f"{root('opportunities')}.json", unknown)
    assert refused["errors"] == [{"code": "718", "message": "ExternalSalesPersonID not found"}]
    assert marketo.get(f"{root('opportunities')}.json", filterType="dedupeFields", filterValues="O")["result"] == []


def test_objects_are_paged_with_more_result(marketo: Caller) -> None:
    """Vendor page Lead Database: moreResult comes with the token only."""
    sync(marketo, "companies", *({"externalCompanyId": f"A-{number}", "company": "Same"} for number in range(5)))
    query: dict[str, Any] = {"filterType": "company", "filterValues": "Same", "batchSize": 2}
    keys: list[str] = []
    for _ in range(4):
        page = marketo.get(f"{root('companies')}.json", **query)
        keys += [one["externalCompanyId"] for one in page["result"]]
        assert ("moreResult" in page) == ("nextPageToken" in page)
        if "nextPageToken" not in page:
            break
        query["nextPageToken"] = page["nextPageToken"]
    assert keys == [f"A-{number}" for number in range(5)]


@pytest.mark.parametrize(
    ("query", "expected"),
    [({}, "1002"), ({"filterType": "industry", "filterValues": "x"}, "1011"), ({"filterType": "id"}, "1003"),
     ({"filterType": "id", "filterValues": "1", "fields": "nope"}, "1006")],
)  # fmt: skip
def test_bad_filters_of_objects_are_refused(marketo: Caller, query: dict[str, str], expected: str) -> None:
    """Section 3.3."""
    assert code(marketo.get(f"{root('companies')}.json", **query)) == expected


def test_object_fields_have_a_schema(marketo: Caller) -> None:
    """Vendor page Companies."""
    (field,) = marketo.get("/rest/v1/companies/schema/fields/industry.json")["result"]
    assert field == {
        "displayName": "Industry", "name": "industry", "description": None, "dataType": "string", "length": 255,
        "isHidden": False, "isHtmlEncodingInEmail": True, "isSensitive": False, "isCustom": False,
        "isApiCreated": False,
    }  # fmt: skip
    page = marketo.get("/rest/v1/opportunities/schema/fields.json", batchSize=5)
    assert (len(page["result"]), page["moreResult"]) == (5, True)
    rest = marketo.get("/rest/v1/opportunities/schema/fields.json", nextPageToken=page["nextPageToken"])
    assert (rest["moreResult"], rest["result"][0] not in page["result"]) == (False, True)


def test_objects_survive_a_restart(marketo: Caller) -> None:
    sync(marketo, "companies", {"externalCompanyId": "A-1"})
    marketo.restart()
    assert sync(marketo, "companies", {"externalCompanyId": "A-1"})[0]["status"] == "updated"


EMPTY = ["/rest/v1/campaigns.json", "/rest/v1/customobjects.json", "/rest/v1/customobjects/schema.json",
         "/rest/v1/namedAccountLists.json?filterType=name&filterValues=x"]  # fmt: skip


@pytest.mark.parametrize("path", EMPTY)
def test_what_plays_no_part_is_empty(marketo: Caller, path: str) -> None:
    """Appendix B: what an empty instance says."""
    path, _, query = path.partition("?")
    assert answer(marketo.send("GET", path, query))["result"] == []


@pytest.mark.parametrize("kind", ["smartList", "smartCampaign", "email", "form", "landingPage", "snippet"])
def test_assets_that_play_no_part_are_not_found(marketo: Caller, kind: str) -> None:
    """Section 1: no result and a warning."""
    for path in (f"{kind}s.json", f"{kind}/7.json", f"{kind}/byName.json"):
        found = marketo.get(f"/rest/asset/v1/{path}", name="x")
        assert (found["success"], "result" in found, len(found["warnings"])) == (True, False, 1)


def test_campaigns_are_not_found(marketo: Caller) -> None:
    """Section 3.3: 1013 with its own text."""
    body = {"input": {"leads": [{"id": 1}]}}
    found = marketo.post("/rest/v1/campaigns/7/trigger.json", body)
    assert found["errors"] == [{"code": "1013", "message": "Campaign not found"}]
    assert code(marketo.post("/rest/v1/customobjects/car_c.json", {"input": [{"vin": "1"}]})) == "1013"
