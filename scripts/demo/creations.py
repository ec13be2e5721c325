"""Scenes of creation: a new lead in Dynamics, and Sync Person to Microsoft."""

from __future__ import annotations

from scripts.demo.cast import Cast
from scripts.demo.scene import Reading, Scene

_ASKED = "maria.souza@example.com"


def creations(cast: Cast) -> list[Scene]:
    """Records that one system has and the other gets."""
    return [_new_lead(cast), _requested(cast)]


def _new_lead(cast: Cast) -> Scene:
    def prepare() -> None:
        cast.known["lead"] = cast.dynamics.add(
            "lead",
            subject="Trade fair",
            firstname="하윤",
            lastname="김",
            emailaddress1="hayun.kim@example.com",
            leadsourcecode=7,
        )

    def read() -> Reading:
        shown = cast.marketo.person_of(cast.known["lead"], "lastName", "leadSource", "microsoftType")
        return {"person": [shown.get("lastName"), shown.get("leadSource"), shown.get("microsoftType")]}

    return Scene(
        "A new lead in Dynamics",
        "a lead is created",
        "a person appears, Microsoft Type = Lead",
        prepare,
        read,
        {"person": ["김", "Trade Show", "Lead"]},
    )


def _requested(cast: Cast) -> Scene:
    def prepare() -> None:
        cast.known["asked"] = cast.marketo.add(
            email=_ASKED, firstName="María", lastName="de Souza", company="Café Ltda"
        )
        cast.request([cast.known["asked"]])

    def read() -> Reading:
        found = cast.dynamics.find("lead", f"emailaddress1 eq '{_ASKED}'", "leadid,lastname,companyname", 5)
        return {"leads": [[lead["lastname"], lead["companyname"]] for lead in found]}

    return Scene(
        "Sync Person to Microsoft",
        "a Marketo-only person is requested",
        "one lead is created",
        prepare,
        read,
        {"leads": [["de Souza", "Café Ltda"]]},
    )


def requested_again(cast: Cast) -> Scene:
    """The same person once more: it has a lead, so nothing happens (R48)."""
    return Scene(
        "Requested again",
        "the same person is requested once more",
        "nothing happens",
        lambda: cast.request([cast.known["asked"]]),
        lambda: {"leads": len(cast.dynamics.find("lead", f"emailaddress1 eq '{_ASKED}'", "leadid", 5))},
        {"leads": 1},
    )
