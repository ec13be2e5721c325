"""The full compare finds what no feed told, repairs it by the usual rules, and finds nothing a second time (P1)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pytest

from include.leadsync import reconcile
from include.leadsync.clock import iso
from include.leadsync.context import Json, RunRequest
from include.leadsync.extract.identity import record_columns
from include.leadsync.model import Entity, Lane
from include.leadsync.schema import current_schema
from include.leadsync.state import Cursors, Links, Outbox
from tests.engine.lifecycle import PEOPLE, Scene, copy_of
from tests.engine.play import column, shown
from tests.world import World

STREAMS = ("marketo:changes", "marketo:deletes", "marketo:merges", "dynamics:lead", "dynamics:contact")


@pytest.fixture(scope="module")
def compared(prepared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The pairs of `lifecycle.PEOPLE` after a first full compare, which looks at all of them closely."""
    folder = tmp_path_factory.mktemp("compared") / "scene"
    with copy_of(prepared, folder) as made:
        assert full(made.world)["steps"]["compare"]["closely"] == len(PEOPLE)
    return folder


@pytest.fixture
def scene(compared: Path, tmp_path: Path) -> Iterator[Scene]:
    """A copy of them."""
    with copy_of(compared, tmp_path / "scene") as made:
        yield made


@pytest.fixture
def world(scene: Scene) -> World:
    """Where they live."""
    return scene.world


def unheard(world: World) -> None:
    """Whatever happened until now, no feed will tell of it any more: every cursor stands behind it."""
    world.movable.advance(26 * 3600)
    token = world.engine.marketo.paging_token(world.clock.now())
    tokens = dict.fromkeys(STREAMS, token)
    schema, reference = current_schema(world.engine), world.engine.settings.lifecycle.conversion_reference
    for entity in Entity:
        *_, last = world.engine.dynamics.track(entity, record_columns(schema, entity, reference), None)
        tokens[f"dynamics:{entity.value}"] = str(last.delta_link)
    cursors = Cursors(world.engine.store)
    for stream, behind in tokens.items():
        now = cursors.get(stream)
        assert now
        cursors.advance(stream, behind, iso(world.clock.now()), now.version)


def found(report: dict[str, Json]) -> dict[str, int]:
    counts: dict[str, int] = report["steps"]["validate"]["found"]
    return counts


def full(world: World, **more: Json) -> dict[str, Json]:
    return world.run(kind="reconcile", **more)


def assert_nothing_more(world: World) -> None:
    """A second compare reads everything, looks at nothing closely, and writes nothing."""
    report = full(world)
    assert report["steps"]["compare"]["links"] > 0
    assert (report["steps"]["compare"]["closely"], report["steps"]["plan"]["operations"]) == (0, 0)


def test_edits_that_no_feed_told_cross_by_the_usual_rules(scene: Scene, world: World) -> None:
    ann, cy, di = (scene.person(name) for name in ("ann", "cy", "di"))
    world.edit_person(ann, title="of the marketer")
    world.edit_row("lead", scene.record("ann"), jobtitle="of the salesperson")  # a collision: Marketo wins on a lead
    world.edit_row("contact", scene.record("cy"), jobtitle="of the salesperson")
    world.edit_person(di, city="Lund")
    unheard(world)
    assert world.settle() == 1  # no cycle would ever notice
    report = full(world)
    assert found(report) == {"differs": 3}
    assert column(world, "lead", scene.record("ann"), "jobtitle") == "of the marketer"
    assert shown(world, cy, "title") == "of the salesperson"
    assert column(world, "contact", scene.record("di"), "address1_city") == "Lund"
    planned = world.engine.staging(RunRequest(report["run_id"])).read("plan")
    assert planned["lane"].unique().to_list() == [int(Lane.BACKFILL)]
    assert_nothing_more(world)
    assert world.settle() == 1


def test_a_dry_run_finds_and_writes_nothing(scene: Scene, world: World) -> None:
    world.edit_person(scene.person("ann"), title="new")
    unheard(world)
    report = full(world, dry_run=True)
    assert (report["outcome"], found(report)) == ("planned", {"differs": 1})
    csv = (world.folder / "staging" / report["run_id"] / "findings.csv").read_text().splitlines()
    assert csv[1].split(",")[0::8] == ["differs", "planned"]
    assert not any("new" in line for line in csv)  # ids and names, no values
    assert column(world, "lead", scene.record("ann"), "jobtitle") is None


def test_a_record_and_a_person_that_are_gone_are_told(scene: Scene, world: World) -> None:
    world.delete_row("lead", scene.record("ann"))
    world.delete_person(scene.person("cy"))
    unheard(world)
    assert found(full(world)) == {"crm_deleted": 1, "person_missing": 1}
    assert shown(world, scene.person("ann"), "microsoftIsDeleted") is True
    assert world.row("contact", scene.record("cy")) is not None  # deletes nothing by itself
    assert [row["code"] for row in world.activities(open_only=True)] == ["person_missing"]


def test_too_many_deletions_wait_for_approval(scene: Scene, world: World) -> None:
    world.configure({"policies": {"brake": {"deletes": {"count": 1, "share": 0.0}}}})
    world.reopen()
    for name in ("ann", "bo"):
        world.delete_row("lead", scene.record(name))
    unheard(world)
    assert full(world)["steps"]["plan"]["held"] == 2
    assert [shown(world, scene.person(name), "microsoftIsDeleted") for name in ("ann", "bo")] == [False] * 2
    (plan,) = Outbox(world.engine.store).held().to_pylist()
    world.run(approve=plan["plan_hash"])
    assert [shown(world, scene.person(name), "microsoftIsDeleted") for name in ("ann", "bo")] == [True] * 2


