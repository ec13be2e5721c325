"""What Dataverse answers to anybody, over raw HTTP (facts/dataverse-api §19). Reads work on any organisation."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import pytest
import requests

from tests.contract.services import Service, dynamics_form, token_of

NOWHERE = "00000000-0000-4000-8000-00000000dead"
GUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def refused(answer: requests.Response) -> tuple[int, str]:
    """Status and code, lower case; the body has nothing else (V6)."""
    assert set(answer.json()) == {"error"}
    assert set(answer.json()["error"]) == {"code", "message"}
    return answer.status_code, answer.json()["error"]["code"].lower()


def test_a_token_says_how_long_it_lasts_in_numbers(dynamics: Service) -> None:  # V1
    answer = token_of(dynamics, dynamics_form(dynamics.connection)).json()
    assert {"token_type", "expires_in", "access_token"} <= set(answer)
    assert isinstance(answer["expires_in"], int)


def test_a_wrong_secret_is_told_with_its_number(dynamics: Service) -> None:  # V2
    answer = token_of(dynamics, {**dynamics_form(dynamics.connection), "client_secret": "wrong"})
    assert (answer.status_code, answer.json()["error"]) == (401, "invalid_client")
    assert 7000215 in answer.json()["error_codes"]


@pytest.mark.parametrize("token", ["", "made-up"])
def test_without_a_good_token_the_answer_names_the_authority(dynamics: Service, token: str) -> None:  # V3
    answer = dynamics.send("GET", "WhoAmI", token=token)
    assert answer.status_code == 401
    assert "authorization_uri" in answer.headers["WWW-Authenticate"].lower()


def test_every_answer_carries_the_version_and_ids_for_support(dynamics: Service) -> None:  # V6, V11
    answer = dynamics.send("GET", "WhoAmI")
    assert answer.headers["OData-Version"] == "4.0"
    assert "odata.metadata=minimal" in answer.headers["Content-Type"]
    assert answer.headers["x-ms-service-request-id"]
    assert all(GUID.fullmatch(answer.json()[name].lower()) for name in ("UserId", "BusinessUnitId", "OrganizationId"))


def test_the_version_is_a_function(dynamics: Service) -> None:  # V8
    assert re.fullmatch(r"\d+(\.\d+){3}", dynamics.get("RetrieveVersion")["Version"])


def test_null_is_no_etag_and_a_tag_is_ignored(dynamics: Service) -> None:  # V7
    answer = dynamics.send("GET", "WhoAmI?tag=contract", headers={"If-None-Match": "null"})
    assert answer.status_code == 200


def test_a_set_in_the_wrong_case_is_not_found(dynamics: Service) -> None:  # V9
    answer = dynamics.send("GET", "Leads?$top=1")
    assert answer.status_code == 404
    assert "Resource not found for the segment 'Leads'" in answer.json()["error"]["message"]


@pytest.mark.parametrize("option", ["$select=nonsense", "$filter=nonsense eq 1", "$orderby=nonsense"])
def test_a_column_that_does_not_exist_is_named(dynamics: Service, option: str) -> None:  # V13
    answer = dynamics.send("GET", f"leads?{option}")
    assert answer.status_code == 400
    assert "Could not find a property named 'nonsense'" in answer.json()["error"]["message"]


def test_skipping_is_refused(dynamics: Service) -> None:  # V22
    assert dynamics.send("GET", "leads?$skip=1").status_code == 400


def test_a_row_that_is_not_there_is_404_with_its_code(dynamics: Service) -> None:  # V24
    assert refused(dynamics.send("GET", f"leads({NOWHERE})")) == (404, "0x80040217")


def test_pages_are_as_large_as_preferred_and_link_to_the_next(dynamics: Service) -> None:  # V10, V12, V19
    headers = {"Prefer": "odata.maxpagesize=1"}
    answer = dynamics.send("GET", "systemusers?$select=fullname", headers=headers)
    assert "odata.maxpagesize=1" in answer.headers["Preference-Applied"]
    (row,) = answer.json()["value"]
    assert next(iter(row)) == "@odata.etag"
    assert set(row) >= {"@odata.etag", "fullname", "systemuserid"}
    second = dynamics.send("GET", answer.json()["@odata.nextLink"], headers=headers)
    assert [each["systemuserid"] for each in second.json()["value"]] != [row["systemuserid"]]


def test_a_count_is_plain_text(dynamics: Service) -> None:  # V20
    answer = dynamics.send("GET", "leads/$count")
    assert answer.headers["Content-Type"].startswith("text/plain")
    assert answer.text.lstrip("\ufeff").isdigit()


def test_tracking_ends_with_a_link_that_then_tells_what_changed(dynamics: Service) -> None:  # V25, V26
    headers = {"Prefer": "odata.track-changes"}
    answer = dynamics.send("GET", "transactioncurrencies?$select=currencyname", headers=headers)
    assert "odata.track-changes" in answer.headers["Preference-Applied"]
    delta = dynamics.send("GET", answer.json()["@odata.deltaLink"], headers=headers).json()
    assert delta["@odata.context"].endswith("/$delta")
    assert "@odata.deltaLink" in delta


def test_tracking_takes_no_filter(dynamics: Service) -> None:  # V28
    answer = dynamics.send("GET", "leads?$filter=statecode eq 0", headers={"Prefer": "odata.track-changes"})
    assert answer.status_code == 400


def test_metadata_names_limits_and_refuses_top(dynamics: Service) -> None:  # V60
    path = "EntityDefinitions(LogicalName='lead')/Attributes(LogicalName='subject')"
    column = dynamics.get(f"{path}/Microsoft.Dynamics.CRM.StringAttributeMetadata?$select=LogicalName,MaxLength")
    assert column["MaxLength"] > 0
    assert dynamics.send("GET", "EntityDefinitions?$top=1").status_code == 400


def batch(dynamics: Service, *parts: str, prefer: str = "") -> requests.Response:
    opening = "--batch_c1\r\nContent-Type: application/http\r\nContent-Transfer-Encoding: binary\r\n\r\n"
    body = "".join(f"{opening}{part}\r\n" for part in parts) + "--batch_c1--\r\n"
    headers = {"Content-Type": 'multipart/mixed; boundary="batch_c1"'} | ({"Prefer": prefer} if prefer else {})
    return dynamics.send("POST", "$batch", data=body.encode(), headers=headers)


def test_a_batch_stops_at_an_error_unless_told_to_go_on(dynamics: Service) -> None:  # V55, V56
    missing = f"GET /api/data/v9.2/leads({NOWHERE}) HTTP/1.1\r\nAccept: application/json\r\n\r\n"
    good = "GET /api/data/v9.2/WhoAmI HTTP/1.1\r\nAccept: application/json\r\n\r\n"
    stopped = batch(dynamics, missing, good)
    went_on = batch(dynamics, missing, good, prefer="odata.continue-on-error")
    assert (stopped.status_code, "UserId" in stopped.text) == (400, False)
    assert (went_on.status_code, "UserId" in went_on.text, "0x80040217" in went_on.text) == (200, True, True)


@pytest.fixture
def lead(dynamics: Service) -> Iterator[str]:
    """A lead of the test's own, under a key of its own."""
    key = str(uuid4())
    answer = dynamics.send("POST", "leads", json={"leadid": key, "subject": "contract", "lastname": "Ax"})
    assert answer.status_code == 204
    assert answer.headers["OData-EntityId"].lower().endswith(f"leads({key})")  # V31, V32
    yield key
    dynamics.send("DELETE", f"leads({key})")


