"""From method and path to handler: the resource table (facts/marketo-api.md appendix B; M16, M17)."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import Enum
from functools import cache

from include.sandbox.marketo.identity import Permission
from include.sandbox.marketo.wire import Call, Handler, Refusal, is_form


class Body(Enum):
    """What a resource wants in its body."""

    NONE = "none"
    OPTIONAL_JSON = "optional json"
    JSON = "json"
    ANY = "any"


@dataclass(frozen=True, slots=True)
class Route:
    """One method of one resource. `{name}` in the pattern stands for one path segment."""

    method: str
    pattern: str
    handler: Handler
    any_of: tuple[Permission, ...] = ()
    body: Body = Body.NONE


class Routes:
    """Finds the route of a call."""

    def __init__(self, routes: Iterable[Route]) -> None:
        """Sort the routes by resource."""
        self._exact: dict[str, dict[str, Route]] = {}
        self._patterns: list[tuple[re.Pattern[str], dict[str, Route]]] = []
        by_pattern: dict[str, dict[str, Route]] = {}
        for route in routes:
            by_pattern.setdefault(route.pattern, {})[route.method] = route
        for pattern, methods in by_pattern.items():
            if "{" in pattern:
                self._patterns.append((_compiled(pattern), methods))
            else:
                self._exact[pattern] = methods

    def find(self, method: str, path: str) -> tuple[Route, Mapping[str, str]]:
        """The route and what stood in its variable places.

        Raises:
            Refusal: 610 for an unknown path, 605 for a method that the resource does not have.
        """
        methods, names = self._resource(path)
        if methods is None:
            raise Refusal("610", "Requested resource not found")
        if method not in methods:
            raise Refusal("605", f"Request method '{method}' not supported")
        return methods[method], names

    def _resource(self, path: str) -> tuple[dict[str, Route] | None, Mapping[str, str]]:
        if path in self._exact:
            return self._exact[path], {}
        for pattern, methods in self._patterns:
            if found := pattern.match(path):
                return methods, found.groupdict()
        return None, {}


@cache
def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(re.sub(r"\\{(\w+)\\}", r"(?P<\1>[^/]+)", re.escape(pattern)) + r"\Z")


def plain_path(path: str) -> str:
    """Dot segments and doubled slashes resolved (M16; section 1). A slash at the end stays: it names no resource."""
    plain = "/" + posixpath.normpath(path).lstrip("/")
    return f"{plain}/" if path.endswith("/") and plain != "/" else plain


def check_body(call: Call, wanted: Body) -> None:
    """Refuse a JSON resource without the JSON content type (612, M17).

    Where the parameters of the query will do instead of JSON, a form may carry them (M50).
    """
    optional = wanted is Body.OPTIONAL_JSON and not is_form(call.request) and bool(call.request.body.strip())
    kind = call.request.header("content-type").split(";")[0].strip().lower()
    if (wanted is Body.JSON or optional) and kind != "application/json":
        raise Refusal("612", "Invalid Content Type")
