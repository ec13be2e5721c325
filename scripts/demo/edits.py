"""Scenes of edits: one side, both sides, the same field, a cleared field, an edit while a run is under way."""

from __future__ import annotations

from scripts.demo.cast import Cast
from scripts.demo.scene import Reading, Scene


def edits(cast: Cast) -> list[Scene]:
    """Edits of linked pairs."""
    return [
        _edited_in_dynamics(cast),
        _edited_in_marketo(cast),
        _different_fields(cast),
        _collision(cast, "lead", "Marketo wins", "said Marketo"),
        _collision(cast, "contact", "Dynamics wins", "said Dynamics"),
        _cleared(cast, "lead", "Marketo's clear wins", None),
        _cleared(cast, "contact", "Dynamics' value wins", "kept by Dynamics"),
    ]


def _edited_in_dynamics(cast: Cast) -> Scene:
    person, row = cast.pair("lead")
    value = "Head of Tea 🫖"
    return Scene(
        "A lead is edited in Dynamics",
        "job title in Dynamics",
        "reaches Marketo",
        lambda: cast.dynamics.edit("lead", row, jobtitle=value),
        cast.titles(person, "lead", row),
        {"Marketo": value, "Dynamics": value},
    )


def _edited_in_marketo(cast: Cast) -> Scene:
    person, row = cast.pair("lead")
    value = "Chief of 茶"
    return Scene(
        "A person is edited in Marketo",
        "job title in Marketo",
        "reaches Dynamics",
        lambda: cast.marketo.edit(person, title=value),
        cast.titles(person, "lead", row),
        {"Marketo": value, "Dynamics": value},
    )


def _different_fields(cast: Cast) -> Scene:
    person, row = cast.pair("lead")

    def prepare() -> None:
        cast.marketo.edit(person, title="Redaktör")
        cast.dynamics.edit("lead", row, address1_city="São Paulo")

    def read() -> Reading:
        shown, record = cast.marketo.person(person, "title", "city"), cast.dynamics.row("lead", row)
        return {
            "Marketo": f"{shown['title']}, {shown['city']}",
            "Dynamics": f"{record['jobtitle']}, {record['address1_city']}",
        }

    both = "Redaktör, São Paulo"
    return Scene(
        "Different fields on both sides",
        "title in Marketo, city in Dynamics",
        "both survive",
        prepare,
        read,
        {"Marketo": both, "Dynamics": both},
    )


def _collision(cast: Cast, table: str, should: str, winner: str) -> Scene:
    person, row = cast.pair(table)

    def prepare() -> None:
        cast.marketo.edit(person, title="said Marketo")
        cast.dynamics.edit(table, row, jobtitle="said Dynamics")

    return Scene(
        f"Collision on a {table}",
        "job title on both sides",
        should,
        prepare,
        cast.titles(person, table, row),
        {"Marketo": winner, "Dynamics": winner},
    )


def _cleared(cast: Cast, table: str, should: str, value: str | None) -> Scene:
    person, row = cast.pair(table)

    def prepare() -> None:
        cast.marketo.edit(person, title=None)
        cast.dynamics.edit(table, row, jobtitle="kept by Dynamics")

    return Scene(
        f"Cleared in Marketo, edited in Dynamics ({table})",
        "job title cleared against changed",
        should,
        prepare,
        cast.titles(person, table, row),
        {"Marketo": value, "Dynamics": value},
    )


def edited_meanwhile(cast: Cast) -> Scene:
    """An edit in Marketo after the run has read the person, just before it writes it."""
    person, row = cast.pair("lead")

    def prepare() -> None:
        cast.dynamics.edit("lead", row, jobtitle="from Dynamics")
        edit = {"id": person, "values": {"title": "typed meanwhile"}}
        rule = {
            "service": "marketo",
            "method": "POST",
            "path": "/rest/v1/leads\\.json$",
            "client": "sandbox",
            "times": 1,
            "effect": {"then": [{"service": "marketo", "command": "edit_person", "arguments": edit}]},
        }
        cast.marketo.control("faults.set", {"rules": [rule]})

    return Scene(
        "An edit while the run is under way",
        "Marketo edit between our read and our write",
        "comes back: Marketo wins on a lead",
        prepare,
        cast.titles(person, "lead", row),
        {"Marketo": "typed meanwhile", "Dynamics": "typed meanwhile"},
    )
