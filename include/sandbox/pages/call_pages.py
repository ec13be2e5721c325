"""The call log, newest first, with a filter."""

from __future__ import annotations

import re
from itertools import islice

from include.sandbox.call_log import Call
from include.sandbox.pages.fields import select
from include.sandbox.pages.layout import NAMES, table
from include.sandbox.pages.markup import Child, Markup, element, joined
from include.sandbox.pages.visit import Answer, View, Visit, entry, link_to

_PAGE = 50
_TITLES = ("#", "At", "Service", "Method", "Path and query", "Client", "Status", "ms", "Outcome")
_METHODS = ("GET", "POST", "PATCH", "PUT", "DELETE")


def show_calls(visit: Visit) -> Answer:
    """Requests that arrived: all, or those whose path holds a text, of one service, method, client."""
    asked = {name: visit.query.get(name, "").strip() for name in ("service", "path", "intent", "client")}
    before = visit.query.get("before", "")
    last = int(before) if before.isascii() and before.isdigit() else None
    calls = chosen_calls(visit, asked, last, _PAGE + 1)
    shown = calls[:_PAGE]
    older = None
    if len(calls) > _PAGE:
        address = link_to("calls", **{name: value or None for name, value in asked.items()}, before=shown[-1].sequence)
        older = element("p", element("a", "Older calls", href=address))
    content = joined(_filter(asked), call_table(shown), older)
    return View("Calls", content)


def chosen_calls(visit: Visit, asked: dict[str, str], before: int | None, most: int) -> list[Call]:
    """Calls newest first; empty conditions do not count."""
    path = re.escape(asked["path"]) if asked.get("path") else None
    service, intent, client = (asked.get(name) or None for name in ("service", "intent", "client"))
    found = visit.calls.entries(service=service, path=path, intent=intent, client=client)
    newest = (call for call in reversed(found) if before is None or call.sequence < before)
    return list(islice(newest, most))


def call_table(calls: list[Call]) -> Markup:
    """The calls as a table, or a sentence."""
    if not calls:
        return element("p", "No calls.", class_="soft")
    return table("Calls, newest first", _TITLES, [_row(call) for call in calls])


def _row(call: Call) -> list[Child]:
    address = f"{call.path}?{call.query}" if call.query else call.path
    parts = ", ".join(f"{count} × {method}" for method, count in call.parts.items())
    faults = element("div", f"faults: {', '.join(call.faults)}") if call.faults else None
    method = call.method if call.method == call.intent else f"{call.method} as {call.intent}"
    what = joined(element("code", address), element("div", parts, class_="soft") if parts else None, faults)
    at = element("time", call.at.partition("T")[2][:12], datetime=call.at, title=call.at)
    status: Child = "–" if call.status is None else call.status
    outcome = "" if call.outcome == "answered" else call.outcome
    return [call.sequence, at, NAMES[call.service], method, what, call.client or "–", status, f"{call.ms:.1f}", outcome]


def _filter(asked: dict[str, str]) -> Markup:
    services = [("", "both"), *NAMES.items()]
    methods = [("", "any"), *((name, name) for name in _METHODS)]
    return element(
        "form",
        entry("Path contains", element("input", name="path", value=asked["path"], type="search"), class_="wide"),
        entry("Service", select("service", services, asked["service"])),
        entry("Method", select("intent", methods, asked["intent"])),
        entry("Client", element("input", name="client", value=asked["client"])),
        element("button", "Filter"),
        method="get",
        action=link_to("calls"),
        class_="row",
        role="search",
    )
