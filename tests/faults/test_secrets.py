"""P10: what is written anywhere is searched for planted secrets, tokens and personal data.

Secrets and tokens may be nowhere. Personal data may be where docs/operations.md says: in Parquet staging
and the validation report, in the tables of values, and in what `plan`, `why` and `errors` print.
"""

from __future__ import annotations

import json
import logging
import re
import traceback
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from include.leadsync.clients.transport import Headers, HttpRequest, HttpResponse, RequestsTransport
from include.leadsync.clock import SystemClock
from include.leadsync.config import Paths, load_settings
from include.leadsync.context import Engine, RunRequest
from include.leadsync.cycle import run_cycle
from include.leadsync.errors import ConnectionBroken, LeadSyncError, redact
from include.leadsync.model import Connection, System
from include.leadsync.requests import request_persons
from include.leadsync.setup import setup
from include.leadsync.state.schema import metadata
from include.sandbox.server import SandboxServer
from tests.engine.play import linked_contact, linked_lead
from tests.postgresql import empty_schema, running_server
from tests.world import DEFAULT_CONFIG, World

SECRET, PASSWORD = "plantedClientSecret7", "plantedDatabasePassword7"
NAME, MAIL, TITLE = "Plantedname", "planted.person@example.com", "Planted Title"
PERSONAL = (NAME, MAIL, MAIL.replace("@", "%40"), TITLE)
OF_VALUES = frozenset({"link", "operation", "ledger", "activity", "echo"})
"""Tables that hold field values; the others hold ids, tokens of feeds, counts and times."""


@dataclass
class Evidence:
    """Texts by the place where they were found."""

    texts: list[tuple[str, str]] = field(default_factory=list)

    def add(self, place: str, text: str) -> None:
        self.texts.append((place, text))

    def places_of(self, *markers: str) -> set[str]:
        """Where any of the markers occurs, in whatever case."""
        return {place for place, text in self.texts for marker in markers if marker.lower() in text.lower()}

    def add_files(self, folder: Path) -> None:
        for path in folder.rglob("*"):
            if path.is_file() and "systems" not in path.parts:
                kind = re.sub(r"\d", "", "".join(path.suffixes[-1:]))
                self.add(f"file {kind}", path.read_bytes().decode("latin-1"))

    def add_tables(self, engine: sa.Engine) -> None:
        with engine.connect() as connection:
            for table in metadata.sorted_tables:
                rows = [tuple(row) for row in connection.execute(sa.select(table))]
                self.add(f"table {table.name}", repr(rows))


class Recorder(logging.Handler):
    """Every record of every logger, formatted with its exception."""

    def __init__(self, evidence: Evidence) -> None:
        super().__init__(logging.DEBUG)
        self._evidence = evidence
        self.setFormatter(logging.Formatter("%(name)s %(message)s"))

    def emit(self, record: logging.LogRecord) -> None:
        self._evidence.add("log", self.format(record))


@pytest.fixture
def evidence() -> Iterator[Evidence]:
    """Collects logs at the most talkative level while a test runs."""
    found = Evidence()
    root, recorder = logging.getLogger(), Recorder(found)
    level = root.level
    root.setLevel(logging.DEBUG)
    root.addHandler(recorder)
    yield found
    root.removeHandler(recorder)
    root.setLevel(level)


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with running_server() as url:
        yield url


@pytest.fixture
def world(server: str, tmp_path: Path) -> Iterator[World]:
    """A world whose secret and database password are planted."""
    with empty_schema(server) as url:
        planted = sa.engine.make_url(url).set(password=PASSWORD).render_as_string(hide_password=False)
        with World(tmp_path, state_url=planted, secret=SECRET) as made:
            yield made


@dataclass
class Tokens:
    """Bearer tokens and feed tokens that the services gave out."""

    seen: set[str] = field(default_factory=set)

    def note(self, _: HttpRequest, response: HttpResponse) -> HttpResponse:
        self.seen |= {found.decode() for found in re.findall(rb'"access_token"\s*:\s*"([^"]+)"', response.body)}
        return response


def run_and_tell(world: World, evidence: Evidence, **request: Any) -> str:
    """One run, as a scheduler sees it: its report, or the traceback of its error."""
    try:
        evidence.add("report", json.dumps(world.run(**request), default=str))
    except Exception as error:  # noqa: BLE001 - whatever it is, it is evidence
        evidence.add("error", "".join(traceback.format_exception(error)) + repr(error) + redact(str(error)))
        return type(error).__name__
    return "done"


