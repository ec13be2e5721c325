"""Bulk import of persons over the wire (facts/marketo-api.md section 10; M71)."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from datetime import timedelta
from functools import partial

from include.sandbox.marketo import import_store
from include.sandbox.marketo.extract_request import DELIMITERS
from include.sandbox.marketo.import_queue import ImportQueue
from include.sandbox.marketo.import_store import Batch
from include.sandbox.marketo.import_upload import LARGEST_FILE, parse_upload
from include.sandbox.marketo.instance import Instance
from include.sandbox.marketo.person_removal import WRITE
from include.sandbox.marketo.routes import Body, Route
from include.sandbox.marketo.wire import Answer, Call, Refusal, Reply, Skip, as_integer, plain_response
from include.sandbox.service import FileResponse, Response

KEPT = timedelta(days=7)
PATH = "/bulk/v1/leads.json"
FILE_TYPES = {"csv": "text/csv", "tsv": "text/tab-separated-values", "ssv": "text/csv"}


class ImportJobs:
    """The endpoints of imports. Parameters stand in the query or in parts of the form."""

    def __init__(self, instance: Instance) -> None:
        """Keep the instance."""
        self._at = instance
        with instance.database.write() as connection:
            connection.execute(import_store.SCHEMA)
        self._queue = ImportQueue(instance)
        instance.closing.append(self._queue.close)
        instance.falling_due.append(self._queue.nudge)

    def routes(self) -> list[Route]:
        """Its resources."""
        batch = "/bulk/v1/leads/batch/{id}"
        return [
            Route("POST", PATH, self.upload, WRITE, Body.ANY),
            Route("GET", f"{batch}.json", self.status, WRITE),
            Route("GET", f"{batch}/failures.json", partial(self.reasons, "failures"), WRITE),
            Route("GET", f"{batch}/warnings.json", partial(self.reasons, "warnings"), WRITE),
        ]

    def upload(self, call: Call) -> Answer:
        """Take a file; the job starts later."""
        sent = parse_upload(call.request)
        if len(sent.file) > LARGEST_FILE:
            return plain_response(413, "Request Entity Too Large")
        self._queue.catch_up(call.second)
        batch = self._batch(call, sent.texts)
        self._queue.add(batch, sent.file)
        return Reply([batch.accepted()])

    def _batch(self, call: Call, texts: Mapping[str, str]) -> Batch:
        def text(name: str) -> str | None:
            return call.text(name) or texts.get(name) or None

        layout = (text("format") or "csv").lower()
        if layout.upper() not in DELIMITERS:
            raise Refusal("1003", f"Invalid value '{layout}' for format")
        name = text("lookupField") or "email"
        lookup = self._at.catalog.get(name)
        if lookup is None:
            raise Refusal("1006", f"Lookup field '{name}' not found")
        if not lookup.searchable:
            raise Refusal("1011", f"Field '{name}' not supported")
        list_id, partition = text("listId"), text("partitionName")
        with self._at.database.read() as connection:
            chosen = None if list_id is None else self._at.lists.need(connection, as_integer(list_id)).id
            home = self._home(connection, call.user, partition)
        return Batch(0, layout, name, chosen, home, import_store.QUEUED, call.second)

    def _home(self, connection: sqlite3.Connection, user: str, partition: str | None) -> int:
        """Where new persons go; a partition that may not be entered refuses the whole import (1008, 1009)."""
        try:
            if partition is None:
                return self._at.partitions.home(connection, user)
            return self._at.partitions.named(connection, user, partition)
        except Skip as skip:
            raise Refusal(skip.code, skip.message) from skip

    def status(self, call: Call) -> Reply:
        """The job as it is."""
        return Reply([self._need(call).record(call.second, self._at.options.import_seconds)])

    def reasons(self, what: str, call: Call) -> Answer:
        """The rows that failed or were warned about, with the reason; without any, and before the end, nothing."""
        batch = self._need(call)
        headers = [("Content-Type", f"{FILE_TYPES[batch.layout]};charset=UTF-8")]
        path = self._queue.path(batch.id, what)
        if not path.exists():
            return Response(200, b"", headers)
        return FileResponse(200, headers, path, 0, path.stat().st_size)

    def _need(self, call: Call) -> Batch:
        """An import of the last seven days (1013 otherwise; code assumed)."""
        self._queue.catch_up(call.second)
        oldest = call.second - int(KEPT.total_seconds())
        with self._at.database.read() as connection:
            found = import_store.batches(connection, "id = ? AND queued >= ?", (call.place("id"), oldest))
        if not found:
            raise Refusal("1013", "Object not found")
        return found[0]
