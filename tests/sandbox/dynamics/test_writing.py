"""Rows created, changed and deleted (V31-V33, V40-V42, V46, V47, V50)."""

from __future__ import annotations

from typing import Any

import pytest

from tests.sandbox.dynamics.conftest import (
    ANN,
    BO,
    ERIK_DISABLED,
    EUR,
    NOWHERE,
    SANDBOX_USER,
    TEAM,
    USD,
    Org,
    code,
    content,
    header,
    message,
)

WHOLE = {"Prefer": "return=representation"}


def test_a_created_row_has_an_address(org: Org) -> None:
    """V31."""
    response = org.call("POST", "leads", {"lastname": "Ax"})
    address = header(response, "OData-EntityId") or ""
    assert (response.status, response.body) == (204, b"")
    assert org.read(address)["lastname"] == "Ax"


def test_a_created_row_is_represented_on_wish(org: Org) -> None:
    """V31."""
    response = org.call("POST", "leads?$select=lastname", {"lastname": "Ax"}, WHOLE)
    row = content(response)
    assert response.status == 201
    assert header(response, "ETag") == row["@odata.etag"]
    assert row["@odata.context"].endswith("#leads(lastname)/$entity")
    assert set(row) == {"@odata.context", "@odata.etag", "lastname", "leadid"}


def test_a_client_s_key_is_honoured_once(org: Org) -> None:
    """V32."""
    lead = "ABCDEFAB-0000-4000-8000-000000000001"
    assert org.create("leads", {"leadid": lead, "lastname": "Ax"}) == lead.lower()
    response = org.call("POST", "leads", {"leadid": lead, "lastname": "By"})
    assert (response.status, code(response)) == (412, "0x80040237")
    assert message(response) == "A record with matching key values already exists."
    assert org.read(f"leads({lead})")["lastname"] == "Ax"


def test_the_server_fills_what_is_missing(org: Org) -> None:
    """V33."""
    row = org.read(f"leads({org.create('leads', {'firstname': 'Ann', 'lastname': 'Ax', 'revenue': 10})})")
    expected = {
        "fullname": "Ann Ax",
        "statecode": 0,
        "statuscode": 1,
        "leadqualitycode": 2,
        "preferredcontactmethodcode": 1,
        "donotemail": False,
        "followemail": True,
        "leadsourcecode": None,
        "createdon": "2026-03-04T05:06:07Z",
        "modifiedon": "2026-03-04T05:06:07Z",
        "_createdby_value": SANDBOX_USER,
        "_modifiedby_value": SANDBOX_USER,
        "_createdonbehalfby_value": None,
        "_ownerid_value": SANDBOX_USER,
        "_owninguser_value": SANDBOX_USER,
        "_owningteam_value": None,
        "_transactioncurrencyid_value": USD,
        "exchangerate": 1,
        "revenue_base": 10,
        "merged": False,
    }
    assert {name: row[name] for name in expected} == expected
    assert row["_owningbusinessunit_value"]


def test_no_money_needs_no_currency(org: Org) -> None:
    """V33."""
    row = org.read(f"leads({org.create('leads', {'lastname': 'Ax'})})")
    assert row["_transactioncurrencyid_value"] is None
    assert row["fullname"] == "Ax"


def test_another_currency_has_its_rate(org: Org) -> None:
    """Section 17."""
    body = {"revenue": 100, "transactioncurrencyid@odata.bind": f"/transactioncurrencies({EUR})"}
    lead = org.create("leads", body)
    row = org.read(f"leads({lead})")
    assert (row["exchangerate"], row["revenue_base"]) == (0.92, 108.6957)
    org.change(f"leads({lead})", {"transactioncurrencyid@odata.bind": f"/transactioncurrencies({USD})"})
    row = org.read(f"leads({lead})")
    assert (row["revenue"], row["exchangerate"], row["revenue_base"]) == (100, 1, 100)


def test_the_composed_name_follows_its_parts(org: Org) -> None:
    """V33, section 17."""
    lead = org.create("leads", {"firstname": "Ann", "lastname": "Ax", "fullname": "ignored"})
    org.change(f"leads({lead})", {"lastname": "By"})
    assert org.read(f"leads({lead})")["fullname"] == "Ann By"
    org.change(f"leads({lead})", {"lastname": None, "firstname": ""})
    assert org.read(f"leads({lead})")["fullname"] is None


