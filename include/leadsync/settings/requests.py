"""The section `requests`: who may ask for Sync Person to Microsoft inside Marketo, and what a request does."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

Owner = Annotated[str, Field(min_length=1, max_length=200)]
"""Id, e-mail address or full name of a Dynamics user, or `team:` and the name of a team."""


class Ask(BaseModel):
    """What a request of one channel asks for (D22)."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)

    sync_as: Literal["lead", "contact"] = "lead"
    owner: Owner | None = None
    reason: Annotated[str, Field(max_length=1000)] | None = None


class RequestSettings(BaseModel):
    """Channels inside Marketo and the choices of D24, D25, D27, D29.

    `lists`: name of a static list → what its members ask for. `fields`: REST name of a searchable person field →
    its value → what the person asks for.
    """

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)

    lists: dict[Annotated[str, Field(min_length=1, max_length=255)], Ask] = {}
    fields: dict[
        Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9_]*$")],
        dict[Annotated[str, Field(min_length=1, max_length=255, pattern=r"^[^,]+$")], Ask],
    ] = {}
    when_found: Literal["link", "create"] = "link"
    when_closed: Literal["hold", "create"] = "hold"
    attach_account: Literal["no", "by_company", "by_domain"] = "no"
    default_owners: tuple[Owner, ...] = ()
