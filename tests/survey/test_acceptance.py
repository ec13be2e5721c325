"""Between report and fill: kills, cycles and edits in between, claims that exclude each other (D11, D18, D19)."""

from __future__ import annotations

from pathlib import Path

import pytest
import sqlalchemy as sa

from include.leadsync.clients.transport import HttpRequest
from include.leadsync.context import RunRequest
from include.leadsync.errors import FixConfiguration
from include.leadsync.plan.first_sync import ACCEPTING
from include.leadsync.state import Metadata
from include.leadsync.survey import accept
from tests.survey.test_first_sync import populate, reported, stamp
from tests.survey.test_rebuild import in_step, links, rebuilt
from tests.world import START, World
from tests.world_transport import ConnectionDropped

GUID_FIELD = {"fields": [{"name": "crmGuid", "displayName": "CRM GUID", "dataType": "string"}]}


class Killed(BaseException):
    """The process ends here."""


def test_killed_at_any_commit_an_acceptance_is_repeated_and_nothing_runs_before_it_is_whole(world: World) -> None:
    for entity in ("lead", "contact"):  # a slice of links each
        world.add_row(entity, lastname="Berg", emailaddress1=f"{entity}@example.com")
        world.add_person(email=f"{entity}@example.com", lastName="Berg")
    kill_an_acceptance_everywhere(world, reported(world, since=START)["hash"])


def kill_an_acceptance_everywhere(world: World, digest: str) -> None:
    """After each kill no pair is linked, or all are, or no cycle runs."""
    position, refusals, left = 0, 0, [0]

    def strike(_: object) -> None:
        left[0] -= 1
        if left[0] == -1:
            raise Killed

    sa.event.listen(world.engine.store.engine, "commit", strike)
    while True:
        left[0] = position
        try:
            accept(world.engine, digest, f"accepting-{position}", ["first-sync"])
            break
        except Killed:
            position += 1
        left[0] = -1  # no more strikes
        world.movable.advance(60)  # the dead one's turn is over
        if Metadata(world.engine.store).get("leadsync", ACCEPTING):
            refusals += 1
            with pytest.raises(FixConfiguration, match=f"first-sync accept {digest}"):
                world.run()
        else:
            assert len(links(world)) in {0, 2}
    sa.event.remove(world.engine.store.engine, "commit", strike)
    assert refusals >= 3
    assert len(links(world)) == 2


def test_an_edit_that_a_cycle_saw_before_its_pair_was_accepted_crosses(world: World) -> None:
    """The store lives and has lost its links, as after a restore; a cycle runs between report and acceptance."""
    (_, row, person), _ = in_step(world)
    with world.engine.store.begin() as tx:
        tx.execute(sa.text("DELETE FROM link"))
    report = reported(world, "rebuild")
    world.edit_person(person, title="From Marketo")
    world.run()
    accept(world.engine, report["hash"], "accepting", ["rebuild"])
    world.settle()
    assert world.row("lead", row)["jobtitle"] == "From Marketo"  # type: ignore[index]


def test_what_happens_to_a_pair_between_report_and_fill_happens_to_its_link(world: World) -> None:
    rows, persons = {}, {}
    for name in ("merged", "row deleted", "person deleted", "readdressed"):
        address = f"{name.replace(' ', '.')}@example.com"
        rows[name] = world.add_row("contact", lastname="Berg", emailaddress1=address)
        persons[name] = world.add_person(email=address, lastName="Berg")
    survivor = world.add_person(email="survivor@example.com", lastName="Survivor")
    digest = reported(world)["hash"]
    world.movable.advance(120)
    world._marketo("POST", f"/rest/v1/leads/{survivor}/merge.json", f"leadId={persons['merged']}")
    world.delete_row("contact", rows["row deleted"])
    world.delete_person(persons["person deleted"])
    world.edit_person(persons["readdressed"], email="else@example.com")
    world.movable.advance(7200)
    accept(world.engine, digest, "accepting", ["first-sync"])
    world.settle()
    assert {(row, person) for _, row, person in links(world)} == {
        (rows["merged"], survivor),
        (rows["readdressed"], persons["readdressed"]),
    }
    assert world.person(survivor)["microsoftId"] == rows["merged"]  # type: ignore[index]
    flagged = world.person(persons["row deleted"], "microsoftIsDeleted")
    assert flagged == {"id": persons["row deleted"], "microsoftIsDeleted": True}
    assert world.persons_by("email", "person.deleted@example.com") == []
    assert world.activities(open_only=True) == []