def test_a_patch_changes_what_is_sent(org: Org) -> None:
    """V40."""
    lead = org.create("leads", {"lastname": "Ax", "jobtitle": "CEO"})
    org.clock.advance(60)
    response = org.change(f"leads({lead})", {"jobtitle": "CTO"})
    assert response.status == 204
    assert header(response, "OData-EntityId") == f"https://org.example/api/data/v9.2/leads({lead})"
    row = org.read(f"leads({lead})")
    assert (row["lastname"], row["jobtitle"]) == ("Ax", "CTO")
    assert (row["createdon"], row["modifiedon"]) == ("2026-03-04T05:06:07Z", "2026-03-04T05:07:07Z")
    response = org.change(f"leads({lead})", {"jobtitle": None}, WHOLE)
    assert response.status == 200
    assert content(response)["jobtitle"] is None
    assert content(response)["@odata.etag"] == header(response, "ETag")


def test_a_key_in_the_body_of_a_patch_is_ignored(org: Org) -> None:
    """Section 5.2."""
    lead = org.create("leads", {"lastname": "Ax"})
    assert org.change(f"leads({lead})", {"leadid": NOWHERE, "lastname": "By"}).status == 204
    assert org.get(f"leads({NOWHERE})").status == 404


def test_a_patch_of_a_missing_row_creates_it(org: Org) -> None:
    """V40."""
    response = org.change(f"leads({NOWHERE})", {"lastname": "Ax"})
    assert response.status == 204
    assert org.read(f"leads({NOWHERE})")["lastname"] == "Ax"
    org.call("DELETE", f"leads({NOWHERE})")
    assert org.change(f"leads({NOWHERE})", {"lastname": "Ax"}, WHOLE).status == 201


@pytest.mark.parametrize(
    ("condition", "existing", "missing"),
    [
        ({}, (204, ""), (204, "")),
        ({"If-Match": "*"}, (204, ""), (404, "0x80040217")),
        ({"If-Match": "current"}, (204, ""), (404, "0x80040217")),
        ({"If-Match": 'W/"1"'}, (412, "0x80060882"), (404, "0x80040217")),
        ({"If-None-Match": "*"}, (412, "0x80040237"), (204, "")),
        ({"If-None-Match": "null"}, (204, ""), (204, "")),
    ],
)
def test_conditions_decide_between_update_and_create(
    org: Org, condition: dict[str, str], existing: tuple[int, str], missing: tuple[int, str]
) -> None:
    """V41."""
    lead = org.create("leads", {"lastname": "Ax"})
    etag = org.read(f"leads({lead})")["@odata.etag"]
    headers = {name: etag if value == "current" else value for name, value in condition.items()}
    for row_id, (status, error) in ((lead, existing), (NOWHERE, missing)):
        response = org.change(f"leads({row_id})", {"lastname": "By"}, headers)
        assert response.status == status
        assert (code(response) if status >= 400 else "") == error
    if existing[0] == 204:
        assert org.read(f"leads({lead})")["@odata.etag"] != etag
    else:
        assert org.read(f"leads({lead})")["lastname"] == "Ax"


def test_conditions_hold_for_deletes_and_properties(org: Org) -> None:
    """V41."""
    lead = org.create("leads", {"lastname": "Ax"})
    stale = {"If-Match": 'W/"1"'}
    assert code(org.call("DELETE", f"leads({lead})", None, stale)) == "0x80060882"
    assert code(org.call("PUT", f"leads({lead})/lastname", {"value": "By"}, stale)) == "0x80060882"
    etag = org.read(f"leads({lead})")["@odata.etag"]
    assert org.call("DELETE", f"leads({lead})", None, {"If-Match": etag}).status == 204


def test_a_table_without_optimistic_concurrency_says_so(org: Org) -> None:
    """Section 5.4."""
    lead = org.create("leads", {"lastname": "Ax"})
    org.control("set_metadata", entity="lead", changes={"concurrency": False})
    response = org.change(f"leads({lead})", {"lastname": "By"}, {"If-Match": 'W/"1"'})
    assert (response.status, code(response)) == (400, "0x8006088D")


