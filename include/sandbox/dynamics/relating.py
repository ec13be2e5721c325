"""Every lookup has a relationship: those that the catalog does not name get the names of a real org.

Assumption: the facts list the relationships that matter (section 14.7); the others follow the vendor's pattern
(`lk_leadbase_createdby`, `owner_leads`, `business_unit_leads`, `team_leads`) and cascade nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from include.sandbox.dynamics.schema import Column, Relationship, Table

_PATTERNS = {
    "createdby": "lk_{table}base_createdby",
    "modifiedby": "lk_{table}base_modifiedby",
    "createdonbehalfby": "lk_{table}_createdonbehalfby",
    "modifiedonbehalfby": "lk_{table}_modifiedonbehalfby",
    "ownerid": "owner_{set}",
    "owningbusinessunit": "business_unit_{set}",
    "owningteam": "team_{set}",
    "owninguser": "user_{set}",
    "transactioncurrencyid": "TransactionCurrency_{schema}",
}


def completed(tables: Mapping[str, Table], known: Iterable[Relationship]) -> list[Relationship]:
    """The known relationships and one for each further lookup to a table of the org."""
    relationships = list(known)
    taken = {(r.child, r.column, r.parent) for r in relationships}
    names = {r.name for r in relationships}
    for table in tables.values():
        for column in table.columns.values():
            for navigation, target in column.navigation:
                if target not in tables or (table.name, column.name, target) in taken:
                    continue
                name = relationship_name(table, column, navigation, target)
                while name in names:
                    name += "_1"
                names.add(name)
                delete = column.on_delete if column.custom else "NoCascade"
                relationships.append(Relationship(name, table.name, column.name, target, delete, custom=column.custom))
    return relationships


def relationship_name(table: Table, column: Column, navigation: str, target: str) -> str:
    """The schema name of the relationship behind one navigation property."""
    if column.relationship is not None:
        return column.relationship
    if column.custom:
        return f"new_{target}_{table.name}_{navigation}"
    pattern = _PATTERNS.get(column.name)
    if pattern is not None:
        return pattern.format(table=table.name, set=table.set, schema=table.schema_name)
    return f"{target}_{table.name}_{navigation}"
