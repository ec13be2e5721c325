"""One door from a running task into the engine; what it opens, it closes."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from leadsync_hooks.airflow_names import AirflowException, AirflowFailException, AirflowSkipException, conf, log_context
from leadsync_hooks.dynamics import DynamicsHook
from leadsync_hooks.lineage import datasets
from leadsync_hooks.marketo import MarketoHook
from leadsync_hooks.notifying import channels_of
from leadsync_hooks.runs import request_of

if TYPE_CHECKING:
    from include.leadsync import model
    from include.leadsync.state import StateStore

log = logging.getLogger(__name__)


def bind_logs() -> None:
    """Have the ids that the engine binds (`logs.about`) stand on every line of Airflow's task log while they hold."""
    from include.leadsync import logs

    if log_context not in logs.BRIDGES:
        logs.BRIDGES.append(log_context)


@contextmanager
def airflow_outcome(*, skip_is_failure: bool = False) -> Iterator[None]:
    """The engine's errors as what Airflow does next.

    `FixConfiguration` fails without a retry. Another run at work, or a lease lost to one, skips the rest of this
    run; with `skip_is_failure` (Airflow's Backfill, DECISIONS 27) it fails instead and is tried again. Everything
    else fails as it is and is retried.
    """
    from include.leadsync.errors import AnotherRunAtWork, FixConfiguration, LeaseLost

    try:
        yield
    except FixConfiguration as error:
        raise AirflowFailException(str(error)) from error
    except (AnotherRunAtWork, LeaseLost) as error:
        if skip_is_failure:
            raise AirflowException(f"{error}; this interval is not synced yet and will be tried again") from error
        raise AirflowSkipException(str(error)) from error


def perform(step: str, values: Mapping[str, Any]) -> dict[str, Any]:
    """Run one step of the engine; paths and counts come back."""
    from include.leadsync.cycle import run_step

    _require_shared_storage()
    bind_logs()
    return run_step(step, request_of(values), connections=connections())


def perform_all(values: Mapping[str, Any]) -> dict[str, Any]:
    """Run all steps of the engine in this task; the report of the run comes back."""
    from include.leadsync.cycle import run_whole

    _require_shared_storage()
    bind_logs()
    return run_whole(request_of(values), connections=connections())


def store_requests(
    persons: Sequence[int], *, sync_as: str, owner: str | None, reason: str | None, token: str, source: str = "airflow"
) -> dict[str, Any]:
    """Store one Sync Person to Microsoft request per person; the same `token` never stores one twice.

    Returns `ids`, `requests` (how many), `new` (how many were not there before).
    """
    from include.leadsync.requests.intake import require_owner
    from include.leadsync.state import Requests

    require_owner(owner)
    _require_shared_storage()
    with _state() as store:
        requests = Requests(store)
        added = [
            requests.add(person, sync_as, source=source, owner=owner, reason=reason, token=token) for person in persons
        ]
    new = sum(request.is_new for request in added)
    return {"ids": [request.request_id for request in added], "requests": len(added), "new": new}


def close_run(run_id: str, outcome: str, detail: Mapping[str, Any]) -> None:
    """Close a run that does not reach its last step, and free its place for the next one at once.

    Never raises what the engine raises: it speaks for a run that has failed or been skipped already.
    """
    from include.leadsync.errors import LeadSyncError
    from include.leadsync.state import Leases, Runs
    from include.leadsync.turn import CYCLE

    try:
        with _state() as store:
            Runs(store).finish(run_id, outcome, dict(detail))
            Leases(store).release_by(CYCLE, run_id)
    except LeadSyncError as error:
        log.warning("run %s is not closed as %s: %s; its place is free again within a minute", run_id, outcome, error)


def failure_of(error: BaseException | str | None) -> dict[str, str]:
    """`error` and `class` for the report of a failed run: what the engine raised, in its own words if it is ours."""
    from include.leadsync.cycle import told

    cause = error.__cause__ if isinstance(error, AirflowException) and error.__cause__ else error
    if not isinstance(cause, BaseException):
        return {"error": "unknown"}
    return {"error": told(cause), "class": type(cause).__name__}


