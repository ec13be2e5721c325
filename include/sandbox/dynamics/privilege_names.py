"""What privileges are called: `prvReadLead`, and the names that do not follow their table (section 11.1, V5)."""

from __future__ import annotations

from collections.abc import Mapping

from include.sandbox.dynamics.schema import Table, stable_id

VERBS: Mapping[str, str] = {"create": "Create", "read": "Read", "write": "Write", "delete": "Delete"}
ACTIONS = (*VERBS.values(), "Assign", "Share", "Append", "AppendTo")
# The vendor's security-role pages: users have a name of their own, all activities share one.
_OTHER_NAMES: Mapping[str, str] = {"systemuser": "User", "activityparty": "Activity"}


def privilege_name(table: Table, verb: str) -> str:
    """The privilege that an action on a table needs; `verb` as in `VERBS`, or an action as names spell it."""
    shown = "Activity" if table.view or table.base is not None else table.schema_name
    return f"prv{VERBS.get(verb, verb)}{_OTHER_NAMES.get(table.name, shown)}"


def privilege_id(name: str) -> str:
    """The id of a privilege."""
    return stable_id("privilege", name)


def privilege(table: Table, verb: str) -> tuple[str, str]:
    """Name and id of the privilege that an action on a table needs."""
    name = privilege_name(table, verb)
    return name, privilege_id(name)
