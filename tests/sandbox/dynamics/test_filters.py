"""`$filter` (V16, V17)."""

from __future__ import annotations

import json
from collections.abc import Sequence
from urllib.parse import quote

import pytest

from tests.sandbox.dynamics.conftest import ANN, SANDBOX_USER, Org, code, message

A = "aaaaaaaa-0000-4000-8000-00000000000a"
B = "bbbbbbbb-0000-4000-8000-00000000000b"
C = "cccccccc-0000-4000-8000-00000000000c"
PREFIX = "Microsoft.Dynamics.CRM."


@pytest.fixture
def people(org: Org) -> Org:
    """Three leads a, b, c of rising age: 2026-03-04, -05 and -09; `now` is 2026-03-10 12:00."""
    org.control("set_options", token_lifetime=10**8)
    org.sign_in()
    account = org.create("accounts", {"name": "Acme"})
    common = {"numberofemployees": 5, "revenue": 100.5, "leadsourcecode": 8, "donotemail": True}
    bind = {"parentaccountid@odata.bind": f"/accounts({account})"}
    org.create("leads", {"leadid": A, "firstname": "a", "lastname": "Café", "jobtitle": "O'Neil"} | common | bind)
    org.clock.advance(86400)
    org.create("leads", {"leadid": B, "firstname": "b", "lastname": "cafe", "numberofemployees": 10})
    org.clock.advance(4 * 86400)
    contact = {"firstname": "c", "lastname": "50% off_x", "estimatedclosedate": "2026-06-01"}
    org.create("leads", {"leadid": C, "ownerid@odata.bind": f"/systemusers({ANN})"} | contact)
    org.clock.advance(86400 + 7 * 3600)
    return org


def _found(org: Org, text: str, extra: str = "") -> str:
    path = f"leads?$filter={quote(text, safe='')}{extra}"
    return "".join(sorted(row["firstname"] for row in org.values(path, select="firstname")))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("firstname eq 'a'", "a"),
        ("firstname ne 'a'", "bc"),
        ("numberofemployees gt 5", "b"),
        ("numberofemployees ge 5", "ab"),
        ("numberofemployees lt 10", "a"),
        ("numberofemployees le 10", "ab"),
        ("5 lt numberofemployees", "b"),
        ("revenue eq 100.5", "a"),
        ("revenue gt 100", "a"),
        ("donotemail eq true", "a"),
        ("donotemail eq false", "bc"),
        ("leadsourcecode eq 8", "a"),
        ("jobtitle eq 'O''Neil'", "a"),
        ("jobtitle eq null", "bc"),
        ("jobtitle ne null", "a"),
        ("firstname eq 'a' or firstname eq 'b' and numberofemployees eq 5", "a"),
        ("(firstname eq 'a' or firstname eq 'b') and numberofemployees eq 10", "b"),
        ("not (firstname eq 'a')", "bc"),
        ("not(firstname eq 'a')", "bc"),
        ("not firstname eq 'a' and numberofemployees eq 10", "b"),
        ("contains(lastname,'AF')", "ab"),
        ("startswith(lastname,'50')", "c"),
        ("endswith(lastname,'fe')", "ab"),
        ("contains(lastname,'caf') eq false", "c"),
        ("firstname eq lastname", ""),
        ("createdon eq modifiedon", "abc"),
        ("createdon ge 2026-03-05T05:06:07Z", "bc"),
        ("createdon gt 2026-03-05T05:06:07Z", "c"),
        ("createdon lt 2026-03-05T06:06:07+01:00", "a"),
        ("createdon ge 2026-03-09", "c"),
        ("estimatedclosedate eq 2026-06-01", "c"),
        (f"leadid eq {A}", "a"),
        (f"leadid eq {A.upper()} or leadid eq {B}", "ab"),
        (f"_ownerid_value eq {ANN}", "c"),
        (f"_ownerid_value ne {ANN}", "ab"),
        ("parentaccountid/name eq 'acme'", "a"),
        ("parentaccountid/name ne 'acme'", "bc"),
        ("owninguser/fullname eq 'Ann Ax'", "c"),
        ("parentaccountid/owninguser/fullname eq 'Lead Sync'", "a"),
        ("statecode eq 0 and statuscode eq 1", "abc"),
        ("versionnumber gt 0", "abc"),
    ],
)
def test_operators_functions_nulls_and_paths(people: Org, text: str, expected: str) -> None:
    """V16, V17."""
    assert _found(people, text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("lastname eq 'CAFE'", "ab"),
        ("lastname eq 'café'", "ab"),
        ("lastname eq 'cafe  '", "ab"),
        ("contains(lastname,'C_F')", "ab"),
        ("contains(lastname,'c%e')", "ab"),
        ("startswith(lastname,'[a-d]af')", "ab"),
        ("startswith(lastname,'[^a-d]')", "c"),
        ("leadsourcecode ne 8", "bc"),
        ("not contains(jobtitle,'neil')", "bc"),
        ("leadsourcecode ne 8 and leadsourcecode ne null", ""),
    ],
)
def test_text_is_compared_without_case_and_accents_and_ne_matches_nulls(people: Org, text: str, expected: str) -> None:
    """V17."""
    assert _found(people, text) == expected


