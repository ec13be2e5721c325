"""What queries are refused, in the words of the standard library, and what they may hold (V7, V13, V16, 11.2)."""

from __future__ import annotations

from urllib.parse import quote

import pytest

from tests.sandbox.dynamics.conftest import Org, code, header, message

PREFIX = "Microsoft.Dynamics.CRM."
CLASH = (
    "A binary operator with incompatible types was detected. Found operand types '{}' and '{}' for operator kind '{}'."
)
UNKNOWN = (
    "An unknown function with name 'soundslike' was found. This may also be a function import or a key lookup on a "
    "navigation property, which is not allowed."
)
ARGUMENTS = (
    "No function signature for the function with name 'contains' matches the specified arguments. The function "
    "signatures considered are: contains(Edm.String Nullable=true, Edm.String Nullable=true)."
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("lastname eq 'Ax", "There is an unterminated literal at position 15 in 'lastname eq 'Ax'."),
        ("lastname eq", "Expression expected at position 11 in 'lastname eq'."),
        ("lastname eq 'x' and", "Expression expected at position 19 in 'lastname eq 'x' and'."),
        ("(lastname eq 'x'", "')' or operator expected at position 16 in '(lastname eq 'x''."),
        ("lastname eq 'x')", "Syntax error at position 16 in 'lastname eq 'x')'."),
        ("lastname = 'x'", "Syntax error at position 10 in 'lastname = 'x''."),
        ("lastname EQ 'x'", "Syntax error at position 11 in 'lastname EQ 'x''."),
        ("fax eq 'x' AND fax eq 'y'", "Syntax error at position 14 in 'fax eq 'x' AND fax eq 'y''."),
        ('lastname eq "x"', "Syntax error: character '\"' is not valid at position 12 in 'lastname eq \"x\"'."),
        ("lastname", "The $filter expression must evaluate to a single boolean value."),
        ("Lastname eq 'x'", "Could not find a property named 'Lastname' on type 'Microsoft.Dynamics.CRM.lead'."),
        ("parentaccountid/x eq 1", "Could not find a property named 'x' on type 'Microsoft.Dynamics.CRM.account'."),
        ("soundslike(lastname,'x')", UNKNOWN),
        ("contains(lastname)", ARGUMENTS),
        ("ownerid eq 'x'", CLASH.format("Microsoft.Dynamics.CRM.principal", "Edm.String", "Equal")),
        ("revenue gt '5'", CLASH.format("Edm.Decimal", "Edm.String", "GreaterThan")),
    ],
)
def test_a_wrong_filter_is_refused_in_the_library_s_words(org: Org, text: str, expected: str) -> None:
    """V13, V16, section 11.2."""
    answer = org.get("leads", filter=text)
    assert (answer.status, code(answer), message(answer)) == (400, "0x80060888", expected)


@pytest.mark.parametrize(
    "text",
    [
        "not " * 3000 + "(lastname eq 'x')",
        "parentaccountid/" * 40 + "name eq 'x'",
        "/".join(["parentaccountid"] * 300) + " eq 1",
        "(" * 4000 + "lastname eq 'x'",
        "lastname eq 'x'; DROP TABLE r_lead",
        "lastname eq '\x00' or",
    ],
)
def test_hostile_filters_are_refused(org: Org, text: str) -> None:
    """Bad input: no filter ends the emulator."""
    assert org.get("leads", filter=text).status == 400


@pytest.mark.parametrize("text", ["lastname eq 'x'' or 1 eq 1 --'", "contains(lastname,'\"; DROP TABLE r_lead; --')"])
def test_values_never_become_sql(org: Org, text: str) -> None:
    """Bad input: injection."""
    org.create("leads", {"lastname": "Ax"})
    assert org.values("leads", filter=text) == []


def test_a_navigation_property_is_compared_with_null_only(org: Org) -> None:
    """V16, V14."""
    account = org.create("accounts", {"name": "Acme"})
    org.create("leads", {"lastname": "a", "customerid_account@odata.bind": f"/accounts({account})"})
    org.create("leads", {"lastname": "b"})

    def names(text: str) -> list[str]:
        return [row["lastname"] for row in org.values("leads", filter=text)]

    assert names("customerid_account ne null") == ["a"]
    assert names("customerid_contact ne null") == []
    assert names("parentaccountid eq null") == ["a", "b"]
    assert org.get("leads", filter=f"parentaccountid eq {account}").status == 400


@pytest.mark.parametrize(
    ("path", "start"),
    [
        ("leads?$select=fax&$select=lastname", "Query option '$select' was specified more than once"),
        ("leads?$count=maybe", "Invalid value 'maybe' for $count query option found."),
        ("leads?$top=-1", "Invalid value '-1' for $top query option found."),
        ("leads?$Select=fax", "The query parameter $Select is not supported."),
        ("leads?$skip=1", "Skip Clause is not supported in CRM"),
        ("leads?$compute=fax%20as%20x", "The query parameter $compute is not supported."),
        ("leads?$orderby=fax%20upwards", "Syntax error at position"),
        ("leads?$expand=parentaccountid($levels=2)", "Found an unsupported option '$levels' in $expand."),
    ],
)
def test_options_are_refused_that_are_unknown_wrong_or_given_twice(org: Org, path: str, start: str) -> None:
    """V7, V22."""
    answer = org.get(path)
    assert (answer.status, code(answer)) == (400, "0x80060888")
    assert message(answer).startswith(start)


