"""What holds for every answer (V6-V11)."""

from __future__ import annotations

import pytest

from tests.sandbox.dynamics.conftest import BASE, NOWHERE, Org, code, content, header, message


def test_every_answer_carries_the_odata_version_and_json(org: Org) -> None:
    """V6."""
    for path, status in (("leads", 200), (f"leads({NOWHERE})", 404), ("Leads", 404)):
        response = org.get(path)
        assert response.status == status
        assert header(response, "OData-Version") == "4.0"
        assert header(response, "Content-Type") == "application/json; odata.metadata=minimal"


def test_an_error_body_has_code_and_message_only(org: Org) -> None:
    """V6."""
    answer = content(org.get(f"leads({NOWHERE})"))
    assert answer == {"error": {"code": "0x80040217", "message": f"Entity 'lead' With Id = {NOWHERE} Does Not Exist"}}


def test_an_error_body_has_details_when_all_annotations_are_asked(org: Org) -> None:
    """Section 2.4."""
    answer = content(org.get(f"leads({NOWHERE})", {"Prefer": 'odata.include-annotations="*"'}))
    assert "@Microsoft.PowerApps.CDS.ErrorDetails.OperationStatus" in answer["error"]


def test_unknown_headers_and_tags_are_ignored(org: Org) -> None:
    """V7."""
    response = org.get("leads?tag=hello", {"If-None-Match": "null", "X-Whatever": "1"})
    assert response.status == 200


@pytest.mark.parametrize("option", ["$skip=1", "$search=x", "$format=json", "$nonsense=1"])
def test_unknown_options_are_refused(org: Org, option: str) -> None:
    """V7, V22."""
    response = org.get(f"leads?{option}")
    assert (response.status, code(response)) == (400, "0x80060888")


def test_the_service_document_lists_the_sets(org: Org) -> None:
    """V8."""
    names = {entry["name"] for entry in org.values("")}
    assert {"leads", "contacts", "accounts", "systemusers", "teams"} <= names


def test_the_model_is_xml_with_types_and_sets(org: Org) -> None:
    """V8."""
    response = org.get("$metadata")
    text = response.body.decode()
    assert header(response, "Content-Type") == "application/xml"
    assert '<EntitySet Name="leads" EntityType="Microsoft.Dynamics.CRM.lead">' in text
    assert '<NavigationProperty Name="parentcustomerid_account"' in text


@pytest.mark.parametrize("path", ["WhoAmI", "WhoAmI()"])
def test_who_am_i_answers_three_ids(org: Org, path: str) -> None:
    """V8."""
    answer = org.read(path)
    assert answer["@odata.context"] == f"{BASE}/api/data/v9.2/$metadata#Microsoft.Dynamics.CRM.WhoAmIResponse"
    assert {"BusinessUnitId", "UserId", "OrganizationId"} <= answer.keys()


def test_the_version_is_told_under_every_root(org: Org) -> None:
    """V8."""
    for version in ("9.0", "9.1", "9.2"):
        assert content(org.get(f"/api/data/v{version}/RetrieveVersion"))["Version"].startswith("9.2.")
    assert org.get("/api/data/v8.2/RetrieveVersion").status == 404


def test_a_function_is_not_posted(org: Org) -> None:
    """Section 11.2."""
    response = org.call("POST", "WhoAmI", {})
    assert (response.status, code(response)) == (404, "")
    assert message(response).startswith("No HTTP resource was found that matches the request URI")


@pytest.mark.parametrize("name", ["Leads", "lead", "widgets"])
def test_sets_are_found_by_their_exact_name_only(org: Org, name: str) -> None:
    """V9."""
    response = org.get(name)
    assert (response.status, message(response)) == (404, f"Resource not found for the segment '{name}'.")


@pytest.mark.parametrize("method", ["PATCH", "DELETE"])
def test_a_whole_set_is_neither_patched_nor_deleted(org: Org, method: str) -> None:
    """V9."""
    response = org.call(method, "leads", {})
    assert response.status == 405
    assert header(response, "Allow")


def test_honoured_preferences_are_echoed(org: Org) -> None:
    """V10."""
    response = org.get("leads", {"Prefer": 'odata.maxpagesize=2, odata.include-annotations="*", respond-async'})
    assert header(response, "Preference-Applied") == 'odata.maxpagesize=2, odata.include-annotations="*"'
    response = org.call("POST", "leads", {"lastname": "Ax"}, {"Prefer": "return=representation"})
    assert header(response, "Preference-Applied") == "return=representation"


def test_extra_headers_come_with_every_answer(org: Org) -> None:
    """V11."""
    response = org.get("leads")
    for name in ("x-ms-service-request-id", "REQ_ID", "Set-Cookie"):
        assert header(response, name)
    assert header(response, "x-ms-ratelimit-burst-remaining-xrm-requests") == "5999"
    assert (header(response, "x-ms-ratelimit-time-remaining-xrm-requests") or "").startswith("1,")


def test_a_byte_order_mark_before_counts_is_a_choice(org: Org) -> None:
    """O8."""
    assert org.get("leads/$count").body == b"0"
    org.control("set_options", count_mark=True)
    assert org.get("leads/$count").body == b"\xef\xbb\xbf0"


def test_clients_find_the_token_endpoint_by_discovery(org: Org) -> None:
    """Section 1.4: the authority is where tokens are."""
    found = content(org.get("/sandbox/v2.0/.well-known/openid-configuration"))
    assert found["token_endpoint"] == f"{BASE}/sandbox/oauth2/v2.0/token"


@pytest.mark.parametrize(
    ("asked", "given"),
    [
        ("Microsoft.PowerApps.CDS.HelpLink", ["HelpLink"]),
        ("Microsoft.PowerApps.CDS.ErrorDetails.*", ["ErrorDetails.OperationStatus", "ErrorDetails.SubErrorCode"]),
        ("Microsoft.PowerApps.CDS.TraceText,Microsoft.PowerApps.CDS.InnerError.Message",
         ["TraceText", "InnerError.Message"]),
        ("OData.Community.Display.V1.FormattedValue", []),
    ],
)  # fmt: skip
def test_errors_carry_the_annotations_that_were_asked_for(org: Org, asked: str, given: list[str]) -> None:
    """Sections 2.1 and 2.4."""
    error = content(org.get("nothing", {"Prefer": f'odata.include-annotations="{asked}"'}))["error"]
    assert list(error) == ["code", "message", *(f"@Microsoft.PowerApps.CDS.{name}" for name in given)]


def test_the_root_of_the_service_is_found_in_any_case(org: Org) -> None:
    assert org.get("/API/Data/V9.2/WhoAmI").status == 200
    assert org.get("/API/Data/V9.2/whoami").status == 404
    assert org.get("/API/Data/V9.2/WhoAmI", {"authorization": ""}).status == 401
