"""Tables beside lead, contact and account: opportunities, teams, activities (section 14)."""

from __future__ import annotations

import pytest

from tests.sandbox.dynamics.conftest import ANN, BO, TEAM, Org, code, content


@pytest.mark.parametrize(
    ("name", "entity_set", "key", "type_code"),
    [
        ("lead", "leads", "leadid", 4),
        ("contact", "contacts", "contactid", 2),
        ("account", "accounts", "accountid", 1),
        ("systemuser", "systemusers", "systemuserid", 8),
        ("team", "teams", "teamid", 9),
        ("transactioncurrency", "transactioncurrencies", "transactioncurrencyid", 9105),
        ("businessunit", "businessunits", "businessunitid", 10),
        ("campaign", "campaigns", "campaignid", 4400),
        ("opportunity", "opportunities", "opportunityid", 3),
        ("task", "tasks", "activityid", 4212),
        ("phonecall", "phonecalls", "activityid", 4210),
        ("email", "emails", "activityid", 4202),
        ("activitypointer", "activitypointers", "activityid", 4200),
    ],
)
def test_the_tables_of_the_org_have_their_names_and_numbers(
    org: Org, name: str, entity_set: str, key: str, type_code: int
) -> None:
    """Section 14."""
    shape = org.read(f"EntityDefinitions(LogicalName='{name}')")
    found = (shape["EntitySetName"], shape["PrimaryIdAttribute"], shape["ObjectTypeCode"])
    assert found == (entity_set, key, type_code)
    assert isinstance(org.values(entity_set), list)


def test_an_opportunity_has_its_defaults_and_its_customer(org: Org) -> None:
    """V33, section 14.6."""
    account = org.create("accounts", {"name": "Acme"})
    lead = org.create("leads", {"lastname": "Ax"})
    body = {
        "name": "Ten chairs",
        "estimatedvalue": 100,
        "customerid_account@odata.bind": f"/accounts({account})",
        "parentaccountid@odata.bind": f"/accounts({account})",
        "originatingleadid@odata.bind": f"/leads({lead})",
    }
    row = org.read(f"opportunities({org.create('opportunities', body)})")
    assert (row["statecode"], row["statuscode"], row["opportunityratingcode"]) == (0, 1, 2)
    assert (row["_customerid_value"], row["_originatingleadid_value"]) == (account, lead)
    assert (row["estimatedvalue"], row["estimatedvalue_base"]) == (100, 100)
    assert len(org.values(f"accounts({account})/opportunity_customer_accounts")) == 1


def test_an_opportunity_goes_with_its_customer_and_loses_its_lead(org: Org) -> None:
    """V42, section 14.7."""
    account = org.create("accounts", {"name": "Acme"})
    lead = org.create("leads", {"lastname": "Ax"})
    kept = org.create("opportunities", {"name": "A", "originatingleadid@odata.bind": f"/leads({lead})"})
    gone = org.create("opportunities", {"name": "B", "customerid_account@odata.bind": f"/accounts({account})"})
    assert org.call("DELETE", f"leads({lead})").status == 204
    assert org.call("DELETE", f"accounts({account})").status == 204
    assert org.read(f"opportunities({kept})")["_originatingleadid_value"] is None
    assert org.get(f"opportunities({gone})").status == 404


def test_activities_of_every_kind_show_up_as_activity_pointers(org: Org) -> None:
    lead = org.create("leads", {"lastname": "Ax"})
    made = {
        kind: org.create(entity_set, {"subject": kind, f"regardingobjectid_lead_{kind}@odata.bind": f"/leads({lead})"})
        for kind, entity_set in (("task", "tasks"), ("phonecall", "phonecalls"), ("email", "emails"))
    }
    rows = org.values("activitypointers", select="subject,activitytypecode,prioritycode,_regardingobjectid_value")
    assert {row["activitytypecode"]: row["activityid"] for row in rows} == made
    assert {(row["prioritycode"], row["_regardingobjectid_value"]) for row in rows} == {(1, lead)}
    assert len(org.values(f"leads({lead})/Lead_ActivityPointers")) == 3
    assert org.values("activitypointers", filter="activitytypecode eq 'task'")[0]["subject"] == "task"
    assert [row["subject"] for row in org.values(f"leads({lead})/Lead_Tasks")] == ["task"]


def test_activities_go_with_the_row_they_are_about(org: Org) -> None:
    lead = org.create("leads", {"lastname": "Ax"})
    task = org.create("tasks", {"subject": "Call", "regardingobjectid_lead_task@odata.bind": f"/leads({lead})"})
    org.change(f"leads({lead})", {"ownerid@odata.bind": f"/systemusers({ANN})"})
    assert org.read(f"tasks({task})")["_ownerid_value"] == ANN
    org.call("DELETE", f"leads({lead})")
    assert org.get(f"tasks({task})").status == 404
    assert org.values("activitypointers") == []


def test_a_task_is_completed_by_its_state(org: Org) -> None:
    """V43."""
    task = org.create("tasks", {"subject": "Call"})
    assert org.change(f"tasks({task})", {"statecode": 1}).status == 204
    assert org.read(f"tasks({task})")["statuscode"] == 5
    assert code(org.change(f"tasks({task})", {"statecode": 1, "statuscode": 2})) == "0x80048408"


def test_activity_pointers_are_read_only(org: Org) -> None:
    task = org.create("tasks", {"subject": "Call"})
    for method, path in (("POST", "activitypointers"), ("PATCH", f"activitypointers({task})")):
        answer = org.call(method, path, {"subject": "x"})
        assert (answer.status, code(answer)) == (400, "0x80040800")
    assert org.call("DELETE", f"activitypointers({task})").status == 400
    assert org.read(f"activitypointers({task})")["subject"] == "Call"


def test_an_email_names_its_parties(org: Org) -> None:
    lead = org.create("leads", {"lastname": "Ax"})
    parties = [
        {"participationtypemask": 2, "partyid_lead@odata.bind": f"/leads({lead})"},
        {"participationtypemask": 1, "partyid_systemuser@odata.bind": f"/systemusers({BO})"},
    ]
    email = org.create("emails", {"subject": "Hello", "email_activity_parties": parties})
    row = org.read(f"emails({email})", expand="email_activity_parties($select=participationtypemask,_partyid_value)")
    found = {(entry["participationtypemask"], entry["_partyid_value"]) for entry in row["email_activity_parties"]}
    assert found == {(2, lead), (1, BO)}


def test_a_team_owns_rows_and_is_read(org: Org) -> None:
    """V64."""
    lead = org.create("leads", {"ownerid@odata.bind": f"/teams({TEAM})"})
    row = org.read(f"leads({lead})", expand="owningteam($select=name)")
    assert row["owningteam"]["name"] == "Sales Team"
    assert [entry["leadid"] for entry in org.values(f"teams({TEAM})/team_leads")] == [lead]
    assert org.read(f"teams({TEAM})")["membershiptype"] == 0


def test_the_organisation_is_a_row(org: Org) -> None:
    """V8."""
    (row,) = org.values("organizations", select="name,languagecode")
    assert row["organizationid"] == org.read("WhoAmI")["OrganizationId"]
    assert row["languagecode"] == 1033


def test_activity_pointers_are_not_tracked(org: Org) -> None:
    """V29."""
    answer = org.get("activitypointers", {"Prefer": "odata.track-changes"})
    assert (answer.status, content(answer)["error"]["code"]) == (400, "0x80072491")
