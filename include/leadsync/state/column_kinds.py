"""The four kinds of column of the state store.

The kind decides how a column travels between Arrow and the driver (see `arrow`): text, number (64-bit), moment
(microseconds since 1970 UTC as a 64-bit number, so that both databases store, compare and index the same thing) and
flag (0 or 1).
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

KIND = "kind"
TEXT, NUMBER, MOMENT, FLAG = "text", "number", "moment", "flag"

metadata = sa.MetaData()
"""All tables of the state store; complete once `schema` is imported."""

_LONG = sa.BigInteger()
_COUNTED = sa.BigInteger().with_variant(sa.Integer(), "sqlite")  # SQLite numbers only an INTEGER key by itself


def text(name: str, *, key: bool = False, needed: bool = False, default: str | None = None) -> sa.Column[str]:
    """A text."""
    return sa.Column(
        name, sa.Text(), primary_key=key, nullable=not (key or needed), server_default=default, info={KIND: TEXT}
    )


def number(
    name: str, *, key: bool = False, needed: bool = False, counted: bool = False, default: str | None = None
) -> sa.Column[int]:
    """A 64-bit number; `counted`: the database gives it, from 1 up."""
    return sa.Column(
        name,
        _COUNTED if counted else _LONG,
        primary_key=key or counted,
        autoincrement=counted,
        nullable=not (key or counted or needed),
        server_default=default,
        info={KIND: NUMBER},
    )


def moment(name: str, *, needed: bool = False) -> sa.Column[int]:
    """Microseconds since 1970 UTC."""
    return sa.Column(name, _LONG, nullable=not needed, info={KIND: MOMENT})


def flag(name: str) -> sa.Column[int]:
    """0 or 1."""
    return sa.Column(name, sa.SmallInteger(), nullable=False, server_default="0", info={KIND: FLAG})


def where(condition: str) -> dict[str, Any]:
    """The condition of a partial index, for both databases."""
    return {"sqlite_where": sa.text(condition), "postgresql_where": sa.text(condition)}
