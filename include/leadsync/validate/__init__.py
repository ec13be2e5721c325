"""The validation room: no value is written that the target would refuse (P5, R110).

Rules are generated from live metadata, Great Expectations judges every planned value by them, and
its verdict decides what is written (DECISIONS 5). Importing this package is cheap: Great
Expectations is loaded by the first value that is judged.
"""

from include.leadsync.validate.report import ReportSection, render_report
from include.leadsync.validate.rule import Rule, RuleKind, digest
from include.leadsync.validate.rules import rules_for
from include.leadsync.validate.session import suite_for
from include.leadsync.validate.verdicts import (
    FAILURES,
    RULE_ERROR,
    UNMAPPED,
    OnInvalid,
    RuleSummary,
    Verdicts,
    validate_writes,
)

__all__ = [
    "FAILURES",
    "RULE_ERROR",
    "UNMAPPED",
    "OnInvalid",
    "ReportSection",
    "Rule",
    "RuleKind",
    "RuleSummary",
    "Verdicts",
    "digest",
    "render_report",
    "rules_for",
    "suite_for",
    "validate_writes",
]
