"""JSON of relationships (section 13.2): names, columns, navigation properties, cascades."""

from __future__ import annotations

from collections.abc import Iterable

from include.sandbox.dynamics.metadata_defaults import RELATIONSHIP_FLAGS
from include.sandbox.dynamics.metadata_shapes import label, managed
from include.sandbox.dynamics.relating import relationship_name
from include.sandbox.dynamics.schema import Relationship, Schema, Table, stable_id
from include.sandbox.service import Json


def many_to_one(schema: Schema, table: Table) -> list[dict[str, Json]]:
    """Relationships in which the table is the child, one per navigation property of a lookup."""
    named = {(r.column, r.parent): r for r in schema.relationships if r.child == table.name}
    shapes = []
    for column in table.columns.values():
        for navigation, target in column.navigation:
            known = named.get((column.name, target))
            name = known.name if known is not None else relationship_name(table, column, navigation, target)
            link = known or Relationship(name, table.name, column.name, target)
            shapes.append(_relationship(schema, link, navigation))
    return shapes


def one_to_many(schema: Schema, table: Table) -> list[dict[str, Json]]:
    """Relationships in which the table is the parent."""
    shapes = []
    for link in schema.collections(table.name).values():
        navigation = schema.navigation_of(link)
        shapes.append(_relationship(schema, link, navigation))
    return shapes


def _relationship(schema: Schema, link: Relationship, navigation: str) -> dict[str, Json]:
    parent = schema.tables.get(link.parent)
    return {
        "ReferencedEntity": link.parent,
        "ReferencedAttribute": parent.key if parent is not None else f"{link.parent}id",
        "ReferencingEntity": link.child,
        "ReferencingAttribute": link.column,
        "ReferencedEntityNavigationPropertyName": link.name,
        "ReferencingEntityNavigationPropertyName": navigation,
        "SchemaName": link.name,
        "RelationshipType": "OneToManyRelationship",
        "IsCustomRelationship": link.custom,
        "IsManaged": not link.custom,
        **RELATIONSHIP_FLAGS,
        "IsCustomizable": managed("iscustomizable", value=True),
        "AssociatedMenuConfiguration": {
            "Behavior": "UseCollectionName",
            "Group": "Details",
            "Order": None,
            "IsCustomizable": True,
            "Icon": None,
            "ViewId": "00000000-0000-0000-0000-000000000000",
            "AvailableOffline": True,
            "MenuId": None,
            "QueryApi": None,
            "Label": label("", link.name),
        },
        "CascadeConfiguration": {
            "Assign": link.assign,
            "Delete": link.delete,
            "Archive": "NoCascade",
            "Merge": link.merge,
            "Reparent": link.reparent,
            "Share": link.reparent,
            "Unshare": link.reparent,
            "RollupView": "NoCascade",
        },
        "MetadataId": stable_id("relationship", link.name),
    }


def all_relationships(schema: Schema) -> Iterable[dict[str, Json]]:
    """Every one-to-many relationship of the org."""
    for table in schema.tables.values():
        for shape in many_to_one(schema, table):
            yield {"@odata.type": "#Microsoft.Dynamics.CRM.OneToManyRelationshipMetadata", **shape}
