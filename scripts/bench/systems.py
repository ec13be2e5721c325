"""Both emulators and the engine in one process, without sockets; every call is counted and timed."""

from __future__ import annotations

import json
import re
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlencode, urlsplit

import yaml

from include.leadsync.clients.transport import Headers, HttpRequest, HttpResponse
from include.leadsync.config import Paths, load_settings
from include.leadsync.context import Engine, RunRequest
from include.leadsync.cycle import STEPS, step
from include.leadsync.model import Connection, Entity, System
from include.leadsync.setup import setup
from include.sandbox.clock import MovableClock
from include.sandbox.dynamics import DynamicsEmulator
from include.sandbox.marketo import MarketoEmulator
from include.sandbox.people.loading import load_people, prepare
from include.sandbox.service import Emulator, Request

MARKETO, DYNAMICS = "https://marketo.bench", "https://dynamics.bench"
START: Final = datetime(2026, 7, 1, 10, tzinfo=UTC)
_CONFIG = Path(__file__).resolve().parents[2] / "include" / "config" / "leadsync.yaml"
_SECONDS_BETWEEN_CYCLES = 10
_NO_LIMIT: Final = {"share": 1.0, "calls": 1_000_000, "window_seconds": 1, "daily": 100_000_000}

_KINDS: Final = (
    ("marketo token", r"^\w+ /identity/"),
    ("marketo changed values", r"^GET /rest/v1/activities/leadchanges"),
    ("marketo deleted persons", r"^GET /rest/v1/activities/deletedleads"),
    ("marketo merged persons", r"^GET /rest/v1/activities\.json"),
    ("marketo paging token", r"^GET /rest/v1/activities/pagingtoken"),
    ("marketo read persons", r"^GET /rest/v1/leads\.json|^POST /rest/v1/leads\.json _method=GET"),
    ("marketo write persons", r"^POST /rest/v1/leads\.json"),
    ("dynamics token", r"/oauth2/"),
    ("dynamics batches", r"/\$batch"),
    ("dynamics changed lead", r"^GET \S+/leads\b"),
    ("dynamics changed contact", r"^GET \S+/contacts\b"),
    ("dynamics metadata", r"EntityDefinitions|\$metadata"),
)


@dataclass
class Traffic:
    """Calls by kind, and the seconds the emulators took to answer them."""

    calls: Counter[str] = field(default_factory=Counter)
    seconds: float = 0.0

    def minus(self, earlier: Traffic) -> Traffic:
        """What happened since."""
        return Traffic(self.calls - earlier.calls, self.seconds - earlier.seconds)

    def copy(self) -> Traffic:
        """As it is now."""
        return Traffic(Counter(self.calls), self.seconds)


class CountingTransport:
    """Hands each request straight to its emulator."""

    def __init__(self, emulators: Mapping[str, Emulator]) -> None:
        self._emulators = emulators
        self.traffic = Traffic()

    def send(self, request: HttpRequest) -> HttpResponse:
        """One exchange."""
        parts = urlsplit(request.url)
        host = f"{parts.scheme}://{parts.netloc}"
        headers = {name.lower(): value for name, value in request.headers.items()}
        arrived = Request(request.method, parts.path, parts.query, headers, request.body or b"", host)
        started = time.perf_counter()
        response = self._emulators[host].handle(arrived)
        self.traffic.seconds += time.perf_counter() - started
        self.traffic.calls[kind_of(request)] += 1
        return HttpResponse(response.status, Headers(dict(response.headers)), response.body)


def kind_of(request: HttpRequest) -> str:
    """What a call is for, by method and path."""
    parts = urlsplit(request.url)
    hidden = " _method=GET" if b"_method=GET" in (request.body or b"") or "_method=GET" in parts.query else ""
    line = f"{request.method} {parts.path}{hidden}"
    return next((kind for kind, pattern in _KINDS if re.search(pattern, line)), line)


@dataclass(frozen=True)
class Cycle:
    """One measured cycle: seconds of each step, of these inside the emulators, calls by kind, the steps' counts."""

    steps: Mapping[str, float]
    emulated: Mapping[str, float]
    calls: Mapping[str, int]
    report: Mapping[str, Any]

    @property
    def seconds(self) -> float:
        """All of it."""
        return sum(self.steps.values())

    @property
    def own_seconds(self) -> float:
        """Without the emulators: what the engine itself took."""
        return self.seconds - sum(self.emulated.values())

    @property
    def total_calls(self) -> int:
        """API calls; fetching an access token once an hour is not one."""
        return sum(count for kind, count in self.calls.items() if not kind.endswith(" token"))


class StandingClock:
    """Time that passes only between cycles, or when somebody sleeps."""

    def __init__(self, movable: MovableClock) -> None:
        self._movable = movable

    def now(self) -> datetime:
        """The sandbox's time."""
        return self._movable.now()

    def monotonic(self) -> float:
        """Seconds."""
        return self._movable.now().timestamp()

    def sleep(self, seconds: float) -> None:
        """Move on."""
        self._movable.advance(seconds)


