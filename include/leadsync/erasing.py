"""Persons who were deleted in Marketo and must stay so (D52, option `lifecycle.respect_marketo_delete`).

What is kept of them is a keyed digest of the CRM record's id and one of the e-mail address: enough to know
them again, too little to know who they were. The key comes from LEADSYNC_ERASURE_KEY, or is made once in the home.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
from collections.abc import Sequence
from pathlib import Path

from include.leadsync.context import Engine
from include.leadsync.errors import FixConfiguration
from include.leadsync.state import Erasures, Transaction

_FILE = "erasure.key"


class Eraser:
    """Knows whom to leave alone. Without the option it knows nobody and remembers nothing."""

    def __init__(self, engine: Engine) -> None:
        self.enabled = engine.settings.lifecycle.respect_marketo_delete
        self._engine = engine
        self._erasures = Erasures(engine.store)
        self._key: bytes | None = None

    def digests(self, crm_id: str | None, email: str | None) -> list[str]:
        """Digests of what a CRM record is known by; an address is the same in upper and lower case."""
        parts = {"crm": crm_id, "email": email}
        return [self._digest(kind, value) for kind, value in parts.items() if value]

    def erased(self, records: Sequence[tuple[str, str | None]]) -> set[str]:
        """Ids of those CRM records (id, e-mail address) that belong to nobody who wants to be known."""
        if not self.enabled or not records or not self._erasures.exist():
            return set()
        made = {crm_id: self.digests(crm_id, email) for crm_id, email in records}
        known = self._erasures.known([digest for digests in made.values() for digest in digests])
        return {crm_id for crm_id, digests in made.items() if known & set(digests)}

    def remember(self, records: Sequence[tuple[str | None, str | None]], tx: Transaction) -> None:
        """These persons were deleted."""
        self._erasures.add([digest for crm_id, email in records for digest in self.digests(crm_id, email)], tx)

    def welcome(self, records: Sequence[tuple[str | None, str | None]], tx: Transaction) -> None:
        """These persons are back, by a request of their own."""
        if self.enabled and self._erasures.exist():
            self._erasures.lift([digest for crm_id, email in records for digest in self.digests(crm_id, email)], tx)

    def _digest(self, kind: str, value: str) -> str:
        if self._key is None:
            self._key = _key(self._engine)
        text = f"{kind}:{value.strip().casefold()}"
        return hmac.new(self._key, text.encode(), hashlib.sha256).hexdigest()


def _key(engine: Engine) -> bytes:
    """Raises `FixConfiguration` where several hosts share the state and each would make a key of its own."""
    given = engine.paths.erasure_key
    if given:
        return given.encode()
    if not engine.paths.state_url.startswith("sqlite"):
        raise FixConfiguration(
            "lifecycle.respect_marketo_delete with a shared state store needs the same LEADSYNC_ERASURE_KEY on every"
            " host; set it to a long random text and keep it"
        )
    return _made(engine.paths.home / _FILE)


def _made(path: Path) -> bytes:
    try:
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(secrets.token_hex(32))
    except FileExistsError:
        pass
    return path.read_bytes()
