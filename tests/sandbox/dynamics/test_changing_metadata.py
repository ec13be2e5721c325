"""Metadata that a test changes (V61): columns, types, options, keys, languages, tables."""

from __future__ import annotations

from typing import Any

import pytest

from tests.sandbox.dynamics.conftest import Org, code, content

CAST = "EntityDefinitions(LogicalName='lead')/Attributes(LogicalName='{}')/Microsoft.Dynamics.CRM.{}AttributeMetadata"


def test_a_removed_column_is_gone_and_comes_back_empty(org: Org) -> None:
    """V61."""
    lead = org.create("leads", {"jobtitle": "CTO", "lastname": "Ax"})
    org.control("remove_attribute", entity="lead", attribute="jobtitle")
    assert "jobtitle" not in org.read(f"leads({lead})")
    assert org.get("leads", select="jobtitle").status == 400
    assert code(org.change(f"leads({lead})", {"jobtitle": "CIO"})) == "0x80048d19"
    assert org.get("EntityDefinitions(LogicalName='lead')/Attributes(LogicalName='jobtitle')").status == 404
    org.control("add_attribute", entity="lead", attribute="jobtitle", type="String")
    assert org.read(f"leads({lead})")["jobtitle"] is None
    assert org.read(f"leads({lead})")["lastname"] == "Ax"


def test_the_mail_address_that_filters_use_goes_with_its_column(org: Org) -> None:
    """V61."""
    org.create("leads", {"emailaddress1": "ax@example.com"})
    org.control("remove_attribute", entity="lead", attribute="emailaddress1")
    org.control("add_attribute", entity="lead", attribute="emailaddress1", type="String")
    assert org.values("leads", filter="emailaddress1 eq 'ax@example.com'") == []


def test_a_removed_yes_no_column_leaves_no_default(org: Org) -> None:
    """V61."""
    lead = org.create("leads", {"donotemail": True})
    org.control("remove_attribute", entity="lead", attribute="donotemail")
    org.change(f"leads({lead})", {"lastname": "Ax"})
    assert "donotemail" not in org.values("leads")[0]


def test_a_column_of_another_type_has_lost_its_values(org: Org) -> None:
    """V61."""
    lead = org.create("leads", {"jobtitle": "CTO"})
    org.control("set_metadata", entity="lead", attribute="jobtitle", changes={"type": "Integer", "maximum": 9})
    assert org.read(f"leads({lead})")["jobtitle"] is None
    assert code(org.change(f"leads({lead})", {"jobtitle": "CTO"})) == "0x80048d19"
    assert code(org.change(f"leads({lead})", {"jobtitle": 10})) == "0x8004432F"
    assert org.change(f"leads({lead})", {"jobtitle": 9}).status == 204
    assert org.values("leads", filter="jobtitle eq 9")[0]["leadid"] == lead
    assert org.read(CAST.format("jobtitle", "Integer"))["MaxValue"] == 9


def test_an_added_option_is_accepted_and_labelled_in_its_languages(org: Org) -> None:
    """V61, V60."""
    assert code(org.call("POST", "leads", {"leadsourcecode": 77})) == "0x8004431A"
    new = {"value": 77, "label": "Fair", "labels": {"1031": "Messe"}}
    org.control("add_option", entity="lead", attribute="leadsourcecode", **new)
    assert org.create("leads", {"leadsourcecode": 77})
    options = org.read(CAST.format("leadsourcecode", "Picklist") + "/OptionSet")["Options"]
    label = next(option["Label"] for option in options if option["Value"] == 77)
    assert {entry["LanguageCode"]: entry["Label"] for entry in label["LocalizedLabels"]} == {
        1033: "Fair",
        1031: "Messe",
    }
    assert label["UserLocalizedLabel"]["Label"] == "Fair"


def test_a_column_has_names_in_several_languages(org: Org) -> None:
    """V60."""
    changes = {"label": "Family name", "labels": {"1031": "Nachname", "1036": "Nom"}}
    org.control("set_metadata", entity="lead", attribute="lastname", changes=changes)
    name = org.read("EntityDefinitions(LogicalName='lead')/Attributes(LogicalName='lastname')")["DisplayName"]
    assert [entry["LanguageCode"] for entry in name["LocalizedLabels"]] == [1033, 1031, 1036]


def test_a_status_reason_is_added_to_its_state(org: Org) -> None:
    """V61, V43."""
    org.control("add_option", entity="lead", attribute="statuscode", value=90, label="Bought", state=2)
    lead = org.create("leads", {})
    assert org.change(f"leads({lead})", {"statuscode": 90}).status == 204
    assert org.read(f"leads({lead})")["statecode"] == 2


