"""EntityDefinitions and metadata changes (V60, V61)."""

from __future__ import annotations

from typing import Any

import pytest

from tests.sandbox.dynamics.conftest import Org, code, message

LEAD = "EntityDefinitions(LogicalName='lead')"
ATTRIBUTES = f"{LEAD}/Attributes"
CAST = f"{ATTRIBUTES}/Microsoft.Dynamics.CRM."


def _one(rows: list[dict[str, Any]], name: str) -> dict[str, Any]:
    return next(row for row in rows if row["LogicalName"] == name)


def test_tables_are_described(org: Org) -> None:
    """V60."""
    answer = org.read(
        "EntityDefinitions", select="LogicalName,EntitySetName,PrimaryIdAttribute", filter="LogicalName eq 'lead'"
    )
    assert answer["@odata.context"].endswith("#EntityDefinitions(LogicalName,EntitySetName,PrimaryIdAttribute)")
    (row,) = answer["value"]
    assert (row["EntitySetName"], row["PrimaryIdAttribute"]) == ("leads", "leadid")
    assert set(row) == {"LogicalName", "EntitySetName", "PrimaryIdAttribute", "MetadataId"}
    whole = org.read(f"EntityDefinitions({row['MetadataId']})")
    assert whole["ChangeTrackingEnabled"] is True
    assert whole["ObjectTypeCode"] == 4
    assert whole["IsDuplicateDetectionEnabled"]["Value"] is True
    assert {table["LogicalName"] for table in org.values("EntityDefinitions")} >= {"lead", "contact", "account"}


def test_attributes_show_base_properties(org: Org) -> None:
    """V60."""
    rows = org.values(ATTRIBUTES)
    subject = _one(rows, "subject")
    assert subject["@odata.type"] == "#Microsoft.Dynamics.CRM.StringAttributeMetadata"
    assert subject["AttributeType"] == "String"
    assert subject["RequiredLevel"] == {
        "Value": "ApplicationRequired",
        "CanBeChanged": True,
        "ManagedPropertyLogicalName": "canmodifyrequirementlevelsettings",
    }
    assert subject["DisplayName"]["UserLocalizedLabel"]["LanguageCode"] == 1033
    assert "MaxLength" not in subject
    assert _one(rows, "entityimage")["AttributeType"] == "Virtual"
    assert _one(rows, "entityimage")["AttributeTypeName"] == {"Value": "ImageType"}
    assert _one(rows, "owneridtype")["AttributeOf"] == "ownerid"
    assert len(rows) == 156


def test_casts_show_the_properties_of_their_type(org: Org) -> None:
    """V60."""
    rows = org.values(f"{CAST}StringAttributeMetadata", select="LogicalName,MaxLength,FormatName")
    assert _one(rows, "emailaddress1") | {"MetadataId": ""} == {
        "LogicalName": "emailaddress1",
        "MaxLength": 100,
        "FormatName": {"Value": "Email"},
        "MetadataId": "",
    }
    assert _one(org.values(f"{CAST}MemoAttributeMetadata"), "description")["MaxLength"] == 2000
    assert _one(org.values(f"{CAST}IntegerAttributeMetadata"), "numberofemployees")["MaxValue"] == 1000000
    assert _one(org.values(f"{CAST}DoubleAttributeMetadata"), "address1_latitude")["Precision"] == 5
    assert _one(org.values(f"{CAST}MoneyAttributeMetadata"), "revenue")["PrecisionSource"] == 2
    dates = org.values(f"{CAST}DateTimeAttributeMetadata")
    assert _one(dates, "estimatedclosedate")["DateTimeBehavior"] == {"Value": "DateOnly"}
    lookups = org.values(f"{CAST}LookupAttributeMetadata")
    assert _one(lookups, "customerid")["Targets"] == ["account", "contact"]
    assert _one(org.values(f"{CAST}UniqueIdentifierAttributeMetadata"), "leadid")["IsPrimaryId"] is True
    assert _one(org.values(f"{CAST}BigIntAttributeMetadata"), "versionnumber")
    assert _one(org.values(f"{CAST}DecimalAttributeMetadata"), "exchangerate")["Precision"] == 10


def test_choices_come_with_their_options(org: Org) -> None:
    """V60."""
    rows = org.values(
        f"{CAST}PicklistAttributeMetadata", select="LogicalName,DefaultFormValue", expand="OptionSet,GlobalOptionSet"
    )
    quality = _one(rows, "leadqualitycode")
    assert quality["DefaultFormValue"] == 2
    assert quality["GlobalOptionSet"] is None
    options = {o["Value"]: o["Label"]["UserLocalizedLabel"]["Label"] for o in quality["OptionSet"]["Options"]}
    assert options == {1: "Hot", 2: "Warm", 3: "Cold"}
    state = _one(org.values(f"{CAST}StateAttributeMetadata", expand="OptionSet"), "statecode")
    assert [o["DefaultStatus"] for o in state["OptionSet"]["Options"]] == [1, 3, 4]
    status = _one(org.values(f"{CAST}StatusAttributeMetadata", expand="OptionSet"), "statuscode")
    assert [o["State"] for o in status["OptionSet"]["Options"]] == [0, 0, 1, 2, 2, 2, 2]
    flags = org.values(f"{CAST}BooleanAttributeMetadata", expand="OptionSet($select=TrueOption)")
    flag = _one(flags, "donotemail")
    assert flag["DefaultValue"] is False
    assert flag["OptionSet"]["TrueOption"]["Label"]["UserLocalizedLabel"]["Label"] == "Do Not Allow"
    assert "FalseOption" not in flag["OptionSet"]


