"""Change tracking (V25-V30)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import unquote

import pytest

from tests.sandbox.dynamics.conftest import Org, code, content, header, message

TRACK = {"Prefer": "odata.track-changes"}


def _start(org: Org, path: str = "leads?$select=lastname") -> str:
    answer = org.read(path, TRACK)
    while "@odata.nextLink" in answer:
        answer = org.read(answer["@odata.nextLink"], TRACK)
    return str(answer["@odata.deltaLink"])


def _pages(org: Org, link: str, prefer: str) -> tuple[list[dict[str, Any]], str]:
    rows: list[dict[str, Any]] = []
    answer = org.read(link, {"Prefer": prefer})
    while "@odata.nextLink" in answer:
        assert "@odata.deltaLink" not in answer
        rows += answer["value"]
        answer = org.read(answer["@odata.nextLink"], {"Prefer": prefer})
    return rows + answer["value"], str(answer["@odata.deltaLink"])


def test_a_full_run_ends_in_a_delta_link_on_the_last_page_only(org: Org) -> None:
    """V25."""
    ids = {org.create("leads", {"lastname": str(number)}) for number in range(5)}
    response = org.get("leads?$select=lastname", {"Prefer": "odata.track-changes, odata.maxpagesize=2"})
    assert header(response, "Preference-Applied") == "odata.track-changes, odata.maxpagesize=2"
    assert 'istracking="True"' in unquote(content(response)["@odata.nextLink"])
    rows, link = _pages(org, "leads?$select=lastname", "odata.track-changes, odata.maxpagesize=2")
    assert {row["leadid"] for row in rows} == ids
    assert len(rows) == 5
    assert "$select=lastname&$deltatoken=" in link
    assert "03%2f04%2f2026%2005%3a06%3a07" in link


def test_changed_rows_come_once_then_deletions_with_three_members(org: Org) -> None:
    """V26."""
    gone = org.create("leads", {"lastname": "gone"})
    kept = org.create("leads", {"lastname": "kept"})
    org.create("leads", {"lastname": "quiet"})
    link = _start(org)
    org.change(f"leads({kept})", {"jobtitle": "x"})
    org.call("DELETE", f"leads({gone})")
    fresh = org.create("leads", {"lastname": "fresh"})
    org.change(f"leads({kept})", {"jobtitle": "y"})
    answer = org.read(link, TRACK)
    root = "https://org.example/api/data/v9.2/$metadata"
    assert answer["@odata.context"] == f"{root}#leads(lastname)/$delta"
    first, second, third = answer["value"]
    assert [first["leadid"], second["leadid"]] == [fresh, kept]
    assert "@odata.context" not in first
    assert third == {"@odata.context": f"{root}#leads/$deletedEntity", "id": gone, "reason": "deleted"}
    assert answer["@odata.deltaLink"] != link


def test_nothing_changed_is_an_empty_value_with_a_new_link(org: Org) -> None:
    """V26."""
    link = _start(org)
    org.create("contacts", {"lastname": "other table"})
    org.clock.advance(60)
    answer = org.read(link, TRACK)
    assert answer["value"] == []
    assert answer["@odata.deltaLink"] != link


@pytest.mark.parametrize("size", [1, 2, 3, 4, 7])
def test_a_delta_is_paged_without_loss(org: Org, size: int) -> None:
    """V27."""
    doomed = [org.create("leads", {"lastname": f"d{number}"}) for number in range(3)]
    link = _start(org)
    made = [org.create("leads", {"lastname": f"n{number}"}) for number in range(4)]
    for lead in doomed:
        org.call("DELETE", f"leads({lead})")
    rows, next_link = _pages(org, link, f"odata.track-changes,odata.maxpagesize={size}")
    assert [row.get("leadid") for row in rows[:4]] == made
    assert [row.get("id") for row in rows[4:]] == doomed
    assert org.values(next_link) == []


def test_changes_while_paging_come_with_the_next_delta(org: Org) -> None:
    """V25, V27: what moves behind the reader is not lost."""
    for number in range(4):
        org.create("leads", {"leadid": f"0000000{number}-0000-4000-8000-000000000000", "lastname": str(number)})
    prefer = {"Prefer": "odata.track-changes,odata.maxpagesize=2"}
    first = org.read("leads?$select=lastname", prefer)
    seen = first["value"][0]["leadid"]
    org.change(f"leads({seen})", {"lastname": "changed"})
    org.call("DELETE", "leads(00000003-0000-4000-8000-000000000000)")
    second = org.read(first["@odata.nextLink"], prefer)
    delta = org.values(second["@odata.deltaLink"])
    assert delta[0]["leadid"] == seen
    assert delta[0]["lastname"] == "changed"
    assert delta[1]["reason"] == "deleted"


def test_the_token_is_read_in_every_spelling(org: Org) -> None:
    """V27."""
    link = _start(org)
    lead = org.create("leads", {"lastname": "Ax"})
    path = "/api/data/v9.2/leads"
    token = unquote(link.split("$deltatoken=")[1])
    spellings = [
        f"{path}?$select=lastname&$deltatoken={token.replace('!', '%21').replace(' ', '+').replace('/', '%2F')}",
        f"{path}?%24select=lastname&%24deltatoken={token.replace(' ', '%20')}",
        f"{path}?$deltatoken={token.replace(' ', '%20')}",
    ]
    for spelling in spellings:
        assert [row["leadid"] for row in org.values(spelling)] == [lead]
    assert "emailaddress1" in org.values(spellings[2])[0]


def test_changes_are_counted(org: Org) -> None:
    """V27."""
    gone = org.create("leads", {"lastname": "gone"})
    token = _start(org).split("$deltatoken=")[1]
    org.create("leads", {"lastname": "Ax"})
    org.call("DELETE", f"leads({gone})")
    response = org.get(f"leads/$count?$deltatoken={token}")
    assert (response.body, header(response, "Content-Type")) == (b"2", "text/plain")


@pytest.mark.parametrize("option", ["filter", "orderby", "expand", "top"])
def test_other_options_do_not_go_with_tracking(org: Org, option: str) -> None:
    """V28."""
    value = {"filter": "lastname eq 'x'", "orderby": "lastname", "expand": "ownerid", "top": "5"}[option]
    response = org.get("leads", TRACK, **{option: value})
    assert response.status == 400
    expected = f'The "{option}" query parameter isn\'t supported when Change Tracking is enabled.'
    assert message(response) == expected


def test_a_token_expires_after_the_retention(make_org: Callable[..., Org]) -> None:
    """V29."""
    org = make_org(retention_days=2)
    link = _start(org)
    org.clock.advance(2 * 86400 - 10)
    org.sign_in()
    assert org.get(link).status == 200
    org.clock.advance(11)
    response = org.get(link)
    assert (response.status, code(response)) == (400, "0x80044352")
    org.control("set_options", expired_token_status=410)
    assert org.get(link).status == 410


def test_a_metadata_change_of_the_table_ends_its_tokens(org: Org) -> None:
    """V29, V61."""
    leads, contacts = _start(org), _start(org, "contacts?$select=lastname")
    org.control("set_metadata", entity="lead", attribute="lastname", changes={"max_length": 60})
    assert code(org.get(leads)) == "0x80044352"
    assert org.get(contacts).status == 200
    assert org.values(_start(org)) == []


def test_tokens_can_be_aged(org: Org) -> None:
    """V29."""
    link = _start(org)
    org.control("age_delta_tokens", entity="lead")
    assert code(org.get(link)) == "0x80044352"


@pytest.mark.parametrize("token", ["nonsense", "12", "1!99/99/2026 00:00:00", ""])
def test_a_garbage_token_is_refused(org: Org, token: str) -> None:
    """V29."""
    assert org.get("leads", deltatoken=token).status == 400


def test_a_table_without_tracking_refuses(org: Org) -> None:
    """V29."""
    org.control("set_metadata", entity="account", changes={"tracking": False})
    response = org.get("accounts", TRACK)
    assert (response.status, code(response)) == (400, "0x80072491")
    assert org.read("EntityDefinitions(LogicalName='account')")["ChangeTrackingEnabled"] is False


def test_tracking_needs_read_of_the_whole_organisation(org: Org) -> None:
    """Section 4.1."""
    org.control("set_privileges", user="sandbox", table="lead", privileges={"read": "user"})
    response = org.get("leads", TRACK)
    assert (response.status, code(response)) == (403, "0x80040220")


def test_created_and_deleted_between_polls_is_one_deletion(org: Org) -> None:
    """V30."""
    link = _start(org)
    lead = org.create("leads", {"lastname": "Ax"})
    org.call("DELETE", f"leads({lead})")
    assert [row.get("id") for row in org.values(link)] == [lead]


def test_deleted_and_created_again_under_its_key_is_one_row(org: Org) -> None:
    """V30."""
    lead = org.create("leads", {"lastname": "Ax"})
    link = _start(org)
    org.call("DELETE", f"leads({lead})")
    org.create("leads", {"leadid": lead, "lastname": "By"})
    assert [row.get("lastname") for row in org.values(link)] == ["By"]


def test_a_patch_with_the_same_values_is_a_change(org: Org) -> None:
    """V30."""
    lead = org.create("leads", {"lastname": "Ax"})
    link = _start(org)
    org.change(f"leads({lead})", {"lastname": "Ax"})
    assert [row["leadid"] for row in org.values(link)] == [lead]


def test_a_delta_may_be_read_again(org: Org) -> None:
    """Section 4.1."""
    link = _start(org)
    org.create("leads", {"lastname": "Ax"})
    assert org.values(link) == org.values(link) != []


def test_annotations_come_in_deltas_too(org: Org) -> None:
    """V15, V26."""
    link = _start(org, "leads?$select=_ownerid_value")
    org.create("leads", {"lastname": "Ax"})
    row = org.read(link, {"Prefer": 'odata.track-changes,odata.include-annotations="*"'})["value"][0]
    assert row["_ownerid_value@OData.Community.Display.V1.FormattedValue"] == "Lead Sync"


@pytest.mark.parametrize("version", ["9" * 19, "9" * 40, "-1", ""])
def test_a_delta_token_with_an_impossible_version_is_garbage(org: Org, version: str) -> None:
    """V29."""
    assert org.get(f"leads?$deltatoken={version}%2103%2f04%2f2026%2005%3a06%3a07").status == 400


@pytest.mark.parametrize("option", ["$apply=groupby((statecode))", "fetchXml=%3Cfetch/%3E"])
def test_groups_and_fetch_xml_are_not_tracked(org: Org, option: str) -> None:
    """V28."""
    response = org.get(f"leads?{option}", {"Prefer": "odata.track-changes"})
    assert (response.status, code(response)) == (400, "0x80060888")


def test_a_cookie_of_one_table_is_none_of_another(org: Org) -> None:
    """V19, V27."""
    for _ in range(2):
        org.create("leads", {"lastname": "Ax"})
    for preference in ("odata.maxpagesize=1", "odata.maxpagesize=1,odata.track-changes"):
        link = org.read("leads", {"Prefer": preference}, select="lastname")["@odata.nextLink"]
        assert org.get(link).status == 200
        assert org.get(link.replace("/leads?", "/contacts?")).status == 400
