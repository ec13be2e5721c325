"""The task that looks every few minutes whether something is wrong, and tells (docs/operations.md, Alerts)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from leadsync_hooks import engine
from leadsync_hooks.airflow_names import AirflowFailException, BaseOperator, Context, Param, Variable, conf
from leadsync_hooks.forms import require_known
from leadsync_hooks.measuring import MEASURED, emit

BLIND = "leadsync_watch_blind"
"""Airflow variable that says since when the state store cannot be read: told once, not with every look."""


def channel_test() -> dict[str, Param]:
    """`test`: send a message to try the channels."""
    about = "Send a test message to every channel of leadsync.yaml instead of looking."
    return {"test": Param(False, type="boolean", title="Test the channels", description=about)}


class WatchOperator(BaseOperator):
    """Tells every channel of leadsync.yaml what has begun and what is over, and sends the daily digest."""

    template_fields: Sequence[str] = ()
    ui_color = "#e8f1fa"

    def execute(self, context: Context) -> dict[str, Any]:
        """Returns what is wrong now and how many messages were sent.

        A state store that cannot be read is told as well, once, and fails the task.
        """
        from include.leadsync.errors import StateUnavailable

        require_known(context)
        if context["params"]["test"]:
            return self._test()
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
        emit(report.pop(MEASURED, ()))
        self.log.info("%s", report)
        return report

    def _test(self) -> dict[str, Any]:
        became = engine.tell_all("Lead Sync: test", "Somebody asked for a test message. Nothing is wrong.")
        if not became:
            raise AirflowFailException("no channel is configured; see the section alerts of leadsync.yaml")
        if set(became.values()) != {"told"}:
            raise AirflowFailException(f"not every channel took the message: {became}")
        return became
