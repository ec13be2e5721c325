"""What travels: the call as understood, the envelope of the answer, and the three levels of error.

Facts: marketo-api.md section 1 (conventions), 3.1 (levels); M9-M17.
"""

from __future__ import annotations

import gzip
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TypeAlias
from urllib.parse import parse_qsl

import msgspec

from include.sandbox.service import Json, Request, Response

JSON_TYPE = "application/json;charset=UTF-8"
FORM_TYPE = "application/x-www-form-urlencoded"
PAGE = 300
"""Default and largest page, and the most records of one call."""
GZIP_FROM = 1024
ASSET_ROOT = "/rest/asset/"
_INTEGER = re.compile(r"\s*[+-]?[0-9]{1,30}\s*")


class Refusal(Exception):
    """The whole request failed: `success` false and one entry in `errors`."""

    def __init__(self, code: str, message: str) -> None:
        """Keep the code and the text."""
        super().__init__(f"{code} {message}")
        self.code = code
        self.message = message


class Skip(Exception):
    """One record failed: its result says skipped and why."""

    def __init__(self, code: str, message: str) -> None:
        """Keep the code and the text."""
        super().__init__(f"{code} {message}")
        self.code = code
        self.message = message

    def result(self, key: str = "reasons", **more: Json) -> dict[str, Json]:
        """The record's result object; `more` comes first (an id, where the service gives one)."""
        return {**more, "status": "skipped", key: [{"code": self.code, "message": self.message}]}


@dataclass(slots=True)
class Reply:
    """A successful answer. `result` None means: no such member. `more` are members beside it."""

    result: Json | None = None
    more: Mapping[str, Json] = field(default_factory=dict)
    asset: bool = False
    """The asset API's envelope, which always carries errors and warnings."""
    warnings: Sequence[str] = ()


@dataclass(slots=True)
class Call:
    """One request after the envelope rules: method override and parameter merging done."""

    request: Request
    method: str
    path: str
    parameters: Mapping[str, list[str]]
    now: datetime
    request_id: str
    user: str = ""
    names: Mapping[str, str] = field(default_factory=dict)
    """What stood in the variable places of the path."""

    @property
    def second(self) -> int:
        """The time of the call in whole seconds since 1970."""
        return int(self.now.timestamp())

    def text(self, name: str) -> str | None:
        """The first non-empty value of a parameter."""
        return next((value for value in self.parameters.get(name, ()) if value), None)

    def required(self, name: str) -> str:
        """The value of a parameter that must be there (1002)."""
        value = self.text(name)
        if value is None:
            raise Refusal("1002", f"Missing value for required parameter '{name}'")
        return value

    def many(self, name: str) -> list[str]:
        """All values of an array parameter: comma lists and repetitions, mixed; empty ones dropped (M15)."""
        return [part for value in self.parameters.get(name, ()) for part in value.split(",") if part]

    def integers(self, name: str) -> list[int]:
        """All values of an array parameter of whole numbers."""
        return [as_integer(value) for value in self.many(name)]

    def place(self, name: str) -> int:
        """A whole number from the path."""
        return as_integer(self.names[name])

    def batch_size(self) -> int:
        """`batchSize`, 300 unless given; more is refused (assumption, section 15)."""
        size = as_integer(self.text("batchSize") or str(PAGE))
        if not 1 <= size <= PAGE:
            raise Refusal("1003", f"batchSize must be between 1 and {PAGE}")
        return size

    def json(self) -> dict[str, Json]:
        """The JSON object of the body, empty when there is no body."""
        if not self.request.body.strip() or is_form(self.request):
            return {}
        try:
            body = msgspec.json.decode(self.request.body)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise Refusal("609", "Invalid JSON") from error
        if not isinstance(body, dict):
            raise Refusal("609", "Invalid JSON")
        return body

    def input(self, body: Mapping[str, Json], empty: str) -> list[dict[str, Json]]:
        """The records of a body.

        Raises:
            Refusal: 609 when `input` is no list of objects, 1003 with the text `empty` when there are
                none, 1003 above 300 (assumption, section 15).
        """
        records = body.get("input")
        if records is None:
            raise Refusal("1003", empty)
        if not isinstance(records, list) or not all(isinstance(record, dict) for record in records):
            raise Refusal("609", "Invalid value specified for attribute 'input'")
        if not records:
            raise Refusal("1003", empty)
        too_many(len(records), PAGE, "records")
        return records


