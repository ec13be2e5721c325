"""The emulator: tokens, admission, one call after the other (sections 1, 2 and 12)."""

from __future__ import annotations

import re
import sqlite3
import time
import uuid
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from urllib.parse import unquote

from include.sandbox.clock import MovableClock
from include.sandbox.dynamics.answers import answer, refusal
from include.sandbox.dynamics.batch import run_batch
from include.sandbox.dynamics.call import Call, Caller
from include.sandbox.dynamics.column_security import schema_for
from include.sandbox.dynamics.control import COMMANDS
from include.sandbox.dynamics.documents import Row
from include.sandbox.dynamics.errors import ServiceError, no_route, too_large
from include.sandbox.dynamics.limits import ServiceProtection
from include.sandbox.dynamics.live_schema import LiveSchema
from include.sandbox.dynamics.loading import load, seed
from include.sandbox.dynamics.login_documents import login_document
from include.sandbox.dynamics.options import Options
from include.sandbox.dynamics.schema import Schema
from include.sandbox.dynamics.storage import Storage, read_setting
from include.sandbox.dynamics.token_endpoint import Moment, TokenEndpoint
from include.sandbox.dynamics.tokens import Grant, TokenMint
from include.sandbox.dynamics.users import Rights, caller_of, find_login, read_rights
from include.sandbox.service import Hold, Json, Request, Response

_ROOT = re.compile(r"/api/data/v9\.[0-2](?:/|$)", re.IGNORECASE)  # the web server's part of the address: any case
_API = "/api/"  # whatever is below it asks for a token first
_TOKEN = re.compile(r"/[^/]+/oauth2/(?:v2\.0/)?token")
_MAX_URL = 32 * 1024