def plans_to_ask() -> list[dict[str, str]]:
    """Held plans: `plan_hash`, and `since` when it is asked about."""
    from include.leadsync.approval import to_ask

    with airflow_outcome(), _state() as store:
        return to_ask(store)


def is_held(plan_hash: str) -> bool:
    """Whether the brake still holds this plan: nobody has approved or rejected it, and no newer one took its place."""
    from include.leadsync.state import Outbox

    with airflow_outcome(), _state() as store:
        return plan_hash in Outbox(store).held()["plan_hash"].to_pylist()


def about_plan(plan_hash: str) -> dict[str, Any] | None:
    """See `approval.describe`; None when the plan waits no more."""
    from include.leadsync.approval import NotHeld, describe

    try:
        with airflow_outcome(), _state() as store:
            return describe(store, plan_hash)
    except NotHeld:
        return None


def decide_plan(plan_hash: str, answer: str) -> tuple[int, str | None]:
    """Release the plan ("approve") or park it ("reject", "unanswered"): how many records, or why not."""
    from include.leadsync.approval import REJECTED, UNANSWERED, NotHeld, approve, park

    try:
        with airflow_outcome(), _state() as store:
            if answer == "approve":
                return approve(store, plan_hash), None
            return park(store, plan_hash, REJECTED if answer == "reject" else UNANSWERED), None
    except NotHeld as refusal:
        return 0, str(refusal)


def watch(console: str) -> dict[str, Any]:
    """Tell every configured channel what it does not know yet; see `alerts.watch.watch`."""
    from include.leadsync.alerts.watch import watch as look
    from include.leadsync.clock import SystemClock
    from include.leadsync.config import Paths, load_settings

    with airflow_outcome():
        settings = load_settings(Paths.from_environment().config)
        with _state() as store:
            return look(store, settings, SystemClock(), channels_of(settings.alerts), console)


def tell_all(subject: str, text: str) -> dict[str, str]:
    """Send one message to every configured channel, without the state store: channel → "told", or why it was not."""
    from include.leadsync.alerts.telling import Message
    from include.leadsync.config import Paths, load_settings

    became = {}
    with airflow_outcome():
        alerts = load_settings(Paths.from_environment().config).alerts
    for name, send in channels_of(alerts).items():
        try:
            send(Message(subject, text))
            became[name] = "told"
        except Exception as error:  # noqa: BLE001 - whatever a mail server or a chat may do
            became[name] = type(error).__name__
            log.warning("%s was not told: %s", name, became[name])
    return became


@contextmanager
def _state() -> Iterator[StateStore]:
    from include.leadsync.clock import SystemClock
    from include.leadsync.config import Paths
    from include.leadsync.state import StateStore

    store = StateStore.open(Paths.from_environment().state_url, SystemClock())
    try:
        yield store
    finally:
        store.close()


def connections() -> dict[model.System, model.Connection]:
    """Where both services are and how to log in. Raises `ConfigurationInvalid`."""
    from include.leadsync.model import System

    return {System.MARKETO: MarketoHook().get_conn(), System.DYNAMICS: DynamicsHook().get_conn()}


def places() -> dict[str, tuple[str, str]]:
    """Everything that a run touches, as OpenLineage names it; see `lineage.datasets`."""
    from include.leadsync.config import Paths

    paths = Paths.from_environment()
    return datasets(connections(), paths.staging_url, paths.state_url)


def _require_shared_storage() -> None:
    """Refuse SQLite and local staging where tasks run in several places (DECISIONS 15).

    Raises:
        ConfigurationInvalid: names what to set.
    """
    from include.leadsync.config import Paths
    from include.leadsync.state import assert_fits

    paths = Paths.from_environment()
    assert_fits(paths.state_url, paths.staging_url, executor())


def executor() -> str:
    """Where tasks run, as `assert_fits` takes it: the Astro CLI has containers of their own for every component."""
    return "containers" if os.environ.get("ASTRONOMER_ENVIRONMENT") else str(conf.get("core", "executor"))