def _function(name: str, column: str, values: Sequence[str] | None = None, value: object = None) -> str:
    parts = [f"PropertyName='{column}'"]
    if values is not None:
        parts.append(f"PropertyValues={json.dumps(values)}")
    if value is not None:
        parts.append(f"PropertyValue={value}")
    return f"{PREFIX}{name}({','.join(parts)})"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (_function("In", "leadid", [A, B.upper()]), "ab"),
        (_function("NotIn", "leadid", [A, B]), "c"),
        (_function("In", "firstname", ["A", "x,y]'"]), "a"),
        (_function("In", "jobtitle", ["O'Neil"]), "a"),
        (_function("In", "numberofemployees", ["5", "10"]), "ab"),
        (_function("In", "ownerid", [ANN]), "c"),
        (_function("Between", "numberofemployees", ["1", "9"]), "a"),
        (_function("NotBetween", "numberofemployees", ["1", "9"]), "bc"),
        (_function("On", "createdon", value="'2026-03-05'"), "b"),
        (_function("OnOrAfter", "createdon", value="'2026-03-05'"), "bc"),
        (_function("OnOrBefore", "createdon", value="'2026-03-05'"), "ab"),
        (_function("LastXDays", "createdon", value=2), "c"),
        (_function("LastXHours", "createdon", value=48), "c"),
        (_function("OlderThanXDays", "createdon", value=6), "a"),
        (_function("OlderThanXDays", "createdon", value=3) + " and numberofemployees eq 5", "a"),
        (_function("Yesterday", "createdon"), "c"),
        (_function("Today", "createdon"), ""),
        (_function("EqualUserId", "ownerid"), "ab"),
        (_function("EqualUserTeams", "ownerid"), ""),
        (_function("EqualUserOrUserTeams", "ownerid"), "ab"),
        (_function("EqualUserOrUserHierarchy", "ownerid"), "ab"),
        (f"not {_function('In', 'leadid', [A])} and firstname ne 'c'", "b"),
    ],
)
def test_dataverse_functions(people: Org, text: str, expected: str) -> None:
    """V16."""
    assert _found(people, text) == expected


def test_multi_choices_are_searched_by_value(org: Org) -> None:
    """V16."""
    options = [{"value": value, "label": str(value)} for value in (1, 2, 11)]
    org.control("add_attribute", entity="lead", attribute="new_tags", type="MultiSelectPicklist", options=options)
    org.create("leads", {"firstname": "a", "new_tags": "11,2"})
    org.create("leads", {"firstname": "b", "new_tags": "1"})
    assert _found(org, _function("ContainValues", "new_tags", ["1"])) == "b"
    assert _found(org, _function("ContainValues", "new_tags", ["2", "1"])) == "ab"
    assert org.values("leads", filter="firstname eq 'a'")[0]["new_tags"] == "2,11"


