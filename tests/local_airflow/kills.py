"""Killing what Airflow runs, while the sandbox holds back the answer to one of its calls."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from typing import Any
from urllib.parse import urlsplit

import psutil

from scripts.demo.systems import Marketo
from scripts.local_airflow import LocalAirflow
from scripts.sandbox_process import SandboxProcess
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
        _callers(airflow, sandbox)[victim].kill()
        marketo.control("faults/release", {})

    try:
        yield kill
    finally:
        marketo.control("faults/clear", {})


def _callers(airflow: LocalAirflow, sandbox: SandboxProcess) -> dict[str, psutil.Process]:
    """The task that speaks with the sandbox, the worker that it is in, the scheduler that started this."""
    ours = [p for p in psutil.process_iter(["cmdline"]) if str(airflow.logs) in " ".join(p.info["cmdline"] or ())]
    (scheduler,) = [p for p in ours[0].children() if p.cmdline()[-1:] == ["scheduler"]]
    ports = {urlsplit(url).port for url in (sandbox.marketo_url, sandbox.dynamics_url)}
    (found,) = [
        {"task": task, "worker": worker, "scheduler": scheduler}
        for worker in scheduler.children()
        for task in worker.children()
        if any(getattr(talk.raddr, "port", None) in ports for talk in task.net_connections("tcp"))
    ]
    return found


def free_leases(airflow: LocalAirflow) -> None:
    """What a killed process held is free, as it would be after a minute."""
    with closing(sqlite3.connect(airflow.home / "state.db", timeout=60)) as store, store:
        store.execute("UPDATE lease SET expires_at = 1")
