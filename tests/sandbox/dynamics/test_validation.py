"""What the server checks, and what it does not (V34-V39, V43)."""

from __future__ import annotations

from typing import Any

import pytest

from tests.sandbox.dynamics.conftest import Org, code, message


def _refused(org: Org, body: dict[str, Any], entity_set: str = "leads") -> tuple[int, str]:
    response = org.call("POST", entity_set, body)
    assert response.status >= 400, body
    assert org.control("row_count", entity=entity_set.removesuffix("s")) == 0
    return response.status, code(response)


def _stored(org: Org, column: str, value: Any, entity_set: str = "leads") -> Any:
    row_id = org.create(entity_set, {column: value})
    return org.read(f"{entity_set}({row_id})")[column]


def test_columns_that_are_not_writable_are_ignored_and_unknown_ones_refused(org: Org) -> None:
    """V34."""
    assert org.call("POST", "leads", {"lastusedincampaign": "2026-01-01", "fullname": 5}).status == 204
    response = org.call("POST", "accounts", {"gendercode": 1})
    assert (response.status, code(response)) == (400, "0x80048d19")
    assert "Invalid property 'gendercode' was found in entity 'Microsoft.Dynamics.CRM.account'" in message(response)
    assert message(response).startswith("Error identified in Payload provided by the user for Entity :'accounts'")


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("lastname", 5),
        ("lastname", True),
        ("leadsourcecode", "Charity"),
        ("leadsourcecode", 1.5),
        ("leadsourcecode", ""),
        ("donotemail", 0),
        ("donotemail", "true"),
        ("numberofemployees", 2**31),
        ("numberofemployees", True),
        ("revenue", "many"),
        ("revenue", False),
        ("estimatedclosedate", "2026-01-05T00:00:00Z"),
        ("estimatedclosedate", "tomorrow"),
        ("lastonholdtime", "soon"),
        ("lastonholdtime", 5),
        ("leadid", "{aaaaaaaa-0000-4000-8000-00000000000a}"),
        ("lastname", {"a": 1}),
    ],
)
def test_a_wrong_json_type_is_refused(org: Org, column: str, value: Any) -> None:
    """V34."""
    assert _refused(org, {column: value}) == (400, "0x80048d19")


def test_wrong_types_are_told_in_the_library_s_words(org: Org) -> None:
    """Section 11.2."""
    label = message(org.call("POST", "leads", {"leadsourcecode": "Charity"}))
    assert "Cannot convert the literal 'Charity' to the expected type 'Edm.Int32'" in label
    number = message(org.call("POST", "leads", {"donotemail": 0}))
    assert "Cannot convert a value of type 'Edm.Int32' to the expected target type 'Edm.Boolean'" in number


def test_application_required_columns_may_be_missing_and_cleared(org: Org) -> None:
    """V35."""
    lead = org.create("leads", {"companyname": "Acme"})
    assert org.change(f"leads({lead})", {"subject": None, "lastname": None}).status == 204


@pytest.mark.parametrize("body", [{"ownerid": None}, {"ownerid@odata.bind": None}, {"statecode": None}])
def test_system_required_columns_refuse_null(org: Org, body: dict[str, Any]) -> None:
    """V35."""
    lead = org.create("leads", {"lastname": "Ax"})
    response = org.change(f"leads({lead})", body)
    assert (response.status, code(response)) == (400, "0x80040203")
    assert message(response).startswith("Attribute: ")
    assert message(response).endswith(" cannot be set to NULL")


def test_too_long_text_is_refused_not_cut(org: Org) -> None:
    """V36."""
    response = org.call("POST", "leads", {"mobilephone": "1" * 21})
    assert (response.status, code(response)) == (400, "0x80044331")
    assert message(response) == (
        "A validation error occurred.  The length of the 'mobilephone' attribute of the 'lead' entity exceeded the "
        "maximum allowed length of '20'."
    )
    assert org.call("POST", "contacts", {"mobilephone": "1" * 21}).status == 204
    assert _stored(org, "mobilephone", "1" * 20) == "1" * 20


