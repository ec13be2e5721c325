"""Generated people into both emulators."""

from __future__ import annotations

from include.sandbox.service import Emulator, Json


def prepare(marketo: Emulator) -> None:
    """Create the custom fields."""


def load_people(marketo: Emulator, dynamics: Emulator, *, seed: int = 1, count: int = 0, with_ids: bool = True) -> Json:
    """Load."""
    return {}
