"""Log lines that say what they are about: run, step, link, request, call – ids only, never a value (P10).

The engine binds ids with `about`; its loggers put them on every record as fields of their own. Who runs the engine may
add a bridge, so that the ids reach a logging system that keeps a context itself, as Airflow's does.

`run`: of the run · `step`: with the stream it was narrowed to · `link`: link id · `person`: Marketo id · `request`: of
a Sync Person to Microsoft request · `call`: the service's own id of one call, which its support asks for.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, MutableMapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from contextvars import ContextVar
from typing import Any

Ids = Mapping[str, str | int]

_ABOUT: ContextVar[Ids] = ContextVar("leadsync_about", default={})  # noqa: B039 - replaced, never changed

BRIDGES: list[Callable[..., AbstractContextManager[Any]]] = []
"""Each is called with the ids that are bound, as keywords, and entered for as long as they are."""


@contextmanager
def about(**ids: str | int | None) -> Iterator[None]:
    """Everything logged inside is about these ids as well; None is left out."""
    given = {name: value for name, value in ids.items() if value is not None}
    token = _ABOUT.set({**_ABOUT.get(), **given})
    try:
        with ExitStack() as bridges:
            for bridge in BRIDGES:
                bridges.enter_context(bridge(**given))
            yield
    finally:
        _ABOUT.reset(token)


def bound(name: str) -> str | int | None:
    """One of the ids that are bound now."""
    return _ABOUT.get().get(name)


class _Logger(logging.LoggerAdapter[logging.Logger]):
    def process(self, msg: Any, kwargs: MutableMapping[str, Any]) -> tuple[Any, MutableMapping[str, Any]]:
        return msg, {**kwargs, "extra": {**_ABOUT.get(), **(kwargs.get("extra") or {})}}


def logger(name: str) -> logging.LoggerAdapter[logging.Logger]:
    """The logger of that name, whose records have the ids bound at the time as attributes."""
    return _Logger(logging.getLogger(name), {})
