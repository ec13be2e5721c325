"""Who belongs to whom, from keys alone (D11, D13-D15, D101)."""

from __future__ import annotations

from typing import Any

import polars as pl
import pytest

from include.leadsync.survey.matching import MEANING, Matched, match

ROW = {
    "entity": "lead",
    "email": None,
    "state": 0,
    "merged": False,
    "master": None,
    "contact": None,
    "origin": None,
    "allowed": True,
    "place": None,
    "modified": "2026-01-01T00:00:00Z",
}
ROWS = {
    "entity": pl.String,
    "id": pl.String,
    "email": pl.String,
    "state": pl.Int64,
    "merged": pl.Boolean,
    "master": pl.String,
    "contact": pl.String,
    "origin": pl.String,
    "allowed": pl.Boolean,
    "place": pl.Int64,
    "modified": pl.String,
}
PERSONS = {"id": pl.Int64, "email": pl.String, "type": pl.String, "place": pl.Int64}
PAIR = {"person_id": pl.Int64, "crm_id": pl.String}


def matched(
    rows: dict[str, dict[str, Any]],
    persons: dict[int, dict[str, Any]],
    claims: list[tuple[int, str]] = [],  # noqa: B006 - never changed
    linked: list[tuple[int, str]] = [],  # noqa: B006 - never changed
    *,
    by_email: bool = True,
) -> Matched:
    return match(
        pl.DataFrame([{**ROW, "id": key, **row} for key, row in rows.items()], schema=ROWS),
        pl.DataFrame([{"id": key, **person} for key, person in persons.items()], schema=PERSONS),
        pl.DataFrame(claims, schema=PAIR, orient="row"),
        pl.DataFrame(linked, schema=PAIR, orient="row"),
        by_email=by_email,
    )


def pairs(found: Matched) -> set[tuple[str, int, str]]:
    return set(found.matches.select("crm_id", "person_id", "how").iter_rows())


def told(found: Matched) -> set[tuple[str, str | None, int | None]]:
    return set(found.conflicts.select("code", "crm_id", "person_id").iter_rows())


def test_ids_come_before_addresses() -> None:
    found = matched({"a": {"email": "x@y"}, "b": {}}, {1: {"email": "z@y"}, 2: {"email": "x@y"}}, [(1, "a")])
    assert pairs(found) == {("a", 1, "id")}
    assert (found.to_create, found.persons_alone) == (1, 1)


@pytest.mark.parametrize(("by_email", "expected"), [(True, {("a", 1, "email")}), (False, set())])
def test_addresses_count_only_where_asked_for(*, by_email: bool, expected: set[Any]) -> None:
    assert pairs(matched({"a": {"email": "x@y"}}, {1: {"email": "x@y"}}, by_email=by_email)) == expected


CONFLICTS: dict[str, tuple[dict[str, Any], set[Any]]] = {
    "several_carry_id": (
        {"rows": {"a": {}}, "persons": {1: {}, 2: {}}, "claims": [(1, "a"), (2, "a")]},
        {("several_carry_id", "a", 1), ("several_carry_id", "a", 2)},
    ),
    "several_records": (
        {"rows": {"a": {}, "b": {}}, "persons": {1: {}}, "claims": [(1, "a"), (1, "b")]},
        {("several_records", "a", 1), ("several_records", "b", 1)},
    ),
    "record_missing": ({"rows": {}, "persons": {1: {}}, "claims": [(1, "a")]}, {("record_missing", "a", 1)}),
    "record_merged": (
        {"rows": {"a": {"merged": True, "master": "b"}, "b": {}}, "persons": {1: {}}, "claims": [(1, "a")]},
        {("record_merged", "a", 1)},
    ),
    "linked_otherwise": (
        {"rows": {"a": {}}, "persons": {1: {}}, "claims": [(1, "a")], "linked": [(2, "a")]},
        {("linked_otherwise", "a", 1)},
    ),
    "several_candidates": (
        {"rows": {"a": {"email": "x@y"}}, "persons": {n: {"email": "x@y"} for n in range(10)}},
        {("several_candidates", "a", None)},
    ),
}


