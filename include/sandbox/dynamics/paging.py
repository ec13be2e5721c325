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

_INNER = re.compile(r'<cookie page="(\d+)"><state last="([^"]*)" sum="([0-9a-f]+)" /></cookie>')
_ESCAPE = re.compile("%[0-9A-F]{2}")
_OUTER = re.compile(r'<cookie pagenumber="(\d+)" pagingcookie="([^"]*)" istracking="(True|False)" />')


def make_cookie(secret: str, page: int, state: Json, *, tracking: bool) -> str:
    """The decoded text of a skip token: opaque to clients, signed against changes."""
    encoded = _lower(quote(_inner(secret, page, state), safe=""))
    return f'<cookie pagenumber="{page}" pagingcookie="{encoded}" istracking="{tracking}" />'


def make_fetch_cookie(secret: str, page: int, state: Json) -> str:
    """The `fetchxmlpagingcookie` of a page: its inner part is escaped twice, as clients expect it (V65)."""
    inner = _lower(quote(_lower(quote(_inner(secret, page, state), safe="")), safe=""))
    return f'<cookie pagenumber="{page}" pagingcookie="{inner}" istracking="False" />'


def read_fetch_cookie(secret: str, text: str) -> list[Json]:
    """The state in the `paging-cookie` attribute of FetchXML: the inner part, unescaped; raises 400."""
    inner = _INNER.fullmatch(text)
    if inner is None or not hmac.compare_digest(inner[3], _sum(secret, int(inner[1]), inner[2])):
        raise _malformed()
    state = json.loads(base64.urlsafe_b64decode(inner[2]))
    if not isinstance(state, list):
        raise _malformed()
    return state


def read_cookie(secret: str, token: str) -> tuple[int, Json, bool]:
    """Page number, state, whether it is a tracked read; raises 400 for a token that was changed."""
    outer = _OUTER.fullmatch(token)
    inner = _INNER.fullmatch(unquote(outer[2])) if outer else None
    if outer is None or inner is None:
        raise _malformed()
    page = int(outer[1])
    if not hmac.compare_digest(inner[3], _sum(secret, page, inner[2])):
        raise _malformed()
    return page, json.loads(base64.urlsafe_b64decode(inner[2])), outer[3] == "True"


def _inner(secret: str, page: int, state: Json) -> str:
    last = base64.urlsafe_b64encode(json.dumps(state).encode()).decode()
    return f'<cookie page="{page}"><state last="{last}" sum="{_sum(secret, page, last)}" /></cookie>'


def _malformed() -> Exception:
    return bad_query("Invalid Skip Token: malformed XML is passed in the paging cookie.")


def _sum(secret: str, page: int, last: str) -> str:
    return hmac.new(secret.encode(), f"{page}:{last}".encode(), hashlib.sha256).hexdigest()[:32]


def with_option(query: str, name: str, value: str, *, drop: frozenset[str] = frozenset()) -> str:
    """A raw query string with one option set to a value that is escaped already, the others as they were spelled."""
    unwanted = drop | {name}
    kept = [part for part in query.split("&") if part and unquote(part.partition("=")[0]) not in unwanted]
    return "&".join([*kept, f"{name}={value}"])


def skip_token(cookie: str) -> str:
    """A cookie as the service spells it in a link: `=` and `/` plain, the inner escapes escaped again."""
    return quote(cookie, safe="=/")


def delta_token(text: str) -> str:
    """A delta token as the service spells it in a link: escapes in lower case (section 4.1)."""
    return _lower(quote(text, safe=""))


def _lower(escaped: str) -> str:
    return _ESCAPE.sub(lambda found: found[0].lower(), escaped)
