"""Bodies and addresses that no well-meaning client sends are refused as the service would, never with a crash."""

from __future__ import annotations

from typing import Any

import pytest

from tests.sandbox.dynamics.conftest import ANN, BASE, NOWHERE, ROOT, Org, code, message


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b'"text"',
        b'{"lastname":"A"} trailing',
        b'{"lastname":NaN}',
        b'{"lastname":"\xff"}',
        b'{"a":' * 5000 + b"1" + b"}" * 5000,
        b'{"lastname":"A","lastname":"B"}',
        b'{"numberofemployees":' + b"9" * 5000 + b"}",
    ],
)
def test_a_body_that_is_no_json_object_is_a_payload_error(org: Org, body: bytes) -> None:
    """V34, section 17."""
    for method, path in (("POST", "leads"), ("PATCH", f"leads({NOWHERE})"), ("POST", "Merge")):
        response = org.call(method, path, body)
        assert (response.status, code(response)) == (400, "0x80048d19")
        assert "JSON" in message(response) or "Multiple properties" in message(response)
    assert org.values("leads") == []


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("numberofemployees", "1_000"),
        ("numberofemployees", " 5"),
        ("numberofemployees", "\u0663"),
        ("numberofemployees", 1.5),
        ("numberofemployees", [1]),
        ("revenue", "1_0"),
        ("revenue", "NaN"),
        ("revenue", "Infinity"),
        ("revenue", {"a": 1}),
        ("leadsourcecode", "Web"),
        ("donotemail", 0),
        ("donotemail", "true"),
        ("lastname", 5),
        ("lastname", ["A"]),
        ("estimatedclosedate", "2026-01-05T00:00:00Z"),
        ("estimatedclosedate", "2026-13-01"),
        ("lastonholdtime", "yesterday"),
        ("address1_addressid", "{11111111-1111-1111-1111-111111111111}"),
        ("ownerid", ANN),
        ("_ownerid_value", ANN),
        ("contact_originating_lead", ["text"]),
        ("contact_originating_lead", {"lastname": "A"}),
        ("parentaccountid", 5),
        ("parentaccountid@odata.bind", 5),
    ],
)
def test_a_value_of_another_type_is_a_payload_error(org: Org, column: str, value: Any) -> None:
    """V34, section 11.2."""
    response = org.call("POST", "leads", {"lastname": "Ax", column: value})
    assert (response.status, code(response)) == (400, "0x80048d19"), response.body


@pytest.mark.parametrize("text", ["a\x00b", "a\x0bb", "\ud800", "a\udc00b"])
def test_control_characters_and_half_characters_are_refused(org: Org, text: str) -> None:
    """Section 13.3: 0x80040278."""
    response = org.call("POST", "leads", {"lastname": text})
    assert (response.status, code(response)) == (400, "0x80040278")


@pytest.mark.parametrize("value", ["12", "-3", 7])
def test_quoted_digits_are_numbers(org: Org, value: object) -> None:
    """Section 11.2."""
    org.control("set_metadata", entity="lead", attribute="numberofemployees", changes={"minimum": -5})
    lead = org.create("leads", {"numberofemployees": value, "revenue": "10.5", "leadsourcecode": "8"})
    row = org.read(f"leads({lead})", None, select="numberofemployees,revenue,leadsourcecode")
    assert (row["numberofemployees"], row["revenue"], row["leadsourcecode"]) == (int(str(value)), 10.5, 8)


@pytest.mark.parametrize(
    "address",
    [
        "",
        "/",
        "accounts",
        "/accounts()",
        "/accounts('x')",
        "/nothing(11111111-1111-1111-1111-111111111111)",
        "https://elsewhere.example/accounts(11111111-1111-1111-1111-111111111111)",
        "/accounts(11111111-1111-1111-1111-111111111111)/name",
        "/leads(11111111-1111-1111-1111-111111111111)",
        "/accounts(accountid='; DROP TABLE r_lead --')",
    ],
)
def test_a_bind_to_no_row_address_is_refused(org: Org, address: str) -> None:
    """V44."""
    response = org.call("POST", "leads", {"parentaccountid@odata.bind": address})
    assert response.status in {400, 404}
    assert org.values("leads") == []


@pytest.mark.parametrize("prefix", ["", "/", f"{BASE}{ROOT}", ROOT])
def test_a_bind_takes_every_spelling_of_an_address(org: Org, prefix: str) -> None:
    """V44."""
    account = org.create("accounts", {"name": "A"})
    lead = org.create("leads", {"parentaccountid@odata.bind": f"{prefix}accounts({account.upper()})"})
    assert org.read(f"leads({lead})")["_parentaccountid_value"] == account


def test_related_rows_are_created_by_post_only(org: Org) -> None:
    """Section 5.1: no deep insert with an upsert."""
    body = {"lastname": "A", "parentaccountid": {"name": "New"}}
    for lead in (NOWHERE, org.create("leads", {})):
        response = org.change(f"leads({lead})", body)
        assert (response.status, code(response)) == (400, "0x80048d19")
    assert org.values("accounts") == []
    assert org.call("POST", "leads", body).status == 204


@pytest.mark.parametrize(
    ("entity_set", "bind"), [("accounts", "parentaccountid"), ("contacts", "parentcustomerid_contact")]
)
def test_a_row_is_not_its_own_ancestor(org: Org, entity_set: str, bind: str) -> None:
    """Section 2.3: a circular parent is a 405."""
    top = org.create(entity_set, {})
    below = org.create(entity_set, {f"{bind}@odata.bind": f"/{entity_set}({top})"})
    lowest = org.create(entity_set, {f"{bind}@odata.bind": f"/{entity_set}({below})"})
    for parent in (top, lowest):
        response = org.change(f"{entity_set}({top})", {f"{bind}@odata.bind": f"/{entity_set}({parent})"})
        assert (response.status, code(response)) == (405, "0x80040507")
        assert "would create a loop" in message(response)
    assert org.change(f"{entity_set}({top})", {"telephone1": "1"}).status == 204


def test_a_reference_to_what_the_server_keeps_is_ignored(org: Org) -> None:
    """V34, V44."""
    lead = org.create("leads", {"lastname": "Ax"})
    before = org.read(f"leads({lead})")
    body = {"@odata.id": f"{BASE}{ROOT}systemusers({ANN})"}
    assert org.call("PUT", f"leads({lead})/createdby/$ref", body).status == 204
    assert org.read(f"leads({lead})")["_createdby_value"] == before["_createdby_value"]


def test_unknown_methods_and_paths_are_refused(org: Org) -> None:
    """V9."""
    lead = org.create("leads", {})
    for method in ("PUT", "POST", "HEAD", "OPTIONS", "TRACE", "MERGE"):
        assert org.call(method, f"leads({lead})").status == 405
    for path in (f"leads({lead}", "leads)", f"leads({lead})/nothing", f"leads({lead})/lastname/more", "leads()"):
        assert org.get(path).status in {400, 404}
