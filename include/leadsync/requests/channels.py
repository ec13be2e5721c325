"""Requests that people make inside Marketo: membership of a static list, or a value of a request field (D22).

Each is read once a cycle, becomes a stored request, and is taken out of its channel after its outcome is
written: consumed exactly once, wherever a run dies.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import timedelta

from include.leadsync.context import Engine, Json, RunRequest
from include.leadsync.errors import FixConfiguration, LeadSyncError, RowFailed
from include.leadsync.logs import logger
from include.leadsync.settings.requests import Ask
from include.leadsync.state import Metadata, Requests

log = logger(__name__)

LIST, FIELD = "list:", "field:"
"""How the source of a request of these channels begins; the name follows."""

_AT_ONCE = 300
_LOOK_BACK = timedelta(days=1)
_KEPT = "list"  # system under which the ids of lists are remembered


class Channels:
    """The channels that the configuration names."""

    def __init__(self, engine: Engine) -> None:
        self._engine, self._settings = engine, engine.settings.requests
        self._requests = Requests(engine.store)

    def collect(self, run: RunRequest) -> dict[str, Json]:
        """Store a request for everybody who asks; returns how many are new, and the lists that do not exist.

        Who is asked for already by the same channel, and not taken out of it yet, is not asked for twice.
        """
        new, missing = 0, []
        for name, ask in self._settings.lists.items():
            members = self._members(name)
            if members is None:
                missing.append(name)
                log.warning("requests.lists: Marketo has no static list %r; create it or take it out", name)
                continue
            new += sum(self._ask(page, ask, LIST + name, run) for page in members)
        for name, values in self._settings.fields.items():
            for person, value in self._askers(name, values):
                new += self._ask([person], values[value], FIELD + name, run)
        return {"new": new, **({"lists_missing": missing} if missing else {})}

    def consume(self) -> dict[str, Json]:
        """Take answered requests out of their channels; returns how many, and how many could not be.

        Whatever hinders it is tried again in the next cycle: the membership or value then stands, and is not taken
        for a new request.
        """
        done = left = 0
        answered = self._requests.answered()
        by_source: dict[str, list[Mapping[str, Json]]] = {}
        for row in answered.to_pylist():
            by_source.setdefault(row["source"], []).append(row)
        for source, rows in by_source.items():
            for start in range(0, len(rows), _AT_ONCE):
                part = rows[start : start + _AT_ONCE]
                try:
                    self._take_out(source, sorted({row["person_id"] for row in part}))
                except LeadSyncError as error:
                    log.warning("%d requests stay in %s until the next cycle: %s", len(part), source, error)
                    left += len(part)
                    continue
                self._requests.consumed([row["request_id"] for row in part])
                done += len(part)
        return {"taken_out": done, **({"left_in": left} if left else {})}

    def _ask(self, persons: Sequence[int], ask: Ask, source: str, run: RunRequest) -> int:
        waiting = self._requests.open_of(source, persons)
        added = [
            self._requests.add(
                person, ask.sync_as, owner=ask.owner, reason=ask.reason, source=source, token=f"{source}/{run.run_id}"
            )
            for person in persons
            if person not in waiting
        ]
        return sum(request.is_new for request in added)

    def _members(self, name: str) -> Iterator[list[int]] | None:
        """Pages of the members; None when there is no such list."""
        remembered = Metadata(self._engine.store).get(_KEPT, name)
        try:
            pages = self._pages(int(remembered)) if remembered else None
        except RowFailed:  # deleted, or another list has its name now
            pages = None
        if pages is not None:
            return pages
        found = self._engine.marketo.find_list(name)
        if found is None:
            return None
        Metadata(self._engine.store).put(_KEPT, name, str(found))
        return self._pages(found)

    def _pages(self, list_id: int) -> Iterator[list[int]]:
        """Raises `RowFailed` at once when there is no such list."""
        pages = (table["id"].to_pylist() for table in self._engine.marketo.list_members(list_id, {}))
        first = next(pages, None)

        def chained() -> Iterator[list[int]]:
            if first is not None:
                yield first
                yield from pages

        return chained()

    def _askers(self, name: str, values: Iterable[str]) -> list[tuple[int, str]]:
        """Persons whose request field has one of the values, with that value."""
        wanted = {value.casefold(): value for value in values}
        marketo = self._engine.marketo
        try:
            found = marketo.persons(name, list(wanted.values()), {name: "text"})
        except RowFailed:  # more than the filter can answer (M29): those who asked lately
            rows = marketo.lead_changes(marketo.paging_token(self._engine.now() - _LOOK_BACK), [name])
            lately = {str(person) for page in rows for person in page.rows["person_id"].to_pylist()}
            found = marketo.persons("id", sorted(lately), {name: "text"})
        asked = zip(found["id"].to_pylist(), found[name].to_pylist(), strict=True)
        known = ((person, wanted.get((value or "").casefold())) for person, value in asked)
        return [(person, value) for person, value in known if value is not None]

    def _take_out(self, source: str, persons: list[int]) -> None:
        """Raises what the client raises; persons who are gone, or left the list by themselves, count as done."""
        if source.startswith(LIST):
            list_id = Metadata(self._engine.store).get(_KEPT, source.removeprefix(LIST))
            if list_id is not None:
                self._refusals(self._engine.marketo.remove_from_list, int(list_id), persons)
            return
        name = source.removeprefix(FIELD)
        records: list[dict[str, object]] = [{"id": person, name: None} for person in persons]
        results = self._engine.marketo.sync_persons(records, action="updateOnly", lookup_field="id")
        _require_done(results, f"the field {name} could not be cleared")

    @staticmethod
    def _refusals(remove: Callable[[int, Sequence[int]], list[Json]], list_id: int, persons: list[int]) -> None:
        try:
            results = remove(list_id, persons)
        except RowFailed:  # the list itself is gone
            return
        _require_done(results, "a person could not be taken off the list")


_GONE = {"1004", "1015", "1013"}  # no such person, not a member, no such list


def _require_done(results: Sequence[Json], what: str) -> None:
    refused = [result for result in results if not result.ok and result.code not in _GONE]
    if refused:
        raise FixConfiguration(f"{what}: {refused[0].code} {refused[0].message}")
