"""What the clients take and give, apart from tables."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import pyarrow as pa

from include.leadsync.clients.decode import Wire
from include.leadsync.model import Entity


@dataclass(frozen=True, slots=True)
class RecordResult:
    """What Marketo did with one record. `code` and `message` are its own when `ok` is False (M35)."""

    ok: bool
    id: int | str | None
    status: str
    code: str | None = None
    message: str | None = None


@dataclass(frozen=True, slots=True)
class FeedPage:
    """One page of a Marketo activity feed. `next_token` continues after these rows, also in a later run (M56)."""

    rows: pa.Table
    next_token: str


@dataclass(frozen=True, slots=True)
class ActivityType:
    """One type of activity. `api_name` and `status` exist for custom types only; `attributes` as Marketo lists them."""

    id: int | None
    name: str
    api_name: str | None = None
    status: str | None = None
    primary: str | None = None
    attributes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class WhoAmI:
    """The application user (dataverse-api §15)."""

    user_id: str
    business_unit_id: str
    organization_id: str


@dataclass(frozen=True, slots=True)
class TrackedPage:
    """One page of change tracking.

    `rows`: `id`, `etag`, then the columns. `deleted`: ids. `delta_link`: where the next run starts, on the last page
    only. `fresh`: this is a full read, which names no deletions (V25).
    """

    rows: pa.Table
    deleted: list[str]
    delta_link: str | None
    fresh: bool


@dataclass(frozen=True, slots=True)
class RowWrite:
    """One write of a batch.

    `kind` is "update" (never creates: `If-Match` is `etag`, or `*` without one), "create" (`id` is the client's key),
    "delete" or "merge" (the row `loser` of the body goes into this one, which keeps its values). `returning` asks for
    the row as it is after the write. `detect` has Dynamics' duplicate rules look at it (V48); without, they are
    suppressed.
    """

    entity: Entity
    id: str
    kind: str
    body: Mapping[str, object] = field(default_factory=dict)
    etag: str | None = None
    returning: Mapping[str, Wire] = field(default_factory=dict)
    detect: bool = False


@dataclass(frozen=True, slots=True)
class WriteResult:
    """What Dynamics did with one write.

    `answered` False: this part of the batch has no answer and its outcome is unknown. `row`: one row like those of
    `rows`, if asked for. `retry_after`: seconds, when this part was throttled.
    """

    status: int
    ok: bool
    etag: str | None = None
    row: pa.Table | None = None
    code: str | None = None
    message: str | None = None
    retry_after: float | None = None
    answered: bool = True
