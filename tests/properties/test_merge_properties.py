"""The vectorised merge agrees with the rules written out row by row, on whatever it is given."""

from __future__ import annotations

import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from include.leadsync.merge import FEW, merge
from include.leadsync.model import Entity, FieldMap, Flow, SyncField, Winner
from tests.engine.maps import consent_field, text_field
from tests.engine.oracle import decide

_INWARDS = (Flow.BOTH, Flow.INBOUND)
VALUES = st.sampled_from([None, "a", "b", "c", "true", "false", " a", "é", "é", "😀"])
CELLS = st.tuples(VALUES, VALUES, VALUES, st.booleans())


def fields(entity: Entity) -> list[SyncField]:
    plain = [text_field(f"w{winner.value}", entity, winner=winner) for winner in Winner]
    flows = [text_field(f"f{flow.value}", entity, flow=flow) for flow in Flow]
    once = [text_field("once", entity, outbound_on_create_only=True)]
    once += [text_field(f"kept{flow.value}", entity, flow=flow, inbound_write_once=True) for flow in _INWARDS]
    return [*plain, *flows, *once, consent_field("consent", entity)]


def frame(name: str, cells: list[tuple[str | None, str | None, str | None, bool]]) -> pl.DataFrame:
    linked = [cell[3] for cell in cells]
    return pl.DataFrame(
        {
            f"b.{name}": pl.Series(
                [c[0] if is_linked else None for c, is_linked in zip(cells, linked, strict=True)], dtype=pl.String
            ),
            f"n.{name}": [not is_linked for is_linked in linked],
            f"p.{name}": pl.Series([c[1] for c in cells], dtype=pl.String),
            f"c.{name}": pl.Series([c[2] for c in cells], dtype=pl.String),
        }
    )


@given(st.lists(CELLS, min_size=1, max_size=30), st.sampled_from(list(Entity)))
def test_every_cell_is_decided_as_the_rules_say(
    cells: list[tuple[str | None, str | None, str | None, bool]], entity: Entity
) -> None:
    for field in fields(entity):
        found = merge(frame(field.name, cells), FieldMap(entity, (field,)))
        got = {row["row"]: (row["change"], row["direction"], row["after"]) for row in found.to_dicts()}
        want = {}
        for row, (stored, person, crm, linked) in enumerate(cells):
            base = stored if linked else None
            decided = decide(field, entity, base, person, crm, linked=linked, person_base=base, crm_base=base)
            if decided is not None:
                want[row] = tuple(decided)
        assert got == want, field.name


@settings(max_examples=20)
@given(st.lists(CELLS, min_size=1, max_size=30), st.sampled_from(list(Entity)))
def test_many_rows_are_decided_as_few(
    cells: list[tuple[str | None, str | None, str | None, bool]], entity: Entity
) -> None:
    field_map = FieldMap(entity, tuple(fields(entity)))
    few = pl.DataFrame([column for field in field_map.fields for column in frame(field.name, cells)])
    copies = FEW // few.height + 1
    found = merge(pl.concat([few] * copies), field_map).sort("row", "field")
    once = merge(few, field_map)
    rows = [once.with_columns((pl.col("row") + copy * few.height).cast(pl.UInt32)) for copy in range(copies)]
    assert found.equals(pl.concat(rows).sort("row", "field"))


@given(st.lists(CELLS, min_size=1, max_size=30), st.sampled_from(list(Entity)))
def test_after_the_decided_writes_both_sides_are_equal_on_two_way_fields(
    cells: list[tuple[str | None, str | None, str | None, bool]], entity: Entity
) -> None:
    two_way = [f for f in fields(entity) if f.rule.flow is Flow.BOTH]
    two_way = [f for f in two_way if not (f.rule.outbound_on_create_only or f.rule.inbound_write_once)]
    for field in two_way:
        decisions = {row["row"]: row for row in merge(frame(field.name, cells), FieldMap(entity, (field,))).to_dicts()}
        for row, (base, person, crm, linked) in enumerate(cells):
            decision = decisions.get(row)
            if decision is None:
                assert person == crm == (base if linked else None)
                continue
            in_marketo = decision["after"] if decision["direction"] == "inbound" else person
            in_dynamics = decision["after"] if decision["direction"] == "outbound" else crm
            assert in_marketo == in_dynamics, (field.name, cells[row])
