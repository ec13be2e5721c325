"""The account of a contact that a request creates, when the configuration wants one attached (D27)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pyarrow as pa

from include.leadsync.clients.dynamics import DynamicsClient

_AT_ONCE = 20


class Accounts:
    """Finds accounts by exact company name or by e-mail domain. `mode`: no, by_company, by_domain."""

    def __init__(self, client: DynamicsClient, mode: str) -> None:
        self._client, self._mode = client, mode

    def of(self, persons: Sequence[int], raw_persons: pa.Table) -> dict[int, str]:
        """Person → account row, as `/accounts(…)`; only where exactly one active account fits."""
        column = {"by_company": "company", "by_domain": "email"}.get(self._mode)
        if column is None or column not in raw_persons.column_names or not persons:
            return {}
        values = dict(zip(raw_persons["id"].to_pylist(), raw_persons[column].to_pylist(), strict=True))
        keys = {person: key for person in persons if (key := self._key(values.get(person)))}
        found = self._accounts(sorted(set(keys.values())))
        return {person: f"/accounts({found[key]})" for person, key in keys.items() if key in found}

    def _key(self, value: str | None) -> str | None:
        text = (value or "").strip().casefold()
        return (text.rpartition("@")[2] if self._mode == "by_domain" else text) or None

    def _accounts(self, keys: Sequence[str]) -> dict[str, str]:
        """Key → id of the one account it names."""
        by_key: dict[str, set[str]] = {}
        for start in range(0, len(keys), _AT_ONCE):
            part = keys[start : start + _AT_ONCE]
            condition = " or ".join(self._condition(key) for key in part)
            columns: dict[str, Any] = dict.fromkeys(("name", "emailaddress1", "websiteurl"), "text")
            for page in self._client.rows_where("account", f"statecode eq 0 and ({condition})", columns):
                for row in page.to_pylist():
                    for key in set(part) & self._keys_of(row):
                        by_key.setdefault(key, set()).add(row["id"])
        return {key: next(iter(ids)) for key, ids in by_key.items() if len(ids) == 1}

    def _condition(self, key: str) -> str:
        quoted = key.replace("'", "''")
        if self._mode == "by_company":
            return f"name eq '{quoted}'"
        return f"endswith(emailaddress1,'@{quoted}') or contains(websiteurl,'{quoted}')"

    def _keys_of(self, row: dict[str, Any]) -> set[str]:
        if self._mode == "by_company":
            return {(row["name"] or "").casefold()}
        site = (row["websiteurl"] or "").casefold().partition("://")[2] or (row["websiteurl"] or "").casefold()
        host = site.partition("/")[0].partition(":")[0].removeprefix("www.")
        return {host, (row["emailaddress1"] or "").casefold().rpartition("@")[2]} - {""}
