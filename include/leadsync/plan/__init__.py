"""The plan: one row per intended field write, with its reason, before anything is written.

Staged: `plan` (`rows.PLAN_SCHEMA`), `decisions.E.N` per slice, `plan_summary` (JSON: counts, API cost,
plan hash, what the brake holds). A dry run ends after validation of this.
"""

from include.leadsync.plan.step import merge, plan

__all__ = ["merge", "plan"]
