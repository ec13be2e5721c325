"""The custom sync filter: who is synced, who is not, and what happens when that changes (R112–R121, D68–D74)."""

from __future__ import annotations

from typing import Any

import pytest

from include.leadsync.errors import ConfigurationInvalid
from include.leadsync.requests import request_persons
from include.leadsync.state import Links, Requests
from tests.engine.lifecycle import Scene
from tests.engine.play import column, linked_lead, linked_leads, shown
from tests.engine.together import Story, linked, together
from tests.world import World

FILTER = "new_synctomkto"


def add_filter(world: World, entity: str = "lead", name: str = FILTER, **shape: Any) -> None:
    """An administrator adds the filter column."""
    world.dynamics.control("add_attribute", {"entity": entity, "attribute": name, "type": "Boolean", **shape})
    world.read_metadata()


def add_filters(world: World) -> None:
    """Both entities have the filter column of the native sync, Yes by default."""
    for entity in ("lead", "contact"):
        add_filter(world, entity, default="true")


@pytest.fixture
def filtered(world: World) -> World:
    """A world with these columns."""
    add_filters(world)
    return world


def make(world: World | Scene, entity: str, **values: Any) -> str:
    own = {"subject": "s"} if entity == "lead" else {}
    address = world.address(entity) if isinstance(world, Scene) else f"{entity}@example.com"
    return world.add_row(entity, **own, lastname="L", emailaddress1=address, **values)


def persons_of(world: World, row: str) -> list[dict[str, Any]]:
    return world.persons_by("microsoftId", row)


def status_of(world: World, row: str) -> list[str]:
    return [link["status"] for link in Links(world.engine.store).by_crm([row]).to_pylist()]


@pytest.mark.parametrize("entity", ["lead", "contact"])
@pytest.mark.parametrize(("value", "crosses"), [(True, True), (None, True), (False, False)])
@together(pairs=False, before=add_filters)
def test_only_an_explicit_no_keeps_a_new_record_out(
    scene: Scene, entity: str, value: bool | None, crosses: bool
) -> Story:
    row = make(scene, entity, **{FILTER: value})
    yield
    assert bool(persons_of(scene.world, row)) is crosses
    assert bool(scene.world.persons_by("email", scene.address(entity))) is crosses
    assert status_of(scene.world, row) == (["active"] if crosses else [])


def test_without_the_column_everything_is_synced(world: World) -> None:
    row = make(world, "lead")
    world.run()
    assert persons_of(world, row)


@together(pairs=False, before=add_filters)
def test_a_record_that_turns_to_yes_is_created_at_last(scene: Scene) -> Story:
    row = make(scene, "lead", **{FILTER: False})
    yield
    scene.world.edit_row("lead", row, **{FILTER: True})
    yield
    assert len(persons_of(scene.world, row)) == 1


@together(pairs=False, before=add_filters)
def test_a_person_is_kept_and_goes_stale_both_ways_while_its_record_says_no(scene: Scene) -> Story:
    world = scene.world
    person, lead = yield from linked(scene)
    world.edit_row("lead", lead, **{FILTER: False}, jobtitle="CTO")
    yield
    world.edit_person(person, city="Lund", unsubscribed=True)
    world.edit_row("lead", lead, telephone1="1", donotemail=True)
    yield
    assert world.person(person, "title", "phone", "microsoftDoNotEmail", "microsoftIsDeleted") == {
        "id": person, "title": None, "phone": None, "microsoftDoNotEmail": False, "microsoftIsDeleted": False,
    }  # fmt: skip
    assert (column(world, "lead", lead, "address1_city"), status_of(world, lead)) == (None, ["suspended"])
    assert column(world, "lead", lead, "donotbulkemail") is False
    assert scene.activities() == []


