"""Airflow's REST API, as far as scripts and tests need it (Airflow 3.3, `/api/v2`)."""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import requests

FINISHED = frozenset({"success", "failed"})
_TIMEOUT = 30.0


class RestFailed(Exception):
    """The API refused a call, or a run did not end in time. `status` is 0 in the second case."""

    def __init__(self, status: int, message: str) -> None:
        self.status, self.message = status, message
        super().__init__(f"Airflow answered {status}: {message}" if status else message)


@dataclass(frozen=True, slots=True)
class DagRun:
    """One run, by its names."""

    dag_id: str
    run_id: str


class AirflowRest:
    """A logged-in user. Tokens hold for 24 hours."""

    def __init__(self, url: str, user: str, password: str) -> None:
        self.url = url.rstrip("/")
        self._login = {"username": user, "password": password}
        self._session = requests.Session()
        self._session.trust_env = False  # no proxy between two processes of one machine
        self._token: str | None = None

    def close(self) -> None:
        """Close its connections."""
        self._session.close()

    def token(self) -> str:
        """A bearer token of this user."""
        if self._token is None:
            answer = self._session.post(f"{self.url}/auth/token", json=self._login, timeout=_TIMEOUT)
            self._token = str(_checked(answer)["access_token"])
        return self._token

    def call(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> Any:
        """One call below `/api/v2`; the decoded answer.

        Raises:
            RestFailed: any status of 400 and above.
        """
        headers = {"Authorization": f"Bearer {self.token()}"}
        url = f"{self.url}/api/v2{path}"
        return _checked(self._session.request(method, url, json=body, headers=headers, timeout=_TIMEOUT))

    def page(self, path: str) -> requests.Response:
        """GET any page of the server as this user, such as the validation report of a run."""
        headers = {"Authorization": f"Bearer {self.token()}"}
        return self._session.get(f"{self.url}{path}", headers=headers, timeout=_TIMEOUT)

    def dag_ids(self) -> set[str]:
        """The DAGs that have been parsed."""
        return {str(dag["dag_id"]) for dag in self.call("GET", "/dags?limit=100")["dags"]}

    def wait_for_dags(self, dag_ids: Collection[str], *, timeout: float = 90) -> None:
        """Until these DAGs are parsed.

        Raises:
            RestFailed: they are not, within `timeout` seconds; the message holds the import errors.
        """
        until = time.monotonic() + timeout
        while missing := set(dag_ids) - self.dag_ids():
            if time.monotonic() > until:
                raise RestFailed(0, f"not parsed: {', '.join(sorted(missing))}; {self.import_errors() or 'no errors'}")
            time.sleep(0.3)

    def import_errors(self) -> dict[str, str]:
        """DAG files that could not be parsed, with the error."""
        found = self.call("GET", "/importErrors")["import_errors"]
        return {str(error["filename"]): str(error["stack_trace"]) for error in found}

    def pause(self, dag_id: str, *, paused: bool = True) -> None:
        """Stop (or let) the scheduler start runs of a DAG; a paused DAG starts no manual run either."""
        self.call("PATCH", f"/dags/{dag_id}", {"is_paused": paused})

    def trigger(self, dag_id: str, conf: Mapping[str, Any] | None = None, *, run_id: str | None = None) -> DagRun:
        """Start a run; `conf` fills the DAG's params and is refused with 400 when it does not fit them."""
        body: dict[str, Any] = {"logical_date": None, "conf": dict(conf or {})}
        if run_id is not None:
            body["dag_run_id"] = run_id
        answer = self.call("POST", f"/dags/{dag_id}/dagRuns", body)
        return DagRun(dag_id, str(answer["dag_run_id"]))

    def state(self, run: DagRun) -> str:
        """queued, running, success or failed."""
        return str(self.call("GET", _run_path(run))["state"])

    def wait(self, run: DagRun, *, timeout: float = 300, poll: float = 0.5) -> str:
        """Wait until the run has ended; its state.

        Raises:
            RestFailed: it has not ended within `timeout` seconds.
        """
        until = time.monotonic() + timeout
        while (state := self.state(run)) not in FINISHED:
            if time.monotonic() > until:
                raise RestFailed(0, f"{run.dag_id} {run.run_id} is still {state} after {timeout:.0f} s")
            time.sleep(poll)
        return state

    def task_states(self, run: DagRun) -> dict[str, str | None]:
        """State per task; a mapped one appears as `task[index]`."""
        found = self.call("GET", f"{_run_path(run)}/taskInstances?limit=100")["task_instances"]
        return {
            task["task_id"] if task["map_index"] < 0 else f"{task['task_id']}[{task['map_index']}]": task["state"]
            for task in found
        }

    def tries(self, run: DagRun, task_id: str) -> int:
        """How often a task was started."""
        return int(self.call("GET", f"{_run_path(run)}/taskInstances/{task_id}")["try_number"])

    def xcom(self, run: DagRun, task_id: str, key: str = "return_value", *, map_index: int = -1) -> Any:
        """What a task returned."""
        path = f"{_run_path(run)}/taskInstances/{task_id}/xcomEntries/{key}?map_index={map_index}&deserialize=true"
        return self.call("GET", path)["value"]

    def links(self, run: DagRun, task_id: str) -> dict[str, str | None]:
        """The extra links of a task: label → address."""
        found = self.call("GET", f"{_run_path(run)}/taskInstances/{task_id}/links")["extra_links"]
        return {str(label): address for label, address in found.items()}

    def log(self, run: DagRun, task_id: str, *, attempt: int = 1, map_index: int = -1) -> str:
        """The log of one attempt at a task, as text."""
        path = f"{_run_path(run)}/taskInstances/{task_id}/logs/{attempt}?map_index={map_index}&full_content=true"
        lines = self.call("GET", path)["content"]
        return "\n".join(line if isinstance(line, str) else _line(line) for line in lines)


def _line(entry: Mapping[str, Any]) -> str:
    parts = [entry.get("timestamp"), entry.get("event")]
    parts += [f"{error.get('exc_type')}: {error.get('exc_value')}" for error in entry.get("error_detail") or ()]
    return " ".join(str(part) for part in parts if part)


def _run_path(run: DagRun) -> str:
    return f"/dags/{run.dag_id}/dagRuns/{quote(run.run_id, safe='')}"


def _checked(answer: requests.Response) -> Any:
    if answer.status_code >= 400:
        raise RestFailed(answer.status_code, answer.text[:500])
    return answer.json() if answer.content else None
