"""Every change is on record in Airflow's own audit log (Browse → Audit Log), where data engineers look for one."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from leadsync_console.access import DAG_ID

if TYPE_CHECKING:
    from airflow.api_fastapi.auth.managers.models.base_user import BaseUser

PREFIX = "leadsync_"


@contextmanager
def audited(user: BaseUser, change: str, detail: Mapping[str, Any]) -> Iterator[None]:
    """Put a change on record, then make it in the block; what is not on record is not done.

    `detail`: what is changed, before and after; ids and counts, never a value of a person. A change that fails is
    followed by a second row that says so.
    """
    note(user, change, detail)
    try:
        yield
    except BaseException as error:
        note(user, f"{change}_failed", {**detail, "error": type(error).__name__})
        raise


def note(user: BaseUser, change: str, detail: Mapping[str, Any]) -> None:
    """One row: when, who, `leadsync_<change>`, and the detail as JSON."""
    from airflow.models.log import Log
    from airflow.utils.session import create_session

    row = Log(
        event=f"{PREFIX}{change}",
        owner=user.get_name(),
        owner_display_name=user.get_name(),
        extra=json.dumps(dict(detail), ensure_ascii=False, default=str),
        dag_id=DAG_ID,
    )
    with create_session() as session:
        session.add(row)