@together(pairs=False, before=add_filters)
def test_back_at_yes_both_sides_catch_up_and_collisions_follow_the_usual_rules(scene: Scene) -> Story:
    world = scene.world
    person, lead = yield from linked(scene, jobtitle="base")
    world.edit_row("lead", lead, **{FILTER: False})
    yield
    world.edit_person(person, city="Lund", title="from Marketo")
    yield
    world.edit_row("lead", lead, telephone1="1", jobtitle="from Dynamics")
    yield
    world.edit_row("lead", lead, **{FILTER: True})
    yield
    assert world.person(person, "title", "phone", "city") == {
        "id": person, "title": "from Marketo", "phone": "1", "city": "Lund",
    }  # fmt: skip
    assert column(world, "lead", lead, "address1_city") == "Lund"
    assert column(world, "lead", lead, "jobtitle") == "from Marketo"
    lost = [row["lost"] for row in world.ledger(person, "title") if row["kind"] == "collision"]
    assert lost == ["from Dynamics"]
    assert status_of(world, lead) == ["active"]


@together(pairs=False, before=add_filters)
def test_an_opt_out_made_meanwhile_arrives_when_the_record_is_synced_again(scene: Scene) -> Story:
    person, lead = yield from linked(scene)
    scene.world.edit_row("lead", lead, **{FILTER: False})
    yield
    scene.world.edit_person(person, unsubscribed=True)
    yield
    scene.world.edit_row("lead", lead, **{FILTER: None})
    yield
    assert column(scene.world, "lead", lead, "donotbulkemail") is True


def test_with_outbound_continue_the_record_still_gets_what_the_marketer_types(filtered: World) -> None:
    filtered.configure({"filter": {"lead": {"outbound": "continue"}}})
    filtered.reopen()
    person, lead = linked_lead(filtered, jobtitle="base")
    filtered.edit_row("lead", lead, **{FILTER: False}, telephone1="1")
    filtered.settle()
    filtered.edit_person(person, title="CTO")
    filtered.settle()
    assert (column(filtered, "lead", lead, "jobtitle"), shown(filtered, person, "phone")) == ("CTO", None)
    filtered.edit_row("lead", lead, **{FILTER: True})
    filtered.settle()
    assert shown(filtered, person, "phone") == "1"


@pytest.mark.parametrize("event", ["assign", "delete", "edit", "consent"])
@pytest.mark.parametrize("linked_before", [True, False])
@together(pairs=False, before=add_filters)
def test_no_event_of_a_record_that_is_kept_out_reaches_marketo(scene: Scene, event: str, linked_before: bool) -> Story:
    world, person = scene.world, 0
    if linked_before:
        person, lead = yield from linked(scene)
        world.edit_row("lead", lead, **{FILTER: False})
    else:
        lead = make(scene, "lead", **{FILTER: False})
    yield
    before = world.person(person, "updatedAt")
    if event == "delete":
        world.delete_row("lead", lead)
    elif event == "assign":
        users = [user["systemuserid"] for user in world.rows("systemuser") if not user["isdisabled"]]
        world.edit_row("lead", lead, **{"ownerid@odata.bind": f"/systemusers({users[-1]})"})
    else:
        world.edit_row("lead", lead, **({"donotbulkemail": True} if event == "consent" else {"jobtitle": "CTO"}))
    yield
    assert scene.count() == int(linked_before)
    if linked_before:
        assert world.person(person, "updatedAt") == before  # not written to at all
        assert world.person(person, "microsoftIsDeleted", "unsubscribed", "title") == {
            "id": person, "microsoftIsDeleted": False, "unsubscribed": False, "title": None,
        }  # fmt: skip
    if linked_before and event == "delete":
        assert status_of(world, lead) == []


@pytest.mark.parametrize(("writable", "writes"), [(True, True), (True, False), (False, True)])
def test_a_record_created_from_marketo_says_yes_where_it_can_and_is_suspended_where_its_default_is_no(
    world: World, writable: bool, writes: bool
) -> None:
    add_filter(world, create=writable)
    world.configure({"filter": {"lead": {"set_on_create": writes}}})
    world.reopen()
    person = world.add_person(email="cy@example.com", lastName="Dee")
    request_persons(world.engine, [person], "lead", None, source="test", token="1")
    world.settle()
    (lead,) = world.rows("lead")
    says_yes = writable and writes
    assert lead[FILTER] is says_yes  # No is the default of a new two-options column
    world.edit_person(person, title="CTO")
    world.settle()
    assert status_of(world, lead["leadid"]) == (["active"] if says_yes else ["suspended"])
    assert column(world, "lead", lead["leadid"], "jobtitle") == ("CTO" if says_yes else None)


