"""One page of an answer → Arrow: the decoder of the clients against `json.loads` and `Table.from_pylist`.

The bar is for decoding alone; a whole call of the client also builds its address, checks the answer, spells GUIDs in
lower case and keeps each record once.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from random import Random
from typing import Final

import msgspec
import pyarrow as pa

from include.leadsync.clients.budget import NullBudget
from include.leadsync.clients.decode import Column, Wire, rows
from include.leadsync.clients.dynamics import DynamicsClient
from include.leadsync.clients.marketo import MarketoClient
from include.leadsync.clients.transport import Headers, HttpRequest, HttpResponse
from include.leadsync.clock import SystemClock
from include.leadsync.model import Connection, Entity
from scripts.bench.figures import Bar, Figure, ratio
from scripts.bench.timing import interleaved, medians

_HOST = "https://service.bench"
_LOOPS = 5
_KINDS: Final[dict[Wire, int]] = {"text": 28, "number": 2, "integer": 5, "boolean": 5}


def decoding(persons: int, records: int) -> Iterator[Figure]:
    """A page of Marketo persons and a page of Dynamics rows, 40 columns each, every tenth value empty."""
    yield from _page(f"Page of {persons:,} persons (Marketo) to Arrow", _marketo(_records(persons)))
    yield from _page(f"Page of {records:,} rows (Dynamics) to Arrow", _dynamics(_records(records)))


@dataclass(frozen=True)
class _Rivals:
    body: bytes
    decoder: Callable[[], pa.Table]
    client: Callable[[], pa.Table]
    plain: Callable[[], pa.Table]


def _page(group: str, rivals: _Rivals) -> Iterator[Figure]:
    work = {"decoder": rivals.decoder, "client": rivals.client, "plain": rivals.plain}
    if len({one().num_rows for one in work.values()}) != 1:
        raise AssertionError("decoder, client and json.loads do not find the same rows")
    middle = medians(interleaved({name: _repeated(one) for name, one in work.items()}))
    yield Figure(group, "size of the answer", len(rivals.body) / 2**20, "MB")
    yield Figure(group, "decoder", middle["decoder"] / _LOOPS * 1000, "ms")
    yield Figure(group, "json.loads and Table.from_pylist", middle["plain"] / _LOOPS * 1000, "ms")
    yield ratio(group, "decoder / json", middle["decoder"], middle["plain"], Bar(0.6))
    yield Figure(group, "whole call of the client", middle["client"] / _LOOPS * 1000, "ms")


def _repeated(work: Callable[[], object]) -> Callable[[], None]:
    def several() -> None:
        for _ in range(_LOOPS):
            work()

    return several


def _columns() -> dict[str, Wire]:
    kinds = [wire for wire, many in _KINDS.items() for _ in range(many)]
    return {f"column{number:02}": kind for number, kind in enumerate(kinds)}


def _records(count: int) -> list[dict[str, object]]:
    random = Random(1)
    make: dict[str, Callable[[], object]] = {
        "text": lambda: f"Rua São João {random.randrange(10**6)}",
        "number": lambda: random.randrange(10**6) / 4,
        "integer": lambda: random.randrange(10**6),
        "boolean": lambda: random.random() < 0.5,
    }
    columns = _columns()
    return [
        {name: None if random.random() < 0.1 else make[wire]() for name, wire in columns.items()} for _ in range(count)
    ]


class _Canned:
    """Answers the token request and gives every other one the same page."""

    def __init__(self, body: bytes) -> None:
        self._body = body

    def send(self, request: HttpRequest) -> HttpResponse:
        is_token = "oauth" in request.url
        token = b'{"access_token": "t", "token_type": "bearer", "expires_in": 3600}'
        return HttpResponse(200, Headers({"content-type": "application/json"}), token if is_token else self._body)


def _outer() -> msgspec.json.Decoder[dict[str, msgspec.Raw]]:
    """The envelope; its rows are left as bytes for the second pass."""
    return msgspec.json.Decoder(dict[str, msgspec.Raw])


def _marketo(records: list[dict[str, object]]) -> _Rivals:
    people = [{"id": number, **record} for number, record in enumerate(records)]
    body = json.dumps({"requestId": "1#2", "success": True, "result": people}, ensure_ascii=False).encode()
    client = MarketoClient(
        Connection(_HOST, "id", "secret"), transport=_Canned(body), budget=NullBudget(), clock=SystemClock()
    )
    ids, columns, outer = [str(person["id"]) for person in people], _columns(), _outer()
    wanted = (Column("id", "id", "integer"), *(Column(name, name, wire) for name, wire in columns.items()))
    return _Rivals(
        body,
        lambda: rows("marketo", outer.decode(body)["result"], wanted),
        lambda: client.persons("id", ids, columns),
        lambda: pa.Table.from_pylist(json.loads(body)["result"]),
    )


def _dynamics(records: list[dict[str, object]]) -> _Rivals:
    values = [
        {"@odata.etag": f'W/"{number}"', "leadid": f"00000000-0000-0000-0000-{number:012x}", **record}
        for number, record in enumerate(records)
    ]
    document = {"@odata.context": f"{_HOST}/api/data/v9.2/$metadata#leads", "value": values}
    link = f"{_HOST}/api/data/v9.2/leads?$deltatoken=1"
    body = json.dumps({**document, "@odata.deltaLink": link}, ensure_ascii=False).encode()
    client = DynamicsClient(
        Connection(_HOST, "id", "secret", "tenant", _HOST),
        transport=_Canned(body), budget=NullBudget(), clock=SystemClock(),
    )  # fmt: skip
    columns, outer = _columns(), _outer()
    keys = (Column("leadid", "id", "text"), Column("@odata.etag", "etag", "text"))
    wanted = (*keys, *(Column(name, name, wire) for name, wire in columns.items()))
    return _Rivals(
        body,
        lambda: rows("dynamics", outer.decode(body)["value"], wanted),
        lambda: pa.concat_tables(page.rows for page in client.track(Entity.LEAD, columns, None)),
        lambda: pa.Table.from_pylist(json.loads(body)["value"]),
    )
