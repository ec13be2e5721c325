"""`$metadata` (V8) and the relationships of the metadata collections (V60)."""

from __future__ import annotations

from collections.abc import Iterator
from xml.etree import ElementTree as ET

import pytest

from tests.sandbox.dynamics.conftest import Org

EDM = "{http://docs.oasis-open.org/odata/ns/edm}"


@pytest.fixture
def model(org: Org) -> ET.Element:
    return ET.fromstring(org.get("$metadata").body)


def _types(model: ET.Element) -> dict[str, ET.Element]:
    return {element.attrib["Name"]: element for element in model.iter(f"{EDM}EntityType")}


def _bare(name: str) -> str:
    return name.removeprefix("Collection(").removesuffix(")").rpartition(".")[2]


def _named(model: ET.Element) -> Iterator[str]:
    for element in model.iter():
        for attribute in ("Type", "BaseType", "EntityType", "Function", "Action"):
            name = element.get(attribute, "")
            if "mscrm." in name or "Microsoft.Dynamics.CRM." in name:
                yield _bare(name)


def test_every_type_that_the_model_names_is_defined(model: ET.Element) -> None:
    """V8."""
    kinds = ("EntityType", "ComplexType", "EnumType", "Function", "Action")
    defined = {element.attrib["Name"] for kind in kinds for element in model.iter(f"{EDM}{kind}")}
    assert set(_named(model)) <= defined


def test_every_table_is_a_set_with_a_key(org: Org, model: ET.Element) -> None:
    """V8."""
    sets = {element.attrib["Name"]: _bare(element.attrib["EntityType"]) for element in model.iter(f"{EDM}EntitySet")}
    assert set(sets) == {entry["name"] for entry in org.values("")}
    types = _types(model)
    for name in sets.values():
        owner = (
            types[name] if types[name].find(f"{EDM}Key") is not None else types[_bare(types[name].attrib["BaseType"])]
        )
        assert owner.find(f"{EDM}Key") is not None


def test_navigation_properties_name_their_partner(model: ET.Element) -> None:
    """V8, section 14.6: the model is authoritative for navigation names."""
    types = _types(model)
    partners = 0
    for name, element in types.items():
        for navigation in element.iter(f"{EDM}NavigationProperty"):
            partner = navigation.get("Partner")
            if partner is None:
                continue
            others = {
                n.attrib["Name"]: n for n in types[_bare(navigation.attrib["Type"])].iter(f"{EDM}NavigationProperty")
            }
            assert others[partner].get("Partner") == navigation.attrib["Name"], (name, partner)
            partners += 1
    assert partners > 200


def test_no_member_of_a_type_has_two_meanings(model: ET.Element) -> None:
    """V8."""
    for element in _types(model).values():
        names = [child.attrib["Name"] for child in element if child.tag.endswith("Property")]
        assert len(names) == len(set(names))


def test_properties_have_the_types_of_their_columns(model: ET.Element) -> None:
    """Section 17."""
    lead = {p.attrib["Name"]: p.attrib["Type"] for p in _types(model)["lead"].iter(f"{EDM}Property")}
    expected = {
        "leadid": "Edm.Guid",
        "lastname": "Edm.String",
        "numberofemployees": "Edm.Int32",
        "versionnumber": "Edm.Int64",
        "revenue": "Edm.Decimal",
        "address1_latitude": "Edm.Double",
        "donotemail": "Edm.Boolean",
        "createdon": "Edm.DateTimeOffset",
        "estimatedclosedate": "Edm.Date",
        "_ownerid_value": "Edm.Guid",
        "leadsourcecode": "Edm.Int32",
        "entityimage": "Edm.Binary",
    }
    assert {name: lead[name] for name in expected} == expected
    assert "owneridtype" not in lead


