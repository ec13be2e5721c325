"""The Marketo emulator: the REST API of facts/marketo-api.md over one SQLite file."""

from include.sandbox.marketo.emulator import MarketoEmulator

__all__ = ["MarketoEmulator"]
