"""A change of the field map touches its own lines of leadsync.yaml and no other character."""

from __future__ import annotations

import difflib
from pathlib import Path

import pytest

from include.leadsync.console.map_text import CannotEdit, with_entry, with_values, without_entry
from include.leadsync.errors import ConfigurationInvalid
from include.leadsync.model import Entity

SHIPPED = (Path(__file__).resolve().parents[2] / "include" / "config" / "leadsync.yaml").read_bytes()
LEAD, CONTACT = Entity.LEAD, Entity.CONTACT
NEW = {"dynamics": "new_colour", "type": "string"}
SMALL = b"""\
# about the file
fields:
  lead:
    title: {dynamics: jobtitle, type: string}  # about the title
    # about the topic
    topic:
      dynamics: subject   # the column
      type: string
      aliases: {}

  # about contacts
  contact: {}
language: 1033
"""


def _changed(before: bytes, after: bytes) -> list[str]:
    """The lines that differ, with their signs."""
    lines = difflib.unified_diff(before.decode().splitlines(), after.decode().splitlines(), n=0, lineterm="")
    return [line for line in lines if not line.startswith(("---", "+++", "@@"))]


def test_a_new_entry_is_one_line_behind_the_last_one_laid_out_like_the_others() -> None:
    assert _changed(SMALL, with_entry(SMALL, LEAD, "colour", NEW)) == [
        "+    colour: {dynamics: new_colour, type: string}",
    ]
    added = with_entry(SHIPPED, LEAD, "fax2", {**NEW, "consent": True})
    assert _changed(SHIPPED, added) == ["+    fax2:           {dynamics: new_colour, type: string, consent: true}"]


def test_the_first_entry_of_an_empty_map_opens_it() -> None:
    assert _changed(SMALL, with_entry(SMALL, CONTACT, "colour", NEW)) == [
        "-  contact: {}",
        "+  contact:",
        "+    colour: {dynamics: new_colour, type: string}",
    ]


def test_an_entry_in_one_line_goes_with_its_remark_and_one_in_a_block_with_all_its_lines() -> None:
    assert _changed(SMALL, without_entry(SMALL, LEAD, "title")) == [
        "-    title: {dynamics: jobtitle, type: string}  # about the title"
    ]
    gone = without_entry(SMALL, LEAD, "topic")
    assert len(_changed(SMALL, gone)) == 4
    assert b"# about the topic" in gone
    assert b"# about contacts" in gone


def test_the_last_entry_that_leaves_keeps_the_map() -> None:
    alone = without_entry(without_entry(SMALL, LEAD, "title"), LEAD, "topic")
    assert with_entry(alone, LEAD, "colour", NEW)


@pytest.mark.parametrize(
    ("name", "values", "said"),
    [
        (
            "title",
            {"direction": "inbound"},
            "{dynamics: jobtitle, type: string, direction: inbound}  # about the title",
        ),
        ("title", {"winner": "marketo", "direction": None}, "{dynamics: jobtitle, type: string, winner: marketo}  #"),
        ("topic", {"direction": "outbound"}, "      type: string\n      direction: outbound\n      aliases: {}\n"),
    ],
)
def test_a_key_is_set_where_it_belongs(name: str, values: dict[str, str | None], said: str) -> None:
    assert said in with_values(SMALL, LEAD, name, values).decode()


@pytest.mark.parametrize("name", ["title", "topic"])
def test_what_was_set_can_be_changed_and_taken_out_again_without_a_trace(name: str) -> None:
    one = with_values(SMALL, LEAD, name, {"winner": "marketo"})
    two = with_values(one, LEAD, name, {"winner": "dynamics"})
    assert len(_changed(one, two)) == 2
    assert with_values(two, LEAD, name, {"winner": None}) == SMALL
    assert with_values(SMALL, LEAD, name, {"winner": None}) == SMALL


@pytest.mark.parametrize("name", ["salutation", "microsoftTopic", "microsoftDoNotSendMarketingMaterial", "leadSource"])
def test_every_way_in_which_the_shipped_map_is_written_can_be_edited(name: str) -> None:
    entity = LEAD
    set_once = with_values(SHIPPED, entity, name, {"winner": "dynamics"})
    assert len(_changed(SHIPPED, set_once)) in {1, 2}
    assert with_values(set_once, entity, name, {"winner": None}) == SHIPPED
    assert all(line.startswith("-") for line in _changed(SHIPPED, without_entry(SHIPPED, entity, name)))


def test_line_ends_of_windows_and_the_mark_at_the_beginning_stay() -> None:
    windows = b"\xef\xbb\xbf" + SMALL.replace(b"\n", b"\r\n")
    added = with_entry(windows, LEAD, "colour", NEW)
    assert added.startswith(b"\xef\xbb\xbf#")
    assert added.count(b"\n") == added.count(b"\r\n") == SMALL.count(b"\n") + 1
    assert without_entry(added, LEAD, "colour") == windows


def test_a_file_without_a_line_end_gets_its_entry_all_the_same() -> None:
    body = b"fields:\n  contact: {}\n  lead:\n    title: {dynamics: jobtitle, type: string}"
    assert with_entry(body, LEAD, "colour", NEW) == body + b"\n    colour: {dynamics: new_colour, type: string}\n"


def test_a_word_that_yaml_reads_as_something_else_is_quoted() -> None:
    assert b'dynamics: "null"' in with_entry(SMALL, LEAD, "colour", {**NEW, "dynamics": "null"})
    assert b'dynamics: "a, b: {c"' in with_entry(SMALL, LEAD, "colour", {**NEW, "dynamics": "a, b: {c"})


@pytest.mark.parametrize(
    "edit",
    [
        lambda: with_entry(SMALL, LEAD, "title", NEW),
        lambda: without_entry(SMALL, LEAD, "nobody"),
        lambda: with_values(SMALL, CONTACT, "title", {"winner": "marketo"}),
        # A name that would break out of its line is caught when the text is read again.
        lambda: with_entry(SMALL, LEAD, "a: {dynamics: x, type: string}\n    b", NEW),
    ],
)
def test_what_cannot_be_edited_safely_is_refused(edit: object) -> None:
    assert callable(edit)
    with pytest.raises((CannotEdit, ConfigurationInvalid)):
        edit()