Answer: TypeAlias = Reply | Response
Handler: TypeAlias = Callable[[Call], Answer]


def too_many(found: int, limit: int, what: str) -> None:
    """Refuse more than the documented number (1003; assumption, section 15)."""
    if found > limit:
        raise Refusal("1003", f"Too many {what}: {found}, at most {limit} are allowed")


def as_integer(text: str) -> int:
    """A whole number of a parameter (1001)."""
    value = int(text) if _INTEGER.fullmatch(text) else None
    if value is None or not -(2**63) <= value < 2**63:
        raise Refusal("1001", f"Invalid value '{text}'. Required of type 'Integer'")
    return value


def stamp(second: int) -> str:
    """`YYYY-MM-DDTHH:MM:SSZ` of seconds since 1970 (section 1, Times)."""
    return datetime.fromtimestamp(second, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def is_form(request: Request) -> bool:
    """Whether the body is a form, which only carries parameters."""
    return request.header("content-type").split(";")[0].strip().lower() == FORM_TYPE


def parameters(request: Request) -> dict[str, list[str]]:
    """Query parameters, and those of a form body, by name."""
    pairs = request.parameters()
    if is_form(request):
        pairs += parse_qsl(request.body.decode("utf-8", "replace"), keep_blank_values=True)
    found: dict[str, list[str]] = {}
    for name, value in pairs:
        found.setdefault(name, []).append(value)
    return found


def envelope(call_id: str, reply: Reply) -> dict[str, Json]:
    """The JSON object around a successful answer (section 1, Envelope)."""
    body: dict[str, Json] = {"requestId": call_id}
    if reply.asset:
        body = {"success": True, "errors": [], "requestId": call_id, "warnings": list(reply.warnings)}
    if reply.result is not None:
        body["result"] = reply.result
    return {**body, "success": True, **reply.more}


def failure(call: Call, refusal: Refusal) -> Response:
    """The answer to a failed request; HTTP 200 all the same. The asset API keeps its own envelope."""
    errors: Json = [{"code": refusal.code, "message": refusal.message}]
    if call.path.startswith(ASSET_ROOT):
        return json_response({"success": False, "errors": errors, "requestId": call.request_id, "warnings": []})
    return json_response({"requestId": call.request_id, "success": False, "errors": errors})


def json_response(body: Json, *, status: int = 200, headers: Sequence[tuple[str, str]] = ()) -> Response:
    """A JSON answer."""
    return Response(status, msgspec.json.encode(body), [("Content-Type", JSON_TYPE), *headers])


def plain_response(status: int, text: str) -> Response:
    """An answer outside the envelope."""
    return Response(status, text.encode(), [("Content-Type", "text/plain;charset=UTF-8")])


def compressed(request: Request, response: Response) -> Response:
    """The answer gzipped when the client asked and it is long enough (M12)."""
    if not _takes_gzip(request.header("accept-encoding")) or len(response.body) < GZIP_FROM:
        return response
    headers = [*response.headers, ("Content-Encoding", "gzip"), ("Vary", "Accept-Encoding")]
    return Response(response.status, gzip.compress(response.body, compresslevel=1), headers)


def _takes_gzip(header: str) -> bool:
    """Whether an Accept-Encoding header names gzip and does not weigh it with zero."""
    for part in header.lower().split(","):
        name, _, weight = part.partition(";")
        if name.strip() == "gzip":
            return weight.replace(" ", "") not in {"q=0", "q=0.0", "q=0.00", "q=0.000"}
    return False
