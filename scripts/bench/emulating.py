"""The sandbox: how fast people are loaded, what they take on disk, and what reads cost beside a small table.

Reads are timed in process, without sockets: what the emulators themselves take. An idle change feed must cost
what it returns, so its bar is against a sandbox with a tenth of the people.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from statistics import median
from urllib.parse import urlencode

from include.sandbox.clock import MovableClock
from include.sandbox.dynamics import DynamicsEmulator
from include.sandbox.marketo import MarketoEmulator
from include.sandbox.people.generation import FIRST_PERSON_ID
from include.sandbox.people.loading import load_people, prepare
from include.sandbox.service import Emulator, Json, Request
from scripts.bench.figures import Bar, Figure, ratio
from scripts.bench.timing import peak_memory

_HOST = "https://sandbox.bench"
_LOGIN = {"grant_type": "client_credentials", "client_id": "sandbox", "client_secret": "sandbox"}
_PERSONS = 300
_PERSON_FIELDS = "id,email,firstName,lastName,company,title,phone,city,country,postalCode,unsubscribed,updatedAt"
_COLUMNS = (
    "firstname,lastname,emailaddress1,companyname,jobtitle,telephone1,address1_line1,address1_city,address1_country,"
    "donotemail,statecode,statuscode,subject,leadsourcecode,revenue,modifiedon"
)
_BYTES_PER_PAIR = Bar(3 * 2**30 / 1_000_000)  # a million pairs in 3 GiB
_FLAT = Bar(3)
_REPEATS = 9


class _Pair:
    """Both emulators with `people` linked pairs, asked in process."""

    def __init__(self, folder: Path, people: int) -> None:
        folder.mkdir(parents=True)
        self._folder, self.people = folder, people
        clock = MovableClock()
        self.marketo = MarketoEmulator(folder, clock, options={"limits": False})
        self.dynamics = DynamicsEmulator(folder, clock, options={"limits": False})
        prepare(self.marketo)
        started = time.perf_counter()
        with peak_memory() as peak:
            load_people(self.marketo, self.dynamics, count=people)
        self.seconds, self.peak = time.perf_counter() - started, peak.beyond
        self._tokens: dict[str, str] = {}

    def close(self) -> int:
        """Close both; bytes on disk."""
        self.marketo.close()
        self.dynamics.close()
        return sum(path.stat().st_size for path in self._folder.iterdir())

    def log_in(self) -> None:
        """A token from each."""
        query = urlencode(_LOGIN)
        first = self._answer(self.marketo, Request("GET", "/identity/oauth/token", query, {}, b"", _HOST))
        form = urlencode({**_LOGIN, "scope": f"{_HOST}/.default"}).encode()
        kind = {"content-type": "application/x-www-form-urlencoded"}
        second = self._answer(self.dynamics, Request("POST", "/sandbox/oauth2/v2.0/token", "", kind, form, _HOST))
        self._tokens = {"marketo": first["access_token"], "dynamics": second["access_token"]}

    def ask_marketo(self, path: str, query: Mapping[str, str], form: Mapping[str, str] | None = None) -> Json:
        """One GET, or a GET as a form (M: section 1)."""
        headers = {"authorization": f"Bearer {self._tokens['marketo']}"}
        if form is None:
            return self._answer(self.marketo, Request("GET", path, urlencode(query), headers, b"", _HOST))
        headers["content-type"] = "application/x-www-form-urlencoded"
        body = urlencode(form).encode()
        return self._answer(self.marketo, Request("POST", path, urlencode(query), headers, body, _HOST))

    def ask_dynamics(self, address: str) -> Json:
        """One GET, with change tracking."""
        path, _, query = address.removeprefix(_HOST).partition("?")
        token = self._tokens["dynamics"]
        headers = {"authorization": f"Bearer {token}", "accept": "application/json", "prefer": "odata.track-changes"}
        return self._answer(self.dynamics, Request("GET", path, query, headers, b"", _HOST))

    @staticmethod
    def _answer(emulator: Emulator, request: Request) -> Json:
        response = emulator.handle(request)
        if response.status != 200:
            raise AssertionError(response.body[:300])
        return json.loads(response.body)

    def persons(self) -> int:
        """Read 300 persons by id; how many came."""
        ids = ",".join(str(FIRST_PERSON_ID + number) for number in range(_PERSONS))
        form = {"filterType": "id", "filterValues": ids, "fields": _PERSON_FIELDS}
        return len(self.ask_marketo("/rest/v1/leads.json", {"_method": "GET"}, form)["result"])

    def page(self) -> int:
        """Read the first page of leads; how many rows it has."""
        return len(self.ask_dynamics(f"/api/data/v9.2/leads?$select={_COLUMNS}")["value"])

    def feed_ends(self) -> tuple[str, str]:
        """Where nothing has changed since: Marketo's paging token, Dynamics' delta link."""
        path, now = "/rest/v1/activities/pagingtoken.json", {"sinceDatetime": "2099-01-01"}
        read = self.ask_dynamics(f"/api/data/v9.2/leads?$select={_COLUMNS}")
        while "@odata.nextLink" in read:
            read = self.ask_dynamics(read["@odata.nextLink"])
        return str(self.ask_marketo(path, now)["nextPageToken"]), str(read["@odata.deltaLink"])

    def idle(self, ends: tuple[str, str]) -> None:
        """Ask both feeds for what is new."""
        query = {"nextPageToken": ends[0], "fields": "email,firstName,lastName"}
        changes = self.ask_marketo("/rest/v1/activities/leadchanges.json", query)
        if changes.get("result") or self.ask_dynamics(ends[1])["value"]:
            raise AssertionError("an idle feed has rows")


def emulating(folder: Path, people: int) -> Iterator[Figure]:
    """`people` pairs loaded and read; a tenth of them beside."""
    large, small = _Pair(folder / "sandbox", people), _Pair(folder / "sandbox-few", people // 10)
    group = f"Sandbox, {people:,} linked pairs"
    yield Figure(group, "loaded", people / large.seconds, "rows/s")
    yield Figure(group, "memory that loading took", large.peak / 2**20, "MB")
    for pair in (large, small):
        pair.log_in()
    persons, rows = large.persons(), large.page()
    yield Figure(group, f"{persons} persons by id", _milliseconds(large.persons), "ms")
    yield Figure(group, f"a page of {rows:,} leads", _milliseconds(large.page), "ms")
    ends, few_ends = large.feed_ends(), small.feed_ends()
    idle = _milliseconds(lambda: large.idle(ends))
    yield Figure(group, "both change feeds, nothing new", idle, "ms")
    few_idle = _milliseconds(lambda: small.idle(few_ends))
    yield ratio(group, "the same, against a tenth of the people", idle, few_idle, _FLAT)
    grown = (large.close() - small.close()) / (large.people - small.people)
    yield Figure(group, "on disk, each further pair", grown, "B", _BYTES_PER_PAIR)


def _milliseconds(work: Callable[[], object]) -> float:
    taken = []
    for _ in range(_REPEATS):
        started = time.perf_counter()
        work()
        taken.append(time.perf_counter() - started)
    return median(taken) * 1000
