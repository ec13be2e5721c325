"""Everything that a tester may do to the running services, over HTTP alone: one check per verb of docs/sandbox.md."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from http.client import HTTPConnection, IncompleteRead, RemoteDisconnected
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest

from include.sandbox.people.generation import FIRST_PERSON_ID, people
from include.sandbox.server import SandboxServer
from tests.sandbox.conftest import RecordedWaits
from tests.waiting import PATIENCE

PAIR = next(pair for pair in people(3, 20) if pair.table == "lead")
assert PAIR.record is not None
LEAD = f"/api/data/v9.2/leads({PAIR.record['leadid']})"
PERSON = FIRST_PERSON_ID + PAIR.index
LOGIN = {"grant_type": "client_credentials", "client_id": "sandbox", "client_secret": "sandbox"}
Answer = tuple[int, bytes, dict[str, str]]


class Outsider:
    """Two services and their control endpoints, seen from another process' side of the socket."""

    def __init__(self, urls: dict[str, str], waits: list[float]) -> None:
        self.urls = urls
        self.waits = waits
        self._hosts = {name: url.removeprefix("http://") for name, url in urls.items()}
        self.headers: dict[str, dict[str, str]] = {}

    def send(self, service: str, method: str, path: str, content: Any = None, **headers: str) -> Answer:
        connection = HTTPConnection(self._hosts[service], timeout=PATIENCE)
        body = content if isinstance(content, str | None) else json.dumps(content)
        try:
            connection.request(method, path, body, {"Content-Type": "application/json"} | headers)
            response = connection.getresponse()
            return response.status, response.read(), {k.lower(): v for k, v in response.getheaders()}
        finally:
            connection.close()

    def control(self, service: str, command: str, **arguments: Any) -> Any:
        token = {"X-Sandbox-Token": "sandbox"}
        status, body, _ = self.send(service, "POST", f"/_sandbox/{command}", arguments, **token)
        assert status == 200, body
        return json.loads(body)["result"]

    def rule(self, service: str, effect: dict[str, Any], **match: Any) -> None:
        self.control(service, "faults/set", rules=[{"service": service, **match, "effect": effect}], seed=1)

    def log_in(self) -> None:
        token = json.loads(self.send("marketo", "GET", f"/identity/oauth/token?{urlencode(LOGIN)}")[1])
        self.headers["marketo"] = {"Authorization": f"Bearer {token['access_token']}"}
        form = urlencode({**LOGIN, "scope": f"http://{self._hosts['dynamics']}/.default"})
        kind = {"Content-Type": "application/x-www-form-urlencoded"}
        token = json.loads(self.send("dynamics", "POST", "/sandbox/oauth2/v2.0/token", form, **kind)[1])
        self.headers["dynamics"] = {"Authorization": f"Bearer {token['access_token']}"}

    def marketo(self, path: str, method: str = "GET", content: Any = None) -> Any:
        return json.loads(self.send("marketo", method, path, content, **self.headers["marketo"])[1])

    def dynamics(self, path: str, method: str = "GET", content: Any = None, **headers: str) -> Answer:
        return self.send("dynamics", method, path, content, **self.headers["dynamics"], **headers)

    def title(self) -> str | None:
        row = self.control("dynamics", "read_row", entity="lead", id=LEAD[-37:-1])
        return row.get("jobtitle") if row else None

    def rename(self, title: str) -> int:
        return self.dynamics(LEAD, "PATCH", {"jobtitle": title})[0]

    def person(self, **values: str) -> None:
        self.control("marketo", "edit_person", id=PERSON, values=values)

    def feed(self) -> str:
        return str(self.marketo("/rest/v1/activities/pagingtoken.json?sinceDatetime=2020-01-01")["nextPageToken"])

    def activities(self, token: str) -> tuple[list[str], str]:
        read = self.marketo(f"/rest/v1/activities.json?{urlencode({'nextPageToken': token, 'activityTypeIds': 13})}")
        rows = [{a["name"]: a["value"] for a in row["attributes"]} for row in read.get("result", ())]
        return [row["New Value"] for row in rows], read["nextPageToken"]


@pytest.fixture(scope="module")
def waits() -> RecordedWaits:
    """The delays that slow answers had so far."""
    return RecordedWaits()


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory, waits: RecordedWaits) -> Iterator[SandboxServer]:
    with SandboxServer(tmp_path_factory.mktemp("outside") / "data", people=20, seed=3, wait=waits) as server:
        server.control("snapshot.save", {"name": "start"})
        yield server