def test_single_properties_are_set_and_cleared(org: Org) -> None:
    """V42."""
    lead = org.create("leads", {"lastname": "Ax"})
    assert org.call("PUT", f"leads({lead})/jobtitle", {"value": "CTO"}).status == 204
    assert org.read(f"leads({lead})/jobtitle")["value"] == "CTO"
    assert org.call("DELETE", f"leads({lead})/jobtitle").status == 204
    assert org.get(f"leads({lead})/jobtitle").status == 204
    assert org.call("PUT", f"leads({lead})/_ownerid_value", {"value": ANN}).status == 404


def test_a_deleted_row_is_gone(org: Org) -> None:
    """V42."""
    lead = org.create("leads", {"lastname": "Ax"})
    assert org.call("DELETE", f"leads({lead})").status == 204
    assert org.get(f"leads({lead})").status == 404
    assert code(org.call("DELETE", f"leads({lead})")) == "0x80040217"


def test_deleting_an_account_takes_its_contacts_and_frees_its_leads(org: Org) -> None:
    """V42."""
    account = org.create("accounts", {"name": "Acme"})
    contact = org.create("contacts", {"lastname": "Ax", "parentcustomerid_account@odata.bind": f"/accounts({account})"})
    below = org.create("contacts", {"lastname": "By", "parentcustomerid_contact@odata.bind": f"/contacts({contact})"})
    loose = org.create("leads", {"lastname": "L", "parentaccountid@odata.bind": f"/accounts({account})"})
    bound = org.create("leads", {"lastname": "B", "customerid_account@odata.bind": f"/accounts({account})"})
    before = org.read(f"leads({loose})")["@odata.etag"]
    assert org.call("DELETE", f"accounts({account})").status == 204
    assert org.get(f"contacts({contact})").status == 404
    assert org.get(f"leads({bound})").status == 404
    assert org.read(f"contacts({below})")["_parentcustomerid_value"] is None
    row = org.read(f"leads({loose})")
    assert row["_parentaccountid_value"] is None
    assert row["@odata.etag"] != before


def test_a_currency_in_use_stays(org: Org) -> None:
    """V42."""
    org.create("leads", {"revenue": 1})
    response = org.call("DELETE", f"transactioncurrencies({USD})")
    assert (response.status, code(response)) == (405, "0x80040227")
    assert org.call("DELETE", f"transactioncurrencies({EUR})").status == 204


def test_a_new_owner_takes_an_account_s_contacts_along(org: Org) -> None:
    """Section 14.7."""
    account = org.create("accounts", {"name": "Acme"})
    contact = org.create("contacts", {"lastname": "Ax", "parentcustomerid_account@odata.bind": f"/accounts({account})"})
    org.change(f"accounts({account})", {"ownerid@odata.bind": f"/systemusers({ANN})"})
    assert org.read(f"contacts({contact})")["_ownerid_value"] == ANN


def test_the_owner_is_a_user_or_a_team(org: Org) -> None:
    """V64."""
    lead = org.create("leads", {"lastname": "Ax", "ownerid@odata.bind": f"/systemusers({ANN})"})
    assert org.read(f"leads({lead})")["_owninguser_value"] == ANN
    assert org.change(f"leads({lead})", {"ownerid@odata.bind": f"/teams({TEAM})"}).status == 204
    row = org.read(f"leads({lead})", {"Prefer": 'odata.include-annotations="*"'})
    assert (row["_ownerid_value"], row["_owninguser_value"], row["_owningteam_value"]) == (TEAM, None, TEAM)
    assert row["_ownerid_value@Microsoft.Dynamics.CRM.lookuplogicalname"] == "team"


def test_a_disabled_or_powerless_owner_is_refused(org: Org) -> None:
    """V64, section 7."""
    lead = org.create("leads", {"lastname": "Ax"})
    response = org.change(f"leads({lead})", {"ownerid@odata.bind": f"/systemusers({ERIK_DISABLED})"})
    assert (response.status, code(response)) == (403, "0x80040225")
    org.control("set_privileges", user="Bo Berg", table="lead", privileges=[])
    response = org.change(f"leads({lead})", {"ownerid@odata.bind": f"/systemusers({BO})"})
    assert (response.status, code(response)) == (403, "0x80040231")
    assert org.read(f"leads({lead})")["_ownerid_value"] == SANDBOX_USER


