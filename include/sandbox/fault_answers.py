"""Error answers as the two services write them, for fault rules that name only a code.

Sources: Marketo codes and texts: marketo-api.md 3.2, 3.3; Dataverse: dataverse-api.md 11.1, 12.1.
"""

from __future__ import annotations

import json
import secrets
import time
from http import HTTPStatus

from include.sandbox.service import Response

MARKETO_TEXTS = {
    "500": "Internal Server error",
    "502": "Bad Gateway",
    "600": "Empty access token",
    "601": "Access token invalid",
    "602": "Access token expired",
    "603": "Access denied",
    "604": "Request timed out",
    "605": "Request method not supported",
    "606": "Max rate limit '100' exceeded with in '20' secs",
    "607": "Daily quota reached",
    "608": "API Temporarily Unavailable",
    "609": "Invalid JSON",
    "610": "Requested resource not found",
    "611": "System error",
    "612": "Invalid Content Type",
    "613": "Invalid Multipart Request",
    "614": "Invalid Subscription",
    "615": "Concurrent access limit reached",
    "616": "Invalid subscription type",
    "702": "No data found",
    "703": "feature is not enabled",
    "704": "Invalid date format",
    "713": "Transient Error",
    "718": "ExternalSalesPersonID not found",
    "719": "Lock wait timeout exception",
    "1014": "Failed to create Object",
    "1016": "There are 10 imports currently being processed. Please try again later",
    "1018": "CRM Enabled",
    "1019": "Import in progress",
    "1020": "Too many clones to program",
    "1029": "Too many jobs in queue",
    "1035": "Unsupported filter type for target subscription: updatedAt",
}

_TOO_MUCH_TIME = (
    "Combined execution time of incoming requests exceeded limit of 1,200,000 milliseconds over time window of "
    "300 seconds. Decrease number of concurrent requests or reduce the duration of requests and try again later."
)

DYNAMICS_ERRORS: dict[str, tuple[int, str]] = {
    "0x80040216": (500, "An unexpected error occurred."),
    "0x80040220": (403, "SecLib::AccessCheckEx failed."),
    "0x80040224": (500, "An unexpected error occurred from ISV code."),
    "0x80040225": (403, "The specified user is either disabled or is not a member of any business unit."),
    "0x80040255": (500, "Transaction aborted."),
    "0x80040265": (400, "A business rule refused the operation."),
    "0x80040333": (412, "A record was not created or updated because a duplicate already exists."),
    "0x80040237": (412, "A record with matching key values already exists."),
    "0x80044150": (500, "Generic SQL error."),
    "0x80044151": (500, "SQL timeout expired."),
    "0x80044352": (
        400,
        "Version stamp associated with the client has expired. Please perform a full sync.",
    ),
    "0x8004418a": (413, "Request length too large."),
    "0x80048306": (403, "Access is denied."),
    "0x80060882": (412, "The version of the existing record doesn't match the RowVersion property provided."),
    "0x8005f103": (429, "Too many requests."),
    "0x80072321": (429, _TOO_MUCH_TIME),
    "0x80072322": (429, "Number of requests exceeded the limit of 6000 over time window of 300 seconds."),
    "0x80072326": (429, "Number of concurrent requests exceeded the limit of 52."),
    "0x80072560": (403, "The user is not a member of the organization."),
}
_THROTTLED, _UNAVAILABLE = 429, 503
_RETRY_AFTER = 1


def is_known(code: str) -> bool:
    """Whether an answer can be made from the code alone."""
    return code in MARKETO_TEXTS or code.lower() in DYNAMICS_ERRORS


def error_answer(service: str, code: str, message: str | None, status: int | None, retry_after: int | None) -> Response:
    """The error `code` in the envelope of the service; null arguments take the documented value."""
    if service == "marketo":
        return _marketo(code, message, status)
    return _dynamics(code, message, status, retry_after)


def _marketo(code: str, message: str | None, status: int | None) -> Response:
    # HTTP 200 for nearly every error; requestId is hex, '#', hex of the epoch milliseconds (section 1).
    envelope = {
        "requestId": f"{secrets.token_hex(2)}#{int(time.time() * 1000):x}",
        "success": False,
        "errors": [{"code": code, "message": message or MARKETO_TEXTS.get(code, "")}],
    }
    body = json.dumps(envelope, separators=(",", ":")).encode()
    return Response(status or 200, body, [("Content-Type", "application/json;charset=UTF-8")])


def _dynamics(code: str, message: str | None, status: int | None, retry_after: int | None) -> Response:
    documented, text = DYNAMICS_ERRORS.get(code.lower(), (400, ""))
    status = status or documented
    body = json.dumps({"error": {"code": code, "message": message or text}}).encode()
    headers = [("Content-Type", "application/json; odata.metadata=minimal"), ("OData-Version", "4.0")]
    if retry_after is None and status in (_THROTTLED, _UNAVAILABLE):
        retry_after = _RETRY_AFTER
    if retry_after is not None:
        headers.append(("Retry-After", str(retry_after)))
    return Response(status, body, headers)


def gateway_page(status: int) -> Response:
    """The HTML page of a gateway in front of the service, which is no JSON."""
    title = f"{status} {HTTPStatus(status).phrase}" if status in set(HTTPStatus) else str(status)
    page = f"<html>\r\n<head><title>{title}</title></head>\r\n<body>\r\n<center><h1>{title}</h1></center>\r\n"
    body = (page + "<hr><center>nginx</center>\r\n</body>\r\n</html>\r\n").encode()
    return Response(status, body, [("Content-Type", "text/html")])
