"""Who may see the pages: a signed cookie for whoever gave the control token, and marks against forged forms.

Nothing is kept in memory: the cookie is an end of validity and a random number, signed with a key made
from the control token, so it outlives a restart and ends when the token is changed.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
import time
from http.cookies import CookieError, SimpleCookie
from urllib.parse import urlsplit

from include.sandbox.service import Request

COOKIE = "sandbox_session"
LIFETIME = 12 * 3600
_PATH = "/_sandbox/"


def issued(token: str, *, secure: bool) -> str:
    """A `Set-Cookie` value for whoever has given the token."""
    content = f"{int(time.time()) + LIFETIME}.{secrets.token_hex(16)}"
    value = f"{content}.{_sign(token, 'session', content)}"
    return _cookie(value, LIFETIME, secure=secure)


def ended(*, secure: bool) -> str:
    """A `Set-Cookie` value that takes the cookie away."""
    return _cookie("", 0, secure=secure)


def _cookie(value: str, age: int, *, secure: bool) -> str:
    ending = "; Secure" if secure else ""
    return f"{COOKIE}={value}; Path={_PATH}; Max-Age={age}; HttpOnly; SameSite=Strict{ending}"


def session_of(request: Request, token: str) -> str | None:
    """The valid session of a request, or None."""
    try:
        found = SimpleCookie(request.header("cookie")).get(COOKIE)
    except CookieError:
        return None
    content, _, mark = (found.value if found else "").rpartition(".")
    if not hmac.compare_digest(mark.encode(), _sign(token, "session", content).encode()):
        return None
    ends = content.partition(".")[0]
    return content if int(ends) > time.time() else None


def form_mark(token: str, session: str) -> str:
    """What every form of a session carries; a page of somebody else cannot know it."""
    return _sign(token, "form", session)


def is_form_mark(mark: str, token: str, session: str) -> bool:
    """Whether a form was made for this session."""
    return hmac.compare_digest(mark.encode(), form_mark(token, session).encode())


def comes_from_here(request: Request) -> bool:
    """Whether a browser says that a form was sent from one of these pages; clients that say nothing may pass."""
    if request.header("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
        return False
    origin = request.header("origin")
    return not origin or urlsplit(origin).netloc == urlsplit(request.base_url).netloc


def _sign(token: str, purpose: str, content: str) -> str:
    key = hashlib.sha256(f"leadsync sandbox pages {token}".encode()).digest()
    return hmac.new(key, f"{purpose}:{content}".encode(), hashlib.sha256).hexdigest()
