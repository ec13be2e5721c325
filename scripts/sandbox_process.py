"""The sandbox as a process of its own, for `make up`, the demo and tests."""

from __future__ import annotations

import json
import os
import re
import sys
import time
from pathlib import Path
from types import TracebackType
from typing import Self

from scripts.supervise import Family, launch

_GRACE = 20.0  # seconds between TERM and KILL
_READY = re.compile(r"^ready marketo=(\S+) dynamics=(\S+)$", re.MULTILINE)


class SandboxFailed(Exception):
    """The sandbox did not come up; the message ends with its log."""


class SandboxProcess:
    """Both emulators in one process: `with SandboxProcess(folder) as sandbox: sandbox.marketo_url`.

    Args:
        data: folder of its state, kept across restarts.
        marketo_port: 0 takes a free one; so does `dynamics_port`.
        dynamics_port: see there.
        people: linked people that it makes on the first start.
        seed: of those people.
        arguments: further ones for `python -m include.sandbox serve`.
    """

    def __init__(
        self,
        data: Path,
        *,
        marketo_port: int = 0,
        dynamics_port: int = 0,
        people: int = 0,
        seed: int = 1,
        arguments: tuple[str, ...] = (),
    ) -> None:
        self.data = data.absolute()
        ports = ("--marketo-port", str(marketo_port), "--dynamics-port", str(dynamics_port))
        self._arguments = (*ports, "--people", str(people), "--seed", str(seed), *arguments)
        self._family: Family | None = None
        self.marketo_url = self.dynamics_url = ""  # known once it is ready

    @property
    def log(self) -> Path:
        """What it printed."""
        return self._logs / "sandbox.log"

    @property
    def _logs(self) -> Path:
        return self.data.with_name(f"{self.data.name}-logs")

    @property
    def running(self) -> bool:
        """Whether it is still at work."""
        return self._family is not None and self._family.running

    def connections(self) -> dict[str, str]:
        """Environment variables that lead the project to this sandbox, once it is ready."""
        login = {"login": "sandbox", "password": "sandbox"}
        marketo = {"conn_type": "marketo", "host": self.marketo_url, **login}
        extra = {"tenant_id": "sandbox", "authority": self.dynamics_url}
        dynamics = {"conn_type": "dynamics", "host": self.dynamics_url, **login, "extra": extra}
        return {
            "AIRFLOW_CONN_MARKETO_DEFAULT": json.dumps(marketo),
            "AIRFLOW_CONN_DYNAMICS_DEFAULT": json.dumps(dynamics),
        }

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def start(self, *, timeout: float = 180) -> None:
        """Start it and wait until both emulators answer.

        Raises:
            SandboxFailed: it ended, or is not ready within `timeout` seconds.
        """
        self.data.parent.mkdir(parents=True, exist_ok=True)
        command = [sys.executable, "-m", "include.sandbox", "serve", "--data-dir", str(self.data), *self._arguments]
        self._family = launch(self._logs, {"sandbox": command}, os.environ, grace=_GRACE)
        until = time.monotonic() + timeout
        while (ready := _READY.search(self._said())) is None:
            if not self.running:
                raise SandboxFailed(f"The sandbox ended while starting:\n{self._said()[-2000:]}")
            if time.monotonic() > until:
                raise SandboxFailed(f"The sandbox is not ready after {timeout:.0f} s:\n{self._said()[-2000:]}")
            time.sleep(0.1)
        self.marketo_url, self.dynamics_url = ready.groups()

    def stop(self) -> None:
        """End it; calling it twice does no harm."""
        if self._family is not None:
            self._family.stop()
            self._family = None

    def _said(self) -> str:
        return self.log.read_text(errors="replace") if self.log.exists() else ""
