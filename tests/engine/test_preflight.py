"""`check` finds what would hinder a run, says what to do, and writes nothing (R17, R21, R23, R163, D21, D68)."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import pytest

from include.leadsync.check import Point, check
from include.leadsync.clients.transport import Headers, HttpRequest, HttpResponse
from include.leadsync.context import RunRequest
from include.leadsync.errors import FixConfiguration
from include.leadsync.preflight.native import require_no_native_sync
from tests.world import World

USER = "5a9db0c5-0000-4000-8000-000000000012"


def points(world: World) -> dict[str, Point]:
    return {point.name: point for point in check(world.engine)}


def native(world: World, *, on: bool) -> None:
    world.marketo.control("native_sync", {"on": on})


def test_all_is_well_on_a_new_instance_and_nothing_is_written(world: World) -> None:
    found = points(world)  # R23
    assert {name: point.detail for name, point in found.items() if not point.passed} == {}
    assert {"native sync", "Dynamics user", "rights on lead", "rights on contact", "columns of lead"} <= set(found)
    assert found["native sync"].detail == "off"
    assert "application user" in found["Dynamics user"].detail
    assert world.rows("lead") == world.rows("contact") == []
    assert world.marketo.control("people_count", {})["people"] == 0


def test_the_account_of_a_person_is_noticed_and_fails_nothing(world: World) -> None:
    with world.dynamics.storage.write() as transaction:  # R17: nobody can change this column over the API
        path = f'$."{world.dynamics.schema.table("systemuser").code("applicationid")}"'
        transaction.connection.execute("UPDATE r_systemuser SET doc = json_remove(doc, ?) WHERE id = ?", (path, USER))
    point = points(world)["Dynamics user"]
    assert point.passed
    assert "a person's account" in point.detail


def test_the_native_sync_fails_the_check_and_the_next_check_sees_it_gone(world: World) -> None:
    native(world, on=True)  # R163, D21
    point = points(world)["native sync"]
    assert not point.passed
    assert "Switch it off" in point.detail
    native(world, on=False)
    assert points(world)["native sync"].passed


def test_no_cycle_starts_beside_the_native_sync_and_one_does_when_it_is_off(world: World) -> None:
    world.add_row("lead", lastname="Berg", subject="Fair", emailaddress1="a@example.com")  # D21
    native(world, on=True)
    for dry in (False, True):
        with pytest.raises(FixConfiguration, match="own CRM sync is on"):
            world.run(dry_run=dry)
    assert world.persons_by("email", "a@example.com") == []
    native(world, on=False)
    world.run()
    assert len(world.persons_by("email", "a@example.com")) == 1


def test_dry_runs_may_look_on_where_that_is_configured(tmp_path: Path) -> None:
    with World(tmp_path, {"policies": {"beside_native_sync": "dry_run"}}) as world:  # D21
        world.add_row("lead", lastname="Berg", subject="Fair", emailaddress1="a@example.com")
        native(world, on=True)
        assert world.run(dry_run=True)["steps"]["plan"]["operations"] == 1
        with pytest.raises(FixConfiguration):
            world.run()


def test_who_may_not_write_companies_cannot_tell_and_is_not_stopped(world: World) -> None:
    world.marketo.control("revoke", {"user": "sandbox", "permissions": ["Read-Write Company"]})
    assert "could not be looked at" in points(world)["native sync"].detail
    require_no_native_sync(world.engine, RunRequest("a-run"))


def test_the_native_sync_is_asked_about_once_an_hour(world: World) -> None:
    def asked() -> int:
        return sum("/companies.json" in url for _, url in world.transport.log)

    require_no_native_sync(world.engine, RunRequest("a-run"))
    once = asked()
    require_no_native_sync(world.engine, RunRequest("another"))
    assert asked() == once == 1
    world.movable.advance(3601)
    require_no_native_sync(world.engine, RunRequest("a third"))
    assert asked() == 2


Spoil = Callable[[World], Any]


def revoke_read(world: World) -> None:
    world.dynamics.control("set_privileges", {"user": USER, "table": "contact", "privileges": ["create", "write"]})


def revoke_write(world: World) -> None:
    rights = {"read": "user", "create": "organization"}
    world.dynamics.control("set_privileges", {"user": USER, "table": "lead", "privileges": rights})


def revoke_account(world: World) -> None:
    world.dynamics.control("set_privileges", {"user": USER, "table": "account", "privileges": ["read"]})


def revoke_persons(world: World) -> None:
    world.marketo.control("revoke", {"user": "sandbox", "permissions": ["Read-Write Lead"]})


def revoke_activities(world: World) -> None:
    world.marketo.control("revoke", {"user": "sandbox", "permissions": ["Read-Write Activity"]})


def hide_filter(world: World) -> None:
    world.dynamics.control("add_attribute", {"entity": "lead", "attribute": "new_synctomkto", "type": "Boolean"})
    world.read_metadata()
    world.run()
    world.dynamics.control("remove_attribute", {"entity": "lead", "attribute": "new_synctomkto"})


def use_up_calls(world: World) -> None:
    world.engine.marketo.describe()
    world.engine.settings.limits.marketo.__dict__["daily"] = 1


def untrack(world: World) -> None:
    world.dynamics.control("set_metadata", {"entity": "lead", "changes": {"tracking": False}})


@pytest.mark.parametrize(
    ("spoil", "name", "remedy"),
    [
        (revoke_read, "rights on contact", "security role"),
        (revoke_write, "rights on lead", "not at organisation level: Read on lead"),
        (revoke_account, "rights on tables pointed to", "AppendTo on account"),
        (revoke_persons, "Marketo rights", "Read-Write Lead; add it to its role"),
        (revoke_activities, "Marketo rights", "Read-Write Activity; add it to its role"),
        (hide_filter, "filter of lead", "Restore the column"),
        (use_up_calls, "marketo quota", "midnight"),
        (untrack, "change tracking of lead", "switch it on"),
    ],
)
def test_what_hinders_is_named_with_what_to_do(world: World, spoil: Spoil, name: str, remedy: str) -> None:
    spoil(world)
    point = points(world)[name]
    assert not point.passed
    assert remedy in point.detail


@pytest.mark.parametrize("system", ["marketo", "dynamics"])
def test_what_cannot_be_seen_without_a_connection_is_not_called_well(world: World, system: str) -> None:
    points(world)  # what the systems show is remembered now, and must not be taken for today's

    def refused(request: HttpRequest) -> HttpResponse | None:
        return HttpResponse(401, Headers({}), b"{}") if f"//{system}" in request.url else None

    world.reopen()
    world.transport.before.append(refused)
    found = points(world)
    connection = {"marketo": "Marketo connection", "dynamics": "Dynamics connection"}[system]
    assert not found[connection].passed
    unseen = {name for name, point in found.items() if point.detail.startswith("not looked at: first ")}
    assert {"field map against both systems", "columns of lead", "filter of contact", "Marketo set-up"} <= unseen
    assert {"marketo": "native sync", "dynamics": "rights on lead"}[system] in unseen
    assert found["state store"].passed
    assert found[{"marketo": "Dynamics connection", "dynamics": "Marketo connection"}[system]].passed


def test_a_required_column_that_nothing_fills_is_named(world: World) -> None:
    column = {"entity": "lead", "attribute": "new_region", "type": "String", "required": "ApplicationRequired"}
    world.dynamics.control("add_attribute", column)  # D31
    point = points(world)["required columns of lead"]
    assert point.passed  # updates and what comes in need it not
    assert "new_region (ApplicationRequired)" in point.detail
    assert "lastname" not in point.detail


@pytest.mark.parametrize(("off", "passes"), [(0, True), (30, True), (-90, False), (400, False)])
@pytest.mark.parametrize("system", ["marketo", "dynamics"])
def test_a_clock_that_is_off_is_noticed(world: World, system: str, off: int, *, passes: bool) -> None:
    def dated(request: HttpRequest, response: HttpResponse) -> HttpResponse:
        theirs = format_datetime(world.clock.now() - timedelta(seconds=off), usegmt=False)
        return HttpResponse(response.status, Headers({"date": theirs}), response.body)

    from include.leadsync.model import System
    from include.leadsync.preflight import surroundings

    world.transport.after.append(dated)
    if passes:
        assert surroundings.clock(world.engine, System(system)).endswith(" s")
    else:
        with pytest.raises(Exception, match="NTP"):
            surroundings.clock(world.engine, System(system))


def test_an_unknown_partition_is_named(tmp_path: Path) -> None:
    with World(tmp_path, {"creation": {"default_partition": "Nowhere"}}) as world:  # D20
        point = points(world)["partitions"]
        assert (point.passed, "Nowhere" in point.detail) == (False, True)
