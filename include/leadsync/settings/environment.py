"""What comes from the environment: where things are, and how to log in (DECISIONS 30)."""

from __future__ import annotations

import ipaddress
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import parse_qsl, unquote, urlsplit

from include.leadsync.errors import ConfigurationInvalid, Problem
from include.leadsync.model import Connection

ENVIRONMENT = "environment"
MICROSOFT_LOGIN = "https://login.microsoftonline.com"
_ROOT = Path(__file__).resolve().parents[3]
_YES = ("1", "true", "yes", "on")
_SHAPE = '{"conn_type": …, "host": "https://…", "login": CLIENT_ID, "password": CLIENT_SECRET}'


@dataclass(frozen=True, slots=True)
class Paths:
    """Where configuration, state and staging are. `repr` shows no URL: one may hold a password (P10)."""

    home: Path
    config: Path
    state_url: str = field(repr=False)
    staging_url: str = field(repr=False)
    erasure_key: str | None = field(default=None, repr=False)
    config_shared: bool = False

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] | None = None) -> Paths:
        """LEADSYNC_HOME, LEADSYNC_CONFIG, LEADSYNC_STATE_URL, LEADSYNC_STAGING, each with its default.

        LEADSYNC_ERASURE_KEY has none (see `erasing`); LEADSYNC_CONFIG_SHARED says that tasks on other hosts read the
        very file at LEADSYNC_CONFIG.

        Raises `ConfigurationInvalid` when the state URL is no URL.
        """
        known = os.environ if environment is None else environment
        home = Path(known.get("LEADSYNC_HOME") or _ROOT / ".leadsync").absolute()
        config = Path(known.get("LEADSYNC_CONFIG") or _ROOT / "include" / "config" / "leadsync.yaml").absolute()
        state_url = known.get("LEADSYNC_STATE_URL") or f"sqlite:///{home / 'state.db'}"
        if "://" not in state_url:
            expected = "a SQLAlchemy URL: sqlite:////path/state.db or postgresql+psycopg://user@host/database"
            raise ConfigurationInvalid([Problem(ENVIRONMENT, "LEADSYNC_STATE_URL", "a text without ://", expected)])
        staging_url = known.get("LEADSYNC_STAGING") or str(home / "staging")
        shared = known.get("LEADSYNC_CONFIG_SHARED", "").strip().lower() in _YES
        return cls(home, config, state_url, staging_url, known.get("LEADSYNC_ERASURE_KEY") or None, shared)


def connections_from_environment(environment: Mapping[str, str] | None = None) -> tuple[Connection, Connection]:
    """(Marketo, Dynamics) from AIRFLOW_CONN_MARKETO_DEFAULT and AIRFLOW_CONN_DYNAMICS_DEFAULT.

    Airflow's JSON form, or its URI form. Raises `ConfigurationInvalid` naming everything that is
    missing or wrong in both; no message shows an id, a secret or a value that may hold one.
    """
    known = os.environ if environment is None else environment
    marketo, dynamics = _Source("marketo", known), _Source("dynamics", known)
    connections = marketo.connection(), dynamics.connection()
    if marketo.problems or dynamics.problems:
        raise ConfigurationInvalid(marketo.problems + dynamics.problems)
    return connections


def connection_from_parts(conn_type: str, parts: Mapping[str, object]) -> Connection:
    """A connection from Airflow's parts (host, login, password, extra, …), for the hooks; same checks."""
    source = _Source(conn_type, {}, parts)
    connection = source.connection()
    if source.problems:
        raise ConfigurationInvalid(source.problems)
    return connection


