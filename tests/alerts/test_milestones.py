"""That the first sync and backfills of fields are done is told once, by every channel (R157)."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import sqlalchemy as sa

from include.leadsync.alerts.telling import Message
from include.leadsync.alerts.watch import NotTold, watch
from include.leadsync.clock import FakeClock
from include.leadsync.config import Settings
from include.leadsync.field_memory import new_job
from include.leadsync.model import Entity
from include.leadsync.settings.alerts import Alerts
from include.leadsync.state import FieldJobs, Links, Runs, StateStore
from include.leadsync.state.schema import link as link_table
from include.leadsync.state.schema import operation as operation_table
from include.leadsync.sweeping import SWEPT
from tests.state.rows import add_links, add_operations, operation

QUIET = Alerts(sync_down_minutes=0, backlog_minutes=0, backlog_operations=0, quota_share=0, digest_hour=None)
SETTINGS = Settings.model_validate({"fields": {"lead": {}, "contact": {}}, "alerts": QUIET})
HOUR, DAY = 3_600, 86_400


@pytest.fixture
def look(store: StateStore, clock: FakeClock) -> Callable[[], list[str]]:
    """One look of the watch; the subjects of what was sent."""

    def look() -> list[str]:
        sent: list[Message] = []
        watch(store, SETTINGS, clock, {"mail": sent.append}, "https://airflow.example/leadsync")
        return [message.subject for message in sent]

    return look


def _cycle(store: StateStore, run_id: str = "r") -> None:
    Runs(store).start(run_id, "cycle")
    Runs(store).finish(run_id, "done")


def _settle(store: StateStore) -> None:
    """Everything that waited has been written."""
    with store.begin() as tx:
        tx.execute(sa.update(operation_table).values(state="done"))


def _job(store: StateStore, name: str, *, reason: str = "added") -> None:
    """A backfill of one field that has looked at all links."""
    jobs = FieldJobs(store)
    with store.begin() as tx:
        key = jobs.add(new_job(Entity.LEAD, [name], "inbound", 3, reason=reason), tx)
        found = jobs.get(key, tx)
        assert found is not None
        jobs.advance(found, 3, 3, finished=True, tx=tx)


def _had_its_first_sync(store: StateStore, clock: FakeClock, look: Callable[[], list[str]]) -> None:
    add_links(store, [9], status="active")
    _cycle(store)
    look()
    clock.advance(30 * DAY)
    assert look() == []


def test_the_first_sync_is_told_once_when_nothing_waits_any_more(
    store: StateStore, clock: FakeClock, look: Callable[[], list[str]]
) -> None:
    assert look() == []  # nobody has begun
    links = add_links(store, range(1, 4), status="active")
    add_operations(store, operation("a", links[0]))
    _cycle(store)
    assert look() == []
    clock.advance(9 * DAY)  # the limits of a day are a reason to take that long
    assert look() == []
    _settle(store)
    Links(store).set_dirty(links[:1], "first link: both sides are read and filled")
    assert look() == []
    with store.begin() as tx:
        tx.execute(sa.update(link_table).values(dirty=None))
    assert look() == ["Lead Sync: the first sync is done"]
    assert look() == []
    add_operations(store, operation("b", links[1]))
    assert look() == []
    clock.advance(8 * DAY)
    assert look() == []


def test_a_store_that_has_been_at_work_for_long_hears_nothing_of_a_first_sync(
    store: StateStore, clock: FakeClock, look: Callable[[], list[str]]
) -> None:
    _cycle(store)
    clock.advance(2 * DAY)
    _cycle(store, "s")
    assert look() == []
    clock.advance(HOUR)
    assert look() == []


def test_a_backfill_is_told_when_its_last_write_was_sent(
    store: StateStore, clock: FakeClock, look: Callable[[], list[str]]
) -> None:
    _had_its_first_sync(store, clock, look)
    links = add_links(store, range(1, 4), status="active")
    add_operations(store, operation("a", links[0], lane=3))
    _job(store, "favouriteColour")
    _job(store, "swept", reason=SWEPT)
    assert look() == []
    _settle(store)
    assert look() == ["Lead Sync: the backfill of lead favouriteColour is done"]
    assert look() == []
    _job(store, "one")
    _job(store, "two")
    assert look() == ["Lead Sync: 2 backfills or first syncs are done"]


def test_a_channel_that_was_away_is_told_with_the_next_look(
    store: StateStore, clock: FakeClock, look: Callable[[], list[str]]
) -> None:
    _had_its_first_sync(store, clock, look)
    _job(store, "favouriteColour")

    def away(_: Message) -> None:
        raise OSError("no route")

    with pytest.raises(NotTold):
        watch(store, SETTINGS, clock, {"mail": away}, "https://airflow.example/leadsync")
    assert look() == ["Lead Sync: the backfill of lead favouriteColour is done"]
