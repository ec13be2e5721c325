"""The section `alerts`: who is told when something is wrong, and from when on it is (R155, R156, D96)."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from include.leadsync.settings.section import Section

_CONNECTION = r"^[A-Za-z0-9_.-]{1,200}$"
Address = Annotated[str, Field(pattern=r"^[^@\s,;<>\"]+@[^@\s,;<>\"]+$", max_length=254)]
Minutes = Annotated[int, Field(ge=0, le=10_080)]


class EmailAlerts(Section):
    """E-mail; nobody is told while `to` is empty."""

    to: tuple[Address, ...] = ()
    connection: Annotated[str, Field(pattern=_CONNECTION)] = "smtp_default"


class ChatAlerts(Section):
    """An incoming webhook of a chat; the address is in an Airflow connection, because it is a secret."""

    connection: Annotated[str, Field(pattern=_CONNECTION)] | None = None


class Alerts(Section):
    """Channels and thresholds; a threshold of 0 is never reached."""

    email: EmailAlerts = EmailAlerts()
    chat: ChatAlerts = ChatAlerts()
    sync_down_minutes: Minutes = 30
    backlog_minutes: Minutes = 60
    backlog_operations: Annotated[int, Field(ge=0)] = 50_000
    quota_share: Annotated[float, Field(ge=0, le=1)] = 0.8
    digest_hour: Annotated[int, Field(ge=0, le=23)] | None = 7
