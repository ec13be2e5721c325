"""`$expand` as the vendor's samples show it (V21): one row, sets, nested, references, the abstract owner."""

from __future__ import annotations

from typing import Any

import pytest

from tests.sandbox.dynamics.conftest import BASE, SANDBOX_USER, Org, code, content, message

ROOT = f"{BASE}/api/data/v9.2/"


@pytest.fixture
def acme(org: Org) -> dict[str, str]:
    account = org.create("accounts", {"name": "Acme"})
    for name in ("a", "b", "c"):
        org.create("contacts", {"lastname": name, "parentcustomerid_account@odata.bind": f"/accounts({account})"})
    lead = org.create("leads", {"lastname": "Ax", "parentaccountid@odata.bind": f"/accounts({account})"})
    return {"account": account, "lead": lead}


def test_in_a_set_the_row_behind_a_lookup_has_no_etag(org: Org, acme: dict[str, str]) -> None:
    """V21."""
    (row,) = org.values("leads", select="lastname", expand="parentaccountid($select=name)")
    assert row["parentaccountid"] == {"name": "Acme", "accountid": acme["account"]}
    single = org.read(f"leads({acme['lead']})", select="lastname", expand="parentaccountid($select=name)")
    assert list(single["parentaccountid"]) == ["@odata.etag", "name", "accountid"]


def test_in_a_set_a_collection_is_followed_by_its_address(org: Org, acme: dict[str, str]) -> None:
    """V21."""
    answer = org.read("accounts", select="name", expand="contact_customer_accounts($select=lastname)")
    assert answer["@odata.context"] == f"{ROOT}$metadata#accounts(name,contact_customer_accounts(lastname))"
    (row,) = answer["value"]
    children = row["contact_customer_accounts"]
    assert list(children[0]) == ["@odata.etag", "lastname", "_parentcustomerid_value", "contactid"]
    link = row["contact_customer_accounts@odata.nextLink"]
    assert link == f"{ROOT}accounts({acme['account']})/contact_customer_accounts?$select=lastname"
    assert {child["lastname"] for child in org.values(link)} == {"a", "b", "c"}
    single = org.read(f"accounts({acme['account']})", expand="contact_customer_accounts($select=lastname)")
    assert "contact_customer_accounts@odata.nextLink" not in single


def test_collections_beside_a_nested_expand_are_paged(org: Org, acme: dict[str, str]) -> None:
    """V21: the preferred page size counts for them too; the link goes on from there."""
    expand = "contact_customer_accounts($select=lastname;$expand=owninguser($select=fullname))"
    prefer = {"Prefer": "odata.maxpagesize=2"}
    (row,) = org.read("accounts", prefer, select="name", expand=expand)["value"]
    assert [child["lastname"] for child in row["contact_customer_accounts"]] == ["a", "b"]
    assert "@odata.etag" not in row["contact_customer_accounts"][0]
    assert row["contact_customer_accounts"][0]["owninguser"]["fullname"] == "Lead Sync"
    rest = org.read(row["contact_customer_accounts@odata.nextLink"], prefer)["value"]
    assert [child["lastname"] for child in rest] == ["c"]
    assert rest[0]["owninguser"]["ownerid"] == SANDBOX_USER
    assert acme["account"] in row["contact_customer_accounts@odata.nextLink"]


@pytest.mark.parametrize(
    "expand",
    [
        "contact_customer_accounts($top=1;$expand=owninguser)",
        "contact_customer_accounts($orderby=lastname;$expand=owninguser)",
        "primarycontactid($top=1)",
        "primarycontactid($orderby=lastname)",
    ],
)
def test_order_and_top_stand_beside_plain_collections_only(org: Org, expand: str) -> None:
    """V21."""
    answer = org.get("accounts", expand=expand)
    assert (answer.status, code(answer)) == (400, "0x80060888")
    assert message(answer).startswith("Only $select and $filter clause can be provided while doing $expand")


def test_references_are_expanded(org: Org, acme: dict[str, str]) -> None:
    """V21."""
    answer = org.read("leads", select="lastname", expand="parentaccountid/$ref")
    assert answer["@odata.context"].endswith("#leads(lastname,parentaccountid,parentaccountid/$ref())")
    (row,) = answer["value"]
    assert row["_parentaccountid_value"] == acme["account"]
    assert row["parentaccountid"] == {"@odata.id": f"{ROOT}accounts({acme['account']})"}
    refused = org.get("accounts", expand="contact_customer_accounts/$ref")
    assert message(refused) == "Expand with $ref is only supported on lookup type navigation property."


def test_the_abstract_owner_offers_its_key_only(org: Org, acme: dict[str, str]) -> None:
    """V14, section 3.3."""
    row = org.read(f"leads({acme['lead']})", select="lastname", expand="ownerid")
    assert row["ownerid"] == {"@odata.type": "#Microsoft.Dynamics.CRM.systemuser", "ownerid": SANDBOX_USER}
    refused = org.get(f"leads({acme['lead']})", expand="ownerid($select=fullname)")
    assert message(refused) == "Could not find a property named 'fullname' on type 'Microsoft.Dynamics.CRM.principal'."
    assert org.values("leads", filter=f"ownerid/ownerid eq {SANDBOX_USER}")
    assert org.get("leads", filter="ownerid/fullname eq 'x'").status == 400


@pytest.mark.parametrize("entity_set", ["systemusers", "teams"])
def test_users_and_teams_show_their_key_as_owner_too(org: Org, entity_set: str) -> None:
    """Users and teams inherit from the abstract type of owners."""
    row = org.values(entity_set, select="createdon")[0]
    key = row[f"{entity_set[:-1]}id"]
    assert list(row) == ["@odata.etag", "createdon", f"{entity_set[:-1]}id", "ownerid"]
    assert row["ownerid"] == key
    assert len(org.values(entity_set, filter=f"ownerid eq {key}")) == 1


@pytest.mark.parametrize(
    "expand", ["nothing", "parentaccountid($skip=1)", "parentaccountid($select=x)", "parentaccountid("]
)
def test_an_expand_that_makes_no_sense_is_refused(org: Org, expand: str) -> None:
    """V21."""
    assert org.get("leads", expand=expand).status == 400


def test_joins_are_limited(org: Org) -> None:
    """Section 12.3."""
    nested: Any = "parentaccountid"
    for _ in range(16):
        nested = f"parentaccountid($expand={nested})"
    answer = org.get("accounts", expand=nested)
    assert (answer.status, "exceeds the limit of 15" in message(answer)) == (400, True)


def test_one_related_row_and_the_size_of_a_collection_are_addressed(org: Org, acme: dict[str, str]) -> None:
    """Section 3.1."""
    collection = f"accounts({acme['account']})/contact_customer_accounts"
    assert org.get(f"{collection}/$count").body == b"3"
    assert org.get(f"{collection}/$count", filter="lastname eq 'a'").body == b"1"
    child = org.values(collection, filter="lastname eq 'a'")[0]["contactid"]
    assert org.read(f"{collection}({child})", select="lastname")["lastname"] == "a"
    assert org.read(f"{collection}({child})/lastname")["value"] == "a"
    stranger = org.create("contacts", {"lastname": "z"})
    answer = org.get(f"{collection}({stranger})")
    assert (answer.status, content(answer)["error"]["code"]) == (404, "0x80040217")
