"""leadsync.yaml as types: every key, its default and its bounds. docs/configuration.md explains each one."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, PrivateAttr

from include.leadsync.errors import Problem
from include.leadsync.model import Entity, FieldRule, FieldType, Flow, Shows, System, Winner
from include.leadsync.settings.alerts import Alerts
from include.leadsync.settings.backfills import Backfills
from include.leadsync.settings.creation import Creation
from include.leadsync.settings.duplicates import DuplicateRules
from include.leadsync.settings.filters import Filters
from include.leadsync.settings.lifecycle import Lifecycle
from include.leadsync.settings.requests import RequestSettings
from include.leadsync.settings.section import ATTRIBUTE, REST_NAME, WEB_ADDRESS, RestName, Section

Share = Annotated[float, Field(gt=0, le=1)]
Days = Annotated[int, Field(ge=1, le=3660)]
Text = Annotated[str, Field(min_length=1, max_length=255)]


class FieldEntry(Section):
    """One line of the field map; its key is the Marketo REST name."""

    dynamics: Annotated[str, Field(pattern=ATTRIBUTE, max_length=128)]
    type: FieldType
    direction: Flow = Flow.BOTH
    winner: Winner | None = None
    consent: bool = False
    shows: Shows = Shows.NAME
    outbound_on_create_only: bool = False
    outbound_on_update_only: bool = False
    inbound_write_once: bool = False
    default_on_create: Text | None = None
    aliases: dict[str, tuple[Text, ...]] = Field(default_factory=dict)
    optional: bool = False
    setup: Text | None = None

    def rule(self, entity: Entity, name: str) -> FieldRule:
        """The entry as the engine knows it; consent fields let opt-out win unless told otherwise (D86)."""
        return FieldRule(
            entity=entity,
            name=name,
            dynamics=self.dynamics,
            type=self.type,
            flow=self.direction,
            winner=self.winner or (Winner.OPT_OUT if self.consent else Winner.BY_TYPE),
            consent=self.consent,
            shows=self.shows,
            outbound_on_create_only=self.outbound_on_create_only,
            outbound_on_update_only=self.outbound_on_update_only,
            inbound_write_once=self.inbound_write_once,
            default_on_create=self.default_on_create,
            aliases=dict(self.aliases),
            optional=self.optional,
        )


class FieldEntries(Section):
    """The field map: per entity, Marketo REST name → entry."""

    lead: dict[str, FieldEntry]
    contact: dict[str, FieldEntry]

    def of(self, entity: Entity) -> dict[str, FieldEntry]:
        """Entries of one entity."""
        return self.lead if entity is Entity.LEAD else self.contact


class SystemFields(Section):
    """REST names of the Marketo fields that the sync itself keeps (D12, R8, R9)."""

    id: RestName = "microsoftId"
    type: RestName = "microsoftType"
    created_date: RestName = "microsoftCreatedDate"
    is_deleted: RestName = "microsoftIsDeleted"
    merged_into: RestName = "microsoftMergedInto"
    backfilled_at: RestName = "microsoftBackfilledAt"


class MarketoSettings(Section):
    """What is particular to Marketo."""

    system_fields: SystemFields = SystemFields()
    activity_type: Annotated[str, Field(pattern=REST_NAME, max_length=50)] = "leadSyncOutcome"
    overlap_hours: Annotated[int, Field(ge=24, le=720)] = 24
    overlap_every_minutes: Annotated[int, Field(ge=5, le=1440)] = 60
    web_address: Annotated[str, Field(pattern=WEB_ADDRESS, max_length=255)] | None = None


class SystemLimits(Section):
    """The limits of one API and the part of them that this sync may use (P7)."""

    share: Share = 0.5
    calls: Annotated[int, Field(ge=1)] = 100
    window_seconds: Annotated[int, Field(ge=1, le=3600)] = 20
    concurrent: Annotated[int, Field(ge=1, le=1000)] = 10
    daily: Annotated[int, Field(ge=1)] = 50_000


class Limits(Section):
    """API limits per system."""

    marketo: SystemLimits = SystemLimits()
    dynamics: SystemLimits = SystemLimits(share=0.8, calls=6000, window_seconds=300, concurrent=52, daily=500_000)

    def of(self, system: System) -> SystemLimits:
        """Limits of one system."""
        return self.marketo if system is System.MARKETO else self.dynamics


class BrakeLimit(Section):
    """A plan is held when it exceeds both: the number of records and their share of all links."""

    count: Annotated[int, Field(ge=0)]
    share: Annotated[float, Field(ge=0, le=1)]


class Brake(Section):
    """When a plan stops and asks (P8, D50, DECISIONS 16)."""

    deletes: BrakeLimit = BrakeLimit(count=50, share=0.01)
    overwrites: BrakeLimit = BrakeLimit(count=1000, share=0.1)
    creations: BrakeLimit = BrakeLimit(count=1000, share=0.1)


class Policies(Section):
    """Choices where the native sync's way is not the only one."""

    on_invalid: Literal["record", "field"] = "record"
    beside_native_sync: Literal["refuse", "dry_run"] = "refuse"
    first_link: Literal["by_type", "marketo", "dynamics"] = "by_type"
    duplicate_rules: DuplicateRules = DuplicateRules()
    brake: Brake = Brake()


class Batches(Section):
    """Records per write call. Dynamics' number is where the adaptive size starts (DECISIONS 23)."""

    marketo: Annotated[int, Field(ge=1, le=300)] = 300
    dynamics: Annotated[int, Field(ge=1, le=1000)] = 100


class Retention(Section):
    """Days after which what a run leaves behind is deleted (P10)."""

    staging_days: Days = 7
    run_days: Days = 365
    ledger_days: Days = 365
    activity_days: Days = 365
    seen_days: Days = 8
    echo_days: Days = 8


class Settings(Section):
    """All of leadsync.yaml. Read it with `load_settings`."""

    fields: FieldEntries
    language: Annotated[int, Field(ge=1)] = 1033
    metadata_minutes: Annotated[int, Field(ge=1, le=10_080)] = 60
    marketo: MarketoSettings = MarketoSettings()
    limits: Limits = Limits()
    filter: Filters = Filters()
    backfill: Backfills = Backfills()
    policies: Policies = Policies()
    requests: RequestSettings = RequestSettings()
    creation: Creation = Creation()
    lifecycle: Lifecycle = Lifecycle()
    alerts: Alerts = Alerts()
    batches: Batches = Batches()
    retention: Retention = Retention()

    _file: str = PrivateAttr(default="leadsync.yaml")
    _lines: dict[tuple[str, ...], int] = PrivateAttr(default_factory=dict)

    def rules(self, entity: Entity) -> tuple[FieldRule, ...]:
        """The field map of one entity, in the order of the file."""
        return tuple(entry.rule(entity, name) for name, entry in self.fields.of(entity).items())

    def problem(self, key: tuple[str, ...], found: str, expected: str) -> Problem:
        """A mistake at a key of this file, with its line where known."""
        line = next((self._lines[key[:end]] for end in range(len(key), 0, -1) if key[:end] in self._lines), None)
        return Problem(self._file if line is None else f"{self._file}:{line}", ".".join(key), found, expected)

    def came_from(self, file: str, lines: dict[tuple[str, ...], int]) -> None:
        """Remember where each key stands, for later messages."""
        self._file, self._lines = file, lines
