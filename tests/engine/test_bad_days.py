"""Every answer may be late, wrong, cut off or repeated: a clear error, nothing lost, nothing twice."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from functools import partial
from uuid import uuid4

import pytest
import sqlalchemy as sa

from include.leadsync.clients.transport import HttpRequest, HttpResponse
from include.leadsync.errors import (
    AccessRefused,
    AnswerMalformed,
    ConnectionBroken,
    LeadSyncError,
    RetryLater,
)
from include.leadsync.model import Connection, System
from include.leadsync.state import Leases
from include.leadsync.turn import CYCLE
from tests.engine.lifecycle import Scene
from tests.engine.play import column, linked_lead, linked_leads, shown
from tests.engine.together import Story, linked, together
from tests.world import World
from tests.world_transport import ConnectionDropped


def once(
    world: World, part: str, change: Callable[[HttpResponse], HttpResponse], method: str = "", times: int = 1
) -> list[str]:
    """Change the first `times` answers whose URL contains `part`; the list tells how often that happened."""
    struck: list[str] = []

    def hook(request: HttpRequest, response: HttpResponse) -> HttpResponse:
        if part in request.url and method in request.method and len(struck) < times:
            struck.append(request.url)
            return change(response)
        return response

    world.transport.after.append(hook)
    return struck


def drop(_: HttpResponse) -> HttpResponse:
    raise ConnectionDropped


def test_a_wrong_secret_says_what_to_do_and_never_shows_itself(world: World) -> None:
    wrong = Connection("https://dynamics.test", "sandbox", "hunter2-secret", "sandbox", "https://dynamics.test")
    world.engine.connections = {**world.engine.connections, System.DYNAMICS: wrong}
    with pytest.raises(AccessRefused) as refused:
        world.run()
    assert "7000215" in str(refused.value) or "invalid_client" in str(refused.value)
    assert "hunter2" not in str(refused.value)


def test_an_unreachable_host_is_tried_again_later_and_the_edit_still_crosses(world: World) -> None:
    person, lead = linked_lead(world)
    world.edit_person(person, title="CTO")

    def unreachable(request: HttpRequest) -> HttpResponse | None:
        if "dynamics.test" in request.url:
            raise ConnectionBroken("dynamics.test cannot be reached", maybe_committed=False)
        return None

    world.transport.before.append(unreachable)
    with pytest.raises(RetryLater):
        world.run()
    world.transport.before.clear()
    world.settle()
    assert column(world, "lead", lead, "jobtitle") == "CTO"


def test_an_expired_delta_token_leads_to_a_full_read_and_loses_no_edit_and_no_deletion(world: World) -> None:
    (person, lead), (other_person, other) = linked_leads(world, {}, {"emailaddress1": "other@example.com"})
    world.edit_row("lead", lead, jobtitle="CTO")
    world.delete_row("lead", other)
    world.dynamics.control("age_delta_tokens", {"entity": "lead"})
    world.settle()
    assert shown(world, person, "title") == "CTO"
    assert shown(world, other_person, "microsoftIsDeleted") is True
    assert shown(world, person, "microsoftIsDeleted") is False


def test_a_rejected_paging_token_leads_to_reading_from_a_stored_time(world: World) -> None:
    person, lead = linked_lead(world)
    world.edit_person(person, title="CTO")
    with world.engine.store.begin() as tx:
        tx.execute(sa.text("UPDATE cursor SET token = 'garbage' WHERE stream = 'marketo:changes'"))
    world.settle()
    assert column(world, "lead", lead, "jobtitle") == "CTO"


def test_after_a_pause_of_days_everything_that_happened_meanwhile_crosses(world: World) -> None:
    (person, lead), (_, gone) = linked_leads(world, {}, {"emailaddress1": "gone@example.com"})
    edits = [("title", "CTO"), ("city", "Lund")]
    for name, value in edits:  # the DAG is paused (R26); each edit on another day
        world.edit_person(person, **{name: value})
        world.movable.advance(4 * 86_400)
    world.edit_row("lead", lead, telephone1="1")
    world.delete_row("lead", gone)
    new = world.add_row("lead", subject="s", lastname="New", emailaddress1="new@example.com")
    world.movable.advance(86_400)
    world.settle()
    assert (column(world, "lead", lead, "jobtitle"), column(world, "lead", lead, "address1_city")) == ("CTO", "Lund")
    assert shown(world, person, "phone") == "1"
    assert len(world.persons_by("microsoftId", new)) == 1
    (flagged,) = world.persons_by("email", "gone@example.com")
    assert shown(world, flagged["id"], "microsoftIsDeleted") is True


MALFORMED = {
    # what comes instead of an answer: what a marketer types that day (field, column), and a salesperson
    b"{": (("title", "jobtitle"), ("city", "address1_city")),
    b"<html>oops</html>": (("phone", "telephone1"), ("firstName", "firstname")),
    b"[]": (("fax", "fax"), ("lastName", "lastname")),
    b'{"value": 5, "result": 7}': (("salutation", "salutation"), ("country", "address1_country")),
    b"\xff\xfe": (("middleName", "middlename"), ("postalCode", "address1_postalcode")),
}


@pytest.mark.parametrize("part", ["leadchanges", "deltatoken", "deletedleads", "leads.json"])
def test_a_malformed_answer_stops_the_run_with_nothing_used_and_the_next_run_goes_on(world: World, part: str) -> None:
    person, lead = linked_lead(world)
    for body, (typed, entered) in MALFORMED.items():
        world.edit_person(person, **{typed[0]: "1"})
        world.edit_row("lead", lead, **{entered[1]: "2"})
        struck = once(world, part, partial(replace, status=200, body=body), times=2)  # a spoilt read is asked again
        with pytest.raises((AnswerMalformed, RetryLater)):
            world.run()
        assert struck, body
        world.transport.after.clear()
        world.movable.advance(120)
    world.settle()
    for body, (typed, entered) in MALFORMED.items():  # each edit is the only one of its field: none was passed over
        assert column(world, "lead", lead, typed[1]) == "1", body
        assert shown(world, person, entered[0]) == "2", body


def test_a_truncated_batch_answer_leaves_the_rest_unknown_and_it_is_merged_again(world: World) -> None:
    pairs = linked_leads(world, *({"emailaddress1": f"p{number}@example.com"} for number in range(3)))
    for person, _ in pairs:
        world.edit_person(person, title="CTO")
    struck = once(world, "$batch", lambda response: replace(response, body=response.body[: len(response.body) // 2]))
    world.run()
    assert struck
    world.settle()
    assert {column(world, "lead", lead, "jobtitle") for _, lead in pairs} == {"CTO"}


def test_a_connection_lost_after_a_person_was_created_makes_no_second_person(world: World) -> None:
    lead = world.add_row("lead", subject="s", lastname="Once", emailaddress1="once@example.com")
    struck = once(world, "/rest/v1/leads.json", drop, "POST")
    with contextlib.suppress(RetryLater):
        world.run()
    assert struck
    world.movable.advance(120)
    world.settle()
    assert len(world.persons_by("email", "once@example.com")) == 1
    assert len(world.persons_by("microsoftId", lead)) == 1


def test_throttling_by_dynamics_delays_the_write_and_loses_nothing(world: World) -> None:
    person, lead = linked_lead(world)
    world.edit_person(person, title="CTO")
    refusal = json.dumps({"error": {"code": "0x80072322", "message": "Number of requests exceeded the limit"}}).encode()

    def throttle(request: HttpRequest) -> HttpResponse | None:
        if "$batch" in request.url and world.transport.before:
            world.transport.before.clear()
            return HttpResponse(429, type(HttpResponse(200).headers)({"Retry-After": "7"}), refusal)
        return None

    world.transport.before.append(throttle)
    world.run()
    world.settle()
    assert column(world, "lead", lead, "jobtitle") == "CTO"


def test_lost_read_rights_flag_nobody_as_deleted(world: World) -> None:
    person, lead = linked_lead(world)
    world.dynamics.control("set_privileges", {"user": "sandbox", "table": "lead", "privileges": []})
    with pytest.raises(LeadSyncError):
        world.run()
    assert shown(world, person, "microsoftIsDeleted") is False
    assert world.row("lead", lead) is not None


@together(pairs=False)
def test_a_person_that_carries_the_id_in_upper_case_is_found(scene: Scene) -> Story:
    world, guid = scene.world, str(uuid4())
    up, down = scene.address("up"), scene.address("down")
    person = scene.add_person(email=up, lastName="Case", microsoftId=guid.upper())
    scene.add_row("lead", leadid=guid, lastname="Case", emailaddress1=down)
    yield
    assert world.persons_by("email", up) == [] or shown(world, person, "email") is not None
    assert len(world.rows("lead", f"emailaddress1 eq '{up}' or emailaddress1 eq '{down}'")) == 1
    assert [p["id"] for p in world.persons_by("microsoftId", guid)] == [person]


def test_a_repeated_feed_row_and_a_repeated_crm_row_change_nothing(world: World) -> None:
    person, lead = linked_lead(world)
    world.edit_person(person, title="CTO")
    world.edit_row("lead", lead, address1_city="Lund")

    def doubled(name: str) -> Callable[[HttpResponse], HttpResponse]:
        def change(response: HttpResponse) -> HttpResponse:
            body = json.loads(response.body)
            body[name] = body[name] * 2
            return replace(response, body=json.dumps(body).encode())

        return change

    struck = [once(world, "leadchanges", doubled("result")), once(world, "leads?", doubled("value"))]
    world.run()
    world.settle()
    assert all(struck)
    assert (column(world, "lead", lead, "jobtitle"), shown(world, person, "city")) == ("CTO", "Lund")


@pytest.mark.parametrize("hours", [-1, 5])
def test_a_clock_of_ours_that_jumps_loses_nothing(world: World, hours: int) -> None:
    person, lead = linked_lead(world)
    world.clock.skew = timedelta(hours=hours)
    world.edit_person(person, title="CTO")
    world.edit_row("lead", lead, address1_city="Lund")
    world.settle()
    assert (column(world, "lead", lead, "jobtitle"), shown(world, person, "city")) == ("CTO", "Lund")


def test_a_second_cycle_leaves_at_once_and_a_dead_holder_is_replaced_within_a_minute(world: World) -> None:
    assert Leases(world.engine.store).acquire(CYCLE, "somebody else", 60) is not None
    world.movable.advance(-60)  # `run` lets a minute pass first
    assert world.run()["outcome"] == "skipped"
    assert world.run()["outcome"] == "done"


@pytest.mark.parametrize(
    ("name", "value", "code"),
    [
        ("mktoPersonNotes", "x" * 25_000, "0x80044331"),
        ("rating", "Boiling", "0x8004431A"),
        ("lastName", None, "required"),
        ("firstName", "tab\x01", "0x80040278"),
    ],
)
@together(pairs=False)
def test_a_value_that_dynamics_would_refuse_is_kept_out_with_its_reason(
    scene: Scene, name: str, value: str | None, code: str
) -> Story:
    world = scene.world
    person, lead = yield from linked(scene)
    before = world.row("lead", lead)
    world.edit_person(person, **{name: value})
    yield
    after = world.row("lead", lead)
    assert before is not None
    assert after is not None
    assert {k: v for k, v in before.items() if k[0] != "@"} == {k: v for k, v in after.items() if k[0] != "@"}
    (entry,) = scene.activities(open_only=True)
    assert (entry["field"], entry["code"].lower(), entry["person_id"]) == (name, code.lower(), person)
    assert [row["primaryAttributeValue"] for row in world.outcome_activities(person)] == [f"failed: {name}"]


@together(pairs=False)
def test_an_email_with_a_newline_from_dynamics_is_kept_out_and_the_person_keeps_its_own(scene: Scene) -> Story:
    person, contact = yield from linked(scene, "contact", "bo")
    scene.world.edit_row("contact", contact, emailaddress1="bo@\nexample.com")
    yield
    assert shown(scene.world, person, "email") == scene.address("bo")
    (entry,) = scene.activities(open_only=True)
    assert (entry["field"], entry["direction"]) == ("email", "inbound")


def test_many_deletions_wait_for_approval_of_that_very_plan(world: World) -> None:
    *pairs, (kept_person, kept) = linked_leads(
        world, *({"emailaddress1": f"{name}@example.com"} for name in ("p0", "p1", "p2", "p3", "kept"))
    )
    world.configure({"policies": {"brake": {"deletes": {"count": 2, "share": 0.1}}}})
    world.reopen()
    for _, lead in pairs:
        world.delete_row("lead", lead)
    world.edit_row("lead", kept, jobtitle="goes on")
    report = world.run()["steps"]["plan"]
    assert (report["held"], bool(report["plan_hash"])) == (4, True)
    world.run()
    assert not any(shown(world, person, "microsoftIsDeleted") for person, _ in pairs)
    assert shown(world, kept_person, "title") == "goes on"
    with pytest.raises(LeadSyncError):
        world.run(approve="0123456789abcdef")
    world.movable.advance(60)
    world.run(approve=report["plan_hash"])
    world.settle()
    assert all(shown(world, person, "microsoftIsDeleted") for person, _ in pairs)
