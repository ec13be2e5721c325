"""Start a local Airflow, wait until it works, stop it with everything it started."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

import requests

from scripts.local_airflow.environment import LOOPBACK, ROOT, USER, Secrets, environment, free_port
from scripts.local_airflow.rest import AirflowRest
from scripts.local_airflow.settings import read
from scripts.supervise import Family, launch

GRACE = 20.0  # seconds between TERM and KILL
_ENGINE = ("include.leadsync.cycle", "include.leadsync.judge", "include.leadsync.validate.session")
_NEEDED = ("metadatabase", "scheduler", "dag_processor")


class StartFailed(Exception):
    """Airflow did not come up; the message ends with the last lines of the log that tells why."""


class LocalAirflow:
    """A running Airflow: `with LocalAirflow(home) as airflow: airflow.rest.trigger("lead_sync")`.

    Args:
        home: run-time folder (LEADSYNC_HOME); Airflow's own files go to `airflow/` in it.
        port: of UI and API; 0 takes a free one.
        environment: further variables for all its processes, for example the connections, or
            `LEADSYNC_SCHEDULE=none` to keep scheduled runs out.
        settings: the Astro settings file to load; None loads nothing.
        triggerer: start that too; only deferred tasks and asynchronous callbacks need it.
        edited: somebody works on the engine meanwhile: each task reads it anew, which takes a quarter of a second.
    """

    def __init__(
        self,
        home: Path,
        port: int = 0,
        *,
        environment: Mapping[str, str] | None = None,
        settings: Path | None = ROOT / "airflow_settings.yaml",
        triggerer: bool = False,
        edited: bool = False,
    ) -> None:
        self.home = home.absolute()
        self.airflow_home = self.home / "airflow"
        self.port = port or free_port()
        self.url = f"http://{LOOPBACK}:{self.port}"
        self.user = USER
        self._given = dict(environment or {})
        self._settings = settings
        self._imported = () if edited else _ENGINE
        self._components = ["api-server", "scheduler", "dag-processor", *(["triggerer"] if triggerer else [])]
        self._family: Family | None = None
        self._rest: AirflowRest | None = None

    @property
    def password(self) -> str:
        """Of the user `admin`."""
        return Secrets.of(self.airflow_home).admin_password

    @property
    def rest(self) -> AirflowRest:
        """The API, logged in as admin."""
        if self._rest is None:
            self._rest = AirflowRest(self.url, self.user, self.password)
        return self._rest

    def viewer(self) -> AirflowRest:
        """The API, logged in as somebody who may only look. The caller closes it."""
        return AirflowRest(self.url, "viewer", Secrets.of(self.airflow_home).viewer_password)

    @property
    def logs(self) -> Path:
        """One file per component."""
        return self.airflow_home / "components"

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
        """Prepare the database, start the components, wait until all are healthy and the first task can start.

        Raises:
            StartFailed: a component ended, or they are not healthy within `timeout` seconds.
        """
        self.airflow_home.mkdir(parents=True, exist_ok=True)
        if self._settings is not None:
            self._check(self._settings)
        variables = environment(self.airflow_home, self.port, given=self._given, leadsync_home=self.home)
        airflow = str(Path(sys.executable).with_name("airflow"))
        commands = {name: [airflow, name] for name in self._components}
        together = ("scripts.local_airflow.components", str(self._settings or ""), ",".join(self._imported))
        self._family = launch(self.logs, commands, variables, grace=GRACE, supervisor=together)
        self._wait_until_healthy(time.monotonic() + timeout)

    def stop(self) -> None:
        """Stop everything; returns when nothing is left. Calling it twice does no harm."""
        if self._rest is not None:
            self._rest.close()
            self._rest = None
        if self._family is not None:
            self._family.stop()
            self._family = None

    @property
    def running(self) -> bool:
        """Whether all components are still at work."""
        return self._family is not None and self._family.running

    def _check(self, settings: Path) -> None:
        try:
            read(settings)
        except ValueError as mistake:
            raise StartFailed(f"{settings.name} could not be loaded into Airflow: {mistake}") from mistake

    def _wait_until_healthy(self, until: float) -> None:
        missing: list[str] = list(_NEEDED)
        with requests.Session() as session:
            session.trust_env = False
            while missing:
                self._check_alive(until, missing)
                time.sleep(0.3)
                try:
                    answer = session.get(f"{self.url}/api/v2/monitor/health", timeout=5)
                    health = answer.json() if answer.ok else {}
                except (requests.RequestException, ValueError):
                    continue
                missing = [name for name in _NEEDED if (health.get(name) or {}).get("status") != "healthy"]
            # The first call builds the execution API (4-14 s); without this it lands on the first task.
            session.get(f"{self.url}/execution/health", timeout=60)

    def _check_alive(self, until: float, missing: list[str]) -> None:
        if not self.running:
            words = self._family.last_words() if self._family else ""
            raise StartFailed(f"Airflow ended while starting: {words}")
        if time.monotonic() > until:
            raise StartFailed(f"Airflow is not healthy in time (waiting for {', '.join(missing)}); logs in {self.logs}")
