"""Slots: how many calls are under way at once, over all processes."""

from __future__ import annotations

import os
import socket
from functools import cache
from pathlib import Path

import sqlalchemy as sa

from include.leadsync.model import System
from include.leadsync.state.coordination import budget_slot
from include.leadsync.state.statements import Prepared, named
from include.leadsync.state.store import Transaction, driver_rows

_PROC = Path("/proc")
_TAKE = Prepared(sa.insert(budget_slot).values(named("slot_id", "system", "holder", "taken_at", "expires_at")))
_FREE = Prepared(sa.delete(budget_slot).where(budget_slot.c.slot_id == sa.bindparam("slot")))


class BudgetSlots:
    """The slots of one system. All times in microseconds since 1970 UTC.

    A slot is given back at the end of its call. The slots of a holder that died are found when there are too
    few: at once where its process can be seen to be gone (same host, Linux), else when they expire.
    """

    def __init__(self, system: System, slot_seconds: float) -> None:
        self._length = int(slot_seconds * 1_000_000)
        self._system = system.value
        self._ours = budget_slot.c.system == system.value
        now, ahead = sa.bindparam("now", type_=sa.BigInteger()), sa.bindparam("ahead", type_=sa.BigInteger())
        # Past its time, or taken so far ahead that the clock must have gone back since.
        self._expired = (budget_slot.c.expires_at <= now) | (budget_slot.c.taken_at > ahead)
        running = sa.select(sa.func.count()).select_from(budget_slot).where(self._ours, ~self._expired)
        self._running = Prepared(running)

    def running(self, tx: Transaction, now: int) -> int:
        """Calls under way."""
        return int(self._running.value(tx, self._times(now)))

    def take(self, tx: Transaction, slot_id: str, now: int, limit: int) -> bool:
        """Take a slot unless `limit` calls are under way."""
        if self.running(tx, now) >= limit and not (self._drop_dead(tx, now) and self.running(tx, now) < limit):
            return False
        row = {"slot_id": slot_id, "system": self._system, "holder": f"{_node()}/{os.getpid()}"}
        _TAKE.change(tx, {**row, "taken_at": now, "expires_at": now + self._length})
        return True

    def free(self, tx: Transaction, slot_id: str) -> None:
        """Give a slot back."""
        _FREE.change(tx, {"slot": slot_id})

    def _drop_dead(self, tx: Transaction, now: int) -> int:
        held = driver_rows(tx, sa.select(budget_slot.c.holder).where(self._ours).distinct())
        gone = [holder for (holder,) in held if _is_gone(holder)]
        dead = sa.delete(budget_slot).where(self._ours, self._expired | budget_slot.c.holder.in_(gone))
        return tx.execute(dead, self._times(now)).rowcount

    def _times(self, now: int) -> dict[str, int]:
        return {"now": now, "ahead": now + self._length}


@cache
def _node() -> str:
    """This host and, on Linux, this process namespace: process numbers mean something only within it."""
    namespace = _PROC / "self" / "ns" / "pid"
    return f"{socket.gethostname()}:{namespace.readlink() if namespace.is_symlink() else 'host'}"


def _is_gone(holder: str) -> bool:
    node, _, pid = holder.rpartition("/")
    return node == _node() and (_PROC / "self").exists() and not (_PROC / pid).exists()
