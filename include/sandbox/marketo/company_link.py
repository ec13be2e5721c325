"""Persons show the values of the company they are linked to by externalCompanyId (vendor page Companies).

The values are copied to the persons, so that filters, feeds and extracts see them as any other value.
Assumption: what the copying changes is logged as a change of the call that caused it.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping

import msgspec

from include.sandbox.marketo.catalog import COMPANY_IDS, Field
from include.sandbox.marketo.instance import Instance
from include.sandbox.marketo.people import match_key
from include.sandbox.marketo.values import shown
from include.sandbox.marketo.writer import Provenance
from include.sandbox.service import Json

LINK = "41"
"""Field id of externalCompanyId."""
_RENAMED = {"companyNotes": "mktoCompanyNotes"}


class CompanyLink:
    """Carries values from companies to persons, inside the caller's transaction."""

    def __init__(self, instance: Instance) -> None:
        """Keep the instance."""
        self._at = instance

    def prepare(self) -> None:
        """Make the index that `spread` needs. Call outside transactions."""
        self._at.people.prepare(self._at.catalog.by_key[LINK])

    def filled(self, connection: sqlite3.Connection, values: Mapping[Field, Json]) -> Mapping[Field, Json]:
        """The values of a person, with those of the company when they link to one that exists."""
        key = values.get(self._at.catalog.by_key[LINK])
        if key is None:
            return values
        sql = "SELECT doc FROM crm_object WHERE kind = 'companies' AND key = ?"
        row = connection.execute(sql, (msgspec.json.encode([shown(key)]).decode(),)).fetchone()
        return {**values, **self._carried(msgspec.json.decode(row[0]))} if row else values

    def spread(self, connection: sqlite3.Connection, doc: Mapping[str, Json], by: Provenance, now: int) -> None:
        """Give the company's values to everybody linked to it; what it has no value for is emptied."""
        key = doc["externalCompanyId"]
        owners = self._at.people.holders(connection, self._at.catalog.by_key[LINK], [key])
        values = {**dict.fromkeys(self._fields()), **self._carried(doc)}
        for person in list(self._at.people.get_many(connection, owners.get(match_key(key), []))):
            self._at.writer.update(connection, person, values, by, now)

    def _carried(self, doc: Mapping[str, Json]) -> dict[Field, Json]:
        own = {one.name: one for one in self._fields()}
        named = {_RENAMED.get(name, name): value for name, value in doc.items()}
        return {own[name]: value for name, value in named.items() if name in own}

    def _fields(self) -> list[Field]:
        return [one for one in self._at.catalog.all if one.id in COMPANY_IDS]
