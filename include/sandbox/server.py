"""Both emulators in one process: folder, clock, life cycle, control.

`with SandboxServer(data_dir, people=100) as sandbox:` listens on two free ports, `sandbox.marketo_url`
and `sandbox.dynamics_url`, from a thread of its own; `sandbox.control("faults.set", {"rules": [...]})`
reaches the switchboard without a socket.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

from include.sandbox.call_log import CallLog
from include.sandbox.clock import MovableClock
from include.sandbox.clock_state import ClockState
from include.sandbox.control import Switchboard
from include.sandbox.fault_rules import SERVICES
from include.sandbox.faults import FaultBoard
from include.sandbox.folder import DataFolder
from include.sandbox.hosting import Application, Gate, Wait
from include.sandbox.listening import Address, Listener
from include.sandbox.people.loading import load_people, prepare
from include.sandbox.service import Emulator, Json, Request, Response

_PEOPLE_NOTE = "people"
_CLOSE_SECONDS = 0.2

Factory = Callable[[Path, MovableClock, Mapping[str, Json]], Emulator]


def _marketo(folder: Path, clock: MovableClock, options: Mapping[str, Json]) -> Emulator:
    from include.sandbox.marketo import MarketoEmulator

    return MarketoEmulator(folder, clock, options=options)


def _dynamics(folder: Path, clock: MovableClock, options: Mapping[str, Json]) -> Emulator:
    from include.sandbox.dynamics import DynamicsEmulator

    return DynamicsEmulator(folder, clock, options=options)


EMULATORS: Mapping[str, Factory] = {"marketo": _marketo, "dynamics": _dynamics}


class SandboxServer:
    """A running sandbox; a context manager, or `start` and `stop`.

    `people` linked people are generated on the first start in a folder only. `options` go to the
    emulators, by service name; `wait` carries out the delays of fault rules, really waiting unless another is given.
    Raises `FolderInUse`, and `OSError` when a port is taken.
    """

    def __init__(
        self,
        data_dir: Path | str,
        people: int = 0,
        seed: int = 1,
        *,
        address: Address | None = None,
        options: Mapping[str, Mapping[str, Json]] | None = None,
        emulators: Mapping[str, Factory] = EMULATORS,
        wait: Wait = asyncio.sleep,
    ) -> None:
        self._folder = DataFolder(Path(data_dir))
        self._people = people
        self._seed = seed
        self._address = address or Address()
        self._options = options or {}
        self._factories = emulators
        self._wait = wait
        self._emulators: dict[str, Emulator] = {}
        self._gate = Gate()
        self._app: Application | None = None
        self._listener: Listener | None = None
        self.clock = MovableClock()
        self.faults = FaultBoard()
        self.calls = CallLog()
        self.urls: Mapping[str, str] = {}

    def start(self) -> Self:
        """Open the folder, load people on the first start, listen. Returns when both answer."""
        self._folder.take()
        try:
            self._listener = Listener(self._address)
            self.urls = self._listener.urls
            self._clock_state = ClockState(self.clock, self._folder)
            self._first_start()
            self._switchboard = Switchboard(self, self.faults, self.calls, self._clock_state)
            self._app = Application(
                self._emulators,
                self._listener.ports,
                self.faults,
                self.calls,
                self._gate,
                self._switchboard,
                self._wait,
            )
            self._listener.start(self._app)
        except BaseException:
            self.stop()
            raise
        return self

    def stop(self) -> bool:
        """End within two seconds; committed state is kept. False when a call was still running then."""
        self.faults.clear()
        if self._listener is not None:
            self._listener.close()
            self._listener = None
        if self._app is not None:
            self._app.close()
            self._app = None
        with self._gate.alone(timeout=_CLOSE_SECONDS) as quiet:
            if quiet:
                self._close_emulators()
        self._folder.give_back()
        return quiet

    def __enter__(self) -> Self:
        """Start."""
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop."""
        self.stop()

    @property
    def marketo_url(self) -> str:
        """Address of the Marketo emulator, without a slash at the end."""
        return self.urls["marketo"]

    @property
    def dynamics_url(self) -> str:
        """Address of the Dynamics emulator, without a slash at the end."""
        return self.urls["dynamics"]

    @property
    def marketo(self) -> Emulator:
        """The Marketo emulator itself (another object after a restore)."""
        return self._emulators["marketo"]

    @property
    def dynamics(self) -> Emulator:
        """The Dynamics emulator itself (another object after a restore)."""
        return self._emulators["dynamics"]

    def control(self, command: str, arguments: Mapping[str, Json] | None = None, *, service: str = "marketo") -> Json:
        """Carry out a control command as the endpoint of `service` would; raises what it raises."""
        return self._switchboard.run(service, command, arguments or {})

    def answer_control(self, service: str, request: Request) -> Response:
        """What the port of `service` answers to a request at `/_sandbox/`, without a socket."""
        return self._switchboard.answer(service, request)

    def emulator_command(self, service: str, command: str, arguments: Mapping[str, Json]) -> Json:
        """Carry out a command of one emulator."""
        with self._gate.shared():
            return self._emulators[service].control(command, arguments)

    def save(self, name: str) -> Json:
        """Copy the data folder while nothing is being handled."""
        with self._gate.alone():
            return {"name": name, "bytes": self._folder.save(name)}

    def restore(self, name: str) -> Json:
        """Bring a copy back: the emulators are closed and opened again. The clock stays as it is."""
        with self._gate.alone():
            self._folder.check(name)
            self._close_emulators()
            self._folder.restore(name)
            self._clock_state.keep()
            self._open_emulators()
        return {"name": name}

    def snapshots(self) -> Json:
        """Names of the copies."""
        return {"snapshots": self._folder.snapshots()}

    def add_people(self, arguments: Mapping[str, Json]) -> Json:
        """Generate more people; the arguments are those of `load_people`, Marketo choosing the ids.

        Raises:
            ValueError: the count is negative, or these people are there already.
        """
        if int(arguments.get("count", 0)) < 0:
            message = "count is negative"
            raise ValueError(message)
        with self._gate.shared():
            prepare(self.marketo)
            try:
                return load_people(self.marketo, self.dynamics, **{"with_ids": False, **arguments})
            except sqlite3.IntegrityError as error:
                message = "these people are there already: start where the last ones ended, or take another seed"
                raise ValueError(message) from error

    def _first_start(self) -> None:
        note = self._folder.note(_PEOPLE_NOTE)
        if note is not None and not note["complete"]:
            self._folder.empty()  # a first start that was killed: nobody has seen its content
            note = None
        if note is not None:
            self._open_emulators()
            return
        note = {"people": self._people, "seed": self._seed, "complete": False}
        self._folder.write_note(_PEOPLE_NOTE, note)
        self._open_emulators()
        if self._people:
            prepare(self.marketo)
            load_people(self.marketo, self.dynamics, seed=self._seed, count=self._people)
        self._folder.write_note(_PEOPLE_NOTE, {**note, "complete": True})

    def _open_emulators(self) -> None:
        for service in SERVICES:
            options = self._options.get(service, {})
            self._emulators[service] = self._factories[service](self._folder.path, self.clock, options)

    def _close_emulators(self) -> None:
        for emulator in self._emulators.values():
            emulator.close()
        self._emulators.clear()
