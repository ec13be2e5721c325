"""RetrieveDuplicates, BulkDelete, the list of messages, media types and sizes (V54, V58; sections 8, 10, 15)."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

import pytest

from tests.sandbox.dynamics.conftest import NOWHERE, USD, Org, code, content, header

TYPE = "Microsoft.Dynamics.CRM."
BULK = "sdkmessageid/name eq 'CreateMultiple' or sdkmessageid/name eq 'UpdateMultiple'"


def duplicates(org: Org, entity: dict[str, Any], table: str = "lead", **paging: int) -> list[dict[str, Any]]:
    values = {"@p1": entity, "@p2": table, "@p3": {"PageNumber": 1, "Count": 50, **paging}}
    # The vendor's samples write single quotes.
    query = "&".join(f"{name}={quote(json.dumps(value).replace(chr(34), chr(39)))}" for name, value in values.items())
    path = "RetrieveDuplicates(BusinessEntity=@p1,MatchingEntityName=@p2,PagingInfo=@p3)"
    return list(org.read(f"{path}?{query}")["value"])


def test_duplicates_are_shown_without_writing(org: Org) -> None:
    """Section 10."""
    ann = {"emailaddress1": "ann@example.com"}
    first, second = org.create("leads", ann), org.create("leads", {"emailaddress1": "ANN@example.com"})
    org.create("leads", {"emailaddress1": "bo@example.com"})
    org.change(f"leads({org.create('leads', ann)})", {"statecode": 2})
    entity = {"@odata.type": f"{TYPE}lead", **ann}
    assert {row["leadid"] for row in duplicates(org, entity)} == {first, second}
    assert [row["leadid"] for row in duplicates(org, entity | {"leadid": first})] == [second]
    assert duplicates(org, entity, "contact") == []
    assert duplicates(org, {"@odata.type": f"{TYPE}lead", "lastname": "Ax"}) == []
    pages = [duplicates(org, entity, Count=1, PageNumber=page) for page in (1, 2, 3)]
    assert [len(page) for page in pages] == [1, 1, 0]


@pytest.mark.parametrize("query", ["", "?@p1={}&@p2='lead'&@p3={'Count':50}", "?@p1={&@p2='lead'&@p3={'Count':1}"])
def test_duplicates_need_their_parameters(org: Org, query: str) -> None:
    """Section 10."""
    path = f"RetrieveDuplicates(BusinessEntity=@p1,MatchingEntityName=@p2,PagingInfo=@p3){query}"
    assert org.get(path).status == 400


def query_of(table: str, *conditions: tuple[str, str, list[Any]], joint: str = "And") -> dict[str, Any]:
    entries = [
        {"AttributeName": name, "Operator": operator, "Values": [{"Value": value, "Type": "x"} for value in values]}
        for name, operator, values in conditions
    ]
    return {"EntityName": table, "Criteria": {"FilterOperator": joint, "Conditions": entries}}


@pytest.mark.parametrize(
    ("conditions", "joint", "left"),
    [
        ([("lastname", "Equal", ["A"])], "And", {"B", "C"}),
        ([("lastname", "In", ["A", "B"])], "And", {"C"}),
        ([("lastname", "NotIn", ["A", "B"])], "And", {"A", "B"}),
        ([("jobtitle", "Null", [])], "And", {"C"}),
        ([("lastname", "Equal", ["A"]), ("jobtitle", "Equal", ["CTO"])], "Or", {"B"}),
        ([("lastname", "Equal", ["A"]), ("jobtitle", "Equal", ["CTO"])], "And", {"A", "B", "C"}),
        ([("revenue", "GreaterThan", [5])], "And", {"A", "B"}),
        ([("lastname", "BeginsWith", ["O'"])], "And", {"A", "B", "C"}),
        ([], "And", set()),
    ],
)
def test_a_bulk_delete_deletes_what_its_query_finds(
    org: Org, conditions: list[tuple[str, str, list[Any]]], joint: str, left: set[str]
) -> None:
    """Section 15."""
    for name, more in (("A", {}), ("B", {}), ("C", {"jobtitle": "CTO", "revenue": 10})):
        org.create("leads", {"lastname": name, **more})
    response = org.call("POST", "BulkDelete", {"QuerySet": [query_of("lead", *conditions, joint=joint)]})
    assert (response.status, len(content(response)["JobId"])) == (200, 36)
    assert {row["lastname"] for row in org.values("leads", select="lastname")} == left


def test_a_bulk_delete_goes_past_one_page_and_skips_what_is_in_use(make_org: Callable[..., Org]) -> None:
    """Section 15."""
    org = make_org(page_size=2)
    for _ in range(5):
        org.create("contacts", {"lastname": "A"})
    assert org.call("POST", "BulkDelete", {"QuerySet": [query_of("contact")]}).status == 200
    assert org.values("contacts") == []
    org.create("leads", {"revenue": 1})
    before = len(org.values("transactioncurrencies"))
    query = query_of("transactioncurrency", ("transactioncurrencyid", "In", [USD]))
    assert org.call("POST", "BulkDelete", {"QuerySet": [query]}).status == 200
    assert len(org.values("transactioncurrencies")) == before


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({}, "0x80040203"),
        ({"QuerySet": []}, "0x80040203"),
        ({"QuerySet": [query_of("widget")]}, "0x80041102"),
        ({"QuerySet": [query_of("lead", ("nothing", "Null", []))]}, "0x80041103"),
        ({"QuerySet": [query_of("lead", ("lastname", "Near", ["x"]))]}, "0x80048d19"),
    ],
)
def test_a_senseless_bulk_delete_deletes_nothing(org: Org, body: dict[str, Any], expected: str) -> None:
    """Section 15."""
    org.create("leads", {"lastname": "A"})
    response = org.call("POST", "BulkDelete", body)
    assert (response.status, code(response)) == (400, expected)
    assert len(org.values("leads")) == 1


def test_a_bulk_delete_needs_the_right_to_delete(org: Org) -> None:
    """V5."""
    org.control("set_privileges", user="sandbox", table="lead", privileges=["read"])
    assert code(org.call("POST", "BulkDelete", {"QuerySet": [query_of("lead")]})) == "0x80040220"


@pytest.mark.parametrize(("table", "known"), [("lead", True), ("contact", True), ("systemuser", False)])
def test_the_message_filters_say_which_tables_take_bulk_messages(org: Org, table: str, known: bool) -> None:
    """V54: the query that a client asks before it sends in bulk."""
    rows = org.values(
        "sdkmessagefilters",
        select="sdkmessagefilterid",
        expand="sdkmessageid($select=name)",
        filter=f"({BULK}) and primaryobjecttypecode eq '{table}'",
    )
    names = {row["sdkmessageid"]["name"] for row in rows}
    assert names == ({"CreateMultiple", "UpdateMultiple"} if known else set())


def test_only_leads_are_qualified(org: Org) -> None:
    """Section 14, V54."""
    rows = org.values("sdkmessagefilters", filter="sdkmessageid/name eq 'QualifyLead'", select="primaryobjecttypecode")
    assert [row["primaryobjecttypecode"] for row in rows] == ["lead"]


def test_a_bulk_action_needs_its_namespace_and_a_post(org: Org) -> None:
    """V51, section 15."""
    body = {"Targets": [{"@odata.type": f"{TYPE}lead", "lastname": "A"}]}
    assert org.call("POST", "leads/CreateMultiple", body).status == 404
    response = org.get(f"leads/{TYPE}CreateMultiple")
    assert (response.status, header(response, "Allow")) == (405, "POST")
    assert org.call("POST", f"leads/{TYPE}CreateMultiple", body).status == 200


@pytest.mark.parametrize("media_type", ["text/plain", "application/x-www-form-urlencoded", "application/xml"])
def test_a_body_of_another_media_type_is_refused(org: Org, media_type: str) -> None:
    response = org.call("POST", "leads", {"lastname": "A"}, {"Content-Type": media_type})
    assert (response.status, code(response)) == (415, "")
    assert org.values("leads") == []


@pytest.mark.parametrize(
    "media_type", ["application/json", "application/json; charset=utf-8", "application/json;type=entry"]
)
def test_json_is_taken_with_any_parameters(org: Org, media_type: str) -> None:
    assert org.call("POST", "leads", {"lastname": "A"}, {"Content-Type": media_type}).status == 204


def test_a_body_over_the_limit_is_refused(make_org: Callable[..., Org]) -> None:
    """Section 2.3: 413."""
    org = make_org(body_limit=100)
    response = org.call("POST", "leads", {"description": "x" * 100})
    assert (response.status, code(response)) == (413, "0x8004418A")
    assert org.call("POST", "leads", {"description": "x"}).status == 204


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("PATCH", "leads", "GET,POST"),
        ("DELETE", "leads", "GET,POST"),
        ("POST", "leads({0})", "GET,PATCH,DELETE"),
        ("POST", "leads({0})/parentaccountid/$ref", "GET,PUT,DELETE"),
        ("PUT", "accounts({1})/contact_customer_accounts/$ref", "GET,POST,DELETE"),
        ("GET", "$batch", "POST"),
    ],
)
def test_a_refused_method_names_those_that_are_allowed(org: Org, method: str, path: str, allowed: str) -> None:
    """V9, V44."""
    lead, account = org.create("leads", {}), org.create("accounts", {})
    response = org.call(method, path.format(lead, account), {"@odata.id": f"accounts({NOWHERE})"})
    assert (response.status, header(response, "Allow")) == (405, allowed)


@pytest.mark.parametrize(
    "path",
    [
        "WhoAmI(x=1)",
        "RetrieveVersion(Version='1')",
        "RetrieveCurrentOrganization",
        "RetrieveTotalRecordCount",
        "RetrieveTotalRecordCount(Names=['lead'])",
        "RetrieveDuplicates()",
    ],
)
def test_a_function_with_other_parameters_does_not_exist(org: Org, path: str) -> None:
    assert (org.get(path).status, code(org.get(path))) == (404, "0x80060888")


def test_the_organization_tells_where_it_is(org: Org) -> None:
    for kind in ("Microsoft.Dynamics.CRM.EndpointAccessType'Default'", "@p1"):
        path = f"RetrieveCurrentOrganization(AccessType={kind})?@p1=Microsoft.Dynamics.CRM.EndpointAccessType'Internet'"
        detail = org.read(path)["Detail"]
        assert dict(zip(detail["Endpoints"]["Keys"], detail["Endpoints"]["Values"], strict=True))["WebApplication"]
    wrong = "RetrieveCurrentOrganization(AccessType=Microsoft.Dynamics.CRM.EndpointAccessType'Nothing')"
    assert org.get(wrong).status == 400


def test_rows_of_an_unknown_table_are_not_counted(org: Org) -> None:
    response = org.get("RetrieveTotalRecordCount(EntityNames=['lead','nothing'])")
    assert (response.status, code(response)) == (400, "0x80041102")
