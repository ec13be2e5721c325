"""Change tracking: full reads that end in a delta link, and delta reads (section 4, V25-V30)."""

from __future__ import annotations

import re
import sqlite3
from datetime import UTC, datetime, timedelta

from include.sandbox.dynamics.call import Call
from include.sandbox.dynamics.errors import ServiceError, bad_query, expired_delta_token, missing_privilege
from include.sandbox.dynamics.paging import delta_token, make_cookie, read_cookie, skip_token, with_option
from include.sandbox.dynamics.preferences import note_annotations, page_size
from include.sandbox.dynamics.privilege_names import privilege
from include.sandbox.dynamics.query_options import Selection
from include.sandbox.dynamics.reading import count_answer, selection_of
from include.sandbox.dynamics.rendering import render
from include.sandbox.dynamics.schema import Table
from include.sandbox.dynamics.selecting import Query
from include.sandbox.dynamics.storage import read_setting
from include.sandbox.service import Json, Response

_TOKEN = re.compile(r"(\d{1,18})!(\d\d/\d\d/\d{4} \d\d:\d\d:\d\d)")
_FORBIDDEN = ("$filter", "$orderby", "$expand", "$top", "$apply", "fetchXml")
_LINKS = frozenset({"$skiptoken", "$deltatoken"})


def is_tracked(call: Call) -> bool:
    """Whether a GET on a set is a tracked read: by preference, by delta token, or by its cookie."""
    if call.prefer.track_changes or call.option("$deltatoken") is not None:
        return True
    return 'istracking="True"' in (call.option("$skiptoken") or "")


def read_tracked(call: Call, table: Table) -> Response:
    """One page of a tracked full read or of a delta read."""
    _check(call, table)
    selection = selection_of(call, table)
    if call.prefer.track_changes:  # a delta link is a tracked read without the preference too
        call.prefer.applied.append("odata.track-changes")
    limit = page_size(call)
    note_annotations(call)
    token = call.option("$deltatoken")
    with call.reading() as connection:
        if token is None:
            return _full(call, connection, selection, limit)
        return _delta(call, connection, selection, _since(call, connection, table, token), limit)


def count_changes(call: Call, table: Table) -> Response:
    """`/$count?$deltatoken=`: the number of changes (V27)."""
    _check(call, table)
    with call.reading() as connection:
        since = _since(call, connection, table, call.option("$deltatoken") or "")
        query = f'SELECT count(*) FROM "r_{table.name}" WHERE version > ?'  # noqa: S608 - own table names
        rows = connection.execute(query, (since,)).fetchone()[0]
        gone = connection.execute(
            "SELECT count(*) FROM tombstone WHERE entity = ? AND version > ?", (table.name, since)
        ).fetchone()[0]
    return count_answer(call, rows + gone)


def _check(call: Call, table: Table) -> None:
    call.check_options()
    for name in _FORBIDDEN:
        if call.option(name) is not None:
            raise bad_query(
                f'The "{name.removeprefix("$")}" query parameter isn\'t supported when Change Tracking is enabled.'
            )
    if not table.tracking:
        raise ServiceError(400, "0x80072491", f"Entity {table.name} is not enabled for change tracking")
    # Tracked reads need organisation-level read (section 4.1).
    if call.demand("read", table) != "organization":
        raise missing_privilege(call.caller.user, privilege(table, "read"), table.name, table.type_code)


def _since(call: Call, connection: sqlite3.Connection, table: Table, token: str) -> int:
    parsed = _TOKEN.fullmatch(token.strip())
    if parsed is None:
        raise bad_query("The delta token is not valid.")
    version = int(parsed[1])
    try:
        given = datetime.strptime(parsed[2], "%m/%d/%Y %H:%M:%S").replace(tzinfo=UTC)
    except ValueError:
        raise bad_query("The delta token is not valid.") from None
    oldest = call.world.now() - timedelta(days=call.world.options.retention_days)
    # Assumption: the version decides whether metadata changed since, the time whether retention is over.
    if given < oldest or version < int(read_setting(connection, f"delta_floor:{table.name}", 0)):
        error = expired_delta_token()
        error.status = call.world.options.expired_token_status
        raise error
    return version


