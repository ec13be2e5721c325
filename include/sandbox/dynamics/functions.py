"""Unbound functions, the service document (V8)."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import msgspec

from include.sandbox.dynamics import catalog
from include.sandbox.dynamics.call import Call
from include.sandbox.dynamics.documents import fetch
from include.sandbox.dynamics.duplicates import retrieve_duplicates
from include.sandbox.dynamics.errors import ServiceError
from include.sandbox.dynamics.query_options import split
from include.sandbox.service import Json, Response


def service_document(call: Call) -> Response:
    """The list of entity sets."""
    entries = [{"name": name, "kind": "EntitySet", "url": name} for name in sorted(call.schema.by_set)]
    return call.json(200, {"@odata.context": f"{call.root}$metadata", "value": entries})


def _context(call: Call, name: str) -> dict[str, Json]:
    return {"@odata.context": f"{call.root}$metadata#Microsoft.Dynamics.CRM.{name}Response"}


def _who_am_i(call: Call, _parameters: Mapping[str, str]) -> Response:
    organization = catalog.seed()["organization"]
    with call.reading() as connection:
        user = fetch(connection, call.schema.tables["systemuser"], call.caller.user)
    ids = {
        "BusinessUnitId": user.values.get("businessunitid") if user else None,
        "UserId": call.caller.user,
        "OrganizationId": organization["id"],
    }
    return call.json(200, _context(call, "WhoAmI") | ids)


def _version(call: Call, _parameters: Mapping[str, str]) -> Response:
    return call.json(200, _context(call, "RetrieveVersion") | {"Version": catalog.seed()["organization"]["version"]})


def _current_organization(call: Call, _parameters: Mapping[str, str]) -> Response:
    organization = catalog.seed()["organization"]
    detail = {
        "OrganizationId": organization["id"],
        "FriendlyName": "Sandbox",
        "OrganizationVersion": organization["version"],
        "UniqueName": "sandbox",
        "UrlName": "sandbox",
        "TenantId": organization["tenant_id"],
        "State": "Enabled",
    }
    return call.json(200, _context(call, "RetrieveCurrentOrganization") | {"Detail": detail})


def _record_count(call: Call, parameters: Mapping[str, str]) -> Response:
    try:
        names = msgspec.json.decode(parameters["EntityNames"].replace("'", '"'), type=list[str])
        tables = [call.schema.tables[name] for name in names]
    except (KeyError, msgspec.DecodeError) as error:
        raise ServiceError(400, "0x80040203", f"EntityNames: {error}") from error
    with call.reading() as connection:
        values = [
            int(connection.execute(f'SELECT count(*) FROM "r_{table.name}"').fetchone()[0])  # noqa: S608 - own names
            for table in tables
        ]
    collection = {"Count": len(names), "Keys": names, "Values": values}
    return call.json(200, _context(call, "RetrieveTotalRecordCount") | {"EntityRecordCountCollection": collection})


FUNCTIONS: Mapping[str, Callable[[Call, Mapping[str, str]], Response]] = {
    "WhoAmI": _who_am_i,
    "RetrieveVersion": _version,
    "RetrieveCurrentOrganization": _current_organization,
    "RetrieveTotalRecordCount": _record_count,
    "RetrieveDuplicates": retrieve_duplicates,
}


def parameters_of(call: Call, text: str | None) -> dict[str, str]:
    """Inline parameters, aliases replaced by their values."""
    aliases = call.aliases()
    found: dict[str, str] = {}
    for part in split(text or "", ","):
        name, _, value = part.strip().partition("=")
        found[name] = aliases.get(value, value)
    return found
