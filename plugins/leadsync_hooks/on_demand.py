"""Web apps that cost nothing until somebody asks for a page: every Airflow process loads the plugins."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from functools import cached_property
from importlib import import_module
from typing import Any

_Message = MutableMapping[str, Any]
_App = Callable[[_Message, Callable[[], Awaitable[_Message]], Callable[[_Message], Awaitable[None]]], Awaitable[None]]


class OnDemand:
    """An ASGI app that `build()` of the named module makes on the first request.

    Airflow's security module alone, which the pages need, takes seconds to import.
    """

    def __init__(self, module: str) -> None:
        self._module = module

    @cached_property
    def _app(self) -> _App:
        app: _App = import_module(self._module).build()
        return app

    async def __call__(
        self,
        scope: _Message,
        receive: Callable[[], Awaitable[_Message]],
        send: Callable[[_Message], Awaitable[None]],
    ) -> None:
        """Hand the request on."""
        await self._app(scope, receive, send)
