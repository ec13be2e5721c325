"""Privileges and access as functions tell them, and secured columns (V5; sections 13 and 15, vendor reference)."""

from __future__ import annotations

from typing import Any

import pytest

from tests.sandbox.dynamics.conftest import ANN, NOWHERE, SANDBOX_USER, TEAM, Org, code, content, message

NS = "Microsoft.Dynamics.CRM."
USER = f"systemusers({SANDBOX_USER})/{NS}"


def held(org: Org, user: str = SANDBOX_USER) -> dict[str, str]:
    entries = org.read(f"systemusers({user})/{NS}RetrieveUserPrivileges")["RolePrivileges"]
    return {entry["PrivilegeName"]: entry["Depth"] for entry in entries}


def access(org: Org, target: str, principal: str = f"systemusers({SANDBOX_USER})") -> str:
    found = org.read(f"{principal}/{NS}RetrievePrincipalAccess(Target=@p1)?@p1={{'@odata.id':'{target}'}}")
    return str(found["AccessRights"])


def test_an_administrator_holds_every_privilege_everywhere(org: Org) -> None:
    answer = org.read(f"{USER}RetrieveUserPrivileges()")
    assert answer["@odata.context"].endswith("$metadata#Microsoft.Dynamics.CRM.RetrieveUserPrivilegesResponse")
    first = answer["RolePrivileges"][0]
    assert list(first) == [
        "Depth", "PrivilegeId", "BusinessUnitId", "PrivilegeName", "RecordFilterId", "RecordFilterUniqueName",
    ]  # fmt: skip
    names = held(org)
    assert set(names.values()) == {"Global"}
    assert {"prvReadLead", "prvAppendToAccount", "prvReadUser", "prvWriteActivity", "prvActOnBehalfOfAnotherUser"} <= (
        names.keys()
    )


def test_a_user_holds_what_it_was_given_as_deep_as_it_was_given(org: Org) -> None:
    """V5."""
    org.control("set_privileges", user="Ann Ax", table="lead", privileges={"read": "organization", "write": "user"})
    org.control("set_privileges", user="Ann Ax", table="contact", privileges=[])
    names = held(org, ANN)
    assert (names["prvReadLead"], names["prvWriteLead"], names["prvAssignLead"]) == ("Global", "Basic", "Basic")
    assert not {"prvCreateLead", "prvDeleteLead", "prvReadContact"} & names.keys()
    assert names["prvReadAccount"] == "Global"


@pytest.mark.parametrize(
    ("call", "names"),
    [
        ("RetrieveUserPrivilegeByPrivilegeName(PrivilegeName='prvReadLead')", {"prvReadLead"}),
        ("RetrieveUserPrivilegeByPrivilegeName(PrivilegeName=@n)?@n='prvreadlead'", {"prvReadLead"}),
        ("RetrieveUserPrivilegeByPrivilegeName(PrivilegeName='prvNothing')", set()),
        ("RetrieveUserSetOfPrivilegesByNames(PrivilegeNames=@n)?@n=['prvReadLead','prvWriteLead']",
         {"prvReadLead", "prvWriteLead"}),
    ],
)  # fmt: skip
def test_single_privileges_can_be_asked_for_by_name(org: Org, call: str, names: set[str]) -> None:
    assert {entry["PrivilegeName"] for entry in org.read(f"{USER}{call}")["RolePrivileges"]} == names


def test_single_privileges_can_be_asked_for_by_id(org: Org) -> None:
    entries = org.read(f"{USER}RetrieveUserPrivileges")["RolePrivileges"]
    wanted = entries[3]["PrivilegeId"]
    for call in ("ByPrivilegeId(PrivilegeId={})", "ByPrivilegeId(PrivilegeId=@p)?@p={}"):
        found = org.read(f"{USER}RetrieveUserPrivilege{call.format(wanted)}")["RolePrivileges"]
        assert found == [entries[3]]
    many = org.read(f'{USER}RetrieveUserSetOfPrivilegesByIds(PrivilegeIds=@p)?@p=["{wanted}"]')["RolePrivileges"]
    assert many == [entries[3]]


def test_a_missing_privilege_is_named_with_its_id(org: Org) -> None:
    """V5."""
    wanted = org.read(f"{USER}RetrieveUserPrivilegeByPrivilegeName(PrivilegeName='prvReadActivity')")
    org.control("set_privileges", user="sandbox", table="task", privileges=[])
    text = message(org.get("tasks"))
    assert "is missing prvReadActivity privilege" in text
    assert f"(Id={wanted['RolePrivileges'][0]['PrivilegeId']})" in text


