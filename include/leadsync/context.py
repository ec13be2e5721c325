"""What every step of a run is handed: who asked for what, and the tools to do it."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime
from functools import cached_property
from typing import Any, Self
from uuid import uuid4

from include.leadsync.clients.dynamics import DynamicsClient
from include.leadsync.clients.marketo import MarketoClient
from include.leadsync.clients.transport import Counted, RequestsTransport, Transport
from include.leadsync.clock import Clock, SystemClock, iso, parse_iso
from include.leadsync.config import Paths, Settings
from include.leadsync.errors import FixConfiguration
from include.leadsync.measures import Measure
from include.leadsync.model import Connection, Entity, System, Window
from include.leadsync.staging import Staging
from include.leadsync.state import SharedBudget, StateStore

Json = Any

_STAGING = "staging"


@dataclass(frozen=True, slots=True)
class RunRequest:
    """One run, as the command line or a DAG asks for it. JSON-able; the same in every step.

    `kind`: "cycle" follows the cursors; "backfill" reads the selection (window, entity, persons,
    fields) afresh and leaves the cursors alone; "request" serves Sync Person to Microsoft; "undo" takes back what the
    run `undoes` has written; "reconcile" compares everything that is linked.
    `since`, `until`: ISO 8601. `approve`: the plan hash that the brake may let pass.
    """

    run_id: str
    kind: str = "cycle"
    since: str | None = None
    until: str | None = None
    entity: str | None = None
    persons: tuple[int, ...] = ()
    fields: tuple[str, ...] = ()
    dry_run: bool = False
    approve: str | None = None
    direction: str | None = None  # of a backfill of fields: inbound, outbound, by_type
    window_on: str = "modified"  # what the window means for CRM records; "created": those alone, no changed persons
    job: int | None = None  # the backfill of fields that this run goes on with
    limit: int | None = None  # records of one run of it
    stream: str | None = None  # of a mapped extract: "lead", "contact" or "person"
    undoes: str | None = None  # run id

    @property
    def incremental(self) -> bool:
        """Whether this run follows the cursors, and so may advance them."""
        return self.kind == "cycle"

    @property
    def of_fields(self) -> bool:
        """Whether this is a backfill of fields over all links, not of chosen records."""
        return self.kind == "backfill" and bool(self.fields) and not self.persons

    @property
    def window(self) -> Window:
        """The selected span of time; an open end is None. Raises `FixConfiguration` when it is none."""
        since, until = _moment("since", self.since), _moment("until", self.until)
        if until and not since:
            raise FixConfiguration(f"the window has an end ({self.until}) but no beginning; say since when")
        if since and until and since >= until:
            raise FixConfiguration(f"the window ends ({self.until}) before it begins ({self.since}); swap them")
        return Window(since, until)

    def require_selection(self, now: datetime) -> None:
        """Raises `FixConfiguration` when the window is none, or when a backfill would read nothing or not as asked."""
        window = self.window
        if window.since and window.since > now:
            raise FixConfiguration(f"the window begins ({self.since}) in the future; it is {iso(now)} now")
        if self.kind != "backfill":
            return
        if not (window.since or self.persons or self.fields):
            raise FixConfiguration(
                "a backfill needs a beginning (since), persons or fields; else it would read nothing"
            )
        if self.direction and not self.of_fields:
            raise FixConfiguration(
                "a direction goes with fields and without persons: whole records are filled by the usual rules"
            )
        if self.window_on == "created" and (self.persons or not window.since):
            raise FixConfiguration("created needs a window (since), and no persons: it says which CRM records are read")

    @property
    def entities(self) -> tuple[Entity, ...]:
        """The tables this run looks at."""
        return (Entity(self.entity),) if self.entity else tuple(Entity)

    def to_json(self) -> dict[str, Json]:
        """Plain values for XCom and the run table."""
        return asdict(self)


def _moment(name: str, text: str | None) -> datetime | None:
    try:
        return parse_iso(text) if text else None
    except (ValueError, OverflowError):
        raise FixConfiguration(
            f"{name} is {text!r}; it must be an ISO 8601 date or date-time, such as 2026-01-31 or 2026-01-31T08:00:00Z"
        ) from None


def new_run_id(clock: Clock, seed: str | None = None) -> str:
    """`YYYYMMDDTHHMMSSZ-xxxxxx`: sorts by time; with `seed` the same run always gets the same id."""
    tail = hashlib.sha256(seed.encode()).hexdigest()[:6] if seed else uuid4().hex[:6]
    return f"{clock.now():%Y%m%dT%H%M%SZ}-{tail}"


@dataclass
class Engine:
    """The tools of one process: settings, state store, staging, clients. Close it when done."""

    settings: Settings
    paths: Paths
    connections: Mapping[System, Connection]
    store: StateStore
    clock: Clock = field(default_factory=SystemClock)
    transport: Transport = field(default_factory=RequestsTransport)
    measures: list[Measure] = field(default_factory=list)  # of the steps so far
    calls: Counter[str] = field(default_factory=Counter)  # requests to each system so far, log-ins aside
    guards: list[Callable[[], None]] = field(default_factory=list)  # asked before each request; see `Counted`
    opened: dict[str, Any] = field(default_factory=dict)  # what steps of one process read once, by name

    @classmethod
    def open(
        cls,
        settings: Settings,
        paths: Paths,
        connections: Mapping[System, Connection],
        *,
        clock: Clock | None = None,
        transport: Transport | None = None,
    ) -> Engine:
        """Open the state store (migrating it) and prepare the clients; nothing is called yet."""
        clock = clock or SystemClock()
        # State and staging hold people's data: a folder we make is its owner's alone (P10).
        paths.home.mkdir(mode=0o700, parents=True, exist_ok=True)
        store = StateStore.open(paths.state_url, clock)
        return cls(settings, paths, connections, store, clock, transport or RequestsTransport())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.store.close()

    @cached_property
    def marketo(self) -> MarketoClient:
        """The Marketo client, on the shared budget."""
        return MarketoClient(
            self.connections[System.MARKETO],
            transport=Counted(self.transport, self.calls, System.MARKETO.value, self.guards),
            budget=self.budget(System.MARKETO),
            clock=self.clock,
        )

    @cached_property
    def dynamics(self) -> DynamicsClient:
        """The Dynamics client, on the shared budget."""
        client = DynamicsClient(
            self.connections[System.DYNAMICS],
            transport=Counted(self.transport, self.calls, System.DYNAMICS.value, self.guards),
            budget=self.budget(System.DYNAMICS),
            clock=self.clock,
        )
        client.start_batches_at(self.settings.batches.dynamics)
        return client

    def budget(self, system: System) -> SharedBudget:
        """The API budget of one system, shared by all processes through the store (P7)."""
        return SharedBudget(self.store, system, self.settings.limits.of(system), self.clock)

    def staging(self, run: RunRequest) -> Staging:
        """The staged datasets of a run. No two processes take steps of a run that write the same ones."""
        kept = self.opened.get(_STAGING)
        if not isinstance(kept, Staging) or kept.run_id != run.run_id:
            kept = self.opened[_STAGING] = Staging(self.paths.staging_url, run.run_id, at_hand=True)
        return kept

    def now(self) -> datetime:
        """The clock's time."""
        return self.clock.now()
