"""Scenes of refusal: values that Dynamics' rules forbid, and the correction of one (R110, R111)."""

from __future__ import annotations

from scripts.demo.cast import Cast
from scripts.demo.scene import Scene

LONG_MOBILE = "+46 70 123 45 67 / 89 / 90"  # 26 characters; leads hold 20, contacts 50
TOO_LONG = "lead.mobilephone takes 20 characters; the value has 26 (emoji count as 2)."
REQUIRED = "lead.lastname is required (ApplicationRequired) and cannot be cleared; its value stays in Dynamics."
NO_OPTION = "“Boiling” is not an option of lead.leadqualitycode. Accepted: Hot, Warm, Cold."


def refusals(cast: Cast) -> list[Scene]:
    """Too long, required, no such option."""
    return [
        _refused(cast, "A value too long", ("mobilePhone", LONG_MOBILE), "mobilephone", TOO_LONG),
        _refused(cast, "A required field is emptied", ("lastName", None), "lastname", REQUIRED),
        _refused(cast, "A wrong option", ("rating", "Boiling"), "leadqualitycode", NO_OPTION),
    ]


def _refused(cast: Cast, title: str, edit: tuple[str, str | None], column: str, reason: str) -> Scene:
    person, row = cast.pair("lead")
    name, value = edit
    before = cast.dynamics.row("lead", row).get(column)
    cast.known[f"refused {name}"] = (person, row)
    return Scene(
        title,
        f"{name} = {value!r} in Marketo" if value else f"{name} emptied in Marketo",
        "not written; the activity log says so, and why",
        lambda: cast.marketo.edit(person, **{name: value}),
        lambda: {
            "Dynamics": cast.dynamics.row("lead", row).get(column),
            "activity log": cast.marketo.outcomes(person),
            "reason": cast.marketo.reasons(person),
        },
        {"Dynamics": before, "activity log": [f"failed: {name}"], "reason": reason},
    )


def corrected(cast: Cast) -> Scene:
    """The value that was too long is shortened."""
    person, row = cast.known["refused mobilePhone"]
    return Scene(
        "The long value is corrected",
        "mobile number shortened in Marketo",
        "written; the activity log closes the failure",
        lambda: cast.marketo.edit(person, mobilePhone="+46 70 123 45 67"),
        lambda: {
            "Dynamics": cast.dynamics.row("lead", row).get("mobilephone"),
            "activity log": cast.marketo.outcomes(person),
        },
        {"Dynamics": "+46 70 123 45 67", "activity log": ["failed: mobilePhone", "recovered: mobilePhone"]},
    )
