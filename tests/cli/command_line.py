"""The real command line in processes of its own, against a sandbox in this one."""

from __future__ import annotations

import contextlib
import io
import json
import os
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from include.leadsync.cli import main
from include.leadsync.clock import SystemClock
from include.leadsync.config import Paths, connections_from_environment, load_settings
from include.leadsync.context import Engine
from include.leadsync.model import System
from include.sandbox.server import SandboxServer
from tests.afterwards import is_waiting, let_two_minutes_pass

ROOT = Path(__file__).resolve().parents[2]
SHIPPED = ROOT / "include" / "config" / "leadsync.yaml"
MARKETO, DYNAMICS = "AIRFLOW_CONN_MARKETO_DEFAULT", "AIRFLOW_CONN_DYNAMICS_DEFAULT"
SECRET = "s3cret-of-the-command-line"


@dataclass(frozen=True)
class Result:
    """How a command ended and what it said."""

    status: int
    out: str
    err: str

    @property
    def report(self) -> dict[str, Any]:
        """The JSON object on the last line."""
        document: dict[str, Any] = json.loads(self.out.splitlines()[-1])
        return document


@dataclass
class CommandLine:
    """`python -m include.leadsync` with a home of its own, connected to a sandbox."""

    sandbox: SandboxServer
    home: Path
    environment: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("AIRFLOW", "LEADSYNC_"))}
        extra = {"tenant_id": "sandbox", "authority": self.sandbox.dynamics_url}
        self.environment = kept | {
            "LEADSYNC_HOME": str(self.home),
            "LEADSYNC_CONFIG": str(self._config()),
            MARKETO: connection("marketo", self.sandbox.marketo_url),
            DYNAMICS: connection("dynamics", self.sandbox.dynamics_url, extra=extra),
        }

    def _config(self) -> Path:
        """The shipped configuration with all of Marketo's window for us, so that nobody waits for the next one."""
        self.home.mkdir(parents=True, exist_ok=True)
        path = self.home / "leadsync.yaml"
        path.write_text(SHIPPED.read_text("utf-8").replace("share: 0.5", "share: 1.0"), "utf-8")
        return path

    def ask_without_limits(self) -> None:
        """From now on Marketo takes whatever it is asked."""
        path, calls = self.home / "leadsync.yaml", 100_000
        path.write_text(path.read_text("utf-8").replace("calls: 100 ", f"calls: {calls} "), "utf-8")
        self.sandbox.control("set_options", {"rate_limit": calls})

    def start(self, *arguments: str, **changes: str) -> subprocess.Popen[str]:
        """Start a command; `changes` are laid over the environment."""
        return subprocess.Popen(
            [sys.executable, "-m", "include.leadsync", *arguments],
            cwd=ROOT,
            env=self.environment | changes,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, *arguments: str, **changes: str) -> Result:
        """Run a command to its end."""
        return end_of(self.start(*arguments, **changes))

    def run_here(self, *arguments: str, **changes: str) -> Result:
        """The same `main` in this process, for what does not need a process: one takes a second to start."""
        out, err = io.StringIO(), io.StringIO()
        with (
            pytest.MonkeyPatch.context() as patch,
            contextlib.redirect_stdout(out),
            contextlib.redirect_stderr(err),
        ):
            for name, value in (self.environment | changes).items():
                patch.setenv(name, value)
            try:
                status = main(arguments)
            except SystemExit as ended:
                status = int(ended.code or 0)
        return Result(status, out.getvalue(), err.getvalue())

    def engine(self) -> Engine:
        """The same store and systems from this process."""
        paths = Paths.from_environment(self.environment)
        marketo, dynamics = connections_from_environment(self.environment)
        connections = {System.MARKETO: marketo, System.DYNAMICS: dynamics}
        return Engine.open(load_settings(paths.config), paths, connections, clock=SystemClock())

    # --- what colleagues do in both systems ---------------------------------------------------------

    def add_row(self, entity: str, **values: Any) -> str:
        """A colleague's new CRM record: its id."""
        made = self.sandbox.control("create_row", {"entity": entity, "values": values}, service="dynamics")
        return str(made["id"])

    def edit_row(self, entity: str, row_id: str, **values: Any) -> None:
        """A colleague's edit of a CRM record."""
        self.sandbox.control("edit_row", {"entity": entity, "id": row_id, "values": values}, service="dynamics")

    def edit_person(self, person: int, **values: Any) -> None:
        """A marketer's edit."""
        self.sandbox.control("edit_person", {"id": person, "values": values})

    def row(self, entity: str, row_id: str) -> dict[str, Any]:
        """A CRM record as stored."""
        found: dict[str, Any] = self.sandbox.control("read_row", {"entity": entity, "id": row_id}, service="dynamics")
        return found

    def person_of(self, row_id: str) -> dict[str, Any]:
        """The one person that carries a Microsoft Id."""
        with self.engine() as engine:
            columns = {"microsoftId": "text", "title": "text", "city": "text", "phone": "text", "email": "text"}
            found: list[dict[str, Any]] = engine.marketo.persons("microsoftId", [row_id], columns).to_pylist()  # type: ignore[arg-type]
        (person,) = found
        return person

    def writes(self, since: int) -> list[str]:
        """Calls after position `since` that may write in either system; the look for the native sync never does."""
        return [
            f"{call.service} {call.intent} {call.path} {call.parts}"
            for call in self.sandbox.calls.entries(since=since)
            if call.intent != "GET"
            and not call.path.endswith(("/token", "/companies.json"))
            and set(call.parts) != {"GET"}
        ]


def connection(kind: str, host: str, *, secret: str = "sandbox", extra: dict[str, str] | None = None) -> str:
    """A connection in Airflow's JSON form."""
    parts = {"conn_type": kind, "host": host, "login": "sandbox", "password": secret}
    return json.dumps(parts | ({"extra": extra} if extra else {}))


def end_of(process: subprocess.Popen[str]) -> Result:
    """Wait for a command."""
    out, err = process.communicate(timeout=120)
    return Result(process.returncode, out, err)


def let_time_pass(machine: CommandLine) -> bool:
    """Two minutes, as far as the state store can tell; whether something was waiting for them."""
    with machine.engine() as engine:
        let_two_minutes_pass(engine.store.engine)
        return is_waiting(engine.store.engine)


def settle(machine: CommandLine) -> None:
    """Cycles until one plans nothing and nothing waits."""
    for _ in range(8):
        let_time_pass(machine)
        result = machine.run_here("cycle", "--json")
        assert result.status == 0, result.err
        if result.report["steps"]["plan"]["operations"] == 0 and not let_time_pass(machine):
            return
    raise AssertionError("still writing after 8 cycles")
