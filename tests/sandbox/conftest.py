"""A sandbox around two tiny emulators: what the host does is proven without the real protocols."""

from __future__ import annotations

import asyncio
import json
import sqlite3
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from http.client import HTTPConnection
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from include.sandbox.clock import MovableClock
from include.sandbox.hosting import Wait
from include.sandbox.listening import Address
from include.sandbox.server import SandboxServer
from include.sandbox.service import Json, Request, Response
from tests.waiting import PATIENCE

Answer = tuple[int, bytes, dict[str, str]]


class NotebookEmulator:
    """Keeps every body that is POSTed; GET lists them. Durable like the real ones."""

    def __init__(self, name: str, folder: Path, clock: MovableClock, options: Mapping[str, Json]) -> None:
        self.name = name
        self.clock = clock
        self.options = options
        self.closed = False
        self._lock = threading.Lock()
        self._database = sqlite3.connect(folder / f"{name}.sqlite", check_same_thread=False, isolation_level=None)
        self._database.execute("PRAGMA journal_mode=WAL")
        self._database.execute("PRAGMA synchronous=OFF")  # kill -9 is survived all the same
        self._database.execute("CREATE TABLE IF NOT EXISTS note (body TEXT)")
        self._database.execute("CREATE TABLE IF NOT EXISTS loaded (name TEXT, body TEXT)")

    def handle(self, request: Request) -> Response:
        if request.path.endswith("/token"):
            return _json({"access_token": f"token-{self.name}"})
        if request.path == "/crash":
            raise ZeroDivisionError("planted")
        if request.path == "/nothing":
            return Response(204)
        if request.path == "/mirror":
            shown = {"method": request.method, "target": request.target, "query": request.query}
            return _json({**shown, "headers": dict(request.headers), "base_url": request.base_url})
        if request.method == "POST":
            self.write(request.body.decode())
            return _json({"stored": len(self.notes())})
        return _json({"notes": self.notes(), "now": self.clock.now().isoformat()})

    def write(self, body: str) -> None:
        with self._lock:
            self._database.execute("INSERT INTO note VALUES (?)", (body,))

    def notes(self) -> list[str]:
        with self._lock:
            return [body for (body,) in self._database.execute("SELECT body FROM note ORDER BY rowid")]

    def loaded(self, table: str) -> list[dict[str, Any]]:
        with self._lock:
            rows = self._database.execute("SELECT body FROM loaded WHERE name=? ORDER BY rowid", (table,)).fetchall()
        return [json.loads(body) for (body,) in rows]

    def control(self, command: str, arguments: Mapping[str, Json]) -> Json:
        if command == "write":
            self.write(arguments["body"])
            return {"written": arguments["body"]}
        if command == "create_fields":
            return {"created": len(arguments["fields"])}
        raise KeyError(command)

    def load(self, table: str, rows: Iterable[Mapping[str, Json]]) -> int:
        with self._lock:
            many = [(table, json.dumps(row)) for row in rows]
            self._database.execute("BEGIN")
            self._database.executemany("INSERT INTO loaded VALUES (?, ?)", many)
            self._database.execute("COMMIT")
        return len(many)

    def close(self) -> None:
        self.closed = True
        self._database.close()


def _json(content: Json) -> Response:
    return Response(200, json.dumps(content).encode(), [("Content-Type", "application/json")])


def notebook(name: str) -> Callable[[Path, MovableClock, Mapping[str, Json]], NotebookEmulator]:
    return lambda folder, clock, options: NotebookEmulator(name, folder, clock, options)


class RecordedWaits(list[float]):
    """Takes the place of waiting: a delay is noted, and is over."""

    async def __call__(self, seconds: float) -> None:
        self.append(seconds)


class DatabaseWork:
    """What SQLite does, in instructions of its own machine: unlike seconds, the same on every machine at any load."""

    _GRAIN = 10

    def __init__(self) -> None:
        self._grains = 0

    def watch(self, connection: sqlite3.Connection) -> sqlite3.Connection:
        connection.set_progress_handler(self._one_more, self._GRAIN)
        return connection

    def of(self, work: Callable[[], object]) -> int:
        """Instructions that `work` takes."""
        before = self._grains
        work()
        return (self._grains - before) * self._GRAIN

    def _one_more(self) -> int:
        self._grains += 1
        return 0  # go on


class Client:
    """Raw HTTP to one service of a sandbox."""

    def __init__(self, url: str) -> None:
        self.host, port = url.removeprefix("http://").split(":")
        self.port = int(port)

    def call(self, method: str, path: str, body: bytes | None = None, **headers: str) -> Answer:
        names = {name.replace("_", "-"): value for name, value in headers.items()}
        connection = HTTPConnection(self.host, self.port, timeout=PATIENCE)
        try:
            connection.request(method, path, body, names)
            response = connection.getresponse()
            return response.status, response.read(), {k.lower(): v for k, v in response.getheaders()}
        finally:
            connection.close()

    def notes(self) -> list[str]:
        return list(json.loads(self.call("GET", "/notes")[1])["notes"])

    def command(self, command: str, arguments: Json = None, token: str = "sandbox") -> tuple[int, Any]:
        body = json.dumps(arguments or {}).encode()
        status, answer, _ = self.call("POST", f"/_sandbox/{command}", body, X_Sandbox_Token=token)
        return status, json.loads(answer)


@pytest.fixture
def database_work(monkeypatch: pytest.MonkeyPatch) -> DatabaseWork:
    """Watches the databases that are opened from now on."""
    made, connect = DatabaseWork(), sqlite3.connect
    monkeypatch.setattr(sqlite3, "connect", lambda *where, **how: made.watch(connect(*where, **how)))
    return made


@pytest.fixture
def start_sandbox(tmp_path: Path) -> Iterator[Callable[..., SandboxServer]]:
    """Starts sandboxes around notebooks; all are stopped at the end of the test."""
    with ExitStack() as stack:

        def start(
            people: int = 0,
            seed: int = 1,
            folder: str = "data",
            address: Address | None = None,
            wait: Wait = asyncio.sleep,
        ) -> SandboxServer:
            emulators = {name: notebook(name) for name in ("marketo", "dynamics")}
            server = SandboxServer(tmp_path / folder, people, seed, address=address, emulators=emulators, wait=wait)
            return stack.enter_context(server)

        yield start


@pytest.fixture
def sandbox(start_sandbox: Callable[..., SandboxServer]) -> SandboxServer:
    return start_sandbox()


@pytest.fixture
def marketo(sandbox: SandboxServer) -> Client:
    return Client(sandbox.marketo_url)


@pytest.fixture
def dynamics(sandbox: SandboxServer) -> Client:
    return Client(sandbox.dynamics_url)


@pytest.fixture
def certificate(tmp_path: Path) -> tuple[Path, Path]:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "sandbox")])
    now = datetime.now(UTC)
    signed = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    cert_file, key_file = tmp_path / "cert.pem", tmp_path / "key.pem"
    cert_file.write_bytes(signed.public_bytes(Encoding.PEM))
    key_file.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return cert_file, key_file
