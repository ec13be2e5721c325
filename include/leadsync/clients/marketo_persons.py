"""Persons of Marketo: read by key, write, merge, move, delete (facts/marketo-api §5, §6)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final

import msgspec
import pyarrow as pa

from include.leadsync.clients.decode import Column, Wire, rows, together
from include.leadsync.clients.marketo_session import (
    PAGE,
    Envelope,
    MarketoSession,
    chunks,
    encode,
    outcomes,
    typed,
)
from include.leadsync.clients.records import RecordResult
from include.leadsync.clients.writes import REPEATS, SYNC_ACTIONS, WRITES
from include.leadsync.errors import AnswerMalformed, RowFailed
from include.leadsync.model import System

_MOST_BYTES: Final = 1_000_000  # a body may have 1 MB (M13)
_TOO_MANY: Final = {"1003", "413"}
_PLACING: Final = {"createOrUpdate", "createOnly"}
_MOST_LOSERS: Final = 25  # more are refused with 1080 (M49)
_MERGE_SECONDS: Final = 190.0  # the service's own limit is 180 s (§12)


class _Partition(msgspec.Struct):
    name: str
    id: int | None = None


class MarketoPersons(MarketoSession):
    """Persons."""

    def persons(self, filter_type: str, values: Sequence[str], columns: Mapping[str, Wire]) -> pa.Table:
        """All persons whose `filter_type` equals one of `values`; any number of values, each person once.

        Columns: `id` int64, then `columns`. An empty value, and one with a comma, cannot be asked for (§5.2): it finds
        nobody. Several persons may have one value (M31); e-mail is matched without regard to case (M45).

        Raises:
            FixConfiguration: 1011, the field cannot be searched; 1006, a column does not exist.
            RowFailed: a single value matches more than 1,000 persons (M29).
        """
        wanted = person_columns(columns)
        askable = [value for value in dict.fromkeys(values) if value and "," not in value]
        found: list[pa.Table] = []
        for part in chunks(askable, PAGE):
            found.extend(self._matching(filter_type, part, wanted))
        return each_once(together(found, wanted))

    def delete_persons(self, ids: Sequence[int]) -> list[RecordResult]:
        """Delete persons; 1004 for those who are gone already, also by an attempt that had no answer (M48)."""
        return self._by_id("delete persons", "/rest/v1/leads/delete.json", ids)

    def merge_persons(self, winner: int, losers: Sequence[int]) -> None:
        """Merge persons into the winner, 25 per call; empty fields of the winner take the losers' values (M49).

        Losers are gone afterwards; only activity 32 of the winner names them (§6.2, trap 29). Never repeated after an
        unknown outcome, as a second call would be refused for losers that are gone: read them, who is not there is
        merged.

        Raises:
            RowFailed: 1004, one of the persons does not exist: nothing of that call was done; 1076 to 1079.
            ConnectionBroken: with `maybe_committed`; earlier calls of the same list have happened.
            ValueError: no losers, or the winner is among them.
        """
        if not losers or winner in losers:
            raise ValueError("a merge needs at least one other person than the winner")
        for part in chunks(losers, _MOST_LOSERS):
            path = f"/rest/v1/leads/{winner}/merge.json?leadIds={','.join(map(str, part))}"
            self._write(path, None, lambda _: None, repeat=REPEATS["merge"], timeout=_MERGE_SECONDS)

    def partitions(self) -> list[str]:
        """The names of the partitions that the API user sees (M51)."""
        found = typed(self._read("/rest/v1/leads/partitions.json").result, list[_Partition])
        return [each.name for each in found]

    def partition_ids(self) -> dict[str, int]:
        """Name → id, as in a person's `leadPartitionId`, of the partitions that the API user sees (M51)."""
        found = typed(self._read("/rest/v1/leads/partitions.json").result, list[_Partition])
        return {each.name: each.id for each in found if each.id is not None}

    def move_to_partition(self, ids: Sequence[int], partition: str) -> list[RecordResult]:
        """Move persons to a partition; results in order; 1004, 1008 to 1010 for those who stay (M51)."""
        results: list[RecordResult] = []
        for part in chunks(ids, PAGE):
            body = {"input": [{"id": each, "partitionName": partition} for each in part]}
            results += self._write(
                "/rest/v1/leads/partitions.json", body, _reader(len(part)), repeat=REPEATS["move to partition"]
            )
        return results

    def sync_persons(
        self,
        records: Sequence[Mapping[str, object]],
        *,
        action: str,
        lookup_field: str,
        partition: str | None = None,
    ) -> list[RecordResult]:
        """Create or update at most 300 persons in one call (two or more if the body exceeds 1 MB); results in order.

        `partition` names where created persons go; one that exists keeps its own (§6).

        What is repeated after an unknown outcome: createOrUpdate only when Marketo itself said that nothing happened
        (604, 608, 611, 713); updateOnly never, because somebody may have edited the person since the first one (P2);
        creations never (P4, DECISIONS 22).

        Raises:
            ConnectionBroken: with `maybe_committed`: look the records up before sending them again.
            WriteAnswerMalformed: likewise; results and records do not correspond.
            ValueError: no or too many records, unknown action, a partition for an action that takes none.
        """
        if not 0 < len(records) <= PAGE or action not in SYNC_ACTIONS:
            raise ValueError(f"{action} of {len(records)} records; 1 to {PAGE} of {sorted(SYNC_ACTIONS)} are possible")
        if partition is not None and action not in _PLACING:
            raise ValueError(f"{action} takes no partition; {sorted(_PLACING)} do")
        body: dict[str, object] = {"action": action, "input": list(records)}
        if action in {"updateOnly", "createOrUpdate"}:
            body["lookupField"] = lookup_field
        if partition is not None:
            body["partitionName"] = partition
        if len(encode(body)) > _MOST_BYTES:
            return self._in_halves(records, action, lookup_field, partition)
        return self._write("/rest/v1/leads.json", body, _reader(len(records)), repeat=REPEATS[action])

    def _in_halves(
        self, records: Sequence[Mapping[str, object]], action: str, lookup_field: str, partition: str | None
    ) -> list[RecordResult]:
        if len(records) == 1:
            return [RecordResult(False, None, "skipped", "413", "the record exceeds the 1 MB that a call may have")]
        middle = len(records) // 2
        return [
            *self.sync_persons(records[:middle], action=action, lookup_field=lookup_field, partition=partition),
            *self.sync_persons(records[middle:], action=action, lookup_field=lookup_field, partition=partition),
        ]

    def _by_id(self, call: str, path: str, ids: Sequence[int]) -> list[RecordResult]:
        write, results = WRITES[call], list[RecordResult]()
        for part in chunks(ids, PAGE):
            body = {"input": [{"id": each} for each in part]}
            results += self._write(path, body, _reader(len(part)), repeat=write.repeat, method=write.method)
        return results

    def _matching(self, filter_type: str, values: Sequence[str], columns: tuple[Column, ...]) -> list[pa.Table]:
        parameters = {"filterType": filter_type, "filterValues": ",".join(values)}
        try:
            return list(self._pages("/rest/v1/leads.json", parameters, columns))
        except RowFailed as error:  # more than 1,000 persons match (M29): ask for fewer values
            if error.code not in _TOO_MANY or len(values) == 1:
                raise
            middle = len(values) // 2
            return [
                *self._matching(filter_type, values[:middle], columns),
                *self._matching(filter_type, values[middle:], columns),
            ]

    def _pages(self, path: str, parameters: Mapping[str, str], columns: tuple[Column, ...]) -> Iterator[pa.Table]:
        """Pages while there is a token; `moreResult` is not reliable here (§5.2, trap 12).

        `parameters` ask for certain persons: then an answer without a `result` tells nothing of them.
        """
        fields = ",".join(column.key for column in columns)
        token: str | None = None
        seen: set[str] = set()
        while True:
            query = {**parameters, "fields": fields, "batchSize": PAGE, "nextPageToken": token}
            envelope = self._read(path, query)
            if parameters and not envelope.has_result:  # who is in no result is taken for gone (M25)
                raise AnswerMalformed(System.MARKETO, "success without a result", "")
            yield rows(System.MARKETO, envelope.result, columns)
            token = envelope.next_page_token
            if not token or envelope.more_result is False:
                return
            if token in seen:
                raise AnswerMalformed(System.MARKETO, "paging leads back to a page already read", "")
            seen.add(token)


def _reader(expected: int) -> Callable[[Envelope], list[RecordResult]]:
    return lambda answer: outcomes(answer, expected)


def person_columns(columns: Mapping[str, Wire]) -> tuple[Column, ...]:
    """The columns of a person table: `id` first."""
    rest = (Column(name, name, wire) for name, wire in columns.items() if name != "id")
    return (Column("id", "id", "integer"), *rest)


def each_once(table: pa.Table) -> pa.Table:
    """Each person once, as last read; a person without id spoils the answer."""
    ids = table["id"].to_pylist()
    last = {person: row for row, person in enumerate(ids)}
    if None in last:
        raise AnswerMalformed(System.MARKETO, "a person without id", "")
    return table if len(last) == len(ids) else table.take(sorted(last.values()))