def test_lambdas_look_into_collections(org: Org) -> None:
    """V16."""
    for name, children in (("Full", ["x", "y"]), ("Mixed", ["x", "z"]), ("Empty", [])):
        account = org.create("accounts", {"name": name})
        for child in children:
            org.create("contacts", {"lastname": child, "parentcustomerid_account@odata.bind": f"/accounts({account})"})

    def names(text: str) -> list[str]:
        return [row["name"] for row in org.values("accounts", filter=text, orderby="name")]

    assert names("contact_customer_accounts/any(c:c/lastname eq 'z')") == ["Mixed"]
    assert names("contact_customer_accounts/any()") == ["Full", "Mixed"]
    assert names("contact_customer_accounts/all(c:c/lastname ne 'z')") == ["Empty", "Full"]
    assert names("name ne 'Full' and contact_customer_accounts/any(c:startswith(c/lastname,'x'))") == ["Mixed"]


def test_parameter_aliases_stand_for_values(people: Org) -> None:
    """V16."""
    assert _found(people, "@p1 eq @p2", "&@p1=firstname&@p2='b'") == "b"
    assert people.get("leads?$filter=firstname%20eq%20@p9").status == 400


def test_an_enum_literal_is_a_value_in_metadata_only(org: Org) -> None:
    """V16."""
    assert org.get("leads", filter="firstname eq Microsoft.Dynamics.CRM.X'a'").status == 200


def test_hundreds_of_alternatives_are_taken(people: Org) -> None:
    """V16: SQLite's own limit on expressions is not the service's."""
    many = " or ".join(["numberofemployees eq 10", *(f"numberofemployees eq {n}" for n in range(1000, 1800))])
    assert _found(people, many) == "b"


@pytest.mark.parametrize(
    "text",
    [
        "lastname eq 'Ax",
        "lastname eq",
        "lastname",
        "leadid eq 'not-a-guid'",
        f"leadid eq '{A}'",
        "leadsourcecode eq 'Web'",
        "lastname eq 5",
        "donotemail eq 1",
        "jobtitle gt null",
        "tolower(lastname) eq 'x'",
        "soundslike(lastname,'x')",
        f"{PREFIX}Near(PropertyName='lastname')",
        f"{PREFIX}In(PropertyName='nothing',PropertyValues=['x'])",
        f"{PREFIX}Between(PropertyName='numberofemployees',PropertyValues=[\"1\"])",
        "nothing/name eq 'x'",
        "nothing/any(c:c/x eq 1)",
    ],
)
def test_a_filter_that_makes_no_sense_is_refused(org: Org, text: str) -> None:
    """V13, V16."""
    assert org.get("leads", filter=text).status == 400


def test_clashing_types_and_open_quotes_are_told_in_the_library_s_words(org: Org) -> None:
    """Section 3.4, 11.2."""
    clash = org.get("leads", filter=f"leadid eq '{SANDBOX_USER}'")
    assert message(clash) == (
        "A binary operator with incompatible types was detected. Found operand types 'Edm.Guid' and 'Edm.String' for "
        "operator kind 'Equal'."
    )
    assert "unterminated literal" in message(org.get("leads", filter="lastname eq 'Ax"))
    assert code(clash) == "0x80060888"


@pytest.mark.parametrize("digits", [18, 19, 20, 400, 5000])
def test_numbers_of_any_size_are_compared(org: Org, digits: int) -> None:
    """V16."""
    org.create("leads", {"lastname": "Ax", "numberofemployees": 5})
    huge = "9" * digits
    assert len(org.values("leads", filter=f"numberofemployees lt {huge} and versionnumber gt -{huge}")) == 1
    between = f'Microsoft.Dynamics.CRM.Between(PropertyName=\'numberofemployees\',PropertyValues=["1","{huge}"])'
    assert len(org.values("leads", filter=between)) == 1
    condition = f"<filter><condition attribute='numberofemployees' operator='lt' value='{huge}'/></filter>"
    xml = f"<fetch><entity name='lead'><attribute name='lastname'/>{condition}</entity></fetch>"
    assert len(org.read(f"leads?fetchXml={xml}")["value"]) == 1
