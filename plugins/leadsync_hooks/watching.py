"""The task that looks every few minutes whether something is wrong, and tells (docs/operations.md, Alerts)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from leadsync_hooks import engine
from leadsync_hooks.airflow_names import BaseOperator, Context, Variable, conf

BLIND = "leadsync_watch_blind"
"""Airflow variable that says since when the state store cannot be read: told once, not with every look."""


class WatchOperator(BaseOperator):
    """Tells every channel of leadsync.yaml what has begun and what is over, and sends the daily digest."""

    template_fields: Sequence[str] = ()
    ui_color = "#e8f1fa"

    def execute(self, context: Context) -> dict[str, Any]:
        """Returns what is wrong now and how many messages were sent.

        A state store that cannot be read is told as well, once, and fails the task.
        """
        from include.leadsync.errors import StateUnavailable

        console = f"{(conf.get('api', 'base_url', fallback='') or '').rstrip('/')}/leadsync"
        blind = str(Variable.get(BLIND, default=""))
        try:
            report = engine.watch(console)
        except StateUnavailable as error:
            if not blind:
                engine.tell_all("Lead Sync: state store away", f"Nothing can be read or synced: {error}")
                Variable.set(BLIND, str(context["dag_run"].run_after))
            raise
        if blind:
            engine.tell_all("Lead Sync: state store away is over", f"It was away since {blind}.")
            Variable.set(BLIND, "")
        self.log.info("%s", report)
        return report
