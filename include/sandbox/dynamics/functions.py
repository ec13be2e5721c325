"""Unbound functions, the service document (V8)."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import msgspec

from include.sandbox.dynamics import catalog
from include.sandbox.dynamics.call import Call
from include.sandbox.dynamics.documents import fetch
from include.sandbox.dynamics.duplicates import retrieve_duplicates
from include.sandbox.dynamics.errors import ServiceError, bad_query, unknown_segment
from include.sandbox.dynamics.metadata_shapes import BASE_LANGUAGE
from include.sandbox.dynamics.parameters import NAMESPACE
from include.sandbox.dynamics.query_options import split
from include.sandbox.dynamics.schema import stable_id
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


def _current_organization(call: Call, parameters: Mapping[str, str]) -> Response:
    kind = parameters["AccessType"].removeprefix(f"{NAMESPACE}EndpointAccessType").strip("'")
    if kind not in _ACCESS_TYPES:
        text = f"The string '{parameters['AccessType']}' is not a valid enumeration type constant."
        raise bad_query(text)
    organization = catalog.seed()["organization"]
    base = call.root.partition("/api/")[0]
    endpoints = {
        "WebApplication": f"{base}/",
        "OrganizationService": f"{base}/XRMServices/2011/Organization.svc",
        "OrganizationDataService": f"{base}/XRMServices/2011/OrganizationData.svc",
    }
    detail = {
        "OrganizationId": organization["id"],
        "FriendlyName": "Sandbox",
        "OrganizationVersion": organization["version"],
        "EnvironmentId": organization["id"],
        "DatacenterId": stable_id("datacenter"),
        "Geo": "EMEA",
        "TenantId": organization["tenant_id"],
        "UrlName": "sandbox",
        "UniqueName": "sandbox",
        "State": "Enabled",
        "Endpoints": {"Count": len(endpoints), "Keys": list(endpoints), "Values": list(endpoints.values())},
    }
    return call.json(200, _context(call, "RetrieveCurrentOrganization") | {"Detail": detail})


def _record_count(call: Call, parameters: Mapping[str, str]) -> Response:
    try:
        names = msgspec.json.decode(parameters["EntityNames"].replace("'", '"'), type=list[str])
    except msgspec.DecodeError as error:
        raise ServiceError(400, "0x80040203", f"EntityNames: {error}") from error
    unknown = [name for name in names if name not in call.schema.tables]
    if unknown:
        text = (
            f"The entity with a name = '{unknown[0]}' with namemapping = 'Logical' was not found in the MetadataCache."
        )
        raise ServiceError(400, "0x80041102", text)
    tables = [call.schema.tables[name] for name in names]
    with call.reading() as connection:
        values = [
            int(connection.execute(f'SELECT count(*) FROM "r_{table.name}"').fetchone()[0])  # noqa: S608 - own names
            for table in tables
        ]
    collection = {"Count": len(names), "Keys": names, "Values": values}
    return call.json(200, _context(call, "RetrieveTotalRecordCount") | {"EntityRecordCountCollection": collection})


def _available_languages(call: Call, _parameters: Mapping[str, str]) -> Response:
    return call.json(200, _context(call, "RetrieveAvailableLanguages") | {"LocaleIds": [BASE_LANGUAGE]})


def _provisioned_languages(call: Call, _parameters: Mapping[str, str]) -> Response:
    languages = {"RetrieveProvisionedLanguages": [BASE_LANGUAGE]}
    return call.json(200, _context(call, "RetrieveProvisionedLanguages") | languages)


_ACCESS_TYPES = frozenset({"Default", "Internet", "Intranet"})
_FUNCTIONS: Mapping[str, tuple[Callable[[Call, Mapping[str, str]], Response], frozenset[str]]] = {
    "WhoAmI": (_who_am_i, frozenset()),
    "RetrieveVersion": (_version, frozenset()),
    "RetrieveAvailableLanguages": (_available_languages, frozenset()),
    "RetrieveProvisionedLanguages": (_provisioned_languages, frozenset()),
    "RetrieveCurrentOrganization": (_current_organization, frozenset({"AccessType"})),
    "RetrieveTotalRecordCount": (_record_count, frozenset({"EntityNames"})),
    "RetrieveDuplicates": (retrieve_duplicates, frozenset({"BusinessEntity", "MatchingEntityName", "PagingInfo"})),
}
FUNCTIONS = frozenset(_FUNCTIONS)


def call_function(call: Call, name: str, text: str | None) -> Response:
    """Answer one of `FUNCTIONS`; `text` is what stands between its parentheses.

    Raises 404 for other parameters than its own: with those there is no such function.
    """
    function, wanted = _FUNCTIONS[name]
    parameters = parameters_of(call, text)
    if parameters.keys() != wanted:
        raise unknown_segment(name)
    return function(call, parameters)


def parameters_of(call: Call, text: str | None) -> dict[str, str]:
    """Inline parameters, aliases replaced by their values."""
    aliases = call.aliases()
    found: dict[str, str] = {}
    for part in split(text or "", ","):
        name, _, value = part.strip().partition("=")
        found[name] = aliases.get(value, value)
    return found
