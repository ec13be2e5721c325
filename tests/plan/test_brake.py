"""The brake holds exactly what exceeds both limits, under a hash that stands for that very plan."""

from __future__ import annotations

from typing import Any

import polars as pl
import pytest

from include.leadsync.plan.brake import HELD_SCHEMA, Held, Limit, apply_brake, plan_hash
from include.leadsync.plan.rows import PLAN_SCHEMA

FEW, MANY = Limit(2, 0.1), Limit(1_000_000, 1.0)
NOTHING_HELD = Held(frozenset(), None, ())
NONE_WAITING = pl.DataFrame(schema=HELD_SCHEMA)


def write(link: int, **values: Any) -> dict[str, Any]:
    """An overwrite of a title, unless told otherwise."""
    row: dict[str, Any] = {
        "lane": 2,
        "op_id": f"op{link}", "link_id": link, "entity": "lead", "person_id": link, "crm_id": f"crm{link}",
        "direction": "inbound", "kind": "update", "field": "title", "system": False, "before": "old", "after": "new",
    }  # fmt: skip
    return row | values


def plan_of(*rows: dict[str, Any]) -> pl.DataFrame:
    return pl.DataFrame([dict.fromkeys(PLAN_SCHEMA) | row for row in rows], schema=PLAN_SCHEMA)


def overwrites(count: int) -> list[dict[str, Any]]:
    return [write(link) for link in range(1, count + 1)]


def deletions(count: int) -> list[dict[str, Any]]:
    flag = {"kind": "flag_deleted", "field": "microsoftIsDeleted", "system": True, "before": "false", "after": "true"}
    return [write(link, op_id=f"del{link}", **flag) for link in range(1, count + 1)]


def held(rows: list[dict[str, Any]], links: int, approved: tuple[int, ...] = ()) -> Held:
    return apply_brake(plan_of(*rows), links, FEW, FEW, list(approved), NONE_WAITING)


@pytest.mark.parametrize(("count", "links", "holds"), [
    (2, 5, False),  # not more than the count
    (3, 5, True),
    (3, 30, False),  # exactly the share
    (3, 29, True),
    (3, 0, True),
])  # fmt: skip
def test_both_the_count_and_the_share_must_be_exceeded(count: int, links: int, *, holds: bool) -> None:
    for rows in (overwrites(count), deletions(count)):
        assert bool(held(rows, links).op_ids) is holds


def test_a_limit_holds_its_own_kind_only() -> None:
    rows = [*overwrites(3), *deletions(2)]
    found = held(rows, 5)
    assert found.op_ids == {"op1", "op2", "op3"}
    assert found.reasons == ("3 overwrites exceed 2 records and 10.0% of 5 links",)
    both = held([*overwrites(3), *deletions(3)], 5)
    assert len(both.op_ids) == 6
    assert len(both.reasons) == 2


def test_records_are_counted_and_not_their_fields() -> None:
    assert held([write(1, field=f"field{n}") for n in range(50)], 5) == NOTHING_HELD


def test_what_destroys_nothing_is_not_counted() -> None:
    harmless: dict[str, dict[str, Any]] = {
        "fills an empty field": {"before": None},
        "creates": {"kind": "create"},
        "states the sync's own fields": {"kind": "link", "system": True},
    }
    for change in harmless.values():
        assert held([write(link, **change) for link in range(1, 10)], 10) == NOTHING_HELD
    clears = [write(link, after=None) for link in range(1, 10)]
    assert len(held(clears, 10).op_ids) == 9


def test_an_operation_is_held_as_a_whole() -> None:
    rows = [*overwrites(3), write(1, field="city", before=None)]
    assert held(rows, 5).op_ids == {"op1", "op2", "op3"}


def test_approved_links_pass_and_the_others_are_judged_by_themselves() -> None:
    assert held(overwrites(5), 5, approved=(1, 2, 3)) == NOTHING_HELD
    assert held(overwrites(5), 5, approved=(1,)).op_ids == {"op2", "op3", "op4", "op5"}


def test_an_empty_plan_and_a_small_one_have_nothing_held() -> None:
    assert held([], 0) == NOTHING_HELD
    assert apply_brake(plan_of(*overwrites(500)), 1, MANY, MANY, [], NONE_WAITING) == NOTHING_HELD


def test_the_hash_stands_for_what_is_written_whatever_the_order() -> None:
    rows = overwrites(4)
    first = held(rows, 5).plan_hash
    assert first is not None
    assert held(rows[::-1], 5).plan_hash == first
    assert held([row | {"op_id": f"x{row['link_id']}", "version": 9} for row in rows], 5).plan_hash == first
    for change in ({"after": "newer"}, {"before": "older"}, {"after": None}, {"field": "city"}, {"crm_id": "other"},
                   {"person_id": 99}, {"direction": "outbound"}):  # fmt: skip
        assert held([*rows[:3], rows[3] | change], 5).plan_hash != first
    assert held(rows[:3], 5).plan_hash != first


def test_the_hash_tells_an_empty_text_from_none_and_one_value_from_two() -> None:
    texts = [plan_hash(plan_of(write(1, before=before, after=after))) for before, after in
             [("a", None), ("a", ""), ("a\x1fb", "c"), ("a", "b\x1fc"), (None, "a")]]  # fmt: skip
    assert len(set(texts)) == 5


def test_what_is_not_held_does_not_change_the_hash() -> None:
    alone = held(overwrites(3), 5).plan_hash
    assert held([*overwrites(3), write(9, before=None)], 5).plan_hash == alone


def test_what_takes_the_place_of_a_waiting_operation_waits_with_that_plan() -> None:
    waiting = pl.DataFrame([{"link_id": 1, "direction": "inbound", "lane": 2, "plan_hash": "abc"}], schema=HELD_SCHEMA)
    rows = [write(1, before=None), write(1, op_id="consent", lane=0, before=None), write(2)]
    found = apply_brake(plan_of(*rows), 5, FEW, FEW, [], waiting)
    assert (dict(found.kept), found.op_ids, found.plan_hash) == ({"op1": "abc"}, frozenset(), None)
    assert found.every == ["op1"]
    assert apply_brake(plan_of(*rows), 5, FEW, FEW, [1], waiting).every == []  # released
