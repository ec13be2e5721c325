"""Stored operations → both services, under the writer lease, with an outcome for every record (ARCHITECTURE §5.8).

A batch is marked in flight, sent, and settled in one transaction with its baselines and ledger
rows. What may have been written but was not answered is never repeated blindly: its link is marked
dirty, and the next run reads both sides and merges again (performance, write protocol 4).
"""

from include.leadsync.load.loader import load

__all__ = ["load"]
