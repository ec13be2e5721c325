"""The section `requests`: who may ask for Sync Person to Microsoft inside Marketo, and what a request does."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from include.leadsync.settings.section import REST_NAME, Section

Owner = Annotated[str, Field(min_length=1, max_length=200)]
"""Id, e-mail address or full name of a Dynamics user, or `team:` and the name of a team."""


class Ask(Section):
    """What a request of one channel asks for (D22)."""

    sync_as: Literal["lead", "contact"] = "lead"
    owner: Owner | None = None
    reason: Annotated[str, Field(max_length=1000)] | None = None


class RequestSettings(Section):
    """Channels inside Marketo and the choices of D24, D25, D27, D29.

    `lists`: name of a static list → what its members ask for. `fields`: REST name of a searchable person field →
    its value → what the person asks for.
    """

    lists: dict[Annotated[str, Field(min_length=1, max_length=255)], Ask] = Field(default_factory=dict)
    fields: dict[
        Annotated[str, Field(pattern=REST_NAME)],
        dict[Annotated[str, Field(min_length=1, max_length=255, pattern=r"^[^,]+$")], Ask],
    ] = Field(default_factory=dict)
    when_found: Literal["link", "create"] = "link"
    when_closed: Literal["hold", "create"] = "hold"
    attach_account: Literal["no", "by_company", "by_domain"] = "no"
    default_owners: tuple[Owner, ...] = ()
