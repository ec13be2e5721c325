"""The Dynamics client: one class over rows, change tracking, batches and metadata.

Every method may raise, besides what it names: `AccessRefused` (401 with a fresh token, 403), `Throttled` (429, or our
own budget, for longer than the retry bound), `ServiceUnavailable` (5xx), `ConnectionBroken`, `AnswerMalformed`,
`FixConfiguration` (an address or column that does not exist).
"""

from __future__ import annotations

from include.leadsync.clients.decode import Wire
from include.leadsync.clients.dynamics_metadata import DynamicsMetadata
from include.leadsync.clients.dynamics_rows import DynamicsRows
from include.leadsync.clients.records import RowWrite, TrackedPage, WhoAmI, WriteResult

__all__ = ["DynamicsClient", "RowWrite", "TrackedPage", "WhoAmI", "Wire", "WriteResult"]


class DynamicsClient(DynamicsRows, DynamicsMetadata):
    """The Dataverse Web API as this project uses it. Threads may share a client."""
