"""A lead that is qualified goes on as a contact: same person, other winner, nothing lost on the way (R66-R70)."""

from __future__ import annotations

from pathlib import Path

import pytest

from include.leadsync.clients.transport import HttpRequest, HttpResponse
from include.leadsync.requests import request_persons
from tests.engine.lifecycle import Scene, copy_of
from tests.engine.play import column, shown
from tests.engine.together import Story, together
from tests.world_transport import ConnectionDropped


@together()
def test_the_person_of_a_qualified_lead_goes_on_with_the_contact(scene: Scene) -> Story:
    person, lead = scene.person("ann"), scene.record("ann")
    people = len(scene.world.persons_by("email", scene.address("ann")))
    contact = scene.qualify(lead)
    yield
    assert scene.shown(person) == {"Id": contact, "Type": "Contact", "IsDeleted": False, "MergedInto": None}
    assert len(scene.world.persons_by("email", scene.address("ann"))) == people
    links = scene.links()
    assert ("contact", person, contact, "active") in links
    assert ("lead", person, lead, "converted") in links
    assert [row["rule"] for row in scene.world.ledger(person) if row["kind"] == "converted"] == ["D36"]
    assert scene.said() == [("converted", "D36")]


def test_the_winner_flips_in_the_cycle_that_sees_the_conversion(scene: Scene) -> None:
    person, lead = scene.person("ann"), scene.record("ann")
    contact = scene.qualify(lead)
    assert contact
    scene.world.edit_person(person, title="from Marketo")
    scene.world.edit_row("contact", contact, jobtitle="from Dynamics")
    scene.world.run()
    assert shown(scene.world, person, "title") == "from Dynamics"
    assert [row["rule"] for row in scene.world.ledger(person, "title") if row["kind"] == "collision"] == ["R41"]


@pytest.mark.parametrize("first", ["lead", "contact"])
@together()
def test_it_does_not_matter_which_of_the_two_is_seen_first(scene: Scene, first: str) -> Story:
    person, lead = scene.person("ann"), scene.record("ann")

    def close_the_lead() -> str | None:
        scene.world.edit_row("lead", lead, statecode=1, statuscode=3)
        return None

    def make_the_contact() -> str | None:
        origin = {"originatingleadid@odata.bind": f"/leads({lead})"}
        return scene.add_row("contact", lastname="Ax", emailaddress1=scene.address("ann"), **origin)

    steps = [close_the_lead, make_the_contact]
    made = []
    for step in steps if first == "lead" else steps[::-1]:
        made.append(step())
        yield
    (contact,) = filter(None, made)
    assert scene.shown(person) == {"Id": contact, "Type": "Contact", "IsDeleted": False, "MergedInto": None}
    assert len(scene.world.persons_by("email", scene.address("ann"))) == 1


@together()
def test_changes_on_their_way_to_the_lead_reach_the_contact_or_are_reported_as_dropped(scene: Scene) -> Story:
    person, lead = scene.person("ann"), scene.record("ann")
    scene.world.edit_person(person, title="typed just before", rating="Hot")
    contact = scene.qualify(lead)
    assert contact
    yield
    assert column(scene.world, "contact", contact, "jobtitle") == "typed just before"
    assert column(scene.world, "lead", lead, "jobtitle") is None
    dropped = [row for row in scene.activities() if row["code"] == "dropped_by_conversion"]
    assert [(row["field"], row["value"], row["rule"], row["person_id"]) for row in dropped] == [
        ("rating", "Hot", "D38", person)
    ]


@together()
def test_what_the_qualification_leaves_empty_or_opted_in_takes_nothing_from_the_person(scene: Scene) -> Story:
    person, lead = scene.person("ann"), scene.record("ann")
    scene.world.edit_person(person, title="CTO", unsubscribed=True)
    yield
    contact = scene.qualify(lead)
    assert contact
    scene.world.edit_row("contact", contact, jobtitle=None, donotbulkemail=False)
    yield
    assert (shown(scene.world, person, "title"), shown(scene.world, person, "unsubscribed")) == ("CTO", True)
    assert column(scene.world, "contact", contact, "jobtitle") == "CTO"
    assert column(scene.world, "contact", contact, "donotbulkemail") is True


@together()
def test_edits_after_the_conversion_move_between_person_and_contact_and_the_lead_is_left_alone(scene: Scene) -> Story:
    person, lead = scene.person("ann"), scene.record("ann")
    contact = scene.qualify(lead)
    assert contact
    yield
    scene.world.edit_person(person, title="CTO")
    scene.world.edit_row("contact", contact, address1_city="Malmö")
    scene.world.edit_row("lead", lead, jobtitle="nobody cares")
    yield
    assert column(scene.world, "contact", contact, "jobtitle") == "CTO"
    assert (shown(scene.world, person, "title"), shown(scene.world, person, "city")) == ("CTO", "Malmö")
    scene.world.delete_row("lead", lead)
    yield
    assert scene.shown(person) == {"Id": contact, "Type": "Contact", "IsDeleted": False, "MergedInto": None}


