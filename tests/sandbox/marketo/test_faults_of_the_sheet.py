"""M72: every fault of section 14 of the fact sheet is switched on and off from outside, while the sandbox runs.

Each case looks at a symptom three times: before (none), switched on, switched off again (none). The switches are
those of the table in docs/sandbox.md; everything goes through sockets.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from http.client import HTTPConnection, IncompleteRead
from pathlib import Path
from typing import Any

import pytest

from include.sandbox.clock import MovableClock
from include.sandbox.server import SandboxServer, _marketo
from include.sandbox.service import Request, Response
from tests.sandbox.conftest import RecordedWaits
from tests.waiting import PATIENCE

Commands = list[tuple[str, dict[str, Any]]]
FINE = "fine"
LEADS = "/rest/v1/leads.json"
EXPORT = "/bulk/v1/leads/export"
USER = "sync-api@example.test"
CALM = {"extract_status_interval": 0, "rate_limit": 100_000}


class Silent:
    """Takes the place of the other service."""

    name = "dynamics"

    def __init__(self, folder: Path, clock: MovableClock, options: Mapping[str, Any]) -> None: ...

    def handle(self, request: Request) -> Response:
        return Response()

    def control(self, command: str, arguments: Mapping[str, Any]) -> Any:
        raise KeyError(command)

    def load(self, table: str, rows: Any) -> int:
        return 0

    def close(self) -> None: ...


@dataclass
class World:
    """A client of the sandbox, and its control endpoint."""

    address: str
    waits: list[float]
    token: str = ""
    serial: int = 0
    kept: dict[str, Any] = field(default_factory=dict)

    def raw(self, method: str, path: str, body: Any = None, headers: Mapping[str, str] | None = None) -> Any:
        connection = HTTPConnection(self.address, timeout=PATIENCE)
        sent = {"Content-Type": "application/json", "Authorization": f"Bearer {self.token}", **(headers or {})}
        try:
            connection.request(method, path, None if body is None else json.dumps(body), sent)
            response = connection.getresponse()
            return response.status, response.read(), dict(response.getheaders())
        finally:
            connection.close()

    def login(self) -> None:
        query = "grant_type=client_credentials&client_id=sandbox&client_secret=sandbox"
        self.token = json.loads(self.raw("GET", f"/identity/oauth/token?{query}")[1])["access_token"]

    def command(self, name: str, arguments: Mapping[str, Any]) -> Any:
        status, body, _ = self.raw("POST", f"/_sandbox/{name}", arguments, {"X-Sandbox-Token": "sandbox"})
        assert status == 200, body
        return json.loads(body)["result"]

    def switch(self, commands: Commands) -> None:
        for name, arguments in commands:
            if name == "login":
                self.login()
            else:
                self.command(name, arguments)

    def json(self, method: str, path: str, body: Any = None) -> dict[str, Any]:
        return dict(json.loads(self.raw(method, path, body)[1]))

    def create(self, **values: Any) -> int:
        found = self.json("POST", LEADS, {"action": "createDuplicate", "input": [values]})
        return int(found["result"][0]["id"])

    def new_email(self) -> str:
        self.serial += 1
        return f"fault{self.serial}@example.test"

    def export(self) -> str:
        """A completed export with one person in it."""
        if "export" not in self.kept:
            self.create(email="export@example.test")
            job = self.new_job()["result"][0]["exportId"]
            assert self.json("POST", f"{EXPORT}/{job}/enqueue.json")["success"]
            self.kept["export"] = job
        return str(self.kept["export"])

    def new_job(self, name: str = "createdAt") -> dict[str, Any]:
        now = self.command("clock.show", {})["now"]
        return self.json("POST", f"{EXPORT}/create.json", {"fields": ["id", "email"], "filter": {
            name: {"startAt": f"{now[:8]}01T00:00:00Z", "endAt": f"{now[:10]}T23:59:59Z"},
        }})  # fmt: skip


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    emulators = {"marketo": _marketo, "dynamics": Silent}
    folder = tmp_path_factory.mktemp("faults")
    waits = RecordedWaits()
    with SandboxServer(folder, emulators=emulators, options={"marketo": CALM}, wait=waits) as server:
        yield World(server.marketo_url.removeprefix("http://"), waits)


@pytest.fixture
def world(shared: World) -> World:
    shared.login()
    return shared


def symptom(found: Mapping[str, Any]) -> str:
    return FINE if found["success"] else f"{found['errors'][0]['code']} {found['errors'][0]['message']}"


def describe(world: World) -> str:
    return symptom(world.json("GET", "/rest/v1/leads/describe.json"))


def twice(world: World) -> str:
    return f"{describe(world)}, {describe(world)}"


def page(world: World) -> str:
    status, body, headers = world.raw("GET", "/rest/v1/leads/describe.json")
    kind = next(value for name, value in headers.items() if name.lower() == "content-type")
    return FINE if status == 200 else f"{status} {kind} {body[:6].decode()}"


def write(world: World) -> str:
    """Whether a write is answered, and whether it happened."""
    email = world.new_email()
    try:
        answered = world.json("POST", LEADS, {"input": [{"email": email}]})["success"]
    except ConnectionError:
        answered = False
    there = bool(world.json("GET", f"{LEADS}?filterType=email&filterValues={email}")["result"])
    return FINE if answered and there else f"answered {answered}, written {there}"


def speed(world: World) -> str:
    world.waits.clear()
    describe(world)
    return f"slow by {world.waits} seconds" if world.waits else FINE


def births(world: World, now: str) -> dict[str, Any]:
    token = world.json("GET", f"/rest/v1/activities/pagingtoken.json?sinceDatetime={now}")["nextPageToken"]
    return world.json("GET", f"/rest/v1/activities.json?activityTypeIds=12&nextPageToken={token}")


def feed(world: World) -> str:
    """What the first page after two births looks like."""
    now = world.command("clock.show", {})["now"][:19] + "Z"
    made = {world.create(), world.create()}
    world.create()
    found = births(world, now)
    rows = [row for row in found.get("result", []) if row["leadId"] in made]
    if found["moreResult"]:
        return "short"
    return FINE if len(rows) == 2 and all("id" in row for row in rows) else f"{len(rows)} rows"


def deleted(world: World) -> str:
    token = world.json("GET", "/rest/v1/activities/pagingtoken.json?sinceDatetime=2020-01-01")["nextPageToken"]
    if "deleted" not in world.kept:
        world.kept["deleted"] = world.create()
        world.json("POST", "/rest/v1/leads/delete.json", {"input": [{"id": world.kept["deleted"]}]})
    found = world.json("GET", f"/rest/v1/activities/deletedleads.json?nextPageToken={token}")
    return FINE if any(row["leadId"] == world.kept["deleted"] for row in found.get("result", [])) else "forgotten"


def create_job(world: World) -> str:
    return symptom(world.new_job())


def updated_job(world: World) -> str:
    return symptom(world.new_job("updatedAt"))


def enqueue(world: World) -> str:
    return symptom(world.json("POST", f"{EXPORT}/{world.new_job()['result'][0]['exportId']}/enqueue.json"))


def export_status(world: World) -> str:
    return symptom(world.json("GET", f"{EXPORT}/{world.export()}/status.json"))


def outcome(world: World) -> str:
    job = world.new_job()["result"][0]["exportId"]
    world.json("POST", f"{EXPORT}/{job}/enqueue.json")
    status = world.json("GET", f"{EXPORT}/{job}/status.json")["result"][0]["status"]
    return FINE if status == "Completed" else str(status)


def file(world: World) -> str:
    path = f"{EXPORT}/{world.export()}/file.json"
    try:
        status, _, headers = world.raw("GET", path)
    except IncompleteRead as error:
        part = error.partial
        status, rest, _ = world.raw("GET", path, headers={"Range": f"bytes={len(part)}-"})
        whole = (part + rest).endswith(b"export@example.test\n")
        return f"cut, resumed by Range: {status} {whole}"
    kind = next(value for name, value in headers.items() if name.lower() == "content-type").partition(";")[0]
    return FINE if (status, kind) == (200, "text/csv") else f"{status} {kind}"


def upsert(world: World) -> str:
    (result,) = world.json("POST", LEADS, {"input": [{"email": "twin@example.test"}]})["result"]
    return FINE if result["status"] != "skipped" else str(result["reasons"][0]["code"])


def rule(effect: Mapping[str, Any], path: str = "describe", **more: Any) -> Commands:
    return [("faults.set", {"rules": [{"service": "marketo", "path": path, "effect": effect, **more}]})]


def options(**values: Any) -> Commands:
    return [("set_options", values)]


def days(number: float) -> Commands:
    return [("clock.advance", {"seconds": number * 86_400}), ("login", {})]


CLEAR: Commands = [("faults.clear", {})]
NEW_TOKEN: Commands = [("login", {})]
BACK: Commands = [("clock.reset", {}), ("revoke_tokens", {}), ("login", {})]
LEAD_RIGHTS = {"user": USER, "permissions": ["Read-Only Lead", "Read-Write Lead"]}
Look = Callable[[World], str]
CASES: dict[str, tuple[Commands, Look, str, Commands]] = {
    "601 after revoking a token": ([("revoke_tokens", {})], describe, "601 Access token invalid", NEW_TOKEN),
    "602 once, then 601, after expiry": (
        [("expire_tokens", {})], twice, "602 Access token expired, 601 Access token invalid", NEW_TOKEN),
    "602 when the clock passes the life of the token": (
        [("clock.advance", {"seconds": 3600})], describe, "602 Access token expired", BACK),
    "603 without the permission": (
        [("revoke", LEAD_RIGHTS)], describe, "603 Access denied", [("grant", LEAD_RIGHTS)]),
    "606 by the counter": (
        options(rate_limit=0), describe, "606 Max rate limit '0' exceeded with in '20' secs", options(**CALM)),
    "607 by the counter": (options(daily_quota=0), describe, "607 Daily quota reached", options(daily_quota=50_000)),
    "615 by the counter": (
        options(concurrency_limit=0), describe, "615 Concurrent access limit reached", options(concurrency_limit=10)),
    "604 on demand": (rule({"error": "604"}), describe, "604 Request timed out", CLEAR),
    "608 on demand": (rule({"error": "608"}), describe, "608 API Temporarily Unavailable", CLEAR),
    "611 on demand": (rule({"error": "611"}), describe, "611 System error", CLEAR),
    "713 on demand": (rule({"error": "713"}), describe, "713 Transient Error", CLEAR),
    "502 with an HTML body": (rule({"status": 502}), page, "502 text/html <html>", CLEAR),
    "connection dropped before the commit": (
        rule({"drop": "before"}, "leads.json", method="POST"), write, "answered False, written False", CLEAR),
    "connection dropped after the commit": (
        rule({"drop": "after"}, "leads.json", method="POST"), write, "answered False, written True", CLEAR),
    "slow answers": (rule({"delay": 5}), speed, "slow by [5] seconds", CLEAR),
    "short and empty pages with more to come": (options(feed_block=1), feed, "short", options(feed_block=0)),
    "late activities": (options(late_every=1, late_seconds=3600), feed, "0 rows", options(late_every=0)),
    "activities without id": (options(activity_ids=False), feed, "2 rows", options(activity_ids=True)),
    "1029, queue full": (
        options(extract_queued=0), enqueue, "1029 Too many jobs in queue", options(extract_queued=10)),
    "1029, quota of bytes": (
        options(extract_daily_bytes=0), create_job, "1029 Export daily quota 500MB exceeded.",
        options(extract_daily_bytes=500 * 1024 * 1024)),
    "1029, job already queued": (
        rule({"error": "1029", "message": "Job already queued"}, "enqueue"), enqueue, "1029 Job already queued", CLEAR),
    "1035": (
        options(extract_updated_at=False), updated_job,
        "1035 Unsupported filter type for target subscription: updatedAt", options(extract_updated_at=True)),
    "an export that fails": (options(extract_fails=True), outcome, "Failed", options(extract_fails=False)),
    "404 on a completed file": (
        options(extract_file_missing=True), file, "404 text/plain", options(extract_file_missing=False)),
    "JSON instead of CSV": (rule({"error": "611"}, "file.json"), file, "200 application/json", CLEAR),
    "truncated download": (rule({"cut": 12}, "file.json", times=1), file, "cut, resumed by Range: 206 True", CLEAR),
    "deletions older than 14 days": (days(15), deleted, "forgotten", BACK),
    "a file older than 7 days": (
        [*days(6), ("snapshot.save", {}), *days(2)], file, "404 text/plain", [("snapshot.restore", {}), *BACK]),
    "a job older than 30 days": (days(31), export_status, "1013 Object not found", BACK),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_a_fault_shows_while_it_is_switched_on_and_neither_before_nor_after(world: World, name: str) -> None:
    """M72, section 14."""
    on, look, expected, off = CASES[name]
    before = look(world)
    world.switch(on)
    seen = look(world)
    world.switch(off)
    assert (before, seen, look(world)) == (before if look is twice else FINE, expected, before)
    assert before in {FINE, f"{FINE}, {FINE}"}


def test_two_persons_with_one_address_answer_1007_until_one_is_gone(world: World) -> None:
    """M72, section 14: duplicates are made by createDuplicate, as a CRM sync makes them."""
    first = world.create(email="twin@example.test")
    assert upsert(world) == FINE
    second = world.create(email="twin@example.test")
    assert upsert(world) == "1007"
    assert first != second
    world.json("POST", "/rest/v1/leads/delete.json", {"input": [{"id": second}]})
    assert upsert(world) == FINE


def test_the_daily_quota_starts_anew_at_midnight_central(world: World) -> None:
    """M72, section 14: clock control for the quota."""
    assert [describe(world) for _ in range(6)] == [FINE] * 6
    world.switch(options(daily_quota=5))
    assert describe(world).startswith("607")
    world.switch(days(1))
    assert describe(world) == FINE
    world.switch([*options(daily_quota=50_000), *BACK])


def test_every_fault_is_in_the_documentation(project_root: Path) -> None:
    """M72: the table names each switch that is used here."""
    text = (project_root / "docs" / "sandbox.md").read_text("utf-8").partition("### Marketo's faults")[2]
    section = text.partition("\n## ")[0]
    switches = [command for on, *_ in CASES.values() for command in on]
    used = {option for name, arguments in switches if name == "set_options" for option in arguments}
    commands = {name for name, _ in switches} - {"set_options", "login", "faults.set", "snapshot.save"}
    assert sorted(one for one in used | commands if f"`{one}" not in section) == []
