"""Commands for tests and operators: what an administrator or a colleague would do in a real org."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Protocol

from include.sandbox.dynamics.call import World
from include.sandbox.dynamics.colleagues import create_row, delete_row, edit_row, merge_rows, qualify_lead
from include.sandbox.dynamics.column_security import set_permissions
from include.sandbox.dynamics.desk import DESK
from include.sandbox.dynamics.documents import fetch, update
from include.sandbox.dynamics.limits import ServiceProtection
from include.sandbox.dynamics.live_schema import LiveSchema, expire_delta_tokens
from include.sandbox.dynamics.users import find_user, set_rights
from include.sandbox.dynamics.values import parse_guid
from include.sandbox.service import Json

Arguments = Mapping[str, Json]


class Administered(World, Protocol):
    """The emulator as the commands see it."""

    live_schema: LiveSchema
    protection: ServiceProtection

    def change_options(self, changes: Mapping[str, Json]) -> dict[str, Json]:
        """Replace settings; returns all."""
        ...


def set_metadata(world: Administered, arguments: Arguments) -> Json:
    """`{entity, attribute, changes}`: change length, options, required level, ... of a column.

    `changes` uses the names of `schema.Column` (`max_length`, `minimum`, `maximum`, `precision`,
    `required`, `options`, `labels`, `read`, ...); another `type` makes the column anew, without
    values. Without `attribute` it changes the table: `tracking`, `concurrency`.
    Delta tokens of the table expire (V29, V61).
    """
    world.live_schema.change("set_metadata", arguments)
    return {"entity": arguments["entity"]}


def add_attribute(world: Administered, arguments: Arguments) -> Json:
    """`{entity, attribute, type, ...}`: a custom column; further members as in `schema.Column` (V61)."""
    world.live_schema.change("add_attribute", arguments)
    return {"entity": arguments["entity"], "attribute": arguments["attribute"]}


def add_key(world: Administered, arguments: Arguments) -> Json:
    """`{entity, name, columns}`: an alternate key, active at once (V45)."""
    world.live_schema.change("add_key", arguments)
    return {"entity": arguments["entity"], "name": arguments["name"]}


def remove_attribute(world: Administered, arguments: Arguments) -> Json:
    """`{entity, attribute}`: delete a column with its values and its keys (V61)."""
    world.live_schema.change("remove_attribute", arguments)
    return {"entity": arguments["entity"], "attribute": arguments["attribute"]}


def add_option(world: Administered, arguments: Arguments) -> Json:
    """`{entity, attribute, value, label, labels?, state?}`: one more choice (V61)."""
    world.live_schema.change("add_option", arguments)
    return {"entity": arguments["entity"], "attribute": arguments["attribute"], "value": arguments["value"]}


def remove_key(world: Administered, arguments: Arguments) -> Json:
    """`{entity, name}`: delete an alternate key."""
    world.live_schema.change("remove_key", arguments)
    return {"entity": arguments["entity"], "name": arguments["name"]}


def add_table(world: Administered, arguments: Arguments) -> Json:
    """`{entity, set?, schema_name?}`: a custom table with key, name, owner and state; columns by `add_attribute`."""
    world.live_schema.change("add_table", arguments)
    return {"entity": arguments["entity"], "set": world.schema.tables[arguments["entity"]].set}


def remove_table(world: Administered, arguments: Arguments) -> Json:
    """`{entity}`: delete a custom table with its rows; refused while lookups of other tables point to it."""
    world.live_schema.change("remove_table", arguments)
    return {"entity": arguments["entity"]}


def set_options(world: Administered, arguments: Arguments) -> Json:
    """`{name: value, ...}`: settings of `options.Options`; the counters of the limits start anew."""
    options = world.change_options(arguments)
    world.protection.clear()
    return options


def set_privileges(world: Administered, arguments: Arguments) -> Json:
    """`{user, table, privileges}`: what a user may do with a table (`*`: with all) (V5).

    `privileges`: list of create, read, write, delete, or a mapping of these to `organization` or `user`;
    null gives everything back; an empty list for `*` takes the last role away (V4).
    """
    with world.storage.write() as transaction:
        user = find_user(transaction.connection, world.schema, arguments["user"])
        table = arguments.get("table", "*")
        if table != "*":
            world.schema.table(table)
        rights = set_rights(transaction, user.id, table, arguments.get("privileges"))
    return {"user": user.id, "rights": rights}


def set_column_permissions(world: Administered, arguments: Arguments) -> Json:
    """`{user, entity, attribute, permissions}`: what a user may do with a secured column: read, create, update.

    An empty list refuses everything, null leaves the decision to the role: administrators may do everything, others
    nothing. A column is secured by `set_metadata` with `{"secured": true}`.
    """
    table, name = world.schema.table(arguments["entity"]), arguments["attribute"]
    if name not in table.columns:
        message = f"unknown attribute {name!r} of {table.name}"
        raise ValueError(message)
    with world.storage.write() as transaction:
        user = find_user(transaction.connection, world.schema, arguments["user"])
        given = set_permissions(transaction, user.id, table.name, name, arguments["permissions"])
    return {"user": user.id, "permissions": given}


def disable_user(world: Administered, arguments: Arguments) -> Json:
    """`{user, disabled?}`: switch a user off, or on again with `disabled: false` (V4, V64)."""
    with world.storage.write() as transaction:
        user = find_user(transaction.connection, world.schema, arguments["user"])
        user.values["isdisabled"] = bool(arguments.get("disabled", True))
        update(transaction, user)
    return {"user": user.id, "disabled": user.values["isdisabled"]}


def expire_tokens(world: Administered, _arguments: Arguments) -> Json:
    """`{}`: every access token given out so far is refused with 401 from now on (V3)."""
    with world.storage.write() as transaction:
        epoch = int(transaction.setting("token_epoch", 0)) + 1
        transaction.set("token_epoch", epoch)
    return {"epoch": epoch}


def age_delta_tokens(world: Administered, arguments: Arguments) -> Json:
    """`{entity}`: every delta token of the table given out so far is too old from now on (V29)."""
    table = world.schema.table(arguments["entity"])
    with world.storage.write() as transaction:
        expire_delta_tokens(transaction, table.name)
    return {"entity": table.name}


def fail_writes(world: Administered, arguments: Arguments) -> Json:
    """`{entity, when, message, bypassable?}`: a plug-in that refuses rows with these column values (V49).

    A null `message` removes the plug-ins of the table. Lookups are named by column, values as stored.
    """
    table = world.schema.table(arguments["entity"])
    when = dict(arguments.get("when") or {})
    unknown = when.keys() - table.columns.keys()
    if unknown:
        message = f"unknown columns of {table.name}: {sorted(unknown)}"
        raise ValueError(message)
    with world.storage.write() as transaction:
        plugins = transaction.setting("plugins", [])
        if arguments.get("message") is None:
            plugins = [plugin for plugin in plugins if plugin["entity"] != table.name]
        else:
            entry = {"entity": table.name, "when": when, "message": str(arguments["message"])}
            plugins.append({**entry, "bypassable": bool(arguments.get("bypassable", False))})
        transaction.set("plugins", plugins)
    return {"plugins": plugins}


def read_row(world: Administered, arguments: Arguments) -> Json:
    """`{entity, id}`: a row's stored values without nulls, or null; no right is checked."""
    table = world.schema.table(arguments["entity"])
    with world.storage.read() as connection:
        row = fetch(connection, table, parse_guid(str(arguments["id"])) or "")
    if row is None:
        return None
    values = {name: float(v) if isinstance(v, Decimal) else v for name, v in row.values.items()}
    return {table.key: row.id, "versionnumber": row.version, **values}


def row_count(world: Administered, arguments: Arguments) -> Json:
    """`{entity?}`: rows of a table, or of each table."""
    names = [world.schema.table(arguments["entity"]).name] if "entity" in arguments else list(world.schema.tables)
    with world.storage.read() as connection:
        counts = {
            name: int(connection.execute(f'SELECT count(*) FROM "r_{name}"').fetchone()[0])  # noqa: S608 - own names
            for name in names
        }
    return counts[names[0]] if "entity" in arguments else counts


COMMANDS: Mapping[str, Callable[[Administered, Arguments], Json]] = {
    command.__name__: command
    for command in (
        set_metadata,
        add_attribute,
        remove_attribute,
        add_option,
        add_key,
        remove_key,
        add_table,
        remove_table,
        set_options,
        set_privileges,
        set_column_permissions,
        disable_user,
        expire_tokens,
        age_delta_tokens,
        fail_writes,
        edit_row,
        delete_row,
        create_row,
        qualify_lead,
        merge_rows,
        read_row,
        row_count,
        *DESK,
    )
}
