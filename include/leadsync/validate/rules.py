"""Which rules a write has to pass: what Dynamics demands outbound, what Marketo demands inbound."""

from __future__ import annotations

from collections.abc import Iterator

from include.leadsync.model import Direction, FieldMap, OperationKind, SyncField
from include.leadsync.validate.inbound import inbound_rules
from include.leadsync.validate.outbound import outbound_rules
from include.leadsync.validate.rule import Rule


def rules_for(map: FieldMap, operation: OperationKind, direction: Direction) -> list[Rule]:  # noqa: A002 - name fixed
    """Every rule that writes of this entity, operation and direction have to pass, in map order.

    Outbound: V34-V39, D31, R110, DECISIONS 1 and 4. Inbound: M38, facts/marketo-api.md 6-7.
    Custom activities carry no field values: no rules.
    """
    if operation is OperationKind.ACTIVITY:
        return []
    return [rule for field in map.fields for rule in _rules_of(field, map, operation, direction)]


def _rules_of(field: SyncField, field_map: FieldMap, operation: OperationKind, direction: Direction) -> Iterator[Rule]:
    if direction is Direction.OUTBOUND:
        return outbound_rules(field, field_map.entity, operation)
    return inbound_rules(field)
