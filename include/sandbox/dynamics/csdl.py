"""`$metadata`: the model as CSDL XML (V8)."""

from __future__ import annotations

from xml.sax.saxutils import quoteattr

from include.sandbox.dynamics.call import Call
from include.sandbox.dynamics.schema import Schema, Table
from include.sandbox.service import Response

_HEAD = (
    '<?xml version="1.0" encoding="utf-8"?>\n'
    '<edmx:Edmx Version="4.0" xmlns:edmx="http://docs.oasis-open.org/odata/ns/edmx"><edmx:DataServices>'
    '<Schema Namespace="Microsoft.Dynamics.CRM" Alias="mscrm" xmlns="http://docs.oasis-open.org/odata/ns/edm">'
    '<EntityType Name="crmbaseentity" Abstract="true" />'
)
_TAIL = "</Schema></edmx:DataServices></edmx:Edmx>"
_FUNCTIONS = ("WhoAmI", "RetrieveVersion", "RetrieveCurrentOrganization", "RetrieveTotalRecordCount")


def metadata_document(call: Call) -> Response:
    """The document of the schema in force."""
    pieces = [_HEAD, *(_entity_type(call.schema, table) for table in call.schema.tables.values())]
    pieces += [f'<Function Name="{name}" />' for name in _FUNCTIONS]
    pieces.append('<EntityContainer Name="System">')
    pieces += [_entity_set(table) for table in call.schema.tables.values()]
    pieces += [f'<FunctionImport Name="{name}" Function="Microsoft.Dynamics.CRM.{name}" />' for name in _FUNCTIONS]
    pieces += ["</EntityContainer>", _TAIL]
    return Response(200, "".join(pieces).encode(), [("Content-Type", "application/xml")])


def _entity_set(table: Table) -> str:
    return f'<EntitySet Name="{table.set}" EntityType="Microsoft.Dynamics.CRM.{table.name}" />'


def _entity_type(schema: Schema, table: Table) -> str:
    pieces = [
        f'<EntityType Name="{table.name}" BaseType="mscrm.crmbaseentity"><Key><PropertyRef Name="{table.key}" /></Key>'
    ]
    pieces += [f"<Property Name={quoteattr(c.wire)} Type={quoteattr(c.edm)} />" for c in table.exposed]
    for navigation, (column, target) in table.navigation.items():
        kind = f"mscrm.{target}" if target in schema.tables else "mscrm.crmbaseentity"
        constraint = f'<ReferentialConstraint Property="{column.wire}" ReferencedProperty="{target}id" />'
        pieces.append(f'<NavigationProperty Name="{navigation}" Type="{kind}">{constraint}</NavigationProperty>')
    for name, relationship in schema.collections(table.name).items():
        pieces.append(f'<NavigationProperty Name="{name}" Type="Collection(mscrm.{relationship.child})" />')
    pieces.append("</EntityType>")
    return "".join(pieces)
