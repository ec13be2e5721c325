"""What random histories have found (docs/proofs.md), one story each."""

from __future__ import annotations

from pathlib import Path

import pytest

from include.leadsync.requests import request_persons
from include.leadsync.state import Requests
from tests.engine.lifecycle import Scene
from tests.engine.play import column, shown
from tests.engine.together import Story, together
from tests.world import World


def people(scene: Scene) -> int:
    return int(scene.world.marketo.control("people_count", {})["people"])


@pytest.mark.parametrize("cause", ["metadata", "expired delta link"])
def test_reading_everything_again_is_no_update_of_a_record_whose_person_was_deleted(scene: Scene, cause: str) -> None:
    before = people(scene)
    scene.world.delete_person(scene.person("cy"))
    scene.settled()
    if cause == "metadata":
        changes = {"entity": "contact", "attribute": "jobtitle", "changes": {"max_length": 50}}
        scene.world.dynamics.control("set_metadata", changes)
        scene.world.movable.advance(3_700)
    else:
        scene.world.dynamics.control("age_delta_tokens", {"entity": "contact"})
    scene.settled()
    assert people(scene) == before - 1  # R78
    scene.world.edit_row("contact", scene.record("cy"), jobtitle="CTO")
    scene.settled()
    assert people(scene) == before  # R77


@pytest.mark.parametrize("merged", [False, True], ids=["deleted", "merged into one that was deleted"])
def test_what_was_changed_before_its_person_was_deleted_is_no_update_when_it_is_read_again(
    scene: Scene, merged: bool
) -> None:
    person = scene.person("bo" if merged else "ann")
    if merged:
        scene.merge_persons(person, scene.person("ann"))
        scene.settled()
    scene.world.edit_row("lead", scene.record("ann"), jobtitle="before")
    scene.world.movable.advance(10)
    scene.world.delete_person(person)
    scene.settled()
    left = people(scene)
    scene.world.dynamics.control("age_delta_tokens", {"entity": "lead"})
    scene.settled()
    assert people(scene) == left  # R78


@together()
def test_a_lead_whose_person_was_refused_goes_on_as_a_contact_and_comes_to_rest(scene: Scene) -> Story:
    lead = scene.add_row("lead", lastname="L", emailaddress1="no address")
    yield
    contact = scene.qualify(lead)
    assert contact
    yield
    assert [row["field"] for row in scene.activities(open_only=True)] == ["email"]
    scene.world.edit_row("contact", contact, emailaddress1=scene.address("good"))
    yield
    (person,) = scene.world.persons_by("email", scene.address("good"))
    assert shown(scene.world, person["id"], "microsoftId") == contact
    assert scene.activities(open_only=True) == []


def test_a_record_that_returns_while_another_is_refused_for_its_person_stops_nobody(scene: Scene) -> None:
    ann, lead, before = scene.person("ann"), scene.record("ann"), people(scene)
    scene.world.delete_row("lead", lead)
    scene.settled()
    scene.world.edit_person(ann, title="x" * 101)
    request_persons(scene.world.engine, [ann], "contact", source="test", token="refused")
    scene.settled()
    again = {"leadid": lead, "subject": "s", "lastname": "Back", "emailaddress1": "back@example.com"}
    scene.world.add_row("lead", **again)
    scene.world.edit_person(scene.person("bo"), title="crosses all the same")
    scene.settled()
    assert column(scene.world, "lead", scene.record("bo"), "jobtitle") == "crosses all the same"
    assert ("lead", ann, lead) in scene.live()  # D48: for want of another record it is hers again
    scene.world.edit_person(ann, title="CTO")
    scene.settled()
    assert (shown(scene.world, ann, "lastName"), column(scene.world, "lead", lead, "jobtitle")) == ("Ax", "CTO")
    assert people(scene) == before
    assert not scene.world.rows("contact", f"emailaddress1 eq '{scene.address('ann')}'")
    assert scene.activities(open_only=True) == []


@together()
def test_a_record_deleted_while_its_person_is_merged_into_another_is_flagged_on_that_one(scene: Scene) -> Story:
    free = scene.add_person(email=scene.address("free"), lastName="Free", title="x" * 101)
    yield
    scene.world.delete_row("contact", scene.record("cy"))
    scene.merge_persons(free, scene.person("cy"))
    yield
    shows = scene.shown(free)
    assert shows
    assert (shows["Id"], shows["IsDeleted"]) == (scene.record("cy"), True)  # R75
    assert scene.activities(open_only=True) == []


