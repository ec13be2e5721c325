"""Queries, keys, definitions and batches put together from odd pieces: each is answered, none ends in a crash.

What the emulator does not foresee leaves `handle` as an exception (over HTTP: status 500). The pieces are those that
once did: numbers beyond 64 bits, the ends of the calendar, broken wildcards, values of the wrong type.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from random import Random
from typing import Any
from urllib.parse import quote

import pytest

from tests.sandbox.dynamics.conftest import NOWHERE, Org

COLUMNS = [
    *("lastname", "statecode", "leadid", "_ownerid_value", "ownerid", "parentaccountid", "revenue", "createdon"),
    *("estimatedclosedate", "donotemail", "numberofemployees", "versionnumber", "address1_latitude", "exchangerate"),
    *("parentaccountid/name", "ownerid/ownerid", "contact_originating_lead", "customerid_account", "nothing"),
]
LITERALS = [
    *("'a'", "5", "-5", "1.5", "9" * 20, "9223372036854775808", "1e400", "null", "true", NOWHERE, "2026-01-01"),
    *("9999-12-31T23:59:59Z", "0001-01-01", "'%'", "'['", "'[^a-'", "''", "'\x00'", "INF", "[1]", "{}", "@p", ")"),
]
CALLS = (
    "contains({0},{1})",
    "endswith({0},{1}) eq false",
    "not ({0} eq {1})",
    "contact_originating_lead/any(c:c/{0} eq {1})",
    'Microsoft.Dynamics.CRM.Between(PropertyName=\'{0}\',PropertyValues=["1","99999999999999999999"])',
    "Microsoft.Dynamics.CRM.On(PropertyName='{0}',PropertyValue={1})",
    "Microsoft.Dynamics.CRM.OlderThanXYears(PropertyName='{0}',PropertyValue={1})",
    "Microsoft.Dynamics.CRM.NextXWeeks(PropertyName='{0}',PropertyValue=100000)",
)
OPERATORS = [
    "eq",
    "like",
    "in",
    "between",
    "last-x-days",
    "contain-values",
    "on",
    "on-or-before",
    "gt",
    "in-fiscal-year",
]
VALUES: list[Any] = ["a", 5, -5, 1.5, 10**30, None, True, [], {}, [1], [{}], "x" * 5000, "\x00", "$1", "/leads("]
Pieces = Callable[[Random], str]


def condition(dice: Random) -> str:
    if dice.random() < 0.5:
        operator = dice.choice(["eq", "ne", "gt", "le", "in", "has", "and", "add"])
        return f"{dice.choice(COLUMNS)} {operator} {dice.choice(LITERALS)}"
    return dice.choice(CALLS).format(dice.choice(COLUMNS), dice.choice(LITERALS))


def fetch_xml(dice: Random) -> str:
    column, value = dice.choice(COLUMNS), dice.choice(LITERALS).strip("'").replace("\x00", "")
    parts = [
        f"<attribute name='{column}' alias='a'/>",
        f"<attribute name='{column}' groupby='true' dategrouping='{dice.choice(['week', 'year', 'x'])}' alias='g'/>",
        f"<attribute name='{column}' aggregate='{dice.choice(['sum', 'avg', 'count'])}' alias='m'/>",
        f"<order attribute='{column}'/>",
        f"<filter><condition attribute='{column}' operator='{dice.choice(OPERATORS)}' value='{value}'/></filter>",
        f"<link-entity name='account' from='accountid' to='{column}' alias='l'><attribute name='name'/></link-entity>",
    ]
    head = dice.choice(["", "aggregate='true'", "distinct='true'", "top='2'", "page='999999999' count='5000'"])
    chosen = "".join(dice.sample(parts, dice.randint(0, 3)))
    return f"<fetch {head}><entity name='lead'>{chosen}</entity></fetch>"


QUERIES: dict[str, Pieces] = {
    "$filter": condition,
    "$select": lambda dice: ",".join(dice.sample(COLUMNS, 2)),
    "$orderby": lambda dice: f"{dice.choice(COLUMNS)} {dice.choice(['asc', 'desc', 'x'])}",
    "$top": lambda dice: dice.choice(LITERALS),
    "$expand": lambda dice: f"contact_originating_lead($filter={condition(dice)};$top={dice.choice(LITERALS)})",
    "$apply": lambda dice: f"filter({condition(dice)})/groupby(({dice.choice(COLUMNS)}),aggregate($count as n))",
    "$deltatoken": lambda dice: f"{dice.choice(['1', '9' * 18, '9' * 30])}!{dice.choice(['03/04/2026 05:06:07', 'x'])}",
    "fetchXml": fetch_xml,
}


@pytest.mark.parametrize("kind", QUERIES)
def test_no_query_is_beyond_the_service(org: Org, kind: str) -> None:
    org.create("leads", {"lastname": "Ax", "numberofemployees": 5, "revenue": 1.5, "leadsourcecode": 8})
    dice, statuses = Random(kind), set()
    for _ in range(60):
        text = quote(QUERIES[kind](dice), safe="")
        query = f"{quote(kind, safe='$')}={text}&@p={quote(dice.choice(LITERALS), safe='')}"
        headers = dice.choice([{}, {"Prefer": 'odata.include-annotations="*"'}, {"Prefer": "odata.track-changes"}])
        statuses.add(org.get(f"leads?{query}", headers).status)
    assert 400 in statuses
    assert statuses <= {200, 400, 404}


@pytest.mark.parametrize("kind", ["Integer", "Decimal", "String", "DateTime", "Picklist", "BigInt"])
def test_no_key_is_beyond_the_service(org: Org, kind: str) -> None:
    org.control("add_attribute", entity="contact", attribute="new_code", type=kind)
    org.control("add_key", entity="contact", name="new_codekey", columns=["new_code"])
    for literal in LITERALS:
        for method, body in (("GET", None), ("PATCH", {"lastname": "Ax"})):
            status = org.call(method, f"contacts(new_code={literal})", body).status
            assert status in {200, 204, 400, 404}


@pytest.mark.parametrize("seed", range(3))
def test_no_body_is_beyond_the_service(org: Org, seed: int) -> None:
    dice = Random(seed)
    lead = org.create("leads", {"lastname": "Ax"})
    names = [*(name for name in COLUMNS if "/" not in name), "@odata.type", "@x", "ownerid@odata.bind"]
    targets = [("POST", "leads"), ("PATCH", f"leads({lead})"), ("POST", "Merge"), ("POST", "InsertOptionValue")]
    members = [
        "SchemaName",
        "MaxLength",
        "MinValue",
        "Precision",
        "RequiredLevel",
        "OptionSet",
        "DisplayName",
        "Format",
    ]
    for _ in range(60):
        method, path = dice.choice(targets)
        body = {name: dice.choice(VALUES) for name in dice.sample(names, 2)}
        assert org.call(method, path, body).status in {204, 400, 403, 404}
        kind = dice.choice(["String", "Integer", "Decimal", "Boolean", "Picklist", "DateTime"])
        definition = {name: dice.choice(VALUES) for name in dice.sample(members, 3)}
        typed = {"SchemaName": "new_X", **definition, "@odata.type": f"Microsoft.Dynamics.CRM.{kind}AttributeMetadata"}
        assert org.call("POST", "EntityDefinitions(LogicalName='lead')/Attributes", typed).status in {204, 400}


@pytest.mark.parametrize("seed", range(3))
def test_no_batch_is_beyond_the_service(org: Org, seed: int) -> None:
    dice = Random(seed)
    lead = json.dumps({"lastname": "Ax"})
    whole = (
        "--b\r\nContent-Type: multipart/mixed; boundary=c\r\n\r\n--c\r\nContent-Type: application/http\r\n"
        f"Content-ID: 1\r\n\r\nPOST leads HTTP/1.1\r\nContent-Type: application/json\r\n\r\n{lead}\r\n--c--\r\n"
        "--b\r\nContent-Type: application/http\r\n\r\nGET leads?$top=1 HTTP/1.1\r\n\r\n--b--\r\n"
    ).encode()
    for _ in range(60):
        body = bytearray(whole)
        for _ in range(dice.randint(1, 4)):
            at = dice.randrange(len(body))
            if dice.random() < 0.5:
                del body[at : at + dice.randint(1, 20)]
            else:
                body[at] = dice.randrange(256)
        response = org.call("POST", "$batch", bytes(body), {"Content-Type": "multipart/mixed; boundary=b"})
        assert response.status in {200, 400}
