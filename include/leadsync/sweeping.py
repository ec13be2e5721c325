"""Calculated, roll-up and formula columns change without a change of their record: a slow sweep catches up (D57, R106).

The sweep is a backfill of these fields over all links, a stretch in each cycle behind everything else. What it finds
changed crosses by the usual rules. Without such columns in the map there is none.
"""

from __future__ import annotations

from datetime import timedelta

from include.leadsync.context import Engine
from include.leadsync.field_memory import new_job
from include.leadsync.model import FieldMap, Flow, LinkStatus
from include.leadsync.schema import Schema
from include.leadsync.state import FieldJobs, Links, Metadata

SWEPT = "swept"
"""Reason of these backfills."""

_WITH_THE_ROW = {"createdon", "modifiedon", "createdby", "modifiedby", "versionnumber", "fullname", "statecode"}
"""Columns nobody can write that change with their record only."""


def calculated(field_map: FieldMap) -> list[str]:
    """Fields that come in from columns which nobody can write: Dynamics calculates them whenever it likes.

    Assumption: metadata mark calculated, roll-up and formula columns as valid neither for create nor for update.
    """
    return [
        field.name
        for field in field_map.fields
        if field.rule.flow is not Flow.OUTBOUND
        and not (field.dynamics.creatable or field.dynamics.updatable)
        and field.dynamics.name not in _WITH_THE_ROW
    ]


def begin_sweeps(engine: Engine, schema: Schema) -> None:
    """Begin a sweep of each entity that has calculated columns and whose last one began long enough ago."""
    settings, kept = engine.settings.backfill, Metadata(engine.store)
    if not settings.sweep_hours or not settings.records_per_cycle:
        return
    since = engine.now() - timedelta(hours=settings.sweep_hours)
    for entity, field_map in schema.maps.items():
        fields = calculated(field_map)
        name = f"sweep.{entity.value}"
        if not fields or kept.get("leadsync", name, not_before=since) is not None:
            continue
        with engine.store.begin() as tx:
            total = Links(engine.store).count(entity, LinkStatus.ACTIVE, tx)
            if kept.get("leadsync", name, tx=tx) is not None and total:  # the first one waits its time
                FieldJobs(engine.store).add(new_job(entity, fields, "inbound", total, reason=SWEPT), tx)
            kept.put("leadsync", name, ",".join(fields), tx)
