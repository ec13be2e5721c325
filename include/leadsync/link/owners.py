"""Who is to own a new CRM record: from what a request says to a row of Dynamics (R52, D29, D30).

An owner is the id, the e-mail address, the user name or the full name of a user, or `team:` and the name of a team.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from include.leadsync.clients.dynamics import DynamicsClient

_GUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
TEAM = "team:"
_AT_ONCE = 20  # owners per query


@dataclass(frozen=True, slots=True)
class Owner:
    """An owner that was looked for: its row, as `/systemusers(…)` or `/teams(…)`, or why there is none."""

    row: str | None
    problem: str | None = None


class Owners:
    """Looks owners up, each once a run."""

    def __init__(self, client: DynamicsClient, default_owners: Sequence[str]) -> None:
        """`default_owners`: who gets a record without an owner; of several each person has one of its own (D29)."""
        self._client, self._defaults = client, tuple(default_owners)
        self._known: dict[str, Owner] = {}

    def look_up(self, wanted: Iterable[str | None]) -> None:
        """Find these and the default owners in as few calls as there are kinds of them."""
        new = {text for text in (*wanted, *self._defaults) if text} - set(self._known)
        teams = sorted(text for text in new if text.lower().startswith(TEAM))
        users = sorted(new - set(teams))
        for start in range(0, len(users), _AT_ONCE):
            self._users(users[start : start + _AT_ONCE])
        for start in range(0, len(teams), _AT_ONCE):
            self._teams(teams[start : start + _AT_ONCE])

    def of(self, text: str | None, person_id: int) -> Owner:
        """The owner of a person's new record: the named one, else the default one, with the problem (D30)."""
        named = self._known[text] if text else Owner(None)
        if named.row:
            return named
        if not self._defaults:
            return named
        default = self._known[self._defaults[person_id % len(self._defaults)]]
        problems = [problem for problem in (named.problem, default.problem) if problem]
        return Owner(default.row, "; ".join(problems) or None)

    def _users(self, texts: Sequence[str]) -> None:
        ids = [text.lower() for text in texts if _GUID.fullmatch(text.lower())]
        names = [text for text in texts if text.lower() not in ids]
        conditions = [f"systemuserid eq {each}" for each in ids]
        for column in ("internalemailaddress", "domainname", "fullname"):
            conditions += [f"{column} eq {_quoted(name)}" for name in names]
        columns = dict.fromkeys(("internalemailaddress", "domainname", "fullname"), "text")
        rows = self._rows("systemuser", conditions, {**columns, "isdisabled": "boolean"})
        for text in texts:
            self._known[text] = _chosen(text, [row for row in rows if _is_called(row, text, ("id", *columns))])
        unknown = [text for text in texts if text.lower() in ids and not self._known[text].row]
        if unknown:  # the id of a team looks the same
            self._team_ids(unknown)

    def _team_ids(self, texts: Sequence[str]) -> None:
        rows = self._rows("team", [f"teamid eq {text.lower()}" for text in texts], {"name": "text"})
        there = {row["id"] for row in rows}
        self._known |= {text: Owner(f"/teams({text.lower()})") for text in texts if text.lower() in there}

    def _teams(self, texts: Sequence[str]) -> None:
        names = {text: text[len(TEAM) :].strip() for text in texts}
        conditions = [f"name eq {_quoted(name)}" for name in names.values()]
        rows = self._rows("team", conditions, {"name": "text"})
        for text, name in names.items():
            found = [row for row in rows if row["name"].casefold() == name.casefold()]
            one = len(found) == 1
            problem = None if one else f"{len(found) or 'no'} teams are called {name!r}"
            self._known[text] = Owner(f"/teams({found[0]['id']})" if one else None, problem)

    def _rows(self, table: str, conditions: Sequence[str], columns: Mapping[str, Any]) -> list[dict[str, Any]]:
        pages = self._client.rows_where(table, " or ".join(conditions), columns)
        return [row for page in pages for row in page.to_pylist()]


def _is_called(row: Mapping[str, Any], text: str, columns: Sequence[str]) -> bool:
    return any((row[column] or "").casefold() == text.casefold() for column in columns)


def _chosen(text: str, found: Sequence[Mapping[str, Any]]) -> Owner:
    enabled = [row for row in found if not row["isdisabled"]]
    if len(enabled) == 1:
        return Owner(f"/systemusers({enabled[0]['id']})")
    if enabled:
        return Owner(None, f"{len(enabled)} users are called {text!r}; give the id or the e-mail address")
    return Owner(None, f"the user {text!r} is disabled" if found else f"Dynamics has no user {text!r}")


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
