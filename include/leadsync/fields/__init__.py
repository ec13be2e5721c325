"""Canonical forms: one value → one spelling per type, both ways (D54 to D64, contract of `model.Canonical`).

`marketo_columns`, `dynamics_columns` say what to read; `canonical_persons`, `canonical_rows` turn what
was read into texts; `marketo_value`, `dynamics_value` turn a text into what to write;
`from_activity_text` reads the Marketo feed; `row_hash` sums a record up.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from include.leadsync.fields.canonical import canonical_persons, canonical_rows
from include.leadsync.fields.columns import Wire, dynamics_columns, marketo_columns
from include.leadsync.fields.hashing import hash_tag, row_hash
from include.leadsync.fields.spelling import spell as from_activity_text
from include.leadsync.fields.writing import JsonValue, dynamics_value, marketo_value

if TYPE_CHECKING:
    HASH_TAG: str


def __getattr__(name: str) -> object:
    """`HASH_TAG` is worked out when first asked for: polars must not run at import (facts: performance)."""
    if name == "HASH_TAG":
        return hash_tag()
    raise AttributeError(name)


__all__ = [
    "HASH_TAG",
    "JsonValue",
    "Wire",
    "canonical_persons",
    "canonical_rows",
    "dynamics_columns",
    "dynamics_value",
    "from_activity_text",
    "hash_tag",
    "marketo_columns",
    "marketo_value",
    "row_hash",
]
