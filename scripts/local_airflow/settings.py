"""Load `airflow_settings.yaml` (the Astro CLI's format) into Airflow's database, in this process.

That needs the environment of `environment.py`. The `airflow` command would start anew, 2-5 s, for each kind of object.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

Entry = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Settings:
    """What the file holds, one mapping per object, with the file's own keys."""

    connections: tuple[Entry, ...]
    pools: tuple[Entry, ...]
    variables: tuple[Entry, ...]


def read(file: Path) -> Settings:
    """Parse the file.

    Raises:
        ValueError: a section or an entry is not of the expected form; the message names it.
    """
    document = yaml.safe_load(file.read_text())
    if not isinstance(document, dict) or not isinstance(document.get("airflow"), dict):
        raise ValueError(f"{file.name}: found no mapping under 'airflow'; expected connections, pools and variables")
    sections = []
    for section, key in (("connections", "conn_id"), ("pools", "pool_name"), ("variables", "variable_name")):
        entries = document["airflow"].get(section) or []
        for position, entry in enumerate(entries):
            if not isinstance(entry, dict) or not entry.get(key):
                raise ValueError(f"{file.name}: airflow.{section}[{position}]: found {entry!r}; expected a {key}")
        sections.append(tuple(entries))
    return Settings(*sections)


def connection_json(entry: Entry) -> dict[str, Any]:
    """One connection entry as the keyword arguments of Airflow's Connection."""
    extra = entry.get("conn_extra")
    return {
        "conn_id": entry["conn_id"],
        "conn_type": entry["conn_type"],
        "host": entry.get("conn_host"),
        "schema": entry.get("conn_schema"),
        "login": entry.get("conn_login"),
        "password": entry.get("conn_password"),
        "port": entry.get("conn_port"),
        "extra": json.dumps(extra) if isinstance(extra, dict) else extra,
        "description": entry.get("conn_description"),
    }


def load(settings: Settings) -> None:
    """Create or migrate the database and put the objects into it; existing ones get the file's values.

    A connection given by AIRFLOW_CONN_* in the environment is stored as given there, so that the UI shows
    what the tasks use.
    """
    from airflow.models import Connection, Pool, Variable
    from airflow.utils.db import initdb
    from airflow.utils.session import create_session
    from sqlalchemy import delete

    initdb()
    with create_session() as session:
        for entry in settings.connections:
            session.execute(delete(Connection).where(Connection.conn_id == entry["conn_id"]))
            given = os.environ.get(f"AIRFLOW_CONN_{entry['conn_id'].upper()}")
            session.add(
                Connection.from_json(given, conn_id=entry["conn_id"])
                if given and given.lstrip().startswith("{")
                else Connection(**connection_json(entry))
            )
        for entry in settings.pools:
            Pool.create_or_update_pool(
                name=entry["pool_name"],
                slots=int(entry["pool_slot"]),
                description=entry.get("pool_description") or "",
                include_deferred=False,
                session=session,
            )
        for entry in settings.variables:
            Variable.set(entry["variable_name"], str(entry["variable_value"]), session=session)