def _full(call: Call, connection: sqlite3.Connection, selection: Selection, limit: int) -> Response:
    table = selection.table
    query = Query(table)
    page, upper = 1, int(read_setting(connection, "version", 0))
    if call.option("$skiptoken") is not None:
        page, state, tracking = read_cookie(call.cookie_secret(table), call.option("$skiptoken") or "")
        if not tracking or "after" not in state:
            raise bad_query("Invalid Skip Token: it does not belong to this query.")
        query.after, upper = [state["after"]], state["upper"]
    entries = query.run(connection, limit + 1)
    content: dict[str, Json] = {"@odata.context": f"{call.root}$metadata#{table.set}{selection.context}"}
    shown = render(call, connection, selection, entries[:limit])
    if len(entries) > limit:
        state = {"after": entries[limit - 1][0], "upper": upper}
        content |= {"value": shown, "@odata.nextLink": _next_link(call, table, page + 1, state)}
    else:
        # The link starts where this read started: what changed while it was paged comes with the next delta.
        content |= {"@odata.deltaLink": _delta_link(call, upper), "value": shown}
    return call.json(200, content)


def _delta(call: Call, connection: sqlite3.Connection, selection: Selection, since: int, limit: int) -> Response:
    table = selection.table
    page, upper = 1, int(read_setting(connection, "version", 0))
    last, deleted = since, False
    if call.option("$skiptoken") is not None:
        page, state, tracking = read_cookie(call.cookie_secret(table), call.option("$skiptoken") or "")
        if not tracking or "last" not in state:
            raise bad_query("Invalid Skip Token: it does not belong to this query.")
        upper, last, deleted = state["upper"], state["last"], state["deleted"]
    shown: list[dict[str, Json]] = []
    more = False
    if not deleted:
        entries = _changed(connection, table, last, upper, limit + 1)
        more = len(entries) > limit
        shown += render(call, connection, selection, entries[:limit])
        last = entries[min(len(entries), limit) - 1][1] if entries else last
    if not more:
        last = last if deleted else since
        deleted = True
        room = limit - len(shown)
        gone = _deleted(connection, table, last, upper, room + 1)
        more = len(gone) > room
        context = f"{call.root}$metadata#{table.set}/$deletedEntity"
        shown += [{"@odata.context": context, "id": row_id, "reason": "deleted"} for row_id, _ in gone[:room]]
        last = gone[min(len(gone), room) - 1][1] if gone and room else last
    content: dict[str, Json] = {"@odata.context": f"{call.root}$metadata#{table.set}{selection.context}/$delta"}
    if more:
        content["value"] = shown
        content["@odata.nextLink"] = _next_link(
            call, table, page + 1, {"upper": upper, "last": last, "deleted": deleted}
        )
    else:
        content |= {"@odata.deltaLink": _delta_link(call, upper), "value": shown}
    return call.json(200, content)


def _changed(
    connection: sqlite3.Connection, table: Table, since: int, upper: int, limit: int
) -> list[tuple[Json, ...]]:
    return connection.execute(
        f'SELECT id, version, doc FROM "r_{table.name}" '  # noqa: S608 - own table names
        "WHERE version > ? AND version <= ? ORDER BY version LIMIT ?",
        (since, upper, limit),
    ).fetchall()


def _deleted(connection: sqlite3.Connection, table: Table, since: int, upper: int, limit: int) -> list[tuple[str, int]]:
    return connection.execute(
        "SELECT id, version FROM tombstone WHERE entity = ? AND version > ? AND version <= ? ORDER BY version LIMIT ?",
        (table.name, since, upper, limit),
    ).fetchall()


def _next_link(call: Call, table: Table, page: int, state: Json) -> str:
    cookie = make_cookie(call.cookie_secret(table), page, state, tracking=True)
    return f"{call.root}{call.raw_path}?{with_option(call.query, '$skiptoken', skip_token(cookie))}"


def _delta_link(call: Call, version: int) -> str:
    token = f"{version}!{call.world.now():%m/%d/%Y %H:%M:%S}"
    return f"{call.root}{call.raw_path}?{with_option(call.query, '$deltatoken', delta_token(token), drop=_LINKS)}"
