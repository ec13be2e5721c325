"""The salesperson's pages, used through their own forms."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import pytest

from tests.sandbox.pages.conftest import Browser

NASTY = "<script>alert(1)</script>\"'"


def made(browser: Browser, table: str, **values: object) -> str:
    arguments = {"entity": table, "values": values}
    return str(browser.sandbox.control("create_row", arguments, service="dynamics")["id"])


def stored(browser: Browser, table: str, row: str) -> dict[str, Any]:
    return dict(browser.sandbox.control("read_row", {"entity": table, "id": row}, service="dynamics"))


def address(table: str, row: str) -> str:
    return f"/_sandbox/pages/row?table={table}&id={row}"


@pytest.fixture
def lead(seller: Browser) -> str:
    return made(seller, "lead", lastname="Ødegård", firstname=NASTY, subject="Desk", emailaddress1="o@desk.example")


@pytest.mark.parametrize("text", ["{id}", "O@desk.example", "degard", "ØDEGÅRD"])
def test_a_row_is_found_by_id_address_or_part_of_its_name(seller: Browser, lead: str, text: str) -> None:
    seller.open(f"/_sandbox/?table=lead&q={quote(text.format(id=lead))}")
    assert lead in seller.text


@pytest.mark.parametrize("text", ["100%25", "' OR 1=1 --", "nobody@desk.example", "%00"])
def test_a_search_takes_every_text_literally(seller: Browser, text: str) -> None:
    assert "No rows." in seller.open(f"/_sandbox/?table=lead&q={text}").page.seen


def test_whatever_a_name_holds_is_shown_and_never_carried_out(seller: Browser, lead: str) -> None:
    for place in (f"/_sandbox/?table=lead&q={lead}", address("lead", lead), f"/_sandbox/?table={NASTY}"):
        seller.open(place)
        assert "<script" not in seller.text
    assert NASTY in seller.open(address("lead", lead)).page.seen


def test_every_table_has_its_pages(seller: Browser) -> None:
    tables = [one["name"] for one in seller.sandbox.control("list_tables", {}, service="dynamics")]
    assert len(tables) > 8
    for table in tables:
        assert seller.open(f"/_sandbox/?table={table}").status == 200
        assert seller.open(f"/_sandbox/pages/new?table={table}").status == 200


def test_an_edit_is_one_of_the_colleague_who_was_chosen(seller: Browser, lead: str) -> None:
    typed = {"now__jobtitle": "CTO", "now__donotphone": "true", "now__leadsourcecode": "1", "now__revenue": "12.5"}
    seller.open(address("lead", lead)).submit("edit", **typed, user="Bo Berg")
    assert "Saved." in seller.page.seen
    row = stored(seller, "lead", lead)
    shown = (row["jobtitle"], row["donotphone"], row["leadsourcecode"], row["revenue"])
    assert shown == ("CTO", True, 1, 12.5)
    assert " by Bo Berg " in seller.page.seen


def test_an_edit_takes_nothing_back_that_came_in_the_meantime(seller: Browser, lead: str) -> None:
    seller.open(address("lead", lead))
    edit = {"entity": "lead", "id": lead, "values": {"jobtitle": "by the sync"}}
    seller.sandbox.control("edit_row", edit, service="dynamics")
    seller.submit("edit", now__telephone1="+47 1")
    row = stored(seller, "lead", lead)
    assert (row["jobtitle"], row["telephone1"]) == ("by the sync", "+47 1")


@pytest.mark.parametrize("table", ["lead", "contact", "account", "systemuser"])
def test_a_form_that_was_sent_as_it_came_changes_nothing(seller: Browser, table: str) -> None:
    (newest,) = seller.sandbox.control("find_rows", {"entity": table, "limit": 1}, service="dynamics")
    before = stored(seller, table, newest["id"])
    seller.open(address(table, newest["id"])).submit("edit")
    assert "Nothing was different." in seller.page.seen
    assert stored(seller, table, newest["id"]) == before


def test_a_refusal_is_shown_beside_what_was_typed(seller: Browser, lead: str) -> None:
    seller.open(address("lead", lead)).submit("edit", now__revenue="much", now__jobtitle="CTO")
    assert seller.status == 422
    assert "0x" in seller.page.seen
    form = next(values for action, values in seller.page.forms if action.endswith("/edit"))
    assert (form["now.revenue"], form["now.jobtitle"]) == ("much", "CTO")
    assert "jobtitle" not in stored(seller, "lead", lead)


def test_a_plug_in_that_refuses_is_heard(seller: Browser, lead: str) -> None:
    plugin = {"entity": "lead", "when": {"jobtitle": "Pope"}, "message": "No <b>popes</b>"}
    seller.sandbox.control("fail_writes", plugin, service="dynamics")
    try:
        seller.open(address("lead", lead)).submit("edit", now__jobtitle="Pope")
        assert "No <b>popes</b>" in seller.page.seen
    finally:
        seller.sandbox.control("fail_writes", {"entity": "lead", "message": None}, service="dynamics")


def test_a_lookup_is_set_and_cleared(seller: Browser) -> None:
    account, contact = made(seller, "account", name="Desk Ltd"), made(seller, "contact", lastname="Look")
    seller.open(address("contact", contact)).submit("edit", now__parentcustomerid=f"account/{account}")
    row = stored(seller, "contact", contact)
    assert (row["parentcustomerid"], row["parentcustomeridtype"]) == (account, "account")
    assert contact in seller.open(address("account", account)).text
    seller.open(address("contact", contact)).submit("edit", now__parentcustomerid="")
    assert "parentcustomerid" not in stored(seller, "contact", contact)


def test_a_row_is_created_and_deleted_by_hand(seller: Browser) -> None:
    seller.open("/_sandbox/pages/new?table=lead").submit("new", now__lastname="Typed", now__subject="By hand")
    assert "Created." in seller.page.seen
    seller.submit("delete")
    assert "The row is deleted." in seller.page.seen
    assert seller.open("/_sandbox/?table=lead&q=Typed").page.seen.count("No rows.") == 1


def test_a_new_row_that_is_refused_keeps_what_was_typed(seller: Browser) -> None:
    seller.open("/_sandbox/pages/new?table=lead").submit("new", now__lastname="Kept", now__revenue="much")
    assert seller.status == 422
    assert next(values for action, values in seller.page.forms if action.endswith("new"))["now.lastname"] == "Kept"


def test_a_lead_is_qualified(seller: Browser, lead: str) -> None:
    seller.open(address("lead", lead)).submit("qualify", account=None)
    assert "Qualified" in seller.page.seen
    assert stored(seller, "lead", lead)["statecode"] == 1
    assert "contact" in seller.page.seen.partition("Rows that point here")[2]
    assert not [action for action, _ in seller.page.forms if action.endswith("qualify")]


def test_two_rows_are_merged_and_a_wrong_id_is_refused(seller: Browser) -> None:
    keep, lose = made(seller, "contact", lastname="Keep"), made(seller, "contact", lastname="Lose")
    seller.open(address("contact", keep)).submit("merge", subordinate="nonsense")
    assert seller.status == 422
    seller.submit("merge", subordinate=lose)
    assert "Merged." in seller.page.seen
    assert stored(seller, "contact", lose)["masterid"] == keep


@pytest.mark.parametrize("place", ["row?table=lead&id=x", "row?table=nothing&id=x", "row", "new?table=nothing", "new"])
def test_what_does_not_exist_is_404(seller: Browser, place: str) -> None:
    assert seller.open(f"/_sandbox/pages/{place}").status == 404


def test_a_form_about_a_row_that_has_gone_is_404(seller: Browser) -> None:
    row = made(seller, "contact", lastname="Gone")
    seller.open(address("contact", row))
    seller.sandbox.control("delete_row", {"entity": "contact", "id": row}, service="dynamics")
    assert seller.submit("edit", now__jobtitle="x").status == 404
