"""Merge (V63, V30; section 15.2)."""

from __future__ import annotations

from typing import Any

import pytest

from include.sandbox.service import Response
from tests.sandbox.dynamics.conftest import ANN, NOWHERE, USD, Org, code

TYPE = "Microsoft.Dynamics.CRM."
SETS = {"contact": "contacts", "account": "accounts", "lead": "leads"}


def reference(table: str, row_id: str) -> dict[str, str]:
    return {f"{table}id": row_id, "@odata.type": f"{TYPE}{table}"}


def merge(org: Org, table: str, keep: str, lose: str, update: dict[str, Any] | None = None, **more: Any) -> Response:
    body = {"Target": reference(table, keep), "Subordinate": reference(table, lose), "PerformParentingChecks": False}
    if update is not None:
        body["UpdateContent"] = {"@odata.type": f"{TYPE}{table}", **update}
    return org.call("POST", "Merge", {**body, **more})


@pytest.mark.parametrize(("table", "closed"), [("contact", (1, 2)), ("account", (1, 2)), ("lead", (2, 4))])
def test_the_loser_is_inactive_and_names_the_survivor(org: Org, table: str, closed: tuple[int, int]) -> None:
    """V63, O7."""
    entity_set = SETS[table]
    keep, lose = org.create(entity_set, {"telephone1": "1"}), org.create(entity_set, {"telephone1": "2"})
    response = merge(org, table, keep, lose, {"telephone2": "3"})
    assert (response.status, response.body) == (204, b"")
    loser, winner = org.read(f"{entity_set}({lose})"), org.read(f"{entity_set}({keep})")
    assert (loser["merged"], loser["_masterid_value"]) == (True, keep)
    assert (loser["statecode"], loser["statuscode"]) == closed
    assert (winner["merged"], winner["_masterid_value"], winner["statecode"]) == (False, None, 0)
    assert (winner["telephone1"], winner["telephone2"]) == ("1", "3")


def test_children_of_the_loser_move_to_the_survivor(org: Org) -> None:
    """V63, section 14.7."""
    keep, lose = org.create("accounts", {"name": "A"}), org.create("accounts", {"name": "B"})
    contact = org.create("contacts", {"parentcustomerid_account@odata.bind": f"/accounts({lose})"})
    lead = org.create("leads", {"parentaccountid@odata.bind": f"/accounts({lose})"})
    customer = org.create("leads", {"customerid_account@odata.bind": f"/accounts({lose})"})
    assert merge(org, "account", keep, lose).status == 204
    assert org.read(f"contacts({contact})")["_parentcustomerid_value"] == keep
    assert org.read(f"leads({lead})")["_parentaccountid_value"] == keep
    assert org.read(f"leads({customer})")["_customerid_value"] == keep


def test_a_contact_s_leads_and_contacts_move_but_not_those_of_an_account_with_its_id(org: Org) -> None:
    """V63."""
    keep, lose = org.create("contacts", {"lastname": "A"}), org.create("contacts", {"lastname": "B"})
    org.create("accounts", {"accountid": lose})  # keys of two tables may be equal
    under = org.create("contacts", {"parentcustomerid_contact@odata.bind": f"/contacts({lose})"})
    beside = org.create("contacts", {"parentcustomerid_account@odata.bind": f"/accounts({lose})"})
    assert merge(org, "contact", keep, lose).status == 204
    assert org.read(f"contacts({under})")["_parentcustomerid_value"] == keep
    assert org.read(f"contacts({beside})")["_parentcustomerid_value"] == lose


def test_both_rows_and_the_moved_children_come_in_the_next_delta_and_nothing_is_deleted(org: Org) -> None:
    """V30, section 4.3."""
    keep, lose = org.create("contacts", {"lastname": "A"}), org.create("contacts", {"lastname": "B"})
    child = org.create("contacts", {"parentcustomerid_contact@odata.bind": f"/contacts({lose})"})
    org.create("contacts", {"lastname": "C"})
    link = org.read("contacts?$select=statecode,merged", {"Prefer": "odata.track-changes"})["@odata.deltaLink"]
    merge(org, "contact", keep, lose)
    changes = {row["contactid"]: row for row in org.read(link)["value"]}
    assert set(changes) == {keep, lose, child}
    assert (changes[lose]["merged"], changes[lose]["statecode"]) == (True, 1)


