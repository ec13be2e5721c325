"""Scenes of who belongs to whom: conversion, merges on both sides, the sync filter (R66-R74, R112-R116)."""

from __future__ import annotations

from scripts.demo.cast import Cast
from scripts.demo.scene import Reading, Scene

FILTER = "new_synctomkto"
_KEPT_OUT = "kept.out@example.com"


def identities(cast: Cast) -> list[Scene]:
    """One of each."""
    return [_converted(cast), _merged_in_dynamics(cast), _merged_in_marketo(cast), _kept_out(cast)]


def _converted(cast: Cast) -> Scene:
    person, lead = cast.pair("lead")
    cast.known["converted"] = person

    def read() -> Reading:
        shown = cast.marketo.person(person, "microsoftType", "microsoftId")
        contacts = cast.dynamics.find("contact", f"_originatingleadid_value eq {lead}", "contactid", 5)
        belongs = [contact["contactid"] for contact in contacts] == [shown.get("microsoftId")]
        return {"person": shown.get("microsoftType"), "linked to the contact": belongs}

    return Scene(
        "A lead is qualified",
        "Dynamics makes a contact of it",
        "the same person is a contact now",
        lambda: cast.dynamics.qualify(lead),
        read,
        {"person": "Contact", "linked to the contact": True},
    )


def converted_collides(cast: Cast) -> Scene:
    """After the conversion the contact's rule holds: Dynamics wins (R69)."""
    person = cast.known["converted"]
    contact = cast.marketo.person(person, "microsoftId")["microsoftId"]

    def prepare() -> None:
        cast.marketo.edit(person, title="said Marketo")
        cast.dynamics.edit("contact", contact, jobtitle="said Dynamics")

    return Scene(
        "The qualified person collides",
        "job title on both sides",
        "Dynamics wins now",
        prepare,
        cast.titles(person, "contact", contact),
        {"Marketo": "said Dynamics", "Dynamics": "said Dynamics"},
    )


def _merged_in_dynamics(cast: Cast) -> Scene:
    (keeper, kept), (loser, lost) = cast.pair("contact"), cast.pair("contact")

    def read() -> Reading:
        winner, merged = (cast.marketo.person(one, "microsoftIsDeleted") for one in (keeper, loser))
        return {
            "winner marked deleted": winner["microsoftIsDeleted"],
            "loser marked deleted": merged["microsoftIsDeleted"],
        }

    return Scene(
        "Two contacts are merged in Dynamics",
        "one loses",
        "its person is marked, the other goes on",
        lambda: cast.dynamics.merge("contact", kept, lost),
        read,
        {"winner marked deleted": False, "loser marked deleted": True},
    )


def _merged_in_marketo(cast: Cast) -> Scene:
    (winner, kept), (loser, lost) = cast.pair("lead"), cast.pair("lead")
    before = cast.dynamics.row("lead", lost).get("jobtitle")

    def read() -> Reading:
        shown = cast.marketo.person(winner, "microsoftId")
        same = shown.get("microsoftId") == kept
        return {"survivor keeps its lead": same, "the other lead": cast.dynamics.row("lead", lost).get("jobtitle")}

    return Scene(
        "Two persons are merged in Marketo",
        "both have a lead",
        "the survivor keeps its lead, the other is untouched",
        lambda: cast.marketo.merge(winner, loser),
        read,
        {"survivor keeps its lead": True, "the other lead": before},
    )


def _kept_out(cast: Cast) -> Scene:
    def prepare() -> None:
        cast.known["kept out"] = cast.dynamics.add(
            "lead", subject="Not yet", lastname="Later", emailaddress1=_KEPT_OUT, **{FILTER: False}
        )

    return Scene(
        "A new lead is kept out by the filter",
        f"{FILTER} = No",
        "no person appears",
        prepare,
        lambda: {"persons": len(cast.marketo.by_email(_KEPT_OUT))},
        {"persons": 0},
    )


def let_in(cast: Cast) -> Scene:
    """The filter changes to Yes (R115)."""
    return Scene(
        "The filter lets it in",
        f"{FILTER} = Yes",
        "the person appears",
        lambda: cast.dynamics.edit("lead", cast.known["kept out"], **{FILTER: True}),
        lambda: {"persons": len(cast.marketo.by_email(_KEPT_OUT))},
        {"persons": 1},
    )
