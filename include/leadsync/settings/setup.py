"""What `setup` creates in Marketo: the sync's own fields and those the field map asks for (D12, DECISIONS 10)."""

from __future__ import annotations

from collections.abc import Sequence

from include.leadsync.fields.compatibility import CREATED_AS
from include.leadsync.model import Entity, MarketoField
from include.leadsync.settings.tree import Settings

_SYSTEM = {
    "id": ("Microsoft Id", "string", "Id of the Dynamics lead or contact. Kept by Lead Sync."),
    "type": ("Microsoft Type", "string", "Lead, Contact or empty. Kept by Lead Sync."),
    "created_date": ("Microsoft Created Date", "datetime", "When the Dynamics record was created. Kept by Lead Sync."),
    "is_deleted": ("Microsoft is Deleted", "boolean", "The Dynamics record was deleted. Kept by Lead Sync."),
    "merged_into": ("Microsoft Merged Into", "string", "The record that took its place. Kept by Lead Sync."),
    "backfilled_at": ("Microsoft Backfilled At", "datetime", "When a first sync or backfill wrote. Kept by Lead Sync."),
}
_SYNCED = "Synced with Microsoft Dynamics by Lead Sync."


def setup_fields(settings: Settings, marketo: Sequence[MarketoField]) -> list[dict[str, str]]:
    """Fields that are wanted and that Marketo lacks, as `MarketoClient.create_fields` takes them.

    Each has name, displayName, dataType and description (marketo-api §4.3). Empty when all is there.
    """
    wanted: dict[str, tuple[str, str, str]] = {
        name: _SYSTEM[key] for key, name in settings.marketo.system_fields.model_dump().items()
    }
    for entity in Entity:
        for name, entry in settings.fields.of(entity).items():
            if entry.setup:
                wanted.setdefault(name, (entry.setup, CREATED_AS[entry.type], _SYNCED))
    existing = {field.name for field in marketo}
    return [
        {"name": name, "displayName": label, "dataType": data_type, "description": description}
        for name, (label, data_type, description) in wanted.items()
        if name not in existing
    ]
