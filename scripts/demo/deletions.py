"""Scenes of deletion, on either side, with what follows (R75-R77)."""

from __future__ import annotations

from scripts.demo.cast import Cast
from scripts.demo.scene import Reading, Scene


def deletions(cast: Cast) -> list[Scene]:
    """One deletion on each side."""
    return [_deleted_in_dynamics(cast), _deleted_in_marketo(cast)]


def _deleted_in_dynamics(cast: Cast) -> Scene:
    person, row = cast.pair("lead")

    def read() -> Reading:
        shown = cast.marketo.person(person, "microsoftIsDeleted")
        return {"person is there": bool(shown), "Microsoft is Deleted": shown.get("microsoftIsDeleted")}

    return Scene(
        "A lead is deleted in Dynamics",
        "the lead is deleted",
        "the person stays, flagged",
        lambda: cast.dynamics.delete("lead", row),
        read,
        {"person is there": True, "Microsoft is Deleted": True},
    )


def _deleted_in_marketo(cast: Cast) -> Scene:
    person, row = cast.pair("lead")
    cast.known["orphan"], cast.known["gone person"] = row, person
    return Scene(
        "A person is deleted in Marketo",
        "the person is deleted",
        "the CRM record is untouched",
        lambda: cast.marketo.delete(person),
        lambda: {"lead is there": bool(cast.dynamics.row("lead", row))},
        {"lead is there": True},
    )


def orphan_updated(cast: Cast) -> Scene:
    """The lead whose person was deleted is edited: a new person (R77)."""
    row, gone = cast.known["orphan"], cast.known["gone person"]

    def read() -> Reading:
        shown = cast.marketo.person_of(row, "title")
        return {"title": shown.get("title"), "another person": bool(shown) and shown["id"] != gone}

    return Scene(
        "Its lead is updated later",
        "the lead of the deleted person is edited",
        "a new person appears",
        lambda: cast.dynamics.edit("lead", row, jobtitle="back again"),
        read,
        {"title": "back again", "another person": True},
    )