def failing_answers() -> dict[str, HttpResponse]:
    """What services and proxies answer on a bad day, each repeating what it knows of us and of people."""
    person = f'"id":1001,"email":"{MAIL}","lastName":"{NAME}","access_token":"{SECRET}"'
    return {
        "cut": HttpResponse(200, Headers(), f'{{"success":true,"result":[{{{person}'.encode()),
        "not the shape": HttpResponse(200, Headers(), f'{{"success":true,"result":{{{person}}},"value":5}}'.encode()),
        "no JSON": HttpResponse(200, Headers(), f"{MAIL};{NAME}".encode()),
        "page": HttpResponse(502, Headers(), f"<html>client_secret={SECRET} for {MAIL}</html>".encode()),
        "refused": HttpResponse(
            401, Headers(), f'{{"error":{{"code":"0x0","message":"Authorization: Bearer {SECRET}"}}}}'.encode()
        ),
        "no such": HttpResponse(400, Headers(), f'{{"error":{{"code":"0x0","message":"{MAIL}"}}}}'.encode()),
        "marketo says": HttpResponse(
            200,
            Headers(),
            f'{{"success":false,"errors":[{{"code":"1003","message":"Value {MAIL}"}}]}}'.encode(),
        ),
    }


def bad_days(world: World, evidence: Evidence) -> set[str]:
    """Every failure at every kind of call; the kinds of errors they ended in."""
    ended: set[str] = set()
    for part in ("leadchanges", "deltatoken", "leads.json", "$batch"):
        for answer in failing_answers().values():

            def change(
                request: HttpRequest, response: HttpResponse, part: str = part, answer: HttpResponse = answer
            ) -> HttpResponse:
                return answer if part in request.url else response

            world.transport.after.append(change)
            world.edit_person(world.persons_by("email", MAIL)[0]["id"], title=f"{TITLE} {len(ended)} {part}")
            ended.add(run_and_tell(world, evidence))
            world.transport.after.pop()
            world.movable.advance(120)
    return ended


def look_everywhere(world: World, evidence: Evidence, tokens: Tokens) -> None:
    evidence.add_files(world.folder)
    evidence.add_tables(world.engine.store.engine)
    engine = world.engine
    things = [engine, engine.paths, engine.connections, engine.store, engine.store.engine, engine.store.engine.url]
    things += [*vars(engine.marketo).values(), *vars(engine.dynamics).values()]
    for thing in things:
        evidence.add("repr", f"{thing!r} {thing!s}")
    assert len(tokens.seen) >= 2


def test_no_secret_is_anywhere_and_personal_data_only_where_the_documentation_says(
    world: World, evidence: Evidence, capfd: pytest.CaptureFixture[str]
) -> None:
    tokens = Tokens()
    world.transport.after.append(tokens.note)
    world.reopen()  # so that the tokens are fetched while we watch
    person, lead = linked_lead(world, lastname=NAME, emailaddress1=MAIL, jobtitle=TITLE)
    linked_contact(world, lastname=NAME, emailaddress1=f"x{MAIL}", jobtitle=TITLE)
    world.edit_person(person, mktoPersonNotes=TITLE * 2_000, title=f"{TITLE} 2")
    request_persons(world.engine, [world.add_person(lastName=NAME, email=f"y{MAIL}")], "lead", source="t", token="1")
    assert run_and_tell(world, evidence) == "done"
    world.edit_person(person, mktoPersonNotes=None)
    assert len(bad_days(world, evidence)) >= 4
    wrong = {**world.engine.connections, System.DYNAMICS: Connection("https://dynamics.test", "sandbox", f"{SECRET}x")}
    world.engine.connections = wrong
    world.engine.__dict__.pop("dynamics")
    world.movable.advance(4_000)  # every token has ended
    assert run_and_tell(world, evidence) == "AccessRefused"
    world.reopen()

    def unreachable(request: HttpRequest) -> HttpResponse | None:
        raise ConnectionBroken("marketo.test cannot be reached", maybe_committed=False)

    world.transport.before.append(unreachable)
    assert run_and_tell(world, evidence) != "done"
    world.transport.before.clear()
    world.movable.advance(120)
    world.edit_row("lead", lead, jobtitle="the end")
    world.settle()

    look_everywhere(world, evidence, tokens)
    printed = capfd.readouterr()
    evidence.add("output", printed.out + printed.err)
    assert evidence.places_of(SECRET, PASSWORD, *tokens.seen) == set()
    allowed = {"file .parquet", "file .html"} | {f"table {name}" for name in OF_VALUES}
    assert evidence.places_of(*PERSONAL) <= allowed
    assert {f"table {name}" for name in OF_VALUES - {"echo"}} <= evidence.places_of(*PERSONAL)  # the search can find


