"""CreateMultiple, UpdateMultiple, UpsertMultiple (V51-V54)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.sandbox.dynamics.conftest import NOWHERE, Org, code, content, message

PATH = "leads/Microsoft.Dynamics.CRM."
LEAD = {"@odata.type": "Microsoft.Dynamics.CRM.lead"}


def _bulk(org: Org, action: str, *targets: dict[str, Any]) -> Any:
    return org.call("POST", PATH + action, {"Targets": [LEAD | target for target in targets]})


def test_rows_are_created_in_order(org: Org) -> None:
    """V51."""
    response = _bulk(org, "CreateMultiple", {"lastname": "a"}, {"lastname": "b"})
    answer = content(response)
    assert answer["@odata.context"].endswith("#Microsoft.Dynamics.CRM.CreateMultipleResponse")
    assert [org.read(f"leads({row_id})")["lastname"] for row_id in answer["Ids"]] == ["a", "b"]


def test_rows_are_updated_and_upserted(org: Org) -> None:
    """V51."""
    lead = org.create("leads", {"lastname": "a"})
    assert _bulk(org, "UpdateMultiple", {"leadid": lead, "lastname": "b"}).status == 204
    assert org.read(f"leads({lead})")["lastname"] == "b"
    both = ({"leadid": lead, "lastname": "c"}, {"leadid": NOWHERE, "lastname": "d"})
    assert _bulk(org, "UpsertMultiple", *both).status == 204
    assert [org.read(f"leads({row_id})")["lastname"] for row_id in (lead, NOWHERE)] == ["c", "d"]


def test_targets_need_their_type(org: Org) -> None:
    """V51."""
    response = org.call("POST", f"{PATH}CreateMultiple", {"Targets": [{"lastname": "a"}]})
    assert response.status == 400
    assert org.call("POST", f"{PATH}CreateMultiple", {}).status == 400
    hashed = {"@odata.type": "#Microsoft.Dynamics.CRM.lead"}
    assert org.call("POST", f"{PATH}CreateMultiple", {"Targets": [hashed]}).status == 200


@pytest.mark.parametrize("action", ["CreateMultiple", "UpsertMultiple"])
def test_one_bad_row_undoes_all(org: Org, action: str) -> None:
    """V52."""
    other = "88888888-8888-4888-8888-888888888888"
    response = _bulk(org, action, {"leadid": NOWHERE}, {"leadid": other, "mobilephone": "1" * 21})
    assert (response.status, code(response)) == (400, "0x80044331")
    assert org.control("row_count", entity="lead") == 0


def test_updates_of_missing_or_repeated_rows_fail(org: Org) -> None:
    """V52, section 8."""
    lead = org.create("leads", {"lastname": "a"})
    assert _bulk(org, "UpdateMultiple", {"leadid": lead, "lastname": "b"}, {"leadid": NOWHERE}).status == 404
    assert _bulk(org, "UpdateMultiple", {"leadid": lead, "lastname": "b"}, {"leadid": lead}).status == 400
    assert _bulk(org, "UpdateMultiple", {"lastname": "b"}).status == 400
    assert org.read(f"leads({lead})")["lastname"] == "a"


def test_upserts_go_by_alternate_key(org: Org) -> None:
    """V53."""
    org.control("add_attribute", entity="lead", attribute="new_marketoid", type="String")
    org.control("add_key", entity="lead", name="marketo", columns=["new_marketoid"])
    target = {"@odata.id": "leads(new_marketoid='1')", "lastname": "a"}
    for lastname in ("a", "b"):
        assert _bulk(org, "UpsertMultiple", target | {"lastname": lastname}).status == 204
    assert org.read("leads(new_marketoid='1')")["lastname"] == "b"
    repeated = {"@odata.id": "leads(new_marketoid='2')", "new_marketoid": "2"}
    response = _bulk(org, "UpsertMultiple", repeated)
    assert (response.status, code(response)) == (400, "0x80040216")


def test_many_rows_are_not_deleted_at_once(org: Org) -> None:
    """V54."""
    response = _bulk(org, "DeleteMultiple", {"leadid": NOWHERE})
    assert response.status == 400


def test_the_number_of_rows_is_limited(make_org: Callable[..., Org]) -> None:
    """O14."""
    org = make_org(bulk_limit=2)
    assert _bulk(org, "CreateMultiple", {}, {}).status == 200
    assert _bulk(org, "CreateMultiple", {}, {}, {}).status == 413


def test_a_table_that_does_not_take_a_bulk_message_lacks_it(org: Org) -> None:
    """V54."""
    response = org.call("POST", "systemusers/Microsoft.Dynamics.CRM.CreateMultiple", {"Targets": []})
    assert (response.status, code(response)) == (404, "0x80060888")


@pytest.mark.parametrize(
    "path",
    [
        "leads/Microsoft.Dynamics.CRM.CreateMultiple",
        "Merge",
        "BulkDelete",
        f"leads({NOWHERE})/Microsoft.Dynamics.CRM.QualifyLead",
    ],
)
def test_a_parameter_that_an_action_lacks_is_refused(org: Org, path: str) -> None:
    """Section 15."""
    response = org.call("POST", path, {"Extra": 1})
    assert (response.status, code(response)) == (400, "0x80048d19")
    assert "The parameter 'Extra' in the request payload is not a valid parameter" in message(response)