@pytest.mark.parametrize(
    ("name", "closed", "opened"),
    [("ann", {"statecode": 2, "statuscode": 4}, {"statecode": 0, "statuscode": 1}),
     ("cy", {"statecode": 1, "statuscode": 2}, {"statecode": 0, "statuscode": 1})],
)  # fmt: skip
@together()
def test_nothing_is_written_to_a_closed_record_until_it_is_opened_again(
    scene: Scene, name: str, closed: dict[str, int], opened: dict[str, int]
) -> Story:
    person, record = scene.person(name), scene.record(name)
    entity = "lead" if name == "ann" else "contact"
    scene.world.edit_row(entity, record, **closed)
    yield
    status = shown(scene.world, person, "leadStatus")
    assert status == ("Disqualified" if entity == "lead" else "Inactive")
    assert shown(scene.world, person, "microsoftIsDeleted") is False
    scene.world.edit_person(person, title="waits", unsubscribed=True)
    yield
    assert column(scene.world, entity, record, "jobtitle") is None
    assert column(scene.world, entity, record, "statecode") == closed["statecode"]
    assert set(scene.said(open_only=True)) == {("closed_record", "D59")}
    scene.world.edit_row(entity, record, **opened)
    yield
    assert column(scene.world, entity, record, "jobtitle") == "waits"
    assert column(scene.world, entity, record, "donotbulkemail") is True
    assert scene.said(open_only=True) == []


@together()
def test_a_lead_qualified_without_a_contact_keeps_its_person_and_is_not_written_to(scene: Scene) -> Story:
    person, lead = scene.person("ann"), scene.record("ann")
    scene.world.edit_row("lead", lead, jobtitle="last word")
    scene.qualify(lead, create_contact=False)
    yield
    scene.world.edit_person(person, city="waits")
    yield
    assert shown(scene.world, person, "title") == "last word"
    assert shown(scene.world, person, "microsoftType") == "Lead"
    assert column(scene.world, "lead", lead, "address1_city") is None
    assert scene.said(open_only=True) == [("closed_record", "D59")]


def into(scene: Scene, lead: str, contact: str) -> Story:
    """Qualify a lead into a contact that is there."""
    scene.world.edit_row("lead", lead, **{"parentcontactid@odata.bind": f"/contacts({contact})"})
    yield
    scene.qualify(lead)


@together()
def test_qualified_into_a_contact_without_a_person_the_link_goes_there(scene: Scene) -> Story:
    person, lead, contact = scene.person("ann"), scene.record("ann"), scene.record("cy")
    scene.world.delete_person(scene.person("cy"))
    yield
    yield from into(scene, lead, contact)
    yield
    assert scene.shown(person) == {"Id": contact, "Type": "Contact", "IsDeleted": False, "MergedInto": None}
    assert shown(scene.world, person, "firstName") == "Cy"


@together()
def test_qualified_into_a_contact_with_a_person_that_person_stays_and_a_merge_is_proposed(scene: Scene) -> Story:
    ann, cy, contact = scene.person("ann"), scene.person("cy"), scene.record("cy")
    lead = scene.record("ann")
    scene.world.edit_row("lead", lead, **{"parentcontactid@odata.bind": f"/contacts({contact})"})
    yield
    scene.world.edit_person(ann, title="typed just before", rating="Hot")
    scene.qualify(lead)
    yield
    assert scene.shown(cy) == {"Id": contact, "Type": "Contact", "IsDeleted": False, "MergedInto": None}
    assert scene.shown(ann) == {"Id": lead, "Type": "Lead", "IsDeleted": False, "MergedInto": contact}
    assert ("lead", ann, lead, "converted") in scene.links()
    assert scene.said(open_only=True) == [("merge_proposed", "D37")]
    assert column(scene.world, "contact", contact, "jobtitle") == "typed just before"
    assert shown(scene.world, cy, "title") == "typed just before"
    assert ("dropped_by_conversion", "D38") in scene.said()
    scene.merge_persons(cy, ann)
    yield
    assert scene.said(open_only=True) == []
    assert scene.shown(cy) == {"Id": contact, "Type": "Contact", "IsDeleted": False, "MergedInto": None}


@together(lifecycle={"conversion_into_linked": "merge_in_marketo"})
def test_told_to_merge_the_sync_merges_the_leads_person_into_the_contacts(scene: Scene) -> Story:
    ann, cy, contact = scene.person("ann"), scene.person("cy"), scene.record("cy")
    yield from into(scene, scene.record("ann"), contact)
    yield
    assert scene.shown(ann) is None
    assert scene.shown(cy) == {"Id": contact, "Type": "Contact", "IsDeleted": False, "MergedInto": None}
    assert scene.said(open_only=True) == []


