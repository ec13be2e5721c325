"""Great Expectations imported: quietly, offline, once per process, and with three of its habits changed.

A validating task is a process of its own, so what the import costs is paid in every run.
"""

from __future__ import annotations

import importlib
import itertools
import logging
import os
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from types import ModuleType
from typing import Any

CHARTS = ("altair", "scipy.stats")
"""What one expectation that we do not use, on distributions, draws and computes with: a third of the import."""


@cache
def load_great_expectations() -> None:
    """Import Great Expectations without usage statistics, log lines and deprecation warnings of its own."""
    os.environ["GX_ANALYTICS_ENABLED"] = "false"
    logger = logging.getLogger("great_expectations")
    if not logger.handlers:  # a failing metric is logged with its values (P10); a finding has the error anyway
        logger.addHandler(logging.NullHandler())
        logger.propagate = False
    with warnings.catch_warnings(), _later(CHARTS):
        warnings.simplefilter("ignore", DeprecationWarning)
        importlib.import_module("great_expectations")
        importlib.import_module("include.leadsync.validate.suites")
    _skip_fingerprints()
    _keep_configurations()


class _Later(ModuleType):
    """Stands for a module that is imported when somebody asks it for something."""

    def __getattr__(self, name: str) -> Any:
        return getattr(importlib.import_module(self.__name__), name)


@contextmanager
def _later(names: tuple[str, ...]) -> Iterator[None]:
    """Whoever imports one of these modules meanwhile gets a stand-in for it; afterwards all is as it was."""
    ours = {name: _Later(name) for name in names if name not in sys.modules}
    sys.modules.update(ours)
    try:
        yield
    finally:
        for name, stand_in in ours.items():
            if sys.modules.get(name) is stand_in:
                del sys.modules[name]


def _skip_fingerprints() -> None:
    """Give every batch a number instead of a hash over its data."""
    from great_expectations.execution_engine import pandas_execution_engine

    numbers = itertools.count()
    pandas_execution_engine.hash_pandas_dataframe = lambda _: f"batch-{next(numbers)}"


def _keep_configurations() -> None:
    """Let an expectation keep its configuration while it stays the same.

    It makes it anew whenever it looks at it, seventy times for one column: a third of the time of a small one.
    """
    from great_expectations.expectations import expectation as module

    every: Any = module.Expectation
    make = every.configuration.fget
    last: tuple[Any, dict[str, Any], Any] = (None, {}, None)

    def kept(expectation: Any) -> Any:
        nonlocal last
        whose, fields, configuration = last
        if whose is not expectation or fields != expectation.__dict__:
            configuration = make(expectation)
            last = (expectation, dict(expectation.__dict__), configuration)
        return configuration

    every.configuration = property(kept)