def test_a_database_that_is_away_or_refuses_us_shows_no_password(evidence: Evidence, tmp_path: Path) -> None:
    connections = {system: Connection("https://x.test", "id", SECRET) for system in System}
    for url in (
        f"postgresql://user:{PASSWORD}@127.0.0.1:9/leads",
        f"postgresql://user:{PASSWORD}@[::1/leads",
        f"mysql://user:{PASSWORD}@host/leads",
        f"sqlite:////proc/{PASSWORD}?mode=memory&password={PASSWORD}",
        f"user:{PASSWORD}",
    ):
        paths = Paths(tmp_path, DEFAULT_CONFIG, url, f"s3://key:{PASSWORD}@bucket")
        evidence.add("repr", repr(paths))
        with pytest.raises(LeadSyncError) as raised:
            Engine.open(load_settings(DEFAULT_CONFIG), paths, connections)
        evidence.add("error", "".join(traceback.format_exception(raised.value)))
    texts = [text.replace(f"/proc/{PASSWORD}", "") for _, text in evidence.texts]  # a path is no password
    assert [text for text in texts if PASSWORD in text or SECRET in text] == []


def test_a_bug_of_ours_leaves_its_values_out_of_the_run_table(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def bug(*_: object) -> None:
        raise ZeroDivisionError(f"{MAIL} {SECRET}")

    monkeypatch.setattr("include.leadsync.extract.persons.PersonReader.extract", bug)
    with pytest.raises(ZeroDivisionError):
        world.run()
    evidence = Evidence()
    evidence.add_tables(world.engine.store.engine)
    assert evidence.places_of(MAIL, SECRET) == set()
    assert evidence.places_of("ZeroDivisionError") == {"table run"}
    monkeypatch.undo()
    world.movable.advance(-60)  # `run` lets a minute pass first
    assert world.run()["outcome"] == "done"  # the turn was given back


def test_http_over_real_sockets_logs_no_query_no_body_and_no_header(evidence: Evidence, tmp_path: Path) -> None:
    """The HTTP library below logs whole addresses when it is allowed to."""
    tokens = Tokens()

    class Watched(RequestsTransport):
        def send(self, request: HttpRequest) -> HttpResponse:
            return tokens.note(request, super().send(request))

    with SandboxServer(tmp_path / "systems") as sandbox:
        connections = {
            System.MARKETO: Connection(sandbox.marketo_url, "sandbox", "sandbox"),
            System.DYNAMICS: Connection(sandbox.dynamics_url, "sandbox", "sandbox", "sandbox", sandbox.dynamics_url),
        }
        paths = Paths(tmp_path, DEFAULT_CONFIG, f"sqlite:///{tmp_path / 'state.db'}", str(tmp_path / "staging"))
        engine = Engine.open(
            load_settings(DEFAULT_CONFIG), paths, connections, clock=SystemClock(), transport=Watched()
        )
        with engine:
            setup(engine)
            sandbox.marketo.load("person", [{"email": MAIL, "lastName": NAME}])
            values = {"subject": "s", "lastname": NAME, "emailaddress1": MAIL}
            sandbox.control("create_row", {"entity": "lead", "values": values}, service="dynamics")
            run_cycle(engine, RunRequest("20260101T000000Z-000000"))
            (person,) = engine.marketo.persons("email", [MAIL], {"email": "text"}).to_pylist()
        assert person["email"] == MAIL
    assert any("leads.json" in text for place, text in evidence.texts if place == "log")
    assert evidence.places_of(MAIL, MAIL.replace("@", "%40"), NAME, *tokens.seen) == set()
    assert len(tokens.seen) == 2


@pytest.mark.parametrize("place", ["log", "file .json", "table run"])
def test_a_planted_secret_is_found(world: World, evidence: Evidence, place: str) -> None:
    if place == "log":
        logging.getLogger("some.library").debug("GET /?client_secret=%s", SECRET)
    elif place == "file .json":
        (world.folder / "x.json").write_text(SECRET)
    else:
        with world.engine.store.begin() as tx:
            tx.execute(sa.text("INSERT INTO run (run_id, kind, started_at, report_json) VALUES ('x', 'x', 1, :text)"),
                       {"text": SECRET})  # fmt: skip
    evidence.add_files(world.folder)
    evidence.add_tables(world.engine.store.engine)
    assert place in evidence.places_of(SECRET)