@pytest.fixture
def tester(running: SandboxServer, waits: RecordedWaits) -> Iterator[Outsider]:
    running.control("calls.clear")
    waits.clear()
    one = Outsider(dict(running.urls), waits)
    one.log_in()
    yield one
    running.control("faults.clear")
    running.control("snapshot.restore", {"name": "start"})
    running.control("clock.reset")


def throttle(t: Outsider) -> None:
    t.rule("dynamics", {"error": "0x80072322", "retry_after": 7})
    status, _, headers = t.dynamics(LEAD)
    assert (status, headers["retry-after"]) == (429, "7")
    t.rule("marketo", {"error": "606"})
    assert t.marketo("/rest/v1/leads/describe.json")["errors"][0]["code"] == "606"


def throttle_by_counters(t: Outsider) -> None:
    t.control("dynamics", "set_options", limit_requests=1)
    assert [t.dynamics(LEAD)[0] for _ in range(2)] == [200, 429]
    t.control("marketo", "set_options", rate_limit=1)
    answers = [t.marketo("/rest/v1/leads/describe.json") for _ in range(2)]
    assert answers[1]["errors"][0]["code"] == "606"


def delay(t: Outsider) -> None:
    t.rule("marketo", {"delay": 30, "delay_after": 20}, path="describe")
    t.marketo("/rest/v1/leads/describe.json")
    (call,) = t.control("marketo", "calls/list", path="describe")["calls"]
    assert (call["faults"], t.waits) == (["rule-1"], [30, 20])


def fail_before_commit(t: Outsider) -> None:
    before = t.title()
    t.rule("dynamics", {"error": "0x80040216"}, method="PATCH")
    assert t.rename("lost") == 500
    assert t.title() == before


def fail_after_commit(t: Outsider) -> None:
    t.rule("dynamics", {"status": 502, "stage": "after"}, method="PATCH")
    assert t.rename("kept") == 502
    assert t.title() == "kept"


def drop_before(t: Outsider) -> None:
    before = t.title()
    t.rule("dynamics", {"drop": "before"}, method="PATCH")
    with pytest.raises((RemoteDisconnected, ConnectionResetError)):
        t.rename("lost")
    assert t.title() == before


def drop_after(t: Outsider) -> None:
    t.rule("dynamics", {"drop": "after"}, method="PATCH")
    with pytest.raises((RemoteDisconnected, ConnectionResetError)):
        t.rename("kept")
    assert t.title() == "kept"


def truncate(t: Outsider) -> None:
    t.rule("dynamics", {"truncate": 0.5}, path="leads")
    status, body, headers = t.dynamics(LEAD)
    assert (status, headers["content-length"]) == (200, str(len(body)))
    with pytest.raises(ValueError, match=r"Unterminated|Expecting"):
        json.loads(body)


def garble(t: Outsider) -> None:
    t.rule("marketo", {"garble": True}, path="describe")
    with pytest.raises(UnicodeDecodeError):
        t.marketo("/rest/v1/leads/describe.json")


def expire_tokens(t: Outsider) -> None:
    t.control("dynamics", "expire_tokens")
    t.control("marketo", "expire_tokens")
    assert t.dynamics(LEAD)[0] == 401
    codes = [t.marketo("/rest/v1/leads/describe.json")["errors"][0]["code"] for _ in range(2)]
    assert codes == ["602", "601"]
    t.log_in()
    assert t.dynamics(LEAD)[0] == 200


def age_cursors(t: Outsider) -> None:
    tracked = json.loads(t.dynamics("/api/data/v9.2/leads?$select=jobtitle", Prefer="odata.track-changes")[1])
    link = tracked["@odata.deltaLink"].partition("/api/")
    assert t.dynamics(link[1] + link[2])[0] == 200
    t.control("dynamics", "age_delta_tokens", entity="lead")
    status, body, _ = t.dynamics(link[1] + link[2])
    assert status in (400, 410)
    assert "0x80044352" in json.loads(body)["error"]["code"].lower()
    t.rule("marketo", {"error": "1003", "message": "Invalid value for nextPageToken"}, query="nextPageToken")
    refused = t.marketo(f"/rest/v1/activities.json?nextPageToken={t.feed()}&activityTypeIds=13")
    assert refused["errors"][0]["code"] == "1003"


def publish_late(t: Outsider) -> None:
    t.control("marketo", "set_options", late_every=1, late_seconds=60)
    token = t.feed()
    t.person(title="late")
    assert t.activities(token)[0] == []
    t.control("marketo", "clock/advance", seconds=61)
    assert t.activities(token)[0] == ["late"]


