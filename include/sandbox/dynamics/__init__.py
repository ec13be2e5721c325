"""Dataverse Web API emulator: token endpoint, rows, change tracking, `$batch`, metadata, limits."""

from include.sandbox.dynamics.emulator import DynamicsEmulator

__all__ = ["DynamicsEmulator"]
