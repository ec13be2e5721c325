"""`$metadata`: the model as CSDL XML (V8): types, navigation properties, sets, actions and functions.

`?annotations=true`, or all annotations preferred, adds those that say what a set can do.
"""

from __future__ import annotations

from collections.abc import Iterator
from xml.sax.saxutils import quoteattr

from include.sandbox.dynamics.call import Call
from include.sandbox.dynamics.csdl_operations import OPERATIONS, TYPES
from include.sandbox.dynamics.preferences import note_annotations
from include.sandbox.dynamics.schema import OWNER_ID, AlternateKey, Column, Schema, Table
from include.sandbox.service import Response

_HEAD = (
    '<?xml version="1.0" encoding="utf-8"?>'
    '<edmx:Edmx Version="4.0" xmlns:edmx="http://docs.oasis-open.org/odata/ns/edmx"><edmx:DataServices>'
    '<Schema Namespace="Microsoft.Dynamics.CRM" Alias="mscrm" xmlns="http://docs.oasis-open.org/odata/ns/edm">'
    '<EntityType Name="crmbaseentity" Abstract="true" OpenType="true" />'
    '<EntityType Name="expando" BaseType="mscrm.crmbaseentity" OpenType="true" />'
    '<EntityType Name="principal" BaseType="mscrm.crmbaseentity"><Key><PropertyRef Name="ownerid" /></Key>'
    '<Property Name="ownerid" Type="Edm.Guid" Nullable="false" /></EntityType>'
)
_TAIL = "</Schema></edmx:DataServices></edmx:Edmx>"
_TRACKED = (
    '<Annotation Term="Org.OData.Capabilities.V1.ChangeTracking"><Record>'
    '<PropertyValue Property="Supported" Bool="true" /></Record></Annotation>'
)


def metadata_document(call: Call) -> Response:
    """The document of the schema in force."""
    annotated = ("annotations", "true") in call.parameters or "*" in call.prefer.annotations
    note_annotations(call)
    text = "".join(_document(call.schema, annotated=annotated))
    return Response(200, text.encode(), [("Content-Type", "application/xml")])


def _document(schema: Schema, *, annotated: bool) -> Iterator[str]:
    yield _HEAD
    for table in schema.tables.values():
        yield from _entity_type(schema, table)
    yield TYPES
    for operation in OPERATIONS:
        yield operation.definition(schema)
    yield '<EntityContainer Name="System">'
    for table in sorted(schema.tables.values(), key=lambda table: table.set):
        yield from _entity_set(schema, table, annotated=annotated)
    for operation in OPERATIONS:
        yield operation.imported()
    yield f"</EntityContainer>{_TAIL}"


def _entity_set(schema: Schema, table: Table, *, annotated: bool) -> Iterator[str]:
    yield f'<EntitySet Name="{table.set}" EntityType="Microsoft.Dynamics.CRM.{table.name}">'
    for navigation, (_, target) in table.navigation.items():
        if target in schema.tables:
            yield _binding(navigation, schema.tables[target])
    for name, relationship in schema.collections(table.name).items():
        yield _binding(name, schema.tables[relationship.child])
    if annotated and table.tracking:
        yield _TRACKED
    yield "</EntitySet>"


def _binding(path: str, target: Table) -> str:
    return f"<NavigationPropertyBinding Path={quoteattr(path)} Target={quoteattr(target.set)} />"


def _entity_type(schema: Schema, table: Table) -> Iterator[str]:
    base = "principal" if table.principal else "crmbaseentity"
    yield f'<EntityType Name="{table.name}" BaseType="mscrm.{base}">'
    if not table.principal:  # users and teams inherit their key
        yield f'<Key><PropertyRef Name="{table.key}" /></Key>'
    yield from (_property(column, table) for column in table.exposed if not table.principal or column.name != OWNER_ID)
    for navigation, (column, target) in table.navigation.items():
        yield _lookup(schema, table, navigation, column, target)
    for name, relationship in schema.collections(table.name).items():
        partner = quoteattr(schema.navigation_of(relationship))
        kind = f"Collection(mscrm.{relationship.child})"
        yield f'<NavigationProperty Name={quoteattr(name)} Type="{kind}" Partner={partner} />'
    for key in table.keys:
        yield _alternate_key(table, key)
    yield "</EntityType>"


def _alternate_key(table: Table, key: AlternateKey) -> str:
    """As the vendor publishes alternate keys: OData.Community.Keys.V1."""
    parts = "".join(
        '<Record Type="OData.Community.Keys.V1.PropertyRef">'
        f'<PropertyValue Property="Name" PropertyPath="{table.columns[name].wire}" /></Record>'
        for name in key.columns
    )
    record = f'<Record><PropertyValue Property="Key"><Collection>{parts}</Collection></PropertyValue></Record>'
    return (
        f'<Annotation Term="OData.Community.Keys.V1.AlternateKeys" Qualifier={quoteattr(key.name)}>'
        f"<Collection>{record}</Collection></Annotation>"
    )


def _property(column: Column, table: Table) -> str:
    more = ' Nullable="false"' if table.is_key(column.name) else ""
    if column.edm == "Edm.Decimal":
        more += ' Scale="Variable"'
    if column.edm == "Edm.String":
        more += ' Unicode="false"'
    return f"<Property Name={quoteattr(column.wire)} Type={quoteattr(column.edm)}{more} />"


def _lookup(schema: Schema, table: Table, navigation: str, column: Column, target: str) -> str:
    parent = schema.tables.get(target)
    kind = "principal" if target == "owner" else "crmbaseentity"
    partner = ""
    if parent is not None:
        kind = parent.name
        relationship = schema.relationship(table.name, column.name, target)
        partner = f" Partner={quoteattr(relationship.name)}" if relationship is not None else ""
    referenced = OWNER_ID if target == "owner" else parent.key if parent is not None else f"{target}id"
    constraint = f'<ReferentialConstraint Property="{column.wire}" ReferencedProperty="{referenced}" />'
    start = f'<NavigationProperty Name={quoteattr(navigation)} Type="mscrm.{kind}"{partner}'
    # A referential constraint needs the referenced property, which tables that this org lacks do not have.
    if kind == "crmbaseentity":
        return f"{start} />"
    return f"{start}>{constraint}</NavigationProperty>"
