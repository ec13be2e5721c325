"""`$apply` (V22) as the vendor's aggregate-data page shows it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.sandbox.dynamics.conftest import BASE, Org, code, message

FORMATTED = "OData.Community.Display.V1.FormattedValue"
LABELS = {"Prefer": f'odata.include-annotations="{FORMATTED}"'}


@pytest.fixture
def sales(org: Org) -> Org:
    account = org.create("accounts", {"name": "Acme"})
    rows: list[dict[str, Any]] = [
        {"lastname": "Ax", "revenue": 100, "leadsourcecode": 8, "numberofemployees": 3, "companyname": "One"},
        {"lastname": "ax", "revenue": 200.5, "leadsourcecode": 8, "companyname": "ONE"},
        {"lastname": "By", "statuscode": 2, "companyname": "Two", "jobtitle": "CTO"},
    ]
    for row in rows:
        org.create("leads", row)
    org.create("leads", {"revenue": 50, "parentaccountid@odata.bind": f"/accounts({account})"})
    return org


def _apply(org: Org, text: str) -> list[dict[str, Any]]:
    return org.values("leads", apply=text)


def test_groups_have_their_labels(sales: Org) -> None:
    """V22."""
    answer = sales.read("leads", LABELS, apply="groupby((statuscode),aggregate($count as n))")
    assert answer["@odata.context"] == f"{BASE}/api/data/v9.2/$metadata#leads"
    assert answer["value"] == [
        {f"statuscode@{FORMATTED}": "New", "statuscode": 1, f"n@{FORMATTED}": "3", "n": 3},
        {f"statuscode@{FORMATTED}": "Contacted", "statuscode": 2, f"n@{FORMATTED}": "1", "n": 1},
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("groupby((statuscode))", [{"statuscode": 1}, {"statuscode": 2}]),
        ("aggregate(revenue with sum as total)", [{"total": 350.5}]),
        ("aggregate(revenue with min as a,revenue with max as b)", [{"a": 50, "b": 200.5}]),
        ("aggregate(revenue with average as a)", [{"a": 116.833333333}]),
        ("aggregate(companyname with countdistinct as n)", [{"n": 2}]),
        ("aggregate($count as n)", [{"n": 4}]),
        ("aggregate(createdon with max as last)", [{"last": "2026-03-04T05:06:07Z"}]),
        ("filter(leadsourcecode eq 8)/aggregate(numberofemployees with sum as n)", [{"n": 3}]),
        ("filter(lastname eq 'nobody')/aggregate(revenue with sum as total)", [{"total": None}]),
        ("filter(contains(lastname,'a'))/groupby((lastname),aggregate($count as n))", [{"lastname": "Ax", "n": 2}]),
        ("groupby((parentaccountid/name),aggregate($count as n))", [{"n": 3}, {"n": 1, "account_name": "Acme"}]),
        ("groupby((jobtitle))", [{}, {"jobtitle": "CTO"}]),
    ],
)
def test_sets_are_aggregated(sales: Org, text: str, expected: list[dict[str, Any]]) -> None:
    """V22: values that are null are left out of groups; texts are grouped without case."""
    assert _apply(sales, text) == expected


def test_money_and_moments_are_formatted(sales: Org) -> None:
    """V22, V15."""
    text = "aggregate(revenue with sum as total,createdon with min as first)"
    (row,) = sales.read("leads", LABELS, apply=text)["value"]
    assert row[f"total@{FORMATTED}"] == "$350.50"
    assert row[f"first@{FORMATTED}"] == "3/4/2026 5:06 AM"


@pytest.mark.parametrize(
    "text",
    [
        "groupby((createdon))",
        "groupby((nothing))",
        "groupby(statuscode)",
        "groupby((statuscode)",
        "aggregate(lastname with sum as x)",
        "aggregate(revenue with median as x)",
        "aggregate(revenue as x)",
        "filter(lastname eq 'x')",
        "topcount(2,revenue)",
        "",
    ],
)
def test_an_aggregate_that_makes_no_sense_is_refused(sales: Org, text: str) -> None:
    """V22."""
    assert sales.get("leads", apply=text).status == 400


def test_groups_are_ordered_by_columns_only(sales: Org) -> None:
    """V22."""
    text = "groupby((statuscode),aggregate($count as n))"
    rows = sales.values("leads", apply=text, orderby="statuscode desc")
    assert [row["statuscode"] for row in rows] == [2, 1]
    refused = sales.get("leads", apply=text, orderby="n")
    assert message(refused) == "The query node SingleValueOpenPropertyAccess is not supported"


def test_too_many_source_rows_are_refused(sales: Org) -> None:
    """V22, section 12.3."""
    sales.control("set_options", aggregate_limit=3)
    answer = sales.get("leads", apply="groupby((statuscode))")
    assert (answer.status, code(answer)) == (400, "0x8004E023")
    assert message(answer) == "The maximum record limit is exceeded. Reduce the number of records."
    assert sales.get("leads", apply="filter(statuscode eq 2)/groupby((statuscode))").status == 200


def test_groups_are_paged(make_org: Callable[..., Org]) -> None:
    """V22: 5,000 groups on a page in the service."""
    org = make_org(page_size=2)
    for name in "abc":
        org.create("leads", {"lastname": name})
    first = org.read("leads", apply="groupby((lastname))")
    assert [row["lastname"] for row in first["value"]] == ["a", "b"]
    rest = org.read(first["@odata.nextLink"])
    assert [row["lastname"] for row in rest["value"]] == ["c"]
    assert "@odata.nextLink" not in rest


def test_a_related_collection_is_aggregated(sales: Org) -> None:
    """V22."""
    account = sales.values("accounts")[0]["accountid"]
    rows = sales.values(f"accounts({account})/lead_parent_account", apply="aggregate($count as n)")
    assert rows == [{"n": 1}]


def test_sums_of_money_are_exact(org: Org) -> None:
    """V22."""
    for amount in (0.1, 0.2, 0.7, 1.33):
        org.create("leads", {"revenue": amount})
    text = "aggregate(revenue with sum as total,revenue with average as mean)"
    (row,) = org.values("leads", apply=text)
    assert (row["total"], row["mean"]) == (2.33, 0.5825)
    assert b'"total":2.33,' in org.get("leads", None, apply=text).body
