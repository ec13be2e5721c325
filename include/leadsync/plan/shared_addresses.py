"""An e-mail address that changes to one that another person has: it is applied, and reported (D17, R83)."""

from __future__ import annotations

import polars as pl

from include.leadsync.context import Engine
from include.leadsync.link.frames import events
from include.leadsync.model import OperationKind

_ADDRESS = "email"


def shared_addresses(engine: Engine, plan: pl.DataFrame) -> pl.DataFrame:
    """Events for the persons whose address is about to be, or has become, that of others."""
    written = plan.filter(plan["field"] == _ADDRESS)
    if written.is_empty():
        return events([])
    changed = written.filter(
        (pl.col("kind") == OperationKind.UPDATE.value)
        & pl.col("after").is_not_null()
        & pl.col("person_id").is_not_null()
    ).unique("link_id", maintain_order=True)
    if changed.is_empty():
        return events([])
    addresses = changed["after"].str.to_lowercase()
    found = engine.marketo.persons(_ADDRESS, addresses.unique(maintain_order=True).to_list(), {_ADDRESS: "text"})
    holders: dict[str, list[int]] = {}
    for person, address in zip(found["id"].to_pylist(), found[_ADDRESS].to_pylist(), strict=True):
        holders.setdefault((address or "").lower(), []).append(person)
    rows: list[dict[str, object]] = []
    for link, address in zip(changed.iter_rows(named=True), addresses, strict=True):
        others = sorted(set(holders.get(address, ())) - {link["person_id"]})
        if others:
            message = (
                f"the new e-mail address is also that of {len(others)} other person(s), as {others[0]}; it was applied,"
                " because links go by id; merge them if they are one human"
            )
            about = {name: link[name] for name in ("entity", "link_id", "person_id", "crm_id")}
            rows.append({**about, "kind": "duplicate", "code": "shared_address", "message": message, "rule": "D17"})
    return events(rows)