def test_a_backdated_creation_swaps_with_the_real_time(org: Org) -> None:
    """V46."""
    lead = org.create("leads", {"lastname": "Ax", "overriddencreatedon": "2020-02-03T04:05:06Z"})
    row = org.read(f"leads({lead})")
    assert (row["createdon"], row["overriddencreatedon"]) == ("2020-02-03T04:05:06Z", "2026-03-04T05:06:07Z")
    org.change(f"leads({lead})", {"overriddencreatedon": "2019-01-01T00:00:00Z"})
    assert org.read(f"leads({lead})")["overriddencreatedon"] == "2026-03-04T05:06:07Z"


def test_server_columns_are_not_writable(org: Org) -> None:
    """V46."""
    sent = {"createdon": "2000-01-01T00:00:00Z", "modifiedon": "2000-01-01T00:00:00Z", "versionnumber": 5}
    lead = org.create("leads", {"lastname": "Ax", "merged": True} | sent)
    row = org.read(f"leads({lead})")
    assert row["createdon"] == row["modifiedon"] == "2026-03-04T05:06:07Z"
    assert row["versionnumber"] > 5
    assert row["merged"] is False


@pytest.mark.parametrize(
    ("name", "value"), [("MSCRMCallerID", ANN), ("CallerObjectId", "5a9db0c5-0000-4000-8000-000000001021")]
)
def test_impersonation_stamps_both_users(org: Org, name: str, value: str) -> None:
    """V46."""
    lead = org.create("leads", {"lastname": "Ax"}, **{name: value})
    row = org.read(f"leads({lead})")
    assert (row["_createdby_value"], row["_createdonbehalfby_value"]) == (ANN, SANDBOX_USER)
    assert (row["_modifiedby_value"], row["_modifiedonbehalfby_value"]) == (ANN, SANDBOX_USER)
    assert row["_ownerid_value"] == ANN
    org.change(f"leads({lead})", {"lastname": "By"})
    row = org.read(f"leads({lead})")
    assert (row["_modifiedby_value"], row["_modifiedonbehalfby_value"]) == (SANDBOX_USER, None)
    assert org.call("POST", "leads", {}, {name: NOWHERE}).status == 403


def test_versions_grow_across_all_tables(org: Org) -> None:
    """V47."""
    seen = []
    for entity_set in ("leads", "contacts", "accounts", "leads"):
        row_id = org.create(entity_set, {})
        seen.append(org.read(f"{entity_set}({row_id})"))
    versions = [row["versionnumber"] for row in seen]
    assert versions == sorted(set(versions))
    assert all(row["@odata.etag"] == f'W/"{row["versionnumber"]}"' for row in seen)


def test_annotations_in_bodies_need_a_dot(org: Org) -> None:
    """V50."""
    response = org.call("POST", "leads", {"@odata": "x", "lastname": "Ax"})
    assert response.status == 400
    assert "'@odata' is an invalid instance annotation name" in message(response)
    tolerated = {"@odata.type": "Microsoft.Dynamics.CRM.lead", "@odata.etag": 'W/"1"', "@odata.context": "x"}
    assert org.call("POST", "leads", tolerated | {"lastname": "Ax"}).status == 204


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'{"lastname":"a","lastname":"b"}', b'{"revenue":NaN}', b"\xff"])
def test_a_body_that_is_no_single_object_is_refused(org: Org, body: bytes) -> None:
    """Section 17."""
    response = org.call("POST", "leads", body)
    assert (response.status, code(response)) == (400, "0x80048d19")


def test_related_rows_are_created_in_the_same_transaction(org: Org) -> None:
    """Section 5.1."""
    body: dict[str, Any] = {
        "name": "Acme",
        "primarycontactid": {"lastname": "Boss"},
        "contact_customer_accounts": [{"lastname": "Ax"}, {"lastname": "By"}],
    }
    account = org.create("accounts", body)
    assert len(org.values(f"accounts({account})/contact_customer_accounts")) == 2
    assert org.read(f"accounts({account})/primarycontactid")["lastname"] == "Boss"
    body["contact_customer_accounts"][1]["lastname"] = 5
    assert org.call("POST", "accounts", body).status == 400
    assert org.control("row_count", entity="contact") == 3