@pytest.mark.parametrize("code", CONFLICTS)
def test_a_conflict_is_listed_and_nothing_is_linked(code: str) -> None:
    arguments, expected = CONFLICTS[code]
    found = matched(**arguments)
    assert pairs(found) == set()
    assert told(found) == expected


def test_a_type_that_says_otherwise_is_listed_and_the_id_counts() -> None:
    found = matched({"a": {"entity": "contact"}}, {1: {"type": "Lead"}}, [(1, "a")])
    assert pairs(found) == {("a", 1, "id")}
    assert told(found) == {("type_mismatch", "a", 1)}


@pytest.mark.parametrize(
    ("rows", "first"),
    [
        ({"a": {}, "b": {"entity": "contact", "state": 1}}, "b"),
        ({"a": {"state": 2}, "b": {}}, "b"),
        ({"a": {}, "b": {"modified": "2026-02-01T00:00:00Z"}}, "b"),
    ],
    ids=["contact", "active", "latest"],
)
def test_of_several_records_with_one_address_one_goes_first(rows: dict[str, Any], first: str) -> None:
    found = matched({key: row | {"email": "x@y"} for key, row in rows.items()}, {1: {"email": "x@y"}})  # D15
    assert pairs(found) == {(first, 1, "email")}
    assert [code for code, _, _ in told(found)] == ["shared_address"]
    assert found.to_create == 1


def test_an_address_of_another_partition_is_another_person() -> None:
    found = matched({"a": {"email": "x@y", "place": 2}}, {1: {"email": "x@y", "place": 1}})  # D20
    assert pairs(found) == set()


def test_what_the_filter_keeps_out_is_matched_by_id_only() -> None:
    out = {"email": "x@y", "allowed": False}
    assert pairs(matched({"a": out}, {1: {"email": "x@y"}})) == set()
    assert pairs(matched({"a": out}, {1: {"email": "x@y"}}, [(1, "a")])) == {("a", 1, "id")}


def test_existing_links_stay_and_are_counted() -> None:
    found = matched({"a": {"email": "x@y"}}, {1: {}, 2: {"email": "x@y"}}, [(1, "a")], [(1, "a")])
    assert (pairs(found), found.already_linked, found.to_create) == (set(), 1, 0)


def test_every_conflict_has_a_meaning() -> None:
    assert set(CONFLICTS) | {"type_mismatch", "shared_address"} == set(MEANING)


NAMED: dict[str, dict[str, Any]] = {"a": {"state": 1, "contact": "b"}, "b": {"entity": "contact"}}
BORN: dict[str, dict[str, Any]] = {"a": {"state": 1}, "b": {"entity": "contact", "origin": "a"}}


@pytest.mark.parametrize("rows", [NAMED, BORN], ids=["named by the lead", "born of the lead"])
def test_a_lead_that_became_a_contact_has_no_person_of_its_own(rows: dict[str, dict[str, Any]]) -> None:
    rows = {key: row | {"email": "x@y"} for key, row in rows.items()}  # R67
    found = matched(rows, {1: {"email": "x@y"}})
    assert (pairs(found), told(found)) == ({("b", 1, "email")}, set())
    assert (found.to_create, found.converted) == (0, 1)
    found = matched(rows, {1: {"email": "x@y"}, 2: {"email": "x@y"}}, [(2, "a")])
    assert pairs(found) == {("a", 2, "id")}  # the link of the lead goes on to the contact, which waits for it
    assert (found.to_create, found.converted, found.persons_alone) == (0, 0, 1)


def test_a_contact_that_is_kept_out_leaves_its_lead_a_person() -> None:
    found = matched({"a": {"state": 1}, "b": {"entity": "contact", "origin": "a", "allowed": False}}, {})
    assert (found.to_create, found.converted, found.kept_out) == (1, 0, 1)


def test_the_candidates_and_whoever_is_alone_are_named() -> None:
    found = matched({"a": {"email": "x@y"}, "b": {}}, {n: {"email": "x@y"} for n in (3, 1, 2)} | {4: {}})
    assert found.conflicts["detail"].to_list() == ["3 persons: 1 2 3"]
    assert found.alone.rows() == [("record", "lead", "b"), *(("person", None, str(n)) for n in (1, 2, 3, 4))]