def test_actions_and_functions_are_listed(model: ET.Element) -> None:
    """V8, section 15."""
    functions = {element.attrib["Name"] for element in model.iter(f"{EDM}FunctionImport")}
    assert functions == {
        "WhoAmI",
        "RetrieveVersion",
        "RetrieveAvailableLanguages",
        "RetrieveCurrentOrganization",
        "RetrieveProvisionedLanguages",
        "RetrieveTotalRecordCount",
        "RetrieveDuplicates",
    }
    assert {element.attrib["Name"] for element in model.iter(f"{EDM}ActionImport")} == {"Merge", "BulkDelete"}
    qualify = next(element for element in model.iter(f"{EDM}Action") if element.attrib["Name"] == "QualifyLead")
    assert (qualify.attrib["IsBound"], qualify[0].attrib["Type"]) == ("true", "mscrm.lead")


def test_annotations_say_which_sets_are_tracked(org: Org) -> None:
    """V8, section 4.1."""
    plain = org.get("$metadata").body.decode()
    term = "Org.OData.Capabilities.V1.ChangeTracking"
    assert term not in plain
    for path, headers in (
        ("$metadata?annotations=true", {}),
        ("$metadata", {"Prefer": 'odata.include-annotations="*"'}),
    ):
        model = ET.fromstring(org.get(path, headers).body)
        tracked = {s.attrib["Name"] for s in model.iter(f"{EDM}EntitySet") if s.find(f"{EDM}Annotation") is not None}
        assert {"leads", "contacts", "accounts"} <= tracked
        assert "activitypointers" not in tracked


def test_relationships_are_read_by_name_and_by_type(org: Org) -> None:
    """V60."""
    one = org.read("RelationshipDefinitions(SchemaName='lead_parent_account')")
    assert one["@odata.type"] == "#Microsoft.Dynamics.CRM.OneToManyRelationshipMetadata"
    assert (one["ReferencingEntityNavigationPropertyName"], one["ReferencedEntityNavigationPropertyName"]) == (
        "parentaccountid",
        "lead_parent_account",
    )
    assert one["CascadeConfiguration"]["Delete"] == "RemoveLink"
    cast = "RelationshipDefinitions/Microsoft.Dynamics.CRM.{}RelationshipMetadata"
    rows = org.values(cast.format("OneToMany"), select="SchemaName", filter="ReferencedEntity eq 'account'")
    assert "contact_customer_accounts" in {row["SchemaName"] for row in rows}
    assert "@odata.type" not in rows[0]
    assert org.values(cast.format("ManyToMany")) == []
    assert org.get(cast.format("Widget")).status == 404


def test_every_relationship_of_a_parent_can_be_read(org: Org) -> None:
    """V60: the names in the metadata are those that requests use."""
    account = org.create("accounts", {"name": "Acme"})
    for row in org.values("EntityDefinitions(LogicalName='account')/OneToManyRelationships"):
        assert org.values(f"accounts({account})/{row['ReferencedEntityNavigationPropertyName']}", top="1") is not None


def test_global_choices_are_read_by_name_and_beside_columns(org: Org) -> None:
    """V60."""
    choice = org.read("GlobalOptionSetDefinitions(Name='budgetstatus')")
    assert (choice["IsGlobal"], len(choice["Options"])) == (True, 4)
    path = "EntityDefinitions(LogicalName='lead')/Attributes(LogicalName='{}')"
    cast = "/Microsoft.Dynamics.CRM.PicklistAttributeMetadata"
    answer = org.read(path.format("budgetstatus") + cast, select="LogicalName", expand="OptionSet,GlobalOptionSet")
    assert answer["@odata.context"].endswith(
        "PicklistAttributeMetadata(LogicalName,OptionSet(),GlobalOptionSet())/$entity"
    )
    assert answer["OptionSet"]["Options"] == answer["GlobalOptionSet"]["Options"]
    local = org.read(path.format("leadsourcecode") + cast, expand="GlobalOptionSet")
    assert local["GlobalOptionSet"] is None
    assert org.get("GlobalOptionSetDefinitions(Name='nothing')").status == 404
    assert org.get("GlobalOptionSetDefinitions/Microsoft.Dynamics.CRM.OptionSetMetadata").status == 200