def publish_out_of_order(t: Outsider) -> None:
    t.control("marketo", "set_options", late_every=2, late_seconds=60, late_reordered=True)
    token = t.feed()
    for number in range(4):
        t.person(title=f"t{number}")
    first, after = t.activities(token)
    t.control("marketo", "clock/advance", seconds=61)
    second, _ = t.activities(after)
    assert len(first) == 2
    assert sorted(first + second) == ["t0", "t1", "t2", "t3"]
    assert first + second != sorted(first + second)


def shorten_pages(t: Outsider) -> None:
    t.control("dynamics", "set_options", page_size=3)
    page = json.loads(t.dynamics("/api/data/v9.2/leads?$select=jobtitle")[1])
    assert len(page["value"]) == 3
    assert "@odata.nextLink" in page
    t.control("marketo", "set_options", feed_block=1)
    token = t.feed()
    t.control("marketo", "add_to_list", listId=t.control("marketo", "create_list", name="L")["id"], leadId=PERSON)
    t.person(title="behind an empty page")
    empty, token = t.activities(token)
    assert (empty, t.activities(token)[0]) == ([], ["behind an empty page"])


def change_metadata(t: Outsider) -> None:
    t.control("dynamics", "set_metadata", entity="lead", attribute="jobtitle", changes={"max_length": 5})
    assert (t.rename("short"), t.rename("longer")) == (204, 400)
    field = {"name": "shoeSize", "displayName": "Shoe Size", "dataType": "integer"}
    t.control("marketo", "create_fields", fields=[field])
    described = t.marketo("/rest/v1/leads/describe.json")["result"]
    assert "shoeSize" in {one.get("rest", {}).get("name") for one in described}


def take_away_privileges(t: Outsider) -> None:
    t.control("dynamics", "set_privileges", user="sandbox", table="lead", privileges=["read"])
    assert (t.dynamics(LEAD)[0], t.rename("no")) == (200, 403)
    t.control("dynamics", "set_privileges", user="sandbox", table="lead", privileges=["read", "write"])
    assert t.rename("yes") == 204
    t.control("marketo", "revoke", user="sandbox", permissions=["Read-Only Lead", "Read-Write Lead"])
    assert t.marketo(f"/rest/v1/lead/{PERSON}.json")["errors"][0]["code"] == "603"


def move_the_clock(t: Outsider) -> None:
    t.control("marketo", "clock/freeze", at="2027-05-05T05:05:05Z")
    t.log_in()
    t.rename("in May")
    assert json.loads(t.dynamics(LEAD)[1])["modifiedon"] == "2027-05-05T05:05:05Z"
    t.control("dynamics", "clock/advance", seconds=4000)
    assert t.dynamics(LEAD)[0] == 401
    assert t.marketo("/rest/v1/leads/describe.json")["errors"][0]["code"] == "602"
    assert t.control("dynamics", "clock/show")["now"].startswith("2027-05-05T06:11:45")


def read_the_call_log(t: Outsider) -> None:
    position = t.control("dynamics", "calls/count")["position"]
    t.rename("logged")
    (call,) = t.control("marketo", "calls/list", since=position)["calls"]
    assert (call["service"], call["method"], call["path"], call["status"]) == ("dynamics", "PATCH", LEAD, 204)
    assert t.control("marketo", "calls/count", since=position)["counts"] == {f"dynamics PATCH {LEAD}": 1}


def snapshot_and_restore(t: Outsider) -> None:
    before = t.title()
    t.control("marketo", "snapshot/save", name="verb")
    t.rename("gone again")
    t.person(title="gone again")
    t.control("dynamics", "snapshot/restore", name="verb")
    assert t.title() == before
    assert t.control("marketo", "read_person", id=PERSON)["values"].get("title") != "gone again"
    assert "verb" in t.control("marketo", "snapshot/list")["snapshots"]


VERBS: tuple[Callable[[Outsider], None], ...] = (
    throttle, throttle_by_counters, delay, fail_before_commit, fail_after_commit, drop_before, drop_after, truncate,
    garble, expire_tokens, age_cursors, publish_late, publish_out_of_order, shorten_pages, change_metadata,
    take_away_privileges, move_the_clock, read_the_call_log, snapshot_and_restore,
)  # fmt: skip


@pytest.mark.parametrize("verb", VERBS, ids=lambda verb: verb.__name__)
def test_the_services_are_steered_over_http_while_they_run(tester: Outsider, verb: Callable[[Outsider], None]) -> None:
    verb(tester)


