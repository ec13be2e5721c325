"""Metadata written over the Web API: tables, columns, keys, relationships, choices, publishing (V61, section 13).

Bodies are those of the vendor's pages create-update-column-definitions and create-update-entity-definitions.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.sandbox.dynamics.conftest import Org, code, content, header

NS = "Microsoft.Dynamics.CRM."
LEAD = "EntityDefinitions(LogicalName='lead')"
ATTRIBUTES = f"{LEAD}/Attributes"


def label(text: str, **others: str) -> dict[str, Any]:
    texts = {"1033": text, **{language.removeprefix("l"): other for language, other in others.items()}}
    entries = [
        {"@odata.type": f"{NS}LocalizedLabel", "Label": shown, "LanguageCode": int(language)}
        for language, shown in texts.items()
    ]
    return {"@odata.type": f"{NS}Label", "LocalizedLabels": entries}


def column(kind: str, name: str = "new_Score", **more: Any) -> dict[str, Any]:
    common = {"SchemaName": name, "DisplayName": label("Score"), "RequiredLevel": {"Value": "None"}}
    return {"@odata.type": f"{NS}{kind}AttributeMetadata", **common, **more}


def table(*columns: dict[str, Any], **more: Any) -> dict[str, Any]:
    title = column("String", "new_Title", IsPrimaryName=True, MaxLength=150, DisplayName=label("Title"))
    names = {"DisplayName": label("Company"), "DisplayCollectionName": label("Companies")}
    body = {"SchemaName": "new_Company", "OwnershipType": "UserOwned", **names, "Attributes": [title, *columns]}
    return {"@odata.type": f"{NS}EntityMetadata", **body, **more}


def relationship(**more: Any) -> dict[str, Any]:
    lookup = column("Lookup", "new_PartnerId")
    ends = {"ReferencedEntity": "account", "ReferencingEntity": "lead", "SchemaName": "new_account_lead_partner"}
    return {"@odata.type": f"{NS}OneToManyRelationshipMetadata", **ends, "Lookup": lookup, **more}


def made(org: Org, path: str, body: Any) -> str:
    """Create a definition that must be accepted; returns its address."""
    response = org.call("POST", path, body, {"MSCRM.SolutionUniqueName": "new"})
    assert response.status == 204, response.body
    return header(response, "OData-EntityId") or ""


OPTIONS = {"OptionSet": {"@odata.type": f"{NS}OptionSetMetadata", "IsGlobal": False, "OptionSetType": "Picklist"}}


@pytest.mark.parametrize(
    ("body", "shown", "good", "bad"),
    [
        (
            column("String", MaxLength=3, FormatName={"Value": "Email"}),
            {"MaxLength": 3, "FormatName": {"Value": "Email"}},
            "abc",
            "abcd",
        ),
        (column("Memo", MaxLength=500, Format="TextArea"), {"MaxLength": 500}, "a\nb", "x" * 501),
        (column("Integer", MinValue=1, MaxValue=100, Format="None"), {"MinValue": 1, "MaxValue": 100}, 7, 101),
        (column("Decimal", MinValue=0.0, MaxValue=9.5, Precision=1), {"Precision": 1, "MaxValue": 9.5}, 1.5, 9.6),
        (column("Double", MinValue=0, MaxValue=9, Precision=3), {"Precision": 3}, 1.125, -1),
        (column("Money", MinValue=0.0, MaxValue=500.0, Precision=2), {"MaxValue": 500}, 12.5, 501),
        (column("BigInt"), {"AttributeType": "BigInt"}, 12, "x"),
        (
            column("DateTime", Format="DateOnly", DateTimeBehavior={"Value": "DateOnly"}),
            {"DateTimeBehavior": {"Value": "DateOnly"}},
            "2026-01-05",
            "2026-01-05T00:00:00Z",
        ),
        (column("Boolean", DefaultValue=True), {"DefaultValue": True}, False, 1),
    ],
    ids=lambda value: value.get("@odata.type", "").removeprefix(NS) if isinstance(value, dict) else "",
)  # fmt: skip
def test_a_column_is_created_and_enforced_at_once(org: Org, body: Any, shown: Any, good: Any, bad: Any) -> None:
    address = made(org, ATTRIBUTES, body)
    found = org.read(address)
    assert address.endswith(f"/{ATTRIBUTES}({found['MetadataId']})")
    assert (found["LogicalName"], found["SchemaName"], found["IsCustomAttribute"]) == ("new_score", "new_Score", True)
    assert found["DisplayName"]["UserLocalizedLabel"]["Label"] == "Score"
    assert {name: found[name] for name in shown} == shown
    lead = org.create("leads", {"new_score": good})
    assert org.read(f"leads({lead})")["new_score"] == good
    assert org.change(f"leads({lead})", {"new_score": bad}).status == 400
    assert org.call("POST", "PublishXml", {"ParameterXml": "<importexportxml/>"}).status == 204


def test_a_choice_is_created_with_its_options(org: Org) -> None:
    options = [{"Value": 7, "Label": label("Seven", l1031="Sieben")}, {"Label": label("Next")}]
    body = column("Picklist") | {"OptionSet": OPTIONS["OptionSet"] | {"Options": options}, "DefaultFormValue": 7}
    made(org, ATTRIBUTES, body)
    path = f"{ATTRIBUTES}(LogicalName='new_score')/{NS}PicklistAttributeMetadata"
    found = org.read(path, None, expand="OptionSet")
    assert [option["Value"] for option in found["OptionSet"]["Options"]] == [7, 100_000_001]
    texts = {e["LanguageCode"]: e["Label"] for e in found["OptionSet"]["Options"][0]["Label"]["LocalizedLabels"]}
    assert texts == {1033: "Seven", 1031: "Sieben"}
    assert org.read(f"leads({org.create('leads', {})})")["new_score"] == 7
    assert code(org.call("POST", "leads", {"new_score": 8})) == "0x8004431A"
    many = column("MultiSelectPicklist", "new_Many") | {"OptionSet": OPTIONS["OptionSet"] | {"Options": options}}
    made(org, ATTRIBUTES, many)
    assert org.read(f"leads({org.create('leads', {'new_many': '7'})})")["new_many"] == "7"


def test_a_column_may_use_a_global_choice(org: Org) -> None:
    bind = {"GlobalOptionSet@odata.bind": "/GlobalOptionSetDefinitions(Name='need')"}
    made(org, ATTRIBUTES, column("Picklist") | bind)
    path = f"{ATTRIBUTES}(LogicalName='new_score')/{NS}PicklistAttributeMetadata/GlobalOptionSet"
    assert org.read(path)["Name"] == "need"
    wrong = {"GlobalOptionSet@odata.bind": "/GlobalOptionSetDefinitions(Name='nothing')"}
    assert org.call("POST", ATTRIBUTES, column("Picklist", "new_Other") | wrong).status == 404


def test_a_column_is_changed_by_its_whole_definition_and_deleted(org: Org) -> None:
    address = made(org, ATTRIBUTES, column("String", MaxLength=100))
    lead = org.create("leads", {"new_score": "abcdef"})
    path = f"{ATTRIBUTES}(LogicalName='new_score')/{NS}StringAttributeMetadata"
    whole = {name: value for name, value in org.read(path).items() if not name.startswith("@odata")}
    whole |= {"@odata.type": f"{NS}StringAttributeMetadata", "MaxLength": 3, "DisplayName": label("Short")}
    for spelling in (address, f"{ATTRIBUTES}(LogicalName='new_score')"):
        assert org.call("PUT", spelling, whole, {"MSCRM.MergeLabels": "true"}).status == 204
    found = org.read(address)
    assert (found["MaxLength"], found["DisplayName"]["UserLocalizedLabel"]["Label"]) == (3, "Short")
    assert code(org.change(f"leads({lead})", {"new_score": "abcd"})) == "0x80044331"
    assert org.call("DELETE", address, None, {"If-Match": "*"}).status == 204
    assert org.get(address).status == 404
    assert "new_score" not in org.read(f"leads({lead})")
    made(org, ATTRIBUTES, column("Integer"))
    assert org.read(f"leads({lead})")["new_score"] is None


def test_what_the_vendor_ships_is_changed_but_not_deleted(org: Org) -> None:
    path = f"{ATTRIBUTES}(LogicalName='subject')"
    body = column("String", "Subject", MaxLength=20, RequiredLevel={"Value": "Recommended"}, IsSecured=True)
    assert org.call("PUT", path, body).status == 204
    found = org.read(path)
    assert (found["MaxLength"], found["RequiredLevel"]["Value"], found["IsSecured"]) == (20, "Recommended", True)
    for refused in (path, LEAD, "RelationshipDefinitions(SchemaName='lead_parent_account')"):
        assert org.call("DELETE", refused).status == 400


def test_a_table_is_created_with_its_columns_used_and_deleted(org: Org) -> None:
    address = made(org, "EntityDefinitions", table(column("Integer", "new_Staff")))
    found = org.read(address)
    names = (found["LogicalName"], found["EntitySetName"], found["PrimaryIdAttribute"], found["PrimaryNameAttribute"])
    assert names == ("new_company", "new_companies", "new_companyid", "new_title")
    assert found["DisplayCollectionName"]["UserLocalizedLabel"]["Label"] == "Companies"
    row = org.create("new_companies", {"new_title": "Acme", "new_staff": 5})
    assert org.read(f"new_companies({row})")["new_staff"] == 5
    assert org.call("PUT", address, table(ChangeTrackingEnabled=False, DisplayName=label("Firm"))).status == 204
    shown = org.read(address)
    assert (shown["ChangeTrackingEnabled"], shown["DisplayName"]["UserLocalizedLabel"]["Label"]) == (False, "Firm")
    assert org.call("DELETE", address, None, {"If-Match": "*"}).status == 204
    assert org.get("new_companies").status == 404
    made(org, "EntityDefinitions", table(OwnershipType="OrganizationOwned"))
    assert org.values("new_companies") == []
    assert "_ownerid_value" not in org.read(f"new_companies({org.create('new_companies', {'new_title': 'By'})})")


def test_several_tables_are_created_all_or_none(org: Org) -> None:
    def entity(name: str, kind: str) -> dict[str, Any]:
        body = table(column(kind), SchemaName=name)
        for entry in body["Attributes"]:
            entry["@odata.type"] = entry["@odata.type"].replace(NS, f"{NS}Complex")
        return body | {"@odata.type": f"{NS}ComplexEntityMetadata"}

    bad = {"Entities": [entity("new_One", "Integer"), entity("new_Two", "Nothing")]}
    assert org.call("POST", "CreateEntities", bad).status == 400
    assert org.get("new_ones").status == 404
    good = {"Entities": [entity("new_One", "Integer"), entity("new_Two", "String")]}
    assert org.call("POST", "CreateEntities", good).status == 204
    assert (org.values("new_ones"), org.values("new_twos")) == ([], [])


def test_new_definitions_are_there_after_a_restart(org: Org, make_org: Callable[..., Org]) -> None:
    gone = made(org, "EntityDefinitions", table(SchemaName="new_Gone"))
    made(org, "EntityDefinitions", table(column("Integer")))
    made(org, "RelationshipDefinitions", relationship(ReferencedEntity="new_company"))
    org.call("DELETE", gone)
    row = org.create("new_companies", {"new_title": "Acme", "new_score": 5})
    org.create("leads", {"new_PartnerId@odata.bind": f"/new_companies({row})"})
    org.emulator.close()
    again = make_org()
    assert again.read(f"new_companies({row})", None, expand="new_account_lead_partner")["new_score"] == 5
    assert again.get("new_gones").status == 404


def test_a_relationship_makes_a_lookup_with_its_rules(org: Org) -> None:
    address = made(org, "RelationshipDefinitions", relationship(CascadeConfiguration={"Delete": "Cascade"}))
    assert org.read(address)["SchemaName"] == "new_account_lead_partner"
    account = org.create("accounts", {"name": "Acme"})
    lead = org.create("leads", {"new_PartnerId@odata.bind": f"/accounts({account})"})
    found = org.read(f"accounts({account})", None, expand="new_account_lead_partner($select=leadid)")
    assert [row["leadid"] for row in found["new_account_lead_partner"]] == [lead]
    assert org.call("DELETE", f"accounts({account})").status == 204
    assert org.get(f"leads({lead})").status == 404
    assert org.call("DELETE", address).status == 204
    assert "_new_partnerid_value" not in org.read(f"leads({org.create('leads', {})})")


def test_a_table_that_lookups_point_to_stays(org: Org) -> None:
    address = made(org, "EntityDefinitions", table())
    lookup = made(org, "RelationshipDefinitions", relationship(ReferencedEntity="new_company"))
    assert org.call("DELETE", address).status == 400
    assert org.call("DELETE", lookup).status == 204
    assert org.call("DELETE", address).status == 204


def test_an_alternate_key_is_created_and_deleted(org: Org) -> None:
    """V45."""
    made(org, ATTRIBUTES, column("String"))
    address = made(org, f"{LEAD}/Keys", {"SchemaName": "new_scorekey", "KeyAttributes": ["new_score"]})
    assert org.read(address)["EntityKeyIndexStatus"] == "Active"
    assert org.change("leads(new_score='a')", {"lastname": "Ax"}).status == 204
    assert org.call("DELETE", address, None, {"If-Match": "*"}).status == 204
    assert org.get("leads(new_score='a')").status == 400


def test_options_are_inserted_renamed_and_deleted(org: Org) -> None:
    where = {"EntityLogicalName": "lead", "AttributeLogicalName": "leadsourcecode"}
    answer = org.call("POST", "InsertOptionValue", where | {"Label": label("Podcast"), "Value": 77})
    assert (answer.status, content(answer)["NewOptionValue"]) == (200, 77)
    free = content(org.call("POST", "InsertOptionValue", where | {"Label": label("Fair")}))["NewOptionValue"]
    assert free > 100_000_000
    lead = org.create("leads", {"leadsourcecode": 77})
    renamed = where | {"Value": 77, "Label": label("Radio", l1031="Funk"), "MergeLabels": True}
    assert org.call("POST", "UpdateOptionValue", renamed).status == 204
    shown = org.read(f"leads({lead})", {"Prefer": 'odata.include-annotations="*"'})
    assert shown["leadsourcecode@OData.Community.Display.V1.FormattedValue"] == "Radio"
    assert org.call("POST", "DeleteOptionValue", where | {"Value": 77}).status == 204
    assert code(org.call("POST", "leads", {"leadsourcecode": 77})) == "0x8004431A"
    assert org.call("POST", "UpdateOptionValue", where | {"Value": 77, "Label": label("x")}).status == 400
    status = {"EntityLogicalName": "lead", "AttributeLogicalName": "statuscode", "StateCode": 0}
    assert org.call("POST", "InsertStatusValue", status | {"Label": label("Warm"), "Value": 90}).status == 200
    assert org.change(f"leads({lead})", {"statuscode": 90}).status == 204


@pytest.mark.parametrize(("path", "body"), [("PublishAllXml", None), ("PublishAllXml", {})])
def test_everything_is_published_at_once(org: Org, path: str, body: Any) -> None:
    assert org.call("POST", path, body).status == 204


def test_older_delta_tokens_end_with_a_new_column(org: Org) -> None:
    """V29."""
    link = org.read("leads", {"Prefer": "odata.track-changes"}, select="leadid")["@odata.deltaLink"]
    made(org, ATTRIBUTES, column("Integer"))
    assert code(org.get(link)) == "0x80044352"


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "found"),
    [
        ("POST", ATTRIBUTES, column("String", "jobtitle"), 400, "0x80040203"),
        ("POST", ATTRIBUTES, column("String", "new Score"), 400, "0x80040203"),
        ("POST", ATTRIBUTES, column("String", 'new_"; DROP TABLE r_lead; --'), 400, "0x80040203"),
        ("POST", ATTRIBUTES, column("Nothing"), 400, "0x80040203"),
        ("POST", ATTRIBUTES, column("Lookup"), 400, "0x80040203"),
        ("POST", ATTRIBUTES, column("String", MaxLength="5"), 400, "0x80040203"),
        ("POST", ATTRIBUTES, column("String", MaxLength=True), 400, "0x80040203"),
        ("POST", ATTRIBUTES, column("Integer", MinValue={"Value": 1}), 400, "0x80040203"),
        ("POST", ATTRIBUTES, column("Decimal", Precision=99), 400, "0x80040203"),
        ("POST", ATTRIBUTES, column("String", RequiredLevel={"Value": "Always"}), 400, "0x80040203"),
        ("POST", ATTRIBUTES, column("String", DisplayName={"LocalizedLabels": 5}), 400, "0x80040203"),
        ("POST", ATTRIBUTES, column("Picklist", OptionSet={"Options": [5]}), 400, "0x80040203"),
        ("POST", ATTRIBUTES, column("Picklist", OptionSet={"Options": [{"Value": "1"}]}), 400, "0x80040203"),
        ("POST", "EntityDefinitions", table(Attributes=5), 400, "0x80040203"),
        ("POST", ATTRIBUTES, {"SchemaName": "new_Score"}, 400, "0x80048d19"),
        ("POST", ATTRIBUTES, [], 400, "0x80048d19"),
        ("POST", ATTRIBUTES, b"{", 400, "0x80048d19"),
        ("POST", "EntityDefinitions(LogicalName='nothing')/Attributes", column("String"), 404, "0x80060888"),
        ("PUT", f"{ATTRIBUTES}(LogicalName='nothing')", column("String"), 404, "0x80060888"),
        ("PUT", f"{ATTRIBUTES}(LogicalName='subject')", column("Integer"), 400, "0x80040203"),
        ("POST", "EntityDefinitions", {"SchemaName": "new_Company"}, 400, "0x80040203"),
        ("POST", "EntityDefinitions", table(SchemaName="Company"), 400, "0x80040203"),
        ("POST", "EntityDefinitions", table(OwnershipType="Nobody"), 400, "0x80040203"),
        ("POST", "RelationshipDefinitions", relationship(ReferencedEntity="nothing"), 400, "0x80041102"),
        ("POST", "RelationshipDefinitions", relationship(Lookup=None), 400, "0x80040203"),
        ("POST", "RelationshipDefinitions", {"@odata.type": f"{NS}ManyToManyRelationshipMetadata"}, 501, "0x80040216"),
        ("POST", f"{LEAD}/Keys", {"SchemaName": "new_key", "KeyAttributes": ["nothing"]}, 400, "0x80040203"),
        ("POST", f"{LEAD}/Keys", {}, 400, "0x80040203"),
        ("DELETE", f"{LEAD}/Keys(LogicalName='nothing')", None, 404, "0x80060888"),
        ("POST", "CreateEntities", {}, 400, "0x80040203"),
        ("POST", "InsertOptionValue", {"EntityLogicalName": "lead"}, 400, "0x80040203"),
        ("POST", "PublishXml", {}, 400, "0x80040203"),
        ("PUT", ATTRIBUTES, {}, 405, "0x0"),
        ("PATCH", LEAD, {}, 405, "0x0"),
        ("DELETE", "EntityDefinitions", None, 405, "0x0"),
        ("POST", f"{LEAD}/Nothing", {}, 405, "0x0"),
        ("POST", "GlobalOptionSetDefinitions", {}, 405, "0x0"),
    ],
)
def test_definitions_that_make_no_sense_are_refused(
    org: Org, method: str, path: str, body: Any, status: int, found: str
) -> None:
    before = org.emulator.schema
    response = org.call(method, path, body)
    assert (response.status, code(response)) == (status, found)
    assert org.emulator.schema is before


def test_names_that_are_taken_are_refused(org: Org) -> None:
    for path, body in (
        (ATTRIBUTES, column("String")),
        ("EntityDefinitions", table()),
        ("RelationshipDefinitions", relationship()),
        (f"{LEAD}/Keys", {"SchemaName": "new_scorekey", "KeyAttributes": ["new_score"]}),
    ):
        made(org, path, body)
        assert org.call("POST", path, body).status == 400
    assert code(org.call("POST", ATTRIBUTES, column("Integer"))) == "0x80047013"


def test_customizing_needs_the_administrator_role(org: Org) -> None:
    """V5."""
    org.control("set_privileges", user="sandbox", table="contact", privileges=["read"])
    response = org.call("POST", ATTRIBUTES, column("String"))
    assert (response.status, code(response)) == (403, "0x80040220")


def test_a_definition_is_answered_when_asked_for(org: Org) -> None:
    asked = {"Prefer": "return=representation"}
    for path, body, name in (
        (ATTRIBUTES, column("String"), "new_Score"),
        ("EntityDefinitions", table(), "new_Company"),
        ("RelationshipDefinitions", relationship(), "new_account_lead_partner"),
        (f"{LEAD}/Keys", {"SchemaName": "new_scorekey", "KeyAttributes": ["new_score"]}, "new_scorekey"),
    ):
        response = org.call("POST", path, body, asked)
        assert (response.status, content(response)["SchemaName"]) == (201, name)
        assert header(response, "Preference-Applied") == "return=representation"
    changed = org.call("PUT", f"{ATTRIBUTES}(LogicalName='new_score')", column("String", MaxLength=7), asked)
    assert (changed.status, content(changed)["MaxLength"]) == (200, 7)


def test_the_rule_of_a_relationship_is_changed(org: Org) -> None:
    address = made(org, "RelationshipDefinitions", relationship())
    account = org.create("accounts", {"name": "Acme"})
    org.create("leads", {"new_PartnerId@odata.bind": f"/accounts({account})"})
    changed = relationship(CascadeConfiguration={"Delete": "Restrict"})
    assert org.call("PUT", address, changed, {"MSCRM.MergeLabels": "true"}).status == 204
    assert code(org.call("DELETE", f"accounts({account})")) == "0x80040227"
    shipped = "RelationshipDefinitions(SchemaName='lead_parent_account')"
    assert org.call("PUT", shipped, {"CascadeConfiguration": {"Delete": "RemoveLink"}}).status == 204
    assert org.call("PUT", shipped, {"CascadeConfiguration": {"Delete": "Cascade"}}).status == 400


def test_the_languages_of_labels_are_told(org: Org) -> None:
    assert org.read("RetrieveAvailableLanguages")["LocaleIds"] == [1033]
    assert org.read("RetrieveProvisionedLanguages()")["RetrieveProvisionedLanguages"] == [1033]
