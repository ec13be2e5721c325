"""Sockets and the uvicorn server behind them, in a thread of its own."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import uvicorn

from include.sandbox.connection import LARGEST_HEAD, protocol_class
from include.sandbox.fault_rules import SERVICES
from include.sandbox.hosting import Application

_START_SECONDS = 20.0
_STOP_SECONDS = 1.3
_POLL_SECONDS = 0.05
_TICK_SECONDS = 0.02
_GRACE_SECONDS = 0.7
_BACKLOG = 2048


@dataclass(frozen=True, slots=True)
class Address:
    """Where to listen; port 0 takes a free one. TLS needs both files (PEM)."""

    host: str = "127.0.0.1"
    marketo_port: int = 0
    dynamics_port: int = 0
    tls_cert: Path | None = None
    tls_key: Path | None = None

    def port(self, service: str) -> int:
        """The port asked for."""
        return self.marketo_port if service == "marketo" else self.dynamics_port

    def url(self, port: int) -> str:
        """The address of a service on `port`."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{'https' if self.tls_cert else 'http'}://{host}:{port}"


class _Announcing(uvicorn.Server):
    """A server that says when it listens."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.listening = threading.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.listening.set()

    async def main_loop(self) -> None:
        # As uvicorn's, but looking more often whether to end: tests start and stop hundreds.
        while not await self.on_tick(0):  # noqa: ASYNC110 - set from another thread
            await asyncio.sleep(_TICK_SECONDS)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:  # noqa: ARG002 - as in uvicorn
        for server in self.servers:
            server.close()
        state, loop = self.server_state, asyncio.get_running_loop()
        for connection in list(state.connections):
            connection.shutdown()  # the idle ones at once, the others after their answer
        limit = loop.time() + _GRACE_SECONDS
        while (state.connections or state.tasks) and loop.time() < limit:  # noqa: ASYNC110 - sets, no events
            await asyncio.sleep(_POLL_SECONDS / 10)
        for task in state.tasks:
            task.cancel()
        for connection in list(state.connections):
            connection.transport.abort()
        await asyncio.sleep(0)


class Listener:
    """One socket per service, one server for all. Raises `OSError` when a port is taken."""

    def __init__(self, address: Address) -> None:
        self._address = address
        self._failure: BaseException | None = None
        self._server: _Announcing | None = None
        self._thread: threading.Thread | None = None
        self._sockets: dict[str, socket.socket] = {}
        family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
        try:
            for service in SERVICES:
                place = (address.host, address.port(service))
                self._sockets[service] = socket.create_server(place, family=family, backlog=_BACKLOG)
        except OSError:
            self.close()
            raise

    @property
    def ports(self) -> Mapping[int, str]:
        """Service by port."""
        return {int(sock.getsockname()[1]): service for service, sock in self._sockets.items()}

    @property
    def urls(self) -> Mapping[str, str]:
        """Address by service."""
        return {service: self._address.url(port) for port, service in self.ports.items()}

    def start(self, app: Application) -> None:
        """Serve; returns when connections are accepted."""
        key = self._address.tls_key
        config = uvicorn.Config(
            app,
            interface="asgi3",
            http=protocol_class(),
            ws="none",
            lifespan="off",
            log_config=None,
            log_level="critical",
            access_log=False,
            proxy_headers=False,
            server_header=False,
            timeout_keep_alive=60,
            h11_max_incomplete_event_size=LARGEST_HEAD,
            ssl_certfile=self._address.tls_cert,
            ssl_keyfile=None if key is None else str(key),
        )
        self._server = _Announcing(config)
        self._thread = threading.Thread(target=self._run, args=(self._server,), name="sandbox-server", daemon=True)
        self._thread.start()
        waited = 0.0
        while not self._server.listening.wait(_POLL_SECONDS):
            waited += _POLL_SECONDS
            if not self._thread.is_alive() or waited > _START_SECONDS:
                message = f"the sandbox's server did not start: {self._failure!r}"
                raise RuntimeError(message) from self._failure

    def close(self) -> None:
        """Stop listening and end what is under way, within two seconds."""
        if self._server is not None and self._thread is not None:
            self._server.should_exit = True
            self._thread.join(_STOP_SECONDS)
        for sock in self._sockets.values():
            sock.close()

    def _run(self, server: _Announcing) -> None:
        try:
            server.run(sockets=list(self._sockets.values()))
        except BaseException as error:  # noqa: BLE001 - told to the thread that waits in `start`
            self._failure = error
