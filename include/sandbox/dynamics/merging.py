"""Merge: two rows of one table become one (section 15.2, V63)."""

from __future__ import annotations

from collections.abc import Mapping

from include.sandbox.dynamics.call import Call
from include.sandbox.dynamics.derived import default_status
from include.sandbox.dynamics.documents import Row, fetch
from include.sandbox.dynamics.errors import ServiceError, bad_payload, missing_row
from include.sandbox.dynamics.guards import HIERARCHIES, ancestors
from include.sandbox.dynamics.parameters import flag, row_reference, row_type
from include.sandbox.dynamics.payload import parse_parameters
from include.sandbox.dynamics.schema import Table
from include.sandbox.dynamics.writing import RowWriter
from include.sandbox.service import Json, Response

# The state that says inactive; a lead that was merged away counts as disqualified (O7).
_INACTIVE = {"account": 1, "contact": 1, "lead": 2}

_PARAMETERS = ("Target", "Subordinate", "UpdateContent", "PerformParentingChecks")


def merge(call: Call) -> Response:
    """`POST Merge` with `Target`, `Subordinate`, `UpdateContent`, `PerformParentingChecks`: 204."""
    body = parse_parameters(call, "Merge", _PARAMETERS)
    with call.writing() as transaction:
        writer = RowWriter(call, transaction)
        target = row_reference(call, transaction.connection, "Merge", body, "Target")
        subordinate = row_reference(call, transaction.connection, "Merge", body, "Subordinate")
        checks = flag("Merge", body, "PerformParentingChecks") if "PerformParentingChecks" in body else False
        merge_rows(call, writer, target, subordinate, _content(body, target[0]), parenting_checks=checks)
    return Response(204)


def _content(body: Mapping[str, Json], table: Table) -> Mapping[str, Json]:
    content = body.get("UpdateContent")
    if content is None:
        return {}
    if not isinstance(content, dict) or row_type(content) not in {None, table.name}:
        detail = f"Microsoft.OData.ODataException: 'UpdateContent' is not of type Microsoft.Dynamics.CRM.{table.name}."
        raise bad_payload("Merge", detail)
    return content


def merge_rows(
    call: Call,
    writer: RowWriter,
    target: tuple[Table, str],
    subordinate: tuple[Table, str],
    content: Mapping[str, Json],
    *,
    parenting_checks: bool,
) -> tuple[Row, Row]:
    """Move what belongs to the loser to the target and deactivate the loser; returns both.

    Raises 400 with one of the codes `0x80045300`-`0x80045307`, 404 for a row that is not there.
    """
    keep, lose = _pair(call, writer, target, subordinate)
    _check_parents(writer, keep, lose, parenting_checks=parenting_checks)
    writer.update(keep, content)
    table = keep.table
    for relationship in call.schema.collections(table.name).values():
        if relationship.merge == "Cascade":
            for child in writer.children_of(relationship, lose):
                writer.point(child, relationship.column, keep.id, table.name)
    state = _INACTIVE[table.name]
    closed = {"statecode": state, "statuscode": default_status(table, state)}
    moved = fetch(writer.connection, table, lose.id) or lose  # it may have been one of the children itself
    writer.change(moved, {**closed, "merged": True, "masterid": keep.id})
    return keep, moved


def _pair(call: Call, writer: RowWriter, target: tuple[Table, str], subordinate: tuple[Table, str]) -> tuple[Row, Row]:
    table = target[0]
    # Assumption: rows of two tables, or of a table that cannot be merged, get the code for "different business entity".
    if table.name != subordinate[0].name:
        raise _refused("0x80045303", "Merge cannot be performed on entities from different business entity.")
    if table.name not in _INACTIVE:
        raise _refused("0x80045303", f"This type: {table.name} is not supported with merge operation")
    if target[1] == subordinate[1]:
        raise _refused("0x80045305", "Merge cannot be performed on master and sub-entities that are identical.")
    rows = []
    for role, row_id in (("master entity", target[1]), ("sub-entity", subordinate[1])):
        row = fetch(writer.connection, table, row_id)
        if row is None:
            raise missing_row(table.name, row_id)
        if row.values.get("statecode") != 0:
            raise _refused("0x80045304", f"{role}:{table.name}-{row_id} is deactive")
        rows.append(row)
    if any(not _may_write(call, row) for row in rows):
        raise _refused("0x80045301", "Merge is not allowed: caller does not have the privilege or access.")
    return rows[0], rows[1]


def _may_write(call: Call, row: Row) -> bool:
    depths = [call.caller.depth(verb, row.table.name) for verb in ("read", "write")]
    own = row.values.get("ownerid") == call.caller.user
    return all(depth == "organization" or (depth is not None and own) for depth in depths)


def _check_parents(writer: RowWriter, keep: Row, lose: Row, *, parenting_checks: bool) -> None:
    column = HIERARCHIES.get(keep.table.name)
    if column is None:
        return
    if lose.id in ancestors(writer.connection, keep, column):
        raise _refused("0x80045300", "Merge could create cyclical parenting.")
    parents = [row.values.get(column) for row in (keep, lose)]
    # Assumption: the two warnings follow the documented codes; they are given only when the caller asks for checks.
    if parenting_checks and parents[1] is not None and parents[0] != parents[1]:
        if parents[0] is None:
            raise _refused("0x80045307", "Merge warning: sub-entity might lose parenting")
        raise _refused("0x80045306", "Merge warning: sub-entity will be differently parented.")


def _refused(code: str, text: str) -> ServiceError:
    return ServiceError(400, code, text)
