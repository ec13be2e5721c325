"""The section `policies.duplicate_rules`: what Dynamics' own duplicate detection may refuse (R57, D33)."""

from __future__ import annotations

from typing import Literal

from include.leadsync.settings.section import Section

Rules = Literal["respect", "suppress"]


class DuplicateRules(Section):
    """Whether the published rules look at what this sync writes.

    Updates are not looked at by default: a row that has a duplicate already would be refused whatever the update is
    about. Consent never is: no rule holds back an opt-out.
    """

    on_create: Rules = "respect"
    on_update: Rules = "suppress"
