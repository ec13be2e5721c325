"""Duplicate detection and plug-ins (V48, V49), colleagues' edits."""

from __future__ import annotations

import pytest

from tests.sandbox.dynamics.conftest import ANN, BO, NOWHERE, Org, code, message

DETECT = {"MSCRM.SuppressDuplicateDetection": "false"}


@pytest.mark.parametrize("entity_set", ["leads", "contacts", "accounts"])
def test_duplicates_are_found_only_when_asked(org: Org, entity_set: str) -> None:
    """V48."""
    org.create(entity_set, {"emailaddress1": "Ann@Example.com"})
    other = org.create(entity_set, {"emailaddress1": "bo@example.com"})
    body = {"emailaddress1": "ann@EXAMPLE.com"}
    for response in (
        org.call("POST", entity_set, body, DETECT),
        org.change(f"{entity_set}({other})", body, DETECT),
    ):
        assert (response.status, code(response)) == (412, "0x80040333")
        assert message(response).startswith("A record was not created or updated because a duplicate")
    assert org.call("POST", entity_set, body).status == 204
    assert org.call("POST", entity_set, body, {"MSCRM.SuppressDuplicateDetection": "true"}).status == 204


def test_blank_and_own_and_inactive_values_are_no_duplicates(org: Org) -> None:
    """V48."""
    lead = org.create("leads", {"emailaddress1": "ann@example.com"})
    assert org.change(f"leads({lead})", {"emailaddress1": "ANN@example.com"}, DETECT).status == 204
    org.change(f"leads({lead})", {"statecode": 2})
    assert org.call("POST", "leads", {"emailaddress1": "ann@example.com"}, DETECT).status == 204
    assert org.call("POST", "leads", {"lastname": "x"}, DETECT).status == 204
    assert org.call("POST", "leads", {"lastname": "x"}, DETECT).status == 204
    assert org.call("POST", "contacts", {"emailaddress1": "ann@example.com"}, DETECT).status == 204


def test_a_plug_in_refuses_rows_with_its_own_words(org: Org) -> None:
    """V49."""
    org.control(
        "fail_writes", entity="lead", when={"jobtitle": "Intern", "statecode": 0}, message="No interns, please."
    )
    response = org.call("POST", "leads", {"jobtitle": "intern"})
    assert (response.status, code(response)) == (400, "0x80040265")
    assert message(response) == "No interns, please."
    lead = org.create("leads", {"jobtitle": "CEO"})
    assert code(org.change(f"leads({lead})", {"jobtitle": "Intern"})) == "0x80040265"
    assert org.read(f"leads({lead})")["jobtitle"] == "CEO"
    assert org.call("POST", "contacts", {"jobtitle": "Intern"}).status == 204
    org.control("fail_writes", entity="lead", message=None)
    assert org.change(f"leads({lead})", {"jobtitle": "Intern"}).status == 204


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("MSCRM.BypassBusinessLogicExecution", "CustomSync,CustomAsync"),
        ("MSCRM.BypassCustomPluginExecution", "true"),
    ],
)
def test_a_bypassable_plug_in_is_bypassed_on_request(org: Org, name: str, value: str) -> None:
    """V49."""
    org.control("fail_writes", entity="lead", when={}, message="No.", bypassable=True)
    assert org.call("POST", "leads", {}).status == 400
    assert org.call("POST", "leads", {}, {name: value}).status == 204
    org.control("fail_writes", entity="lead", when={}, message="Never.")
    assert message(org.call("POST", "leads", {}, {name: value})) == "Never."


def test_a_colleague_s_edit_is_signed_with_her_name(org: Org) -> None:
    """Brief: edits by salespeople are no edits of the integration."""
    lead = org.create("leads", {"lastname": "Ax"})
    edited = org.control("edit_row", entity="lead", id=lead, values={"jobtitle": "CTO"})
    row = org.read(f"leads({lead})")
    assert (row["jobtitle"], row["_modifiedby_value"]) == ("CTO", ANN)
    assert row["versionnumber"] == edited["version"]
    org.control("edit_row", entity="lead", id=lead, values={"revenue": 1.5}, user="bo.berg@sandbox.example")
    assert org.read(f"leads({lead})")["_modifiedby_value"] == BO
    assert org.control("read_row", entity="lead", id=lead)["revenue"] == 1.5


def test_a_colleague_creates_and_deletes(org: Org) -> None:
    made = org.control("create_row", entity="contact", values={"lastname": "Ax"}, user="Bo Berg")
    assert org.read(f"contacts({made['id']})")["_createdby_value"] == BO
    org.control("delete_row", entity="contact", id=made["id"])
    assert org.get(f"contacts({made['id']})").status == 404
    assert org.control("read_row", entity="contact", id=made["id"]) is None


def test_a_colleague_is_bound_by_the_same_rules(org: Org) -> None:
    lead = org.create("leads", {"lastname": "Ax"})
    with pytest.raises(ValueError, match="0x80044331"):
        org.control("edit_row", entity="lead", id=lead, values={"mobilephone": "1" * 21})
    with pytest.raises(ValueError, match="no lead has the id"):
        org.control("edit_row", entity="lead", id=NOWHERE, values={})
    with pytest.raises(ValueError, match="unknown user"):
        org.control("edit_row", entity="lead", id=lead, values={}, user="Nobody")


def test_an_unknown_command_is_a_key_error(org: Org) -> None:
    with pytest.raises(KeyError, match="no_such_command"):
        org.control("no_such_command")


@pytest.mark.parametrize(
    ("command", "arguments"),
    [
        ("set_options", {"nonsense": 1}),
        ("set_options", {"page_size": "many"}),
        ("set_metadata", {"entity": "widget", "attribute": "x", "changes": {}}),
        ("set_metadata", {"entity": "lead", "attribute": "nothing", "changes": {}}),
        ("set_metadata", {"entity": "lead", "attribute": "subject", "changes": {"colour": "red"}}),
        ("add_attribute", {"entity": "lead", "attribute": "subject", "type": "String"}),
        ("add_attribute", {"entity": "lead", "attribute": "new_x", "type": "Colour"}),
        ("add_key", {"entity": "lead", "name": "k", "columns": ["nothing"]}),
        ("set_privileges", {"user": "sandbox", "table": "lead", "privileges": ["fly"]}),
        ("fail_writes", {"entity": "lead", "when": {"nothing": 1}, "message": "x"}),
    ],
)
def test_senseless_commands_are_refused_and_change_nothing(
    org: Org, command: str, arguments: dict[str, object]
) -> None:
    before = org.read("EntityDefinitions(LogicalName='lead')/Attributes")
    with pytest.raises(ValueError, match=r"\w+"):
        org.control(command, **arguments)
    assert org.read("EntityDefinitions(LogicalName='lead')/Attributes") == before
    assert org.call("POST", "leads", {"lastname": "Ax"}).status == 204
