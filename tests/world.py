"""A small world for tests: both emulators, one clock, and an engine that talks to them without sockets."""

from __future__ import annotations

import atexit
import pickle
import shutil
import tempfile
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import urlencode

import yaml

from include.leadsync.config import Paths, Settings, load_settings
from include.leadsync.context import Engine, RunRequest
from include.leadsync.cycle import run_cycle
from include.leadsync.model import Connection, System
from include.leadsync.schema import current_schema
from include.leadsync.setup import setup
from include.leadsync.state import ActivityLog, Ledger
from include.sandbox.clock import MovableClock
from tests.world_transport import (
    WorldClock,
    WorldDynamics,
    WorldMarketo,
    WorldTransport,
    other_dynamics,
    other_marketo,
)

MARKETO, DYNAMICS = "https://marketo.test", "https://dynamics.test"
DEFAULT_CONFIG = Path(__file__).resolve().parent.parent / "include" / "config" / "leadsync.yaml"
START = datetime(2026, 3, 1, 10, tzinfo=UTC)
Json = Any
_Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_Dumper = getattr(yaml, "CSafeDumper", yaml.SafeDumper)


def shipped_config() -> dict[str, Json]:
    """The shipped configuration as plain data; the caller's to change."""
    document: dict[str, Json] = pickle.loads(_shipped_config())
    return document


@cache
def _shipped_config() -> bytes:
    return pickle.dumps(yaml.load(DEFAULT_CONFIG.read_bytes(), Loader=_Loader))


def settings_of(config: Path) -> Settings:
    """The settings in a file, the caller's own. A content is parsed once: it takes a third of the opening of a world.

    Raises:
        ConfigurationInvalid: as `load_settings`.
    """
    body = config.read_bytes()
    if body not in _SETTINGS:
        _SETTINGS[body] = pickle.dumps(load_settings(config))
    settings: Settings = pickle.loads(_SETTINGS[body])
    settings.came_from(str(config), settings._lines)
    return settings


_SETTINGS: dict[bytes, bytes] = {}


def lay_out(folder: Path, *, set_up: bool, with_state: bool) -> None:
    """Both systems empty at `START`, with or without Lead Sync's set-up, and its state.

    Copied from what this process made once: making them takes longer than most tests.
    """
    made = _empty_world(set_up)
    shutil.copytree(made / "systems", folder / "systems")
    shutil.copyfile(made / "time", folder / "time")
    if with_state:
        shutil.copyfile(made / "state.db", folder / "state.db")


