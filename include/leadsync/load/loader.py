"""The loop that empties the outbox: highest lane first, one batch at a time, under the writer lease."""

from __future__ import annotations

from collections import Counter
from uuid import uuid4

from include.leadsync.context import Engine, Json, RunRequest
from include.leadsync.errors import RetryLater
from include.leadsync.load.inbound import send_to_marketo
from include.leadsync.load.outbound import send_to_dynamics
from include.leadsync.load.outcome import Fate, Operation, Outcome
from include.leadsync.load.rechecking import still_due
from include.leadsync.load.settle import Settling
from include.leadsync.load.telling import Teller
from include.leadsync.logs import about, logger
from include.leadsync.model import Direction, OperationKind, OperationState
from include.leadsync.progress import Progress
from include.leadsync.schema import staged_schema
from include.leadsync.state import Lease, Leases, Outbox

log = logger(__name__)

WRITER = "writer"
LEASE_SECONDS = 45.0
"""A dead holder's lease is free within a minute (DECISIONS 13)."""


def load(engine: Engine, run: RunRequest) -> dict[str, Json]:
    """Write what the outbox holds, whoever planned it; returns counts per direction and fate.

    When another loader is at work, it picks our operations up between two batches, requests first:
    then this returns at once with `handed_over`. Raises `RetryLater` after settling what was
    sent, when a service could not take the rest; that rest stays pending.
    """
    leases = Leases(engine.store)
    lease = leases.acquire(WRITER, run.run_id, LEASE_SECONDS)
    if lease is None:
        return {"handed_over": True}
    loader = _Loader(engine, run, lease)
    engine.guards.append(loader.keep_lease)
    try:
        loader.empty()
    finally:
        engine.guards.remove(loader.keep_lease)
        leases.release(lease)
    if loader.stopped_by:
        raise RetryLater(
            f"{sum(loader.counts.values())} operations were handled, the rest stays pending: {loader.stopped_by}"
        )
    return {"handed_over": False, **{f"{d}_{fate}": n for (d, fate), n in sorted(loader.counts.items())}}


class _Loader:
    def __init__(self, engine: Engine, run: RunRequest, lease: Lease) -> None:
        self._engine, self._run, self._lease = engine, run, lease
        self._schema = staged_schema(engine, run)
        self._outbox, self._leases = Outbox(engine.store), Leases(engine.store)
        self._settling = Settling(engine, self._schema, run.run_id, lease)
        self._teller = Teller(engine.marketo, engine.settings.marketo.activity_type, engine.clock)
        self._open = {Direction.OUTBOUND, Direction.INBOUND}
        self._progress = Progress(engine, run.run_id, "writes", self._whole)
        self.counts: Counter[tuple[str, str]] = Counter()
        self.stopped_by: str | None = None

    def empty(self) -> None:
        """Until nothing can be claimed, or both services stopped us."""
        while self._open and sum(self._batch(direction) for direction in sorted(self._open, reverse=True)):
            self._lease = self._leases.renew(self._lease)

    def keep_lease(self) -> None:
        """Before each call: who slept, or waited for leave to call, may hold a batch that others have taken over.

        Raises `LeaseLost`. A pause between this look and the call cannot be seen; there `If-Match` guards Dynamics.
        """
        if (self._lease.expires_at - self._engine.now()).total_seconds() < LEASE_SECONDS / 2:
            self._lease = self._leases.renew(self._lease)
        else:
            self._leases.prove(self._lease)  # whoever took it over may have another clock

    def _whole(self, done: int) -> int:
        """What this loader has dealt with, and what waits: others may add to it meanwhile."""
        depth = self._outbox.depth().to_pylist()
        return done + sum(int(row["count"]) for row in depth if row["state"] == OperationState.PENDING.value)

    def _batch(self, direction: Direction) -> bool:
        batches = self._engine.settings.batches
        limit = self._engine.dynamics.batch_size if direction is Direction.OUTBOUND else batches.marketo
        claimed = self._outbox.claim(direction, None, None, limit, self._lease.fence, uuid4().hex)
        operations = [Operation.from_row(row) for row in claimed.to_pylist()]
        if not operations:
            return False
        outcomes = self._send(direction, operations)
        self._settling.settle(outcomes)
        self.counts.update((direction.value, outcome.fate.value) for outcome in outcomes)
        self._progress.advance(len(outcomes))
        _log_refusals(outcomes)
        put_off = [outcome for outcome in outcomes if outcome.fate is Fate.LATER]
        if put_off:
            self.stopped_by = put_off[0].message
        if any(outcome.operation.kind != OperationKind.ACTIVITY for outcome in put_off):
            self._open.discard(direction)  # words that wait hold up no writes
        return True

    def _send(self, direction: Direction, operations: list[Operation]) -> list[Outcome]:
        """One outcome for each operation; what a service cannot take now comes back as put off, never as an error."""
        due, withdrawn = still_due(self._engine, self._schema, operations)
        return [*withdrawn, *self._sent(direction, due)]

    def _sent(self, direction: Direction, operations: list[Operation]) -> list[Outcome]:
        if direction is Direction.OUTBOUND:
            rules = self._engine.settings.policies.duplicate_rules
            return send_to_dynamics(self._engine.dynamics, self._schema, rules, operations)
        key = self._engine.settings.marketo.system_fields.id
        tellings = [op for op in operations if op.kind == OperationKind.ACTIVITY]
        writes = [op for op in operations if op.kind != OperationKind.ACTIVITY]
        sent = send_to_marketo(self._engine.marketo, self._schema, key, writes)
        return sent + self._teller.tell(tellings)


def _log_refusals(outcomes: list[Outcome]) -> None:
    """One line for each record that did not get across, with its ids; what the service said may hold a value."""
    for outcome in outcomes:
        if outcome.fate in {Fate.REFUSED, Fate.UNKNOWN}:
            op = outcome.operation
            with about(link=op.link_id, person=op.person_id, request=op.request_id):
                log.info("%s %s %s: %s %s", op.direction, op.kind, op.entity, outcome.fate, outcome.code or "-")
