"""Records of links that were stored under an older map: what they showed counts, also what was refused of it (P2)."""

from __future__ import annotations

import polars as pl
import pytest

from include.leadsync.baseline import close_base
from include.leadsync.extract.older import unchanged_under_older_map
from include.leadsync.model import Entity, FieldMap
from tests.engine.maps import text_field

_MAP = FieldMap(Entity.LEAD, tuple(text_field(name, Entity.LEAD) for name in ("email", "city", "joined")))


@pytest.mark.parametrize(
    ("shows", "unchanged"),
    [
        ({"email": "bad", "city": "Rome", "joined": "new"}, True),
        ({"email": "bad", "city": "Oslo", "joined": None}, False),
        ({"email": "good@example.com", "city": "Rome", "joined": None}, False),
    ],
)
def test_a_value_that_was_refused_and_is_corrected_is_a_change(shows: dict[str, str | None], unchanged: bool) -> None:
    stored = {"link_id": 1, "layout_id": 1, "crm_id": "r", "base": close_base([None, "Rome"], ["email"])}
    sides = {"crm_side": '{"email": "bad"}', "crm_open": '["email"]', "person_side": None, "person_open": None}
    links = pl.DataFrame([stored | sides], schema_overrides=dict.fromkeys(sides, pl.String))
    rows = pl.DataFrame([{"id": "r", **shows}], schema_overrides=dict.fromkeys(shows, pl.String))
    found = unchanged_under_older_map(rows, links, {1: ["email", "city"]}, _MAP)
    assert found == (["r"] if unchanged else [])