def test_one_attribute_and_one_choice_are_read(org: Org) -> None:
    """V60."""
    assert org.read(f"{ATTRIBUTES}(LogicalName='subject')")["MaxLength"] == 300
    path = f"{ATTRIBUTES}(LogicalName='leadsourcecode')/Microsoft.Dynamics.CRM.PicklistAttributeMetadata"
    assert org.read(path, expand="OptionSet")["OptionSet"]["Name"] == "lead_leadsourcecode"
    assert len(org.read(f"{path}/OptionSet", select="Options")["Options"]) == 14
    assert org.get(f"{path}/GlobalOptionSet").status == 204
    assert org.get(f"{ATTRIBUTES}(LogicalName='nothing')").status == 404


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("LogicalName eq 'subject'", {"subject"}),
        ("LogicalName eq 'subject' or LogicalName eq 'lastname'", {"subject", "lastname"}),
        (
            "RequiredLevel/Value eq Microsoft.Dynamics.CRM.AttributeRequiredLevel'ApplicationRequired'",
            {"lastname", "subject"},
        ),
        ("AttributeType eq Microsoft.Dynamics.CRM.AttributeTypeCode'State'", {"statecode"}),
        ("IsValidForRead eq false and IsCustomAttribute eq false", {"isautocreate", "isprivate"}),
        ("not (IsPrimaryId eq false)", {"leadid"}),
        ("AttributeOf eq 'ownerid'", {"owneridtype"}),
        ("ColumnNumber lt 2", {"accountid"}),
    ],
)
def test_attributes_are_filtered(org: Org, text: str, expected: set[str]) -> None:
    """V60."""
    assert {row["LogicalName"] for row in org.values(ATTRIBUTES, filter=text)} == expected


def test_tables_expand_their_parts(org: Org) -> None:
    """V60."""
    expand = (
        "Attributes($select=LogicalName;$filter=AttributeType eq Microsoft.Dynamics.CRM.AttributeTypeCode'State'),Keys"
    )
    row = org.read(LEAD, select="LogicalName", expand=expand)
    assert [attribute["LogicalName"] for attribute in row["Attributes"]] == ["statecode"]
    assert row["Keys"] == []


def test_relationships_name_their_navigation_properties(org: Org) -> None:
    """V60."""
    rows = org.values("EntityDefinitions(LogicalName='contact')/ManyToOneRelationships")
    found = {row["ReferencingEntityNavigationPropertyName"]: row for row in rows}
    relation = found["parentcustomerid_account"]
    assert relation["SchemaName"] == "contact_customer_accounts"
    assert (relation["ReferencedEntity"], relation["ReferencedAttribute"]) == ("account", "accountid")
    assert relation["CascadeConfiguration"]["Delete"] == "Cascade"
    names = {row["SchemaName"] for row in org.values("EntityDefinitions(LogicalName='account')/OneToManyRelationships")}
    assert {"contact_customer_accounts", "lead_parent_account"} <= names
    assert org.values(f"{LEAD}/ManyToManyRelationships") == []
    assert org.values("RelationshipDefinitions")
    assert "budgetstatus" in {row["Name"] for row in org.values("GlobalOptionSetDefinitions")}


@pytest.mark.parametrize("option", ["$top=1", "$orderby=LogicalName", "$count=true", "$skip=1"])
def test_other_options_are_refused(org: Org, option: str) -> None:
    """V60."""
    response = org.get(f"EntityDefinitions?{option}")
    assert (response.status, code(response)) == (400, "0x80060888")


def test_functions_in_metadata_filters_are_refused(org: Org) -> None:
    """V60."""
    response = org.get("EntityDefinitions", filter="startswith(LogicalName,'l')")
    assert (response.status, code(response)) == (400, "0x8006088a")
    assert message(response) == 'The "startswith" function isn\'t supported for Metadata Entities.'


@pytest.mark.parametrize(
    "path",
    [
        f"{ATTRIBUTES}?$expand=OptionSet",
        f"{ATTRIBUTES}?$select=MaxLength",
        f"{ATTRIBUTES}?$filter=MaxLength%20gt%205",
        f"{CAST}EnumAttributeMetadata",
    ],
)
def test_properties_of_a_type_need_its_cast(org: Org, path: str) -> None:
    """V60."""
    assert org.get(path).status in {400, 404}


def test_metadata_is_never_paged(org: Org) -> None:
    """V60."""
    assert "@odata.nextLink" not in org.read(ATTRIBUTES, {"Prefer": "odata.maxpagesize=1"})