def test_the_column_may_have_another_name_and_the_other_meaning(world: World) -> None:
    add_filter(world, name="new_nosync")
    world.configure({"filter": {"lead": {"column": "new_nosync", "keeps_out": True}}})
    world.reopen()
    out = make(world, "lead", new_nosync=True)
    inside = make(world, "lead", new_nosync=False)
    world.settle()
    assert (bool(persons_of(world, out)), bool(persons_of(world, inside))) == (False, True)


CONDITIONS: dict[str, tuple[dict[str, Any], dict[str, Any], dict[str, Any]]] = {
    # operator → what is asked of a lead, a lead that is in, one that is out; whom the others ask about is in
    "not_empty": ({"column": "lastname"}, {"lastname": "L"}, {"lastname": None}),
    "one_of": ({"column": "leadsourcecode", "values": ["web", "Partner"]},
               {"leadsourcecode": 8}, {"leadsourcecode": 1}),
    "not_one_of": ({"column": "address1_country", "values": ["Norway"]},
                   {"address1_country": None}, {"address1_country": "norway"}),
    "contains": ({"column": "jobtitle", "values": ["chief", "VP"]}, {"jobtitle": "The Chief"}, {"jobtitle": "Clerk"}),
    "starts_with": ({"column": "salutation", "values": ["vp"]}, {"salutation": "VP Sales"}, {"salutation": "a VP"}),
    "at_least": ({"column": "numberofemployees", "values": [10]}, {"numberofemployees": 10}, {"numberofemployees": 9}),
    "at_most": ({"column": "revenue", "values": [99.5]}, {"revenue": 99.5}, {"revenue": 100}),
    "empty": ({"column": "fax"}, {"fax": None}, {"fax": "1"}),
}  # fmt: skip
ASKED = [{**condition, "operator": operator} for operator, (condition, _, _) in CONDITIONS.items()]
WELL_IN = {"numberofemployees": 50, "revenue": 1}  # not at the bounds that two of the tests are about
IN = {name: value for _, inside, _ in CONDITIONS.values() for name, value in inside.items()} | WELL_IN


@pytest.mark.parametrize("operator", CONDITIONS)
@together(pairs=False, filter={"lead": {"records": ASKED}})
def test_a_condition_on_any_column_decides_and_follows_its_column(scene: Scene, operator: str) -> Story:
    _, inside, outside = CONDITIONS[operator]
    rows = [
        scene.add_row("lead", **IN | values, emailaddress1=scene.address(name))
        for name, values in {"in": inside, "out": outside}.items()
    ]
    yield
    assert [bool(persons_of(scene.world, row)) for row in rows] == [True, False]
    scene.world.edit_row("lead", rows[1], **inside)
    scene.world.edit_row("lead", rows[0], **outside)
    yield
    assert bool(persons_of(scene.world, rows[1]))
    assert [status_of(scene.world, row) for row in rows] == [["suspended"], ["active"]]


def test_a_filter_on_persons_suspends_and_releases_their_links(world: World) -> None:
    condition = {"field": "leadScore", "operator": "at_least", "values": [10]}
    world.configure({"filter": {"lead": {"persons": [condition]}}})
    world.reopen()
    person, lead = linked_lead(world)
    assert status_of(world, lead) == ["active"]  # nobody to look at when it was made
    world.edit_person(person, leadScore=5)
    world.settle()
    world.edit_person(person, title="CTO")
    world.edit_row("lead", lead, telephone1="1")
    world.settle()
    assert (column(world, "lead", lead, "jobtitle"), shown(world, person, "phone")) == (None, None)
    world.edit_person(person, leadScore=12)
    world.settle()
    assert (column(world, "lead", lead, "jobtitle"), shown(world, person, "phone")) == ("CTO", "1")


NOT_COLD = {"lead": {"persons": [{"field": "rating", "operator": "not_one_of", "values": ["Cold"]}]}}