def patch(dynamics: Service, key: str, body: dict[str, Any], **headers: str) -> requests.Response:
    return dynamics.send(
        "PATCH", f"leads({key})", json=body, headers={k.replace("_", "-"): v for k, v in headers.items()}
    )


@pytest.mark.writes
def test_a_key_that_is_taken_makes_no_second_row(dynamics: Service, lead: str) -> None:  # V32
    assert refused(dynamics.send("POST", "leads", json={"leadid": lead, "lastname": "Bo"})) == (412, "0x80040237")


@pytest.mark.writes
def test_a_row_changed_meanwhile_is_not_overwritten(dynamics: Service, lead: str) -> None:  # V40, V41
    seen = dynamics.send("GET", f"leads({lead})?$select=lastname").headers["ETag"]
    assert patch(dynamics, lead, {"lastname": "Bo"}, If_Match=seen).status_code == 204
    assert refused(patch(dynamics, lead, {"lastname": "Cy"}, If_Match=seen)) == (412, "0x80060882")
    assert patch(dynamics, NOWHERE, {"lastname": "Cy"}, If_Match="*").status_code == 404


@pytest.mark.writes
def test_values_are_checked_as_the_metadata_says(dynamics: Service, lead: str) -> None:  # V36, V37, V39
    assert refused(patch(dynamics, lead, {"subject": "x" * 5000})) == (400, "0x80044331")
    assert refused(patch(dynamics, lead, {"leadsourcecode": 99_999_999})) == (400, "0x8004431a")
    assert patch(dynamics, lead, {"jobtitle": ""}).status_code == 204
    assert dynamics.get(f"leads({lead})?$select=jobtitle")["jobtitle"] is None


@pytest.mark.writes
def test_deleting_twice_is_404(dynamics: Service, lead: str) -> None:  # V42
    answers = [dynamics.send("DELETE", f"leads({lead})") for _ in range(2)]
    assert [answer.status_code for answer in answers] == [204, 404]