class _Source:
    """Reads one connection and collects what is wrong with it."""

    def __init__(
        self, conn_type: str, environment: Mapping[str, str], parts: Mapping[str, object] | None = None
    ) -> None:
        self._type = conn_type
        self.key = f"AIRFLOW_CONN_{conn_type.upper()}_DEFAULT" if parts is None else f"connection {conn_type}"
        self.problems: list[Problem] = []
        self._parts = dict(parts) if parts is not None else self._read(environment.get(self.key, "").strip())
        self._extra = self._read_extra(self._parts.get("extra")) if self._parts else {}

    def connection(self) -> Connection:
        """The connection; only of use while `problems` is empty."""
        if not self._parts:
            return Connection("", "", "")
        needs_tenant = self._type == "dynamics"
        host = self._url("host", self._host())
        authority = self._text("extra.authority", self._extra.get("authority"), MICROSOFT_LOGIN if needs_tenant else "")
        return Connection(
            host=host,
            client_id=self._text("login", self._parts.get("login")),
            client_secret=self._text("password", self._parts.get("password")),
            tenant_id=self._text("extra.tenant_id", self._extra.get("tenant_id"), None if needs_tenant else ""),
            authority=self._url("extra.authority", authority) if authority else "",
            verify=self._verify(host),
        )

    def _problem(self, part: str, found: str, expected: str) -> None:
        self.problems.append(Problem(ENVIRONMENT, f"{self.key}.{part}" if part else self.key, found, expected))

    def _read(self, text: str) -> dict[str, object]:
        if not text:
            self._problem("", "nothing", f"the {self._type} connection in Airflow's JSON form: {_SHAPE}")
            return {}
        if not text.startswith("{"):
            return self._read_uri(text)
        try:
            parts = json.loads(text)
        except ValueError as error:
            where = f" at character {error.pos + 1}" if isinstance(error, json.JSONDecodeError) else ""
            self._problem("", f"JSON that cannot be read{where}", _SHAPE)
            return {}
        if parts.get("conn_type", self._type) != self._type:
            self._problem("conn_type", repr(parts["conn_type"]), repr(self._type))
        return dict(parts)

    def _read_uri(self, text: str) -> dict[str, object]:
        """Airflow's URI form: `type://login:password@host/?extra=…`, every part percent-encoded."""
        scheme, separator, rest = text.partition("://")
        if not separator:
            self._problem("", "neither JSON nor a URI", _SHAPE)
            return {}
        if scheme.replace("-", "_") != self._type:
            self._problem("conn_type", "another connection type", repr(self._type))
        location, _, query = rest.partition("?")
        login, _, host = location.rpartition("@")
        user, _, password = login.partition(":")
        extra: dict[str, object] = dict(parse_qsl(query))
        if "__extra__" in extra:
            extra |= self._read_extra(extra.pop("__extra__"))
        return {
            "host": unquote(host.rstrip("/")),
            "login": unquote(user),
            "password": unquote(password),
            "extra": extra,
        }

    def _read_extra(self, extra: object) -> dict[str, object]:
        if isinstance(extra, str) and extra.strip():
            try:
                extra = json.loads(extra)
            except ValueError:
                extra = [extra]
        if extra in (None, ""):
            return {}
        if not isinstance(extra, dict):
            self._problem("extra", "no JSON object", '{"tenant_id": …}')
            return {}
        return extra

    def _text(self, part: str, value: object, default: str | None = None) -> str:
        if value in (None, "") and default is not None:
            return default
        if not isinstance(value, str) or not value.strip():
            self._problem(part, "nothing" if value in (None, "") else type(value).__name__, "a text")
            return ""
        return value.strip()

    def _host(self) -> str:
        host = self._text("host", self._parts.get("host"))
        if host and "://" not in host:
            host = f"{self._parts.get('schema') or 'https'}://{host}"
        port = self._parts.get("port")
        return f"{host.rstrip('/')}:{port}" if host and port else host

    def _url(self, part: str, text: str) -> str:
        """Scheme and host only, https unless the host is this machine."""
        if not text:
            return ""
        example = f"https://{'example.mktorest.com' if self._type == 'marketo' else 'example.crm.dynamics.com'}"
        try:
            url = urlsplit(text.strip())
            port = url.port
        except ValueError:
            self._problem(part, "a URL that cannot be read", example)
            return ""
        if not url.hostname or url.scheme not in {"http", "https"}:
            self._problem(part, "no http(s) URL", example)
        elif url.username or url.password:
            self._problem(part, "a login inside the URL", f"{example}, with login and password in their own keys")
        elif url.path.strip("/") or url.query or url.fragment:
            self._problem(part, f"more than scheme and host ({url.path or '?'})", example)
        elif url.scheme == "http" and not is_loopback(url.hostname):
            self._problem(part, f"http://{url.hostname}", "https; plain http only to this machine")
        name = f"[{url.hostname}]" if ":" in (url.hostname or "") else url.hostname
        return f"{url.scheme}://{name}" + (f":{port}" if port else "")

    def _verify(self, host: str) -> str | bool:
        """Certificate check: true, or a file of certificate authorities; off only towards this machine."""
        verify = self._extra.get("verify", True)
        if isinstance(verify, str) and verify.lower() in {"true", "false"}:
            verify = verify.lower() == "true"
        if verify is False and not is_loopback(urlsplit(host).hostname or ""):
            self._problem("extra.verify", "false", "true, or the path of a CA file; false only to this machine")
        elif isinstance(verify, str) and not Path(verify).exists():
            self._problem("extra.verify", repr(verify), "the path of an existing CA file")
        elif not isinstance(verify, bool | str):
            self._problem("extra.verify", type(verify).__name__, "true, false or the path of a CA file")
            return True
        return verify


def is_loopback(host: str) -> bool:
    """Whether a host name means this machine and needs no encryption on the way."""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