def test_keys_come_and_go(org: Org) -> None:
    """V61, V45."""
    org.control("add_key", entity="contact", name="k", columns=["employeeid"])
    contact = org.create("contacts", {"employeeid": "7"})
    assert org.read("contacts(employeeid='7')")["contactid"] == contact
    assert "AlternateKeys" in org.get("$metadata").body.decode()
    org.control("remove_key", entity="contact", name="k")
    assert code(org.get("contacts(employeeid='7')")) == "0x80060890"
    org.control("add_key", entity="contact", name="k", columns=["employeeid"])
    org.control("remove_attribute", entity="contact", attribute="employeeid")
    assert org.values("EntityDefinitions(LogicalName='contact')/Keys") == []


def test_a_custom_table_is_read_and_written_at_once(org: Org) -> None:
    """V61."""
    org.control("add_table", entity="new_widget", schema_name="new_Widget")
    org.control("add_attribute", entity="new_widget", attribute="new_size", type="Integer")
    lookup = {"schema_name": "new_LeadId", "targets": ["lead"]}
    org.control("add_attribute", entity="new_widget", attribute="new_leadid", type="Lookup", **lookup)
    lead = org.create("leads", {"lastname": "Ax"})
    body = {"new_name": "Wheel", "new_size": 3, "new_LeadId@odata.bind": f"/leads({lead})"}
    row = org.read(f"new_widgets({org.create('new_widgets', body)})")
    assert (row["new_name"], row["new_size"], row["statuscode"], row["_new_leadid_value"]) == ("Wheel", 3, 1, lead)
    shape = org.read("EntityDefinitions(LogicalName='new_widget')")
    assert (shape["IsCustomEntity"], shape["EntitySetName"]) == (True, "new_widgets")
    assert len(org.values(f"leads({lead})/new_lead_new_widget_new_LeadId")) == 1
    tracked = org.read("new_widgets", {"Prefer": "odata.track-changes"})
    org.call("DELETE", f"leads({lead})")
    (changed,) = org.read(tracked["@odata.deltaLink"])["value"]
    assert changed["_new_leadid_value"] is None


def test_a_custom_table_is_there_after_a_restart(org: Org, make_org: Any) -> None:
    """V61."""
    org.control("add_table", entity="new_widget")
    widget = org.create("new_widgets", {"new_name": "Wheel"})
    assert make_org().read(f"new_widgets({widget})")["new_name"] == "Wheel"


@pytest.mark.parametrize(
    ("command", "arguments"),
    [
        ("remove_attribute", {"entity": "lead", "attribute": "nothing"}),
        ("remove_attribute", {"entity": "lead", "attribute": "statecode"}),
        ("remove_attribute", {"entity": "lead", "attribute": "leadid"}),
        ("set_metadata", {"entity": "lead", "attribute": "jobtitle", "changes": {"type": "Lookup"}}),
        ("add_option", {"entity": "lead", "attribute": "lastname", "value": 1}),
        ("add_option", {"entity": "lead", "attribute": "leadsourcecode", "value": 1}),
        ("add_option", {"entity": "lead", "attribute": "statuscode", "value": 99}),
        ("remove_key", {"entity": "lead", "name": "nothing"}),
        ("add_table", {"entity": "lead"}),
        ("add_table", {"entity": 'new_"; DROP TABLE r_lead'}),
        ("add_table", {"entity": "new_widget", "set": "leads"}),
    ],
)
def test_a_change_that_makes_no_sense_is_refused_and_changes_nothing(
    org: Org, command: str, arguments: dict[str, Any]
) -> None:
    """V61."""
    before = org.get("$metadata").body
    with pytest.raises(ValueError, match=r"."):
        org.control(command, **arguments)
    assert org.get("$metadata").body == before


@pytest.mark.parametrize(
    ("command", "arguments"),
    [
        ("remove_attribute", {"attribute": "jobtitle"}),
        ("add_option", {"attribute": "leadsourcecode", "value": 77}),
        ("add_attribute", {"attribute": "new_x", "type": "String"}),
        ("add_key", {"name": "k", "columns": ["emailaddress1"]}),
        ("set_metadata", {"attribute": "jobtitle", "changes": {"type": "Integer"}}),
    ],
)
def test_every_change_expires_the_delta_tokens_of_its_table_only(
    org: Org, command: str, arguments: dict[str, Any]
) -> None:
    """V29, V61."""
    links = {
        name: org.read(name, {"Prefer": "odata.track-changes"}, select="createdon")["@odata.deltaLink"]
        for name in ("leads", "contacts")
    }
    org.control(command, entity="lead", **arguments)
    answer = org.get(links["leads"])
    assert (answer.status, content(answer)["error"]["code"]) == (400, "0x80044352")
    assert org.get(links["contacts"]).status == 200


def test_metadata_changes_move_the_global_version(org: Org) -> None:
    """Section 2.1."""
    name = "Microsoft.Dynamics.CRM.globalmetadataversion"
    prefer = {"Prefer": f'odata.include-annotations="{name}"'}
    before = int(org.read("leads", prefer)[f"@{name}"])
    org.control("add_attribute", entity="lead", attribute="new_x", type="String")
    assert int(org.read("leads", prefer)[f"@{name}"]) > before
