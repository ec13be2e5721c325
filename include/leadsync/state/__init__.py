"""The state store: links, baselines, cursors, outbox, leases, ledger, activity log, API budget.

SQLAlchemy Core on SQLite (one host) or PostgreSQL (several). Tables come and go as pyarrow; every class
takes a `StateStore`, every method an optional `tx` from `StateStore.begin`, so that a step can put
several writes into one transaction (ARCHITECTURE §6).
"""

from include.leadsync.state.activity_log import ActivityLog
from include.leadsync.state.budget import BudgetLimits, BudgetUsage, SharedBudget
from include.leadsync.state.cursors import Cursor, Cursors
from include.leadsync.state.echoes import Echoes, SeenActivities
from include.leadsync.state.erasures import Erasures
from include.leadsync.state.errors import LinkTaken
from include.leadsync.state.fields import FieldJob, FieldJobs, SyncedField, SyncedFields
from include.leadsync.state.layouts import Layouts
from include.leadsync.state.leases import WRITER, Lease, Leases
from include.leadsync.state.ledger import Ledger
from include.leadsync.state.links import Links
from include.leadsync.state.merges import PersonMerges
from include.leadsync.state.outbox import Outbox
from include.leadsync.state.placement import assert_fits
from include.leadsync.state.requests import RequestAdded, Requests
from include.leadsync.state.retention import Retention, RetentionDays
from include.leadsync.state.runs import Run, Runs
from include.leadsync.state.snapshots import Metadata
from include.leadsync.state.store import StateStore, Transaction

__all__ = [
    "WRITER",
    "ActivityLog",
    "BudgetLimits",
    "BudgetUsage",
    "Cursor",
    "Cursors",
    "Echoes",
    "Erasures",
    "FieldJob",
    "FieldJobs",
    "Layouts",
    "Lease",
    "Leases",
    "Ledger",
    "LinkTaken",
    "Links",
    "Metadata",
    "Outbox",
    "PersonMerges",
    "RequestAdded",
    "Requests",
    "Retention",
    "RetentionDays",
    "Run",
    "Runs",
    "SeenActivities",
    "SharedBudget",
    "StateStore",
    "SyncedField",
    "SyncedFields",
    "Transaction",
    "assert_fits",
]
