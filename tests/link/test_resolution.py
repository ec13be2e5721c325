"""Who keeps which link, as a pure question: whatever was merged into what, nobody has two and nobody loses one."""

from __future__ import annotations

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from include.leadsync.extract.merges import MERGES_SCHEMA, merges, survivors
from include.leadsync.link.resolution import Claim, Successor, chains, resolve
from include.leadsync.model import Entity

LEAD, CONTACT = Entity.LEAD, Entity.CONTACT


def claim(number: int, person: int | None, record: str, entity: Entity = LEAD, status: str = "active") -> Claim:
    return Claim(number, entity, person, record, status, 0)


def to(record: str, entity: Entity = LEAD) -> Successor:
    return Successor(entity, record)


def test_a_circle_of_masters_has_no_end_and_takes_nobody_along() -> None:
    last, circular = chains({"a": to("b"), "b": to("c"), "c": to("b"), "d": to("e"), "e": to("f", CONTACT)})
    assert circular == {"a", "b", "c"}
    assert {crm_id: (s.crm_id, s.entity, s.steps) for crm_id, s in last.items()} == {
        "d": ("f", CONTACT, 2),
        "e": ("f", CONTACT, 1),
    }


def test_of_two_links_that_both_go_to_a_free_record_the_nearer_one_keeps_it() -> None:
    last, _ = chains({"far": to("near"), "near": to("contact", CONTACT)})
    moved, ended = resolve([claim(1, 1, "far"), claim(2, 2, "near")], {}, last)
    assert [(move.claim.link_id, move.crm_id, move.converted) for move in moved] == [(2, "contact", True)]
    assert [(end.move.claim.link_id, end.record_taken, end.person_left) for end in ended] == [(1, True, True)]


@pytest.mark.parametrize(
    ("first", "then", "links", "qualified"),
    [
        (to("b"), to("k", CONTACT), "b", False),  # merged into a linked lead that is qualified: merged (D42)
        (to("b"), to("k", CONTACT), "k", True),  # merged into a free lead that is qualified into a linked contact (D37)
        (to("k", CONTACT), to("l", CONTACT), "l", False),
        (to("k", CONTACT), to("l", CONTACT), "k", True),
    ],
)
def test_a_link_ends_by_the_step_that_led_to_another_one_however_many_follow_at_once(
    first: Successor, then: Successor, links: str, qualified: bool
) -> None:
    last, _ = chains({"a": first, first.crm_id: then})
    entity = LEAD if links == "b" else CONTACT
    moved, (end,) = resolve([claim(1, 1, "a"), claim(2, 2, links, entity)], {}, last)
    assert (end.move.claim.link_id, end.qualified) == (1, qualified)
    assert [move.crm_id for move in moved] == ([] if links == then.crm_id else [then.crm_id])


def test_an_open_link_goes_before_one_that_is_kept_out_and_the_oldest_of_equals_first() -> None:
    claims = [claim(3, 3, "c"), claim(2, 2, "b"), claim(1, 1, "a", status="suspended")]
    moved, _ = resolve(claims, {1: 9, 2: 9, 3: 9}, {})
    assert [move.claim.link_id for move in moved] == [2]


PERSONS = st.integers(1, 6)
RECORDS = st.sampled_from("abcdef")


@given(
    st.dictionaries(PERSONS, PERSONS, max_size=6),
    st.dictionaries(RECORDS, RECORDS, max_size=6),
    st.lists(st.tuples(PERSONS, RECORDS), unique_by=(lambda c: c[0], lambda c: c[1]), max_size=6),
)
def test_whatever_is_merged_each_person_and_record_has_one_link_and_those_that_had_one_keep_one(
    persons: dict[int, int], records: dict[str, str], linked: list[tuple[int, str]]
) -> None:
    merged = pl.DataFrame([(a, b) for a, b in persons.items() if a != b], schema=MERGES_SCHEMA, orient="row")
    person_of = survivors(merged)
    record_of, _ = chains({a: to(b) for a, b in records.items() if a != b})
    claims = [claim(number, person, record) for number, (person, record) in enumerate(linked, start=1)]
    moved, ended = resolve(claims, person_of, record_of)
    after = {c.link_id: (c.person_id, c.crm_id) for c in claims}
    after |= {move.claim.link_id: (move.person_id, move.crm_id) for move in moved}
    for end in ended:
        del after[end.move.claim.link_id]
    assert len({person for person, _ in after.values()}) == len(after)
    assert len({record for _, record in after.values()}) == len(after)
    for end in ended:  # whoever ends has lost to somebody who has what it wanted
        wanted = {end.move.person_id, end.move.crm_id}
        assert wanted & set(after[end.kept.claim.link_id])


@pytest.mark.parametrize("listed", ["[7, 8]", '["7", "8"]', '"7,8"', '"[7, 8]"'])
def test_the_merge_activity_names_its_losers_in_whatever_form(listed: str) -> None:
    rows = pl.DataFrame({"person_id": [1], "primary_id": [1], "attributes": [f'{{"merge ids": {listed}}}']})
    assert sorted(merges(rows).rows()) == [(7, 1), (8, 1)]


def test_a_merge_activity_that_has_moved_on_tells_of_the_later_merge_too() -> None:
    rows = pl.DataFrame({"person_id": [3], "primary_id": [2], "attributes": ['{"Merge IDs": [1]}']})
    assert survivors(merges(rows)) == {1: 3, 2: 3}
