"""Lookups by bind and reference, alternate keys (V44, V45)."""

from __future__ import annotations

import pytest

from tests.sandbox.dynamics.conftest import ANN, NOWHERE, Org, code, content, header, message

WHOLE = {"Prefer": "return=representation"}


@pytest.fixture
def account(org: Org) -> str:
    return org.create("accounts", {"name": "Acme", "accountnumber": "A1"})


@pytest.fixture
def keyed(org: Org) -> Org:
    org.control("add_attribute", entity="contact", attribute="new_marketoid", type="String", max_length=50)
    org.control("add_key", entity="contact", name="new_marketokey", columns=["new_marketoid"])
    return org


@pytest.mark.parametrize(
    "spelling", ["/accounts({0})", "accounts({0})", "https://org.example/api/data/v9.2/accounts({0})"]
)
def test_a_lookup_is_set_by_three_spellings(org: Org, account: str, spelling: str) -> None:
    """V44."""
    lead = org.create("leads", {"lastname": "Ax", "parentaccountid@odata.bind": spelling.format(account)})
    assert org.read(f"leads({lead})")["_parentaccountid_value"] == account


@pytest.mark.parametrize("clear", ["parentaccountid@odata.bind", "parentaccountid"])
def test_a_lookup_is_cleared_by_null(org: Org, account: str, clear: str) -> None:
    """V44."""
    lead = org.create("leads", {"lastname": "Ax", "parentaccountid@odata.bind": f"/accounts({account})"})
    assert org.change(f"leads({lead})", {clear: None}).status == 204
    assert org.read(f"leads({lead})")["_parentaccountid_value"] is None


def test_a_lookup_is_set_by_alternate_key(org: Org, account: str) -> None:
    """V44."""
    org.control("add_key", entity="account", name="number", columns=["accountnumber"])
    lead = org.create("leads", {"parentaccountid@odata.bind": "/accounts(accountnumber='a1')"})
    assert org.read(f"leads({lead})")["_parentaccountid_value"] == account
    response = org.call("POST", "leads", {"parentaccountid@odata.bind": "/accounts(accountnumber='A2')"})
    assert (response.status, code(response)) == (404, "0x80060891")


def test_the_navigation_name_is_needed(org: Org, account: str) -> None:
    """V44."""
    response = org.call("POST", "contacts", {"parentcustomerid@odata.bind": f"/accounts({account})"})
    assert (response.status, code(response)) == (400, "0x80048d19")
    assert "An undeclared property 'parentcustomerid' which only has property annotations" in message(response)
    for body in ({"parentaccountid": account}, {"_parentaccountid_value": account}, {"ParentAccountId": None}):
        assert org.call("POST", "leads", body).status == 400


def test_a_missing_or_wrong_target_is_refused(org: Org, account: str) -> None:
    """V44."""
    response = org.call("POST", "leads", {"parentaccountid@odata.bind": f"/accounts({NOWHERE})"})
    assert (response.status, code(response)) == (404, "0x80040217")
    assert message(response) == f"Entity 'account' With Id = {NOWHERE} Does Not Exist"
    assert org.call("POST", "leads", {"parentcontactid@odata.bind": f"/accounts({account})"}).status == 400
    assert org.call("POST", "leads", {"parentaccountid@odata.bind": "/widgets(1)"}).status == 400


def test_single_references_are_put_and_deleted(org: Org, account: str) -> None:
    """V44."""
    lead = org.create("leads", {"lastname": "Ax"})
    path = f"leads({lead})/parentaccountid/$ref"
    body = {"@odata.id": f"https://org.example/api/data/v9.2/accounts({account})"}
    assert org.call("PUT", path, body).status == 204
    assert org.read(f"leads({lead})")["_parentaccountid_value"] == account
    assert org.read(path)["@odata.id"].endswith(f"accounts({account})")
    assert org.call("DELETE", path).status == 204
    assert org.read(f"leads({lead})")["_parentaccountid_value"] is None
    assert org.call("PUT", path, {"@odata.id": f"accounts({NOWHERE})"}).status == 404


def test_collection_references_are_posted_and_deleted(org: Org, account: str) -> None:
    """V44."""
    contact = org.create("contacts", {"lastname": "Ax"})
    path = f"accounts({account})/contact_customer_accounts"
    body = {"@odata.id": f"contacts({contact})"}
    for removal in (f"{path}({contact})/$ref", f"{path}/$ref?$id=contacts({contact})"):
        assert org.call("POST", f"{path}/$ref", body).status == 204
        assert [row["contactid"] for row in org.values(path)] == [contact]
        assert org.call("DELETE", removal).status == 204
        assert org.values(path) == []


def test_rows_are_read_changed_and_deleted_by_alternate_key(keyed: Org) -> None:
    """V45."""
    contact = keyed.create("contacts", {"lastname": "Ax", "new_marketoid": "it's 5"})
    path = "contacts(new_marketoid='it''s 5')"
    assert keyed.read(path)["contactid"] == contact
    assert keyed.change(path, {"lastname": "By"}, {"If-Match": "*"}).status == 204
    assert keyed.read(f"contacts({contact})")["lastname"] == "By"
    assert keyed.call("DELETE", path).status == 204
    response = keyed.get(path)
    assert (response.status, code(response)) == (404, "0x80060891")
    assert message(response) == "A record with the specified key values does not exist in contact entity"
    assert code(keyed.change(path, {"lastname": "By"}, {"If-Match": "*"})) == "0x80060891"


