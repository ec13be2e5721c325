"""leadsync.yaml and the environment → typed, validated settings: the doorway to `settings`."""

from __future__ import annotations

from include.leadsync.settings.environment import Paths, connection_from_parts, connections_from_environment
from include.leadsync.settings.filter_resolution import SyncFilter, resolve_filters
from include.leadsync.settings.loading import load_settings, parse_settings
from include.leadsync.settings.partition_resolution import Partitions, resolve_partitions
from include.leadsync.settings.resolution import field_warnings, resolve_fields, shape_of
from include.leadsync.settings.setup import setup_fields
from include.leadsync.settings.tree import Settings, SystemFields, SystemLimits

__all__ = [
    "Partitions",
    "Paths",
    "Settings",
    "SyncFilter",
    "SystemFields",
    "SystemLimits",
    "connection_from_parts",
    "connections_from_environment",
    "field_warnings",
    "load_settings",
    "parse_settings",
    "resolve_fields",
    "resolve_filters",
    "resolve_partitions",
    "setup_fields",
    "shape_of",
]
