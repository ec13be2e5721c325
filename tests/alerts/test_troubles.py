"""What is wrong is told once when it begins and once when it is over, with counts and ids only (R155, R156, D96)."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pyarrow as pa
import pytest

from include.leadsync.alerts.digest import causes, digest, due, sent
from include.leadsync.alerts.telling import News, message, news, told
from include.leadsync.alerts.troubles import Trouble, troubles
from include.leadsync.approval import park
from include.leadsync.clock import FakeClock
from include.leadsync.config import Settings
from include.leadsync.model import System
from include.leadsync.settings.alerts import Alerts
from include.leadsync.settings.tree import Limits, SystemLimits
from include.leadsync.state import ActivityLog, Outbox, Runs, SharedBudget, StateStore
from tests.alerts.conftest import START

CONSOLE = "https://airflow.example/leadsync"
LIMITS = Limits(marketo=SystemLimits(share=1.0, daily=10), dynamics=SystemLimits(share=1.0, daily=10))
SETTINGS = Settings.model_validate({"fields": {"lead": {}, "contact": {}}, "limits": LIMITS})


def now_wrong(store: StateStore, clock: FakeClock, **thresholds: Any) -> list[Trouble]:
    alerts = SETTINGS.alerts.model_copy(update=thresholds)
    return troubles(store, SETTINGS.model_copy(update={"alerts": alerts}), clock)


def keys(found: list[Trouble]) -> list[str]:
    return [trouble.key for trouble in found]


def cycle(store: StateStore, run_id: str, outcome: str = "done", **report: str) -> None:
    Runs(store).start(run_id, "cycle")
    Runs(store).finish(run_id, outcome, report)


def operation(**facts: Any) -> dict[str, Any]:
    common = {"run_id": "r", "entity": "lead", "direction": "outbound", "kind": "update", "payload": "{}", "lane": 2}
    return common | {"link_id": 1, "plan_hash": None, "state": "pending"} | facts


def enqueue(store: StateStore, *rows: dict[str, Any]) -> None:
    Outbox(store).add(pa.Table.from_pylist([{"op_id": f"o{number}", **row} for number, row in enumerate(rows)]))


def fail(store: StateStore, **facts: Any) -> None:
    row = {"outcome": "failed", "code": "string_too_long", "message": "too long: ann@example.com", "run_id": "r"}
    ActivityLog(store).record(pa.Table.from_pylist([row | {"direction": "outbound", "entity": "lead"} | facts]))


def test_a_sync_that_nobody_has_begun_is_not_down(store: StateStore, clock: FakeClock) -> None:
    clock.advance(86_400)
    assert now_wrong(store, clock) == []


def test_a_sync_is_down_when_no_cycle_has_come_to_its_end_for_too_long(store: StateStore, clock: FakeClock) -> None:
    cycle(store, "a")
    clock.advance(1_800)
    assert now_wrong(store, clock) == []
    cycle(store, "b", "failed", error="Marketo answered 608", **{"class": "ServiceUnavailable"})
    cycle(store, "c", "skipped")
    clock.advance(60)
    (down,) = now_wrong(store, clock)
    assert (down.key, down.since) == ("sync_down", START)
    assert down.text == "no cycle has come to its end for 31 minutes; the last one failed: Marketo answered 608"
    assert now_wrong(store, clock, sync_down_minutes=0) == []
    cycle(store, "d")
    assert now_wrong(store, clock) == []


def test_runs_that_stay_dry_are_down_and_the_reason_is_named(store: StateStore, clock: FakeClock) -> None:
    cycle(store, "a", "planned")
    clock.advance(3_600)
    (down,) = now_wrong(store, clock)
    assert "leadsync_dry_run" in down.text


@pytest.mark.parametrize(
    ("kind", "name"), [("rights", "AccessRefused"), ("configuration", "FixConfiguration"), (None, "ServiceUnavailable")]
)
def test_what_no_later_run_can_pass_is_told_at_once(
    store: StateStore, clock: FakeClock, kind: str | None, name: str
) -> None:
    cycle(store, "a", "failed", error="marketo refused access", **{"class": name})
    assert [trouble.kind for trouble in now_wrong(store, clock)] == ([kind] if kind else [])
    clock.advance(1)
    cycle(store, "b")
    assert now_wrong(store, clock) == []


def test_a_column_that_is_set_aside_is_a_change_of_the_schema_until_it_is_back(
    store: StateStore, clock: FakeClock
) -> None:
    fact = {
        "code": "field_set_aside",
        "message": "the column is gone",
        "rule": "D67",
        "entity": "lead",
        "field": "title",
    }
    ActivityLog(store).stands(pa.Table.from_pylist([fact]), ["field_set_aside"], "r")
    (changed,) = now_wrong(store, clock)
    assert (changed.kind, changed.text) == ("schema", "field_set_aside, lead title: the column is gone")
    ActivityLog(store).stands(None, ["field_set_aside"], "r")
    assert now_wrong(store, clock) == []


def test_a_quota_is_told_when_its_share_is_used(store: StateStore, clock: FakeClock) -> None:
    budget = SharedBudget(store, System.MARKETO, LIMITS.marketo, clock)
    for _ in range(7):
        with budget.call(System.MARKETO):
            pass
    assert now_wrong(store, clock) == []
    with budget.call(System.MARKETO):
        pass
    (used,) = now_wrong(store, clock)
    assert (used.key, used.text.startswith("marketo: 8 of 10 calls")) == ("quota:marketo", True)
    assert now_wrong(store, clock, quota_share=0.0) == []
    clock.advance(86_400)
    assert now_wrong(store, clock) == []


def test_a_backlog_is_told_by_its_age_or_its_size_and_backfills_by_their_size_only(
    store: StateStore, clock: FakeClock
) -> None:
    enqueue(store, operation(), operation(direction="inbound", lane=3), operation(state="parked"))
    clock.advance(3_601)
    (late,) = now_wrong(store, clock)
    assert (late.key, late.text) == ("backlog:outbound", "1 outbound writes wait, the oldest for 60 minutes")
    assert now_wrong(store, clock, backlog_minutes=0) == []
    assert keys(now_wrong(store, clock, backlog_operations=0, backlog_minutes=90)) == []
    enqueue(store, *(operation(op_id=f"more{number}", direction="inbound", lane=3) for number in range(3)))
    assert keys(now_wrong(store, clock, backlog_operations=3)) == ["backlog:inbound", "backlog:outbound"]


def test_a_held_plan_is_told_until_it_is_decided(store: StateStore, clock: FakeClock) -> None:
    enqueue(store, operation(state="held", plan_hash="00112233445566aa"))
    assert keys(now_wrong(store, clock)) == ["held_plan:00112233445566aa"]
    park(store, "00112233445566aa")
    assert now_wrong(store, clock) == []


def test_each_channel_hears_of_a_trouble_once_and_once_when_it_is_over(store: StateStore, clock: FakeClock) -> None:
    wrong = [Trouble("rights", "rights", "marketo refused access (603)", START)]
    first = news(store, "email", wrong)
    assert (first.begun, first.over) == (tuple(wrong), ())
    assert news(store, "email", wrong) == first  # it was not sent yet
    told(store, "email", first)
    later = [Trouble("rights", "rights", "in other words", clock.now())]
    assert not news(store, "email", later)
    assert news(store, "chat", later).begun == tuple(later)
    over = news(store, "email", [])
    assert (over.begun, over.over) == ((), tuple(wrong))
    told(store, "email", over)
    assert not news(store, "email", [])


def test_a_message_says_what_since_when_and_where_to_look() -> None:
    down = (Trouble("sync_down", "sync_down", "no cycle", START),)
    one = message(News(down, ()), CONSOLE)
    assert one.subject == "Lead Sync: sync down"
    assert "sync down, since 2026-03-02 06:00 UTC: no cycle" in one.text
    assert f"{CONSOLE}/" in one.text
    ended = message(News((), down), CONSOLE)
    assert ended.subject == "Lead Sync: sync down is over"
    both = message(News(down, down), CONSOLE)
    assert both.subject == "Lead Sync: 1 begun, 1 over"


def test_a_digest_is_due_once_a_day_from_its_hour_on(store: StateStore) -> None:
    seven = START.replace(hour=7)
    assert due(store, "email", None, seven) is None
    assert due(store, "email", 7, seven) == seven - timedelta(days=1)
    sent(store, "email", seven)
    assert due(store, "email", 7, seven + timedelta(hours=23, minutes=59)) is None
    assert due(store, "email", 7, seven + timedelta(days=1)) == seven
    assert due(store, "chat", 7, seven) is not None
    away = seven + timedelta(days=30)
    assert due(store, "email", 7, away) == away - timedelta(days=7)


def test_a_digest_counts_by_cause_with_ids_as_examples_and_no_value(store: StateStore, clock: FakeClock) -> None:
    fail(store, person_id=1, value="before the window", field="title", link_id=9)
    clock.advance(60)
    since = clock.now()
    for number in range(7):
        fail(store, person_id=number + 10, field="title", value=f"secret {number}", link_id=number)
    fail(store, code="duplicate_record", crm_id="c-1", link_id=8)
    clock.advance(60)
    found = causes(store, since, clock.now())
    assert [(cause["code"], cause["field"], cause["count"], cause["open"]) for cause in found] == [
        ("string_too_long", "title", 7, 7),
        ("duplicate_record", None, 1, 1),
    ]
    told_now = digest(store, since, clock.now(), CONSOLE)
    assert told_now is not None
    assert told_now.subject == "Lead Sync: 8 failures in a day, 8 open"
    assert "7 × string_too_long (outbound lead title), 7 open; for example person 16, person 15" in told_now.text
    assert "1 × duplicate_record (outbound lead), 1 open; for example record c-1" in told_now.text
    assert f"{CONSOLE}/errors" in told_now.text
    assert "secret" not in told_now.text
    assert "@" not in told_now.text
    assert digest(store, clock.now(), clock.now(), CONSOLE) is None


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        ('{"quota_share": 1.5}', "quota_share"),
        ('{"digest_hour": 24}', "digest_hour"),
        ('{"sync_down_minutes": -1}', "sync_down_minutes"),
        ('{"email": {"to": ["nobody"]}}', "to"),
        ('{"email": {"to": ["a@b\\n"]}}', "to"),
        ('{"chat": {"connection": "https://hooks.example/secret"}}', "connection"),
    ],
)
def test_thresholds_addresses_and_connection_names_are_checked_when_the_file_is_read(wrong: str, named: str) -> None:
    with pytest.raises(ValueError, match=named):
        Alerts.model_validate_json(wrong)
