"""OAuth client credentials of both services: one token per client, shared by its threads, renewed before it ends.

Identity calls cost nothing of any budget (M8). No part of a token answer ever enters a message (P10).
"""

from __future__ import annotations

import math
import re
import threading
from abc import ABC, abstractmethod
from dataclasses import replace
from typing import Final, TypeVar
from urllib.parse import quote, urlencode

import msgspec

from include.leadsync.clients.exchange import send_logged
from include.leadsync.clients.retry import Attempts, wait_asked
from include.leadsync.clients.transport import HttpRequest, HttpResponse, Transport
from include.leadsync.clients.vendor_codes import IDENTITY, Action
from include.leadsync.clock import Clock
from include.leadsync.errors import AccessRefused, AnswerMalformed, RetryLater, ServiceUnavailable, Throttled
from include.leadsync.model import Connection, System

MARGIN: Final = 60.0
"""A token is not used in its last seconds."""

ENTRA: Final = "https://login.microsoftonline.com"

_DAY: Final = 86_400.0
_FORM: Final = {"Content-Type": "application/x-www-form-urlencoded", "Accept": "application/json"}
_AADSTS = re.compile(r"AADSTS(\d+)")
_ERROR_NAME = re.compile(r"[a-z_]{1,40}")


S = TypeVar("S", bound=msgspec.Struct)


class _TokenAnswer(msgspec.Struct):
    access_token: str
    expires_in: int | float | str = 0


class _TokenError(msgspec.Struct):
    error: str = ""
    error_description: str = ""


class ClientCredentials(ABC):
    """A token cache in front of one token endpoint (`exchange.Tokens`)."""

    system: System

    def __init__(self, connection: Connection, *, transport: Transport, clock: Clock) -> None:
        self._connection, self._transport, self._clock = connection, transport, clock
        self._lock = threading.Lock()
        self._token: str | None = None
        self._good_until = 0.0

    def bearer(self, attempts: Attempts) -> str:
        """A token that is valid now.

        Raises:
            AccessRefused: the credentials are not accepted; the text says which part to check.
            RetryLater: the endpoint did not answer within the bound.
        """
        with self._lock:
            if self._token is None or self._clock.monotonic() >= self._good_until:
                self._token = self._fetch(attempts)
            return self._token

    def discard(self, token: str) -> None:
        """Forget `token`, unless another thread has renewed it already."""
        with self._lock:
            if self._token == token:
                self._token = None

    @abstractmethod
    def _request(self) -> HttpRequest: ...

    @abstractmethod
    def _refused(self, error: _TokenError, status: int) -> AccessRefused | RetryLater: ...

    def _fetch(self, attempts: Attempts) -> str:
        while True:
            try:
                request = replace(self._request(), timeout=max(1.0, min(30.0, attempts.remaining)))
                asked = self._clock.monotonic()
                response = send_logged(self.system, self._transport, request, self._clock)
                return self._read(response, asked)
            except RetryLater as error:
                attempts.pause(error)

    def _read(self, response: HttpResponse, asked: float) -> str:
        if response.status == 200:
            answer = _decoded(response.body, _TokenAnswer)
            seconds = _number(answer.expires_in) if answer else None
            if answer is None or seconds is None or not _usable(answer.access_token):
                raise AnswerMalformed(self.system, "no token in the answer of the token endpoint", "")
            self._good_until = asked + max(seconds - MARGIN, seconds / 2)
            return answer.access_token
        after = wait_asked(response.headers, self._clock.now())
        if response.status == 429:
            raise Throttled(f"{self.system}'s token endpoint is throttling", after=after)
        if response.status >= 500:
            raise ServiceUnavailable(f"{self.system}'s token endpoint answered {response.status}", after=after)
        raise self._refused(_decoded(response.body, _TokenError) or _TokenError(), response.status)


class MarketoTokens(ClientCredentials):
    """Marketo's token endpoint: form body, so that no secret is in an address (facts/marketo-api §2)."""

    system = System.MARKETO

    def _request(self) -> HttpRequest:
        form = {
            "grant_type": "client_credentials",
            "client_id": self._connection.client_id,
            "client_secret": self._connection.client_secret,
        }
        url = f"{self._connection.host.rstrip('/')}/identity/oauth/token"
        return HttpRequest("POST", url, _FORM, urlencode(form).encode())

    def _refused(self, error: _TokenError, status: int) -> AccessRefused:
        return AccessRefused(
            self.system,
            _name(error, status),
            "the token endpoint does not accept the client id and secret",
            "Copy both again from Marketo's Admin, LaunchPoint, and check that the host is this instance's",
        )


class DynamicsTokens(ClientCredentials):
    """Entra's token endpoint for one organisation (facts/dataverse-api §1.1)."""

    system = System.DYNAMICS

    def _request(self) -> HttpRequest:
        connection = self._connection
        if not connection.tenant_id:
            raise AccessRefused(
                self.system, "tenant_id", "the connection names no tenant", "Add tenant_id to the connection's extra"
            )
        form = {
            "grant_type": "client_credentials",
            "client_id": connection.client_id,
            "client_secret": connection.client_secret,
            "scope": f"{connection.host.rstrip('/')}/.default",
        }
        authority = (connection.authority or ENTRA).rstrip("/")
        url = f"{authority}/{quote(connection.tenant_id, safe='')}/oauth2/v2.0/token"
        return HttpRequest("POST", url, _FORM, urlencode(form).encode())

    def _refused(self, error: _TokenError, status: int) -> AccessRefused | RetryLater:
        found = _AADSTS.search(error.error_description)
        meaning = IDENTITY.get(found[1]) if found else None
        code = f"AADSTS{found[1]}" if found else _name(error, status)
        if meaning is not None and meaning.action is Action.RETRY:
            return ServiceUnavailable(f"{self.system}: {meaning.text} ({code})")
        remedy = meaning.text if meaning else "Check client id, client secret and tenant id of the connection"
        return AccessRefused(self.system, code, "the token endpoint refused to issue a token", remedy)


def _name(error: _TokenError, status: int) -> str:
    return error.error if _ERROR_NAME.fullmatch(error.error) else str(status)


def _usable(token: str) -> bool:
    return token.isascii() and token.isprintable() and " " not in token and bool(token)


def _number(value: float | str) -> float | None:
    try:
        seconds = float(value)
    except ValueError:
        return None
    return min(max(0.0, seconds), _DAY) if math.isfinite(seconds) else None


def _decoded(body: bytes, kind: type[S]) -> S | None:
    try:
        return msgspec.json.decode(body, type=kind)
    except (msgspec.MsgspecError, RecursionError):
        return None