class DynamicsEmulator:
    """A Dataverse org with its token endpoint; see `include.sandbox.service.Emulator`.

    State is one SQLite file in `data_dir`. `options` are those of `options.Options` and are kept.
    """

    name = "dynamics"

    def __init__(self, data_dir: Path, clock: MovableClock, *, options: Mapping[str, Json] | None = None) -> None:
        self._clock = clock
        data_dir.mkdir(parents=True, exist_ok=True)
        self.storage = Storage(data_dir / "dynamics.sqlite")
        self.live_schema = LiveSchema(self.storage)
        self.protection = ServiceProtection()
        self._mint = TokenMint(self.storage.secret)
        self._tokens = TokenEndpoint(self._mint, self._login)
        seed(self.storage, self.schema, self.now())
        with self.storage.read() as connection:
            kept = read_setting(connection, "options", {})
        self._options = Options().changed({**kept, **(options or {})})

    @property
    def schema(self) -> Schema:
        """The schema in force."""
        return self.live_schema.current

    @property
    def options(self) -> Options:
        """The settings in force."""
        return self._options

    def now(self) -> datetime:
        """Sandbox time."""
        return self._clock.now()

    def change_schema(self, changes: Sequence[tuple[str, Mapping[str, Json]]]) -> None:
        """Change the schema; see `LiveSchema.change_all`."""
        self.live_schema.change_all(changes)

    def read_rights(self, connection: sqlite3.Connection, user: str) -> Rights | None:
        """The rights of a user; None means everything."""
        return read_rights(connection, user)

    def change_options(self, changes: Mapping[str, Json]) -> dict[str, Json]:
        """Replace settings and keep them; raises `ValueError` for unknown ones."""
        changed = self._options.changed(changes)
        with self.storage.write() as transaction:
            transaction.set("options", {**transaction.setting("options", {}), **changes})
        self._options = changed
        return changed.as_json()

    def control(self, command: str, arguments: Mapping[str, Json]) -> Json:
        """Carry out one of `control.COMMANDS`; raises `KeyError` for an unknown one."""
        return COMMANDS[command](self, arguments)

    def load(self, table: str, rows: Iterable[Mapping[str, Json]]) -> int:
        """Insert generated rows by logical column names; see `loading.load`."""
        return load(self.storage, self.schema, self.schema.table(table), rows, self.now())

    def close(self) -> None:
        """Release the file."""
        self.storage.close()

    def hold(self, request: Request) -> Hold | None:
        """Count a request as running from now on, though `handle` gets it later or its answer goes out later."""
        grant = self._grant(request) if _ROOT.match(request.target) else None
        return None if grant is None else self.protection.hold(grant.user or "stranger", self.options)

    def handle(self, request: Request) -> Response:
        """Answer one request; a write is committed when this returns."""
        if _TOKEN.fullmatch(request.path):
            return self._token(request)
        document = login_document(request, self._login) if request.method == "GET" else None
        if document is not None:
            return document
        root = _ROOT.match(request.target)
        if root is None and request.target.lower().startswith(_API) and self._grant(request) is None:
            return self._unauthorized(request)
        if root is None:
            return self._finished(refusal(no_route(f"{request.base_url}{request.target}")), None)
        grant = self._grant(request)
        if grant is None:
            return self._unauthorized(request)
        return self._admitted(request, grant, root.end())

    def _token(self, request: Request) -> Response:
        moment = Moment(self.now(), self.options.token_lifetime, self._epoch(), self._orgs(request))
        return self._tokens.answer(request, moment)

    def _orgs(self, request: Request) -> list[str]:
        """Addresses of the org: where the request came to, and those of the option `org_urls`."""
        return [request.base_url, *self.options.org_urls.split()]

    def _login(self, name: str) -> Row | None:
        with self.storage.read() as connection:
            return find_login(connection, self.schema, name)

    def _epoch(self) -> int:
        with self.storage.read() as connection:
            return int(read_setting(connection, "token_epoch", 0))

    def _grant(self, request: Request) -> Grant | None:
        kind, _, token = request.header("authorization").partition(" ")
        if kind.lower() != "bearer" or not token.strip():
            return None
        return self._mint.read(token.strip(), self.now(), self._orgs(request), self._epoch())

    def _unauthorized(self, request: Request) -> Response:
        """401 without a body; the header tells where tokens are (section 1.4)."""
        challenge = (
            f"Bearer authorization_uri={request.base_url}/sandbox/oauth2/authorize, resource_id={request.base_url}/"
        )
        return self._finished(Response(401, b"", [("WWW-Authenticate", challenge)]), None)

    def _admitted(self, request: Request, grant: Grant, start: int) -> Response:
        user = grant.user or "stranger"
        try:
            self.protection.enter(user, self.now(), self.options, request.hold)
        except ServiceError as error:
            return self._finished(refusal(error), user)
        # Work, not waiting: on a busy machine twenty readers would use up each other's execution time (V58).
        began = time.thread_time()
        try:
            response = self._answer(request, grant, start)
        finally:
            self.protection.leave(user, self.now(), time.thread_time() - began, request.hold)
        return self._finished(response, user)

    def _answer(self, request: Request, grant: Grant, start: int) -> Response:
        try:
            _check_length(request, self.options.body_limit)
            call = self._call(request, grant, start)
            if call.path == "$batch":
                return run_batch(call, answer)
        except ServiceError as error:
            return refusal(error)
        return answer(call)

    def _call(self, request: Request, grant: Grant, start: int) -> Call:
        schema = self.schema
        with self.storage.read() as connection:
            caller: Caller = caller_of(connection, schema, grant.user, request.headers)
            schema = schema_for(schema, caller, connection)
        below = unquote(request.target[start:])
        return Call(
            world=self,
            schema=schema,
            caller=caller,
            method=request.method,
            path=below.rstrip("/"),
            raw_path=request.target[start:],
            query=request.query,
            headers=request.headers,
            body=request.body,
            root=f"{request.base_url}{request.target[:start].rstrip('/')}/",
        )

    def _finished(self, response: Response, user: str | None) -> Response:
        """The headers every answer carries (V6, V11)."""
        if "OData-Version" not in dict(response.headers):
            response.headers.insert(0, ("OData-Version", "4.0"))
        if "REQ_ID" not in dict(response.headers):
            response.headers.append(("REQ_ID", str(uuid.uuid4())))
        response.headers += [
            ("x-ms-service-request-id", str(uuid.uuid4())),
            ("Cache-Control", "no-cache"),
            ("Expires", "-1"),
            ("Set-Cookie", "ARRAffinity=5a9db0c5sandbox; path=/; HttpOnly"),
        ]
        if user is not None:
            requests, seconds = self.protection.remaining(user, self.options)
            response.headers += [
                ("x-ms-ratelimit-burst-remaining-xrm-requests", str(requests)),
                ("x-ms-ratelimit-time-remaining-xrm-requests", f"{seconds:,.2f}"),
                ("x-ms-dop-hint", "4"),
            ]
        return response


def _check_length(request: Request, body_limit: int) -> None:
    # Assumption: a URL over the limit of section 2.1 is refused by the web server in front, with 414.
    if len(request.target) + len(request.query) > _MAX_URL:
        raise ServiceError(414, "", "The request URL is too long.")
    if len(request.body) > body_limit:
        raise too_large()