@pytest.mark.parametrize("table", sorted(SETS))
def test_a_row_is_not_merged_with_itself(org: Org, table: str) -> None:
    """V63."""
    row = org.create(SETS[table], {})
    response = merge(org, table, row, row)
    assert (response.status, code(response)) == (400, "0x80045305")


def test_inactive_rows_are_not_merged(org: Org) -> None:
    """V63."""
    keep, lose, third = (org.create("contacts", {}) for _ in range(3))
    assert merge(org, "contact", keep, lose).status == 204
    for pair in ((third, lose), (lose, third)):
        response = merge(org, "contact", *pair)
        assert (response.status, code(response)) == (400, "0x80045304")


def test_rows_of_two_tables_or_of_other_tables_are_not_merged(org: Org) -> None:
    """V63."""
    contact, account = org.create("contacts", {}), org.create("accounts", {})
    response = merge(org, "contact", contact, "", Subordinate=reference("account", account))
    assert (response.status, code(response)) == (400, "0x80045303")
    currency = {"transactioncurrencyid": USD, "@odata.type": f"{TYPE}transactioncurrency"}
    response = merge(org, "contact", "", "", Target=currency, Subordinate=currency)
    assert (response.status, code(response)) == (400, "0x80045303")


def test_a_survivor_below_the_loser_would_be_its_own_parent(org: Org) -> None:
    """V63."""
    lose = org.create("accounts", {"name": "top"})
    middle = org.create("accounts", {"parentaccountid@odata.bind": f"/accounts({lose})"})
    keep = org.create("accounts", {"parentaccountid@odata.bind": f"/accounts({middle})"})
    response = merge(org, "account", keep, lose)
    assert (response.status, code(response)) == (400, "0x80045300")
    assert merge(org, "account", lose, keep).status == 204


def test_different_parents_matter_only_when_checks_are_asked_for(org: Org) -> None:
    """V63."""
    one, two = org.create("accounts", {}), org.create("accounts", {})
    keep = org.create("contacts", {"parentcustomerid_account@odata.bind": f"/accounts({one})"})
    lose = org.create("contacts", {"parentcustomerid_account@odata.bind": f"/accounts({two})"})
    assert merge(org, "contact", keep, lose, PerformParentingChecks=True).status == 400
    assert merge(org, "contact", keep, lose).status == 204


def test_a_refused_update_content_takes_everything_back(org: Org) -> None:
    """V63."""
    keep, lose = org.create("contacts", {}), org.create("contacts", {})
    before = org.read(f"contacts({lose})")
    assert code(merge(org, "contact", keep, lose, {"jobtitle": "x" * 101})) == "0x80044331"
    assert code(merge(org, "contact", keep, lose, {"nonsense": 1})) == "0x80048d19"
    assert org.read(f"contacts({lose})") == before


def test_merging_needs_rights_and_rows(org: Org) -> None:
    """V63."""
    keep, lose = org.create("contacts", {}), org.create("contacts", {})
    assert code(merge(org, "contact", keep, NOWHERE)) == "0x80040217"
    assert code(merge(org, "contact", keep, "no guid")) == "0x80040203"
    assert code(org.call("POST", "Merge", {})) == "0x80040203"
    assert org.get("Merge").status == 404
    org.control("set_privileges", user="sandbox", table="contact", privileges=["read", "create"])
    response = merge(org, "contact", keep, lose)
    assert (response.status, code(response)) == (400, "0x80045301")


def test_a_colleague_merges(org: Org) -> None:
    """V63, control command `merge_rows`."""
    keep, lose = org.create("leads", {"lastname": "A"}), org.create("leads", {"lastname": "B"})
    done = org.control("merge_rows", entity="lead", target=keep, subordinate=lose, values={"jobtitle": "CTO"})
    winner, loser = org.read(f"leads({keep})"), org.read(f"leads({lose})")
    assert (winner["jobtitle"], winner["_modifiedby_value"], winner["versionnumber"]) == ("CTO", ANN, done["version"])
    assert (loser["merged"], loser["versionnumber"]) == (True, done["subordinate"]["version"])
    with pytest.raises(ValueError, match="0x80045305"):
        org.control("merge_rows", entity="lead", target=keep, subordinate=keep)
