"""When and how a backlog of persons is read by bulk extract, and what happens when that fails."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from include.leadsync.clients.transport import Headers, HttpRequest, HttpResponse
from include.leadsync.extract import backlog
from include.leadsync.extract.backlog import extract_window
from include.leadsync.model import Window
from tests.engine.play import linked_lead
from tests.world import World

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


@pytest.mark.parametrize(
    ("persons", "columns", "since", "extracts"),
    [
        (1, 40, NOW - HOUR, False),
        (100_000, 40, NOW - HOUR, False),
        (200_000, 40, NOW - HOUR, True),
        (200_000, 40, NOW - timedelta(days=365), False),  # twelve spans cost what they save
        (200_000, 200, NOW - HOUR, False),  # more than half of the day's 500 MB
        (200_000, 40, None, False),
    ],
)
def test_a_backlog_is_extracted_when_that_saves_a_hundredth_of_the_quota_and_fits_its_bytes(
    persons: int, columns: int, since: datetime | None, extracts: bool
) -> None:
    assert (extract_window(persons, columns, since, NOW) is not None) is extracts


def test_the_window_begins_a_little_earlier_than_the_changes() -> None:
    assert extract_window(200_000, 40, NOW - HOUR, NOW) == Window(NOW - HOUR - timedelta(minutes=5), NOW)


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    monkeypatch.setattr(backlog, "WORTH", -1000)
    with World(tmp_path) as made:
        yield made


def calls(world: World) -> list[str]:
    """The paths that runs of the engine ask for, from here on."""
    paths: list[str] = []

    def hook(request: HttpRequest, response: HttpResponse) -> HttpResponse:
        paths.append(request.path)
        return response

    world.transport.after.append(hook)
    return paths


def test_a_change_read_by_bulk_extract_crosses_like_any_other(world: World) -> None:
    person, lead = linked_lead(world)
    world.edit_person(person, title="CTO")
    world.clock.sleep(60)
    paths = calls(world)
    world.run()
    assert any(path.startswith("/bulk/v1/leads/export") for path in paths)
    assert not any(path == "/rest/v1/leads.json" for path in paths)
    row = world.row("lead", lead)
    assert row is not None
    assert row["jobtitle"] == "CTO"
    world.settle()


def _failed(response: HttpResponse) -> HttpResponse:
    return HttpResponse(200, Headers({"content-type": "application/json"}), response.body.replace(b"Queued", b"Failed"))


def _no_filter(_: HttpResponse) -> HttpResponse:
    body = b'{"requestId":"1#2","success":false,"errors":[{"code":"1035","message":"Unsupported filter type"}]}'
    return HttpResponse(200, Headers({"content-type": "application/json"}), body)


def _garbled(response: HttpResponse) -> HttpResponse:
    return HttpResponse(response.status, response.headers, b"x" * len(response.body))


@pytest.mark.parametrize(
    ("part", "change"),
    [("enqueue.json", _failed), ("create.json", _no_filter), ("file.json", _garbled)],
    ids=["failed", "unsupported", "garbled"],
)
def test_when_the_extract_fails_everybody_is_read_by_id(
    world: World, part: str, change: Callable[[HttpResponse], HttpResponse]
) -> None:
    person, lead = linked_lead(world)
    world.edit_person(person, title="CTO")
    world.clock.sleep(60)
    world.transport.after.append(
        lambda request, response: change(response) if request.path.endswith(part) else response
    )
    paths = calls(world)
    world.run()
    assert "/rest/v1/leads.json" in paths
    row = world.row("lead", lead)
    assert row is not None
    assert row["jobtitle"] == "CTO"