def test_a_custom_column_is_there_at_once(org: Org) -> None:
    """V61."""
    old = org.create("leads", {"lastname": "Old"})
    assert org.call("POST", "leads", {"new_score": 5}).status == 400
    org.control("add_attribute", entity="lead", attribute="new_score", type="Integer", minimum=0, maximum=100)
    lead = org.create("leads", {"new_score": 5})
    assert code(org.call("POST", "leads", {"new_score": 101})) == "0x8004432F"
    assert org.read(f"leads({lead})")["new_score"] == 5
    assert org.read(f"leads({old})")["new_score"] is None
    assert [row["leadid"] for row in org.values("leads", filter="new_score gt 1")] == [lead]
    shape = org.read(f"{ATTRIBUTES}(LogicalName='new_score')")
    assert (shape["IsCustomAttribute"], shape["MaxValue"]) == (True, 100)
    assert 'Name="new_score"' in org.get("$metadata").body.decode()


def test_a_custom_lookup_is_bound_by_its_schema_name(org: Org) -> None:
    """V61, section 14.6."""
    org.control(
        "add_attribute",
        entity="lead",
        attribute="new_partnerid",
        type="Lookup",
        schema_name="new_PartnerId",
        targets=["account"],
    )
    account = org.create("accounts", {"name": "Acme"})
    lead = org.create("leads", {"new_PartnerId@odata.bind": f"/accounts({account})"})
    assert org.read(f"leads({lead})")["_new_partnerid_value"] == account
    assert org.call("POST", "leads", {"new_partnerid@odata.bind": f"/accounts({account})"}).status == 400


def test_a_custom_yes_no_column_has_its_default_on_new_rows_only(org: Org) -> None:
    """V61."""
    old = org.create("leads", {})
    org.control("add_attribute", entity="lead", attribute="new_vip", type="Boolean", default="true")
    new = org.create("leads", {})
    assert org.read(f"leads({old})")["new_vip"] is None
    assert org.read(f"leads({new})")["new_vip"] is True


def test_changed_metadata_is_enforced_at_once(org: Org) -> None:
    """V61."""
    org.control("set_metadata", entity="lead", attribute="lastname", changes={"max_length": 3})
    assert code(org.call("POST", "leads", {"lastname": "Long"})) == "0x80044331"
    assert org.read(f"{ATTRIBUTES}(LogicalName='lastname')")["MaxLength"] == 3
    options = [{"value": 7, "label": "Seven"}]
    org.control(
        "set_metadata", entity="lead", attribute="leadqualitycode", changes={"options": options, "default": "7"}
    )
    assert org.read(f"leads({org.create('leads', {})})")["leadqualitycode"] == 7
    assert code(org.call("POST", "leads", {"leadqualitycode": 2})) == "0x8004431A"
    org.control("set_metadata", entity="lead", attribute="jobtitle", changes={"required": "SystemRequired"})
    lead = org.create("leads", {"jobtitle": "CTO"})
    assert code(org.change(f"leads({lead})", {"jobtitle": None})) == "0x80040203"


def test_a_column_that_is_not_readable_disappears(org: Org) -> None:
    """Section 13.3."""
    org.create("leads", {"jobtitle": "CTO"})
    org.control("set_metadata", entity="lead", attribute="jobtitle", changes={"read": False})
    assert "jobtitle" not in org.values("leads")[0]
    assert org.get("leads", select="jobtitle").status == 400


def test_rows_keep_their_values_when_a_default_changes(org: Org) -> None:
    """V61: defaults count at the time of the write."""
    before = org.create("leads", {})
    cleared = org.create("leads", {"leadqualitycode": None})
    org.control("set_metadata", entity="lead", attribute="leadqualitycode", changes={"default": "1"})
    after = org.create("leads", {})
    assert [org.read(f"leads({i})")["leadqualitycode"] for i in (before, cleared, after)] == [2, None, 1]
    assert {row["leadid"] for row in org.values("leads", filter="leadqualitycode eq 2")} == {before}
    assert {row["leadid"] for row in org.values("leads", filter="leadqualitycode eq null")} == {cleared}


def test_alternate_keys_are_listed(org: Org) -> None:
    """V60, V61."""
    org.control("add_key", entity="lead", name="new_emailkey", columns=["emailaddress1"])
    (key,) = org.values(f"{LEAD}/Keys", select="SchemaName,KeyAttributes,EntityKeyIndexStatus")
    assert key["KeyAttributes"] == ["emailaddress1"]
    assert key["EntityKeyIndexStatus"] == "Active"


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("GlobalOptionSetDefinitions()/$ref", 404),
        ("RelationshipDefinitions/lastname", 404),
        ("RelationshipDefinitions()/SchemaName", 404),
        ("EntityDefinitions?$expand=Attributes(1)", 400),
        ("RelationshipDefinitions?$expand=startswith(1,2)", 400),
    ],
)
def test_addresses_without_a_key_and_empty_sub_options_are_refused(org: Org, path: str, status: int) -> None:
    assert org.call("GET", path).status == status
