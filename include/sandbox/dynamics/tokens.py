"""Access tokens: made, signed, read, and for which org they are (sections 1.1 and 1.4, V3)."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import urlsplit

from include.sandbox.service import Json

_LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})


@dataclass(frozen=True, slots=True)
class Grant:
    """What a valid token says: the systemuser id (None: an application without one)."""

    user: str | None


@dataclass(frozen=True, slots=True)
class TokenMint:
    """Makes and checks signed tokens; they live on across restarts of the sandbox."""

    secret: str

    def make(self, claims: Mapping[str, Json]) -> str:
        """A token with these claims."""
        head = encode_text(json.dumps({"typ": "JWT", "alg": "HS256"}))
        body = encode_text(json.dumps(dict(claims)))
        return f"{head}.{body}.{self._sign(f'{head}.{body}')}"

    def claims(self, token: str) -> Mapping[str, Json] | None:
        """The claims of a token that this mint made, or None."""
        signed, _, signature = token.rpartition(".")
        if not hmac.compare_digest(signature.encode(), self._sign(signed).encode()):
            return None
        try:
            claims: Mapping[str, Json] = json.loads(_decode(signed.partition(".")[2]))
        except (ValueError, binascii.Error):
            return None
        return claims

    def read(self, token: str, now: datetime, orgs: Iterable[str], epoch: int) -> Grant | None:
        """What an access token grants, or None when it is unknown, expired, withdrawn or for another org."""
        claims = self.claims(token)
        if claims is None or claims.get("use", "access") != "access":
            return None
        if claims["exp"] <= now.timestamp() or claims["epoch"] != epoch:
            return None
        if not any(same_org(claims["aud"], org) for org in orgs):
            return None
        return Grant(claims["user"])

    def _sign(self, text: str) -> str:
        return _encode(hmac.new(self.secret.encode(), text.encode(), hashlib.sha256).digest())


def encode_text(text: str) -> str:
    """base64url without padding, as in tokens."""
    return _encode(text.encode())


def _encode(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).decode().rstrip("=")


def _decode(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def same_org(one: str, other: str) -> bool:
    """Whether two org URLs mean the same org: names without case, the loopback names are one machine."""
    return _org(one) == _org(other)


def _org(url: str) -> tuple[str, str, int]:
    try:
        parts = urlsplit(url)
        port = parts.port or (443 if parts.scheme == "https" else 80)
    except ValueError:
        return "", url, 0
    host = (parts.hostname or "").lower()
    return parts.scheme.lower(), "loopback" if host in _LOOPBACK else host, port
