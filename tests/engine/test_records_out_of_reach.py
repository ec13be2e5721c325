"""Records that vanish without a word or before their partner exists: reported once, not written to in every cycle."""

from __future__ import annotations

import json

import pytest

from include.leadsync.clients.transport import HttpRequest, HttpResponse
from include.leadsync.errors import ConnectionBroken, RetryLater
from tests.engine.play import linked_lead, shown
from tests.world import World


def test_a_person_that_cannot_be_found_is_reported_once_and_not_written_to_in_every_cycle(world: World) -> None:
    person, lead = linked_lead(world)
    other = world.add_person(email="other@example.com", lastName="Other")
    world.settle()
    world._marketo("POST", f"/rest/v1/leads/{other}/merge.json", f"leadId={person}")

    def no_merges(request: HttpRequest, response: HttpResponse) -> HttpResponse:
        if "activityTypeIds=32" not in request.url:
            return response
        token = json.loads(response.body)["nextPageToken"]
        body = {"requestId": "1#1", "success": True, "nextPageToken": token, "moreResult": False}
        return HttpResponse(200, response.headers, json.dumps(body).encode())

    world.transport.after.append(no_merges)
    for title in ("CTO", "CEO"):
        world.edit_row("lead", lead, jobtitle=title)
        world.settle()
    assert [row["code"] for row in world.activities()] == ["person_missing"]


def test_a_lead_deleted_before_its_person_could_be_made_leaves_no_person_behind(world: World) -> None:
    lead = world.add_row("lead", subject="s", lastname="L", emailaddress1="short@example.com")

    def unreachable(request: HttpRequest) -> HttpResponse | None:
        if "leads.json" in request.url and request.method == "POST":
            raise ConnectionBroken("cannot be reached", maybe_committed=False)
        return None

    world.transport.before.append(unreachable)
    with pytest.raises(RetryLater):
        world.run()
    world.transport.before.clear()
    linked_lead(world)  # a row that lives
    world.delete_row("lead", lead)
    world.settle()
    found = world.persons_by("email", "short@example.com")
    assert not found or shown(world, found[0]["id"], "microsoftIsDeleted") is True


def test_a_record_held_for_two_candidates_is_reported_as_recovered_once_it_is_linked(world: World) -> None:
    first, second = (world.add_person(email="same@example.com", lastName=name) for name in ("A", "B"))
    lead = world.add_row("lead", subject="s", lastname="L", emailaddress1="same@example.com")
    world.settle()
    assert [row["code"] for row in world.activities(open_only=True)] == ["several_candidates"]
    world.delete_person(second)
    world.edit_row("lead", lead, jobtitle="CTO")
    world.settle()
    assert shown(world, first, "microsoftId") == lead
    assert world.activities(open_only=True) == []
    assert [row["outcome"] for row in world.activities()] == ["recovered", "held"]
