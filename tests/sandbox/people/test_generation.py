"""Believable people, the same in every slice, equal on both sides."""

from __future__ import annotations

import csv
import re
import tracemalloc
import unicodedata
import uuid
from collections import Counter
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import cast

import pytest

from include.sandbox.people import generation
from include.sandbox.people.generation import FLAGS, LEAD_TEXTS, TEXTS, Pair, accounts, people

# Widths of the Dynamics columns (dataverse-api.md 14.1, 14.2), in UTF-16 code units.
WIDTHS = {
    "salutation": 100, "firstname": 50, "middlename": 50, "lastname": 50, "emailaddress1": 100, "jobtitle": 100,
    "telephone1": 50, "telephone2": 50, "mobilephone": 20, "fax": 50, "address1_line1": 250, "address1_line2": 250,
    "address1_line3": 250, "address1_city": 80, "address1_stateorprovince": 50, "address1_country": 80,
    "address1_postalcode": 20, "description": 2000, "companyname": 100, "subject": 255,
}  # fmt: skip
OPTIONS = {
    "lead": {
        "leadsourcecode": generation.LEAD_SOURCES,
        "leadqualitycode": generation.RATINGS,
        "preferredcontactmethodcode": generation.CONTACT_METHODS,
        "statecode": {0: "Open", 1: "Qualified", 2: "Disqualified"},
        "statuscode": {
            1: "New", 2: "Contacted", 3: "Qualified", 4: "Lost", 5: "Cannot Contact",
            6: "No Longer Interested", 7: "Canceled",
        },
    },
    "contact": {
        "preferredcontactmethodcode": generation.CONTACT_METHODS,
        "statecode": {0: "Active", 1: "Inactive"},
        "statuscode": {1: "Active", 2: "Inactive"},
    },
}  # fmt: skip
CHOICES = {
    "leadSource": "leadsourcecode",
    "rating": "leadqualitycode",
    "microsoftPreferredMethodOfContact": "preferredcontactmethodcode",
    "leadStatus": "statecode",
    "microsoftStatusReason": "statuscode",
}


@cache
def sample() -> tuple[Pair, ...]:
    return tuple(people(7, 4000))


@cache
def every_text() -> str:
    """The values of all records, each ended by a NUL: one search finds how many of them hold something."""
    return "".join(f"{value}\0" for _, _, record in linked_records() for value in record.values())


def linked_records() -> Iterator[tuple[Pair, dict[str, object], dict[str, object]]]:
    for pair in sample():
        assert pair.person is not None
        assert pair.record is not None
        yield pair, pair.person, pair.record


def test_the_same_seed_gives_the_same_people_and_another_seed_others() -> None:
    assert list(people(3, 50)) == list(people(3, 50))
    assert [pair.record for pair in people(3, 50)] != [pair.record for pair in people(4, 50)]


def test_a_person_does_not_change_from_release_to_release() -> None:
    first = next(people(1, 1))
    assert first.person is not None
    assert first.record is not None
    assert first.person["email"] == "yui.kobayashi0@minato-seisakusho.example"
    assert first.record["contactid"] == "e16359cf-3178-4726-9e3f-518cb36af8fb"


def test_a_slice_made_alone_equals_that_part_of_the_whole() -> None:
    whole = list(people(5, 300, linked=0.7, contacts=0.5))
    assert list(people(5, 40, start=211, linked=0.7, contacts=0.5)) == whole[211:251]


def test_people_are_streamed() -> None:
    list(people(1, 100))  # pools are built once
    tracemalloc.start()
    for _ in people(1, 1000):  # kept, they would take megabytes
        pass
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 300_000


def test_texts_are_equal_on_both_sides_of_a_link() -> None:
    for pair, person, record in linked_records():
        texts = TEXTS if pair.table == "contact" else {**TEXTS, **LEAD_TEXTS}
        for field, column in texts.items():
            assert person.get(field) == record.get(column), (pair.index, field)


