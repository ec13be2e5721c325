"""Cursors move by compare and set: of two runs that read the same changes, one stops."""

from __future__ import annotations

import pytest

from include.leadsync.errors import AnotherRunAtWork
from include.leadsync.state import Cursor, Cursors, Links, StateStore
from tests.state.rows import link_rows

AS_OF = "2026-03-01T10:00:00Z"


def test_a_stream_without_a_run_has_no_cursor(store: StateStore) -> None:
    assert Cursors(store).get("dynamics:lead") is None


def test_a_cursor_advances_from_the_version_that_was_read(store: StateStore) -> None:
    cursors = Cursors(store)
    assert cursors.advance("s", "one", AS_OF, 0) == 1
    assert cursors.advance("s", "two", AS_OF, 1) == 2
    assert cursors.get("s") == Cursor("two", AS_OF, 2)


@pytest.mark.parametrize("expected", [0, 1, 3])
def test_a_run_that_read_another_version_stops(store: StateStore, expected: int) -> None:
    cursors = Cursors(store)
    cursors.advance("s", "one", AS_OF, 0)
    cursors.advance("s", "two", AS_OF, 1)
    with pytest.raises(AnotherRunAtWork, match=f"cursor of s moved on since version {expected}"):
        cursors.advance("s", "mine", AS_OF, expected)
    assert cursors.get("s") == Cursor("two", AS_OF, 2)


def test_a_first_run_cannot_claim_a_version_that_never_was(store: StateStore) -> None:
    with pytest.raises(AnotherRunAtWork):
        Cursors(store).advance("s", "mine", AS_OF, 4)


def test_everything_in_the_transaction_of_a_lost_race_is_dropped(store: StateStore) -> None:
    Cursors(store).advance("s", "one", AS_OF, 0)

    def enqueue() -> None:
        with store.begin() as tx:
            Links(store).insert(link_rows([1]), tx)
            Cursors(store).advance("s", "mine", AS_OF, 0, tx)

    with pytest.raises(AnotherRunAtWork):
        enqueue()
    assert Links(store).by_person([1]).num_rows == 0
