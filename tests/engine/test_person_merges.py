"""Persons merged in Marketo: told by the merge activity alone; the survivor keeps or takes a link (R73, R173, D44)."""

from __future__ import annotations

import contextlib
from pathlib import Path

import pytest

from include.leadsync.clients.transport import HttpRequest, HttpResponse
from include.leadsync.errors import ConnectionBroken, LeadSyncError, RetryLater
from include.leadsync.requests import request_persons
from include.leadsync.state import Requests
from tests.engine.lifecycle import PEOPLE, Scene, copy_of
from tests.engine.play import column, shown
from tests.engine.together import Story, together
from tests.world_transport import ConnectionDropped


def kept(scene: Scene, name: str) -> dict[str, object]:
    """What a person in step with the record of this name shows."""
    kind = PEOPLE[name].capitalize()
    return {"Id": scene.record(name), "Type": kind, "IsDeleted": False, "MergedInto": None}


def stranger(scene: Scene, name: str = "Stray") -> int:
    """A person without a CRM record."""
    return scene.add_person(email=scene.address(name.lower()), lastName=name)


@pytest.mark.parametrize(
    ("loser", "winner", "survives"),
    [
        ("ann", "bo", "bo"),  # lead into lead: the survivor keeps its own
        ("ann", "cy", "cy"),
        ("cy", "ann", "ann"),  # contact into lead: no type is better than what the marketer chose
        ("cy", "di", "di"),
        ("ann", None, "ann"),  # the link goes to the survivor
        ("cy", None, "cy"),
        (None, "ann", "ann"),
        (None, None, None),
    ],
)
@together()
def test_the_merge_matrix(scene: Scene, loser: str | None, winner: str | None, survives: str | None) -> Story:
    lost = scene.person(loser) if loser else stranger(scene)
    survivor = scene.person(winner) if winner else stranger(scene, "Free")
    rows = {name: scene.world.row(PEOPLE[name], scene.record(name)) for name in PEOPLE}
    people = scene.count()
    scene.merge_persons(survivor, lost)
    yield
    if survives:
        assert scene.shown(survivor) == kept(scene, survives)
        assert (PEOPLE[survives], survivor, scene.record(survives)) in scene.live()
    assert lost not in {link[1] for link in scene.live()}
    both = bool(loser and winner)
    assert scene.said(open_only=True) == ([("crm_duplicates", "D44")] if both else [])
    if both:
        assert loser
        assert (PEOPLE[loser], lost, scene.record(loser), "person_merged") in scene.links()
        assert scene.world.row(PEOPLE[loser], scene.record(loser)) == rows[loser]  # not touched
        scene.world.edit_row(PEOPLE[loser], scene.record(loser), jobtitle="ignored")
        yield
        assert shown(scene.world, survivor, "title") is None
        assert scene.count() == people - 1
    elif survives:
        scene.world.edit_row(PEOPLE[survives], scene.record(survives), jobtitle="crosses")
        scene.world.edit_person(survivor, city="crosses")
        yield
        assert shown(scene.world, survivor, "title") == "crosses"
        assert column(scene.world, PEOPLE[survives], scene.record(survives), "address1_city") == "crosses"


@together()
def test_the_marketers_choice_of_values_reaches_the_record_and_an_opt_out_stands(scene: Scene) -> Story:
    ann, lead = scene.person("ann"), scene.record("ann")
    scene.world.edit_person(ann, title="Engineer", unsubscribed=True)
    yield
    free = scene.add_person(email=scene.address("free"), lastName="Free", title="CTO")
    scene.merge_persons(free, ann)
    yield
    assert column(scene.world, "lead", lead, "jobtitle") == "CTO"
    assert column(scene.world, "lead", lead, "donotbulkemail") is True
    assert shown(scene.world, free, "unsubscribed") is True
    assert [row["rule"] for row in scene.world.ledger(ann) if row["kind"] == "person_merged"] == ["D44"]


@together()
def test_of_several_losers_one_link_goes_on_contacts_first(scene: Scene) -> Story:
    free, ann, cy, di = stranger(scene), scene.person("ann"), scene.person("cy"), scene.person("di")
    scene.merge_persons(free, ann, di, cy)
    yield
    (link,) = (link for link in scene.live() if link[1] == free)
    assert link in {("contact", free, scene.record("cy")), ("contact", free, scene.record("di"))}
    assert sorted(code for code, _ in scene.said(open_only=True)) == ["crm_duplicates"] * 2


@pytest.mark.parametrize("cycles_between", [False, True], ids=["in one cycle", "one after another"])
@together()
def test_a_winner_that_is_merged_away_later_hands_the_link_on(scene: Scene, cycles_between: bool) -> Story:
    first, last = stranger(scene), stranger(scene, "Last")
    scene.merge_persons(first, scene.person("ann"))
    if cycles_between:
        yield
    scene.merge_persons(last, first)
    yield
    assert scene.shown(last) == kept(scene, "ann")
    assert [link for link in scene.live() if link[2] == scene.record("ann")] == [("lead", last, scene.record("ann"))]


