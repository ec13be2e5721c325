"""The marketer's pages, used through their own forms."""

from __future__ import annotations

from itertools import count

import pytest

from include.sandbox.people.generation import FIRST_PERSON_ID
from tests.sandbox.pages.conftest import Browser

NASTY = "<script>alert(1)</script>\"'&amp;"
_NUMBERS = count(1)


@pytest.fixture
def person(marketer: Browser) -> int:
    email = f"page{next(_NUMBERS)}@desk.example"
    values = {"email": email, "firstName": NASTY, "lastName": "Öberg"}
    return int(marketer.sandbox.control("create_person", {"values": values})["id"])


def values_of(browser: Browser, person: int) -> dict[str, object]:
    read = browser.sandbox.control("read_person", {"id": person})
    return dict(read["values"])


@pytest.mark.parametrize("text", ["{id}", "{email}", "{EMAIL}", "berg", "Öberg", "alert(1)"])
def test_a_person_is_found_by_id_address_or_part_of_a_name(marketer: Browser, person: int, text: str) -> None:
    email = str(values_of(marketer, person)["email"])
    asked = text.format(id=person, email=email, EMAIL=email.upper())
    marketer.open(f"/_sandbox/?q={asked}")
    assert f"/_sandbox/pages/person?id={person}" in marketer.text


@pytest.mark.parametrize("text", ["100%25", "a_b", "' OR 1=1 --", "nobody@desk.example", "9" * 40, "%00", "\\"])
def test_a_search_takes_every_text_literally(marketer: Browser, text: str) -> None:
    assert "Nobody was found" in marketer.open(f"/_sandbox/?q={text}").page.seen


def test_whatever_a_name_holds_is_shown_and_never_carried_out(marketer: Browser, person: int) -> None:
    for address in (f"/_sandbox/?q={person}", f"/_sandbox/pages/person?id={person}", f"/_sandbox/?q={NASTY}"):
        marketer.open(address)
        assert "<script" not in marketer.text
        assert "script" not in marketer.page.tags
    assert NASTY in marketer.open(f"/_sandbox/pages/person?id={person}").page.seen


def test_an_edit_is_one_of_a_human_with_its_activity(marketer: Browser, person: int) -> None:
    marketer.open(f"/_sandbox/pages/person?id={person}").submit("edit", now__title="CTO", now__doNotCall="true")
    assert "Saved." in marketer.page.seen
    assert values_of(marketer, person)["title"] == "CTO"
    assert values_of(marketer, person)["doNotCall"] is True
    newest = marketer.sandbox.control("person_activities", {"id": person, "limit": 2})
    assert {one["primary"] for one in newest} == {"Job Title", "Do Not Call"}
    assert {one["attributes"]["Reason"] for one in newest} == {"Manual person edit"}


def test_an_edit_takes_nothing_back_that_came_in_the_meantime(marketer: Browser, person: int) -> None:
    marketer.open(f"/_sandbox/pages/person?id={person}")
    marketer.sandbox.control("edit_person", {"id": person, "values": {"phone": "+46 8 1", "title": "by the sync"}})
    marketer.submit("edit", now__city="Malmö")
    kept = values_of(marketer, person)
    assert (kept["phone"], kept["title"], kept["city"]) == ("+46 8 1", "by the sync", "Malmö")


def test_a_form_that_was_sent_as_it_came_changes_nothing(marketer: Browser, person: int) -> None:
    note = {"mktoPersonNotes": "\nfirst\r\nsecond", "firstName": "two\nlines", "rating": " blank "}
    marketer.sandbox.control("edit_person", {"id": person, "values": note})
    before = marketer.sandbox.control("read_person", {"id": person})
    marketer.open(f"/_sandbox/pages/person?id={person}").submit("edit")
    assert "Nothing was different." in marketer.page.seen
    assert marketer.sandbox.control("read_person", {"id": person}) == before


def test_a_refusal_is_shown_beside_what_was_typed(marketer: Browser, person: int) -> None:
    marketer.open(f"/_sandbox/pages/person?id={person}").submit("edit", now__email="no address <i>", now__city="Kiruna")
    assert marketer.status == 422
    assert "1003 Invalid value for field 'email'" in marketer.page.seen
    form = next(values for action, values in marketer.page.forms if action.endswith("/edit"))
    assert (form["now.email"], form["now.city"]) == ("no address <i>", "Kiruna")
    assert marketer.submit("edit", now__email=str(values_of(marketer, person)["email"])).status == 200
    assert values_of(marketer, person)["city"] == "Kiruna"


def test_a_person_is_created_by_hand_and_a_known_address_is_refused(marketer: Browser) -> None:
    typed = {"now__email": "new@desk.example", "now__lastName": "New"}
    marketer.open("/_sandbox/pages/new").submit("new", **typed)
    assert "Created." in marketer.page.seen
    assert "Source Type: New person" in " ".join(marketer.page.seen.split())
    marketer.open("/_sandbox/pages/new").submit("new", **typed)
    assert marketer.status == 422
    assert "already" in marketer.page.seen
    marketer.submit("new", duplicate="on")
    assert "Created." in marketer.page.seen
    assert len(marketer.sandbox.control("find_people", {"text": "new@desk.example"})) == 2


def test_a_deleted_person_is_gone_and_logged(marketer: Browser, person: int) -> None:
    marketer.open(f"/_sandbox/pages/person?id={person}").submit("delete")
    assert "The person is deleted." in marketer.page.seen
    assert marketer.open(f"/_sandbox/pages/person?id={person}").status == 404
    (newest,) = marketer.sandbox.control("person_activities", {"id": person, "limit": 1})
    assert newest["type"] == "Delete Lead"


def test_a_person_goes_on_a_list_and_off_again(marketer: Browser, person: int) -> None:
    marketer.open("/_sandbox/pages/lists").submit("lists-new", name="Spring <b>fair</b>")
    assert "Spring <b>fair</b>" in marketer.page.seen
    marketer.open(f"/_sandbox/pages/person?id={person}").submit("pages/list")
    assert "Added to the list." in marketer.page.seen
    assert marketer.sandbox.control("read_person", {"id": person})["lists"]
    marketer.submit("unlist")
    assert "Taken off the list." in marketer.page.seen
    kinds = [one["type"] for one in marketer.sandbox.control("person_activities", {"id": person})]
    assert kinds[:2] == ["Remove from List", "Add to List"]


def test_activities_come_newest_first_page_by_page(marketer: Browser, person: int) -> None:
    for number in range(60):
        marketer.sandbox.control("edit_person", {"id": person, "values": {"title": f"title-{number:02}"}})
    marketer.open(f"/_sandbox/pages/person?id={person}")
    first = [f"New Value:  title-{number:02} " in marketer.page.seen for number in range(60)]
    assert first == [False] * 10 + [True] * 50
    address = next(part for part in marketer.text.split('"') if "before=" in part).replace("&amp;", "&")
    marketer.open(address)
    second = [f"New Value:  title-{number:02} " in marketer.page.seen for number in range(60)]
    assert second == [not one for one in first]


@pytest.mark.parametrize("number", ["0", "x", "", "-1", "1e3", "²", "9" * 30, str(FIRST_PERSON_ID + 10_000)])
def test_a_person_who_does_not_exist_is_404(marketer: Browser, number: str) -> None:
    assert marketer.open(f"/_sandbox/pages/person?id={number}").status == 404