def test_records_that_no_cycle_met_are_linked_to_their_person_or_get_one(scene: Scene, world: World) -> None:
    twin = world.add_person(email="twin@example.com", lastName="Twin")
    new = [world.add_row("lead", subject="s", lastname=n, emailaddress1=f"{n}@example.com") for n in ("twin", "new")]
    copy = world.add_person(email="copy@example.com", lastName="Copy", microsoftId=scene.record("bo"))
    unheard(world)
    report = full(world)
    assert found(report) == {"missed": 1, "twin": 1, "unlinked": 1}
    assert shown(world, twin, "microsoftId") == new[0]
    assert len(world.persons_by("microsoftId", new[1])) == 1
    csv = (world.folder / "staging" / report["run_id"] / "findings.csv").read_text()
    assert f"{copy},{scene.record('bo')}" in csv
    assert found(full(world)) == {"twin": 1}


def test_a_record_that_a_cycle_is_about_to_meet_is_left_to_it(scene: Scene, world: World) -> None:
    unheard(world)
    world.add_row("lead", subject="s", lastname="New", emailaddress1="new@example.com")
    assert found(full(world)) == {}
    assert world.persons_by("email", "new@example.com") == []
    world.settle()
    assert len(world.persons_by("email", "new@example.com")) == 1


def test_a_damaged_baseline_is_mended_without_a_write(scene: Scene, world: World) -> None:
    links = Links(world.engine.store)
    names = {"ann": "base", "bo": "person_hash", "cy": "crm_hash"}

    def stored() -> dict[str, dict[str, Json]]:
        rows = {row["person_id"]: row for row in links.by_person([scene.person(n) for n in names]).to_pylist()}
        return {name: rows[scene.person(name)] for name in names}

    before = stored()
    for name, damaged in names.items():
        value = str(before[name]["base"]).replace("ann@", "nobody@") if damaged == "base" else 1
        links.update(pa.Table.from_pylist([{"link_id": before[name]["link_id"], damaged: value}]))
    report = full(world)
    assert report["steps"]["compare"]["closely"] == len(names)
    assert (found(report), report["steps"]["plan"]["operations"]) == ({"baseline": 1}, 0)
    assert {n: row[names[n]] for n, row in stored().items()} == {n: row[names[n]] for n, row in before.items()}
    assert_nothing_more(world)


def test_the_fields_that_the_sync_keeps_are_put_right(scene: Scene, world: World) -> None:
    world.edit_person(scene.person("ann"), microsoftType="Contact")
    unheard(world)
    assert found(full(world)) == {"system_field": 1}
    assert shown(world, scene.person("ann"), "microsoftType") == "Lead"
    assert_nothing_more(world)


def test_what_an_undo_left_different_is_not_found(scene: Scene, world: World) -> None:
    world.edit_person(scene.person("ann"), title="new")
    world.run(kind="undo", undoes=world.run()["run_id"])
    unheard(world)
    assert found(full(world)) == {}
    assert (shown(world, scene.person("ann"), "title"), column(world, "lead", scene.record("ann"), "jobtitle")) == (
        "new",
        None,
    )


def test_a_lift_waits_for_a_cycle_because_only_that_reads_the_feed(scene: Scene, world: World) -> None:
    world.edit_row("lead", scene.record("ann"), donotbulkemail=True)
    world.settle()
    world.edit_row("lead", scene.record("ann"), donotbulkemail=False)
    unheard(world)
    full(world)
    assert shown(world, scene.person("ann"), "unsubscribed") is True
    world.run()
    assert shown(world, scene.person("ann"), "unsubscribed") is False


def test_a_link_that_a_cycle_changes_meanwhile_is_left_to_it(scene: Scene, world: World) -> None:
    world.edit_person(scene.person("ann"), title="old news")
    unheard(world)
    links = Links(world.engine.store)
    reads = []

    def change(request: object) -> None:
        if "filterType=id" in str(getattr(request, "body", "")) or "filterType=id" in str(getattr(request, "url", "")):
            reads.append(request)
            (link,) = links.by_person([scene.person("ann")]).to_pylist()
            row = {"link_id": link["link_id"], "expected_version": link["version"]}
            links.update(pa.Table.from_pylist([row]))

    world.transport.before.append(change)
    report = full(world)
    assert reads
    assert (report["steps"]["compare"]["closely"], report["steps"]["plan"]["operations"]) == (1, 0)


def test_more_than_one_run_may_look_at_is_left_to_the_cycles(
    scene: Scene, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reconcile, "AT_ONCE", 1)
    for name in ("ann", "bo"):
        world.edit_person(scene.person(name), title="new")
    unheard(world)
    report = full(world)
    assert (report["steps"]["compare"]["closely"], report["steps"]["compare"]["left_to_cycles"]) == (1, 1)
    world.settle()
    assert [column(world, "lead", scene.record(name), "jobtitle") for name in ("ann", "bo")] == ["new"] * 2


def test_pairs_that_a_filter_keeps_out_rest_until_they_are_let_in_or_gone(scene: Scene, world: World) -> None:
    world.dynamics.control(
        "add_attribute", {"entity": "lead", "attribute": "new_synctomkto", "type": "Boolean", "default": "true"}
    )
    for name in ("ann", "bo"):
        world.edit_row("lead", scene.record(name), new_synctomkto=False)
    world.movable.advance(3_700)  # the metadata are read again
    world.settle()
    full(world)
    assert full(world)["steps"]["compare"]["closely"] == 0
    world.edit_row("lead", scene.record("ann"), new_synctomkto=True, jobtitle="CTO")
    world.delete_row("lead", scene.record("bo"))
    unheard(world)
    assert found(full(world)) == {"crm_deleted_kept_out": 1, "differs": 1}
    assert shown(world, scene.person("ann"), "title") == "CTO"
    assert_nothing_more(world)