@together(pairs=False, filter=NOT_COLD)
def test_a_lead_that_belongs_to_a_person_kept_out_gets_no_second_person(scene: Scene) -> Story:
    world = scene.world
    person = scene.add_person(email=scene.address("lead"), lastName="Known", rating="cold")
    yield
    lead = make(scene, "lead", jobtitle="CTO")
    yield
    assert (status_of(world, lead), shown(world, person, "title")) == (["suspended"], None)
    world.edit_person(person, rating="Hot")
    yield
    assert len(world.persons_by("email", scene.address("lead"))) == 1
    assert (status_of(world, lead), shown(world, person, "title")) == (["active"], "CTO")
    assert column(world, "lead", lead, "lastname") == "Known"  # a first link to a lead: Marketo wins


def test_a_filter_set_up_later_takes_hold_of_records_that_nobody_edits(world: World) -> None:
    chief = {"jobtitle": "Chief", "emailaddress1": "chief@example.com"}
    (person, lead), (_, other) = linked_leads(world, {"jobtitle": "Clerk"}, chief)
    condition = {"column": "jobtitle", "operator": "one_of", "values": ["Chief"]}
    world.configure({"filter": {"lead": {"records": [condition]}}})
    world.reopen()
    world.settle()
    assert [status_of(world, row) for row in (lead, other)] == [["suspended"], ["active"]]
    world.configure({"filter": {"lead": {"records": []}}})
    world.reopen()
    world.edit_person(person, city="Lund")
    world.settle()
    assert status_of(world, lead) == ["active"]
    assert column(world, "lead", lead, "address1_city") == "Lund"


@pytest.mark.parametrize(
    ("gone", "back"), [({"read": False}, {"read": True}), ({"type": "Integer"}, {"type": "Boolean"})]
)
def test_a_filter_column_that_vanishes_stops_what_comes_in_and_is_reported_once(
    filtered: World, gone: dict[str, Any], back: dict[str, Any]
) -> None:
    out = make(filtered, "lead", **{FILTER: False})
    (person, lead), (quiet_person, quiet) = linked_leads(filtered, {}, {"emailaddress1": "quiet@example.com"})
    about = {"entity": "lead", "attribute": FILTER}
    filtered.dynamics.control("set_metadata", {**about, "changes": gone})
    filtered.movable.advance(3_700)
    filtered.edit_row("lead", lead, jobtitle="CTO")
    report = [filtered.run() for _ in range(2)][-1]
    assert "new_synctomkto" in report["steps"]["recover"]["stopped"]["lead"]
    assert [row["code"] for row in filtered.activities(open_only=True)] == ["filter_unreadable"]
    assert (shown(filtered, person, "title"), persons_of(filtered, out)) == (None, [])
    contact = make(filtered, "contact")
    for each in (person, quiet_person):
        filtered.edit_person(each, city="Lund")
    filtered.settle()
    assert persons_of(filtered, contact)  # the other entity goes on
    assert column(filtered, "lead", quiet, "address1_city") == "Lund"  # and so does what goes out
    assert column(filtered, "lead", lead, "address1_city") is None  # edited meanwhile: not overwritten unseen
    filtered.dynamics.control("set_metadata", {**about, "changes": back})
    filtered.edit_row("lead", out, **{FILTER: False})  # a column that was made anew has no values
    filtered.movable.advance(3_700)
    filtered.settle()
    assert (shown(filtered, person, "title"), persons_of(filtered, out)) == ("CTO", [])
    assert column(filtered, "lead", lead, "address1_city") == "Lund"
    assert [row["outcome"] for row in filtered.activities()] == ["recovered", "failed"]


def test_a_vanished_filter_column_that_is_taken_out_of_the_configuration_stops_nothing(filtered: World) -> None:
    out = make(filtered, "lead", **{FILTER: False})
    filtered.settle()
    hide = {"entity": "lead", "attribute": FILTER, "changes": {"read": False}}
    filtered.dynamics.control("set_metadata", hide)
    filtered.configure({"filter": {"lead": {"column": None}}})
    filtered.reopen()
    filtered.movable.advance(3_700)
    filtered.settle()
    assert persons_of(filtered, out)
    assert filtered.activities(open_only=True) == []


