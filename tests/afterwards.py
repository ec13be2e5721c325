"""The two minutes after a process was killed, without waiting for them, where the engine has the real clock."""

from __future__ import annotations

import sqlalchemy as sa

_MICROSECONDS = 120 * 10**6


def let_two_minutes_pass(store: sa.Engine) -> None:
    """What a killed process held is free, and Marketo has committed what it will."""
    with store.begin() as connection:
        connection.execute(sa.text("UPDATE lease SET expires_at = 1"))
        aged = sa.text("UPDATE link SET changed_at = changed_at - :passed WHERE status = 'creating'")
        connection.execute(aged, {"passed": _MICROSECONDS})


def is_waiting(store: sa.Engine) -> bool:
    """Whether a creation whose answer was lost is still to be looked for."""
    asked = sa.text("SELECT count(*) FROM link WHERE status = 'creating' AND dirty IS NOT NULL")
    with store.connect() as connection:
        return bool(connection.execute(asked).scalar_one())
