"""One look at what is wrong, told to every channel that does not know it yet."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict
from datetime import datetime

from include.leadsync.alerts import digest, milestones
from include.leadsync.alerts.milestones import Milestone
from include.leadsync.alerts.telling import Message, message, news, told
from include.leadsync.alerts.troubles import Trouble, troubles
from include.leadsync.clock import Clock
from include.leadsync.config import Settings
from include.leadsync.context import Json
from include.leadsync.errors import LeadSyncError
from include.leadsync.logs import logger
from include.leadsync.measures import MEASURED, of_state
from include.leadsync.state import StateStore

log = logger(__name__)

Send = Callable[[Message], None]
"""Sends one message; raises when it was not taken."""


class NotTold(LeadSyncError):
    """A channel did not take a message. It stays due, and is sent again with the next look."""


def watch(
    store: StateStore, settings: Settings, clock: Clock, channels: Mapping[str, Send], console: str
) -> dict[str, Json]:
    """Look, and tell; returns `troubles` (keys), `sent` (messages) and `measured` (where the sync stands).

    Raises `NotTold` after every channel was tried: one that is away keeps no other from being told.
    """
    now, wrong = clock.now(), troubles(store, settings, clock)
    done = milestones.reached(store, now)
    count, failed = 0, []
    for channel, send in channels.items():
        try:
            count += _tell(store, settings, now, channel, send, wrong, done, console)
        except LeadSyncError:
            raise
        except Exception as error:  # noqa: BLE001 - whatever a mail server or a chat may do
            # Only the kind: the text of a foreign error may hold the webhook's address, which is a secret.
            log.warning("%s was not told: %s", channel, type(error).__name__)
            failed.append(f"{channel} ({type(error).__name__})")
    if failed:
        raise NotTold(f"not told: {', '.join(failed)}; check the Airflow connection in leadsync.yaml, section alerts")
    standing = [asdict(measure) for measure in of_state(store, settings, clock)]
    return {"troubles": [trouble.key for trouble in wrong], "sent": count, MEASURED: standing}


def _tell(
    store: StateStore,
    settings: Settings,
    now: datetime,
    channel: str,
    send: Send,
    wrong: list[Trouble],
    done: list[Milestone],
    console: str,
) -> int:
    count = 0
    if unknown := news(store, channel, wrong):
        send(message(unknown, console))
        told(store, channel, unknown)
        count += 1
    if ended := milestones.unknown_to(store, channel, done):
        send(milestones.message(ended, console))
        count += 1
    milestones.told(store, channel, done)
    since = digest.due(store, channel, settings.alerts.digest_hour, now)
    if since is None:
        return count
    daily = digest.digest(store, since, now, console)
    if daily:
        send(daily)
        count += 1
    digest.sent(store, channel, now)
    return count