def test_a_team_has_no_roles_of_its_own(org: Org) -> None:
    assert org.read(f"teams({TEAM})/{NS}RetrieveTeamPrivileges")["RolePrivileges"] == []


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("POST", f"{USER}RetrieveUserPrivileges", 405),
        ("GET", f"systemusers({NOWHERE})/{NS}RetrieveUserPrivileges", 404),
        ("GET", f"leads({NOWHERE})/{NS}RetrieveUserPrivileges", 404),
        ("GET", f"{USER}RetrievePrincipalAccess", 400),
        ("GET", f"{USER}RetrievePrincipalAccess(Target=@p1)", 400),
        ("GET", f"{USER}RetrievePrincipalAccess(Target=@p1)?@p1={{'@odata.id':'leads({NOWHERE})'}}", 404),
        ("GET", f"{USER}RetrievePrincipalAccess(Target=@p1)?@p1={{'@odata.id':'nothing({NOWHERE})'}}", 400),
        ("GET", f"{USER}RetrievePrincipalAccess(Target=@p1)?@p1=[1]", 400),
        ("GET", f"{USER}RetrieveUserPrivilegeByPrivilegeId", 400),
    ],
)
def test_wrong_questions_about_privileges_are_refused(org: Org, method: str, path: str, status: int) -> None:
    assert org.call(method, path).status == status


def test_access_to_a_row_lists_the_rights_in_the_words_of_the_vendor(org: Org) -> None:
    lead = org.create("leads", {"lastname": "Ax"})
    everything = (
        "ReadAccess, WriteAccess, AppendAccess, AppendToAccess, CreateAccess, DeleteAccess, ShareAccess, AssignAccess"
    )
    assert access(org, f"leads({lead})") == everything
    rights = {"read": "organization", "write": "user"}
    org.control("set_privileges", user="Ann Ax", table="lead", privileges=rights)
    assert access(org, f"leads({lead})", f"systemusers({ANN})") == "ReadAccess"
    org.change(f"leads({lead})", {"ownerid@odata.bind": f"/systemusers({ANN})"})
    assert access(org, f"leads({lead})", f"systemusers({ANN})") == (
        "ReadAccess, WriteAccess, AppendAccess, AppendToAccess, ShareAccess, AssignAccess"
    )
    org.control("set_privileges", user="Ann Ax", table="lead", privileges=[])
    assert access(org, f"leads({lead})", f"systemusers({ANN})") == "None"
    assert access(org, f"leads({lead})", f"teams({TEAM})") == "None"


def secure(org: Org, *permissions: str, column: str = "emailaddress1") -> None:
    """Secure a column of leads; the sandbox's own user keeps these permissions."""
    org.control("set_metadata", entity="lead", attribute=column, changes={"secured": True})
    org.control(
        "set_column_permissions", user="sandbox", entity="lead", attribute=column, permissions=list(permissions)
    )


def test_metadata_tell_which_columns_are_secured(org: Org) -> None:
    path = "EntityDefinitions(LogicalName='lead')/Attributes"
    assert org.values(path, filter="IsSecured eq true", select="LogicalName") == []
    secure(org)
    assert [a["LogicalName"] for a in org.values(path, filter="IsSecured eq true")] == ["emailaddress1"]
    org.control("set_metadata", entity="lead", attribute="emailaddress1", changes={"secured": False})
    assert org.values(path, filter="IsSecured eq true") == []


@pytest.mark.parametrize("column", ["emailaddress1", "leadqualitycode"])
def test_a_secured_column_is_null_for_whoever_may_not_read_it(org: Org, column: str) -> None:
    values: dict[str, Any] = {"emailaddress1": "ann@example.com", "leadqualitycode": 1}
    lead = org.create("leads", {"lastname": "Ax", column: values[column]})
    link = org.read("leads", {"Prefer": "odata.track-changes"}, select=column)["@odata.deltaLink"]
    assert link
    secure(org, "create", "update", column=column)
    everything = {"Prefer": 'odata.include-annotations="*"'}
    assert org.read(f"leads({lead})")[column] is None
    assert org.values("leads", select=column)[0][column] is None
    found = org.read("leads", everything, select=column)["value"][0]
    assert found[column] is None
    assert f"{column}@OData.Community.Display.V1.FormattedValue" not in found
    assert org.get(f"leads({lead})/{column}").status == 204
    assert org.read("leads", {"Prefer": "odata.track-changes"}, select=column)["value"][0][column] is None
    shown = org.change(f"leads({lead})", {column: values[column]}, {"Prefer": "return=representation"})
    assert (shown.status, content(shown)[column]) == (200, None)
    secure(org, "read", column=column)
    assert org.read(f"leads({lead})")[column] == values[column]