def test_every_verb_is_documented(project_root: Path) -> None:
    text = (project_root / "docs" / "sandbox.md").read_text("utf-8")
    section = text.partition("## Steering from outside")[2].partition("\n## ")[0]
    rows = [name.replace(" ", "_") for name in re.findall(r"^\| ([a-z ]+) \|", section, re.MULTILINE)]
    assert [name for name in rows if name != "verb"] == [verb.__name__ for verb in VERBS]


def test_the_same_plan_against_the_same_requests_does_the_same_again(tester: Outsider) -> None:
    rule = {"path": "describe", "probability": 0.5, "effect": {"status": 503}}

    def played(seed: int) -> list[int]:
        tester.control("marketo", "faults/set", rules=[rule], seed=seed)
        path, headers = "/rest/v1/leads/describe.json", tester.headers["marketo"]
        return [tester.send("marketo", "GET", path, **headers)[0] for _ in range(12)]

    first = played(7)
    assert (first, set(first)) == (played(7), {200, 503})
    assert played(8) != first


def test_without_a_plan_nothing_of_it_shows(tester: Outsider) -> None:
    first = tester.dynamics(LEAD)
    tester.control("dynamics", "faults/set", rules=[{"effect": {"status": 503, "headers": {"X-Fault": "1"}}}])
    tester.control("dynamics", "faults/clear")
    second = tester.dynamics(LEAD)
    assert (first[0], first[1], set(first[2])) == (second[0], second[1], set(second[2]))
    assert [call["faults"] for call in tester.control("dynamics", "calls/list", path="leads")["calls"]] == [[], []]


BROKEN = (RemoteDisconnected, ConnectionResetError, IncompleteRead)


def token_request(t: Outsider, service: str) -> Answer:
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    paths = {"marketo": "/identity/oauth/token", "dynamics": "/sandbox/oauth2/v2.0/token"}
    return t.send(
        service, "POST", paths[service], urlencode({**LOGIN, "scope": f"{t.urls['dynamics']}/.default"}), **form
    )


def read_request(t: Outsider, service: str) -> Answer:
    path = {"marketo": f"/rest/v1/lead/{PERSON}.json", "dynamics": LEAD}[service]
    return t.send(service, "GET", path, **t.headers[service])


@pytest.mark.parametrize("request_of", [read_request, token_request])
@pytest.mark.parametrize("service", ["marketo", "dynamics"])
def test_every_kind_of_fault_strikes_every_service_and_is_gone_with_its_plan(
    tester: Outsider, service: str, request_of: Callable[[Outsider, str], Answer]
) -> None:
    code = {"marketo": "606", "dynamics": "0x80072322"}[service]
    whole = len(request_of(tester, service)[1])
    broken: list[dict[str, Any]] = [{"drop": "before"}, {"drop": "after"}, {"cut": 0.5}]
    for effect in broken:
        tester.rule(service, effect)
        with pytest.raises(BROKEN):
            request_of(tester, service)
    for stage in ("instead", "after"):
        tester.rule(service, {"status": 502, "stage": stage})
        assert request_of(tester, service)[0] == 502
    tester.rule(service, {"error": code})
    assert code in request_of(tester, service)[1].decode()
    tester.rule(service, {"truncate": 0.5})
    assert len(request_of(tester, service)[1]) < whole
    tester.rule(service, {"garble": True})
    with pytest.raises(UnicodeDecodeError):
        request_of(tester, service)[1].decode()
    assert tester.waits == []
    tester.rule(service, {"delay": 30, "delay_after": 20})
    request_of(tester, service)
    assert tester.waits == [30, 20]
    tester.control(service, "faults/clear")
    status, body, _ = request_of(tester, service)
    assert (status, json.loads(body).get("success", True)) == (200, True)


@pytest.mark.parametrize(
    ("service", "options"),
    [
        ("marketo", {"rate_limit": -1}),
        ("marketo", {"upsert_race_seconds": float("nan")}),
        ("marketo", {"daily_quota": 1.5}),
        ("dynamics", {"page_size": 0}),  # its pages would never end
        ("dynamics", {"page_size": 2.5}),
        ("dynamics", {"retention_days": float("inf")}),
        ("dynamics", {"limit_window": 0}),
    ],
)
def test_an_option_that_makes_no_sense_is_refused_and_changes_nothing(
    running: SandboxServer, service: str, options: dict[str, float]
) -> None:
    before = running.control("set_options", service=service)
    with pytest.raises((ValueError, TypeError), match="option"):
        running.control("set_options", options, service=service)
    assert running.control("set_options", service=service) == before
