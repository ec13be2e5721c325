"""The `$skiptoken` cookie and the links of a collection (section 3.5, V19)."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import re
from urllib.parse import quote, unquote

from include.sandbox.dynamics.errors import bad_query
from include.sandbox.service import Json

_INNER = re.compile(r'<cookie page="\d+"><state last="([^"]*)" sum="([0-9a-f]+)" /></cookie>')
_OUTER = re.compile(r'<cookie pagenumber="(\d+)" pagingcookie="([^"]*)" istracking="(True|False)" />')


def make_cookie(secret: str, page: int, state: Json, *, tracking: bool) -> str:
    """The decoded text of a skip token: opaque to clients, signed against changes."""
    last = base64.urlsafe_b64encode(json.dumps(state).encode()).decode()
    inner = f'<cookie page="{page}"><state last="{last}" sum="{_sum(secret, page, last)}" /></cookie>'
    encoded = quote(quote(inner, safe=""), safe="")
    return f'<cookie pagenumber="{page}" pagingcookie="{encoded}" istracking="{tracking}" />'


def read_cookie(secret: str, token: str) -> tuple[int, Json, bool]:
    """Page number, state, whether it is a tracked read; raises 400 for a token that was changed."""
    outer = _OUTER.fullmatch(token)
    inner = _INNER.fullmatch(unquote(unquote(outer[2]))) if outer else None
    if outer is None or inner is None:
        raise _malformed()
    page = int(outer[1])
    if not hmac.compare_digest(inner[2], _sum(secret, page, inner[1])):
        raise _malformed()
    return page, json.loads(base64.urlsafe_b64decode(inner[1])), outer[3] == "True"


def _malformed() -> Exception:
    return bad_query("Invalid Skip Token: malformed XML is passed in the paging cookie.")


def _sum(secret: str, page: int, last: str) -> str:
    return hmac.new(secret.encode(), f"{page}:{last}".encode(), hashlib.sha256).hexdigest()[:32]


def with_option(query: str, name: str, value: str, *, drop: frozenset[str] = frozenset()) -> str:
    """A raw query string with one option set, the others as they were spelled."""
    unwanted = drop | {name}
    kept = [part for part in query.split("&") if part and unquote(part.partition("=")[0]) not in unwanted]
    return "&".join([*kept, f"{name}={quote(value, safe='')}"])