def test_persons_merged_while_we_write_to_one_of_them_lose_nothing(scene: Scene) -> None:
    ann, free = scene.person("ann"), stranger(scene)
    scene.world.edit_row("lead", scene.record("ann"), jobtitle="on its way")

    def merge_first(request: HttpRequest) -> None:
        if request.method == "POST" and request.url.endswith("/rest/v1/leads.json"):
            scene.world.transport.before.clear()
            scene.merge_persons(free, ann)

    scene.world.transport.before.append(merge_first)
    scene.world.run()
    scene.settled()
    assert scene.shown(free) == kept(scene, "ann")
    assert shown(scene.world, free, "title") == "on its way"
    assert scene.said(open_only=True) == []


@pytest.mark.parametrize("linked", [False, True], ids=["survivor unlinked", "survivor linked"])
@together()
def test_what_was_asked_for_a_loser_is_asked_for_its_survivor(scene: Scene, linked: bool) -> Story:
    loser = stranger(scene)
    survivor = scene.person("ann") if linked else stranger(scene, "Free")
    (request_id,) = request_persons(scene.world.engine, [loser], "lead", source="test", token="1")
    scene.merge_persons(survivor, loser)
    yield
    (row,) = Requests(scene.world.engine.store).get([request_id]).to_pylist()
    assert row["outcome"] == ("no_action" if linked else "created")
    assert len([link for link in scene.live() if link[1] == survivor]) == 1


def test_a_request_that_was_begun_for_a_loser_creates_nothing_where_the_survivor_has_a_record(scene: Scene) -> None:
    loser, survivor = stranger(scene), scene.person("ann")
    leads = len(scene.world.rows("lead"))
    (request_id,) = request_persons(scene.world.engine, [loser], "lead", source="test", token="1")

    def unreachable(request: HttpRequest) -> HttpResponse | None:
        if "$batch" in request.url:
            raise ConnectionBroken("cannot be reached", maybe_committed=False)
        return None

    scene.world.transport.before.append(unreachable)
    with pytest.raises(RetryLater):
        scene.world.run()
    scene.world.transport.before.clear()
    scene.merge_persons(survivor, loser)
    scene.settled()
    assert len(scene.world.rows("lead")) == leads
    (row,) = Requests(scene.world.engine.store).get([request_id]).to_pylist()
    assert (row["outcome"], row["state"]) == ("no_action", "finished")
    assert scene.shown(survivor) == kept(scene, "ann")


@together()
def test_a_merge_that_is_read_twice_changes_nothing(scene: Scene) -> Story:
    scene.merge_persons(stranger(scene), scene.person("ann"))
    yield
    links, said = scene.links(), scene.said()
    scene.world.movable.advance(3700)  # the feeds are read again, with an overlap
    yield
    assert (scene.links(), scene.said()) == (links, said)


@together()
def test_merged_in_both_systems_the_wrong_way_round_one_pair_is_left(scene: Scene) -> Story:
    ann, bo, kept_row, lost_row = scene.person("ann"), scene.person("bo"), scene.record("ann"), scene.record("bo")
    scene.merge_persons(bo, ann)
    scene.merge_rows("lead", kept_row, lost_row)
    yield
    assert [link for link in scene.live() if link[0] == "lead"] == [("lead", bo, kept_row)]
    assert scene.shown(bo) == {"Id": kept_row, "Type": "Lead", "IsDeleted": False, "MergedInto": None}
    assert scene.said(open_only=True) == []


@together()
def test_duplicates_that_are_merged_in_dynamics_after_all_are_reported_as_done(scene: Scene) -> Story:
    scene.merge_persons(scene.person("bo"), scene.person("ann"))
    yield
    assert scene.said(open_only=True) == [("crm_duplicates", "D44")]
    scene.merge_rows("lead", scene.record("bo"), scene.record("ann"))
    yield
    assert scene.said(open_only=True) == []


@together()
def test_when_the_survivor_is_deleted_the_losers_record_makes_a_new_person_at_its_next_update(scene: Scene) -> Story:
    ann, bo, lead = scene.person("ann"), scene.person("bo"), scene.record("ann")
    scene.merge_persons(bo, ann)
    yield
    scene.world.delete_person(bo)
    yield
    scene.world.edit_row("lead", lead, jobtitle="CTO")
    yield
    (again,) = scene.world.persons_by("microsoftId", lead)
    assert again["id"] not in {ann, bo}