def test_a_conversion_of_ones_own_is_found_by_the_configured_reference(prepared: Path, tmp_path: Path) -> None:
    with copy_of(prepared, tmp_path / "scene", {"lifecycle": {"conversion_reference": "employeeid"}}) as scene:
        person, lead = scene.person("ann"), scene.record("ann")
        mine = {"lastname": "Ax", "emailaddress1": "ann@example.com", "employeeid": f"{{{lead.upper()}}}"}
        contact = scene.world.add_row("contact", **mine)
        scene.settled()
        assert scene.shown(person) == {"Id": contact, "Type": "Contact", "IsDeleted": False, "MergedInto": None}
        assert len(scene.world.persons_by("email", "ann@example.com")) == 1


FILTERS = {
    "lead": {"records": [{"column": "websiteurl", "operator": "not_one_of", "values": ["https://no.example"]}]},
    "contact": {"records": [{"column": "nickname", "operator": "not_one_of", "values": ["no"]}]},
}


@pytest.mark.parametrize(
    ("lead_allowed", "contact_allowed", "kind", "persons", "city"),
    [
        (False, False, "Lead", 1, None),  # nothing is synced
        (True, True, "Contact", 1, "Oslo"),  # the person goes on as contact
        (False, True, "Lead", 2, None),  # a new person is created for the contact
        (True, False, "Lead", 1, "Oslo"),  # the lead's own last changes arrive, the contact is not synced
    ],
)
@together(filter=FILTERS)
def test_the_filters_of_lead_and_contact_decide_what_a_qualification_does(
    scene: Scene, lead_allowed: bool, contact_allowed: bool, kind: str, persons: int, city: str | None
) -> Story:
    person, lead = scene.person("ann"), scene.record("ann")
    if not lead_allowed:
        scene.world.edit_row("lead", lead, websiteurl="https://no.example")
        yield
    scene.world.edit_row("lead", lead, address1_city="Oslo")
    contact = scene.qualify(lead)
    assert contact
    if not contact_allowed:
        scene.world.edit_row("contact", contact, nickname="no")
    yield
    assert shown(scene.world, person, "microsoftType") == kind
    assert shown(scene.world, person, "city") == city
    found = scene.world.persons_by("email", scene.address("ann"))
    assert len(found) == persons
    if persons == 2:
        (other,) = (row["id"] for row in found if row["id"] != person)
        assert ("contact", other, contact) in scene.live()
    if (lead_allowed, contact_allowed) == (True, False):
        scene.world.edit_row("contact", contact, nickname="yes")
        yield
        assert ("contact", person, contact) in scene.live()


@together()
def test_a_lead_opened_again_is_reported_and_the_person_stays_with_the_contact(scene: Scene) -> Story:
    person, lead = scene.person("ann"), scene.record("ann")
    contact = scene.qualify(lead)
    yield
    for _ in range(2):
        scene.world.edit_row("lead", lead, statecode=0, statuscode=1, jobtitle="again a lead")
        yield
    assert scene.shown(person) == {"Id": contact, "Type": "Contact", "IsDeleted": False, "MergedInto": None}
    assert shown(scene.world, person, "title") is None
    assert scene.said(open_only=True) == [("lead_reactivated", "D41")]
    scene.world.edit_row("lead", lead, statecode=2, statuscode=4)
    yield
    assert scene.said(open_only=True) == []


def test_a_lead_just_requested_and_qualified_before_we_heard_of_it_has_one_person(scene: Scene) -> None:
    person = scene.world.add_person(email="new@example.com", firstName="New", lastName="One", company="Acme")
    request_persons(scene.world.engine, [person], "lead", source="test", token="1")

    def lost(request: HttpRequest, response: HttpResponse) -> HttpResponse:
        if "$batch" in request.url and b"new@example.com" in (request.body or b""):
            scene.world.transport.after.clear()
            raise ConnectionDropped
        return response

    scene.world.transport.after.append(lost)
    scene.world.run()
    (lead,) = scene.world.rows("lead", "emailaddress1 eq 'new@example.com'")
    contact = scene.qualify(lead["leadid"])
    scene.settled()
    assert scene.shown(person) == {"Id": contact, "Type": "Contact", "IsDeleted": False, "MergedInto": None}
    assert len(scene.world.persons_by("email", "new@example.com")) == 1
    assert [row["code"] for row in scene.world.activities() if row["operation"] == "sync_person"] == ["created"]


@together()
def test_a_lead_made_and_qualified_between_two_cycles_is_one_person(scene: Scene) -> Story:
    lead = scene.add_row("lead", subject="s", lastname="Quick", emailaddress1=scene.address("quick"))
    contact = scene.qualify(lead)
    yield
    (person,) = scene.world.persons_by("email", scene.address("quick"))
    assert shown(scene.world, person["id"], "microsoftId") == contact


@together()
def test_a_person_deleted_while_its_lead_is_qualified_is_made_anew_for_the_contact(scene: Scene) -> Story:
    person, lead = scene.person("ann"), scene.record("ann")
    scene.world.delete_person(person)
    contact = scene.qualify(lead)
    yield
    (again,) = scene.world.persons_by("email", scene.address("ann"))
    assert again["id"] != person
    assert scene.shown(again["id"]) == {"Id": contact, "Type": "Contact", "IsDeleted": False, "MergedInto": None}