@together()
def test_what_is_open_for_a_person_is_open_for_the_one_it_is_merged_into(scene: Scene) -> Story:
    scene.world.edit_person(scene.person("ann"), title="x" * 101, mobilePhone="0" * 65)
    yield
    free = scene.add_person(email=scene.address("free"), lastName="Free")
    scene.merge_persons(free, scene.person("ann"))
    yield
    failed = [(row["person_id"], row["field"]) for row in scene.activities(open_only=True)]
    assert sorted(failed) == [(free, "mobilePhone"), (free, "title")]
    scene.world.edit_person(free, title="CTO")  # put right, though the other one holds the record back
    yield
    assert [row["field"] for row in scene.activities(open_only=True)] == ["mobilePhone"]


@together()
def test_of_two_qualified_leads_whose_contacts_are_merged_the_person_of_the_winner_goes_on(scene: Scene) -> Story:
    first, second = scene.qualify(scene.record("ann")), scene.qualify(scene.record("bo"))
    assert first
    assert second
    scene.merge_rows("contact", second, first)  # moves what points to the loser, the lead it came from too
    yield
    assert {link[1:] for link in scene.live() if link[2] in {first, second}} == {(scene.person("bo"), second)}  # D42
    flags = scene.shown(scene.person("ann"))
    assert flags
    assert (flags["IsDeleted"], flags["MergedInto"]) == (True, second)


@together()
def test_a_survivor_keeps_its_own_link_also_while_its_lead_is_qualified(scene: Scene) -> Story:
    scene.qualify(scene.record("ann"))
    yield
    scene.merge_persons(scene.person("bo"), scene.person("ann"))
    contact = scene.qualify(scene.record("bo"))
    yield
    assert [link for link in scene.live() if link[1] == scene.person("bo")] == [  # D44
        ("contact", scene.person("bo"), contact)
    ]


@together()
def test_what_a_marketer_clears_on_the_survivor_of_a_merge_is_cleared(scene: Scene) -> Story:
    scene.world.edit_person(scene.person("cy"), title="CTO", mobilePhone="+46 8")
    yield
    free = scene.add_person(email=scene.address("free"), lastName="Free")
    scene.merge_persons(free, scene.person("cy"))  # what is empty there is filled (M49)
    scene.world.edit_person(free, title=None)
    yield
    assert column(scene.world, "contact", scene.record("cy"), "jobtitle") is None  # D9
    assert column(scene.world, "contact", scene.record("cy"), "mobilephone") == "+46 8"


@together()
def test_a_flag_of_a_first_link_that_was_refused_has_the_winner_of_a_first_link_later_on(scene: Scene) -> Story:
    person = scene.add_person(email=scene.address("free"), lastName="Free", title="x" * 101, doNotCall=False)
    lead = scene.add_row("lead", lastname="Other", emailaddress1=scene.address("free"), donotphone=True)
    yield
    assert [row["field"] for row in scene.activities(open_only=True) if row["person_id"] == person] == ["title"]
    scene.world.edit_person(person, mobilePhone="+46 8")  # refused once more
    yield
    scene.world.edit_person(person, title="CTO")
    yield
    assert column(scene.world, "lead", lead, "donotphone") is False  # D4: of a lead the person's value
    assert shown(scene.world, person, "doNotCall") is False


def test_a_first_link_that_was_refused_has_the_winner_of_a_first_link_when_it_is_tried_again(tmp_path: Path) -> None:
    with World(tmp_path, {"policies": {"first_link": "dynamics"}}) as world:
        lead = world.add_row("lead", lastname="Other", emailaddress1="no address", address1_city="Other town")
        known = {"email": "free@example.com", "microsoftId": lead}
        person = world.add_person(**known, lastName="Free", city="Free town")
        world.run()
        assert [row["field"] for row in world.activities(open_only=True)] == ["email"]
        world.edit_row("lead", lead, emailaddress1="other@example.com")
        world.run()
        assert (shown(world, person, "city"), shown(world, person, "lastName")) == ("Other town", "Other")  # D4


@pytest.mark.parametrize("became", ["qualified", "merged"])
@together()
def test_who_lost_the_record_that_took_the_place_of_the_first_gets_a_new_one_on_request(
    scene: Scene, became: str
) -> Story:
    ann, lead = scene.person("ann"), scene.record("ann")
    if became == "qualified":
        entity, second = "contact", scene.qualify(lead)
    else:
        entity, second = "lead", scene.add_row("lead", lastname="Ax", emailaddress1=scene.address("winner"))
        scene.merge_rows("lead", second, lead)
    yield
    assert second
    assert scene.live() >= {(entity, ann, second)}
    scene.world.delete_row(entity, second)
    yield
    request_persons(scene.world.engine, [ann], entity, source="test", token="again")
    yield
    shows = scene.shown(ann)
    assert shows
    assert (shows["Type"], shows["IsDeleted"]) == (entity.capitalize(), False)  # R79: the first one is in nobody's way
    assert shows["Id"] not in {lead, second}


