"""Refusals turned into answers, and the headers that every answer carries (V6, V11)."""

from __future__ import annotations

import uuid

from include.sandbox.dynamics.call import JSON_TYPE, Call, encode
from include.sandbox.dynamics.dispatch import dispatch
from include.sandbox.dynamics.errors import ServiceError
from include.sandbox.service import Json, Response

_DETAILS = "Microsoft.PowerApps.CDS"


def answer(call: Call) -> Response:
    """Answer one call, a part of a batch as well as a whole request."""
    try:
        response = dispatch(call)
    except ServiceError as error:
        response = refusal(error, verbose="*" in call.prefer.annotations)
    response.headers.insert(0, ("OData-Version", "4.0"))
    return response


def refusal(error: ServiceError, *, verbose: bool = False) -> Response:
    """The error body of section 2.4; `verbose` adds the annotations that a client may ask for."""
    content: dict[str, Json] = {"code": error.code, "message": error.message}
    if verbose:
        content |= {
            f"@{_DETAILS}.ErrorDetails.OperationStatus": "0",
            f"@{_DETAILS}.ErrorDetails.SubErrorCode": "0",
            f"@{_DETAILS}.HelpLink": f"http://go.microsoft.com/fwlink/?LinkID=398563&error={error.code}",
            f"@{_DETAILS}.TraceText": "",
            f"@{_DETAILS}.InnerError.Message": error.message,
        }
    headers = [("Content-Type", JSON_TYPE), ("REQ_ID", str(uuid.uuid4())), *error.headers]
    return Response(error.status, encode({"error": content}), headers)