@pytest.mark.parametrize("option", ["$top=1", "$filter=fax%20eq%20null", "$orderby=fax", "$count=true"])
def test_options_of_collections_do_not_fit_one_row(org: Org, option: str) -> None:
    """V7."""
    lead = org.create("leads", {})
    answer = org.get(f"leads({lead})?{option}")
    assert (answer.status, message(answer).split(".")[0]) == (400, "The requested resource is not a collection")


def test_annotations_are_asked_for_by_namespace(org: Org) -> None:
    """V15, V20, V10: `Microsoft.Dynamics.CRM.*` is all of them but the formatted values."""
    org.create("leads", {"lastname": "Ax"})
    response = org.get("leads", {"Prefer": f'odata.include-annotations="{PREFIX}*"'}, select="_ownerid_value")
    text = response.body.decode()
    assert header(response, "Preference-Applied") == f'odata.include-annotations="{PREFIX}*"'
    assert f"@{PREFIX}totalrecordcount" in text
    assert f"_ownerid_value@{PREFIX}lookuplogicalname" in text
    assert "FormattedValue" not in text


def test_asked_for_annotations_are_echoed_as_they_were_listed(org: Org) -> None:
    """V10."""
    listed = f"{PREFIX}lookuplogicalname,OData.Community.Display.V1.FormattedValue"
    response = org.get("leads", {"Prefer": f'odata.include-annotations="{listed}"'})
    assert header(response, "Preference-Applied") == f'odata.include-annotations="{listed}"'


@pytest.mark.parametrize(
    ("function", "found"),
    [
        ("ThisWeek(PropertyName='overriddencreatedon')", ""),
        ("ThisMonth(PropertyName='createdon')", "ab"),
        ("LastMonth(PropertyName='createdon')", ""),
        ("NextYear(PropertyName='createdon')", ""),
        ("ThisYear(PropertyName='createdon')", "ab"),
        ("ThisFiscalPeriod(PropertyName='createdon')", "ab"),
        ("LastFiscalYear(PropertyName='createdon')", ""),
        ("InFiscalYear(PropertyName='createdon',PropertyValue=2026)", "ab"),
        ("InFiscalPeriod(PropertyName='createdon',PropertyValue=1)", "ab"),
        ("InFiscalPeriodAndYear(PropertyName='createdon',PropertyValue1=2,PropertyValue2=2026)", ""),
        ("InOrBeforeFiscalPeriodAndYear(PropertyName='createdon',PropertyValue1=1,PropertyValue2=2026)", "ab"),
        ("LastXMonths(PropertyName='createdon',PropertyValue=1)", "ab"),
        ("LastXHours(PropertyName='createdon',PropertyValue=1)", "b"),
        ("OlderThanXMinutes(PropertyName='createdon',PropertyValue=5)", "a"),
        ("NextXWeeks(PropertyName='estimatedclosedate',PropertyValue=2)", "a"),
        ("Next7Days(PropertyName='estimatedclosedate')", ""),
        ("LastXYears(PropertyName='createdon',PropertyValue=100000)", "ab"),
        ("EqualUserId(PropertyName='ownerid')", "ab"),
        ("EqualBusinessId(PropertyName='owningbusinessunit')", "ab"),
        ("NotEqualBusinessId(PropertyName='owningbusinessunit')", ""),
        ("NotBetween(PropertyName='numberofemployees',PropertyValues=['1','5'])", "b"),
        ("NotIn(PropertyName='lastname',PropertyValues=['A'])", "b"),
    ],
)
def test_functions_of_the_calendar_and_the_caller(org: Org, function: str, found: str) -> None:
    """V16: `now` is Monday 2026-03-09, 05:06:07."""
    org.control("set_options", token_lifetime=10**8)
    org.sign_in()
    org.create("leads", {"lastname": "a", "numberofemployees": 3, "estimatedclosedate": "2026-03-20"})
    org.clock.advance(5 * 86400)
    org.create("leads", {"lastname": "b"})
    function = function.replace("['1','5']", '["1","5"]').replace("['A']", '["A"]')
    rows = org.values(f"leads?$filter={quote(PREFIX + function, safe='')}", select="lastname")
    assert "".join(row["lastname"] for row in rows) == found


@pytest.mark.parametrize(
    "function",
    [
        "LastXDays(PropertyName='createdon',PropertyValue=-1)",
        "LastXDays(PropertyName='createdon')",
        "LastXDays(PropertyName='lastname',PropertyValue=1)",
        "On(PropertyName='createdon',PropertyValue='tomorrow')",
        "InFiscalPeriod(PropertyName='createdon',PropertyValue=5)",
        "InFiscalYear(PropertyName='createdon',PropertyValue=99999)",
        "ContainValues(PropertyName='lastname',PropertyValues=['x'])",
        "Today()",
    ],
)
def test_functions_refuse_values_that_do_not_fit(org: Org, function: str) -> None:
    """V16."""
    assert org.get(f"leads?$filter={quote(PREFIX + function, safe='')}").status == 400


def test_the_delta_link_stands_before_the_rows(org: Org) -> None:
    """V25, V26: as in the vendor's samples; the preference is echoed when it was sent."""
    response = org.get("leads", {"Prefer": "odata.track-changes"}, select="lastname")
    content = org.read("leads", {"Prefer": "odata.track-changes"}, select="lastname")
    assert list(content) == ["@odata.context", "@odata.deltaLink", "value"]
    assert header(response, "Preference-Applied") == "odata.track-changes"
    delta = org.get(content["@odata.deltaLink"])
    assert header(delta, "Preference-Applied") is None
