"""Start the sandbox and Airflow, play the story, check it against both systems, leave nothing running.

Exit status 0 only if every scene holds and the last run writes nothing.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from itertools import islice
from pathlib import Path
from typing import Any

from include.sandbox.server import SandboxServer
from scripts.demo.cast import Cast
from scripts.demo.first_day import FirstDay, command
from scripts.demo.identities import FILTER
from scripts.demo.printing import print_costs, print_scene
from scripts.demo.scene import Round, Scene
from scripts.demo.story import rounds
from scripts.demo.systems import Dynamics, Marketo
from scripts.local_airflow.rest import AirflowRest, DagRun
from scripts.local_airflow.server import LocalAirflow

PEOPLE = 300
SEED = 7
_RUN_SECONDS = 180.0


def main(arguments: Sequence[str] | None = None) -> int:
    """Play everything; 0 when all is as expected."""
    parser = argparse.ArgumentParser(prog="python -m scripts.demo", description=__doc__.split("\n", 1)[0])
    parser.add_argument("--rounds", type=int, metavar="N", help="only N rounds of the story after the first day")
    options = parser.parse_args(arguments)
    started = time.monotonic()
    home = Path(os.environ.get("LEADSYNC_HOME") or Path.cwd() / ".leadsync") / "demo"
    shutil.rmtree(home, ignore_errors=True)
    home.mkdir(parents=True)
    with ExitStack() as stack:
        print(f"Starting the sandbox with {PEOPLE} linked people, and Airflow …", flush=True)
        sandbox = stack.enter_context(SandboxServer(home / "sandbox", people=PEOPLE, seed=SEED))
        airflow = stack.enter_context(LocalAirflow(home, environment=_environment(sandbox, home)))
        column = {"entity": "lead", "attribute": FILTER, "type": "Boolean", "default": "true"}
        sandbox.control("add_attribute", column, service="dynamics")
        _prepare(home, sandbox)
        demo = Demo(airflow.rest, sandbox)
        print(f"Airflow is ready at {airflow.url} after {time.monotonic() - started:.0f} s.\n", flush=True)
        failed = demo.play(options.rounds)
    print(f"\n{'All scenes hold.' if not failed else f'{failed} scene(s) do not hold.'}", end=" ")
    print(f"The demo took {time.monotonic() - started:.0f} s; nothing is left running. Files: {_shown(home)}")
    return 1 if failed else 0


def _shown(home: Path) -> str:
    here = Path.cwd()
    return str(home.relative_to(here)) if home.is_relative_to(here) else str(home)


def _environment(sandbox: SandboxServer, home: Path) -> dict[str, str]:
    """The connections to the sandbox, no scheduled runs, a home of its own."""
    marketo = {"conn_type": "marketo", "host": sandbox.marketo_url, "login": "sandbox", "password": "sandbox"}
    extra = {"tenant_id": "sandbox", "authority": sandbox.dynamics_url}
    dynamics = {**marketo, "conn_type": "dynamics", "host": sandbox.dynamics_url, "extra": extra}
    return {
        "AIRFLOW_CONN_MARKETO_DEFAULT": json.dumps(marketo),
        "AIRFLOW_CONN_DYNAMICS_DEFAULT": json.dumps(dynamics),
        "LEADSYNC_HOME": str(home),
        "LEADSYNC_SCHEDULE": "none",
    }


def _prepare(home: Path, sandbox: SandboxServer) -> None:
    """What an administrator does once: `python -m include.leadsync setup`."""
    os.environ.update(_environment(sandbox, home))
    print(command("setup"), end="")


class Demo:
    """Plays rounds of scenes with runs of the real DAG."""

    def __init__(self, airflow: AirflowRest, sandbox: SandboxServer) -> None:
        self._airflow, self._sandbox = airflow, sandbox
        self._marketo, self._dynamics = Marketo(sandbox.marketo_url), Dynamics(sandbox.dynamics_url)

    def play(self, most: int | None = None) -> int:
        """All rounds, or `most` of the story between the first day and the last run; how many scenes do not hold."""
        failed = self._first_sync()
        story = rounds(Cast(self._marketo, self._dynamics, self._request))
        for round_ in islice(story, most):
            failed += self._round(round_)
        return failed + self._last_run()

    def _first_sync(self) -> int:
        day = FirstDay(self._marketo, self._dynamics, self._cycle, self._writes, PEOPLE)
        return self._round(Round("The first day", day.scenes(), runs=0))

    def _last_run(self) -> int:
        found: dict[str, Any] = {}
        scene = Scene(
            "The last run",
            "no edit since the run before",
            "reads both systems and writes nothing",
            lambda: found.update(self._cycle()),
            lambda: {
                "operations planned": found["plan"]["operations"],
                "writes sent": sum(int(count) for name, count in found["load"].items() if name != "handed_over"),
            },
            {"operations planned": 0, "writes sent": 0},
        )
        return self._round(Round("Convergence", [scene], runs=0))

    def _round(self, round_: Round) -> int:
        print(f"── {round_.title} {'─' * (96 - len(round_.title))}", flush=True)
        before, started = self._calls(), time.monotonic()
        for scene in round_.scenes:
            scene.prepare()
        for _ in range(round_.runs):
            self._cycle()
        spent = {name: count - before[name] for name, count in self._calls().items()}
        for scene in round_.scenes:
            scene.check()
            print_scene(scene)
        print_costs(spent, time.monotonic() - started)
        return sum(not scene.holds for scene in round_.scenes)

    def _cycle(self) -> dict[str, Any]:
        """One run of `lead_sync`, triggered through Airflow's REST API; what its tasks returned."""
        run = self._run("lead_sync", {})
        return {task: self._airflow.xcom(run, task) for task in ("link", "plan", "load")}

    def _request(self, persons: list[int]) -> None:
        self._run("sync_person_to_microsoft", {"persons": persons, "sync_as": "lead"})

    def _run(self, dag_id: str, conf: Mapping[str, Any]) -> DagRun:
        run = self._airflow.trigger(dag_id, conf)
        state = self._airflow.wait(run, timeout=_RUN_SECONDS)
        if state != "success":
            states = self._airflow.task_states(run)
            broken = [task for task, outcome in states.items() if outcome in {"failed", "up_for_retry"}]
            logs = "\n".join(self._airflow.log(run, task)[-3000:] for task in broken[:1])
            raise SystemExit(f"the run {run.run_id} of {dag_id} ended {state}: {states}\n{logs}")
        return run

    def _writes(self) -> int:
        """Calls of the sync so far that may write; looks at the native sync never do."""
        calls = self._sandbox.calls.entries(client="sandbox")
        return sum(
            call.intent != "GET" and set(call.parts) != {"GET"} and not call.path.endswith("/companies.json")
            for call in calls
        )

    def _calls(self) -> dict[str, int]:
        """Calls of the sync so far, per system, without the story's own."""
        counts = {}
        for service in ("marketo", "dynamics"):
            counts[service] = len(self._sandbox.calls.entries(service=service, client="sandbox"))
        return counts


if __name__ == "__main__":
    sys.exit(main())
