"""FetchXML (V65): entity, attributes, filter, order, top, pages with cookies, links, aggregates."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import quote, unquote
from xml.sax.saxutils import quoteattr

import pytest

from include.sandbox.service import Response
from tests.sandbox.dynamics.conftest import Org, code, content

COOKIE = "@Microsoft.Dynamics.CRM.fetchxmlpagingcookie"
MORE = "@Microsoft.Dynamics.CRM.morerecords"
ALL = {"Prefer": 'odata.include-annotations="*"'}


def _get(org: Org, xml: str, headers: Mapping[str, str] | None = None, entity_set: str = "leads") -> Response:
    return org.get(f"{entity_set}?fetchXml={quote(xml, safe='')}", headers)


def _fetch(org: Org, inner: str, head: str = "", headers: Mapping[str, str] | None = None) -> Any:
    answer = _get(org, f"<fetch {head}><entity name='lead'>{inner}</entity></fetch>", headers)
    assert answer.status == 200, answer.body
    return content(answer)


@pytest.fixture
def leads(org: Org) -> Org:
    account = org.create("accounts", {"name": "Acme"})
    org.create("leads", {"lastname": "Ax", "leadsourcecode": 8, "parentaccountid@odata.bind": f"/accounts({account})"})
    org.create("leads", {"lastname": "By", "leadsourcecode": 1, "jobtitle": "CTO"})
    org.create("leads", {"lastname": "Café", "firstname": "Zoë"})
    return org


def test_attributes_are_chosen_and_ordered(leads: Org) -> None:
    """V65: properties without a value are left out."""
    inner = "<attribute name='lastname'/><attribute name='jobtitle'/><order attribute='lastname' descending='true'/>"
    answer = _fetch(leads, inner, "top='2'")
    assert answer["@odata.context"].endswith("#leads(lastname,jobtitle,leadid)")
    assert [row["lastname"] for row in answer["value"]] == ["Café", "By"]
    assert list(answer["value"][0]) == ["@odata.etag", "lastname", "leadid"]
    assert answer["value"][1]["jobtitle"] == "CTO"


def test_without_attributes_every_column_is_shown(leads: Org) -> None:
    """V65."""
    assert _fetch(leads, "")["value"][0]["statecode"] == 0
    assert _fetch(leads, "<all-attributes/>")["value"][0]["statuscode"] == 1


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        ("attribute='lastname' operator='eq' value='cafe'", ["Café"]),
        ("attribute='leadsourcecode' operator='ne' value='8'", ["By", "Café"]),
        ("attribute='lastname' operator='like' value='%x'", ["Ax"]),
        ("attribute='lastname' operator='not-like' value='%x'", ["By", "Café"]),
        ("attribute='lastname' operator='begins-with' value='b'", ["By"]),
        ("attribute='lastname' operator='not-end-with' value='x'", ["By", "Café"]),
        ("attribute='jobtitle' operator='null'", ["Ax", "Café"]),
        ("attribute='jobtitle' operator='not-null'", ["By"]),
        ("attribute='createdon' operator='today'", ["Ax", "By", "Café"]),
        ("attribute='createdon' operator='last-x-days' value='3'", ["Ax", "By", "Café"]),
        ("attribute='createdon' operator='olderthan-x-months' value='3'", []),
        ("attribute='createdon' operator='on-or-after' value='2026-03-05'", []),
        ("attribute='ownerid' operator='eq-userid'", ["Ax", "By", "Café"]),
        ("attribute='ownerid' operator='eq-useroruserteams'", ["Ax", "By", "Café"]),
        ("attribute='ownerid' operator='eq-userteams'", []),
        ("attribute='ownerid' operator='eq-businessid'", []),
        ("attribute='firstname' operator='eq' valueof='lastname'", []),
        ("attribute='leadsourcecode' operator='ge' value='1'", ["Ax", "By"]),
    ],
)
def test_conditions_choose_rows(leads: Org, condition: str, expected: list[str]) -> None:
    """V65."""
    inner = f"<attribute name='lastname'/><filter><condition {condition}/></filter>"
    assert [row["lastname"] for row in _fetch(leads, inner)["value"]] == expected


def test_filters_nest_and_lists_are_given_as_values(leads: Org) -> None:
    """V65."""
    inner = (
        "<attribute name='lastname'/><filter type='or'><condition attribute='lastname' operator='eq' value='by'/>"
        "<filter><condition attribute='leadsourcecode' operator='in'><value>8</value><value>9</value></condition>"
        "<condition attribute='jobtitle' operator='null'/></filter></filter>"
    )
    assert [row["lastname"] for row in _fetch(leads, inner)["value"]] == ["Ax", "By"]


def test_pages_follow_their_cookie(leads: Org) -> None:
    """V65: the cookie is unescaped twice and put into the next query, as clients do."""
    inner = "<attribute name='lastname'/><order attribute='lastname'/>"
    seen, head, answer = [], "count='2' page='1'", {}
    for page in (2, 3):
        answer = _fetch(leads, inner, head, ALL)
        seen += [row["lastname"] for row in answer["value"]]
        if MORE not in answer:
            break
        found = re.search('pagingcookie="([^"]*)"', answer[COOKIE])
        assert found is not None
        head = f"count='2' page='{page}' paging-cookie={quoteattr(unquote(unquote(found[1])))}"
    assert seen == ["Ax", "By", "Café"]
    assert COOKIE not in answer
    assert COOKIE not in _fetch(leads, inner, "count='1'")
    assert [row["lastname"] for row in _fetch(leads, inner, "count='2' page='2'")["value"]] == ["Café"]


def test_counts_are_told_when_asked(leads: Org) -> None:
    """V65, V20."""
    total = "@Microsoft.Dynamics.CRM.totalrecordcount"
    assert _fetch(leads, "", "returntotalrecordcount='true' count='1'", ALL)[total] == 3
    assert _fetch(leads, "", "", ALL)[total] == -1


def test_linked_rows_are_joined(leads: Org) -> None:
    """V65."""
    link = "<link-entity name='account' from='accountid' to='parentaccountid' alias='a' link-type='{}'>{}</link-entity>"
    shown = "<attribute name='name'/><attribute name='ownerid'/>"
    rows = _fetch(leads, "<attribute name='lastname'/>" + link.format("outer", shown), "", ALL)["value"]
    assert [row.get("a.name") for row in rows] == ["Acme", None, None]
    assert rows[0]["a.ownerid@OData.Community.Display.V1.FormattedValue"] == "Lead Sync"
    narrowed = "<filter><condition attribute='name' operator='eq' value='acme'/></filter>"
    assert len(_fetch(leads, link.format("inner", narrowed))["value"]) == 1
    elsewhere = "<filter><condition entityname='a' attribute='name' operator='eq' value='Acme'/></filter>"
    assert len(_fetch(leads, link.format("outer", "") + elsewhere)["value"]) == 1
    assert _get(leads, f"<fetch><entity name='lead'>{link.format('any', '')}</entity></fetch>").status == 501


def test_aggregates_are_grouped(leads: Org) -> None:
    """V65."""
    inner = (
        "<attribute name='jobtitle' groupby='true' alias='job'/><attribute name='leadid' aggregate='count' alias='n'/>"
        "<attribute name='leadsourcecode' aggregate='max' alias='top'/><order alias='job' descending='true'/>"
    )
    rows = _fetch(leads, inner, "aggregate='true'")["value"]
    assert rows == [{"job": "CTO", "n": 1, "top": 1}, {"n": 2, "top": 8}]


def _dated(org: Org, *days: str) -> None:
    for day in days:
        org.create("leads", {"estimatedclosedate": day, "overriddencreatedon": f"{day}T23:59:59Z"})


@pytest.mark.parametrize(
    ("part", "expected"),
    [
        ("day", [(1, 1), (3, 1), (4, 1), (31, 1)]),
        ("week", [(1, 2), (2, 1), (53, 1)]),
        ("month", [(1, 3), (12, 1)]),
        ("quarter", [(1, 3), (4, 1)]),
        ("year", [(2025, 1), (2026, 3)]),
        ("fiscal-period", [(202504, 1), (202601, 3)]),
        ("fiscal-year", [(2025, 1), (2026, 3)]),
    ],
)
@pytest.mark.parametrize("column", ["estimatedclosedate", "createdon"])
def test_dates_are_grouped_by_their_parts(org: Org, column: str, part: str, expected: list[tuple[int, int]]) -> None:
    """V65: January 1st of 2026 is a Thursday, so the second week begins on the 4th."""
    _dated(org, "2025-12-31", "2026-01-01", "2026-01-03", "2026-01-04")
    inner = (
        f"<attribute name='{column}' groupby='true' dategrouping='{part}' alias='part'/>"
        "<attribute name='leadid' aggregate='count' alias='n'/><order alias='part'/>"
    )
    rows = _fetch(org, inner, "aggregate='true'")["value"]
    assert [(row["part"], row["n"]) for row in rows] == expected


def test_parts_of_dates_are_formatted_and_nothing_is_a_group(org: Org) -> None:
    """V65."""
    _dated(org, "2026-05-05")
    org.create("leads", {"lastname": "Ax"})
    inner = (
        "<attribute name='estimatedclosedate' groupby='true' dategrouping='fiscal-period' alias='part'/>"
        "<attribute name='leadid' aggregate='count' alias='n'/><order alias='n'/><order alias='part'/>"
    )
    rows = _fetch(org, inner, "aggregate='true'", ALL)["value"]
    assert "part" not in rows[0]
    assert rows[1]["part@OData.Community.Display.V1.FormattedValue"] == "Quarter 2 FY2026"


def test_aggregates_reach_over_links(leads: Org) -> None:
    """V65: groups and measures of the linked table, orders by a measure, annotations of either."""
    inner = (
        "<attribute name='leadid' aggregate='countcolumn' alias='n'/><order alias='n' descending='true'/>"
        "<link-entity name='account' from='accountid' to='parentaccountid' link-type='outer' alias='a'>"
        "<attribute name='name' groupby='true' alias='company'/>"
        "<attribute name='ownerid' groupby='true' alias='owner'/>"
        "<attribute name='accountid' aggregate='countcolumn' distinct='true' alias='companies'/></link-entity>"
    )
    rows = _fetch(leads, inner, "aggregate='true'", ALL)["value"]
    assert [(row["n"], row["companies"], row.get("company")) for row in rows] == [(2, 0, None), (1, 1, "Acme")]
    assert rows[1]["owner@OData.Community.Display.V1.FormattedValue"] == "Lead Sync"
    assert rows[1]["owner@Microsoft.Dynamics.CRM.lookuplogicalname"] == "systemuser"
    narrowed = "<filter><condition entityname='a' attribute='name' operator='not-null'/></filter>"
    assert [row["n"] for row in _fetch(leads, inner + narrowed, "aggregate='true'")["value"]] == [1]
    assert [row["n"] for row in _fetch(leads, inner, "aggregate='true' count='1' page='2'")["value"]] == [1]
    first = _fetch(leads, inner, "aggregate='true' count='1'", ALL)
    assert (len(first["value"]), first[MORE]) == (1, True)


def test_an_aggregate_over_links_counts_joined_rows_against_its_limit(make_org: Callable[..., Org]) -> None:
    """V22, V65."""
    org = make_org(aggregate_limit=2)
    account = org.create("accounts", {"name": "Acme"})
    for _ in range(3):
        org.create("leads", {"parentaccountid@odata.bind": f"/accounts({account})"})
    inner = (
        "<attribute name='name' groupby='true' alias='name'/><link-entity name='lead' from='parentaccountid'"
        " to='accountid'><attribute name='leadid' aggregate='count' alias='n'/></link-entity>"
    )
    answer = _get(org, f"<fetch aggregate='true'><entity name='account'>{inner}</entity></fetch>", None, "accounts")
    assert (answer.status, code(answer)) == (400, "0x8004E023")


@pytest.mark.parametrize(
    "inner",
    [
        "<attribute name='createdon' groupby='true' alias='x'/>",
        "<attribute name='createdon' groupby='true' dategrouping='decade' alias='x'/>",
        "<attribute name='lastname' groupby='true' dategrouping='day' alias='x'/>",
        "<attribute name='lastname' groupby='true'/>",
        "<attribute name='lastname' alias='x'/>",
        "<attribute name='lastname' aggregate='sum' alias='x'/>",
        "<attribute name='lastname' aggregate='median' alias='x'/>",
        "<attribute name='lastname' groupby='true' alias='x'/><attribute name='leadid' aggregate='count' alias='x'/>",
        "<attribute name='lastname' groupby='true' alias='x'/><order attribute='lastname'/>",
        "<attribute name='lastname' groupby='true' alias='x'/><order alias='y'/>",
        "",
    ],
)
def test_aggregates_that_make_no_sense_are_refused(org: Org, inner: str) -> None:
    """V65."""
    answer = _get(org, f"<fetch aggregate='true'><entity name='lead'>{inner}</entity></fetch>")
    assert (answer.status, code(answer)) == (400, "0x80040201")


def test_an_order_may_name_a_link(leads: Org) -> None:
    """V65."""
    link = "<link-entity name='account' from='accountid' to='parentaccountid' link-type='outer' alias='a'/>"
    inner = f"<attribute name='lastname'/><order entityname='a' attribute='name' descending='true'/>{link}"
    assert _fetch(leads, inner)["value"][0]["lastname"] == "Ax"
    for wrong in (f"{link}<order entityname='b' attribute='name'/>", link * 2):
        assert _get(leads, f"<fetch><entity name='lead'>{wrong}</entity></fetch>").status == 400


@pytest.mark.parametrize(
    ("xml", "expected"),
    [
        ("<fetch><entity name='lead'><attribute name='nothing'/></entity></fetch>", "0x80041103"),
        ("<fetch><entity name='lead'><link-entity name='widget' from='a' to='b'/></entity></fetch>", "0x80041102"),
        ("<fetch><entity name='contact'/></fetch>", "0x80040201"),
        ("<fetch><entity name='lead'>", "0x80040201"),
        ("<!DOCTYPE f [<!ENTITY a 'aaaa'>]><fetch><entity name='lead'/></fetch>", "0x80040201"),
        ("<fetch top='x'><entity name='lead'/></fetch>", "0x80040201"),
        ("<fetch top='1' page='2'><entity name='lead'/></fetch>", "0x80040201"),
        ("<fetch paging-cookie='abc'><entity name='lead'/></fetch>", "0x80060888"),
        (
            "<fetch><entity name='lead'><filter><condition attribute='fax' operator='zz'/></filter></entity></fetch>",
            "0x80040201",
        ),
        (f"<fetch><entity name='lead'>{'<filter>' * 60}{'</filter>' * 60}</entity></fetch>", "0x80040201"),
    ],
)
def test_fetch_xml_that_makes_no_sense_is_refused(org: Org, xml: str, expected: str) -> None:
    """V65."""
    answer = _get(org, xml)
    assert (answer.status, code(answer)) == (400, expected)


def test_no_odata_option_stands_beside_fetch_xml(org: Org) -> None:
    """Section 3.4."""
    assert org.get("leads?fetchXml=%3Cfetch%3E%3Centity%20name='lead'/%3E%3C/fetch%3E&$top=1").status == 400
    answer = org.get("leads?sql=select%20lastname%20from%20lead")
    assert answer.status == 501


def test_distinct_shows_every_combination_of_values_once(leads: Org) -> None:
    """V65: without key and etag; with the key it is about rows."""
    leads.create("leads", {"lastname": "Ax", "leadsourcecode": 8})
    inner = "<attribute name='leadsourcecode'/><order attribute='leadsourcecode' descending='true'/>"
    rows = _fetch(leads, inner, "distinct='true'", ALL)["value"]
    assert [row.get("leadsourcecode") for row in rows] == [8, 1, None]
    assert rows[0] == {"leadsourcecode@OData.Community.Display.V1.FormattedValue": "Web", "leadsourcecode": 8}
    link = "<link-entity name='account' from='accountid' to='parentaccountid' link-type='outer' alias='a'>"
    inner = f"<attribute name='lastname'/>{link}<attribute name='name'/></link-entity><order attribute='lastname'/>"
    rows = _fetch(leads, inner, "distinct='true' count='2'", ALL)
    assert rows["value"] == [{"lastname": "Ax"}, {"lastname": "Ax", "a.name": "Acme"}]
    assert rows[MORE]
    assert len(_fetch(leads, "<attribute name='leadid'/><attribute name='statecode'/>", "distinct='1'")["value"]) == 4
    wrong = "<attribute name='statecode'/><order attribute='lastname'/>"
    assert _get(leads, f"<fetch distinct='true'><entity name='lead'>{wrong}</entity></fetch>").status == 400


@pytest.mark.parametrize(
    ("condition", "found"),
    [
        ("attribute='createdon' operator='on' value='9999-12-31'", 0),
        ("attribute='createdon' operator='on-or-before' value='9999-12-31T23:59:59Z'", 3),
        ("attribute='createdon' operator='on-or-after' value='0001-01-01'", 3),
        ("attribute='createdon' operator='next-x-years' value='99999'", 3),
        ("attribute='createdon' operator='last-x-days' value='99999'", 3),
        ("attribute='leadsourcecode' operator='like' value='[7-9]'", 1),
        ("attribute='leadsourcecode' operator='like' value='[^a-'", 0),
        ("attribute='leadsourcecode' operator='begins-with' value='8'", 1),
    ],
)
def test_conditions_hold_at_the_ends_of_the_calendar_and_on_numbers(leads: Org, condition: str, found: int) -> None:
    """V65."""
    assert len(_fetch(leads, f"<filter><condition {condition}/></filter>")["value"]) == found
