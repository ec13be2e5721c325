"""A run can be taken back: what nobody has edited since gets the value it had before, and stays so (P9)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pytest

from include.leadsync.clients.transport import HttpRequest, HttpResponse
from include.leadsync.context import Json, RunRequest
from include.leadsync.errors import FixConfiguration
from include.leadsync.load.loader import WRITER
from include.leadsync.state import Leases, Links, Outbox
from include.leadsync.undoing import undo_list
from tests.engine.play import column, linked_contact, linked_lead, linked_leads, shown
from tests.world import World
from tests.world_transport import ConnectionDropped


def undo(world: World, report: dict[str, Json], **more: Json) -> dict[str, Json]:
    return world.run(kind="undo", undoes=report["run_id"], **more)


def fates(report: dict[str, Json]) -> dict[str, int]:
    counts: dict[str, int] = report["steps"]["merge"]["undo"]
    return counts


def listed(world: World, report: dict[str, Json]) -> list[dict[str, Json]]:
    return undo_list(world.engine.staging(RunRequest(report["run_id"])))


def titles(world: World, pair: tuple[int, str], entity: str = "lead") -> tuple[object, object]:
    """What the person shows, what the CRM record shows."""
    return shown(world, pair[0], "title"), column(world, entity, pair[1], "jobtitle")


@dataclass(frozen=True)
class Played:
    """A world at rest in a folder: two leads, a title that one run carried out and one that it carried in."""

    folder: Path
    runs: int
    out: tuple[int, str]
    back: tuple[int, str]
    run: dict[str, Json]
    undo: dict[str, Json]


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Played]:
    """After that run ("crossed"), and after it was taken back ("undone")."""
    folder = tmp_path_factory.mktemp("played")
    with World(tmp_path_factory.mktemp("world")) as made:
        leads = ({"emailaddress1": f"{name}@example.com", "jobtitle": "old"} for name in "ab")
        out, back = linked_leads(made, *leads)
        made.edit_person(out[0], title="new")
        made.edit_row("lead", back[1], jobtitle="new")
        run = made.run()
        made.copy_to(folder / "crossed")
        crossed = Played(folder / "crossed", made.runs, out, back, run, {})
        report = undo(made, run)
        made.copy_to(folder / "undone")
        return {"crossed": crossed, "undone": Played(folder / "undone", made.runs, out, back, run, report)}


@pytest.fixture
def crossed(world: World, played: dict[str, Played]) -> Played:
    """`world` right after that run."""
    world.become(played["crossed"].folder, played["crossed"].runs)
    return played["crossed"]


@pytest.fixture
def undone(world: World, played: dict[str, Played]) -> Played:
    """`world` right after it was taken back."""
    world.become(played["undone"].folder, played["undone"].runs)
    return played["undone"]


def test_both_directions_are_put_back_and_no_cycle_brings_anything_across_again(world: World, undone: Played) -> None:
    out, back = undone.out, undone.back
    assert fates(undone.undo) == {"restored": 2}
    assert (titles(world, out), titles(world, back)) == (("new", "old"), ("old", "new"))
    assert world.settle() == 1
    world.edit_person(out[0], city="Lund")  # an edit beside it reads the whole pair afresh
    world.edit_row("lead", back[1], address1_city="Lund")
    world.settle()
    assert (titles(world, out), titles(world, back)) == (("new", "old"), ("old", "new"))
    assert column(world, "lead", out[1], "address1_city") == "Lund"
    assert shown(world, back[0], "city") == "Lund"
    (row,) = [row for row in world.ledger(out[0], "title") if row["rule"] == "undo"]
    assert (row["run_id"], row["before"], row["after"]) == (undone.undo["run_id"], "new", "old")


def test_after_an_undo_the_next_edit_of_either_side_crosses(world: World, undone: Played) -> None:
    world.edit_row("lead", undone.out[1], jobtitle="of the salesperson")  # on a lead Marketo would win a collision
    world.edit_person(undone.back[0], title="of the marketer")
    world.run()
    assert titles(world, undone.out) == ("of the salesperson",) * 2
    assert titles(world, undone.back) == ("of the marketer",) * 2


def handed_over(world: World) -> dict[str, Json]:
    """A cycle whose writes wait, because another loader is at work."""

    def another_loader(request: HttpRequest) -> None:
        if "leadchanges" in request.url:
            Leases(world.engine.store).acquire(WRITER, "another loader", 60)

    world.transport.before.append(another_loader)
    report = world.run()
    assert report["steps"]["load"] == {"handed_over": True}
    world.transport.before.clear()
    return report


def test_an_edit_that_waits_after_an_undo_is_no_collision_with_what_the_other_side_kept(
    world: World, undone: Played
) -> None:
    out = undone.out
    world.edit_row("lead", out[1], jobtitle="of the salesperson")
    handed_over(world)
    world.edit_person(out[0], city="Lund")  # the pair is planned once more before the first plan is written
    world.settle()
    assert titles(world, out) == ("of the salesperson",) * 2


def test_what_was_edited_since_is_kept_on_whichever_side_and_listed(world: World, crossed: Played) -> None:
    out, back, run = crossed.out, crossed.back, crossed.run
    world.edit_row("lead", out[1], jobtitle="newer")  # the side that was written to
    world.run()
    world.edit_row("lead", back[1], jobtitle="newer")  # the side it came from; not synced yet
    report = undo(world, run)
    assert fates(report) == {"edited": 2}
    assert {(row["fate"], row["present"]) for row in listed(world, report)} == {("edited", "newer"), ("edited", "new")}
    world.run()
    assert (titles(world, out), titles(world, back)) == (("newer", "newer"), ("newer", "newer"))


def test_edits_of_other_fields_of_the_same_pair_are_left_to_the_cycles(world: World, crossed: Played) -> None:
    out = crossed.out
    world.edit_person(out[0], city="Lund")
    undo(world, crossed.run)
    assert column(world, "lead", out[1], "address1_city") is None
    world.run()
    assert column(world, "lead", out[1], "address1_city") == "Lund"
    assert titles(world, out) == ("new", "old")


def test_a_second_undo_finds_nothing_to_do_and_an_undo_can_be_undone(world: World, undone: Played) -> None:
    out, back, first = undone.out, undone.back, undone.undo
    again = undo(world, undone.run)
    assert (fates(again), again["steps"]["plan"]["operations"]) == ({"already": 2}, 0)
    assert fates(undo(world, first)) == {"restored": 2}
    assert (titles(world, out), titles(world, back)) == (("new", "new"), ("new", "new"))
    world.edit_person(out[0], title="next")
    world.run()
    assert titles(world, out) == ("next", "next")


def test_a_dry_run_lists_and_writes_nothing(world: World, crossed: Played) -> None:
    out, back, run = crossed.out, crossed.back, crossed.run
    report = undo(world, run, dry_run=True)
    assert (report["outcome"], fates(report)) == ("planned", {"restored": 2})
    assert (titles(world, out), titles(world, back)) == (("new", "new"), ("new", "new"))
    assert world.settle() == 1


def test_an_opt_out_that_was_lifted_comes_back_on_both_sides_and_an_opt_out_is_never_lifted(world: World) -> None:
    lifted, out = linked_leads(
        world,
        {"emailaddress1": "a@example.com", "donotbulkemail": True},
        {"emailaddress1": "b@example.com"},
    )
    world.edit_person(lifted[0], unsubscribed=False)
    world.edit_person(out[0], unsubscribed=True)
    report = undo(world, world.run())
    assert fates(report) == {"never_lifted": 1, "restored": 1}
    world.settle()
    for person, lead in (lifted, out):
        assert (shown(world, person, "unsubscribed"), column(world, "lead", lead, "donotbulkemail")) == (True, True)


def test_what_a_run_has_not_written_yet_is_said(world: World, crossed: Played) -> None:
    world.edit_person(crossed.out[0], title="next")
    waiting = handed_over(world)
    assert [row["fate"] for row in listed(world, undo(world, waiting, dry_run=True))] == ["waits"]
    world.run()
    assert fates(undo(world, waiting)) == {"restored": 1}
    assert titles(world, crossed.out) == ("next", "new")


def test_an_address_is_not_put_back_on_a_person_who_has_opted_out(world: World) -> None:
    person, lead = linked_lead(world)
    world.edit_row("lead", lead, emailaddress1="new@example.com")
    run = world.run()
    world.edit_person(person, unsubscribed=True)  # the old address may be subscribed (R149)
    assert fates(undo(world, run)) == {"never_lifted": 1}
    assert shown(world, person, "email") == "new@example.com"


def test_what_a_run_created_is_listed_and_left(world: World) -> None:
    lead = world.add_row("lead", subject="s", lastname="Ax", emailaddress1="a@example.com")
    report = undo(world, world.run())
    assert fates(report) == {"created": 1}
    (person,) = world.persons_by("microsoftId", lead)
    assert [row["person_id"] for row in listed(world, report)] == [person["id"]]


def limit(world: World) -> None:
    """The brake holds whatever overwrites more than one record."""
    world.configure({"policies": {"brake": {"overwrites": {"count": 1, "share": 0.0}}}})
    world.reopen()


def test_an_undo_over_the_limits_waits_for_its_hash(world: World, crossed: Played) -> None:
    out, back, run = crossed.out, crossed.back, crossed.run
    limit(world)
    held = undo(world, run)
    assert {row["fate"] for row in listed(world, held)} == {"held"}
    world.edit_person(out[0], city="Lund")  # an edit beside it approves nothing
    world.run()
    assert (titles(world, out), titles(world, back)) == (("new", "new"), ("new", "new"))
    (plan,) = Outbox(world.engine.store).held().to_pylist()
    assert (plan["plan_hash"], plan["links"]) == (held["steps"]["plan"]["plan_hash"], 2)
    done = undo(world, run, approve=plan["plan_hash"])
    assert (done["steps"]["plan"]["held"], done["steps"]["load"]["outbound_done"]) == (0, 1)
    assert (titles(world, out), titles(world, back)) == (("new", "old"), ("old", "new"))
    assert world.settle() == 1


def test_a_held_undo_may_be_approved_by_a_cycle_too(world: World, crossed: Played) -> None:
    limit(world)
    held = undo(world, crossed.run)
    world.edit_row("lead", crossed.out[1], jobtitle="newer")  # it is not undone then
    world.run(approve=held["steps"]["plan"]["plan_hash"])
    assert (titles(world, crossed.out), titles(world, crossed.back)) == (("newer", "newer"), ("old", "new"))


def test_an_edit_between_the_reading_and_the_writing_of_an_undo_is_kept(world: World, crossed: Played) -> None:
    out, back, run = crossed.out, crossed.back, crossed.run

    def edit(request: HttpRequest) -> None:
        if request.method == "POST" and "$batch" in request.url:
            world.transport.before.clear()
            world.edit_row("lead", out[1], jobtitle="newer")
            world.edit_person(back[0], title="newer")

    world.transport.before.append(edit)
    undo(world, run)
    world.settle()
    assert titles(world, out) == ("newer", "newer")  # Dynamics refused the write: another version
    assert titles(world, back) == ("newer", "newer")  # Marketo's feed showed the edit that was overwritten


def test_an_undo_whose_answers_are_lost_is_finished_by_the_next_cycle(world: World, crossed: Played) -> None:
    out, back, run = crossed.out, crossed.back, crossed.run

    def lose(request: HttpRequest, response: HttpResponse) -> HttpResponse:
        if request.method == "POST" and ("$batch" in request.url or request.url.endswith("/leads.json")):
            raise ConnectionDropped
        return response

    world.transport.after.append(lose)
    undo(world, run)
    world.transport.after.clear()
    world.movable.advance(120)
    world.settle()
    assert (titles(world, out), titles(world, back)) == (("new", "old"), ("old", "new"))
    world.edit_person(out[0], title="next")
    world.edit_row("lead", back[1], jobtitle="next")
    world.run()
    assert (titles(world, out), titles(world, back)) == (("next", "next"), ("next", "next"))


def test_what_the_target_would_refuse_by_now_is_not_put_back_and_is_told(world: World, crossed: Played) -> None:
    shorter = {"entity": "lead", "attribute": "jobtitle", "changes": {"max_length": 2}}
    world.dynamics.control("set_metadata", shorter)
    world.movable.advance(3_700)
    report = undo(world, crossed.run)
    assert sorted(row["fate"] for row in listed(world, report)) == ["refused", "restored"]
    assert titles(world, crossed.out) == ("new", "new")


def test_a_record_that_another_run_is_changing_meanwhile_is_left_and_said(world: World, crossed: Played) -> None:
    out, run = crossed.out, crossed.run
    links = Links(world.engine.store)
    (link,) = links.by_person([out[0]]).to_pylist()

    def change(request: HttpRequest) -> None:
        if "/leads.json" in request.url:
            world.transport.before.clear()
            row = {"link_id": link["link_id"], "expected_version": link["version"]}
            links.update(pa.Table.from_pylist([row]))

    world.transport.before.append(change)
    report = undo(world, run)
    assert {row["person_id"]: row["fate"] for row in listed(world, report)}[out[0]] == "in_motion"
    assert titles(world, out) == ("new", "new")
    assert fates(undo(world, run)) == {"already": 1, "restored": 1}


def test_a_contact_keeps_what_dynamics_says_when_its_write_is_undone(world: World) -> None:
    pair = linked_contact(world, jobtitle="old")
    world.edit_person(pair[0], title="new")
    undo(world, world.run())
    assert titles(world, pair, "contact") == ("new", "old")
    world.edit_row("contact", pair[1], jobtitle="next")
    world.run()
    assert titles(world, pair, "contact") == ("next", "next")


def test_the_record_of_a_write_that_is_gone_is_listed(world: World, crossed: Played) -> None:
    out, back, run = crossed.out, crossed.back, crossed.run
    world.delete_row("lead", out[1])
    report = undo(world, run)
    assert {row["person_id"]: row["fate"] for row in listed(world, report)} == {out[0]: "gone", back[0]: "restored"}


@pytest.mark.parametrize(
    ("name", "message"),
    [("20260301T100000Z-ffffff", "no run is called"), ("20240301T100000Z-ffffff", "older than the ledger")],
)
def test_a_run_that_is_unknown_or_too_old_cannot_be_undone(world: World, name: str, message: str) -> None:
    with pytest.raises(FixConfiguration, match=message):
        world.run(kind="undo", undoes=name)
