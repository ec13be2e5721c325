"""Leases: one loader at a time, and proof of it in every transaction (DECISIONS 13).

A lease is held until it expires or is released. Each acquisition gets a fencing number higher than
any before, of any lease. Whoever marks work in flight checks its number in the same transaction: a
holder that was asleep and has been replaced fails there, whatever its clock says.

Clocks: hosts that share a store agree within a few seconds. A clock that jumps forward can only
end a lease early, which fencing makes harmless. A clock that jumps back cannot keep a dead
holder's lease alive for longer than one `ttl` from the moment somebody asks for it: an expiry further away than
that is cut down to it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime

import sqlalchemy as sa

from include.leadsync.errors import LeaseLost
from include.leadsync.state.arrow import from_micros
from include.leadsync.state.coordination import counter, lease
from include.leadsync.state.statements import Prepared, named
from include.leadsync.state.store import StateStore, Transaction

WRITER = "writer"
"""The lease of the loading step."""

MAX_TTL = 60.0
"""A holder's death is noticed within a minute (DECISIONS 13)."""

_FENCE = "fence"
_OF_NAME = lease.c.name == sa.bindparam("of_name")
_OF_FENCE = lease.c.fence == sa.bindparam("of_fence")
_BY_FENCE = _OF_NAME & _OF_FENCE
_BY_HOLDER = _OF_NAME & (lease.c.holder == sa.bindparam("of_holder"))
_COUNT = Prepared(
    sa.update(counter).where(counter.c.name == _FENCE).values(value=counter.c.value + 1).returning(counter.c.value)
)
_HOLDER = Prepared(sa.select(lease.c.holder, lease.c.expires_at).where(_OF_NAME))
_HELD_NOW = sa.select(lease.c.holder).where(_OF_FENCE, lease.c.holder.is_not(None))
_PROVE, _HELD = Prepared(_HELD_NOW), Prepared(_HELD_NOW.with_for_update())
_UNTIL = named("expires_at")
_TAKE = Prepared(sa.update(lease).where(_OF_NAME).values(named("holder", "fence", "expires_at")))
_EXTEND = Prepared(sa.update(lease).where(_BY_HOLDER).values(_UNTIL))
_RENEW = Prepared(sa.update(lease).where(_BY_FENCE, lease.c.holder.is_not(None)).values(_UNTIL))
_RELEASE, _RELEASE_BY = (
    Prepared(sa.update(lease).where(ours).values(holder=sa.null(), expires_at=0)) for ours in (_BY_FENCE, _BY_HOLDER)
)


@dataclass(frozen=True, slots=True)
class Lease:
    """A lease as granted. Pass `fence` with every write."""

    name: str
    holder: str
    fence: int
    expires_at: datetime
    ttl: float