def test_a_contact_that_may_be_there_though_nobody_can_read_it_gets_no_other_record_beside_it(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    ann = scene.person("ann")
    contact = scene.qualify(scene.record("ann"))
    scene.settled()
    assert contact
    scene.world.delete_row("contact", contact)
    scene.settled()
    monkeypatch.setattr(type(scene.world.engine.dynamics), "probe", lambda *_: {contact: "unreadable"})
    (request,) = request_persons(scene.world.engine, [ann], "contact", source="test", token="again")
    scene.world.run(kind="request")
    (answer,) = Requests(scene.world.engine.store).get([request]).to_pylist()
    assert answer["outcome"] == "held"  # D51


@together()
def test_a_qualified_lead_gets_nobody_when_its_person_and_its_contact_are_deleted(scene: Scene) -> Story:
    scene.world.delete_person(scene.person("ann"))
    contact = scene.qualify(scene.record("ann"))
    yield
    assert contact
    scene.world.delete_person(scene.person_of(contact))  # the new one of the contact (R77)
    scene.world.delete_row("contact", contact)  # which leaves the lead without its parent contact: no update of anybody
    left = scene.count()
    yield
    assert scene.count() == left  # R80


@together()
def test_a_record_that_is_restored_gets_its_person_back_before_another_one_of_that_address(scene: Scene) -> Story:
    cy, contact = scene.person("cy"), scene.record("cy")
    scene.world.delete_row("contact", contact)
    yield
    scene.world.add_row("contact", contactid=contact, lastname="Ax", emailaddress1=scene.address("elsewhere"))
    lead = scene.add_row("lead", lastname="Namesake", emailaddress1=scene.address("cy"))
    yield
    assert ("contact", cy, contact) in scene.live()  # D48
    assert scene.person_of(lead) != cy


@together()
def test_an_edit_of_a_merge_loser_survives_while_another_value_keeps_the_record_from_being_written(
    scene: Scene,
) -> Story:
    bo, lead = scene.person("bo"), scene.record("bo")
    scene.merge_rows("lead", lead, scene.record("ann"))
    scene.world.edit_person(scene.person("ann"), title="CTO")
    scene.world.edit_person(bo, annualRevenue=-5)
    yield
    assert (shown(scene.world, bo, "title"), column(scene.world, "lead", lead, "jobtitle")) == ("CTO", None)
    scene.world.edit_person(bo, doNotCall=True)  # refused with the rest: what waits is planned anew
    yield
    scene.world.edit_row("lead", lead, mobilephone="+46 8")
    yield
    assert (shown(scene.world, bo, "title"), shown(scene.world, bo, "mobilePhone")) == ("CTO", "+46 8")
    scene.world.edit_person(bo, annualRevenue=5)
    yield
    assert column(scene.world, "lead", lead, "jobtitle") == "CTO"


@together()
def test_a_contact_merged_into_one_that_a_lead_just_became_loses_to_the_person_of_the_lead(scene: Scene) -> Story:
    lead = scene.add_row("lead", lastname="New", emailaddress1=scene.address("new"))
    yield
    person, contact = scene.person_of(lead), scene.qualify(lead)
    assert contact
    scene.merge_rows("contact", contact, scene.record("cy"))
    yield
    assert {link[1:] for link in scene.live() if link[2] == contact} == {(person, contact)}  # D42
    flags = scene.shown(scene.person("cy"))
    assert flags
    assert (flags["IsDeleted"], flags["MergedInto"]) == (True, contact)


def test_an_opt_out_that_we_wrote_to_a_person_merged_away_since_is_nobodys_fresh_one(scene: Scene) -> None:
    ann, bo = scene.person("ann"), scene.person("bo")
    scene.world.edit_row("lead", scene.record("ann"), donotbulkemail=True)
    scene.world.edit_person(bo, unsubscribed=False)  # a value of its own, which no merge fills
    scene.world.run()
    assert shown(scene.world, ann, "unsubscribed") is True
    scene.merge_persons(bo, ann)
    scene.settled()
    assert shown(scene.world, bo, "unsubscribed") is False
    assert column(scene.world, "lead", scene.record("bo"), "donotbulkemail") is False


@together()
def test_a_request_in_the_cycle_of_the_deletion_of_a_merges_winner_makes_a_new_record(scene: Scene) -> Story:
    ann, bo = scene.person("ann"), scene.record("bo")
    scene.merge_rows("lead", bo, scene.record("ann"))
    yield
    scene.world.delete_row("lead", bo)
    request_persons(scene.world.engine, [ann], "lead", source="test", token="of the loser")
    yield
    shows = scene.shown(ann)
    assert shows
    assert (shows["Type"], shows["IsDeleted"], shows["MergedInto"]) == ("Lead", False, None)  # R79
    assert shows["Id"] not in {bo, scene.record("ann")}


@together()
def test_a_request_in_the_cycle_of_anothers_deletion_gets_the_record_that_is_free_now(scene: Scene) -> Story:
    record, twin = scene.record("cy"), scene.add_person(email=scene.address("cy"), lastName="Twin")
    request_persons(scene.world.engine, [twin], "lead", source="test", token=scene.address("twin"))
    scene.world.delete_person(scene.person("cy"))
    yield
    assert ("contact", twin, record) in scene.live()  # D24
    assert ("contact", scene.person("cy"), record, "person_deleted") in scene.links()
    shows = scene.shown(twin)
    assert shows
    assert shows["Id"] == record


@together()
def test_a_survivor_whose_record_was_deleted_shows_no_record_that_took_its_place(scene: Scene) -> Story:
    winner, loser = scene.record("cy"), scene.record("di")
    scene.merge_rows("contact", winner, loser)
    yield
    scene.merge_persons(scene.person("cy"), scene.person("di"))  # Marketo fills Merged Into from the other one
    scene.world.delete_row("contact", winner)
    yield
    assert scene.shown(scene.person("cy")) == {"Id": winner, "Type": "Contact", "IsDeleted": True, "MergedInto": None}


@together()
def test_a_record_merged_away_gets_nobody_when_the_survivor_of_its_person_is_deleted(scene: Scene) -> Story:
    record = scene.record("cy")
    scene.merge_persons(scene.person("di"), scene.person("cy"))
    yield
    scene.world.delete_person(scene.person("di"))
    scene.world.movable.advance(10)
    scene.merge_rows("contact", scene.record("di"), record)
    yield
    assert not [link for link in scene.live() if link[2] == record]  # R71
    assert len([link for link in scene.live() if link[2] == scene.record("di")]) == 1  # R77


@pytest.mark.parametrize("entity", ["lead", "contact"])
@together()
def test_a_record_that_arrives_belongs_to_the_person_of_its_address_whose_own_was_refused(
    scene: Scene, entity: str
) -> Story:
    asking = scene.add_person(email=scene.address("new"), lastName="New", title="x" * 101)
    request_persons(scene.world.engine, [asking], "contact", source="test", token=scene.address("new"))
    yield
    assert [row["field"] for row in scene.activities(open_only=True)] == ["title"]
    by_hand = scene.add_row(entity, lastname="Typed", emailaddress1=scene.address("new").upper(), jobtitle="CTO")
    yield
    assert (entity, asking, by_hand) in scene.live()  # D13, D24
    assert [person["id"] for person in scene.world.persons_by("email", scene.address("new"))] == [asking]
    shows = scene.shown(asking)
    assert shows
    assert (shows["Id"], shows["Type"]) == (by_hand, entity.capitalize())
    scene.world.edit_person(asking, title="CFO")
    yield
    assert column(scene.world, entity, by_hand, "jobtitle") == "CFO"
    assert scene.activities(open_only=True) == []
    assert len(scene.world.rows(entity, f"emailaddress1 eq '{scene.address('new')}'")) == 1


@together()
def test_a_request_in_the_cycle_of_a_merge_of_persons_gets_the_record_that_is_free_now(scene: Scene) -> Story:
    record, twin = scene.record("cy"), scene.add_person(email=scene.address("cy"), lastName="Twin")
    scene.merge_persons(scene.person("di"), scene.person("cy"))
    request_persons(scene.world.engine, [twin], "contact", source="test", token=scene.address("twin"))
    yield
    assert {("contact", twin, record), ("contact", scene.person("di"), scene.record("di"))} <= scene.live()  # D24, D44


@together()
def test_what_is_left_of_a_first_link_is_no_edit_that_a_merge_hands_to_the_winner(scene: Scene) -> Story:
    free = scene.add_person(email=scene.address("free"), lastName="Free", title="x" * 101, city="Free town")
    loser = scene.add_row("lead", lastname="Loser", emailaddress1=scene.address("free"))
    yield
    assert ("lead", free, loser) in scene.live()
    scene.merge_rows("lead", scene.record("ann"), loser)
    yield
    assert shown(scene.world, scene.person("ann"), "lastName") == "Ax"
    assert column(scene.world, "lead", scene.record("ann"), "address1_city") is None
    assert scene.activities(open_only=True) == [
        row for row in scene.activities(open_only=True) if row["code"] == "merge_proposed"
    ]


@together()
def test_a_person_whose_record_was_refused_takes_the_one_that_a_merge_brings(scene: Scene) -> Story:
    asking = scene.add_person(email=scene.address("new"), lastName="New", title="x" * 101)
    request_persons(scene.world.engine, [asking], "contact", source="test", token=scene.address("new"))
    yield
    scene.merge_persons(asking, scene.person("ann"))
    scene.world.edit_person(asking, title="CTO")
    yield
    mine = [link for link in scene.live() if link[1] == asking]
    assert mine == [("lead", asking, scene.record("ann"))]  # R48
    assert not scene.world.rows("contact", f"emailaddress1 eq '{scene.address('new')}'")
    assert column(scene.world, "lead", scene.record("ann"), "jobtitle") == "CTO"
    assert scene.activities(open_only=True) == []


@together()
def test_a_person_whose_record_was_refused_leaves_the_wish_to_the_one_it_is_merged_into(scene: Scene) -> Story:
    asking = scene.add_person(email=scene.address("new"), lastName="New", title="x" * 101)
    free = scene.add_person(email=scene.address("free"), lastName="Free", title="CTO")
    request_persons(scene.world.engine, [asking], "contact", source="test", token=scene.address("new"))
    yield
    scene.merge_persons(free, asking)
    yield
    (made,) = [link[2] for link in scene.live() if link[1] == free]
    assert made
    assert column(scene.world, "contact", made, "jobtitle") == "CTO"
    assert scene.activities(open_only=True) == []


@pytest.mark.parametrize("became", ["qualified", "merged"])
@together()
def test_who_loses_the_record_to_another_goes_on_with_one_of_its_address_that_arrives_at_once(
    scene: Scene, became: str
) -> Story:
    person, record = scene.person("ann"), scene.record("ann")
    if became == "merged":
        scene.merge_rows("lead", scene.record("bo"), record)
    else:
        contact = f"/contacts({scene.record('cy')})"
        scene.world.edit_row("lead", record, **{"parentcontactid@odata.bind": contact})
        scene.qualify(record, create_contact=False)
    twin = scene.add_row("lead", lastname="Twin", emailaddress1=scene.address("ann"))
    yield
    assert ("lead", person, twin) in scene.live()  # D13
    assert scene.shown(person) == {"Id": twin, "Type": "Lead", "IsDeleted": False, "MergedInto": None}
    assert [row["code"] for row in scene.activities(open_only=True)] == []


@together()
def test_a_record_that_arrives_for_a_person_whose_own_was_refused_is_a_first_link(scene: Scene) -> Story:
    asking = scene.add_person(email=scene.address("new"), lastName="New", title="x" * 101, doNotCall=False)
    request_persons(scene.world.engine, [asking], "contact", source="test", token=scene.address("new"))
    yield
    by_hand = scene.add_row("contact", lastname="Typed", emailaddress1=scene.address("new"), donotphone=True)
    yield
    assert ("contact", asking, by_hand) in scene.live()
    found = scene.world.ledger(asking, "doNotCall")
    assert {(row["after"], row["lost"], row["rule"]) for row in found if row["lost"]} == {("true", "false", "D4")}


@together()
def test_a_record_merged_away_before_it_had_a_person_gets_none_when_the_winner_is_deleted(scene: Scene) -> Story:
    before = scene.count()
    loser = scene.add_row("contact", lastname="Loser", emailaddress1=scene.address("loser"))
    scene.merge_rows("contact", scene.record("cy"), loser)
    yield
    scene.world.delete_row("contact", scene.record("cy"))  # and Dynamics forgets into which one the loser went
    yield
    assert scene.count() == before  # R71, R79
    assert not scene.world.persons_by("microsoftId", loser)


@together()
def test_a_record_updated_after_the_last_of_its_merged_persons_was_deleted_gets_a_new_person(scene: Scene) -> Story:
    record, free = scene.record("di"), scene.add_person(email=scene.address("free"), lastName="Free")
    scene.merge_persons(scene.person("cy"), scene.person("di"))
    yield
    scene.merge_persons(free, scene.person("cy"))
    scene.world.delete_person(free)
    scene.world.movable.advance(10)
    scene.world.edit_row("contact", record, jobtitle="later")
    yield
    assert len([link for link in scene.live() if link[2] == record]) == 1  # R77
