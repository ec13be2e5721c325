"""Reading rows of Dynamics: by id, by filter, by e-mail, and change tracking (facts/dataverse-api §3, §4)."""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Final
from urllib.parse import parse_qs, quote, urlsplit

import msgspec
import pyarrow as pa
import pyarrow.compute as pc

from include.leadsync.clients.decode import Column, Wire, rows, together
from include.leadsync.clients.dynamics_owners import is_email
from include.leadsync.clients.dynamics_session import (
    GUID,
    TOO_LARGE,
    DynamicsSession,
    decoded,
    entity_set,
    guid,
    is_lookup,
    key_column,
    name_preference,
    row_columns,
    select,
)
from include.leadsync.clients.records import TrackedPage
from include.leadsync.errors import AccessRefused, AnswerMalformed, ReadAgain, RowFailed
from include.leadsync.model import Entity, System

PAGE: Final = 5000
"""Rows per page, the most there is (V19)."""

_IDS, _EMAILS = 100, 50  # per call: far below the 32 KB that an address may have
_MATCHES = 10  # rows that RetrieveDuplicates is asked for
_DELETED: Final = (
    Column("id", "@deleted", "text"),
    Column("reason", "@reason", "text"),
    Column("@odata.context", "@context", "text"),
)


class _Collection(msgspec.Struct):
    value: msgspec.Raw
    next_link: str | None = msgspec.field(name="@odata.nextLink", default=None)
    delta_link: str | None = msgspec.field(name="@odata.deltaLink", default=None)


