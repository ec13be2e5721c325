"""Who we are to both systems, and what we may do with each table and column (R17, R21, R23; dataverse-api V5)."""

from __future__ import annotations

from collections.abc import Iterator

from include.leadsync.context import Engine
from include.leadsync.errors import LeadSyncError
from include.leadsync.model import Entity, FieldMap, Flow, SyncField
from include.leadsync.schema import Schema
from include.leadsync.validate.outbound import server_fills

_ORGANISATION = "Global"
_OWN = ("Read", "Create", "Write", "Append", "AppendTo", "Assign")
_POINTED_TO = ("Read", "AppendTo")
_REQUIRED = {"ApplicationRequired", "SystemRequired"}
_USER_COLUMNS = {"fullname": "text", "isdisabled": "boolean", "applicationid": "text", "accessmode": "integer"}


def in_marketo(engine: Engine) -> str:
    """Permissions of the API user's role. Raises `LeadSyncError` with those that lack."""
    lacking = engine.marketo.lacking_permissions()
    if lacking:
        raise LeadSyncError(
            f"the API user lacks {', '.join(lacking)}; add it to its role (docs/operations.md, step 1: Admin →"
            " Users & Roles)"
        )
    return "persons and activities may be read and written"


def user(engine: Engine) -> str:
    """The application user. Raises `LeadSyncError` when it is disabled."""
    me = engine.dynamics.who_am_i()
    pages = engine.dynamics.rows_where("systemuser", f"systemuserid eq {me.user_id}", _USER_COLUMNS)  # type: ignore[arg-type]
    found = [row for page in pages for row in page.to_pylist()]
    if not found:
        return f"user {me.user_id}; its row cannot be read, give the role Read on User"
    row = found[0]
    if row["isdisabled"]:
        raise LeadSyncError(f"the user {row['fullname']} is disabled; enable it in the Power Platform admin centre")
    if not row["applicationid"]:
        return f"{row['fullname']}: look at this, it is a person's account; use an application user of its own (R17)"
    return f"{row['fullname']}, an application user"


def table(engine: Engine, entity: Entity) -> str:
    """Rights on a synced table: all at organisation level. Raises `LeadSyncError` with those that lack."""
    held = engine.dynamics.privileges(engine.dynamics.who_am_i().user_id)
    if held is None:
        if not engine.dynamics.may_read(entity.value):
            raise LeadSyncError(f"no right to read {entity.value}; {_remedy(entity.value)}")
        return "may be read; this service does not tell the rest, the first writes will"
    lacking = [name for name in _OWN if held.get(f"prv{name}{entity.value}".lower()) is None]
    shallow = [name for name in _OWN if held.get(f"prv{name}{entity.value}".lower()) not in {None, _ORGANISATION}]
    if lacking or shallow:
        parts = [f"no right to {', '.join(lacking)}"] if lacking else []
        parts += [f"not at organisation level: {', '.join(shallow)}"] if shallow else []
        raise LeadSyncError(f"{'; '.join(parts)} on {entity.value}; {_remedy(entity.value)}")
    return f"{', '.join(_OWN)} at organisation level"


def pointed_to(engine: Engine, schema: Schema) -> str:
    """Tables that mapped look-ups and owners point to. Raises `LeadSyncError`."""
    tables = sorted({"account", "systemuser", *(t for field in _fields(schema) for t in field.dynamics.targets)})
    held = engine.dynamics.privileges(engine.dynamics.who_am_i().user_id)
    wrong = []
    for name in tables:
        if held is None:
            wrong += [] if engine.dynamics.may_read(name) else [f"Read on {name}"]
        else:
            known = "user" if name == "systemuser" else name
            wrong += [f"{right} on {name}" for right in _POINTED_TO if f"prv{right}{known}".lower() not in held]
    if wrong:
        raise LeadSyncError(f"no right to {', '.join(wrong)}; {_remedy('them')}")
    return ", ".join(tables)


def columns(schema: Schema, entity: Entity) -> str:
    """Mapped columns that cannot be read or written as the map wants. Raises `LeadSyncError`."""
    field_map: FieldMap = schema.map(entity)
    wrong = list(_unfit(field_map))
    remedies = ["give the right, or set `direction` in leadsync.yaml"] if wrong else []
    hidden = [column.name for column in schema.dynamics[entity] if column.hidden]
    if hidden:
        wrong.append(f"column security is on for {', '.join(hidden)}, and our user sees no value there")
        remedies.append("give it a column security profile with Read, or fill one record")
    if wrong:
        raise LeadSyncError(f"{'; '.join(wrong)}: {'; '.join(remedies)}")
    secured = [field.dynamics.name for field in field_map.fields if field.dynamics.secured]
    if secured:
        return f"look at this: column security is on for {', '.join(secured)}; our user sees values there"
    return f"{len(field_map.fields)} can be read and written as mapped"


def required_columns(schema: Schema, entity: Entity) -> str:
    """Required columns that new records need from Marketo (D31): mapped outbound, or else named."""
    field_map = schema.map(entity)
    outbound = {field.dynamics.name for field in field_map.fields if field.rule.flow is not Flow.INBOUND}
    given = {field.dynamics.name for field in field_map.fields if field.rule.default_on_create is not None}
    required = [c for c in schema.dynamics[entity] if c.required in _REQUIRED and not server_fills(c)]
    if left := [f"{column.name} ({column.required})" for column in required if column.name not in outbound | given]:
        return (
            f"look at this: required, and nothing of ours fills {', '.join(left)} when a request creates a"
            f" {entity.value}; map it outbound, set default_on_create, or make sure that Dynamics has a default"
        )
    return f"{', '.join(sorted(column.name for column in required)) or 'none'}: filled from Marketo"


def _unfit(field_map: FieldMap) -> Iterator[str]:
    for field in field_map.fields:
        column = field.dynamics
        if not column.readable:
            yield f"{column.name} cannot be read"
        if field.rule.flow is Flow.INBOUND:
            continue
        on_create_only = field.rule.outbound_on_create_only
        if not column.creatable and (on_create_only or not column.updatable):
            yield f"{column.name} can never be written"


def filter_column(schema: Schema, entity: Entity) -> str:
    """The filter as it will be applied. Raises `LeadSyncError` when it fails closed (D68)."""
    one = schema.filters[entity]
    if one.blocked:
        raise LeadSyncError(one.blocked)
    parts = [f"column {one.column}"] if one.column else ["no filter column, everything is synced"]
    parts += [f"{len(one.records)} conditions on records"] if one.records else []
    parts += [f"{len(one.persons)} conditions on persons"] if one.persons else []
    return ", ".join(parts)


def _fields(schema: Schema) -> Iterator[SyncField]:
    for field_map in schema.maps.values():
        yield from field_map.fields


def _remedy(what: str) -> str:
    return f"give the application user a security role with them on {what} (docs/operations.md, step 2)"
