"""The engine's store and settings, as a page opens them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
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
    """leadsync.yaml, read again when it changes. Raises `ConfigurationInvalid`."""
    from include.leadsync.config import Paths

    path = Paths.from_environment().config
    try:
        found = path.stat()
    except OSError:
        return _settings.__wrapped__(path, 0, 0)  # says what is wrong with it
    return _settings(path, found.st_mtime_ns, found.st_size)


def config_body() -> bytes:
    """leadsync.yaml as it is. Raises `ConfigurationInvalid` when it cannot be read."""
    from include.leadsync.config import Paths
    from include.leadsync.errors import ConfigurationInvalid, Problem

    try:
        return Paths.from_environment().config.read_bytes()
    except OSError as error:
        problem = Problem("leadsync.yaml", "(whole file)", f"cannot be read: {error.strerror}", "a readable YAML file")
        raise ConfigurationInvalid([problem]) from error


@lru_cache(maxsize=2)
def _settings(path: Path, changed: int, size: int) -> Settings:  # noqa: ARG001 - by these the cache knows the file
    from include.leadsync.config import load_settings

    return load_settings(path)


def staging_url() -> str:
    """Where runs are staged."""
    from include.leadsync.config import Paths

    return Paths.from_environment().staging_url
