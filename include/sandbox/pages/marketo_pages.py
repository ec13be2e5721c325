"""The marketer's desk: persons with their activities and lists."""

from __future__ import annotations

from collections.abc import Mapping

from include.sandbox.pages.fields import YES_NO, Field, changed, inputs, select
from include.sandbox.pages.layout import facts, moment, note, table
from include.sandbox.pages.markup import Markup, element, joined
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

_ACTIVITIES = 50
_KINDS = {
    "text": "long", "date": "date", "integer": "whole", "reference": "whole", "percent": "number", "float": "number",
    "currency": "number",
}  # fmt: skip
_FIRST = ("firstName", "lastName", "email", "company", "title", "phone")
_DONE = {
    "saved": "Saved.", "unchanged": "Nothing was different.", "created": "Created.", "listed": "Added to the list.",
    "unlisted": "Taken off the list.",
}  # fmt: skip


def home(visit: Visit) -> Answer:
    """Search and the newest persons."""
    text = visit.query.get("q", "").strip()
    found = visit.run("find_people", {"text": text})
    count = visit.run("people_count", {})["people"]
    gone = note("The person is deleted.") if visit.query.get("done") == "deleted" else None
    search = search_form(text)
    rows = [[_person_link(one), one["email"], one["company"], moment(one["updatedAt"])] for one in found]
    listed = table("Persons", ("Person", "E-mail", "Company", "Updated"), rows) if rows else None
    heading = f"Found: {len(found)}" if text else f"Newest of {count:,} persons"
    nothing = None if rows else element("p", "Nobody was found." if text else "There is nobody yet.", class_="soft")
    return View("Persons", joined(gone, search, element("h2", heading), listed, nothing))


def _person_link(one: Mapping[str, Json]) -> Markup:
    name = " ".join(part for part in (one["firstName"], one["lastName"]) if part)
    return element("a", f"{name or '(no name)'} · {one['id']}", href=link_to("person", id=one["id"]))


def show_person(visit: Visit) -> Answer:
    """A person: fields to edit, lists, activities."""
    return _person(visit, visit.query.get("id", ""))


def _person(visit: Visit, person_id: str, problem: str | None = None) -> View:
    person = visit.run("read_person", {"id": _number(person_id)})
    if person is None:
        message = f"There is no person {person_id}."
        raise NotThere(message)
    values, number = person["values"], person["id"]
    name = " ".join(values[part] for part in ("firstName", "lastName") if values.get(part)) or "(no name)"
    done = _DONE.get(visit.query.get("done", ""))
    content = joined(
        note(problem, bad=True) if problem else None,
        note(done) if done else None,
        facts([("Id", number), ("Created", moment(person["createdAt"])), ("Updated", moment(person["updatedAt"]))]),
        element("h2", "Fields"),
        post_form(
            visit, "edit",
            inputs(_fields(visit, values), visit.form if problem else None),
            element("p", element("button", "Save")),
            id=number,
        ),
        _lists(visit, person),
        element("h2", "Activities"),
        _activities(visit, number),
        element("h2", "Delete"),
        post_form(visit, "delete", element("button", "Delete this person", class_="danger"), id=number),
    )  # fmt: skip
    return View(name, content, 422 if problem else 200)


def _fields(visit: Visit, values: Mapping[str, Json]) -> list[Field]:
    editable = [one for one in visit.run("list_fields", {}) if not one["readOnly"] and one["name"] != "id"]
    editable.sort(key=lambda one: _FIRST.index(one["name"]) if one["name"] in _FIRST else len(_FIRST))
    return [
        Field(
            one["name"],
            f"{one['displayName']} ({one['name']})",
            _shown(values.get(one["name"])),
            _KINDS.get(one["dataType"], "text"),
            one["length"],
            YES_NO if one["dataType"] == "boolean" else (),
        )
        for one in editable
    ]


def _shown(value: Json) -> str:
    if value is None:
        return ""
    return str(value).lower() if isinstance(value, bool) else str(value)


def _lists(visit: Visit, person: Mapping[str, Json]) -> Markup:
    number, mine = person["id"], {one["id"] for one in person["lists"]}
    off = element("button", "Take off", class_="quiet")
    rows = [[one["name"], post_form(visit, "unlist", off, id=number, list=one["id"])] for one in person["lists"]]
    others = [one for one in visit.run("static_lists", {}) if one["id"] not in mine]
    choice = select("list", [(str(one["id"]), f"{one['name']} ({one['members']})") for one in others], "")
    add = post_form(visit, "list", entry("List", choice), element("button", "Add to the list"), class_="row", id=number)
    return joined(
        element("h2", "Static lists"),
        table("Lists of this person", ("List", ""), rows) if rows else element("p", "On no list.", class_="soft"),
        add if others else None,
    )


