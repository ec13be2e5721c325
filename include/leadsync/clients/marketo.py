"""The Marketo client: one class over feeds, persons, lists, schema and bulk extract.

Every method may raise, besides what it names: `AccessRefused` (603: rights, IP allow-list), `Throttled` (606, 607,
615, or our own budget, for longer than the retry bound), `ServiceUnavailable` (500, 502, 604, 608, 611, 614, 713, 719),
`ConnectionBroken`, `AnswerMalformed`, `FixConfiguration` (we asked wrongly).
"""

from __future__ import annotations

from include.leadsync.clients.decode import Wire
from include.leadsync.clients.marketo_bulk import MarketoBulk
from include.leadsync.clients.marketo_feeds import ACTIVITIES, CHANGES, MarketoFeeds
from include.leadsync.clients.marketo_lists import MarketoLists
from include.leadsync.clients.marketo_schema import MarketoSchema
from include.leadsync.clients.records import ActivityType, FeedPage, RecordResult

__all__ = [
    "ACTIVITIES",
    "CHANGES",
    "ActivityType",
    "FeedPage",
    "MarketoClient",
    "RecordResult",
    "Wire",
]


class MarketoClient(MarketoFeeds, MarketoLists, MarketoSchema, MarketoBulk):
    """Marketo Engage's REST API as this project uses it. Threads may share a client."""
