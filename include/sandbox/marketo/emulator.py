"""The Marketo emulator: one request in, one response out (facts/marketo-api.md; checklist M1-M72)."""

from __future__ import annotations

import itertools
import logging
import secrets
from collections.abc import Iterable, Mapping
from pathlib import Path

from include.sandbox.clock import MovableClock
from include.sandbox.marketo.activity_reading import ActivityReading
from include.sandbox.marketo.control import Control
from include.sandbox.marketo.crm_objects import CrmObjects
from include.sandbox.marketo.custom_activities import CustomActivities
from include.sandbox.marketo.custom_types import CustomTypes
from include.sandbox.marketo.empty_resources import EmptyResources
from include.sandbox.marketo.extract_jobs import ExtractJobs
from include.sandbox.marketo.field_schema import FieldSchema
from include.sandbox.marketo.folders import Folders
from include.sandbox.marketo.import_jobs import PATH as IMPORT
from include.sandbox.marketo.import_jobs import ImportJobs
from include.sandbox.marketo.import_upload import LARGEST_BODY
from include.sandbox.marketo.instance import Instance
from include.sandbox.marketo.list_assets import ListAssets
from include.sandbox.marketo.loading import Loading
from include.sandbox.marketo.options import Options
from include.sandbox.marketo.person_intake import PersonIntake
from include.sandbox.marketo.person_reading import PersonReading
from include.sandbox.marketo.person_removal import PersonRemoval
from include.sandbox.marketo.person_sync import PersonSync
from include.sandbox.marketo.program_assets import ProgramAssets
from include.sandbox.marketo.program_members import ProgramMembers
from include.sandbox.marketo.routes import Route, Routes, check_body, plain_path
from include.sandbox.marketo.static_lists import StaticLists
from include.sandbox.marketo.wire import (
    Answer,
    Call,
    Refusal,
    compressed,
    envelope,
    failure,
    is_form,
    json_response,
    parameters,
    plain_response,
)
from include.sandbox.service import Hold, Json, Request, Response

LONGEST_URI = 8 * 1024
BIGGEST_BODY = 1024 * 1024
TOKEN_PATH = "/identity/oauth/token"
ROOMS = (
    PersonReading, PersonSync, PersonRemoval, StaticLists, FieldSchema, ActivityReading, CustomTypes,
    CustomActivities, CrmObjects, ExtractJobs, ImportJobs, ListAssets, Folders, ProgramAssets, ProgramMembers,
    PersonIntake, EmptyResources,
)  # fmt: skip

_log = logging.getLogger(__name__)


class MarketoEmulator:
    """A Marketo instance in a folder. `handle` may be called from many threads at once."""

    name = "marketo"

    def __init__(self, data_dir: Path, clock: MovableClock, *, options: Mapping[str, Json] | None = None) -> None:
        """Open the instance in `data_dir`, or lay down a new one.

        Raises:
            KeyError: an option does not exist (see `options.Options`).
            TypeError: an option has the wrong type.
        """
        chosen = Options()
        chosen.change(options or {})
        self._at = Instance(data_dir, clock, chosen)
        statistics = self._at.limits
        stats = "/rest/v1/stats"
        self._routes = Routes([
            *(route for room in ROOMS for route in room(self._at).routes()),
            Route("GET", f"{stats}/usage.json", statistics.usage),
            Route("GET", f"{stats}/usage/last7days.json", statistics.usage_week),
            Route("GET", f"{stats}/errors.json", statistics.errors),
            Route("GET", f"{stats}/errors/last7days.json", statistics.errors_week),
        ])  # fmt: skip
        self._control = Control(self._at)
        self._loading = Loading(self._at)
        self._calls = itertools.count(secrets.randbits(16))

    def handle(self, request: Request) -> Response:
        """Answer one request; what it changed is durable when this returns."""
        response = self._handled(request)
        response.headers.append(("Server", "nginx"))  # as recorded
        return response

    def _handled(self, request: Request) -> Response:
        self._let_time_pass()
        if len(request.target) + bool(request.query) + len(request.query) > LONGEST_URI:
            return plain_response(414, "Request-URI Too Long")
        if len(request.body) > _biggest_body(request):
            return plain_response(413, "Request Entity Too Large")
        call = self._call(request)
        if call.path == TOKEN_PATH:
            return compressed(request, self._identity(call))
        response = self._answer(call)
        return response if call.path.startswith("/bulk/") else compressed(request, response)

    def _call(self, request: Request) -> Call:
        """The request with dot segments, method override and parameters resolved (M14-M16)."""
        sent = parameters(request)
        method = request.method.upper()
        override = next((value.upper() for value in sent.get("_method", ())), "")
        if method == "POST" and override in {"GET", "DELETE"}:
            method = override
        now = self._at.clock.now()
        call_id = f"{next(self._calls):x}#{int(now.timestamp() * 1000):x}"
        return Call(request, method, plain_path(request.path), sent, now, call_id)

    def _identity(self, call: Call) -> Response:
        if call.request.method.upper() not in {"GET", "POST"}:
            refusal = Refusal("605", f"Request method '{call.method}' not supported")
            return failure(call, refusal)
        return self._at.identity.token(call)

    def _answer(self, call: Call) -> Response:
        try:
            if not self._at.identity.has_token(call):
                self._routes.find(call.method, call.path)  # what is no resource is told to everybody (assumption)
            call.user = self._at.identity.authenticate(call)
        except Refusal as refusal:
            self._at.limits.uncounted(call, refusal.code)
            return failure(call, refusal)
        try:
            with self._at.limits.admitted(call):
                answer = self._run(call)
        except Refusal as refusal:
            return failure(call, refusal)
        return answer if isinstance(answer, Response) else json_response(envelope(call.request_id, answer))

    def _run(self, call: Call) -> Answer:
        route, call.names = self._routes.find(call.method, call.path)
        self._at.identity.permit(call.user, route.any_of)
        if call.method == "POST" or not is_form(call.request):
            check_body(call, route.body)
        try:
            return route.handler(call)
        except Refusal:
            raise
        except Exception as error:
            _log.exception("%s %s failed inside the emulator", call.method, call.path)
            raise Refusal("611", "System error") from error

    def hold(self, request: Request) -> Hold | None:
        """Count a request as running from now on, though `handle` gets it later or its answer goes out later."""
        return None if plain_path(request.path) == TOKEN_PATH else self._at.limits.hold()

    def control(self, command: str, arguments: Mapping[str, Json]) -> Json:
        """Carry out a command of the control endpoint; `control.Control` documents each.

        Raises:
            KeyError: the command, or a name in its arguments, does not exist.
            ValueError: an argument is not acceptable.
        """
        self._let_time_pass()
        return self._control.run(command, arguments)

    def _let_time_pass(self) -> None:
        for begin in self._at.falling_due:
            begin()

    def load(self, table: str, rows: Iterable[Mapping[str, Json]]) -> int:
        """Bulk-insert generated records past the API; see `loading.Loading` for tables and rows."""
        return self._loading.load(table, rows)

    def close(self) -> None:
        """Stop what is at work and release the file."""
        for close in self._at.closing:
            close()
        self._at.database.close()


def _biggest_body(request: Request) -> int:
    """Imports take ten times what the others take (section 1)."""
    return LARGEST_BODY if len(request.body) > BIGGEST_BODY and plain_path(request.path) == IMPORT else BIGGEST_BODY
