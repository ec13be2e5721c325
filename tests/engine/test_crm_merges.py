"""Two records merged in Dynamics: who has a link keeps it, nobody is made twice, nothing is lost (R71, D42, D43)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from include.leadsync.clients.transport import HttpRequest, HttpResponse
from tests.engine.lifecycle import Scene, copy_of
from tests.engine.play import column, shown
from tests.engine.together import Story, together

OUT: dict[str, Any] = {"websiteurl": "https://no.example"}
FILTER = {
    entity: {"records": [{"column": "websiteurl", "operator": "not_one_of", "values": [OUT["websiteurl"]]}]}
    for entity in ("lead", "contact")
}
"""On both entities; keeps nobody out yet."""


def unlink(scene: Scene, name: str) -> Story:
    """Take the person away, so that the record has no link any more."""
    scene.world.delete_person(scene.person(name))
    yield


@pytest.mark.parametrize("allowed", [True, False], ids=["winner syncs", "winner filtered"])
@pytest.mark.parametrize("winner_linked", [True, False], ids=["winner linked", "winner unlinked"])
@pytest.mark.parametrize("loser_linked", [True, False], ids=["loser linked", "loser unlinked"])
@together(filter=FILTER)
def test_the_merge_matrix(scene: Scene, loser_linked: bool, winner_linked: bool, allowed: bool) -> Story:
    ann, bo, loser, winner = scene.person("ann"), scene.person("bo"), scene.record("ann"), scene.record("bo")
    for name, linked in (("ann", loser_linked), ("bo", winner_linked)):
        if not linked:
            yield from unlink(scene, name)
    people = scene.count()
    scene.merge_rows("lead", winner, loser, jobtitle="chosen in the dialogue", **({} if allowed else OUT))
    yield
    links, live = scene.links(), scene.live()
    assert not any(crm_id == loser for _, _, crm_id in live)
    gone = {"Id": loser, "Type": "Lead", "IsDeleted": True, "MergedInto": winner}
    here = {"Id": winner, "Type": "Lead", "IsDeleted": False, "MergedInto": None}
    status = "active" if allowed else "suspended"
    made = 0
    if winner_linked:
        assert ("lead", bo, winner, status) in links
        assert scene.shown(bo) == here
        assert scene.shown(ann) == (gone if loser_linked else None)
        assert scene.said(open_only=True) == ([("merge_proposed", "D42")] if loser_linked else [])
    elif loser_linked:  # the person goes on with the winner, and waits with it if its filter says no
        assert ("lead", ann, winner, status) in links
        assert scene.shown(ann) == (here if allowed else {**here, "Id": loser})
        assert scene.said(open_only=True) == []
    elif allowed:  # nobody had a person: the winner was changed, and gets a new one (R77)
        made = 1
        assert [link[2] for link in live if link[1] not in {ann, bo}].count(winner) == 1
    if loser_linked:
        assert ("lead", ann, loser, "crm_merged") in links
    assert scene.count() == people + made
    if allowed and (winner_linked or loser_linked):
        assert shown(scene.world, bo if winner_linked else ann, "title") == "chosen in the dialogue"


@together(filter=FILTER)
def test_contacts_are_merged_like_leads(scene: Scene) -> Story:
    cy, di, loser, winner = scene.person("cy"), scene.person("di"), scene.record("cy"), scene.record("di")
    scene.merge_rows("contact", winner, loser)
    yield
    assert scene.shown(cy) == {"Id": loser, "Type": "Contact", "IsDeleted": True, "MergedInto": winner}
    assert scene.shown(di) == {"Id": winner, "Type": "Contact", "IsDeleted": False, "MergedInto": None}


@pytest.mark.parametrize("winner_allowed", [True, False])
@together(filter=FILTER)
def test_a_loser_that_its_filter_keeps_out_goes_without_a_word(scene: Scene, winner_allowed: bool) -> Story:
    ann, loser, winner = scene.person("ann"), scene.record("ann"), scene.record("bo")
    scene.world.edit_row("lead", loser, **OUT)
    if not winner_allowed:
        scene.world.edit_row("lead", winner, **OUT)
    yield
    before = scene.shown(ann)
    scene.merge_rows("lead", winner, loser)
    yield
    assert scene.shown(ann) == before
    assert ("lead", ann, loser, "crm_merged") in scene.links()
    assert scene.world.outcome_activities(ann) == []
    assert scene.said(open_only=True) == []


@together(filter=FILTER)
def test_a_filtered_person_without_a_rival_syncs_with_the_winner(scene: Scene) -> Story:
    ann, loser, winner = scene.person("ann"), scene.record("ann"), scene.record("bo")
    yield from unlink(scene, "bo")
    scene.world.edit_row("lead", loser, **OUT)
    yield
    scene.merge_rows("lead", winner, loser)
    yield
    assert scene.shown(ann) == {"Id": winner, "Type": "Lead", "IsDeleted": False, "MergedInto": None}


@together(filter=FILTER)
def test_changes_on_their_way_to_the_loser_reach_the_winner_or_are_written_down_as_lost(scene: Scene) -> Story:
    ann, bo, loser, winner = scene.person("ann"), scene.person("bo"), scene.record("ann"), scene.record("bo")
    scene.world.edit_person(ann, title="from Ann", city="from Ann")
    scene.world.edit_person(bo, city="from Bo")
    scene.merge_rows("lead", winner, loser)
    yield
    assert column(scene.world, "lead", winner, "jobtitle") == "from Ann"
    assert column(scene.world, "lead", winner, "address1_city") == "from Bo"
    assert (shown(scene.world, bo, "title"), shown(scene.world, bo, "city")) == ("from Ann", "from Bo")
    assert column(scene.world, "lead", loser, "jobtitle") is None
    lost = [row for row in scene.world.ledger(bo, "city") if row["kind"] == "overwritten"]
    assert [row["lost"] for row in lost] == ["from Ann"]


@pytest.mark.parametrize("cycles_between", [False, True], ids=["in one cycle", "one after another"])
@together(filter=FILTER)
def test_a_chain_of_merges_is_followed_to_its_end(scene: Scene, cycles_between: bool) -> Story:
    ann, bo = scene.person("ann"), scene.person("bo")
    yield from unlink(scene, "bo")
    last = scene.add_row("lead", subject="s", lastname="Last", emailaddress1=scene.address("last"))
    if cycles_between:
        scene.merge_rows("lead", scene.record("bo"), scene.record("ann"))
        yield
    else:
        scene.merge_rows("lead", scene.record("bo"), scene.record("ann"))
    scene.merge_rows("lead", last, scene.record("bo"))
    yield
    links = [link for link in scene.live() if link[2] == last]
    assert len(links) == 1
    assert bo not in {link[1] for link in scene.live()}
    if not cycles_between:  # the last record was new to us: Ann came first
        assert links == [("lead", ann, last)]
    else:
        assert scene.shown(ann) == {"Id": scene.record("bo"), "Type": "Lead", "IsDeleted": True, "MergedInto": last}


@together(filter=FILTER)
def test_merged_and_then_qualified_the_person_goes_on_with_the_contact(scene: Scene) -> Story:
    ann, loser, winner = scene.person("ann"), scene.record("ann"), scene.record("bo")
    yield from unlink(scene, "bo")
    scene.merge_rows("lead", winner, loser)
    contact = scene.qualify(winner)
    yield
    assert scene.shown(ann) == {"Id": contact, "Type": "Contact", "IsDeleted": False, "MergedInto": None}
    assert [link for link in scene.live() if link[2] == contact] == [("contact", ann, contact)]


@together(filter=FILTER)
def test_merged_into_a_lead_that_is_qualified_at_once_the_losers_person_is_flagged_as_after_a_merge(
    scene: Scene,
) -> Story:
    ann, bo, loser = scene.person("ann"), scene.person("bo"), scene.record("ann")
    scene.merge_rows("lead", scene.record("bo"), loser)
    contact = scene.qualify(scene.record("bo"))
    yield
    assert scene.shown(bo) == {"Id": contact, "Type": "Contact", "IsDeleted": False, "MergedInto": None}
    assert scene.shown(ann) == {"Id": loser, "Type": "Lead", "IsDeleted": True, "MergedInto": contact}
    assert [link for link in scene.live() if link[2] == contact] == [("contact", bo, contact)]


def test_told_to_merge_the_sync_merges_the_persons_in_marketo(prepared: Path, tmp_path: Path) -> None:
    with copy_of(prepared, tmp_path / "scene", {"lifecycle": {"dynamics_merge": "merge_in_marketo"}}) as scene:
        ann, bo, winner = scene.person("ann"), scene.person("bo"), scene.record("bo")
        scene.world.edit_person(ann, leadScore=7)
        scene.merge_rows("lead", winner, scene.record("ann"))
        scene.settled()
        assert scene.shown(ann) is None
        assert scene.shown(bo) == {"Id": winner, "Type": "Lead", "IsDeleted": False, "MergedInto": None}
        assert scene.said(open_only=True) == []
        assert [row["rule"] for row in scene.world.ledger(bo) if row["kind"] == "merge_persons"] == ["D42"]


def test_many_merges_at_once_wait_for_approval_and_nothing_is_written_to_the_losers(
    prepared: Path, tmp_path: Path
) -> None:
    brake = {"deletes": {"count": 0, "share": 0.0}, "overwrites": {"count": 1000, "share": 1.0}}
    with copy_of(prepared, tmp_path / "scene", {"policies": {"brake": brake}}) as scene:
        ann, loser, winner = scene.person("ann"), scene.record("ann"), scene.record("bo")
        scene.merge_rows("lead", winner, loser)
        report = scene.world.run()
        assert report["steps"]["plan"]["held"] == 1
        scene.world.edit_person(ann, title="waits")
        scene.world.settle()
        assert shown(scene.world, ann, "microsoftIsDeleted") is False
        assert column(scene.world, "lead", loser, "jobtitle") is None
        scene.world.run(approve=report["steps"]["plan"]["plan_hash"])
        scene.settled()
        assert scene.shown(ann) == {"Id": loser, "Type": "Lead", "IsDeleted": True, "MergedInto": winner}
        assert column(scene.world, "lead", winner, "jobtitle") == "waits"


@together(filter=FILTER)
def test_what_happens_to_a_merged_record_later_means_nothing(scene: Scene) -> Story:
    ann, loser, winner = scene.person("ann"), scene.record("ann"), scene.record("bo")
    people = scene.count()
    scene.merge_rows("lead", winner, loser)
    yield
    told = scene.said()
    scene.world.edit_row("lead", loser, jobtitle="touched")
    yield
    scene.world.delete_row("lead", loser)
    yield
    assert scene.count() == people
    assert scene.said() == told
    assert scene.shown(ann) == {"Id": loser, "Type": "Lead", "IsDeleted": True, "MergedInto": winner}


def test_masters_that_lead_round_in_a_circle_are_reported_once_and_the_links_left_alone(scene: Scene) -> None:
    ann, bo = scene.record("ann"), scene.record("bo")
    masters = {ann: bo, bo: ann}

    def circle(request: HttpRequest, response: HttpResponse) -> HttpResponse:
        if request.method != "GET" or "/leads?" not in request.url:
            return response
        body = json.loads(response.body)
        for row in body["value"]:
            if row.get("leadid") in masters:
                row |= {"merged": True, "_masterid_value": masters[row["leadid"]]}
        return HttpResponse(response.status, response.headers, json.dumps(body).encode())

    before = scene.live()
    scene.world.transport.after.append(circle)
    for name in ("ann", "bo"):
        scene.world.edit_row("lead", scene.record(name), jobtitle="CTO")
    scene.settled()
    assert scene.live() == before
    assert scene.said(open_only=True) == [("merge_circle", "D42")] * 2
    scene.world.transport.after.clear()
    scene.merge_rows("lead", bo, ann)
    scene.settled()
    assert scene.said(open_only=True) == [("merge_proposed", "D42")]
