"""QualifyLead and custom conversions (V62, V30; section 15.1)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from include.sandbox.service import Response
from tests.sandbox.dynamics.conftest import ANN, BASE, EUR, NOWHERE, ROOT, SANDBOX_USER, Org, code, content

TYPE = "Microsoft.Dynamics.CRM."
ALL = {"CreateAccount": True, "CreateContact": True, "CreateOpportunity": False, "Status": 3}
LEAD = {
    "subject": "Web form",
    "firstname": "Ann",
    "lastname": "Ax",
    "companyname": "Ax Ltd",
    "emailaddress1": "ann@ax.example",
    "telephone1": "+45 1",
    "mobilephone": "+45 2",
    "jobtitle": "CTO",
    "websiteurl": "https://ax.example",
    "address1_city": "Aarhus",
    "donotbulkemail": True,
    "leadsourcecode": 8,
    "revenue": 1000.5,
}


def qualify(org: Org, lead: str, headers: Mapping[str, str] | None = None, **changes: Any) -> Response:
    body = {name: value for name, value in {**ALL, **changes}.items() if value is not None}
    return org.call("POST", f"leads({lead})/{TYPE}QualifyLead", body, headers)


def made(response: Response) -> dict[str, str]:
    """Table -> id of the created rows."""
    assert response.status == 200, response.body
    found = {}
    for entry in content(response)["value"]:
        kind = entry.pop("@odata.type").removeprefix(f"#{TYPE}")
        ((_, found[kind]),) = entry.items()
    return found


def test_qualifying_answers_the_created_rows_by_type_and_key(org: Org) -> None:
    """V62, O6."""
    response = qualify(org, org.create("leads", LEAD))
    assert response.status == 200
    answer = content(response)
    assert answer["@odata.context"] == f"{BASE}{ROOT}$metadata#Collection({TYPE}crmbaseentity)"
    assert [set(entry) for entry in answer["value"]] == [{"@odata.type", "accountid"}, {"@odata.type", "contactid"}]
    assert [entry["@odata.type"] for entry in answer["value"]] == [f"#{TYPE}account", f"#{TYPE}contact"]


def test_the_created_rows_carry_the_lead_s_values_and_point_to_each_other(org: Org) -> None:
    """V62."""
    lead = org.create("leads", LEAD)
    rows = made(qualify(org, lead))
    account, contact = org.read(f"accounts({rows['account']})"), org.read(f"contacts({rows['contact']})")
    assert (account["name"], account["telephone1"], account["websiteurl"]) == ("Ax Ltd", "+45 1", "https://ax.example")
    assert account["revenue"] == 1000.5
    assert (contact["fullname"], contact["emailaddress1"], contact["jobtitle"]) == ("Ann Ax", "ann@ax.example", "CTO")
    assert (contact["mobilephone"], contact["address1_city"], contact["donotbulkemail"]) == ("+45 2", "Aarhus", True)
    assert contact["leadsourcecode"] != 8  # numbers mean something else there
    assert contact["_parentcustomerid_value"] == rows["account"]
    for row in (account, contact):
        assert (row["_originatingleadid_value"], row["_ownerid_value"], row["statecode"]) == (lead, SANDBOX_USER, 0)


def test_the_lead_is_closed_and_linked(org: Org) -> None:
    """V62."""
    lead = org.create("leads", LEAD)
    rows = made(qualify(org, lead))
    row = org.read(f"leads({lead})")
    assert (row["statecode"], row["statuscode"]) == (1, 3)
    assert (row["_parentaccountid_value"], row["_parentcontactid_value"]) == (rows["account"], rows["contact"])
    assert row["_qualifyingopportunityid_value"] is None


def test_only_what_was_chosen_is_created(org: Org) -> None:
    """V62."""
    lead = org.create("leads", LEAD)
    assert set(made(qualify(org, lead, CreateAccount=False))) == {"contact"}
    assert content(qualify(org, org.create("leads", LEAD), CreateAccount=False, CreateContact=False))["value"] == []
    assert org.values("accounts") == []


def test_rows_that_are_linked_already_are_kept_and_not_created(org: Org) -> None:
    """V62."""
    account, contact = org.create("accounts", {"name": "Old"}), org.create("contacts", {"lastname": "Old"})
    before = org.read(f"contacts({contact})")
    linked = {"parentaccountid@odata.bind": f"/accounts({account})"}
    rows = made(qualify(org, org.create("leads", LEAD | linked)))
    assert set(rows) == {"contact"}
    assert org.read(f"contacts({rows['contact']})")["_parentcustomerid_value"] == account
    lead = org.create("leads", LEAD | linked | {"parentcontactid@odata.bind": f"/contacts({contact})"})
    assert made(qualify(org, lead)) == {}
    assert org.read(f"leads({lead})")["_parentcontactid_value"] == contact
    assert org.read(f"contacts({contact})") == before


def test_an_opportunity_gets_customer_currency_and_lead(org: Org) -> None:
    """V62."""
    lead = org.create("leads", LEAD | {"budgetamount": 10, "estimatedamount": 20.5})
    currency = {"transactioncurrencyid": EUR, "@odata.type": f"{TYPE}transactioncurrency"}
    rows = made(qualify(org, lead, CreateOpportunity=True, OpportunityCurrencyId=currency))
    deal = org.read(f"opportunities({rows['opportunity']})")
    assert (deal["name"], deal["_originatingleadid_value"]) == ("Web form", lead)
    assert (deal["_customerid_value"], deal["_transactioncurrencyid_value"]) == (rows["account"], EUR)
    assert (deal["_parentaccountid_value"], deal["_parentcontactid_value"]) == (rows["account"], rows["contact"])
    assert org.read(f"leads({lead})")["_qualifyingopportunityid_value"] == rows["opportunity"]


def test_the_customer_of_the_opportunity_can_be_chosen(org: Org) -> None:
    """V62."""
    contact = org.create("contacts", {"lastname": "Chosen"})
    chosen = {"contactid": contact, "@odata.type": f"{TYPE}contact"}
    lead = org.create("leads", LEAD)
    rows = made(
        qualify(
            org, lead, CreateAccount=False, CreateContact=False, CreateOpportunity=True, OpportunityCustomerId=chosen
        )
    )
    assert org.read(f"opportunities({rows['opportunity']})")["_customerid_value"] == contact
    missing = {"accountid": NOWHERE, "@odata.type": f"{TYPE}account"}
    other = org.create("leads", LEAD)
    assert code(qualify(org, other, OpportunityCustomerId=missing)) == "0x80040217"


def test_a_closed_lead_is_refused_and_a_reopened_one_is_not(org: Org) -> None:
    """V62."""
    lead = org.create("leads", LEAD)
    qualify(org, lead)
    response = qualify(org, lead)
    assert (response.status, code(response)) == (400, "0x80040519")
    assert org.change(f"leads({lead})", {"statecode": 0}).status == 204
    assert made(qualify(org, lead)) == {}  # account and contact are linked from the first time
    disqualified = org.create("leads", LEAD)
    org.change(f"leads({disqualified})", {"statecode": 2})
    assert code(qualify(org, disqualified)) == "0x80040519"


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"Status": 4}, "0x80048408"),
        ({"Status": 99}, "0x80048408"),
        ({"Status": None}, "0x80040203"),
        ({"CreateAccount": None}, "0x80040203"),
        ({"CreateContact": "yes"}, "0x80048d19"),
        ({"OpportunityCustomerId": {"leadid": NOWHERE, "@odata.type": f"{TYPE}lead"}}, "0x80048d19"),
        ({"OpportunityCurrencyId": {"transactioncurrencyid": EUR}}, "0x80048d19"),
    ],
)
def test_senseless_parameters_change_nothing(org: Org, changes: dict[str, Any], expected: str) -> None:
    """V62."""
    lead = org.create("leads", LEAD)
    response = qualify(org, lead, **changes)
    assert (response.status, code(response)) == (400, expected)
    assert org.values("accounts") == []
    assert org.read(f"leads({lead})")["statecode"] == 0


def test_minus_one_is_the_default_status_reason(org: Org) -> None:
    """V62."""
    lead = org.create("leads", LEAD)
    made(qualify(org, lead, Status=-1))
    assert org.read(f"leads({lead})")["statuscode"] == 3


def test_a_failure_half_way_takes_everything_back(org: Org) -> None:
    """V62."""
    lead = org.create("leads", LEAD)
    org.control("fail_writes", entity="contact", when={"jobtitle": "CTO"}, message="No.")
    assert code(qualify(org, lead)) == "0x80040265"
    assert org.values("accounts") == []
    assert org.read(f"leads({lead})")["statecode"] == 0


def test_duplicates_of_created_rows_are_found_when_asked(org: Org) -> None:
    """V62, V48."""
    org.create("contacts", {"emailaddress1": "ann@ax.example"})
    lead = org.create("leads", LEAD)
    response = qualify(org, lead, {"MSCRM.SuppressDuplicateDetection": "false"})
    assert (response.status, code(response)) == (412, "0x80040333")
    assert set(made(qualify(org, lead))) == {"account", "contact"}


def test_qualifying_needs_the_right_to_create_accounts(org: Org) -> None:
    """V62."""
    lead = org.create("leads", LEAD)
    org.control("set_privileges", user="sandbox", table="account", privileges=["read"])
    response = qualify(org, lead)
    assert (response.status, code(response)) == (403, "0x80081018")
    org.control("set_privileges", user="sandbox", table="contact", privileges=["read"])
    assert code(qualify(org, lead, CreateAccount=False)) == "0x80040220"


def test_a_missing_lead_a_wrong_method_and_a_name_without_namespace(org: Org) -> None:
    """V62."""
    assert code(qualify(org, NOWHERE)) == "0x80040217"
    lead = org.create("leads", LEAD)
    assert org.get(f"leads({lead})/{TYPE}QualifyLead").status == 405
    assert org.call("POST", f"leads({lead})/QualifyLead", ALL).status in {404, 405}


def test_a_plain_patch_qualifies_without_creating(org: Org) -> None:
    """V43, section 15.1."""
    lead = org.create("leads", LEAD)
    assert org.change(f"leads({lead})", {"statecode": 1, "statuscode": 3}).status == 204
    assert org.values("contacts") == []
    assert org.values("accounts") == []


def test_a_qualified_lead_and_its_rows_come_in_the_next_delta(org: Org) -> None:
    """V30."""
    tracked = {"Prefer": "odata.track-changes"}
    lead = org.create("leads", LEAD)
    leads = org.read("leads?$select=statecode", tracked)["@odata.deltaLink"]
    contacts = org.read("contacts?$select=lastname", tracked)["@odata.deltaLink"]
    rows = made(qualify(org, lead))
    assert [row["statecode"] for row in org.read(leads)["value"]] == [1]
    assert [row["contactid"] for row in org.read(contacts)["value"]] == [rows["contact"]]


def test_a_colleague_qualifies(org: Org) -> None:
    """V62, control command `qualify_lead`."""
    lead = org.create("leads", LEAD)
    done = org.control("qualify_lead", id=lead, create_account=False)
    contact = org.read(f"contacts({done['created']['contact']})")
    assert (contact["_createdby_value"], contact["_ownerid_value"]) == (ANN, ANN)
    row = org.read(f"leads({lead})")
    assert (row["statecode"], row["_modifiedby_value"], row["versionnumber"]) == (1, ANN, done["version"])
    with pytest.raises(ValueError, match="0x80040519"):
        org.control("qualify_lead", id=lead)


def test_a_custom_conversion_is_possible_by_plain_calls(org: Org) -> None:
    """A plug-in that makes a contact and notes it in a column of its own, without qualifying."""
    org.control(
        "add_attribute", entity="lead", attribute="new_personid", schema_name="new_PersonId", type="Lookup",
        targets=["contact"],
    )  # fmt: skip
    lead = org.create("leads", LEAD)
    contact = org.control("create_row", entity="contact", values={"lastname": "Ax"}, user="Bo Berg")["id"]
    values = {"new_PersonId@odata.bind": f"/contacts({contact})", "statecode": 2, "statuscode": 7}
    org.control("edit_row", entity="lead", id=lead, values=values, user="Bo Berg")
    row = org.read(f"leads({lead})", None, select="_new_personid_value,statuscode", expand="new_PersonId")
    assert (row["_new_personid_value"], row["new_PersonId"]["lastname"], row["statuscode"]) == (contact, "Ax", 7)