def test_flags_are_equal_where_a_missing_one_reads_as_false() -> None:
    missing = 0
    for pair, person, record in linked_records():
        for field, column in FLAGS.items():
            missing += field not in person
            assert bool(person.get(field)) is record[column], (pair.index, field)
    assert missing > 1000


def test_choices_are_labels_in_marketo_and_their_numbers_in_dynamics() -> None:
    for pair, person, record in linked_records():
        for field, column in CHOICES.items():
            options = OPTIONS[pair.table].get(column)
            if options is None:
                assert field not in person
                assert column not in record
            else:
                number = record[column]
                assert person.get(field) == (None if number is None else options[cast("int", number)]), (
                    pair.index,
                    field,
                )


def test_money_is_the_same_number_with_at_most_two_decimals() -> None:
    amounts = []
    for _, person, record in linked_records():
        assert person.get("annualRevenue") == record.get("revenue")
        if "revenue" in record:
            amounts.append(record["revenue"])
    assert all(round(amount * 100) == pytest.approx(amount * 100) for amount in amounts)  # type: ignore[operator]
    assert any(isinstance(amount, float) for amount in amounts)
    assert any(isinstance(amount, int) for amount in amounts)


def test_a_linked_person_names_its_record() -> None:
    for pair, person, record in linked_records():
        assert person["microsoftId"] == record[f"{pair.table}id"]
        assert person["microsoftId"] == str(uuid.UUID(str(person["microsoftId"])))  # lower case, canonical
        assert person["microsoftType"] == pair.table.capitalize()
        assert person["microsoftCreatedDate"] == record["createdon"]
        assert person["microsoftIsDeleted"] is False


def test_status_reasons_belong_to_their_state() -> None:
    allowed = {("lead", s[0], s[2]) for s in generation.LEAD_STATES}
    allowed |= {("contact", s[0], s[2]) for s in generation.CONTACT_STATES}
    for pair, _, record in linked_records():
        assert (pair.table, record["statecode"], record["statuscode"]) in allowed


def test_values_fit_the_narrower_of_both_systems() -> None:
    for pair, _, record in linked_records():
        for column, width in WIDTHS.items():
            text = record.get(column)
            if isinstance(text, str):
                assert 0 < len(text.encode("utf-16-le")) // 2 <= width, (pair.index, column, text)
                assert text == text.strip()
                assert text == unicodedata.normalize("NFC", text)


def test_column_widths_are_those_of_the_emulated_org(project_root: Path) -> None:
    path = project_root / "include" / "sandbox" / "dynamics" / "data" / "attributes.csv"
    with path.open(encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if row["entity"] in ("lead", "contact")]
    narrowest: dict[str, int] = {}
    for row in rows:
        if row["logical_name"] in WIDTHS:
            width = int(row["max_length"])
            narrowest[row["logical_name"]] = min(width, narrowest.get(row["logical_name"], width))
    # A Marketo string holds 255 characters, a subject 300.
    assert {**narrowest, "subject": 255} == WIDTHS
    assert set(WIDTHS) == {*TEXTS.values(), *LEAD_TEXTS.values()}


def test_texts_hold_no_control_characters_but_line_breaks() -> None:
    allowed = re.compile(r"[^\x00-\x09\x0b-\x1f\x7f]*")
    for pair, _, record in linked_records():
        for column in WIDTHS:
            assert allowed.fullmatch(str(record.get(column, ""))), (pair.index, column)


def test_email_addresses_are_ascii_unique_and_never_deliverable() -> None:
    addresses = [str(record["emailaddress1"]) for _, _, record in linked_records()]
    assert len(set(map(str.lower, addresses))) == len(addresses)
    for address in addresses:
        assert re.fullmatch(r"[a-z0-9]+\.[a-z0-9]+@[a-z0-9]+(-[a-z0-9]+)*\.example", address), address


