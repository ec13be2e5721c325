"""`setup`: create in Marketo what the sync needs there, once; safe to repeat (D12, DECISIONS 10)."""

from __future__ import annotations

from include.leadsync.activity import activity_type
from include.leadsync.config import setup_fields
from include.leadsync.context import Engine, Json
from include.leadsync.errors import FixConfiguration
from include.leadsync.schema import describe_persons

_FIELDS_A_CALL = 100


def setup(engine: Engine) -> dict[str, Json]:
    """Create the custom fields that the field map names for set-up, and the activity type.

    Raises `FixConfiguration` with all refusals when Marketo refuses a field.
    """
    wanted = setup_fields(engine.settings, engine.marketo.describe())
    refused: list[str] = []
    created: list[str] = []
    for start in range(0, len(wanted), _FIELDS_A_CALL):
        chunk = wanted[start : start + _FIELDS_A_CALL]
        for field, result in zip(chunk, engine.marketo.create_fields(chunk), strict=True):
            if result.ok:
                created.append(field["name"])
            else:
                refused.append(f"{field['name']}: {result.code} {result.message}")
    if refused:
        raise FixConfiguration(
            "Marketo refused custom fields; create them by hand or rename them in leadsync.yaml: " + "; ".join(refused)
        )
    if created:
        describe_persons(engine)  # or the next run would not see them for as long as metadata is kept
    kind = engine.marketo.create_activity_type(activity_type(engine.settings.marketo.activity_type))
    return {"fields_created": created, "activity_type": kind.id}
