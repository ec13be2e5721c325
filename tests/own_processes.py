"""Processes of their own that cost little: what they need is imported once, in a process that does nothing else."""

from __future__ import annotations

import multiprocessing
from multiprocessing.context import ForkServerContext

_IMPORTED = ("tests.state.callers", "tests.clients.callers", "sqlalchemy.dialects.postgresql.psycopg")


def own_processes() -> ForkServerContext:
    """A context as `spawn`: a process shares nothing with the one that starts it but its arguments."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(list(_IMPORTED))
    return context
