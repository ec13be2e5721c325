"""Refusals turned into answers, and the headers that every answer carries (V6, V11)."""

from __future__ import annotations

import uuid

from include.sandbox.dynamics.call import JSON_TYPE, Call, Prefer, encode
from include.sandbox.dynamics.dispatch import dispatch
from include.sandbox.dynamics.errors import ServiceError
from include.sandbox.service import Json, Response

_DETAILS = "Microsoft.PowerApps.CDS"


def answer(call: Call) -> Response:
    """Answer one call, a part of a batch as well as a whole request."""
    try:
        response = dispatch(call)
    except ServiceError as error:
        response = refusal(error, call.prefer)
    response.headers.insert(0, ("OData-Version", "4.0"))
    return response


def refusal(error: ServiceError, prefer: Prefer | None = None) -> Response:
    """The error body of section 2.4, with the annotations that were asked for by name, by group or by `*`."""
    content: dict[str, Json] = {"code": error.code, "message": error.message}
    details = {
        "ErrorDetails.OperationStatus": "0",
        "ErrorDetails.SubErrorCode": "0",
        "HelpLink": f"http://go.microsoft.com/fwlink/?LinkID=398563&error={error.code}",
        "TraceText": "",
        "InnerError.Message": error.message,
    }
    asked = prefer or Prefer()
    content |= {f"@{_DETAILS}.{name}": text for name, text in details.items() if asked.wants(f"{_DETAILS}.{name}")}
    headers = [("Content-Type", JSON_TYPE), ("REQ_ID", str(uuid.uuid4())), *error.headers]
    return Response(error.status, encode({"error": content}), headers)
