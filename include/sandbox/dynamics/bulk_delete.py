"""BulkDelete: a job that deletes what queries find (section 15).

Assumption: the job has run when the action answers, as its caller, and skips rows that cannot be deleted.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping

from include.sandbox.dynamics.call import Call
from include.sandbox.dynamics.documents import fetch
from include.sandbox.dynamics.errors import ServiceError, bad_payload
from include.sandbox.dynamics.inner_reads import literal, rows_where
from include.sandbox.dynamics.payload import parse_parameters
from include.sandbox.dynamics.schema import Column, Table
from include.sandbox.dynamics.writing import RowWriter
from include.sandbox.service import Json, Response

_ACTION = "BulkDelete"
_PARAMETERS = frozenset(
    {"QuerySet", "JobName", "SendEmailNotification", "ToRecipients", "CCRecipients", "RecurrencePattern"}
    | {"StartDateTime", "SourceImportId", "RunNow"}
)
_COMPARED = {"Equal": "eq", "NotEqual": "ne", "GreaterThan": "gt", "GreaterEqual": "ge", "LessThan": "lt"}
_COMPARED |= {"LessEqual": "le"}
_TEXTS = {"BeginsWith": "startswith", "EndsWith": "endswith", "Contains": "contains"}


def bulk_delete(call: Call) -> Response:
    """`POST BulkDelete` with `QuerySet`, a list of query expressions: 200 with the id of the job."""
    queries = parse_parameters(call, _ACTION, _PARAMETERS).get("QuerySet")
    if not isinstance(queries, list) or not queries or not all(isinstance(query, dict) for query in queries):
        raise ServiceError(400, "0x80040203", "Required field 'QuerySet' is missing")
    with call.writing() as transaction:
        call.transaction = transaction
        writer = RowWriter(call, transaction)
        for table, condition in [_query(call, query) for query in queries]:
            _delete_all(call, writer, table, condition)
    context = f"{call.root}$metadata#Microsoft.Dynamics.CRM.BulkDeleteResponse"
    return call.json(200, {"@odata.context": context, "JobId": str(uuid.uuid4())})


def _query(call: Call, query: Mapping[str, Json]) -> tuple[Table, str]:
    table = call.schema.tables.get(str(query.get("EntityName")))
    if table is None:
        text = f"The entity with a name = '{query.get('EntityName')}' was not found in the MetadataCache."
        raise ServiceError(400, "0x80041102", text)
    return table, _filter(table, query.get("Criteria") or {})


def _delete_all(call: Call, writer: RowWriter, table: Table, condition: str) -> None:
    call.demand("delete", table)
    kept: set[str] = set()
    while True:
        found = [row[table.key] for row in rows_where(call, table, condition, select=table.key)]
        new = [row_id for row_id in found if row_id not in kept]
        for row_id in new:
            if not _deleted(writer, table, row_id):
                kept.add(row_id)
        if len(found) < call.world.options.page_size or not new:
            return


def _deleted(writer: RowWriter, table: Table, row_id: str) -> bool:
    row = fetch(writer.connection, table, row_id)
    if row is None:
        return True  # it went with another one
    writer.connection.execute("SAVEPOINT bulk_delete")
    try:
        writer.delete(row)
    except ServiceError:
        writer.connection.execute("ROLLBACK TO bulk_delete")
        return False
    finally:
        writer.connection.execute("RELEASE bulk_delete")
    return True


def _filter(table: Table, criteria: Mapping[str, Json]) -> str:
    """A filter expression as an OData condition; empty for all rows."""
    parts = [_condition(table, condition) for condition in criteria.get("Conditions") or []]
    parts += [f"({text})" for text in _nested(table, criteria) if text]
    joint = " or " if criteria.get("FilterOperator") == "Or" else " and "
    return joint.join(parts)


def _nested(table: Table, criteria: Mapping[str, Json]) -> Iterator[str]:
    for inner in criteria.get("Filters") or []:
        yield _filter(table, inner)


def _condition(table: Table, condition: Mapping[str, Json]) -> str:
    name, operator = str(condition.get("AttributeName")), str(condition.get("Operator"))
    column = table.reference(name)
    if column is None:
        raise ServiceError(400, "0x80041103", f"'{table.name}' entity doesn't contain attribute with Name = '{name}'.")
    values = [value.get("Value") if isinstance(value, dict) else value for value in condition.get("Values") or []]
    return _text(column, operator, values)


def _text(column: Column, operator: str, values: list[Json]) -> str:
    if operator in {"Null", "NotNull"}:
        return f"{column.wire} {'eq' if operator == 'Null' else 'ne'} null"
    if operator in {"In", "NotIn"}:
        joint, sign = (" or ", "eq") if operator == "In" else (" and ", "ne")
        return f"({joint.join(f'{column.wire} {sign} {literal(column, value)}' for value in values) or 'false'})"
    if values and operator in _COMPARED:
        return f"{column.wire} {_COMPARED[operator]} {literal(column, values[0])}"
    if values and operator in _TEXTS:
        return f"{_TEXTS[operator]}({column.wire},{literal(column, values[0])})"
    raise bad_payload(_ACTION, f"Microsoft.OData.ODataException: The condition operator '{operator}' is not supported.")
