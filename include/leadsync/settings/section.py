"""What all sections of leadsync.yaml have in common."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

REST_NAME = r"^[A-Za-z][A-Za-z0-9_]*$"
ATTRIBUTE = r"^[a-z][a-z0-9_]*$"
WEB_ADDRESS = r"^https://[A-Za-z0-9][A-Za-z0-9.-]*(:[0-9]{1,5})?$"

RestName = Annotated[str, Field(pattern=REST_NAME, max_length=255)]


class Section(BaseModel):
    """Base of all sections: nothing unknown, nothing converted, nothing changed afterwards."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, allow_inf_nan=False)
