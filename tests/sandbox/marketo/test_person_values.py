from __future__ import annotations

from typing import Any

import pytest

from tests.sandbox.marketo.caller import Caller, reason

BAD = [
    ("leadScore", 14.1, "14.1"), ("unsubscribed", "other", "other"), ("email", "bademail", "bademail"),
    ("urgency", "14c", "14c"), ("mktoAcquisitionDate", "yesterday", "yesterday"), ("thePercent", "100%", "100%"),
]  # fmt: skip


@pytest.mark.parametrize(("field", "value", "text"), BAD)
def test_one_bad_value_skips_the_whole_record_and_only_it(marketo: Caller, field: str, value: Any, text: str) -> None:
    """M38."""
    marketo.make_field("thePercent", "percent")
    person, other = marketo.create(lastName="before"), marketo.create()
    results = marketo.sync(
        {"id": person, "lastName": "after", field: value}, {"id": other, "lastName": "after"},
        action="updateOnly", lookupField="id",
    )  # fmt: skip
    assert reason(results[0]) == ("1003", f"Invalid value for field '{field}' and value '{text}'")
    assert results[1]["status"] == "updated"
    assert marketo.person(person)["lastName"] == "before"
    assert marketo.person(other)["lastName"] == "after"


MORE_BAD = [
    ("leadScore", True), ("leadScore", "5.0"), ("leadScore", 2**63), ("leadScore", [1]), ("leadScore", "٣"),
    ("annualRevenue", "inf"), ("annualRevenue", True), ("annualRevenue", {}), ("annualRevenue", "1_000"),
    ("unsubscribed", 2), ("unsubscribed", "yes"), ("unsubscribed", []),
    ("email", "ada@example"), ("email", " ada@example.test"), ("email", "ada@exam ple.test"),
    ("email", "ådå@example.test"), ("email", "ada@exämple.test"), ("email", "ada@example.test\n"), ("email", 5),
    ("email", "a" * 250 + "@example.test"), ("email", "a..b@example.test"), ("email", "@example.test"),
    ("dateOfBirth", "2020-02-30"), ("dateOfBirth", "30.08.2020"), ("dateOfBirth", 20200830),
    ("mktoAcquisitionDate", "2020-08-30T25:00:00Z"), ("mktoAcquisitionDate", 1598745600),
    ("mktoAcquisitionDate", "20200830T100000Z"), ("firstName", ["a"]), ("firstName", {"a": 1}), ("sicCode", "x" * 41),
    ("lastName", "é" * 256),
    ("address", "x" * 30_001), ("createdAt", "2020-08-30T10:00:00Z"), ("mktoName", "Full Name"),
]  # fmt: skip


@pytest.mark.parametrize(("field", "value"), MORE_BAD)
def test_values_that_do_not_fit_are_refused(marketo: Caller, field: str, value: Any) -> None:
    """M38, M45, sections 7 and 15: types, lengths, ASCII e-mail, read-only fields."""
    (result,) = marketo.sync({field: value}, action="createDuplicate")
    assert reason(result)[0] == "1003"


GOOD = [
    ("leadScore", 5, 5), ("leadScore", "5", 5), ("leadScore", -(2**63), -(2**63)), ("urgency", 5.4, 5.4),
    ("annualRevenue", 34.66, 34.66), ("annualRevenue", "34.66", 34.66), ("annualRevenue", 10_000.0, 10_000),
    ("thePercent", 99, 99), ("thePercent", 12.5, 12.5), ("unsubscribed", True, True), ("unsubscribed", "TRUE", True),
    ("unsubscribed", 1, True), ("unsubscribed", "0", False), ("dateOfBirth", "2020-08-30", "2020-08-30"),
    ("mktoAcquisitionDate", "2020-08-30T10:11:48.000Z", "2020-08-30T10:11:48Z"),
    ("mktoAcquisitionDate", "2020-08-30T10:11:48.999-07:00", "2020-08-30T17:11:48Z"),
    ("mktoAcquisitionDate", "2020-08-30T10:11:48+05:30", "2020-08-30T04:41:48Z"),
    ("website", "example.io", "example.io"), ("phone", "not a number at all", "not a number at all"),
    ("firstName", " x ", " x "), ("firstName", "", None), ("firstName", 5, "5"), ("email", "A_1@x-y.example", None),
]  # fmt: skip


@pytest.mark.parametrize(("field", "sent", "read"), GOOD)
def test_good_values_are_stored_in_one_form(marketo: Caller, field: str, sent: Any, read: Any) -> None:
    """M44, sections 6 and 15."""
    marketo.make_field("thePercent", "percent")
    person = marketo.create(**{field: sent})
    found = marketo.person(person, field)[field]
    expected = sent if field == "email" else read
    assert (found, type(found)) == (expected, type(expected))


def test_strings_that_are_too_long_are_cut_when_switched(marketo: Caller) -> None:
    """Section 15."""
    marketo.option(truncate_strings=True)
    person = marketo.create(lastName="é" * 256, address="é" * 15_001)
    found = marketo.person(person, "lastName", "address")
    assert (found["lastName"], found["address"]) == ("é" * 255, "é" * 15_000)


def test_null_clears_every_type_and_missing_members_stay(marketo: Caller) -> None:
    """M40."""
    values = {
        "firstName": "Ada", "email": "ada@example.test", "phone": "1", "leadScore": 5, "annualRevenue": 34.66,
        "unsubscribed": True, "dateOfBirth": "2020-08-30", "mktoAcquisitionDate": "2020-08-30T10:00:00Z",
        "address": "x", "website": "example.io", "personType": "contact",
    }  # fmt: skip
    person = marketo.create(**values, lastName="stays")
    marketo.sync({"id": person, **dict.fromkeys(values)}, action="updateOnly", lookupField="id")
    found = marketo.person(person, *values, "lastName")
    assert found == {"id": person, **dict.fromkeys(values), "unsubscribed": False, "lastName": "stays"}
