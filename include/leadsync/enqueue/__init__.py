"""The outbox step: one transaction stores links, operations, ledger and cursors (ARCHITECTURE §5.7).

From here on nothing depends on reading again. Another run that moved a cursor first makes this one
end as skipped, with everything it staged dropped (DECISIONS 12).
"""

from include.leadsync.enqueue.step import enqueue

__all__ = ["enqueue"]
