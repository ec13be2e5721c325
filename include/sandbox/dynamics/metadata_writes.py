"""POST, PUT and DELETE on metadata: tables, columns, keys, relationships (section 13, V61).

A change is in force at once and published: PublishXml has nothing left to do. Assumption: who has the system
administrator role may customize, nobody else; what the vendor ships can be changed but not deleted; metadata is not
changed inside of change sets.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from include.sandbox.dynamics.addresses import Segment
from include.sandbox.dynamics.call import Call, not_implemented
from include.sandbox.dynamics.errors import ServiceError, method_not_allowed, missing_privilege
from include.sandbox.dynamics.metadata_answers import Shape, one
from include.sandbox.dynamics.metadata_bodies import (
    column_changes,
    label_of,
    new_column,
    new_lookup,
    new_table,
    type_of,
    wrong,
)
from include.sandbox.dynamics.metadata_relationships import all_relationships
from include.sandbox.dynamics.metadata_shapes import attribute_base, key_shapes, table_shape
from include.sandbox.dynamics.payload import parse_body
from include.sandbox.dynamics.privilege_names import privilege_id
from include.sandbox.dynamics.schema import Table, stable_id
from include.sandbox.service import Json, Response

Changes = Sequence[tuple[str, Mapping[str, Json]]]


def write_metadata(call: Call, segments: Sequence[Segment]) -> Response:
    """Answer a write on the metadata collections; raises 405 for one that they do not take."""
    call.check_options()
    root, rest = segments[0], segments[1:]
    if root.name == "RelationshipDefinitions" and not rest:
        return _one_of(call, root.key, (_create_relationship, _update_relationship, _delete_relationship))
    if root.name != "EntityDefinitions" or len(rest) > 1:
        raise method_not_allowed(call.method)
    if not rest:
        return _one_of(call, root.key, (_create_table, _update_table, _delete_table))
    table = _table(call, root.key)
    handlers = {
        "Attributes": (_create_column, _update_column, _delete_column),
        "Keys": (_create_key, None, _delete_key),
    }
    if rest[0].name not in handlers:
        raise method_not_allowed(call.method)
    create, update, delete = handlers[rest[0].name]
    bound = (_on(create, table), _on(update, table), _on(delete, table))
    return _one_of(call, rest[0].key, bound)


Handler = Callable[[Call, str], Response]


def _on(handler: Callable[[Call, Table, str], Response] | None, table: Table) -> Handler | None:
    return None if handler is None else lambda call, key: handler(call, table, key)


def _one_of(call: Call, key: str | None, handlers: tuple[Handler | None, Handler | None, Handler | None]) -> Response:
    """POST without a key, PUT and DELETE with one."""
    known = {"POST": handlers[0]} if key is None else {"PUT": handlers[1], "DELETE": handlers[2]}
    handler = known.get(call.method)
    if handler is None:
        raise method_not_allowed(call.method, "GET", *(name for name, found in known.items() if found is not None))
    return handler(call, key or "")


def change(call: Call, needed: str, changes: Changes) -> None:
    """Change the schema in one transaction; raises 403 without the right, 400 for what makes no sense."""
    if call.caller.rights is not None:
        name = f"prv{needed}"
        raise missing_privilege(call.caller.user, (name, privilege_id(name)), "entity", 0)
    if call.transaction is not None:
        raise wrong("Definitions are not changed inside of a change set.")
    try:
        call.world.change_schema(changes)
    except (ValueError, KeyError, TypeError) as error:
        code = "0x80047013" if "exists" in str(error) else "0x80040203"
        raise ServiceError(400, code, str(error)) from error


def _created(call: Call, *parts: str) -> Response:
    """204 with the address of what was made: that of its collection as the request spelled it, and its id."""
    return Response(204, b"", [("OData-EntityId", f"{call.root}{call.path}({stable_id(*parts)})")])


def _table(call: Call, key: str | None) -> Table:
    shapes = [table_shape(table) for table in call.schema.tables.values()]
    return call.schema.tables[one(shapes, key or "")["LogicalName"]]


def _custom(shape: Shape, what: str, *, custom: bool) -> None:
    if not custom:
        raise wrong(f"The {what} '{shape.get('SchemaName')}' is not deletable.")


def _create_table(call: Call, _key: str) -> Response:
    body = parse_body(call, "EntityDefinitions")
    changes = new_table(call.schema, body)
    change(call, "CreateEntity", changes)
    return _created(call, "entity", changes[0][1]["entity"])


def create_tables(call: Call) -> Response:
    """`POST CreateEntities` with `Entities`: several tables at once, all or none."""
    entities = parse_body(call, "CreateEntities").get("Entities")
    if not isinstance(entities, list) or not all(isinstance(entity, dict) for entity in entities):
        raise wrong("Required field 'Entities' is missing")
    change(call, "CreateEntity", [step for entity in entities for step in new_table(call.schema, entity)])
    return Response(204)


def _update_table(call: Call, key: str) -> Response:
    table, body = _table(call, key), parse_body(call, "EntityDefinitions")
    changes: dict[str, Json] = {}
    if isinstance(body.get("ChangeTrackingEnabled"), bool):
        changes["tracking"] = body["ChangeTrackingEnabled"]
    for member, name in (("DisplayName", "label"), ("DisplayCollectionName", "collection_label")):
        text, _ = label_of(body.get(member))
        if text is not None:
            changes[name] = text
    change(call, "WriteEntity", [("set_metadata", {"entity": table.name, "changes": changes})])
    return Response(204)


def _delete_table(call: Call, key: str) -> Response:
    table = _table(call, key)
    _custom(table_shape(table), "table", custom=table.custom)
    change(call, "DeleteEntity", [("remove_table", {"entity": table.name})])
    return Response(204)


def _create_column(call: Call, table: Table, _key: str) -> Response:
    arguments = new_column(call.schema, table.name, parse_body(call, "EntityDefinitions"))
    change(call, "CreateAttribute", [("add_attribute", arguments)])
    return _created(call, "attribute", table.name, arguments["attribute"])


def _column(table: Table, key: str) -> str:
    return str(one([attribute_base(table, column) for column in table.columns.values()], key)["LogicalName"])


def _update_column(call: Call, table: Table, key: str) -> Response:
    name, body = _column(table, key), parse_body(call, "EntityDefinitions")
    column, kind = table.columns[name], type_of(body, "AttributeMetadata")
    shown = {"Customer": "Lookup", "Owner": "Lookup"}.get(column.type, column.type)
    if kind != shown:
        raise wrong(f"The type of '{name}' cannot be changed from {shown} to {kind}.")
    changes = column_changes(call.schema, kind, body)
    change(call, "WriteAttribute", [("set_metadata", {"entity": table.name, "attribute": name, "changes": changes})])
    return Response(204)


def _delete_column(call: Call, table: Table, key: str) -> Response:
    name = _column(table, key)
    column = table.columns[name]
    _custom(attribute_base(table, column), "column", custom=column.custom)
    change(call, "DeleteAttribute", [("remove_attribute", {"entity": table.name, "attribute": name})])
    return Response(204)


def _create_key(call: Call, table: Table, _key: str) -> Response:
    body = parse_body(call, "EntityDefinitions")
    name, columns = body.get("SchemaName"), body.get("KeyAttributes")
    if not isinstance(name, str) or not name.isidentifier() or not isinstance(columns, list):
        raise wrong("A key needs a 'SchemaName' and 'KeyAttributes'.")
    if any(known.name.lower() == name.lower() for known in table.keys):
        raise wrong(f"The key '{name}' exists already.")
    change(call, "CreateAttribute", [("add_key", {"entity": table.name, "name": name, "columns": columns})])
    return _created(call, "key", table.name, name)


def _delete_key(call: Call, table: Table, key: str) -> Response:
    shape = one(key_shapes(table), key)
    change(call, "DeleteAttribute", [("remove_key", {"entity": table.name, "name": shape["SchemaName"]})])
    return Response(204)


def _create_relationship(call: Call, _key: str) -> Response:
    body = parse_body(call, "RelationshipDefinitions")
    if type_of(body, "RelationshipMetadata") != "OneToMany":
        raise not_implemented("a many-to-many relationship")
    arguments = new_lookup(call.schema, body)
    if any(known.name.lower() == arguments["relationship"].lower() for known in call.schema.relationships):
        raise wrong(f"The relationship '{arguments['relationship']}' exists already.")
    change(call, "CreateAttribute", [("add_attribute", arguments)])
    return _created(call, "relationship", arguments["relationship"])


def _update_relationship(call: Call, key: str) -> Response:
    """What a deletion of the parent does to the rows of a custom lookup; the rest of a definition stays as it is."""
    shape, body = one(list(all_relationships(call.schema)), key), parse_body(call, "RelationshipDefinitions")
    cascade = body.get("CascadeConfiguration")
    delete = cascade.get("Delete") if isinstance(cascade, dict) else None
    if delete is not None and shape["IsCustomRelationship"]:
        where = {"entity": shape["ReferencingEntity"], "attribute": shape["ReferencingAttribute"]}
        change(call, "WriteAttribute", [("set_metadata", {**where, "changes": {"on_delete": str(delete)}})])
    elif delete is not None and delete != shape["CascadeConfiguration"]["Delete"]:
        raise wrong(f"The relationship '{shape['SchemaName']}' cannot be changed.")
    return Response(204)


def _delete_relationship(call: Call, key: str) -> Response:
    shape = one(list(all_relationships(call.schema)), key)
    _custom(shape, "relationship", custom=bool(shape["IsCustomRelationship"]))
    arguments = {"entity": shape["ReferencingEntity"], "attribute": shape["ReferencingAttribute"]}
    change(call, "DeleteAttribute", [("remove_attribute", arguments)])
    return Response(204)
