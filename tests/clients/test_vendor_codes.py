"""One table per vendor: every code says what to do, who does it and where that is written."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from include.leadsync.clients import vendor_codes
from include.leadsync.clients.vendor_codes import DYNAMICS, IDENTITY, MARKETO, Action, Owner
from include.leadsync.errors import (
    AccessRefused,
    FixConfiguration,
    LeadSyncError,
    NameUnknown,
    RowFailed,
    ServiceUnavailable,
    Throttled,
)

LISTED = json.loads((Path(__file__).parent / "data" / "vendor_codes.json").read_text())
TABLES = {"marketo": MARKETO, "dataverse": DYNAMICS, "entra": IDENTITY}
EVERY = [*MARKETO.values(), *DYNAMICS.values(), *IDENTITY.values()]


@pytest.mark.parametrize(
    ("code", "action"),
    [
        ("601", Action.RENEW_TOKEN),
        ("602", Action.RENEW_TOKEN),
        ("603", Action.CONFIGURATION),
        ("604", Action.RETRY),
        ("606", Action.THROTTLE),
        ("607", Action.THROTTLE),
        ("608", Action.RETRY),
        ("611", Action.RETRY),
        ("615", Action.THROTTLE),
        ("713", Action.RETRY),
        ("1003", Action.ROW),
        ("1004", Action.GONE),
        ("1005", Action.EXISTS),
        ("1007", Action.ROW),
    ],
)
def test_marketo_codes_lead_to_the_documented_action(code: str, action: Action) -> None:
    assert vendor_codes.marketo(code).action is action


@pytest.mark.parametrize(
    ("code", "action"),
    [
        ("0x80040217", Action.GONE),
        ("0x8004431A", Action.ROW),
        ("0x80060882", Action.CONFLICT),
        ("0x80040237", Action.EXISTS),
        ("0X80044352", Action.RESYNC),
        ("0x80072491", Action.CONFIGURATION),
        ("0x80072322", Action.THROTTLE),
        ("0x80040265", Action.ROW),
    ],
)
def test_dataverse_codes_are_found_in_any_case(code: str, action: Action) -> None:
    meaning = vendor_codes.dynamics(code)
    assert meaning is not None
    assert meaning.action is action


@pytest.mark.parametrize("code", [None, "", "0x0", "0xdeadbeef"])
def test_unknown_dataverse_codes_leave_the_decision_to_the_status(code: str | None) -> None:
    assert vendor_codes.dynamics(code) is None


def test_an_unknown_marketo_code_refuses_its_record() -> None:
    assert vendor_codes.marketo("9999").action is Action.ROW


def test_every_code_has_a_text_a_page_and_an_owner_that_fits_its_action() -> None:
    for code in EVERY:
        assert code.text, code
        assert code.page, code
        assert (code.owner is Owner.ADMIN) == (code.action is Action.CONFIGURATION), code
        assert (code.owner is Owner.DEVELOPER) == (code.action is Action.BUG), code


@pytest.mark.parametrize("vendor", sorted(TABLES))
def test_every_code_that_the_vendor_lists_has_its_line_and_cites_the_vendors_page(vendor: str) -> None:
    listed = LISTED[vendor]
    assert set(TABLES[vendor]) == set(listed["codes"])
    assert all(code.page.startswith(listed["page"]) for code in TABLES[vendor].values())


def test_dataverse_keys_are_lower_case_so_that_they_can_be_found() -> None:
    assert all(code == code.lower() for code in DYNAMICS)


@pytest.mark.parametrize(
    ("code", "error"),
    [
        ("604", ServiceUnavailable),
        ("606", Throttled),
        ("603", AccessRefused),
        ("609", FixConfiguration),
        ("1006", NameUnknown),
        ("1035", AccessRefused),
        ("1004", RowFailed),
    ],
)
def test_a_refused_call_becomes_the_error_of_its_action(code: str, error: type[LeadSyncError]) -> None:
    assert type(vendor_codes.refusal("marketo", vendor_codes.marketo(code), "text")) is error