def test_claims_that_exclude_each_other_make_no_third_person(world: World) -> None:
    world.marketo.control("create_fields", GUID_FIELD)
    row = world.add_row("lead", lastname="Guid", subject="Fair", emailaddress1="a@example.com")
    persons = [world.add_person(email=f"o{n}@example.com", lastName="Guid", crmGuid=row) for n in range(2)]
    rebuilt(world, kind="from-native", id_fields=("crmGuid",), since=START)
    world.settle()
    assert links(world) == set()
    assert world.persons_by("email", "a@example.com") == []
    assert [each["code"] for each in world.activities(open_only=True)] == ["several_carry_id"]
    rebuilt(world)  # a report that does not look at the field forgets nothing
    world.edit_person(persons[1], microsoftId=row)  # the way out
    world.edit_row("lead", row, jobtitle="CEO")
    world.settle()
    assert links(world) == {("lead", row, persons[1])}
    assert world.activities(open_only=True) == []


def test_a_lead_that_became_a_contact_is_reported_as_the_cycle_treats_it(world: World) -> None:
    lead = world.add_row("lead", lastname="Q", subject="Fair", emailaddress1="q@example.com")
    status, _ = world._dynamics(
        "POST",
        f"leads({lead})/Microsoft.Dynamics.CRM.QualifyLead",
        "",
        {"CreateAccount": False, "CreateContact": True, "CreateOpportunity": False, "Status": -1},
    )
    assert status == 200
    person = world.add_person(email="q@example.com", lastName="Q")
    report = reported(world, since=START)
    names = ("matched_by_email", "only_in_dynamics", "became_contacts")
    assert ([report["counts"][name] for name in names], report["conflicts"]) == ([1, 0, 1], [])
    accept(world.engine, report["hash"], "accepting", ["first-sync"])
    world.settle()
    ((entity, _, linked),) = links(world)
    assert (entity, linked, len(world.persons_by("email", "q@example.com"))) == ("contact", person, 1)


def test_what_the_brake_held_of_a_first_sync_is_marked_when_it_is_approved(tmp_path: Path) -> None:
    brake = {"creations": {"count": 0, "share": 0.0}, "overwrites": {"count": 0, "share": 0.0}}
    with World(tmp_path, {"policies": {"brake": brake}}) as world:  # D19
        made = populate(world)
        accept(world.engine, reported(world)["hash"], "accepting", ["first-sync"])
        summary = world.run()["steps"]["plan"]
        assert summary["held"] == 3
        row, person = made["contact"]
        before = stamp(world, person)
        world.edit_row("contact", row, telephone1="2")  # a further edit approves nothing
        world.run()
        assert world.person(person, "title")["title"] == "Person"  # type: ignore[index]
        approved = world.run(approve=summary["plan_hash"])
        lanes = world.engine.staging(RunRequest(approved["run_id"])).read("plan").select("kind", "lane").unique().rows()
        assert ("create", 3) in lanes
        assert ("create", 2) not in lanes
        world.settle()
        assert world.person(person, "title")["title"] == "Crm"  # type: ignore[index]
        assert stamp(world, person) > before
        (created,) = world.persons_by("microsoftId", made["crm_only"])
        assert stamp(world, created["id"]) is not None


def test_a_creation_of_a_first_sync_whose_answer_was_lost_is_marked_all_the_same(world: World) -> None:
    row = world.add_row("contact", lastname="Berg", emailaddress1="b@example.com")  # D19

    def drop(request: HttpRequest) -> None:
        if request.method == "POST" and "/rest/v1/leads.json" in request.url and "_method" not in request.url:
            raise ConnectionDropped

    world.transport.before.append(drop)
    world.run()
    assert world.persons_by("microsoftId", row) == []
    world.transport.before.clear()
    world.movable.advance(200)
    world.run()
    (person,) = world.persons_by("microsoftId", row)
    assert stamp(world, person["id"]) is not None
