"""The engine's store and settings, as a page opens them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from include.leadsync.config import Settings
    from include.leadsync.state import StateStore


@contextmanager
def store() -> Iterator[StateStore]:
    """The state store that LEADSYNC_STATE_URL names; see `console.opening` for what it raises."""
    from include.leadsync.clock import SystemClock
    from include.leadsync.config import Paths
    from include.leadsync.console.opening import opened

    with opened(Paths.from_environment().state_url, SystemClock()) as store:
        yield store


def settings() -> Settings:
    """leadsync.yaml. Raises `ConfigurationInvalid`."""
    from include.leadsync.config import Paths, load_settings

    return load_settings(Paths.from_environment().config)


def staging_url() -> str:
    """Where runs are staged."""
    from include.leadsync.config import Paths

    return Paths.from_environment().staging_url
