"""Days of simulated time on half of Marketo's quota, the other half used by somebody else (P7)."""

from __future__ import annotations

import io
import re
from argparse import Namespace
from collections.abc import Iterator
from contextlib import nullcontext, redirect_stdout
from datetime import UTC, datetime
from pathlib import Path

import pytest

from include.leadsync.cli_questions import run_status
from include.leadsync.clients.transport import HttpRequest, HttpResponse
from include.leadsync.errors import RetryLater
from tests.engine.play import column, linked_lead, shown
from tests.faults.switchboard import misbehaving
from tests.world import MARKETO, World

QUOTA, SHARE = 132, 66
EVERY = 4 * 3600  # seconds between cycles
MIDNIGHT = datetime(2026, 3, 3, 6, tzinfo=UTC)  # US Central


@pytest.fixture
def limited(tmp_path: Path) -> Iterator[World]:
    """Marketo takes 132 calls a day, half of them from us; a write carries one person."""
    ours = {"share": 0.5, "calls": 100, "window_seconds": 20, "concurrent": 10, "daily": QUOTA}
    with World(tmp_path, {"limits": {"marketo": ours}, "batches": {"marketo": 1}}) as world:
        yield world


def said_by_status(world: World) -> str:
    """What the command `status` prints."""
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(io.StringIO()) as said:
        patch.setattr("include.leadsync.cli_questions.open_engine", lambda: nullcontext(world.engine))
        run_status(Namespace(json=False))
    return said.getvalue()


def test_more_than_fits_into_a_day_is_finished_the_next_and_nobody_hears_607(limited: World) -> None:
    world, heard, sent = limited, [], 0
    leads = [world.add_row("lead", subject="s", lastname="L", emailaddress1=f"p{n}@example.com") for n in range(8)]
    world.settle()
    world.movable.freeze(MIDNIGHT)
    world.marketo.control("set_options", {"limits": True, "daily_quota": QUOTA, "rate_limit": 10**6})

    def listen(request: HttpRequest, answer: HttpResponse) -> HttpResponse:
        nonlocal sent
        sent += f"{MARKETO}/rest" in request.url
        if b'"607"' in answer.body:
            heard.append(request.url)
        return answer

    world.transport.after.append(listen)
    ended, ahead = [], list[str]()
    for number in range(9):  # six of them on the first day
        if number == 6:
            assert sent == SHARE  # not one more, and not one less
            sent = 0
        for _ in range(SHARE // 6):
            assert world.persons_by("email", "nobody@example.com") == []  # the other integration is never refused
        if number < 5:
            for lead in leads:
                world.edit_row("lead", lead, jobtitle=f"job {number}")
        try:
            ended.append(world.run()["outcome"])
        except RetryLater as later:
            ended.append("later" if "our share of its daily quota (66) is used up" in str(later) else str(later))
            ahead += re.findall(r"forecast +marketo .*", said_by_status(world))
        world.movable.advance(EVERY - 60)
    assert set(ended[:6]) == {"done", "later"}
    assert set(ended[6:]) == {"done"}
    assert ahead
    assert all("more than today's quota; done at the earliest 2026-03-04 06:0" in line for line in ahead)
    assert [world.persons_by("microsoftId", lead)[0]["id"] and title(world, lead) for lead in leads] == ["job 4"] * 8
    assert heard == []


EVERYTHING = {
    "marketo": {"service": "marketo", "path": "^/rest/"},
    "dynamics": {"service": "dynamics", "path": "^/api/"},
}
REFUSALS = {
    "606": {**EVERYTHING["marketo"], "effect": {"error": "606"}},
    "607": {**EVERYTHING["marketo"], "effect": {"error": "607"}},
    "615": {**EVERYTHING["marketo"], "effect": {"error": "615"}},
    "429": {**EVERYTHING["dynamics"], "effect": {"error": "0x80072322", "retry_after": 300}},
}


def test_a_day_on_which_every_call_is_too_much_is_one_failure_a_run_and_nothing_is_lost(world: World) -> None:
    person, lead = linked_lead(world)
    for told, rule in REFUSALS.items():
        for value in (f"{told} at {hour}" for hour in (0, 6, 12, 18)):
            world.edit_person(person, title=value)
            world.edit_row("lead", lead, address1_city=value)
            world.transport.log.clear()
            with misbehaving(world, [rule]), pytest.raises(RetryLater):
                world.run()
            assert len(world.transport.log) < 30  # no loop
            world.movable.advance(6 * 3600)
        world.movable.advance(86_400)
        world.settle()
        latest = f"{told} at 18"
        assert (shown(world, person, "city"), column(world, "lead", lead, "jobtitle")) == (latest, latest)


def title(world: World, lead: str) -> object:
    (person,) = world.persons_by("microsoftId", lead)
    return (world.person(person["id"], "title") or {})["title"]