def test_conditions_and_groups_see_nothing_in_a_secured_column(org: Org) -> None:
    org.create("leads", {"lastname": "Ax", "jobtitle": "CTO"})
    secure(org, column="jobtitle")
    assert org.values("leads", filter="jobtitle eq 'CTO'") == []
    assert org.values("leads", filter="contains(jobtitle,'C')") == []
    assert len(org.values("leads", filter="jobtitle eq null", orderby="jobtitle")) == 1
    assert org.values("leads", apply="groupby((jobtitle),aggregate($count as n))") == [{"n": 1}]
    xml = "<fetch><entity name='lead'><attribute name='jobtitle'/><filter>{}</filter></entity></fetch>"
    like = "<condition attribute='jobtitle' operator='like' value='C%'/>"
    assert org.read(f"leads?fetchXml={xml.format(like)}")["value"] == []
    assert "jobtitle" not in org.read(f"leads?fetchXml={xml.format('')}")["value"][0]


def test_a_write_of_a_secured_column_needs_its_permission(org: Org) -> None:
    lead = org.create("leads", {"lastname": "Ax"})
    secure(org, "read")
    body = {"emailaddress1": "ann@example.com"}
    created = org.call("POST", "leads", body)
    assert (created.status, code(created)) == (403, "0x8004F502")
    for response in (
        org.change(f"leads({lead})", body),
        org.change(f"leads({lead})", {"emailaddress1": None}),
        org.call("PUT", f"leads({lead})/emailaddress1", {"value": "x"}),
        org.call("DELETE", f"leads({lead})/emailaddress1"),
    ):
        assert (response.status, code(response)) == (403, "0x8004F507")
    assert org.change(f"leads({lead})", {"jobtitle": "CTO"}).status == 204
    secure(org, "create", "update")
    assert org.change(f"leads({lead})", body).status == 204
    assert org.control("read_row", entity="lead", id=lead)["emailaddress1"] == "ann@example.com"


def test_a_secured_lookup_is_hidden_and_kept(org: Org) -> None:
    account = org.create("accounts", {"name": "A"})
    bind = {"parentaccountid@odata.bind": f"/accounts({account})"}
    lead = org.create("leads", {"lastname": "Ax", **bind})
    secure(org, column="parentaccountid")
    found = org.read(f"leads({lead})", expand="parentaccountid")
    assert (found["_parentaccountid_value"], found["parentaccountid"]) == (None, None)
    reference = {"@odata.id": f"accounts({account})"}
    for response in (
        org.change(f"leads({lead})", bind),
        org.call("PUT", f"leads({lead})/parentaccountid/$ref", reference),
        org.call("DELETE", f"leads({lead})/parentaccountid/$ref"),
    ):
        assert (response.status, code(response)) == (403, "0x8004F507")
    assert org.get(f"leads({lead})/parentaccountid").status == 204


def test_without_a_field_permission_only_administrators_use_a_secured_column(org: Org) -> None:
    lead = org.create("leads", {"lastname": "Ax", "emailaddress1": "ann@example.com"})
    org.control("set_metadata", entity="lead", attribute="emailaddress1", changes={"secured": True})
    assert org.read(f"leads({lead})")["emailaddress1"] == "ann@example.com"
    org.control("set_privileges", user="sandbox", table="contact", privileges=["read"])
    assert org.read(f"leads({lead})")["emailaddress1"] is None
    org.control(
        "set_column_permissions", user="sandbox", entity="lead", attribute="emailaddress1", permissions=["read"]
    )
    assert org.read(f"leads({lead})")["emailaddress1"] == "ann@example.com"
    org.control("set_column_permissions", user="sandbox", entity="lead", attribute="emailaddress1", permissions=None)
    assert org.read(f"leads({lead})")["emailaddress1"] is None


@pytest.mark.parametrize(
    "arguments",
    [
        {"entity": "lead", "attribute": "nothing", "permissions": []},
        {"entity": "lead", "attribute": "jobtitle", "permissions": ["everything"]},
        {"entity": "nothing", "attribute": "jobtitle", "permissions": []},
    ],
)
def test_wrong_field_permissions_are_refused(org: Org, arguments: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"nothing|everything|permissions"):
        org.control("set_column_permissions", user="sandbox", **arguments)