def test_an_emoji_counts_twice(org: Org) -> None:
    """V36, O12."""
    assert _stored(org, "mobilephone", "😀" * 10) == "😀" * 10
    assert code(org.call("POST", "leads", {"mobilephone": "😀" * 10 + "1"})) == "0x80044331"


def test_an_unknown_option_is_refused_with_the_accepted_ones(org: Org) -> None:
    """V37."""
    response = org.call("POST", "leads", {"leadqualitycode": 99})
    assert (response.status, code(response)) == (400, "0x8004431A")
    assert message(response) == (
        "A validation error occurred. The value 99 of 'leadqualitycode' on record of type 'lead' is outside the valid "
        "range. Accepted Values: 1,2,3"
    )


@pytest.mark.parametrize(
    ("column", "value", "expected"),
    [
        ("numberofemployees", -1, "0x8004432F"),
        ("numberofemployees", 1000001, "0x8004432F"),
        ("address1_latitude", 90.1, "0x80044330"),
        ("revenue", -0.01, "0x80044330"),
        ("budgetamount", 1000000000000.01, "0x80044330"),
        ("revenue", 10**15, "0x80040317"),
        ("estimatedclosedate", "1752-12-31", "0x80040239"),
        ("lastonholdtime", "1752-12-31T23:59:59Z", "0x80040239"),
        ("lastonholdtime", "9999-12-31T00:00:00Z", "0x80040239"),
        ("description", "bad\x07bell", "0x80040278"),
        ("lastname", "nul\x00", "0x80040278"),
    ],
)
def test_values_out_of_range_are_refused(org: Org, column: str, value: Any, expected: str) -> None:
    """V37."""
    assert _refused(org, {column: value}) == (400, expected)


@pytest.mark.parametrize("column", ["emailaddress1", "telephone1", "websiteurl"])
def test_formats_are_not_enforced(org: Org, column: str) -> None:
    """V38."""
    assert _stored(org, column, "not an e-mail, no phone: no url") == "not an e-mail, no phone: no url"


@pytest.mark.parametrize(
    ("column", "sent", "kept"),
    [
        ("lastname", "", None),
        ("lastname", " Ax ", " Ax "),
        ("description", "a\r\nb\n\tc", "a\r\nb\n\tc"),
        ("address1_latitude", 47.639583, 47.63958),
        ("revenue", 34.666, 34.67),
        ("revenue", 34.665, 34.67),
        ("revenue", "12.5", 12.5),
        ("revenue", 10000, 10000),
        ("numberofemployees", "200", 200),
        ("estimatedclosedate", "2026-01-05", "2026-01-05"),
        ("lastonholdtime", "2026-01-05T10:00:00.999+02:00", "2026-01-05T08:00:00Z"),
        ("lastonholdtime", "2026-01-05T10:00:00", "2026-01-05T10:00:00Z"),
        ("lastonholdtime", "2026-01-05", "2026-01-05T00:00:00Z"),
        ("processid", "ABCDEFAB-0000-4000-8000-000000000001", "abcdefab-0000-4000-8000-000000000001"),
        ("leadqualitycode", None, None),
        ("donotemail", None, None),
    ],
)
def test_values_are_kept_in_their_canonical_form(org: Org, column: str, sent: Any, kept: Any) -> None:
    """V39."""
    assert _stored(org, column, sent) == kept


def test_large_money_keeps_every_cent(org: Org) -> None:
    """V39."""
    body = b'{"revenue":99999999999999.99}'
    lead = (org.call("POST", "leads", body, {"Prefer": "return=representation"})).body
    assert b'"revenue":99999999999999.99' in lead


def _lead(org: Org, **values: Any) -> str:
    lead = org.create("leads", {"lastname": "Ax"})
    if values:
        assert org.change(f"leads({lead})", values).status == 204
    return lead


def _state(org: Org, lead: str) -> tuple[int, int]:
    row = org.read(f"leads({lead})")
    return row["statecode"], row["statuscode"]


def test_a_state_alone_brings_its_default_status(org: Org) -> None:
    """V43."""
    lead = _lead(org, statecode=2)
    assert _state(org, lead) == (2, 4)
    org.change(f"leads({lead})", {"statecode": 0})
    assert _state(org, lead) == (0, 1)