@cache
def _empty_world(set_up: bool, /) -> Path:
    folder = Path(tempfile.mkdtemp(prefix="leadsync-empty-world-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    (folder / "systems").mkdir()
    (folder / "time").write_text(START.isoformat())
    with World(folder, fresh=False) as world:
        engine = world.engine
        if set_up:
            setup(engine)
            world.read_metadata()
    return folder


def _beginning(log: Path) -> bytes:
    with log.open("rb") as opened:
        return opened.read(32)


_OPENED = ("engine", "marketo", "dynamics", "_marketo", "_dynamics")


class World:
    """Both systems, the engine between them, and hands to play the marketer and the salesperson.

    They are opened when they are first asked for: many a world becomes a copy of another one before that.
    """

    engine: Engine
    marketo: WorldMarketo
    dynamics: WorldDynamics

    def __init__(
        self,
        folder: Path,
        changes: Mapping[str, Json] | None = None,
        *,
        fresh: bool = True,
        state_url: str | None = None,
        staging_url: str | None = None,
        secret: str = "sandbox",
    ) -> None:
        if fresh:
            lay_out(folder, set_up=not changes, with_state=state_url is None)
        self.movable = MovableClock()
        self.clock = WorldClock(self.movable)
        self.transport = WorldTransport({}, secret)
        self.folder = folder
        self.state_url = state_url or f"sqlite:///{folder / 'state.db'}"
        self.staging_url = staging_url or str(folder / "staging")
        self.secret = secret
        self._at_home = not (state_url or staging_url) and secret == "sandbox"
        self.runs = 0
        self.config = folder / "leadsync.yaml"
        self.configure(changes or {})
        self._lie_down()
        if fresh and (changes or state_url):
            setup(self.engine)
            self._as_opened = self._written()
        self._at_first = self._looks()

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> Json:
            """What is not open yet is opened."""
            if name not in _OPENED:
                raise AttributeError(name)
            self._open()
            return self.__dict__[name]

    def _lie_down(self) -> None:
        """Nothing is open, and it is the time at which the folder was left."""
        for name in _OPENED:
            self.__dict__.pop(name, None)
        self.transport.emulators = {}
        self.movable.freeze(datetime.fromisoformat((self.folder / "time").read_text()))

    @property
    def _is_open(self) -> bool:
        return "engine" in self.__dict__

    def _open(self) -> None:
        systems, options = self.folder / "systems", {"limits": False}
        self.marketo = WorldMarketo(systems, self.movable, options=options)
        self.dynamics = WorldDynamics(systems, self.movable, options=options)
        self.transport.emulators = {MARKETO: self.marketo, DYNAMICS: self.dynamics}
        self._marketo = other_marketo(self.marketo)
        self._dynamics = other_dynamics(self.dynamics, DYNAMICS)
        self.engine = self.open_engine()
        self._as_opened = self._written()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Close everything; the folder can be copied and opened again with `fresh=False`."""
        (self.folder / "time").write_text(self.clock.now().isoformat())
        if self._is_open:
            self.engine.store.close()
            self.marketo.close()
            self.dynamics.close()

    # --- copies -----------------------------------------------------------------------------------

    @property
    def untouched(self) -> bool:
        """Whether nothing has happened yet, nothing is about to meddle, and all of it is in its folder."""
        meddling = self.transport.before or self.transport.after or self.clock.skew
        if not self._at_home or meddling or self._looks() != self._at_first:
            return False
        return not self._is_open or self._written() == self._as_opened

    def _looks(self) -> tuple[object, ...]:
        return self.clock.now(), self.runs, self.config.read_bytes()

    def _written(self) -> tuple[object, ...]:
        """What every event changes: commands are counted, the logs of the three stores go on."""
        logs = [
            self.folder / name for name in ("state.db-wal", "systems/marketo.sqlite-wal", "systems/dynamics.sqlite-wal")
        ]
        written = [(log.stat().st_size, _beginning(log)) for log in logs if log.exists()]
        return self.marketo.commands, self.dynamics.commands, *written

    def copy_to(self, folder: Path) -> None:
        """A copy of everything as it is now; this world goes on, with a new engine."""
        self.__exit__()
        shutil.copytree(self.folder, folder)
        self._lie_down()

    def become(self, folder: Path, runs: int) -> None:
        """Both systems, the state and the staging become a copy of this one; the configuration stays."""
        self.__exit__()
        for name in ("systems", "staging"):
            shutil.rmtree(self.folder / name, ignore_errors=True)
        for leftover in self.folder.glob("state.db-*"):
            leftover.unlink()
        shutil.copytree(folder, self.folder, dirs_exist_ok=True)
        self.runs = runs
        self._lie_down()

    # --- the engine -------------------------------------------------------------------------------

    def configure(self, changes: Mapping[str, Json]) -> None:
        """Write the configuration: the shipped one with `changes` (top-level sections) over it."""
        if not changes:
            self.config.write_bytes(DEFAULT_CONFIG.read_bytes())
            return
        document = shipped_config()
        for section, values in changes.items():
            document[section] = {**(document.get(section) or {}), **values} if isinstance(values, dict) else values
        self.config.write_text(yaml.dump(document, Dumper=_Dumper, allow_unicode=True), "utf-8")

    def open_engine(self) -> Engine:
        """A fresh engine over the same store: another process, as it were."""
        paths = Paths(self.folder, self.config, self.state_url, self.staging_url)
        connections = {
            System.MARKETO: Connection(MARKETO, "sandbox", self.secret),
            System.DYNAMICS: Connection(DYNAMICS, "sandbox", self.secret, "sandbox", DYNAMICS),
        }
        if not self.transport.emulators:
            self._open()
        return Engine.open(settings_of(self.config), paths, connections, clock=self.clock, transport=self.transport)

    def reopen(self) -> None:
        """Close the engine and open another one, as after a change of configuration or a crash."""
        if self._is_open:
            self.engine.store.close()
            self.engine = self.open_engine()

    def read_metadata(self) -> None:
        """What both systems say of themselves now; the runs of the next hour know this and ask no more."""
        current_schema(self.engine, refresh=True)

    def run(self, **request: Json) -> dict[str, Json]:
        """One run; a cycle unless told otherwise. Returns its report. A minute passes first."""
        self.movable.advance(60)
        self.runs += 1
        run_id = f"{self.clock.now():%Y%m%dT%H%M%SZ}-{self.runs:06d}"
        return run_cycle(self.engine, RunRequest(run_id, **request))

    def settle(self, most: int = 6) -> int:
        """Run cycles until one plans nothing; returns how many it took. Fails when it never ends."""
        for count in range(1, most + 1):
            if self.run()["steps"]["plan"]["operations"] == 0:
                return count
        raise AssertionError(f"still writing after {most} cycles")

    def activities(self, *, open_only: bool = False) -> list[dict[str, Json]]:
        """The local activity log, newest first."""
        rows: list[dict[str, Json]] = ActivityLog(self.engine.store).browse(open_only=open_only, limit=1000).to_pylist()
        return rows

    def ledger(self, person: int, name: str | None = None) -> list[dict[str, Json]]:
        """What the ledger says of a person."""
        rows: list[dict[str, Json]] = Ledger(self.engine.store).of_person(person, name).to_pylist()
        return rows

    # --- Marketo, as its users see it -------------------------------------------------------------

    def person(self, person_id: int, *fields: str) -> dict[str, Json] | None:
        """A person's values through the API."""
        names = ",".join(fields or ("email", "firstName", "lastName", "microsoftId", "microsoftType"))
        query = urlencode({"filterType": "id", "filterValues": person_id, "fields": names})
        found = self._marketo("GET", "/rest/v1/leads.json", query)["result"]
        return found[0] if found else None

    def persons_by(self, filter_type: str, value: str) -> list[dict[str, Json]]:
        """Persons that match a filter."""
        query = urlencode({"filterType": filter_type, "filterValues": value})
        found: list[dict[str, Json]] = self._marketo("GET", "/rest/v1/leads.json", query)["result"]
        return found

    def add_person(self, **values: Json) -> int:
        """A new person, through the API."""
        body = {"action": "createDuplicate", "input": [values]}
        return int(self._marketo("POST", "/rest/v1/leads.json", "", body)["result"][0]["id"])

    def edit_person(self, person_id: int, **values: Json) -> None:
        """An edit as by a marketer."""
        self.marketo.control("edit_person", {"id": person_id, "values": values})

    def delete_person(self, person_id: int) -> None:
        """Delete a person through the API."""
        self._marketo("POST", "/rest/v1/leads/delete.json", "", {"input": [{"id": person_id}]})

    def outcome_activities(self, person_id: int) -> list[dict[str, Json]]:
        """The custom activities that the sync wrote on a person."""
        types = {
            kind["apiName"]: kind["id"]
            for kind in self._marketo("GET", "/rest/v1/activities/external/types.json")["result"]
        }
        token = self._marketo("GET", "/rest/v1/activities/pagingtoken.json", "sinceDatetime=2026-01-01T00:00:00Z")[
            "nextPageToken"
        ]
        query = urlencode({"nextPageToken": token, "activityTypeIds": types["leadSyncOutcome"], "leadIds": person_id})
        rows: list[dict[str, Json]] = self._marketo("GET", "/rest/v1/activities.json", query).get("result", [])
        return rows

    # --- Dynamics, as its users see it ------------------------------------------------------------

    def row(self, entity: str, row_id: str) -> dict[str, Json] | None:
        """A CRM record through the API; None when it does not exist."""
        status, body = self._dynamics("GET", f"{entity}s({row_id})")
        return body if status == 200 else None

    def rows(self, entity: str, condition: str = "") -> list[dict[str, Json]]:
        """CRM records, all or those that match an OData filter."""
        query = urlencode({"$filter": condition}) if condition else ""
        found: list[dict[str, Json]] = self._dynamics("GET", f"{entity}s", query)[1]["value"]
        return found

    def add_row(self, entity: str, **values: Json) -> str:
        """A new CRM record, through the API as another application."""
        status, body = self._dynamics("POST", f"{entity}s", "", values, prefer="return=representation")
        assert status == 201, body
        return str(body[f"{entity}id"])

    def edit_row(self, entity: str, row_id: str, **values: Json) -> None:
        """An edit as by a salesperson, through the API as another application."""
        status, body = self._dynamics("PATCH", f"{entity}s({row_id})", "", values)
        assert status == 204, body

    def delete_row(self, entity: str, row_id: str) -> None:
        """Delete a CRM record."""
        status, body = self._dynamics("DELETE", f"{entity}s({row_id})")
        assert status == 204, body