def test_an_upsert_by_alternate_key_hides_its_outcome_unless_asked(keyed: Org) -> None:
    """V45."""
    path = "contacts(new_marketoid='123')"
    for _ in range(2):
        response = keyed.change(path, {"lastname": "Ax"})
        assert response.status == 204
        assert (header(response, "OData-EntityId") or "").endswith(path)
    assert keyed.read(path)["new_marketoid"] == "123"
    assert keyed.change(path, {"lastname": "By"}, WHOLE).status == 200
    created = keyed.change("contacts(new_marketoid='124')", {"lastname": "Cy"}, WHOLE)
    assert created.status == 201
    assert content(created)["contactid"]


def test_a_second_row_with_the_same_alternate_key_is_refused(keyed: Org) -> None:
    """V45."""
    keyed.create("contacts", {"new_marketoid": "abc"})
    other = keyed.create("contacts", {"new_marketoid": "abd"})
    for response in (
        keyed.call("POST", "contacts", {"new_marketoid": "ABC"}),
        keyed.change(f"contacts({other})", {"new_marketoid": "abc"}),
    ):
        assert (response.status, code(response)) == (412, "0x80060892")
        assert message(response).startswith("Entity Key new_marketokey violated.")
    assert keyed.call("POST", "contacts", {}).status == 204
    assert keyed.call("POST", "contacts", {}).status == 204


def test_unknown_and_undefined_keys_are_refused(keyed: Org) -> None:
    """V45."""
    unknown = keyed.get("contacts(new_nothing='1')")
    assert unknown.status == 400
    assert message(unknown).startswith(
        "The key in the request URI is not valid for resource 'Microsoft.Dynamics.CRM.contact'."
    )
    undefined = keyed.get("contacts(emailaddress1='a@b.c')")
    assert (undefined.status, code(undefined)) == (400, "0x80060890")
    assert keyed.get("contacts('x')").status == 400


@pytest.mark.parametrize("key", ["new_marketoid=123", "new_marketoid='it's'", "new_marketoid=null", "new_marketoid="])
def test_text_in_a_key_stands_in_quotes(keyed: Org, key: str) -> None:
    """V45."""
    response = keyed.get(f"contacts({key})")
    assert (response.status, code(response)) == (400, "0x8006088a")


@pytest.mark.parametrize("value", ["'5'", "x", "1.5", "1e400", "9" * 30, "null", "", "nan"])
@pytest.mark.parametrize("kind", ["Integer", "DateTime", "Picklist"])
def test_a_key_value_has_the_type_of_its_column(org: Org, kind: str, value: str) -> None:
    """V45."""
    org.control("add_attribute", entity="contact", attribute="new_code", type=kind)
    org.control("add_key", entity="contact", name="new_codekey", columns=["new_code"])
    for response in (org.get(f"contacts(new_code={value})"), org.change(f"contacts(new_code={value})", {})):
        assert (response.status, code(response)) == (400, "0x8006088a")


def test_a_lookup_and_a_choice_may_be_key_columns(org: Org, account: str) -> None:
    """Section 6."""
    org.control("add_key", entity="lead", name="pair", columns=["parentaccountid", "leadsourcecode"])
    lead = org.create("leads", {"leadsourcecode": 8, "parentaccountid@odata.bind": f"/accounts({account})"})
    path = f"leads(_parentaccountid_value={account},leadsourcecode=8)"
    assert org.read(path)["leadid"] == lead
    again = {"leadsourcecode": 8, "parentaccountid@odata.bind": f"/accounts({account})"}
    assert code(org.call("POST", "leads", again)) == "0x80060892"


def test_the_owner_cannot_be_taken_away(org: Org) -> None:
    """Section 13.3."""
    lead = org.create("leads", {"lastname": "Ax", "ownerid@odata.bind": f"/systemusers({ANN})"})
    response = org.call("DELETE", f"leads({lead})/ownerid/$ref")
    assert (response.status, code(response)) == (400, "0x80040203")
    assert org.read(f"leads({lead})")["_ownerid_value"] == ANN


def test_a_row_is_created_in_the_collection_of_another(org: Org) -> None:
    """OData 4.0, 11.4.2: it is bound to the row it was created under."""
    account = org.create("accounts", {"name": "Acme"})
    path = f"accounts({account})/contact_customer_accounts"
    created = org.call("POST", path, {"lastname": "Ax"})
    address = header(created, "OData-EntityId") or ""
    assert (created.status, "/contacts(" in address) == (204, True)
    assert org.read(address)["_parentcustomerid_value"] == account
    shown = org.call("POST", path, {"lastname": "By"}, {"Prefer": "return=representation"})
    assert (shown.status, content(shown)["_parentcustomerid_value"]) == (201, account)
    assert org.call("POST", f"accounts({NOWHERE})/contact_customer_accounts", {"lastname": "Cy"}).status == 404
    wrong = org.call("PATCH", path, {"lastname": "Cy"})
    assert (wrong.status, header(wrong, "Allow")) == (405, "GET,POST")


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
def test_what_a_row_does_not_have_is_not_found_by_any_method(org: Org, method: str) -> None:
    """V9."""
    contact = org.create("contacts", {"lastname": "Ax"})
    for name in ("nothing", "Microsoft.Dynamics.CRM.QualifyLead"):
        response = org.call(method, f"contacts({contact})/{name}", {})
        assert (response.status, code(response)) == (404, "0x80060888")
    wrong = org.call("POST", f"contacts({contact})/lastname", {"value": "By"})
    assert (wrong.status, header(wrong, "Allow")) == (405, "GET,PUT,DELETE")