def test_a_status_of_another_state_moves_the_state(org: Org) -> None:
    """V43, O4."""
    assert _state(org, _lead(org, statuscode=7)) == (2, 7)


def test_the_same_state_keeps_its_status(org: Org) -> None:
    """V43."""
    lead = _lead(org, statuscode=2)
    org.change(f"leads({lead})", {"statecode": 0})
    assert _state(org, lead) == (0, 2)


def test_state_and_status_must_fit(org: Org) -> None:
    """V43."""
    lead = _lead(org)
    response = org.change(f"leads({lead})", {"statecode": 0, "statuscode": 4})
    assert (response.status, code(response)) == (400, "0x80048408")
    expected = f"4 is not a valid status code for state code LeadState.Open on lead with Id {lead}."
    assert message(response) == expected
    assert code(org.change(f"leads({lead})", {"statecode": 9})) == "0x80048408"
    assert code(org.change(f"leads({lead})", {"statuscode": 99})) == "0x80048408"


def test_a_row_is_not_created_in_another_state(org: Org) -> None:
    """V43, O5."""
    assert _refused(org, {"statuscode": 4}) == (400, "0x80048408")
    lead = org.create("leads", {"statecode": 2})
    assert _state(org, lead) == (0, 1)
    contact = org.create("contacts", {"statecode": 1})
    assert org.read(f"contacts({contact})")["statecode"] == 0


def test_qualified_and_disqualified_are_reached_through_open_only(org: Org) -> None:
    """V43, O3."""
    lead = _lead(org, statecode=1, statuscode=3)
    assert code(org.change(f"leads({lead})", {"statecode": 2, "statuscode": 4})) == "0x80048408"
    assert code(org.change(f"leads({lead})", {"statuscode": 5})) == "0x80048408"
    org.change(f"leads({lead})", {"statecode": 0})
    assert org.change(f"leads({lead})", {"statecode": 2}).status == 204


def test_closed_rows_stay_writable(org: Org) -> None:
    """V43."""
    lead = _lead(org, statecode=2)
    assert org.change(f"leads({lead})", {"jobtitle": "CTO"}).status == 204
    assert _state(org, lead) == (2, 4)


def test_pictures_are_base64(org: Org) -> None:
    """Section 17."""
    lead = org.create("leads", {"entityimage": "aGVsbG8="})
    assert org.read(f"leads({lead})")["entityimage"] == "aGVsbG8="
    for wrong in ("!!", "aGVsbG8", 5):
        response = org.call("POST", "leads", {"entityimage": wrong})
        assert (response.status, code(response)) == (400, "0x80048d19")


@pytest.mark.parametrize(("day", "word"), [("1752-12-31", "minimum"), ("9999-12-31", "maximum")])
def test_a_date_out_of_range_says_which_bound_it_passed(org: Org, day: str, word: str) -> None:
    """V37."""
    for column, value in (("estimatedclosedate", day), ("lastonholdtime", f"{day}T23:59:59Z")):
        response = org.call("POST", "leads", {column: value})
        assert (code(response), word in message(response)) == ("0x80040239", True)


@pytest.mark.parametrize("kind", ["#Microsoft.Dynamics.CRM.contact", "Microsoft.Dynamics.CRM.nothing", "lead", 5])
def test_a_row_of_another_type_does_not_fit(org: Org, kind: object) -> None:
    """V50."""
    lead = org.create("leads", {"@odata.type": "#Microsoft.Dynamics.CRM.lead", "lastname": "Ax"})
    wrong = {"@odata.type": kind, "lastname": "By"}
    for response in (org.call("POST", "leads", wrong), org.change(f"leads({lead})", wrong)):
        assert (response.status, code(response)) == (400, "0x80048d19")


@pytest.mark.parametrize("number", [10**19, 9223372036854775808, 10**25, 1e19])
def test_numbers_beyond_every_range_are_refused_whatever_the_precision(org: Org, number: float) -> None:
    """V37, V39."""
    org.control("add_attribute", entity="lead", attribute="new_rate", type="Decimal", precision=12)
    response = org.call("POST", "leads", {"new_rate": number})
    assert (response.status, code(response)) == (400, "0x80044330")
