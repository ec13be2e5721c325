"""Rows and sets as they are read (V12-V15, V18-V21, V23, V24)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.sandbox.dynamics.conftest import (
    ANN,
    EUR,
    NOWHERE,
    SANDBOX_USER,
    TEAM,
    USD,
    Org,
    code,
    content,
    header,
    message,
)

FORMATTED = "@OData.Community.Display.V1.FormattedValue"
ALL = {"Prefer": 'odata.include-annotations="*"'}


def test_without_select_every_readable_column_is_shown_with_nulls(org: Org) -> None:
    """V12."""
    org.create("leads", {"lastname": "Ax"})
    answer = org.read("leads")
    row = answer["value"][0]
    assert answer["@odata.context"].endswith("$metadata#leads")
    assert next(iter(row)) == "@odata.etag"
    assert row["jobtitle"] is None
    assert {"leadid", "versionnumber", "_ownerid_value", "statuscode"} <= row.keys()
    assert row["@odata.etag"] == f'W/"{row["versionnumber"]}"'
    assert not {"ownerid", "owneridtype", "isautocreate"} & row.keys()


def test_select_shows_columns_key_and_the_currency_of_money(org: Org) -> None:
    """V12, section 3.2."""
    org.create("leads", {"lastname": "Ax", "revenue": 5})
    answer = org.read("leads", select="lastname, revenue")
    assert answer["@odata.context"].endswith("#leads(lastname,revenue)")
    assert list(answer["value"][0]) == ["@odata.etag", "lastname", "revenue", "leadid", "_transactioncurrencyid_value"]


@pytest.mark.parametrize("options", [{"select": "Name"}, {"filter": "Name eq 'x'"}, {"orderby": "Name"}])
def test_an_unknown_column_is_named(org: Org, options: dict[str, str]) -> None:
    """V13."""
    response = org.get("accounts", None, **options)
    assert response.status == 400
    assert message(response) == "Could not find a property named 'Name' on type 'Microsoft.Dynamics.CRM.account'."


def test_lookups_are_read_as_values(org: Org) -> None:
    """V14."""
    account = org.create("accounts", {"name": "Acme"})
    org.create("contacts", {"lastname": "Ax", "parentcustomerid_account@odata.bind": f"/accounts({account})"})
    row = org.read("contacts", ALL, select="_parentcustomerid_value,_originatingleadid_value")["value"][0]
    assert row["_parentcustomerid_value"] == account
    assert row["_originatingleadid_value"] is None
    assert row["_parentcustomerid_value@Microsoft.Dynamics.CRM.lookuplogicalname"] == "account"
    navigation = "_parentcustomerid_value@Microsoft.Dynamics.CRM.associatednavigationproperty"
    assert row[navigation] == "parentcustomerid_account"
    assert row[f"_parentcustomerid_value{FORMATTED}"] == "Acme"


def test_a_lookup_may_be_selected_by_its_navigation_name(org: Org) -> None:
    """O15."""
    org.create("leads", {"lastname": "Ax"})
    assert "_parentaccountid_value" in org.values("leads", select="parentaccountid")[0]


def test_annotations_come_only_when_asked(org: Org) -> None:
    """V15."""
    org.create("leads", {"lastname": "Ax", "leadsourcecode": 8})
    assert not any("@OData" in name for name in org.values("leads")[0])
    only = {"Prefer": f'odata.include-annotations="{FORMATTED[1:]}"'}
    row = org.read("leads", only)["value"][0]
    assert not any("lookuplogicalname" in name for name in row)
    assert row[f"leadsourcecode{FORMATTED}"] == "Web"


def test_annotations_may_be_listed_without_quotes(org: Org) -> None:
    """Section 2.1."""
    org.create("leads", {"lastname": "Ax"})
    listed = f"odata.include-annotations={FORMATTED[1:]},Microsoft.Dynamics.CRM.lookuplogicalname, odata.maxpagesize=5"
    response = org.get("leads", {"Prefer": listed})
    row = content(response)["value"][0]
    assert row[f"_ownerid_value{FORMATTED}"] == "Lead Sync"
    assert row["_ownerid_value@Microsoft.Dynamics.CRM.lookuplogicalname"] == "systemuser"
    assert "odata.maxpagesize=5" in (header(response, "Preference-Applied") or "")


def test_formatted_values_follow_the_type(org: Org) -> None:
    """V15."""
    values = {"lastname": "Ax", "leadsourcecode": 8, "donotemail": True, "revenue": 12345.6, "numberofemployees": 1200}
    lead = org.create("leads", values | {"estimatedclosedate": "2026-01-05", "address1_latitude": 47.1})
    row = org.read(f"leads({lead})", ALL)
    assert row[f"leadsourcecode{FORMATTED}"] == "Web"
    assert row[f"donotemail{FORMATTED}"] == "Do Not Allow"
    assert row[f"revenue{FORMATTED}"] == "$12,345.60"
    assert row[f"numberofemployees{FORMATTED}"] == "1,200"
    assert row[f"estimatedclosedate{FORMATTED}"] == "1/5/2026"
    assert row[f"createdon{FORMATTED}"] == "3/4/2026 5:06 AM"
    assert row[f"_transactioncurrencyid_value{FORMATTED}"] == "US Dollar"
    assert row[f"address1_latitude{FORMATTED}"] == "47.10000"


def _names(org: Org, path: str = "leads", **options: str) -> list[Any]:
    return [row["firstname"] for row in org.values(path, select="firstname", **options)]


def test_nulls_come_first_ascending_and_last_descending(org: Org) -> None:
    """V18."""
    for name, title in (("a", "z"), ("b", None), ("c", "B"), ("d", "a")):
        org.create("leads", {"firstname": name, "jobtitle": title})
    assert _names(org, orderby="jobtitle") == ["b", "d", "c", "a"]
    assert _names(org, orderby="jobtitle desc") == ["a", "c", "d", "b"]


def test_ties_are_ordered_by_key(org: Org) -> None:
    """V18."""
    ids = [f"0000000{n}-0000-4000-8000-000000000000" for n in (3, 1, 2)]
    for row_id in ids:
        org.create("leads", {"leadid": row_id, "firstname": "same"})
    assert [row["leadid"] for row in org.values("leads", orderby="firstname desc")] == sorted(ids)


@pytest.mark.parametrize("order", ["jobtitle", "jobtitle desc", "jobtitle desc,firstname", "createdon,jobtitle desc"])
def test_pages_in_any_order_hold_every_row_once(org: Org, order: str) -> None:
    """V18, V19."""
    for number in range(11):
        org.create("leads", {"firstname": f"f{number}", "jobtitle": [None, "x", "y"][number % 3]})
    whole = _names(org, orderby=order)
    answer = org.read("leads", {"Prefer": "odata.maxpagesize=2"}, select="firstname", orderby=order)
    paged = [row["firstname"] for row in answer["value"]]
    while "@odata.nextLink" in answer:
        answer = org.read(answer["@odata.nextLink"], {"Prefer": "odata.maxpagesize=2"})
        paged += [row["firstname"] for row in answer["value"]]
    assert paged == whole
    assert len(set(paged)) == 11


def test_top_limits_without_links_and_yields_to_a_page_size(org: Org) -> None:
    """V18."""
    for number in range(4):
        org.create("leads", {"firstname": str(number)})
    answer = org.read("leads", top="2")
    assert len(answer["value"]) == 2
    assert "@odata.nextLink" not in answer
    answer = org.read("leads", {"Prefer": "odata.maxpagesize=3"}, top="2")
    assert len(answer["value"]) == 3
    assert "@odata.nextLink" in answer


def test_a_page_without_preference_has_the_service_size(make_org: Callable[..., Org]) -> None:
    """V19."""
    org = make_org(page_size=3)
    for number in range(4):
        org.create("leads", {"firstname": str(number)})
    assert len(org.values("leads")) == 3
    answer = org.read("leads", {"Prefer": "odata.maxpagesize=2"})
    # Another Prefer on page two changes the page size.
    assert len(content(org.get(answer["@odata.nextLink"], {"Prefer": "odata.maxpagesize=1"}))["value"]) == 1
    assert len(org.values(answer["@odata.nextLink"])) == 2
    assert len(org.read("leads", {"Prefer": "odata.maxpagesize=999999"})["value"]) == 3


def test_the_last_full_page_has_no_link(org: Org) -> None:
    """V19."""
    for number in range(2):
        org.create("leads", {"firstname": str(number)})
    assert "@odata.nextLink" not in org.read("leads", {"Prefer": "odata.maxpagesize=2"})


def test_a_changed_skip_token_is_refused(org: Org) -> None:
    """V19."""
    for number in range(3):
        org.create("leads", {"firstname": str(number)})
    link = org.read("leads", {"Prefer": "odata.maxpagesize=1"})["@odata.nextLink"]
    assert "%3Ccookie%20pagenumber=%222%22%20pagingcookie=%22%253ccookie" in link
    assert org.get(link.replace("pagenumber=%222%22", "pagenumber=%223%22")).status == 400
    assert org.get("leads?$skiptoken=nonsense").status == 400
    assert org.get(link).status == 200


def test_counts_stop_at_their_limit(make_org: Callable[..., Org]) -> None:
    """V20."""
    org = make_org(count_limit=2)
    for number in range(3):
        org.create("leads", {"firstname": str(number), "jobtitle": "x" if number else None})
    answer = org.read("leads", {**ALL, "Prefer": 'odata.include-annotations="*",odata.maxpagesize=1'}, count="true")
    assert answer["@odata.count"] == 2
    assert answer["@Microsoft.Dynamics.CRM.totalrecordcount"] == 2
    assert answer["@Microsoft.Dynamics.CRM.totalrecordcountlimitexceeded"] is True
    assert org.read("leads", ALL)["@Microsoft.Dynamics.CRM.totalrecordcount"] == -1
    response = org.get("leads/$count")
    assert (response.body, header(response, "Content-Type")) == (b"2", "text/plain")
    org.control("set_options", count_limit=5000)
    assert org.get("leads/$count", filter="jobtitle eq 'x'").body == b"2"
    assert org.get("leads/$count").body == b"3"


def test_a_lookup_is_expanded(org: Org) -> None:
    """V21."""
    account = org.create("accounts", {"name": "Acme", "accountnumber": "A1"})
    org.create("leads", {"lastname": "Ax", "parentaccountid@odata.bind": f"accounts({account})"})
    org.create("leads", {"lastname": "By"})
    expand = "parentaccountid($select=name;$expand=owninguser($select=fullname)),createdby"
    first, second = org.values("leads", select="lastname", expand=expand, orderby="lastname")
    assert first["parentaccountid"]["name"] == "Acme"
    assert "accountnumber" not in first["parentaccountid"]
    assert first["parentaccountid"]["owninguser"]["fullname"] == "Lead Sync"
    assert first["createdby"]["systemuserid"] == SANDBOX_USER
    assert second["parentaccountid"] is None


def test_a_collection_is_expanded_with_its_own_options(org: Org) -> None:
    """V21."""
    account = org.create("accounts", {"name": "Acme"})
    for name in ("c", "a", "b", "x"):
        org.create("contacts", {"lastname": name, "parentcustomerid_account@odata.bind": f"/accounts({account})"})
    expand = "contact_customer_accounts($select=lastname;$filter=lastname ne 'x';$orderby=lastname desc;$top=2)"
    row = org.read(f"accounts({account})", select="name", expand=expand)
    assert [child["lastname"] for child in row["contact_customer_accounts"]] == ["c", "b"]
    assert org.get("leads", expand="nothing").status == 400


def test_an_unchanged_row_answers_304(org: Org) -> None:
    """V23."""
    lead = org.create("leads", {"lastname": "Ax"})
    response = org.get(f"leads({lead})")
    etag = header(response, "ETag") or ""
    assert content(response)["@odata.etag"] == etag
    assert content(response)["@odata.context"].endswith("#leads/$entity")
    again = org.get(f"leads({lead})", {"If-None-Match": etag})
    assert (again.status, again.body) == (304, b"")
    org.change(f"leads({lead})", {"lastname": "By"})
    assert org.get(f"leads({lead})", {"If-None-Match": etag}).status == 200


def test_single_properties_are_read(org: Org) -> None:
    """V24."""
    lead = org.create("leads", {"lastname": "Ax", "numberofemployees": 5})
    assert org.read(f"leads({lead})/lastname")["value"] == "Ax"
    assert org.get(f"leads({lead})/numberofemployees/$value").body == b"5"
    assert org.get(f"leads({lead})/jobtitle").status == 204
    assert org.get(f"leads({lead})/parentaccountid").status == 204
    assert org.read(f"leads({lead})/ownerid")["fullname"] == "Lead Sync"
    assert org.read(f"leads({lead})/owninguser/fullname")["value"] == "Lead Sync"
    assert org.get(f"leads({lead})/nothing").status == 404


def test_a_missing_row_is_named_with_table_and_id(org: Org) -> None:
    """V24."""
    response = org.get(f"leads({NOWHERE.upper()})")
    assert (response.status, code(response)) == (404, "0x80040217")
    assert message(response) == f"Entity 'lead' With Id = {NOWHERE} Does Not Exist"


def test_a_row_is_found_by_its_named_key(org: Org) -> None:
    """Section 3.1."""
    lead = org.create("leads", {"lastname": "Ax"})
    assert org.read(f"leads(leadid={lead})")["leadid"] == lead
    assert org.get(f"systemusers(systemuserid={ANN})").status == 400


def test_related_rows_and_references_are_read(org: Org) -> None:
    """Section 3.1."""
    account = org.create("accounts", {"name": "Acme"})
    contact = org.create("contacts", {"lastname": "Ax", "parentcustomerid_account@odata.bind": f"/accounts({account})"})
    assert [row["contactid"] for row in org.values(f"accounts({account})/contact_customer_accounts")] == [contact]
    references = org.values(f"accounts({account})/contact_customer_accounts/$ref")
    assert references[0]["@odata.id"].endswith(f"contacts({contact})")


def test_record_counts_are_told(org: Org) -> None:
    """Section 15."""
    org.create("leads", {"lastname": "Ax"})
    answer = org.read("RetrieveTotalRecordCount(EntityNames=@p1)?@p1=[%22lead%22,%22contact%22]")
    assert answer["EntityRecordCountCollection"] == {"Count": 2, "Keys": ["lead", "contact"], "Values": [1, 0]}


def test_users_teams_and_currencies_are_there(org: Org) -> None:
    """V64."""
    users = {row["fullname"]: row for row in org.values("systemusers")}
    assert users["Ann Ax"]["accessmode"] == 0
    assert users["Lead Sync"]["accessmode"] == 4
    assert users["Lead Sync"]["applicationid"]
    enabled = org.values("systemusers", filter="isdisabled eq false and accessmode ne 4", select="fullname")
    assert sorted(row["fullname"] for row in enabled) == ["Ann Ax", "Bo Berg", "Carla Diaz", "Deniz Kaya"]
    assert org.values("teams")[0]["teamid"] == TEAM
    currencies = {row["isocurrencycode"]: row["transactioncurrencyid"] for row in org.values("transactioncurrencies")}
    assert currencies["USD"] == USD
    assert "EUR" in currencies


@pytest.mark.parametrize("key", ["leadid='{0}'", "'{0}'", "{{{0}}}", "leadid={{{0}}}", ""])
def test_a_guid_in_a_key_stands_without_quotes_and_braces(org: Org, key: str) -> None:
    """Section 3.1, section 18."""
    lead = org.create("leads", {"lastname": "Ax"})
    assert org.get(f"leads(leadid={lead.upper()})").status == 200
    assert org.get(f"leads({key.format(lead)})").status == 400


def test_base_amounts_are_formatted_in_the_currency_of_the_org(org: Org) -> None:
    """V15."""
    currency = {"transactioncurrencyid@odata.bind": f"/transactioncurrencies({EUR})"}
    lead = org.create("leads", {"revenue": 1000, **currency})
    row = org.read(f"leads({lead})", {"Prefer": 'odata.include-annotations="*"'}, select="revenue,revenue_base")
    shown = [row[f"{name}@OData.Community.Display.V1.FormattedValue"] for name in ("revenue", "revenue_base")]
    assert shown == ["€1,000.00", "$1,086.96"]
