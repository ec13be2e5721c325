"""The salesperson's desk: rows of any table, edited as a named colleague; qualify and merge."""

from __future__ import annotations

from collections.abc import Mapping

from include.sandbox.pages.call_pages import call_table, chosen_calls
from include.sandbox.pages.column_values import fields_of, web_api_body
from include.sandbox.pages.fields import changed, inputs, select
from include.sandbox.pages.layout import facts, moment, note, table
from include.sandbox.pages.markup import Child, Markup, element, joined
from include.sandbox.pages.visit import (
    HOME,
    REFUSALS,
    Answer,
    Goto,
    NotThere,
    Page,
    View,
    Visit,
    entry,
    link_to,
    post_form,
    refusal_text,
    search_form,
)
from include.sandbox.service import Json

_USUAL_USER = "Ann Ax"
_USUAL_TABLE = "lead"
_MERGEABLE = ("account", "contact", "lead")
_CALLS = 10
_FIRST = ("firstname", "lastname", "emailaddress1", "companyname", "name", "jobtitle", "telephone1", "subject")
_DONE = {
    "saved": "Saved.", "unchanged": "Nothing was different.", "created": "Created.", "merged": "Merged.",
    "qualified": "Qualified; what was created points to this lead, see below.",
}  # fmt: skip


def home(visit: Visit) -> Answer:
    """Search in a table, and its rows changed last."""
    text, name = visit.query.get("q", "").strip(), visit.query.get("table") or _USUAL_TABLE
    described = _described(visit, name)
    found = visit.run("find_rows", {"entity": name, "text": text})
    gone = note("The row is deleted.") if visit.query.get("done") == "deleted" else None
    tables = sorted(one["name"] for one in visit.run("list_tables", {}))
    search = search_form(text, entry("Table", select("table", [(one, one) for one in tables], name)))
    heading = f"Found: {len(found)}" if text else f"Changed last of {visit.run('row_count', {'entity': name}):,} rows"
    make = element("p", element("a", f"New {name}", href=link_to("new", table=name)))
    rows = _row_table(name, found) if found else element("p", "No rows.", class_="soft")
    title = f"Rows of {described['name']}"
    return View(title, joined(gone, search, element("h2", heading), rows, make))


def _described(visit: Visit, name: str) -> dict[str, Json]:
    try:
        described: dict[str, Json] = visit.run("describe_table", {"entity": name})
    except REFUSALS as error:
        raise NotThere(str(error)) from error
    return described


def _ordered(described: Mapping[str, Json], verb: str) -> list[dict[str, Json]]:
    """The columns that can be set, the best known ones first."""
    columns = [one for one in described["columns"] if one[verb]]
    return sorted(columns, key=lambda one: _FIRST.index(one["name"]) if one["name"] in _FIRST else len(_FIRST))


def _row_table(name: str, rows: list[dict[str, Json]]) -> Markup:
    lines: list[list[Child]] = []
    for one in rows:
        entity = one.get("entity", name)
        address = link_to("row", table=entity, id=one["id"])
        email = one.get("emailaddress1") or one.get("internalemailaddress")
        kind = entity if "entity" in one else one.get("companyname")
        link = element("a", one["name"] or "(no name)", href=address)
        lines.append([link, email, kind, moment(one.get("modifiedon"))])
    fourth = "Table" if any("entity" in one for one in rows) else "Company"
    return table("Rows", ("Name", "E-mail", fourth, "Modified"), lines)


def show_row(visit: Visit) -> Answer:
    """A row: columns to edit, history, what points to it."""
    return _row(visit, visit.query.get("table", ""), visit.query.get("id", ""))


def _row(visit: Visit, name: str, row_id: str, problem: str | None = None) -> View:
    described = _described(visit, name)
    values = visit.run("read_row", {"entity": name, "id": row_id})
    if values is None:
        message = f"There is no {name} with the id {row_id}."
        raise NotThere(message)
    users = {one["id"]: one["name"] or "" for one in visit.run("find_rows", {"entity": "systemuser", "limit": 200})}
    row_id = values[described["key"]]
    done = _DONE.get(visit.query.get("done", ""))
    columns = _ordered(described, "update")
    content = joined(
        note(problem, bad=True) if problem else None,
        note(done) if done else None,
        _history(described, values, users),
        element("h2", "Columns"),
        post_form(
            visit, "edit",
            inputs(fields_of(columns, values), visit.form if problem else None),
            element("div", _acting(users), element("button", "Save"), class_="row"),
            table=name, id=row_id,
        ),
        _steps(visit, name, values, row_id, users),
        _around(visit, name, row_id),
        element("h2", "Delete"),
        post_form(
            visit, "delete", _acting(users), element("button", "Delete this row", class_="danger"), class_="row",
            table=name, id=row_id,
        ),
    )  # fmt: skip
    title = str(values.get(described["primaryName"]) or "(no name)")
    return View(title, content, 422 if problem else 200)


def _history(described: Mapping[str, Json], values: Mapping[str, Json], users: Mapping[str, str]) -> Markup:
    """What the table keeps of its past; a real one keeps no more without auditing."""
    pairs: list[tuple[str, Child]] = [("Table", described["name"]), ("Id", values[described["key"]])]
    pairs.append(("Version", values["versionnumber"]))
    for label, at, by in (("Created", "createdon", "createdby"), ("Modified", "modifiedon", "modifiedby")):
        if values.get(at):
            who = users.get(values.get(by, ""), values.get(by, ""))
            pairs.append((label, joined(moment(values[at]), f" by {who}" if who else None)))
    choices = {one["name"]: dict(one["options"]) for one in described["columns"] if one["options"]}
    for label, column in (("State", "statecode"), ("Status", "statuscode")):
        if values.get(column) is not None:
            pairs.append((label, choices.get(column, {}).get(values[column]) or values[column]))
    return facts(pairs)


