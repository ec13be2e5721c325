"""Killing what Airflow runs, while the sandbox holds back the answer to one of its calls."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any
from urllib.parse import urlsplit

import psutil
import sqlalchemy as sa

from scripts.demo.systems import Marketo
from scripts.local_airflow import DagRun, LocalAirflow
from scripts.sandbox_process import SandboxProcess
from tests.afterwards import is_waiting, let_two_minutes_pass
from tests.local_airflow.story import at_the_command_line, cycle
from tests.waiting import wait_until

LONG = 900.0
"""Seconds that a busy machine may need for a run of Airflow that is tried again."""


@contextmanager
def held(
    airflow: LocalAirflow, sandbox: SandboxProcess, rule: Mapping[str, Any], moment: str = "after"
) -> Iterator[Callable[[str], None]]:
    """The next call that `rule` matches is held back, before or after it is carried out.

    What the block gets waits until it is there, kills its caller – the task, the worker that the task is in, or the
    scheduler that started this – and lets it go on when nobody listens any more.
    """
    marketo = Marketo(sandbox.marketo_url)
    effect = {"pause": moment, "pause_limit": LONG}
    marketo.control("faults/set", {"rules": [{**rule, "times": 1, "effect": effect}]})

    def is_there() -> bool:
        return bool(marketo.control("faults/list", {})["result"]["rules"][0]["paused"])

    def kill(victim: str) -> None:
        wait_until(is_there, LONG, every=0.1)
        wait_until(lambda: len(_callers(airflow, sandbox)) == 1, LONG, every=0.1)  # others that read come to their end
        (caller,) = _callers(airflow, sandbox)
        caller[victim].kill()
        marketo.control("faults/release", {})

    try:
        yield kill
    finally:
        marketo.control("faults/clear", {})


def _callers(airflow: LocalAirflow, sandbox: SandboxProcess) -> list[dict[str, psutil.Process]]:
    """Each task that speaks with the sandbox, the worker that it is in, the scheduler that started this."""
    ours = [p for p in psutil.process_iter(["cmdline"]) if str(airflow.logs) in " ".join(p.info["cmdline"] or ())]
    (scheduler,) = [p for p in ours[0].children() if " ".join(p.cmdline()).rstrip().endswith(" scheduler")]
    ports = {urlsplit(url).port for url in (sandbox.marketo_url, sandbox.dynamics_url)}
    found = []
    for worker in scheduler.children():
        for task in worker.children():
            with suppress(psutil.NoSuchProcess):
                if any(getattr(talk.raddr, "port", None) in ports for talk in task.net_connections("tcp")):
                    found.append({"task": task, "worker": worker, "scheduler": scheduler})
    return found


def let_time_pass(airflow: LocalAirflow) -> bool:
    """Two minutes, as far as the state store can tell; whether something was waiting for them."""
    store = sa.create_engine(f"sqlite:///{airflow.home / 'state.db'}")
    try:
        let_two_minutes_pass(store)
        return is_waiting(store)
    finally:
        store.dispose()


def let_the_retry_come(airflow: LocalAirflow, run: DagRun, task_id: str) -> None:
    """Two minutes, as far as Airflow can tell, once it knows that the task is dead; a retry waits for 15 to 30 s."""
    wait_until(lambda: airflow.rest.task_states(run)[task_id] == "up_for_retry", LONG, every=0.1)
    database = sa.create_engine(f"sqlite:///{airflow.airflow_home / 'airflow.db'}", connect_args={"timeout": 60})
    ended = "UPDATE task_instance SET end_date = datetime(end_date, '-2 minutes') WHERE run_id = :run AND state = :was"
    try:
        with database.begin() as connection:
            aged = connection.execute(sa.text(ended), {"run": run.run_id, "was": "up_for_retry"})
            assert aged.rowcount == 1
    finally:
        database.dispose()


def settle(airflow: LocalAirflow, sandbox: SandboxProcess) -> None:
    """Cycles at the command line until one plans nothing and nothing waits."""
    with at_the_command_line(airflow, sandbox):
        for _ in range(8):
            let_time_pass(airflow)
            if cycle()["steps"]["plan"]["operations"] == 0 and not let_time_pass(airflow):
                return
    raise AssertionError("still writing after 8 cycles")
