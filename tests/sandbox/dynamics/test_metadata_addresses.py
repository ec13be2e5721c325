"""Addresses, selections and conditions of the metadata collections, as clients spell them (V60, section 13.1)."""

from __future__ import annotations

from typing import Any

import pytest

from tests.sandbox.dynamics.conftest import NOWHERE, Org, code, content, message

LEAD = "EntityDefinitions(LogicalName='lead')"
SUBJECT = f"{LEAD}/Attributes(LogicalName='subject')"
SOURCE = f"{LEAD}/Attributes(LogicalName='leadsourcecode')/Microsoft.Dynamics.CRM.PicklistAttributeMetadata"

_ACTIONS = ("Create", "Read", "Write", "Delete", "Assign", "Share", "Append", "AppendTo")


@pytest.mark.parametrize(
    ("text", "present", "absent"),
    [
        ("IsPrivate eq false", "lead", None),
        ("IsPrivate eq false and (SchemaName eq 'Account')", "account", "lead"),
        ("IsPrivate eq false and IsIntersect eq false and IsCustomEntity eq false", "lead", None),
        ("IsCustomizable/Value eq true", "lead", None),
        ("OwnershipType eq Microsoft.Dynamics.CRM.OwnershipTypes'UserOwned'", "lead", "systemuser"),
        ("ObjectTypeCode lt 3", "contact", "lead"),
        ("not (IsActivity eq true)", "lead", "task"),
        ("DisplayName/UserLocalizedLabel/Label eq 'Lead'", "lead", "contact"),
        ("Description ne null and ChangeTrackingEnabled eq true", "lead", "activityparty"),
    ],
)
def test_tables_are_listed_by_what_they_are(org: Org, text: str, present: str, absent: str | None) -> None:
    names = {row["LogicalName"] for row in org.values("EntityDefinitions", filter=text, select="LogicalName")}
    assert present in names
    assert absent not in names


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("$filter=LogicalName eq 5", "0x80060888"),
        ("$filter=IsPrivate eq 'no'", "0x80060888"),
        ("$filter=LogicalName in ('lead','contact')", "0x80060888"),
        ("$filter=contains(LogicalName,'lead')", "0x8006088a"),
        ("$filter=Nothing eq 1", "0x80060888"),
        ("$select=Nothing", "0x80060888"),
        ("$expand=Nothing", "0x80060888"),
    ],
)
def test_wrong_queries_of_tables_are_refused(org: Org, query: str, found: str) -> None:
    response = org.get(f"EntityDefinitions?{query.replace(' ', '%20')}")
    assert (response.status, code(response)) == (400, found)


def test_everything_may_be_selected_and_expanded(org: Org) -> None:
    expand = "Attributes($select=LogicalName),Keys,ManyToManyRelationships,ManyToOneRelationships($select=SchemaName)"
    row = org.read(LEAD, select="*", expand=expand)
    assert (row["LogicalName"], row["ManyToManyRelationships"]) == ("lead", [])
    assert {"SchemaName", "MetadataId"} == row["ManyToOneRelationships"][0].keys()


def test_a_table_lists_the_privileges_it_knows(org: Org) -> None:
    """V5."""
    found = {entry["Name"]: entry for entry in org.read(LEAD, select="Privileges")["Privileges"]}
    assert set(found) == {f"prv{a}Lead" for a in _ACTIONS}
    assert found["prvReadLead"]["PrivilegeType"] == "Read"
    assert org.read(f"{LEAD}/Privileges")["value"] == list(found.values())


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (f"{LEAD}/SchemaName", "Lead"),
        (f"{LEAD}/DisplayName/UserLocalizedLabel/Label", "Lead"),
        (f"{LEAD}/ChangeTrackingEnabled", True),
        (f"{SUBJECT}/MaxLength", 300),
        (f"{SUBJECT}/RequiredLevel/Value", "ApplicationRequired"),
        (f"{SOURCE}/OptionSet/Name", "lead_leadsourcecode"),
    ],
)
def test_parts_of_metadata_have_addresses(org: Org, path: str, value: Any) -> None:
    answer = org.read(path)
    assert answer["value"] == value
    assert answer["@odata.context"].endswith(path.rsplit("/", 1)[1])
    raw = org.get(f"{path}/$value")
    assert (raw.status, raw.body.decode()) == (200, str(value).lower() if value is True else str(value))


def test_options_have_an_address(org: Org) -> None:
    assert [option["Value"] for option in org.read(f"{SOURCE}/OptionSet/Options")["value"]][:2] == [1, 2]
    assert org.get(f"{LEAD}/DataProviderId").status == 204


@pytest.mark.parametrize(
    ("path", "status"),
    [
        (f"EntityDefinitions({NOWHERE})", 404),
        ("EntityDefinitions(LogicalName='nothing')", 404),
        ("EntityDefinitions(LogicalName=lead)", 400),
        ("EntityDefinitions(logicalname='lead')", 400),
        ("EntityDefinitions(ObjectTypeCode=4)", 400),
        ("EntityDefinitions('lead')", 400),
        ("EntityDefinitions()", 400),
        ("EntityDefinitions/$count", 404),
        (f"{LEAD}/Nothing", 404),
        (f"{LEAD}/LogicalName/Nothing", 404),
        (f"{LEAD}/DisplayName/Nothing", 404),
        (f"{LEAD}/Attributes/$count", 404),
        (f"{LEAD}/Attributes/Microsoft.Dynamics.CRM.NothingAttributeMetadata", 404),
        (f"{SUBJECT}/Microsoft.Dynamics.CRM.PicklistAttributeMetadata", 404),
        (f"{LEAD}/Keys/Nothing", 404),
    ],
)
def test_wrong_addresses_of_metadata_are_refused(org: Org, path: str, status: int) -> None:
    assert org.get(path).status == status


def test_relationships_may_be_cast_and_found_by_name(org: Org) -> None:
    cast = "Microsoft.Dynamics.CRM.OneToManyRelationshipMetadata"
    for path in (
        f"{LEAD}/OneToManyRelationships/{cast}?$filter=ReferencingEntity eq 'contact'",
        f"{LEAD}/OneToManyRelationships(SchemaName='contact_originating_lead')",
        "RelationshipDefinitions(SchemaName='contact_originating_lead')",
        f"RelationshipDefinitions(SchemaName='contact_originating_lead')/{cast}",
    ):
        answer = content(org.get(path.replace(" ", "%20")))
        found = answer.get("value", [answer])
        assert found[0]["SchemaName"] == "contact_originating_lead"


def test_ids_find_what_names_find(org: Org) -> None:
    table, column = org.read(LEAD)["MetadataId"], org.read(SUBJECT)["MetadataId"]
    assert org.read(f"EntityDefinitions({table})")["LogicalName"] == "lead"
    assert org.read(f"EntityDefinitions(MetadataId={table})/Attributes({column})")["LogicalName"] == "subject"
    assert message(org.get(f"EntityDefinitions({column})")).startswith("Could not find an entity or attribute")
