"""The fields of the trigger forms. Airflow checks a run's conf against them and answers 400 to nonsense."""

from __future__ import annotations

from typing import Any

from leadsync_hooks.airflow_names import AirflowFailException, Context, Param
from leadsync_hooks.runs import BOTH, CONFIGURED

PERSONS_AT_ONCE = 10_000
_PERSON = {"type": "integer", "minimum": 1, "maximum": 2**63 - 1}


# Airflow does not check `format`, which only chooses the widget.
_MOMENT = {"format": "date-time", "pattern": r"^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}(:\d{2}(\.\d+)?)?(Z|[+-]\d{2}:\d{2})?$"}


def require_known(context: Context) -> None:
    """Refuse names that the form does not have: Airflow passes over them, and `dryrun` would make a real run.

    Raises `AirflowFailException`, so call it before anything else is done.
    """
    form = context["dag"].params
    unknown = sorted(set(context["dag_run"].conf or {}) - set(form))
    if unknown:
        raise AirflowFailException(
            f"this DAG's form has no {', '.join(unknown)}, only {', '.join(form)}; nothing was read or written"
        )


def window() -> dict[str, Param]:
    """`since`, `until`: half-open, ISO 8601; the engine refuses an end without a beginning."""
    return {
        "since": _text("Since", "Changes from this moment on. Empty: no window.", **_MOMENT),
        "until": _text("Until", "Changes before this moment; needs Since. Empty: until now.", **_MOMENT),
    }


def entity() -> dict[str, Param]:
    """`entity`: lead, contact or both."""
    about = "Which Dynamics records."
    return {"entity": Param(BOTH, type="string", enum=[BOTH, "lead", "contact"], title="Records", description=about)}


def persons(*, required: bool = False) -> dict[str, Param]:
    """`persons`: Marketo person ids."""
    about = "Marketo person ids, as a list: [1001, 1002]." + ("" if required else " Empty: everybody.")
    rules: dict[str, Any] = {"type": "array", "items": _PERSON, "maxItems": PERSONS_AT_ONCE}
    if required:
        # Without a default the form must be filled in before the run starts.
        return {"persons": Param(title="Person ids", description=about, minItems=1, **rules)}
    return {"persons": Param([], title="Person ids", description=about, **rules)}


def fields() -> dict[str, Param]:
    """`fields`: Marketo REST names."""
    about = "Marketo names of the fields to sync, as a list. Empty: all mapped fields."
    name = {"type": "string", "pattern": "^[A-Za-z][A-Za-z0-9_]*$", "maxLength": 255}
    return {"fields": Param([], type="array", items=name, maxItems=1000, title="Fields", description=about)}


def how_to_fill() -> dict[str, Param]:
    """`window_on`, `direction`: what the window of a backfill means, and who fills whom (R97, D69)."""
    on = "What the window means: when records changed, or only CRM records that were created then."
    way = (
        "With fields: which side fills the other where nothing was agreed on before; a change since then goes the usual"
        " way. Configured: as backfill.direction in leadsync.yaml says."
    )
    ways = [CONFIGURED, "inbound", "outbound", "by_type"]
    return {
        "window_on": Param("modified", type="string", enum=["modified", "created"], title="Window on", description=on),
        "direction": Param(CONFIGURED, type="string", enum=ways, title="Direction", description=way),
    }


def dry_run(*, default: bool = False) -> dict[str, Param]:
    """`dry_run`: stop after the plan."""
    return {"dry_run": Param(default, type="boolean", title="Dry run", description="Plan and validate, write nothing.")}


def approval() -> dict[str, Param]:
    """`approve`: hash of a held plan."""
    about = "Hash of a plan that the brake holds; this run may write it. The hash is in the held run's report."
    return {"approve": _text("Approve plan", about, pattern="^[0-9a-f]{16}$")}


def undone_run() -> dict[str, Param]:
    """`run`: the engine's id of the run that is taken back."""
    about = "Id of the run to take back, as the console and `status` show it: 20260301T100500Z-1a2b3c."
    return {"run": Param(type="string", pattern="^[0-9A-Za-z][0-9A-Za-z-]{0,79}$", title="Run", description=about)}


def sync_as() -> dict[str, Param]:
    """`sync_as`: what to create in Dynamics."""
    about = "What to create when the person has no record in Dynamics yet."
    return {"sync_as": Param("lead", type="string", enum=["lead", "contact"], title="Sync as", description=about)}


def request_details() -> dict[str, Param]:
    """`owner`, `reason`, `token` of Sync Person to Microsoft."""
    owner = "Owner of a new record: id, e-mail address or name of a Dynamics user, or team:NAME. Empty: the default."
    return {
        "owner": _text("Owner", owner, maxLength=200),
        "reason": _text("Reason", "Kept with the request, for whoever asks later.", maxLength=1000),
        "token": _text("Token", "The same person with the same token is one request. Empty: this run.", maxLength=200),
    }


def _text(title: str, description: str, **rules: Any) -> Param:
    return Param(None, type=["null", "string"], title=title, description=description, **rules)