def _activities(visit: Visit, number: int) -> Markup:
    before = _number(visit.query.get("before") or "0")
    asked = {"id": number, "before": before or None, "limit": _ACTIVITIES + 1}
    found = visit.run("person_activities", asked)
    if not found:
        return element("p", "No activities.", class_="soft")
    shown = found[:_ACTIVITIES]
    rows = [[moment(one["at"]), one["type"], one.get("primary"), _attributes(one["attributes"])] for one in shown]
    older = None
    if len(found) > _ACTIVITIES:
        address = link_to("person", id=number, before=shown[-1]["id"])
        older = element("p", element("a", "Older activities", href=address))
    return joined(table("Activities, newest first", ("At", "Type", "Of", "Attributes"), rows), older)


def _attributes(attributes: Mapping[str, Json]) -> Markup:
    named = ((element("span", f"{name}: ", class_="soft"), _shown(value)) for name, value in attributes.items())
    return joined(*(element("div", name, value) for name, value in named))


def edit(visit: Visit) -> Answer:
    """Save what was changed."""
    person_id, values = visit.form.get("id", ""), changed(visit.form)
    if not values:
        return Goto("person", {"id": _number(person_id), "done": "unchanged"})
    try:
        visit.run("edit_person", {"id": _number(person_id), "values": values})
    except REFUSALS as error:
        return _person(visit, person_id, refusal_text(error))
    return Goto("person", {"id": _number(person_id), "done": "saved"})


def new(visit: Visit) -> Answer:
    """A form for a new person, and what comes of it."""
    problem = None
    if visit.form:
        try:
            made = visit.run("create_person", {"values": changed(visit.form), "duplicate": "duplicate" in visit.form})
            return Goto("person", {"id": made["id"], "done": "created"})
        except REFUSALS as error:
            problem = refusal_text(error)
    kept = {**{f"now.{name}": "" for name in _FIRST}, **visit.form}
    twice = element("input", type="checkbox", name="duplicate")
    content = post_form(
        visit, "new", note(problem, bad=True) if problem else None,
        inputs(_fields(visit, {}), kept),
        element("label", twice, "Also when somebody has this e-mail address already", class_="check"),
        element("p", element("button", "Create")),
    )  # fmt: skip
    return View("New person", content, 422 if problem else 200)


def delete(visit: Visit) -> Answer:
    """Delete a person."""
    try:
        visit.run("delete_person", {"id": _number(visit.form.get("id", ""))})
    except REFUSALS as error:
        return _person(visit, visit.form.get("id", ""), refusal_text(error))
    return Goto("", {"done": "deleted"})


def enlist(visit: Visit) -> Answer:
    """Put a person on a list."""
    return _membership(visit, "add_to_list", "listed")


def unlist(visit: Visit) -> Answer:
    """Take a person off a list."""
    return _membership(visit, "remove_from_list", "unlisted")


def _membership(visit: Visit, command: str, done: str) -> Answer:
    person_id = visit.form.get("id", "")
    try:
        visit.run(command, {"listId": _number(visit.form.get("list", "")), "leadId": _number(person_id)})
    except REFUSALS as error:
        return _person(visit, person_id, refusal_text(error))
    return Goto("person", {"id": _number(person_id), "done": done})


def lists(visit: Visit, problem: str | None = None) -> Answer:
    """All static lists, and a form for a new one."""
    rows = [[one["name"], one["id"], f"{one['members']:,}"] for one in visit.run("static_lists", {})]
    name = element("input", name="name", required=True, autocomplete="off")
    make = post_form(visit, "lists-new", entry("Name", name, class_="wide"), element("button", "Create"), class_="row")
    nothing = None if rows else element("p", "No lists yet.", class_="soft")
    shown = table("Static lists", ("List", "Id", "Members"), rows) if rows else None
    refused = note(problem, bad=True) if problem else None
    content = joined(refused, nothing, shown, element("h2", "New list"), make)
    return View("Static lists", content, 422 if problem else 200)


def new_list(visit: Visit) -> Answer:
    """Create a list; one of that name is left as it is."""
    name = visit.form.get("name", "").strip()
    try:
        if name:
            visit.run("create_list", {"name": name})
    except REFUSALS as error:
        return lists(visit, refusal_text(error))
    return Goto("lists", {})


def _number(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < len(str(2**63))):
        message = f"{text!r} is no id."
        raise NotThere(message)
    return int(text)


NAVIGATION = (("Persons", HOME), ("New person", link_to("new")), ("Lists", link_to("lists")))
SHOWN: Mapping[str, Page] = {"": home, "person": show_person, "new": new, "lists": lists}
SENT: Mapping[str, Page] = {
    "edit": edit, "new": new, "delete": delete, "list": enlist, "unlist": unlist, "lists-new": new_list,
}  # fmt: skip
