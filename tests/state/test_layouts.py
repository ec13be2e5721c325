"""Which fields a stored base holds."""

from __future__ import annotations

from include.leadsync.state import Layouts, StateStore


def test_a_layout_is_stored_once_and_a_changed_map_is_a_new_row(store: StateStore) -> None:
    layouts = Layouts(store)
    first = layouts.id_of("lead", [("email", "email"), ("näme", "string")])
    assert layouts.id_of("lead", [("email", "email"), ("näme", "string")]) == first
    swapped = layouts.id_of("lead", [("näme", "string"), ("email", "email")])
    other = layouts.id_of("contact", [("email", "email"), ("näme", "string")])
    assert len({first, swapped, other}) == 3
    assert layouts.all()[first] == ["email", "näme"]
    assert layouts.all()[swapped] == ["näme", "email"]