class DynamicsRows(DynamicsSession):
    """Reads. Every table has `id` (lower case) and `etag`, then the columns asked for, lookups with `<column>@name`."""

    def rows(self, entity: Entity, ids: Sequence[str], columns: Mapping[str, Wire]) -> pa.Table:
        """The rows with these ids that exist and may be read, each once, in any order; no GUID finds nothing."""
        known = list(dict.fromkeys(key for each in ids if (key := guid(each))))
        return self._collected(entity, partial(_one_of, f"{entity.value}id"), known, columns, _IDS)

    def rows_by_email(self, entity: Entity, emails: Sequence[str], columns: Mapping[str, Wire]) -> pa.Table:
        """The rows whose `emailaddress1` equals one of `emails` for Dynamics.

        Dynamics ignores case, and in most languages accents (§3.4): compare again. Add `emailaddress1` to the columns.
        A value with control characters, which no row can hold (`0x80040278`), finds nothing.
        """
        askable = [e for e in dict.fromkeys(emails) if e and not any(unicodedata.category(c) == "Cc" for c in e)]
        quoted = ["'" + each.replace("'", "''") + "'" for each in askable]
        return self._collected(entity, _any_email, quoted, columns, _EMAILS)

    def rows_where(self, table: str, filter: str, columns: Mapping[str, Wire]) -> Iterator[pa.Table]:  # noqa: A002
        """Pages of the rows of any table for which an OData filter holds, its key column as `id`.

        A row that is changed meanwhile may come twice or never (§3.5).

        Raises:
            FixConfiguration: 0x80060888, the filter or a column names what does not exist.
        """
        wanted = row_columns(table, columns)
        address = f"{entity_set(table)}?{select(table, columns)}&$filter={quote(filter, safe='')}"
        for page, _ in self._pages(address, wanted, self._prefer(columns)):
            yield self._finished(page, columns)

    def track(self, entity: Entity, columns: Mapping[str, Wire], delta_link: str | None) -> Iterator[TrackedPage]:
        """What changed since `delta_link`, or everything without one (§4). A row may come twice; the last one counts.

        Keep the new delta link only when every page is stored.

        Raises:
            ReadAgain: the link is expired (0x80044352, 410) or unusable, belongs to another organisation, or was made
                for fewer columns; call again without it.
            AccessRefused: change tracking is off, or the user lacks organisation-level read.
        """
        stream = f"dynamics.{entity.value}"
        if delta_link is not None:
            self._check_delta_link(delta_link, columns, stream)
        address = delta_link or f"{entity_set(entity)}?{select(entity, columns)}"
        prefer = ["odata.track-changes", *self._prefer(columns)]
        wanted = (*row_columns(entity, columns), *_DELETED)
        for page, collection in self._pages(address, wanted, prefer, cursor=stream if delta_link else ""):
            last = collection.next_link is None
            if last and collection.delta_link is None:
                raise AccessRefused(
                    System.DYNAMICS,
                    "change-tracking",
                    f"the table {entity.value} answers without a delta link",
                    "Switch on change tracking for this table",
                )
            link = self._followed(collection.delta_link, set()) if last and collection.delta_link else None
            table, deleted = _split(page)
            yield TrackedPage(self._finished(table, columns), deleted, link, fresh=delta_link is None)

    def duplicates(self, entity: Entity, row_id: str, values: Mapping[str, str]) -> list[str]:
        """Ids of rows of the table that its duplicate rules take for the same as a row with these texts (§10)."""
        business = {"@odata.type": f"Microsoft.Dynamics.CRM.{entity.value}", key_column(entity): row_id, **values}
        given = (business, entity.value, {"PageNumber": 1, "Count": _MATCHES})
        texts = [json.dumps(each, ensure_ascii=False, separators=(",", ":")) for each in given]
        parameters = "&".join(f"@p{number}={quote(text, safe='')}" for number, text in enumerate(texts, 1))
        address = f"RetrieveDuplicates(BusinessEntity=@p1,MatchingEntityName=@p2,PagingInfo=@p3)?{parameters}"
        found = [page["id"].to_pylist() for page, _ in self._pages(address, row_columns(entity, {}), self._prefer({}))]
        return [str(key).lower() for page in found for key in page if key]

    def _check_delta_link(self, link: str, columns: Mapping[str, Wire], stream: str) -> None:
        if not self._same_host(link):
            raise ReadAgain(stream, "host", "the stored link belongs to another organisation")
        selected = parse_qs(urlsplit(link).query).get("$select")
        wanted = {name for name in columns if not is_email(name)}
        if selected is not None and not wanted <= {name.strip() for name in selected[0].split(",")}:
            # its rows would lack columns, which must not look like cleared ones
            raise ReadAgain(stream, "columns", "the stored link was made for fewer columns")

    def _prefer(self, columns: Mapping[str, Wire]) -> list[str]:
        return [f"odata.maxpagesize={PAGE}", *name_preference(columns)]

    def _pages(
        self, address: str, columns: tuple[Column, ...], prefer: list[str], cursor: str = ""
    ) -> Iterator[tuple[pa.Table, _Collection]]:
        """Pages until there is no `nextLink`; a short page is not the end (§3.5)."""
        seen: set[int] = set()
        while True:
            collection = self._get(
                address, lambda answer: decoded(answer.body, _Collection), prefer=", ".join(prefer), cursor=cursor
            )
            yield rows(System.DYNAMICS, collection.value, columns), collection
            if collection.next_link is None:
                return
            address = self._followed(collection.next_link, seen)

    def _finished(self, table: pa.Table, columns: Mapping[str, Wire]) -> pa.Table:
        return self._owners.beside(_finished(table, columns), columns, self._by_id)

    def _by_id(self, table: str, ids: list[str], column: str) -> pa.Table:
        parts = (ids[start : start + _IDS] for start in range(0, len(ids), _IDS))
        conditions = (_one_of(f"{table}id", part) for part in parts)
        return pa.concat_tables(
            [page for each in conditions for page in self.rows_where(table, each, {column: "text"})]
        )

    def _collected(
        self,
        entity: Entity,
        condition: Callable[[list[str]], str],
        values: list[str],
        columns: Mapping[str, Wire],
        most: int,
    ) -> pa.Table:
        wanted = row_columns(entity, columns)
        found: list[pa.Table] = []
        waiting = [values[start : start + most] for start in range(0, len(values), most)][::-1]
        while waiting:
            part = waiting.pop()
            address = f"{entity_set(entity)}?{select(entity, columns)}&$filter={quote(condition(part), safe='')}"
            try:
                pages = list(self._pages(address, wanted, self._prefer(columns)))
            except RowFailed as error:
                if error.code != TOO_LARGE or len(part) == 1:
                    raise
                waiting += [part[len(part) // 2 :], part[: len(part) // 2]]
            else:
                found.extend(page for page, _ in pages)
        return _each_once(self._finished(together(found, wanted), columns))


def _one_of(column: str, ids: list[str]) -> str:
    listed = ",".join(f'"{each}"' for each in ids)
    return f"Microsoft.Dynamics.CRM.In(PropertyName='{column}',PropertyValues=[{listed}])"


def _any_email(quoted: list[str]) -> str:
    return " or ".join(f"emailaddress1 eq {each}" for each in quoted)


def _finished(table: pa.Table, columns: Mapping[str, Wire]) -> pa.Table:
    """GUIDs in lower case; a row without key spoils the answer."""
    if table["id"].null_count:
        raise AnswerMalformed(System.DYNAMICS, "a row without its key", "")
    for name in ("id", *filter(is_lookup, columns)):
        at = table.column_names.index(name)
        table = table.set_column(at, table.schema.field(at), pc.utf8_lower(table[name]))
    if not pc.all(pc.match_substring_regex(table["id"], f"^{GUID}$"), min_count=0).as_py():
        raise AnswerMalformed(System.DYNAMICS, "a row whose key is no GUID", "")
    return table


def _split(table: pa.Table) -> tuple[pa.Table, list[str]]:
    """Rows, and the ids of deleted entries: bare GUIDs, told apart by their own context (§4.1)."""
    gone = pc.and_(pc.is_null(table["id"]), pc.or_(pc.is_valid(table["@context"]), pc.is_valid(table["@reason"])))
    deleted: list[str] = []
    for text, reason in zip(
        table.filter(gone)["@deleted"].to_pylist(), table.filter(gone)["@reason"].to_pylist(), strict=True
    ):
        key = guid(text or "")
        if key is None or reason != "deleted":
            raise AnswerMalformed(System.DYNAMICS, "a deleted entry without id or with an unknown reason", "")
        deleted.append(key)
    return table.filter(pc.invert(gone)).drop_columns([column.name for column in _DELETED]), deleted


def _each_once(table: pa.Table) -> pa.Table:
    ids = table["id"].to_pylist()
    last = {key: row for row, key in enumerate(ids)}
    return table if len(last) == len(ids) else table.take(sorted(last.values()))