@pytest.mark.parametrize(("winner", "other"), [("bo", "ann"), ("cy", "ann")])
@together(lifecycle={"marketo_merge": "write_to_survivor"})
def test_told_to_later_changes_of_the_losers_record_are_written_to_the_survivor(
    scene: Scene, winner: str, other: str
) -> Story:
    survivor, loser = scene.person(winner), scene.person(other)
    scene.merge_persons(survivor, loser)
    yield
    scene.world.edit_row("lead", scene.record(other), jobtitle="CTO", donotbulkemail=True)
    yield
    for title in ("CEO", "Chair"):
        scene.world.edit_person(survivor, city=title)
        scene.world.edit_row("lead", scene.record(other), jobtitle=title, donotbulkemail=False)
        yield
        assert (shown(scene.world, survivor, "title"), shown(scene.world, survivor, "city")) == (title, title)
        assert column(scene.world, PEOPLE[winner], scene.record(winner), "jobtitle") == title
    assert shown(scene.world, survivor, "unsubscribed") is True  # a lift is not carried over to somebody else
    assert column(scene.world, "lead", scene.record(other), "address1_city") is None


@pytest.mark.parametrize("linked", [False, True], ids=["survivor unlinked", "survivor linked"])
@together()
def test_what_is_asked_for_a_loser_long_after_its_merge_is_asked_for_its_survivor(scene: Scene, linked: bool) -> Story:
    loser, between = stranger(scene), stranger(scene, "Between")
    survivor = scene.person("ann") if linked else stranger(scene, "Free")
    for winner, merged in ((between, loser), (survivor, between)):
        scene.merge_persons(winner, merged)
        yield
    (request_id,) = request_persons(scene.world.engine, [loser], "lead", source="test", token="1")
    yield
    (row,) = Requests(scene.world.engine.store).get([request_id]).to_pylist()
    assert row["outcome"] == ("no_action" if linked else "created")
    assert len([link for link in scene.live() if link[1] == survivor]) == 1


def test_a_run_for_requests_learns_of_a_merge_that_no_cycle_has_seen(scene: Scene) -> None:
    loser, survivor = stranger(scene), scene.person("ann")
    scene.merge_persons(survivor, loser)
    (request_id,) = request_persons(scene.world.engine, [loser], "lead", source="test", token="1")
    scene.world.run(kind="request", persons=(loser,))
    (row,) = Requests(scene.world.engine.store).get([request_id]).to_pylist()
    assert row["outcome"] == "no_action"


@together()
def test_a_restored_record_goes_to_the_person_that_its_own_was_merged_into(scene: Scene) -> Story:
    ann, lead, free = scene.person("ann"), scene.record("ann"), stranger(scene)
    scene.world.delete_row("lead", lead)
    yield
    scene.merge_persons(free, ann)
    scene.world.edit_person(free, microsoftId=None)
    yield
    scene.add_row("lead", leadid=lead, subject="Web form", lastname="Ax")
    yield
    assert scene.shown(free) == kept(scene, "ann")
    assert {link[1] for link in scene.live() if link[2] == lead} == {free}


@pytest.mark.parametrize("answered", [True, False])
def test_told_to_the_sync_merges_the_records_of_merged_persons_too(
    prepared: Path, tmp_path: Path, answered: bool
) -> None:
    with copy_of(prepared, tmp_path / "scene", {"lifecycle": {"marketo_merge": "merge_in_dynamics"}}) as scene:
        world, bo, winner, loser = scene.world, scene.person("bo"), scene.record("bo"), scene.record("ann")
        world.edit_row("lead", loser, jobtitle="of the loser")
        world.settle()

        def lost(request: HttpRequest, response: HttpResponse) -> HttpResponse:
            if b"Subordinate" in (request.body or b""):
                world.transport.after.clear()
                raise ConnectionDropped
            return response

        if not answered:
            world.transport.after.append(lost)
        scene.merge_persons(bo, scene.person("ann"))
        with contextlib.suppress(LeadSyncError):
            world.run()
        world.movable.advance(120)
        scene.settled()
        assert column(world, "lead", loser, "_masterid_value") == winner
        assert scene.shown(bo) == kept(scene, "bo")
        assert scene.said(open_only=True) == []
        assert [row["rule"] for row in world.ledger(bo) if row["kind"] == "merge_rows"] == ["D44"]


def test_records_of_two_kinds_cannot_be_merged_and_are_reported(prepared: Path, tmp_path: Path) -> None:
    with copy_of(prepared, tmp_path / "scene", {"lifecycle": {"marketo_merge": "merge_in_dynamics"}}) as scene:
        scene.merge_persons(scene.person("cy"), scene.person("ann"))
        scene.settled()
        assert column(scene.world, "lead", scene.record("ann"), "merged") is False
        assert scene.said(open_only=True) == [("crm_duplicates", "D44")]
