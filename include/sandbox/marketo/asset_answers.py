"""What the asset endpoints share: their envelope, times and parameters (facts/marketo-api.md section 1; M10)."""

from __future__ import annotations

import re

from include.sandbox.marketo.values import parse_moment
from include.sandbox.marketo.wire import Call, Refusal, Reply, as_integer, stamp
from include.sandbox.service import Json

NOTHING_FOUND = "No assets found for the given search criteria."
DEFAULT_PAGE, LARGEST_PAGE = 20, 200
"""`maxReturn` of the asset API."""
_NUMBER = re.compile(r"""(?:\bid\b["']?\s*[:=]\s*["']?|\A\s*)(\d{1,19})\b""", re.ASCII)
_KIND = re.compile(r"""\btype\b["']?\s*[:=]\s*["']?(\w+)""", re.ASCII)


def assets(result: list[dict[str, Json]]) -> Reply:
    """An asset answer; nothing found is no `result` member and a warning."""
    return Reply(result or None, asset=True, warnings=() if result else (NOTHING_FOUND,))


def asset_stamp(second: int) -> str:
    """`YYYY-MM-DDTHH:MM:SSZ+0000`, the asset API's own spelling."""
    return f"{stamp(second)}+0000"


def link(call: Call, code: str, number: int) -> str:
    """Where the user interface would show an asset. Assumption: the sandbox's own address stands in for its host."""
    return f"{call.request.base_url}/#{code}{number}A1"


def not_blank(call: Call, name: str) -> str:
    """A parameter that must not be empty (701)."""
    value = call.text(name)
    if value is None:
        raise Refusal("701", f"{name} cannot be blank")
    return value


def slice_of(call: Call) -> tuple[int, int]:
    """`offset` and `maxReturn`; 20 unless given, more than 200 is cut to 200 (assumption)."""
    size = min(max(as_integer(call.text("maxReturn") or str(DEFAULT_PAGE)), 1), LARGEST_PAGE)
    return max(as_integer(call.text("offset") or "0"), 0), size


def place_of(text: str) -> tuple[int, str]:
    """Number and type of a folder parameter: `{"id": 12, "type": "Folder"}`, or the bare number.

    Quotes may be single or missing: published clients send `{'id': 12, 'type': Folder}`, and it works.

    Raises:
        Refusal: 710 when it names no folder, 711 when its type is none.
    """
    number, kind = _NUMBER.search(text), _KIND.search(text)
    if number is None or not 0 < int(number[1]) < 2**63:
        raise Refusal("710", "Parent folder not found")
    if kind is not None and kind[1].title() not in {"Folder", "Program"}:
        raise Refusal("711", "Folder type must be Folder or Program")
    return int(number[1]), kind[1].title() if kind else "Folder"


def moment_of(call: Call, name: str) -> int | None:
    """A datetime parameter in seconds since 1970 (704)."""
    text = call.text(name)
    if text is None:
        return None
    moment = parse_moment(text.replace(" ", "+"))
    if moment is None:
        raise Refusal("704", "Invalid date format")
    return int(moment.timestamp())
