"""RetrieveDuplicates: rows that a duplicate rule takes for the same, without writing (section 10)."""

from __future__ import annotations

import json
from collections.abc import Mapping

from include.sandbox.dynamics.call import Call
from include.sandbox.dynamics.errors import ServiceError
from include.sandbox.dynamics.inner_reads import literal, rows_where
from include.sandbox.dynamics.parameters import row_type
from include.sandbox.dynamics.schema import Table
from include.sandbox.service import Json, Response

_MOST = 5000


def retrieve_duplicates(call: Call, parameters: Mapping[str, str]) -> Response:
    """`RetrieveDuplicates(BusinessEntity=@p1,MatchingEntityName=@p2,PagingInfo=@p3)`: a collection of rows."""
    entity, name, paging = (_json(parameters, key) for key in ("BusinessEntity", "MatchingEntityName", "PagingInfo"))
    table = call.schema.tables.get(str(name))
    if table is None or row_type(entity) not in call.schema.tables or not isinstance(paging, dict):
        raise ServiceError(400, "0x80040203", "BusinessEntity, MatchingEntityName and PagingInfo must be given.")
    count, page = _number(paging, "Count", _MOST), _number(paging, "PageNumber", 1)
    condition = _condition(call, table, entity)
    found = [] if condition is None else rows_where(call, table, condition, top=count * page)
    content = {"@odata.context": f"{call.root}$metadata#{table.set}", "value": found[count * (page - 1) :]}
    return call.json(200, content)


def _json(parameters: Mapping[str, str], name: str) -> Json:
    """A parameter; the vendor's samples write objects and texts with single quotes."""
    text = parameters.get(name, "")
    try:
        return json.loads(text)
    except ValueError:
        try:
            return json.loads(text.replace("'", '"'))
        except ValueError as error:
            raise ServiceError(400, "0x80060888", f"The parameter {name} is no JSON: {error}") from error


def _number(paging: Mapping[str, Json], name: str, default: int) -> int:
    value = paging.get(name) or default
    if isinstance(value, bool) or not isinstance(value, int) or not 0 < value <= _MOST:
        raise ServiceError(400, "0x80040203", f"PagingInfo: {name} is out of range.")
    return value


def _condition(call: Call, table: Table, entity: Mapping[str, Json]) -> str | None:
    """The published rules look at the e-mail address of active rows; None when it is blank (V48)."""
    column, email = table.columns.get("emailaddress1"), entity.get("emailaddress1")
    if column is None or not isinstance(email, str) or not email.strip():
        return None
    condition = f"emailaddress1 eq {literal(column, email)} and statecode eq 0"
    own = call.schema.tables[row_type(entity) or ""]
    if own.name == table.name and entity.get(own.key):
        condition += f" and {table.key} ne {entity[own.key]}"
    return condition
