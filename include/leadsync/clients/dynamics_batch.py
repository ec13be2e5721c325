"""Writing rows and probing ids by `$batch` with continue-on-error (facts/dataverse-api §5, §9)."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

import msgspec
import pyarrow as pa

from include.leadsync.clients import vendor_codes
from include.leadsync.clients.batch_format import MOST_PARTS, Part, PartAnswer
from include.leadsync.clients.decode import Wire, rows
from include.leadsync.clients.dynamics_session import (
    ROOT,
    TOO_LARGE,
    DynamicsSession,
    encode,
    entity_set,
    error_of,
    guid,
    name_preference,
    row_columns,
    select,
)
from include.leadsync.clients.exchange import WriteAnswerMalformed
from include.leadsync.clients.records import RowWrite, WriteResult
from include.leadsync.clients.vendor_codes import Action
from include.leadsync.clients.writes import REPEATS, Repeat
from include.leadsync.errors import AnswerMalformed, ConnectionBroken, RowFailed, ServiceUnavailable
from include.leadsync.model import Entity, System

FIRST_SIZE: Final = 100  # DECISIONS 23
_ETAG = re.compile(r'(?:W/)?"[^"\r\n]{0,200}"')
_METHODS: Final = {"update": "PATCH", "create": "POST", "delete": "DELETE"}
_UNANSWERED: Final = "the outcome of this write is unknown; read the row before writing it again"


class _Tagged(msgspec.Struct):
    etag: str | None = msgspec.field(name="@odata.etag", default=None)


class DynamicsBatch(DynamicsSession):
    """Writes and probes."""

    _first_size = FIRST_SIZE
    _batch_size = FIRST_SIZE

    @property
    def batch_size(self) -> int:
        """How many writes to put into one batch now: 100 at first, half after a time-out or 413, slowly back up."""
        return self._batch_size

    def start_batches_at(self, size: int) -> None:
        """Put `size` writes into a batch where nothing speaks against it, instead of 100; at most 1,000."""
        self._first_size = self._batch_size = min(size, MOST_PARTS)

    def batch(self, writes: Sequence[RowWrite]) -> list[WriteResult]:
        """Send up to 1,000 writes as one `$batch`; one result per write, in order. Each stands alone (V56).

        Nothing is repeated after an unknown outcome: such writes come back with `answered=False`, and the caller reads
        before it writes again (P4). Only a body that the service refuses as too large (413: nothing was done) is sent
        again in halves.

        Raises:
            ConnectionBroken: with `maybe_committed` False: nothing was sent.
            Throttled: the whole batch was refused for longer than the retry bound; nothing was done.
            AccessRefused: the user may not write at all.
            ValueError: no or too many writes, an id that is no GUID, an unknown kind.
        """
        if not 0 < len(writes) <= MOST_PARTS:
            raise ValueError(f"{len(writes)} writes in a batch; 1 to {MOST_PARTS} are possible")
        parts = [_part(write) for write in writes]
        try:
            answers = self._batch(parts, REPEATS["write batch"])
        except ConnectionBroken as error:
            self._shrink(len(writes))
            if not error.maybe_committed:
                raise
            return [_unanswered(str(error)) for _ in writes]
        except WriteAnswerMalformed as error:
            return [_unanswered(str(error)) for _ in writes]
        except RowFailed as error:
            if error.code != TOO_LARGE:
                raise
            self._shrink(len(writes))
            return self._in_halves(writes, error)
        if len(writes) >= self._batch_size:  # a smaller one proves nothing of larger ones
            self._batch_size = max(self._batch_size, min(self._first_size, self._batch_size * 11 // 10 + 1))
        return [self._result(write, answer) for write, answer in zip(writes, answers, strict=True)]

    def probe(self, entity: Entity, ids: Sequence[str]) -> dict[str, str]:
        """For each id "exists", "gone" (404: deleted, or never there) or "unreadable" (403: a matter of rights).

        Raises:
            AnswerMalformed: a 404 that does not speak of the row; nothing may be called deleted on its account (P8).
            RetryLater: some ids have no answer.
        """
        states = {each: "gone" for each in ids if guid(each) is None}  # no row can have such an id
        known = [each for each in dict.fromkeys(ids) if guid(each) is not None]
        for start in range(0, len(known), self._batch_size):
            part = known[start : start + self._batch_size]
            requests = [Part("GET", f"{_address(entity, each)}?{select(entity, {})}", _ACCEPT) for each in part]
            answers = self._read_parts(requests, frozenset({200, 403, 404}))
            states |= {each: _state(answer) for each, answer in zip(part, answers, strict=True)}
        return states

    def read_many(self, addresses: Sequence[str]) -> Iterator[bytes]:
        """Bodies of several GETs below the service root, sent as one batch; used for metadata.

        Raises:
            LeadSyncError: as for a single GET, of the first that failed.
        """
        parts = [Part("GET", ROOT + address, _ACCEPT) for address in addresses]
        for answer in self._read_parts(parts, frozenset({200})):
            yield answer.body

    def _read_parts(self, parts: Sequence[Part], accepted: frozenset[int]) -> list[PartAnswer]:
        def inspect(answers: list[PartAnswer | None]) -> None:
            for answer in answers:
                if answer is None:
                    raise ServiceUnavailable("dynamics left a part of a batch of reads unanswered")
                if answer.status not in accepted:
                    self._check(answer, "")
                    raise AnswerMalformed(System.DYNAMICS, f"status {answer.status} for a read", "")

        return [answer for answer in self._batch(parts, Repeat.READ, inspect) if answer is not None]

    def _shrink(self, size: int) -> None:
        self._batch_size = max(1, min(self._batch_size, size) // 2)

    def _in_halves(self, writes: Sequence[RowWrite], error: RowFailed) -> list[WriteResult]:
        if len(writes) == 1:
            return [WriteResult(413, False, code=error.code, message=error.message)]
        middle = len(writes) // 2
        return [*self.batch(writes[:middle]), *self.batch(writes[middle:])]

    def _result(self, write: RowWrite, answer: PartAnswer | None) -> WriteResult:
        if answer is None:
            return _unanswered(_UNANSWERED)
        if answer.status < 300:
            row = _row(write, answer.body) if write.returning and answer.body else None
            return WriteResult(answer.status, True, etag=_etag(answer), row=row)
        code, message = error_of(answer)
        after = self._wait_asked(answer)
        meaning = vendor_codes.dynamics(code)
        if answer.status == 429 or (meaning is not None and meaning.action is Action.THROTTLE):
            after = after if after is not None else (meaning.wait if meaning else None)
            self._exchange.penalise(after)
        return WriteResult(
            answer.status,
            False,
            code=code or str(answer.status),
            message=message or f"HTTP {answer.status}",
            retry_after=after,
        )


_ACCEPT: Final = (("Accept", "application/json"), ("OData-Version", "4.0"), ("OData-MaxVersion", "4.0"))


def _state(answer: PartAnswer) -> str:
    if answer.status == 200:
        return "exists"
    if answer.status == 403:
        return "unreadable"
    code, message = error_of(answer)
    meaning = vendor_codes.dynamics(code)
    if meaning is None or meaning.action is not Action.GONE:
        raise AnswerMalformed(System.DYNAMICS, "a 404 that does not speak of the row", f"{code} {message}")
    return "gone"


def _address(entity: Entity, key: str) -> str:
    return f"{ROOT}{entity_set(entity)}({guid(key)})"


def _merge(write: RowWrite, key: str) -> Part:
    """`Merge` of the row `loser` of the body into the row of the write, which keeps its values (§15.2)."""
    loser = guid(str(write.body.get("loser")))
    if loser is None:
        raise ValueError(f"{write.body.get('loser')!r} is no GUID; a merge needs one for its loser")
    name = write.entity.value
    rows = {role: {f"{name}id": row, "@odata.type": f"Microsoft.Dynamics.CRM.{name}"}
            for role, row in (("Target", key), ("Subordinate", loser))}  # fmt: skip
    headers = [*_ACCEPT, ("Content-Type", "application/json")]
    return Part("POST", f"{ROOT}Merge", headers, encode({**rows, "PerformParentingChecks": False}))


def _part(write: RowWrite) -> Part:
    key = guid(write.id)
    if write.kind == "merge" and key is not None:
        return _merge(write, key)
    if key is None or write.kind not in _METHODS:
        raise ValueError(f"{write.kind} of {write.id!r}: the kind must be one of {sorted(_METHODS)}, the id a GUID")
    headers = list(_ACCEPT)
    create = write.kind == "create"
    if not create:
        if write.etag is not None and not _ETAG.fullmatch(write.etag):
            raise ValueError(f"{write.etag!r} is no etag")
        if write.etag is not None or write.kind == "update":  # without it a PATCH would create the row (§5.2)
            headers.append(("If-Match", write.etag or "*"))
    if write.kind == "delete":
        return Part("DELETE", _address(write.entity, key), headers)
    address = f"{ROOT}{entity_set(write.entity)}" if create else _address(write.entity, key)
    prefer = _returning(write.returning)
    if prefer:
        headers.append(("Prefer", prefer))
        address += f"?{select(write.entity, write.returning)}"
    if write.detect:
        headers.append(("MSCRM.SuppressDuplicateDetection", "false"))  # switched off without it (§10)
    headers.append(("Content-Type", "application/json"))
    body = {**write.body, f"{write.entity.value}id": key} if create else write.body
    return Part(_METHODS[write.kind], address, headers, encode(body))


def _returning(columns: Mapping[str, Wire]) -> str:
    return ", ".join(["return=representation", *name_preference(columns)]) if columns else ""


def _unanswered(message: str) -> WriteResult:
    return WriteResult(0, False, message=message, answered=False)


def _etag(answer: PartAnswer) -> str | None:
    header = answer.headers.get("etag")
    if header is not None or not answer.body:
        return header
    try:
        return msgspec.json.decode(answer.body, type=_Tagged).etag
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError):
        return None


def _row(write: RowWrite, body: bytes) -> pa.Table | None:
    """The row after the write; None if it cannot be read, which takes nothing from the write's success."""
    try:
        return rows(System.DYNAMICS, b"[" + body + b"]", row_columns(write.entity, write.returning))
    except AnswerMalformed:
        return None
