"""`$batch`: parts in order, change sets all or nothing (section 9, V55-V57)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from urllib.parse import unquote

from include.sandbox.dynamics.addresses import references_lookup
from include.sandbox.dynamics.batch_text import (
    ChangeSet,
    Part,
    batch_boundary,
    parse_batch,
    unreadable,
    write_change_set,
    write_multipart,
    write_part,
)
from include.sandbox.dynamics.call import Call
from include.sandbox.dynamics.errors import ServiceError, method_not_allowed
from include.sandbox.service import Response

Answer = Callable[[Call], Response]
_MAX_URL = 64 * 1024  # section 2.1


def run_batch(call: Call, answer: Answer) -> Response:
    """Carry out a batch; `answer` handles one call and turns refusals into answers."""
    if call.method != "POST":
        raise method_not_allowed(call.method, "POST")
    options = call.world.options
    parts = parse_batch(call.headers.get("content-type", ""), call.body, strict=options.strict_batch_lines)
    _check(parts, options.batch_limit)
    answers: list[bytes] = []
    failed = False
    for part in parts:
        if isinstance(part, ChangeSet):
            status, written = _change_set(call, part, answer)
        else:
            response = answer(_inner(call, part, {}))
            status, written = response.status, write_part(_with_location(response), part.content_id)
        answers.append(written)
        failed = failed or status >= 400
        if failed and not call.prefer.continue_on_error:
            break
    if call.prefer.continue_on_error:
        call.prefer.applied.append("odata.continue-on-error")
    boundary = batch_boundary("batchresponse")
    outer = 400 if failed and not call.prefer.continue_on_error else 200
    headers = [("Content-Type", f"multipart/mixed; boundary={boundary}")]
    if call.prefer.applied:
        headers.append(("Preference-Applied", ", ".join(call.prefer.applied)))
    return Response(outer, write_multipart(boundary, answers), headers)


def _check(parts: list[Part | ChangeSet], limit: int) -> None:
    """Refuse the whole batch before anything runs."""
    requests = [inner for part in parts for inner in (part.parts if isinstance(part, ChangeSet) else [part])]
    if len(requests) > limit:
        raise ServiceError(400, "0x80048d19", f"The batch request exceeds the limit of {limit} requests.")
    if any(part.url.split("?")[0].rstrip("/").endswith("$batch") for part in requests):
        raise unreadable("A batch request cannot contain another batch request.")
    if any(len(part.url) > _MAX_URL for part in requests):
        raise ServiceError(414, "", "The request URL is too long.")
    for part in parts:
        if isinstance(part, ChangeSet):
            _check_change_set(part)


def _check_change_set(change_set: ChangeSet) -> None:
    if any(part.method == "GET" for part in change_set.parts):
        raise unreadable("A change set cannot contain GET requests.")
    ids = [part.content_id for part in change_set.parts]
    if None in ids or len(set(ids)) != len(ids):
        raise unreadable("Each request of a change set needs a Content-ID of its own.")


class _Undo(Exception):
    """Rolls a change set back."""

    def __init__(self, response: Response) -> None:
        super().__init__(response.status)
        self.response = response

    @classmethod
    def unless_fine(cls, response: Response) -> None:
        """Raise for an answer that is a refusal."""
        if response.status >= 400:
            raise cls(response)


def _change_set(call: Call, change_set: ChangeSet, answer: Answer) -> tuple[int, bytes]:
    references: dict[str, str] = {}
    parts: list[bytes] = []
    try:
        with call.world.storage.write() as transaction:
            for part in change_set.parts:
                inner = _inner(call, part, references)
                inner.transaction = transaction
                response = answer(inner)
                _Undo.unless_fine(response)
                address = dict(response.headers).get("OData-EntityId")
                if address is not None:  # with return=representation there is none to refer to
                    references[f"${part.content_id}"] = address
                parts.append(write_part(_with_location(response), part.content_id))
    except _Undo as undo:
        return undo.response.status, write_part(undo.response, None)
    return 200, write_change_set(batch_boundary("changesetresponse"), parts)


def _with_location(response: Response) -> Response:
    names = dict(response.headers)
    if "OData-EntityId" in names and "Location" not in names:
        response.headers.append(("Location", names["OData-EntityId"]))
    return response


def _inner(call: Call, part: Part, references: dict[str, str]) -> Call:
    url, _, query = part.url.partition("?")
    if url.partition("/")[0] in references:  # an unknown one is refused where paths are read
        url = references_lookup(references, url)
    marker = url.find("/api/data/v9.")
    path = url[marker:].split("/", 4)[-1] if marker >= 0 else url.lstrip("/")
    return replace(
        call,
        method=part.method,
        path=unquote(path),
        raw_path=path,
        query=query,
        headers=part.headers,
        body=part.body,
        references=references,
        in_batch=True,
        transaction=None,
    )