class Leases:
    """The lease table."""

    def __init__(self, store: StateStore) -> None:
        self._store = store

    def acquire(self, name: str, holder: str, ttl_seconds: float = MAX_TTL) -> Lease | None:
        """Take a lease that is free, expired, or held under the same holder name; None while another has it.

        `holder` names one process of one run; a process that asks again gets a new fencing number.

        Raises:
            ValueError: `ttl_seconds` is not within (0, 60].
        """
        if not 0 < ttl_seconds <= MAX_TTL:
            raise ValueError(f"a lease of {ttl_seconds} s; it must be more than 0 and at most {MAX_TTL:g}")
        with self._store.begin() as tx:
            fence = self._next_fence(tx)
            now, ttl = self._store.micros(), int(ttl_seconds * 1_000_000)
            if self._taken(tx, name, holder, now, ttl):
                return None
            row = {"holder": holder, "fence": fence, "expires_at": now + ttl}
            if not self._store.insert_if_absent(tx, lease, {"name": name, **row}, ("name",)):
                _TAKE.change(tx, {"of_name": name, **row})
        return Lease(name, holder, fence, from_micros(now + ttl), ttl_seconds)

    def _next_fence(self, tx: Transaction) -> int:
        """Asked for first: on PostgreSQL the row lock of the counter lets one acquirer in at a time."""
        fence: int | None = _COUNT.value(tx)
        if fence is None:  # nobody ever acquired one
            self._store.insert_if_absent(tx, counter, {"name": _FENCE, "value": 0}, ("name",))
            fence = int(_COUNT.value(tx))
        return fence

    @staticmethod
    def _taken(tx: Transaction, name: str, holder: str, now: int, ttl: int) -> bool:
        there = _HOLDER.row(tx, {"of_name": name})
        if there is None:
            return False
        present, expires_at = there
        if present in {None, holder} or expires_at <= now:
            return False
        longest = now + int(MAX_TTL * 1_000_000)
        if expires_at > longest:  # the clock went back since: no honest lease ends that late
            tx.execute(sa.update(lease).where(lease.c.name == name).values(expires_at=now + ttl))
        return True

    def renew(self, held: Lease) -> Lease:
        """Hold a lease for another `ttl` from now.

        A lease that expired but that nobody took is renewed as well. Raises `LeaseLost` otherwise.
        """
        with self._store.begin() as tx:
            expires = self._store.micros() + int(held.ttl * 1_000_000)
            ours = {"of_name": held.name, "of_fence": held.fence}
            if not _RENEW.change(tx, {**ours, "expires_at": expires}):
                raise self._lost(tx, held.fence, held.name)
        return replace(held, expires_at=from_micros(expires))

    def release(self, held: Lease) -> bool:
        """Give a lease back; False when somebody else has it by now."""
        with self._store.begin() as tx:
            return _RELEASE.change(tx, {"of_name": held.name, "of_fence": held.fence}) > 0

    def extend_by(self, name: str, holder: str, ttl_seconds: float) -> bool:
        """Hold a lease for longer under its holder's name, from another process of the same run.

        False when somebody else has it, or it was released.
        """
        with self._store.begin() as tx:
            expires = self._store.micros() + int(ttl_seconds * 1_000_000)
            return _EXTEND.change(tx, {"of_name": name, "of_holder": holder, "expires_at": expires}) > 0

    def release_by(self, name: str, holder: str) -> bool:
        """Give a lease back under its holder's name; False when somebody else has it."""
        with self._store.begin() as tx:
            return _RELEASE_BY.change(tx, {"of_name": name, "of_holder": holder}) > 0

    def check(self, fence: int, tx: Transaction) -> None:
        """Prove inside a writing transaction that the lease with this fencing number is still held.

        Until that transaction ends nobody can take the lease over. Raises `LeaseLost`.
        """
        if _HELD.row(tx, {"of_fence": fence}) is None:
            raise self._lost(tx, fence)

    def prove(self, held: Lease) -> None:
        """Outside a transaction, before what cannot be in one. Raises `LeaseLost` when somebody else has it."""
        with self._store.read() as tx:
            if _PROVE.row(tx, {"of_fence": held.fence}) is None:
                raise self._lost(tx, held.fence, held.name)

    def holder(self, name: str = WRITER) -> str | None:
        """Who holds a lease now, for `status`; None when it is free or expired."""
        valid = (lease.c.name == name) & (lease.c.expires_at > self._store.micros())
        with self._store.read() as tx:
            return tx.execute(sa.select(lease.c.holder).where(valid)).scalar()

    @staticmethod
    def _lost(tx: Transaction, fence: int, name: str | None = None) -> LeaseLost:
        newer = sa.select(lease.c.name, lease.c.holder).order_by((lease.c.name == (name or WRITER)).desc()).limit(1)
        row = tx.execute(newer).one_or_none()
        known, holder = (row.name, row.holder) if row else (name or WRITER, None)
        return LeaseLost(known, fence, holder or "nobody (it was released)")