def _acting(users: Mapping[str, str]) -> Markup:
    names = sorted({name for name in users.values() if name})
    return entry("Acting as", select("user", [(name, name) for name in names], _USUAL_USER))


def _steps(visit: Visit, name: str, values: Mapping[str, Json], row_id: str, users: Mapping[str, str]) -> Markup | None:
    """Qualify and merge, where they make sense."""
    if name not in _MERGEABLE or values.get("statecode", 0) != 0:
        return None
    other = element("input", name="subordinate", required=True, autocomplete="off", spellcheck="false")
    merge = post_form(
        visit, "merge", entry("Id of the row that is merged into this one", other, class_="wide"), _acting(users),
        element("button", "Merge", class_="quiet"), class_="row", table=name, id=row_id,
    )  # fmt: skip
    qualify = None
    if name == "lead":
        boxes = {
            one: element("input", type="checkbox", name=one, checked=one != "opportunity")
            for one in ("account", "contact", "opportunity")
        }
        made = [element("label", box, f"Create {one}", class_="check") for one, box in boxes.items()]
        form = post_form(visit, "qualify", *made, _acting(users), element("button", "Qualify"), class_="row", id=row_id)
        qualify = joined(element("h2", "Qualify"), form)
    return joined(qualify, element("h2", "Merge"), merge)


def _around(visit: Visit, name: str, row_id: str) -> Markup:
    related = visit.run("related_rows", {"entity": name, "id": row_id})
    calls = chosen_calls(visit, {"path": row_id, "service": "dynamics"}, None, _CALLS)
    return joined(
        joined(element("h2", "Rows that point here"), _row_table(name, related)) if related else None,
        element("h2", "Last calls that name this row"),
        call_table(calls),
        element("p", "Calls inside a $batch are not listed here.", class_="soft"),
    )


def edit(visit: Visit) -> Answer:
    """Save what was changed."""
    name, row_id = visit.form.get("table", ""), visit.form.get("id", "")
    described, values = _described(visit, name), changed(visit.form)
    if not values:
        return Goto("row", {"table": name, "id": row_id, "done": "unchanged"})
    body = web_api_body(described, values)
    return _done(visit, "edit_row", {"entity": name, "id": row_id, "values": body}, "saved")


def _done(visit: Visit, command: str, arguments: dict[str, Json], done: str) -> Answer:
    """Carry out a command on the row of the form, as the colleague chosen there; a refusal is shown with the row."""
    name, row_id = visit.form.get("table", _USUAL_TABLE), visit.form.get("id", "")
    try:
        visit.run(command, {**arguments, "user": visit.form.get("user") or _USUAL_USER})
    except REFUSALS as error:
        return _row(visit, name, row_id, refusal_text(error))
    return Goto("row", {"table": name, "id": row_id, "done": done})


def new(visit: Visit) -> Answer:
    """A form for a new row, and what comes of it."""
    name, problem = visit.query.get("table") or visit.form.get("table", ""), None
    described = _described(visit, name)
    if visit.form:
        body = web_api_body(described, changed(visit.form))
        try:
            user = visit.form.get("user") or _USUAL_USER
            made = visit.run("create_row", {"entity": name, "values": body, "user": user})
            return Goto("row", {"table": name, "id": made["id"], "done": "created"})
        except REFUSALS as error:
            problem = refusal_text(error)
    columns = _ordered(described, "create")
    first = (*_FIRST, described["primaryName"])
    kept = {**{f"now.{one['name']}": "" for one in columns if one["name"] in first}, **visit.form}
    users = {one["id"]: one["name"] or "" for one in visit.run("find_rows", {"entity": "systemuser", "limit": 200})}
    content = post_form(
        visit, "new", note(problem, bad=True) if problem else None, inputs(fields_of(columns, {}), kept),
        element("div", _acting(users), element("button", "Create"), class_="row"), table=name,
    )  # fmt: skip
    return View(f"New {described['name']}", content, 422 if problem else 200)


def delete(visit: Visit) -> Answer:
    """Delete a row."""
    name, row_id = visit.form.get("table", ""), visit.form.get("id", "")
    answer = _done(visit, "delete_row", {"entity": name, "id": row_id}, "deleted")
    return Goto("", {"table": name, "done": "deleted"}) if isinstance(answer, Goto) else answer


def qualify(visit: Visit) -> Answer:
    """Qualify a lead."""
    wanted = {f"create_{one}": one in visit.form for one in ("account", "contact", "opportunity")}
    return _done(visit, "qualify_lead", {"id": visit.form.get("id", ""), **wanted}, "qualified")


def merge(visit: Visit) -> Answer:
    """Merge another row into this one."""
    name, target = visit.form.get("table", ""), visit.form.get("id", "")
    other = visit.form.get("subordinate", "").strip()
    return _done(visit, "merge_rows", {"entity": name, "target": target, "subordinate": other}, "merged")


NAVIGATION = (
    ("Rows", HOME), ("New lead", link_to("new", table="lead")), ("New contact", link_to("new", table="contact")),
)  # fmt: skip
SHOWN: Mapping[str, Page] = {"": home, "row": show_row, "new": new}
SENT: Mapping[str, Page] = {"edit": edit, "new": new, "delete": delete, "qualify": qualify, "merge": merge}