class Systems:
    """`links` linked pairs in both emulators, all known to the engine. All limits are off."""

    def __init__(self, folder: Path, links: int, seed: int = 1) -> None:
        self.links, self.folder = links, folder
        self._movable = MovableClock()
        self._movable.freeze(START)
        data = folder / "systems"
        data.mkdir(parents=True)
        self.marketo = MarketoEmulator(data, self._movable, options={"limits": False})
        self.dynamics = DynamicsEmulator(data, self._movable, options={"limits": False})
        prepare(self.marketo)
        load_people(self.marketo, self.dynamics, seed=seed, count=links)
        self._transport = CountingTransport({MARKETO: self.marketo, DYNAMICS: self.dynamics})
        self.engine = self._open_engine()
        self._runs = 0
        self._tokens: dict[str, str] = {}
        setup(self.engine)

    def close(self) -> None:
        """Let go of all files."""
        self.engine.store.close()
        self.marketo.close()
        self.dynamics.close()

    def _open_engine(self) -> Engine:
        document = yaml.safe_load(_CONFIG.read_text("utf-8"))
        document["limits"] = {"marketo": {**_NO_LIMIT, "concurrent": 100}, "dynamics": {**_NO_LIMIT, "concurrent": 100}}
        document["policies"]["brake"] = {kind: {"count": 1_000_000, "share": 1.0} for kind in ("deletes", "overwrites")}
        config = self.folder / "leadsync.yaml"
        config.write_text(yaml.safe_dump(document, allow_unicode=True), "utf-8")
        state, staging = f"sqlite:///{self.state_file}", str(self.folder / "staging")
        paths = Paths(self.folder, config, state, staging)
        connections = {
            System.MARKETO: Connection(MARKETO, "sandbox", "sandbox"),
            System.DYNAMICS: Connection(DYNAMICS, "sandbox", "sandbox", "sandbox", DYNAMICS),
        }
        clock = StandingClock(self._movable)
        return Engine.open(load_settings(config), paths, connections, clock=clock, transport=self._transport)

    @property
    def state_file(self) -> Path:
        """The engine's SQLite file."""
        return self.folder / "state.db"

    def cycle(self) -> Cycle:
        """One full cycle, step by step."""
        self._movable.advance(_SECONDS_BETWEEN_CYCLES)
        self._runs += 1
        run = RunRequest(f"{self._movable.now():%Y%m%dT%H%M%SZ}-{self._runs:06d}")
        steps: dict[str, float] = {}
        emulated: dict[str, float] = {}
        report: dict[str, Any] = {}
        begun = self._transport.traffic.copy()
        for name in STEPS:
            before, started = self._transport.traffic.seconds, time.perf_counter()
            report[name] = step(self.engine, name, run)
            steps[name] = time.perf_counter() - started
            emulated[name] = self._transport.traffic.seconds - before
        calls = self._transport.traffic.minus(begun).calls
        return Cycle(steps, emulated, dict(calls), report)

    def settle(self, most: int = 5) -> list[Cycle]:
        """Cycles until one writes nothing; all of them, the last one idle.

        Raises:
            AssertionError: they never end.
        """
        taken: list[Cycle] = []
        while not taken or taken[-1].report["plan"]["operations"]:
            if len(taken) == most:
                raise AssertionError(f"still writing after {most} cycles")
            taken.append(self.cycle())
        return taken

    # --- edits by others --------------------------------------------------------------------------

    def edit_persons(self, ids: list[int], title: str) -> None:
        """A new title for persons, by another integration."""
        for start in range(0, len(ids), 300):
            records = [{"id": person, "title": f"{title} {person}"} for person in ids[start : start + 300]]
            body = json.dumps({"action": "updateOnly", "lookupField": "id", "input": records}).encode()
            headers = {"authorization": f"Bearer {self._token(MARKETO)}", "content-type": "application/json"}
            answer = self.marketo.handle(Request("POST", "/rest/v1/leads.json", "", headers, body, MARKETO))
            if not json.loads(answer.body)["success"]:
                raise AssertionError(answer.body[:300])

    def edit_rows(self, table: str, ids: list[str], title: str) -> None:
        """A new job title for CRM records, by another application."""
        headers = {
            "authorization": f"Bearer {self._token(DYNAMICS)}",
            "accept": "application/json",
            "content-type": "application/json",
            "odata-version": "4.0",
            "odata-maxversion": "4.0",
            "if-match": "*",
        }
        for crm_id in ids:
            body = json.dumps({"jobtitle": f"{title} {crm_id[:8]}"}).encode()
            path = f"/api/data/v9.2/{Entity(table).value}s({crm_id})"
            answer = self.dynamics.handle(Request("PATCH", path, "", headers, body, DYNAMICS))
            if answer.status != 204:
                raise AssertionError(answer.body[:300])

    def _token(self, host: str) -> str:
        if host not in self._tokens:
            grant = {"grant_type": "client_credentials", "client_id": "other", "client_secret": "other"}
            if host == MARKETO:
                request = Request("GET", "/identity/oauth/token", urlencode(grant), {}, b"", MARKETO)
                answer = self.marketo.handle(request)
            else:
                form = urlencode({**grant, "scope": f"{DYNAMICS}/.default"}).encode()
                headers = {"content-type": "application/x-www-form-urlencoded"}
                answer = self.dynamics.handle(
                    Request("POST", "/sandbox/oauth2/v2.0/token", "", headers, form, DYNAMICS)
                )
            self._tokens[host] = json.loads(answer.body)["access_token"]
        return self._tokens[host]


def linked_people(systems: Systems) -> Iterator[tuple[int, str, str]]:
    """Every link to an open record: person id, table, CRM id, in the order of link ids.

    What changes on the person of a closed record is not written (D59).
    """
    with systems.engine.store.engine.connect() as connection:
        statement = """
            SELECT person_id, entity, crm_id FROM link WHERE status = 'active' AND crm_state = 0 ORDER BY link_id
        """
        yield from connection.exec_driver_sql(statement).fetchall()