@together(pairs=False, before=add_filters)
def test_a_request_that_finds_a_record_kept_out_links_it_and_nothing_crosses(scene: Scene) -> Story:
    world, address = scene.world, scene.address("lead")
    lead = make(scene, "lead", **{FILTER: False}, jobtitle="CTO")
    person = scene.add_person(email=address, lastName="Other")
    yield
    request_persons(world.engine, [person], "lead", None, source="test", token="1")
    yield
    assert (status_of(world, lead), len(world.rows("lead", f"emailaddress1 eq '{address}'"))) == (["suspended"], 1)
    assert (shown(world, person, "title"), shown(world, person, "microsoftId")) == (None, None)
    assert column(world, "lead", lead, "lastname") == "L"
    world.edit_row("lead", lead, **{FILTER: True})
    yield
    assert (shown(world, person, "title"), shown(world, person, "microsoftId")) == ("CTO", lead)
    assert column(world, "lead", lead, "lastname") == "Other"


@together(pairs=False, filter=NOT_COLD)
def test_a_request_for_a_person_kept_out_waits_for_nobody_and_says_why(scene: Scene) -> Story:
    person = scene.add_person(email=scene.address("x"), lastName="X", rating="Cold")
    (request,) = request_persons(scene.world.engine, [person], "lead", None, source="test", token="1")
    yield
    (answer,) = Requests(scene.world.engine.store).get([request]).to_pylist()
    assert (answer["outcome"], scene.world.rows("lead", f"emailaddress1 eq '{scene.address('x')}'")) == ("held", [])
    assert "filter on persons" in answer["message"]


MISTAKES = [
    ({"column": "new_nowhere"}, "filter.lead.column", "no readable column new_nowhere"),
    ({"column": "jobtitle"}, "filter.lead.column", "which is of type String"),
    ({"records": [{"column": "jobtitel", "operator": "empty"}]}, "filter.lead.records.0.column", "'jobtitle'"),
    ({"records": [{"column": "revenue", "operator": "at_least", "values": ["much"]}]},
     "filter.lead.records.0.values", "expected a number"),
    ({"records": [{"column": "jobtitle", "operator": "at_least", "values": [1]}]},
     "filter.lead.records.0.operator", "a column of numbers or dates"),
    ({"records": [{"column": "leadsourcecode", "operator": "one_of", "values": ["Wbe"]}]},
     "filter.lead.records.0.values", "one of: "),
    ({"persons": [{"field": "leadScoore", "operator": "at_least", "values": [1]}]},
     "filter.lead.persons.0.field", "'leadScore'"),
]  # fmt: skip


@pytest.mark.parametrize(("section", "key", "told"), MISTAKES, ids=lambda each: each if isinstance(each, str) else "")
def test_a_filter_that_makes_no_sense_is_a_mistake_with_its_place(
    world: World, section: dict[str, Any], key: str, told: str
) -> None:
    world.configure({"filter": {"lead": section}})
    world.reopen()
    with pytest.raises(ConfigurationInvalid) as caught:
        world.run()
    (problem,) = caught.value.problems
    assert problem.key == key
    assert told in str(problem)
    assert problem.file.rpartition(":")[2].isdigit()


@pytest.mark.parametrize(
    ("condition", "told"),
    [
        ({"operator": "empty", "values": ["a"]}, "no values"),
        ({"operator": "one_of"}, "a list of one value or more"),
        ({"operator": "at_most", "values": [1, 2]}, "one value in a list"),
        ({"operator": "equals", "values": ["a"]}, "one of: one_of"),
    ],
)
def test_a_condition_with_the_wrong_number_of_values_is_refused_before_anything_is_read(
    world: World, condition: dict[str, Any], told: str
) -> None:
    world.configure({"filter": {"contact": {"records": [{"column": "jobtitle", **condition}]}}})
    with pytest.raises(ConfigurationInvalid, match=told):
        world.open_engine()
