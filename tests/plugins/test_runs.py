"""From a form and an Airflow run to what the engine is asked."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta, timezone

import pytest

from include.leadsync.context import RunRequest
from include.leadsync.errors import AnotherRunAtWork, ConfigurationInvalid, LeaseLost, Problem, Throttled
from leadsync_hooks.airflow_names import AirflowException, AirflowFailException, AirflowSkipException
from leadsync_hooks.engine import airflow_outcome
from leadsync_hooks.runs import engine_run_id, is_switched_on, request_of, run_values

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def test_the_run_id_is_the_same_for_every_task_of_a_run_and_differs_between_runs() -> None:
    one = engine_run_id("lead_sync", "scheduled__2026-03-01T12:00:00+00:00", NOON)
    assert one == engine_run_id("lead_sync", "scheduled__2026-03-01T12:00:00+00:00", NOON)
    assert re.fullmatch(r"20260301T120000Z-[0-9a-f]{6}", one)
    assert one != engine_run_id("lead_sync", "manual__2026-03-01T12:00:00+00:00", NOON)
    assert one != engine_run_id("lead_sync_backfill", "scheduled__2026-03-01T12:00:00+00:00", NOON)


def test_a_run_that_is_cleared_and_begins_anew_is_another_run() -> None:
    ids = {engine_run_id("lead_sync", "r", NOON, cleared) for cleared in range(3)}
    assert len(ids) == 3
    assert engine_run_id("lead_sync", "r", NOON) in ids


def test_the_run_id_speaks_utc_wherever_the_clock_stands() -> None:
    paris = NOON.astimezone(timezone(timedelta(hours=1)))
    assert engine_run_id("d", "r", paris) == engine_run_id("d", "r", NOON)


def test_an_empty_form_follows_the_cursors() -> None:
    request = request_of(run_values("cycle", {}, run_id="r"))
    assert request.incremental
    assert request == RunRequest("r")


@pytest.mark.parametrize(
    "form", [{"since": "2026-03-01"}, {"until": "2026-03-01T00:00:00Z"}, {"entity": "lead"}, {"persons": [5]}]
)
def test_a_cycle_with_a_selection_leaves_the_cursors_alone(form: dict[str, object]) -> None:
    assert not request_of(run_values("cycle", form, run_id="r")).incremental


def test_a_full_compare_stays_one_when_airflows_backfill_starts_it() -> None:
    values = run_values("reconcile", {}, run_id="r", interval=(NOON - timedelta(days=1), NOON))
    assert (values["kind"], values["since"]) == ("reconcile", None)


def test_an_undo_names_the_run_that_it_takes_back() -> None:
    request = request_of(run_values("undo", {"run": "20260301T100500Z-1a2b3c", "dry_run": True}, run_id="r"))
    assert request == RunRequest("r", "undo", undoes="20260301T100500Z-1a2b3c", dry_run=True)


def test_a_dry_cycle_is_still_a_cycle() -> None:
    values = run_values("cycle", {"dry_run": True}, run_id="r")
    assert values["kind"] == "cycle"
    assert values["dry_run"] is True


def test_the_switch_makes_a_dry_run_whatever_the_form_says() -> None:
    assert run_values("cycle", {"dry_run": False}, run_id="r", dry_run=True)["dry_run"] is True


def test_what_tasks_hand_on_is_plain_json_and_the_engine_gets_its_own_form() -> None:
    values = run_values("backfill", {"persons": [3, 4], "fields": ["title"]}, run_id="r")
    assert json.loads(json.dumps(values)) == values
    request = request_of(values)
    assert (request.persons, request.fields) == ((3, 4), ("title",))


@pytest.mark.parametrize(
    ("chosen", "asked"), [({}, None), ({"direction": "configured"}, None), ({"direction": "outbound"}, "outbound")]
)
def test_a_form_may_choose_the_direction_and_what_the_window_means(chosen: dict[str, str], asked: str | None) -> None:
    form = {"fields": ["title"], "since": "2026-03-01", "window_on": "created", **chosen}  # R97, D69
    request = request_of(run_values("backfill", form, run_id="r"))
    assert (request.direction, request.window_on) == (asked, "created")


def test_a_request_stays_a_request_though_it_names_persons() -> None:
    assert run_values("request", {"persons": [1, 2, 1]}, run_id="r") == {
        "kind": "request", "run_id": "r", "since": None, "until": None, "entity": None, "persons": [1, 2],
        "fields": [], "dry_run": False, "approve": None, "direction": None, "window_on": "modified",
    }  # fmt: skip


def test_a_moment_without_an_offset_is_utc() -> None:
    values = run_values("backfill", {"since": "2026-03-01T00:00:00", "until": "2026-03-01T03:00:00+02:00"}, run_id="r")
    assert values["since"] == "2026-03-01T00:00:00+00:00"
    assert values["until"] == "2026-03-01T01:00:00+00:00"


def test_an_empty_window_is_refused_with_both_ends() -> None:
    with pytest.raises(ValueError, match=r"2026-03-02.*2026-03-01"):
        run_values("backfill", {"since": "2026-03-02T00:00:00Z", "until": "2026-03-01T00:00:00Z"}, run_id="r")


def test_airflows_backfill_gives_its_interval_as_the_window() -> None:
    interval = (NOON, NOON + timedelta(minutes=5))
    values = run_values("cycle", {}, run_id="r", interval=interval)
    assert values["kind"] == "backfill"
    assert (values["since"], values["until"]) == ("2026-03-01T12:00:00+00:00", "2026-03-01T12:05:00+00:00")


@pytest.mark.parametrize(("text", "on"), [("no", False), ("False", False), ("", False), ("yes", True), ("dunno", True)])
def test_a_switch_that_cannot_be_read_counts_as_on(text: str, *, on: bool) -> None:
    assert is_switched_on(text) is on


@pytest.mark.parametrize("error", [AnotherRunAtWork("busy"), LeaseLost("writer", 1, "other")])
def test_another_run_at_work_skips_a_scheduled_run(error: Exception) -> None:
    with pytest.raises(AirflowSkipException), airflow_outcome():
        raise error


def test_another_run_at_work_fails_an_interval_of_airflows_backfill_so_that_it_is_tried_again() -> None:
    with pytest.raises(AirflowException) as raised, airflow_outcome(skip_is_failure=True):
        raise AnotherRunAtWork("busy")
    assert not isinstance(raised.value, AirflowSkipException | AirflowFailException)


def test_a_mistake_in_the_configuration_is_not_retried_and_is_told_in_full() -> None:
    problem = Problem("leadsync.yaml", "fields.email", "nothing", "a name")
    with pytest.raises(AirflowFailException, match=r"fields\.email"), airflow_outcome():
        raise ConfigurationInvalid([problem])


def test_other_errors_pass_as_they_are() -> None:
    with pytest.raises(Throttled), airflow_outcome():
        raise Throttled("slow down", after=3)
