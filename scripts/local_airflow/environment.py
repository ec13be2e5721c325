"""The environment variables a local Airflow runs under, and the secrets they name.

Facts behind each setting: shared/facts/airflow-gx.md, section "Running".
"""

from __future__ import annotations

import base64
import json
import os
import secrets
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
LOOPBACK = "127.0.0.1"
USER = "admin"
# What a developer's shell may carry and a local Airflow must not inherit. AIRFLOW_CONN_* stay: that is how
# the connections of the real systems are given.
_FOREIGN = ("AIRFLOW__", "AIRFLOW_HOME", "PYTHONDONTWRITEBYTECODE", "PYTHONPATH")


@dataclass(frozen=True, slots=True)
class Secrets:
    """Keys and passwords of one local Airflow; made once, kept in its home, readable by its owner only."""

    admin_password: str
    viewer_password: str
    fernet_key: str
    api_key: str
    jwt_key: str

    @classmethod
    def of(cls, home: Path) -> Secrets:
        """Those of `home`, made on the first call."""
        file = home / "secrets.json"
        if file.exists():
            return cls(**json.loads(file.read_text()))
        made = cls(
            admin_password=secrets.token_urlsafe(12),
            viewer_password=secrets.token_urlsafe(12),
            fernet_key=base64.urlsafe_b64encode(secrets.token_bytes(32)).decode(),
            api_key=secrets.token_urlsafe(32),
            jwt_key=secrets.token_urlsafe(48),
        )
        write_private(file, {name: getattr(made, name) for name in cls.__slots__})
        return made


def write_private(file: Path, content: Mapping[str, str]) -> None:
    """Write JSON that only the owner can read, in one step."""
    unfinished = file.with_suffix(".new")
    descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as out:
        json.dump(content, out)
    unfinished.replace(file)


def free_port() -> int:
    """A port nobody listens on just now."""
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        port: int = probe.getsockname()[1]
    return port


def environment(home: Path, port: int, *, given: Mapping[str, str], leadsync_home: Path) -> dict[str, str]:
    """Everything that the processes of one local Airflow need; `given` wins over all of it.

    Args:
        home: AIRFLOW_HOME; database, logs, secrets.
        port: of the API server, on the loopback address.
        given: further variables, such as AIRFLOW_CONN_MARKETO_DEFAULT or LEADSYNC_SCHEDULE.
        leadsync_home: LEADSYNC_HOME of the tasks.
    """
    kept = {name: value for name, value in os.environ.items() if not name.startswith(_FOREIGN)}
    url = f"http://{LOOPBACK}:{port}"
    key = Secrets.of(home)
    passwords = home / "passwords.json"
    write_private(passwords, {USER: key.admin_password, "viewer": key.viewer_password})
    settings = {
        "CORE__DAGS_FOLDER": str(ROOT / "dags"),
        "CORE__PLUGINS_FOLDER": str(ROOT / "plugins"),
        "CORE__LOAD_EXAMPLES": "False",
        "CORE__DAGS_ARE_PAUSED_AT_CREATION": "False",
        "CORE__EXECUTOR": "LocalExecutor",
        "CORE__PARALLELISM": "4",  # the default of 32 forks 32 workers at start
        "CORE__FERNET_KEY": key.fernet_key,
        "CORE__EXECUTION_API_SERVER_URL": f"{url}/execution/",
        "CORE__SIMPLE_AUTH_MANAGER_USERS": f"{USER}:admin,viewer:viewer",
        "CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(passwords),
        "CORE__TEST_CONNECTION": "Enabled",
        "API__HOST": LOOPBACK,
        "API__PORT": str(port),
        "API__BASE_URL": url,
        "API__SECRET_KEY": key.api_key,
        "API_AUTH__JWT_SECRET": key.jwt_key,
        "DATABASE__CHECK_MIGRATIONS": "False",  # each component would look again; loading the settings migrates
        "DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{home / 'airflow.db'}",
        "LOGGING__BASE_LOG_FOLDER": str(home / "logs"),
        "LOGGING__COLORED_CONSOLE_LOG": "False",
        # The sandbox's public secret is also its name; masked, it would turn up as *** in logs and forms.
        "LOGGING__MIN_LENGTH_MASKED_SECRET": "8",
        "LOGGING__NAMESPACE_LEVELS": "great_expectations=WARNING alembic=WARNING httpx=WARNING",
        "LOGGING__WORKER_LOG_SERVER_PORT": str(free_port()),
        "LOGGING__TRIGGER_LOG_SERVER_PORT": str(free_port()),
        "SCHEDULER__ENABLE_HEALTH_CHECK": "False",
        "WORKERS__EXECUTION_API_TIMEOUT": "30",  # the first call after a start can take 14 s
    }
    return {
        **kept,
        **{f"AIRFLOW__{name}": value for name, value in settings.items()},
        "AIRFLOW_HOME": str(home),
        "LEADSYNC_HOME": str(leadsync_home),
        # Root for `include`, plugins/ for the provider's dist-info: Airflow reads it at start.
        "PYTHONPATH": os.pathsep.join((str(ROOT), str(ROOT / "plugins"))),
        "SCARF_ANALYTICS": "false",
        "DO_NOT_TRACK": "1",
        **given,
    }
