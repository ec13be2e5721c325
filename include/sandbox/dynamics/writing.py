"""Rows created, changed and deleted, with everything that follows from it (sections 5, 14.7, 16)."""

from __future__ import annotations

import uuid
from collections.abc import Mapping

from include.sandbox.dynamics.addresses import children
from include.sandbox.dynamics.call import Call
from include.sandbox.dynamics.derived import (
    check_owner,
    compose_name,
    compute_money,
    default_values,
    exchange_rate,
    owner_values,
    settle_state,
    settle_state_on_create,
)
from include.sandbox.dynamics.documents import Row, delete, exists, extract, fetch, insert, update
from include.sandbox.dynamics.errors import ServiceError, bad_payload, duplicate_key, missing_row, secured_column
from include.sandbox.dynamics.formatting import target_of
from include.sandbox.dynamics.guards import check_alternate_keys, check_duplicates, check_hierarchy, run_plugins
from include.sandbox.dynamics.payload import Changes, PayloadReader, reference_values
from include.sandbox.dynamics.schema import Relationship, Table
from include.sandbox.dynamics.storage import Transaction
from include.sandbox.dynamics.values import format_moment
from include.sandbox.service import Json


class RowWriter:
    """Writes rows for one call inside one transaction."""

    def __init__(self, call: Call, transaction: Transaction) -> None:
        self.call = call
        self._transaction = transaction
        self.connection = transaction.connection
        self._schema = call.schema

    def create(self, table: Table, body: Mapping[str, Json], key_values: Mapping[str, Json] | None = None) -> Row:
        """A new row; `key_values` come from an alternate key in the address, the body wins (section 6)."""
        self.call.demand("create", table)
        changes = PayloadReader(self.call, self.connection, table, create=True).read(body)
        if self.call.method == "PATCH":
            _refuse_deep(changes, table)
        for name, value in (key_values or {}).items():
            changes.values.setdefault(name, value)
        self._create_parents(changes, table)
        row = self._insert(table, changes.values)
        self._create_children(changes, row)
        return row

    def create_stored(self, table: Table, values: Mapping[str, Json]) -> Row:
        """A new row of values in their stored form, as actions make them; raises as `create`."""
        self.call.demand("create", table)
        return self._insert(table, dict(values))

    def _insert(self, table: Table, given: dict[str, Json]) -> Row:
        row_id = given.pop(table.key, None) or self._new_id()
        if exists(self.connection, table, row_id):
            raise duplicate_key()
        settle_state_on_create(table, given, row_id)
        row = Row(table, row_id, 0, default_values(table) | given)
        self._stamp(row, created=True)
        self._own(row, given)
        self._finish(row, None)
        insert(self._transaction, row)
        return row

    def update(self, row: Row, body: Mapping[str, Json]) -> Row:
        """A changed row; the version moves even when every value is the same (V30)."""
        table = row.table
        self._demand_row("write", row)
        changes = PayloadReader(self.call, self.connection, table, create=False).read(body)
        _refuse_deep(changes, table)
        changes.values.pop(table.key, None)
        settle_state(table, row, changes.values)
        self._apply(row, changes.values)
        self._attach(changes, row)
        return row

    def change(self, row: Row, values: Mapping[str, Json]) -> None:
        """Change values in their stored form, read-only columns too, as actions do."""
        self._demand_row("write", row)
        self._apply(row, values)

    def _apply(self, row: Row, values: Mapping[str, Json]) -> None:
        before = dict(row.values)
        row.values |= values
        self._stamp(row, created=False)
        if "ownerid" in values:
            self._own(row, values)
        self._finish(row, before)
        update(self._transaction, row)
        if "ownerid" in values and values["ownerid"] != before.get("ownerid"):
            self._cascade_owner(row)

    def set_reference(self, row: Row, column: str, target: str | None, kind: str | None) -> None:
        """Point a lookup somewhere else, or nowhere (`$ref`); not valid for update: ignored as in a body (V34)."""
        if row.table.columns[column].update:
            if (column, "update") in row.table.denied:
                raise secured_column("update")
            if target is None and row.table.columns[column].required == "SystemRequired":
                raise ServiceError(400, "0x80040203", f"Attribute: {column} cannot be set to NULL")
            self.point(row, column, target, kind)

    def point(self, row: Row, column: str, target: str | None, kind: str | None) -> None:
        """Point any lookup somewhere else, or nowhere, as the server itself does."""
        table = row.table
        if target is None or kind is None:
            values: dict[str, Json] = {column: None}
            if f"{column}type" in table.columns:
                values[f"{column}type"] = None
        else:
            values = reference_values(table, table.columns[column], kind, target)
        self._apply(row, values)

    def delete(self, row: Row) -> None:
        """Delete a row and do to related rows what the relationships say (V42)."""
        self._demand_row("delete", row)
        self._delete(row)

    def _delete(self, row: Row) -> None:
        if row.table.name == "systemuser":
            raise ServiceError(400, "0x80040203", "Users cannot be deleted.")
        relationships = list(self._schema.collections(row.table.name).values())
        for relationship in relationships:
            if relationship.delete == "Restrict" and self._has_child(relationship, row.id):
                text = "The object you tried to delete is associated with another object and cannot be deleted."
                raise ServiceError(405, "0x80040227", text)
        delete(self._transaction, row.table, row.id)
        for relationship in relationships:
            if relationship.delete in {"Cascade", "RemoveLink"}:
                for child in self.children_of(relationship, row):
                    if relationship.delete == "Cascade":
                        self._delete(child)
                    else:
                        self._unlink(child, relationship.column)

    def _unlink(self, child: Row, column: str) -> None:
        child.values.pop(column, None)
        child.values.pop(f"{column}type", None)
        self._stamp(child, created=False)
        update(self._transaction, child)

    def children_of(self, relationship: Relationship, parent: Row) -> list[Row]:
        """Rows that point to `parent` by this relationship; the same column may point to other tables too."""
        table, column = self._child(relationship)
        found = children(self.connection, table, column, parent.id)
        return [child for child in found if target_of(child, table.columns[column]) == relationship.parent]

    def _child(self, relationship: Relationship) -> tuple[Table, str]:
        return self._schema.tables[relationship.child], relationship.column

    def _has_child(self, relationship: Relationship, parent: str) -> bool:
        table, column = self._child(relationship)
        query = f'SELECT 1 FROM "r_{table.name}" WHERE {extract(table, column)} = ? LIMIT 1'  # noqa: S608 - own names
        return self.connection.execute(query, (parent,)).fetchone() is not None

    def _cascade_owner(self, row: Row) -> None:
        for relationship in self._schema.collections(row.table.name).values():
            if relationship.assign != "Cascade":
                continue
            for child in self.children_of(relationship, row):
                child.values |= {
                    name: row.values.get(name)
                    for name in ("ownerid", "owneridtype", "owninguser", "owningteam", "owningbusinessunit")
                }
                self._stamp(child, created=False)
                update(self._transaction, child)

    def _finish(self, row: Row, before: Mapping[str, Json] | None) -> None:
        compose_name(row)
        compute_money(row, lambda currency: exchange_rate(self.connection, self._schema, currency))
        run_plugins(self.call, self.connection, row)
        check_hierarchy(self.connection, row, before)
        check_alternate_keys(self.connection, row, before)
        check_duplicates(self.call, self.connection, row)

    def _own(self, row: Row, given: Mapping[str, Json]) -> None:
        if "ownerid" not in row.table.columns:
            return
        owner = given.get("ownerid") or self.call.caller.user
        kind = str(given.get("owneridtype") or "systemuser")
        values = owner_values(self.connection, self._schema, owner, kind)
        if "ownerid" in given:
            rights = self.call.world.read_rights(self.connection, owner)
            check_owner(self.connection, self._schema, row.table, values, rights)
        row.values |= values

    def _stamp(self, row: Row, *, created: bool) -> None:
        now = format_moment(self.call.world.now())
        caller = self.call.caller
        for kind in ("created", "modified") if created else ("modified",):
            stamps = {f"{kind}on": now, f"{kind}by": caller.user, f"{kind}onbehalfby": caller.behind}
            row.values |= {name: value for name, value in stamps.items() if name in row.table.columns}
        if created and row.values.get("overriddencreatedon") is not None:
            # The two swap roles: createdon shows what was sent, overriddencreatedon the real time (V46).
            row.values["createdon"], row.values["overriddencreatedon"] = row.values["overriddencreatedon"], now

    def _demand_row(self, verb: str, row: Row) -> None:
        depth = self.call.demand(verb, row.table)
        if depth != "organization" and row.values.get("ownerid") not in {None, self.call.caller.user}:
            raise ServiceError(403, "0x80048306", f"The caller has no access to {row.table.name} With Id = {row.id}")

    def _new_id(self) -> str:
        # Server keys are sequential so that the key's index grows at its end (section 5.1).
        number = self._transaction.next_version()
        return str(uuid.UUID(f"f0000000-0000-4{number >> 48 & 0xFFF:03x}-8000-{number & 0xFFFFFFFFFFFF:012x}"))

    def _create_parents(self, changes: Changes, table: Table) -> None:
        for column, target, body in changes.parents:
            if target not in self._schema.tables:
                raise bad_payload(table.set, f"Microsoft.OData.ODataException: '{target}' cannot be created here.")
            parent = self.create(self._schema.tables[target], body)
            changes.values |= reference_values(table, column, target, parent.id)

    def _create_children(self, changes: Changes, row: Row) -> None:
        for relationship, body in changes.children:
            child = self.create(self._schema.tables[relationship.child], body)
            self.point(child, relationship.column, row.id, row.table.name)
        self._attach(changes, row)

    def _attach(self, changes: Changes, row: Row) -> None:
        for relationship, child_id in changes.attached:
            child = fetch(self.connection, self._schema.tables[relationship.child], child_id)
            if child is None:
                raise missing_row(relationship.child, child_id)
            self.point(child, relationship.column, row.id, row.table.name)


def _refuse_deep(changes: Changes, table: Table) -> None:
    """Related rows are created by POST only (section 5.1)."""
    if changes.parents or changes.children:
        detail = "Microsoft.OData.ODataException: Deep update of related entities is not supported."
        raise bad_payload(table.set, detail)
