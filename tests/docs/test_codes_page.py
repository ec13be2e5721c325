"""docs/codes.md has an entry for every code that a failure can carry and for every kind of alert, and no other."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping

import pytest

from include.leadsync.alerts.troubles import KINDS
from include.leadsync.clients.code_table import Action, VendorCode
from include.leadsync.clients.vendor_codes import DYNAMICS, IDENTITY, MARKETO
from include.leadsync.link.reports import _ENDS as ENDS
from include.leadsync.load.rechecking import _TOLD as WITHDRAWN
from include.leadsync.model import FieldType
from include.leadsync.plan.blocked import CODE as BLOCKED
from include.leadsync.validate import RULE_ERROR
from tests.docs.test_documentation import text_of
from tests.docs.test_open_codes import codes as open_codes
from tests.docs.test_open_codes import members, trees
from tests.docs.test_open_codes import text_of as value_of

PAGE = "docs/codes.md"
OWN = re.compile(r"^[a-z]+(_[a-z]+)*$")


def chapter(heading: str, page: str = PAGE) -> str:
    text = text_of(page)
    assert f"\n## {heading}\n" in text
    return text.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]


def rows(text: str) -> dict[str, list[str]]:
    """First cell, without marks of code → the other cells."""
    cells = [[cell.strip() for cell in line.strip("|").split(" | ")] for line in text.splitlines() if "| `" in line[:3]]
    found: dict[str, list[str]] = {}
    for first, *rest in cells:
        for name in re.findall(r"`([^`]+)`", first):
            assert name not in found, name
            found[name] = rest
    return found


def written_codes() -> Iterator[str | None]:
    """Codes that the engine writes as words: in rows, in refusals of a record, in rules of the validation."""
    for node in (node for tree in trees() for node in ast.walk(tree)):
        if isinstance(node, ast.Dict) and "code" in (given := members(node)):
            yield value_of(given["code"])
        elif isinstance(node, ast.Call):
            name = ast.unparse(node.func).rpartition(".")[2]
            first, second = ([*node.args, None, None])[:2]
            yield from (value_of(keyword.value) for keyword in node.keywords if keyword.arg == "code")
            if first is not None and name in {"RowFailed", "forbid"}:
                yield value_of(first)
            if first is not None and second is not None and ast.unparse(first).startswith("RuleKind."):
                yield value_of(second)
        elif isinstance(node, ast.Yield) and isinstance(node.value, ast.Tuple) and len(node.value.elts) == 3:
            code, rule, _ = node.value.elts  # a reason why a column cannot be written
            if re.match(r"[A-Z]\d", value_of(rule) or ""):
                yield value_of(code)


def own_codes() -> set[str]:
    found = {code for code in written_codes() if code and OWN.match(code)}
    return found.union({BLOCKED, RULE_ERROR}, (code for code, _ in WITHDRAWN.values())) - {*open_codes()}


def test_every_code_of_our_own_is_explained_and_every_explained_one_exists() -> None:
    listed = rows(chapter("Refused before it is sent")) | rows(chapter("Told once"))
    assert {"required", "email_format", "blocked_update", "crm_deleted", "link_withdrawn"} <= own_codes()
    made_up = {f"invalid_{kind}" for kind in FieldType} | {f"would_{action}" for action in ENDS}
    assert set(listed) - made_up == own_codes()
    assert all(len(rest) == 2 and all(rest) for rest in listed.values())


@pytest.mark.parametrize(
    ("heading", "table"), [("Marketo", MARKETO), ("Dynamics", DYNAMICS), ("Log-in to Dynamics", IDENTITY)]
)
def test_every_code_of_a_service_is_listed_as_the_code_has_it(heading: str, table: Mapping[str, VendorCode]) -> None:
    listed = rows(chapter(heading))
    assert listed == {code: [meaning.action.value, meaning.text] for code, meaning in table.items()}


def test_what_is_to_be_done_is_said_for_every_kind_of_code() -> None:
    assert set(rows(chapter("What becomes of it"))) == {str(action) for action in Action}


def test_every_alert_has_its_entry_in_the_runbook() -> None:
    alerts = chapter("Alerts", "docs/operations.md")
    listed = re.findall(r"^\| ([a-z ]+) \| .+ \| .+ \|$", alerts, re.MULTILINE)
    assert set(listed) - {"alert"} == {kind.replace("_", " ") for kind in KINDS} | {"state store away"}