def test_keys_are_unique() -> None:
    keys = {record[f"{pair.table}id"] for pair, _, record in linked_records()}
    assert len(keys) == len(sample())
    assert len({account["accountid"] for account in accounts(7)} - keys) == len(list(accounts(7)))


def test_times_are_ordered_and_past() -> None:
    for _, person, record in linked_records():
        assert "2020-01-01" <= str(record["createdon"]) <= str(record["modifiedon"]) < "2026-10-01"
        assert str(record["createdon"]) < str(person["createdAt"])


@pytest.mark.parametrize(
    ("script", "characters"),
    {
        "Han": "[\u4e00-\u9fff]",
        "Hiragana and Katakana": "[\u3041-\u30ff]",
        "Hangul": "[\uac00-\ud7a3]",
        "Arabic": "[\u0600-\u06ff]",
        "Swedish": "[åäöÅÄÖ]",
        "Portuguese": "[ãõç]",
        "Spanish": "[ñ¿¡]",
        "German": "[ßü]",
        "emoji": "[\U0001f300-\U0001faff]",
        "beyond the basic plane": "[\U00020000-\U0002ffff]",
        "line break": "\n",
        "quotation marks": "[\"'’„]",
        "backslash": r"\\",
        "ampersand": "&",
    }.items(),
)
def test_every_script_and_every_trap_occurs(script: str, characters: str) -> None:
    holding = re.findall(rf"(?:{characters})[^\0]*", every_text())
    assert len(holding) >= 5, script


def test_numbers_that_are_texts_keep_their_zeros() -> None:
    codes = [str(record.get("address1_postalcode", "")) for _, _, record in linked_records()]
    assert sum(1 for code in codes if re.fullmatch(r"0\d+", code)) > 20


def test_long_notes_come_close_to_the_limit() -> None:
    lengths = [len(str(record.get("description", "")).encode("utf-16-le")) // 2 for _, _, record in linked_records()]
    assert max(lengths) > 1900


def test_some_values_of_every_field_are_missing_but_never_a_family_name_or_address() -> None:
    missing = Counter(
        column for _, _, record in linked_records() for column in TEXTS.values() if record.get(column) is None
    )
    assert set(TEXTS.values()) - set(missing) == {"lastname", "emailaddress1"}


@pytest.mark.parametrize(("contacts", "tables"), [(0.0, {"lead"}), (1.0, {"contact"}), (0.5, {"lead", "contact"})])
def test_the_share_of_contacts_is_kept(contacts: float, tables: set[str]) -> None:
    assert {pair.table for pair in people(1, 60, contacts=contacts)} == tables


def test_changing_the_shares_changes_nobody_else() -> None:
    for one, other in zip(people(2, 100, contacts=0.0), people(2, 100, linked=0.0, contacts=0.0), strict=True):
        if one.record and other.record:
            assert one.record == other.record


def test_unlinked_people_are_alone_or_twins_without_a_link() -> None:
    kinds: Counter[str] = Counter()
    for pair in people(1, 400, linked=0.0):
        kinds[pair.kind] += 1
        assert (pair.person is None) is (pair.kind == "record only")
        assert (pair.record is None) is (pair.kind == "person only")
        if pair.person is not None:
            assert not {name for name in pair.person if name in ("microsoftId", "microsoftType", "leadStatus")}
        if pair.kind == "unlinked twins":
            assert pair.person is not None
            assert pair.record is not None
            assert pair.person["email"] == pair.record["emailaddress1"]
    assert all(kinds[kind] > 50 for kind in ("person only", "record only", "unlinked twins"))
    assert not kinds["linked"]


def test_contacts_belong_to_the_account_of_their_company() -> None:
    names = {row["accountid"]: row["name"] for row in accounts(7)}
    for pair, person, record in linked_records():
        if pair.table == "contact":
            assert names[record["parentcustomerid"]] == person["company"]
