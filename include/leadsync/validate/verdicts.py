"""Judging the writes of one entity, operation and direction: which may go, which not, and why."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal, TypeAlias

import pyarrow as pa
import pyarrow.compute as pc

from include.leadsync.model import Canonical, Direction, FieldMap, OperationKind
from include.leadsync.validate.rule import Finding, Rule, RuleKind
from include.leadsync.validate.rules import rules_for
from include.leadsync.validate.session import judge_columns

OnInvalid: TypeAlias = Literal["record", "field"]

RULE_ERROR = "rule_error"
UNMAPPED = "unmapped_field"
SAMPLED_OPS = 5

FAILURES = pa.schema(
    [(name, pa.string()) for name in ("op", "field", "value", "code", "message", "rule")],
)
"""One row per failed rule and value: `value` canonical, `code` and `rule` as in `Rule`."""


@dataclass(frozen=True, slots=True)
class RuleSummary:
    """What one rule did in one batch, without personal values (P10). `ops` are at most five keys."""

    field: str
    kind: str
    rule: str
    code: str
    checked: int
    failed: int
    ops: tuple[str, ...] = ()
    error: str | None = None

    def as_json(self) -> dict[str, object]:
        """For staging and XCom."""
        return {**asdict(self), "ops": list(self.ops)}

    @classmethod
    def from_json(cls, told: Mapping[str, Any]) -> RuleSummary:
        """What `as_json` told, as it was."""
        return cls(**{**told, "ops": tuple(told["ops"])})


@dataclass(frozen=True, slots=True)
class Verdicts:
    """The fate of a batch of writes.

    `failures` has the columns of `FAILURES`. `failed_ops` are not written at all, in order of
    appearance. Under "field" a failing value is dropped and the rest of its operation goes, unless
    nothing is left of it or a required column of a new record is missing.
    """

    failures: pa.Table
    failed_ops: list[str]
    summary: list[RuleSummary]
    operations: int
    on_invalid: OnInvalid

    def accepted(self, writes: pa.Table) -> pa.Table:
        """The rows of `writes` (columns op, field, …) that may be written, in their order."""
        keep = pc.invert(pc.is_in(writes["op"], value_set=pa.array(self.failed_ops, writes["op"].type)))
        if self.on_invalid == "field" and self.failures.num_rows:
            failing = _pairs(self.failures)
            keep = pc.and_(keep, pc.invert(pc.is_in(_pairs(writes), value_set=failing)))
        return writes.filter(keep)


@dataclass(frozen=True, slots=True)
class _Column:
    """The values that one field's suite judges, and the operation each belongs to."""

    rules: list[Rule]
    ops: pa.ChunkedArray
    values: pa.ChunkedArray


def validate_writes(
    writes: pa.Table,
    map: FieldMap,  # noqa: A002 - name fixed
    operation: OperationKind,
    direction: Direction,
    on_invalid: OnInvalid,
) -> Verdicts:
    """Let Great Expectations judge every value that would be written.

    `writes` has the text columns op (key of the operation), field (id) and value (canonical or
    null), one row per value. On a create of a CRM record a required field without a row counts as
    missing. A field that the map does not have fails with code `unmapped_field`; a rule that raises
    an error fails all its rows with code `rule_error` (fail closed). Without rows nothing is
    imported. Raises ValueError when a column is missing.
    """
    missing = {"op", "field", "value"} - set(writes.column_names)
    if missing:
        raise ValueError(f"writes lack the column(s) {sorted(missing)}; they have {writes.column_names}")
    if not writes.num_rows:
        return Verdicts(FAILURES.empty_table(), [], [], 0, on_invalid)
    texts = writes.select(["op", "field", "value"]).cast(_TEXTS)
    ops = pc.unique(texts["op"])
    columns = list(_columns(texts, ops, map, operation, direction))
    findings = judge_columns([(column.rules, column.values) for column in columns])
    judged = [(column, finding) for column, found in zip(columns, findings, strict=True) for finding in found]
    rows = [row for column, finding in judged for row in _failures(column, finding)]
    summary = [_summary(column, finding) for column, finding in judged]
    strangers = texts.filter(pc.invert(pc.is_in(texts["field"], value_set=pa.array(map.names, pa.string()))))
    rows += _unmapped(strangers)
    summary += _unmapped_summary(strangers)
    failures = pa.Table.from_pylist(rows, schema=FAILURES)
    failed = _failed(texts, failures, on_invalid)
    if operation is OperationKind.CREATE:
        failed |= _incomplete(judged)
    failed_ops = [op for op in ops.to_pylist() if op in failed]
    return Verdicts(failures, failed_ops, summary, len(ops), on_invalid)


_TEXTS = pa.schema([("op", pa.string()), ("field", pa.string()), ("value", pa.string())])


def _pairs(table: pa.Table) -> pa.ChunkedArray:
    """Operation and field as one text; neither holds a line break."""
    return pc.binary_join_element_wise(table["op"].cast(pa.string()), table["field"].cast(pa.string()), "\n")


def _columns(
    texts: pa.Table, ops: pa.Array, field_map: FieldMap, operation: OperationKind, direction: Direction
) -> Iterator[_Column]:
    """One column per field that is written, or that a new record must have."""
    by_field: dict[str, list[Rule]] = {}
    for rule in rules_for(field_map, operation, direction):
        by_field.setdefault(rule.field, []).append(rule)
    written = set(pc.unique(texts["field"]).to_pylist())
    for name, rules in by_field.items():
        needed = operation is OperationKind.CREATE and any(rule.kind is RuleKind.REQUIRED for rule in rules)
        if name not in written and not needed:
            continue
        rows = texts.filter(pc.equal(texts["field"], name))
        owners, values = rows["op"], rows["value"]
        if needed:
            absent = ops.filter(pc.invert(pc.is_in(ops, value_set=owners)))
            owners = pa.chunked_array([*owners.chunks, absent], pa.string())
            values = pa.chunked_array([*values.chunks, pa.nulls(len(absent), pa.string())], pa.string())
        if len(values):
            yield _Column(rules, owners, values)


def _failures(column: _Column, finding: Finding) -> Iterator[Mapping[str, Canonical]]:
    rule = finding.rule
    positions = pa.array(finding.failing, pa.int64())
    ops, values = column.ops.take(positions).to_pylist(), column.values.take(positions).to_pylist()
    for op, value in zip(ops, values, strict=True):
        code, message = rule.code, rule.explain(value) if finding.error is None else ""
        if finding.error is not None:
            code = RULE_ERROR
            message = (
                f"The rule {rule.kind} of {rule.target} could not be evaluated ({finding.error});"
                " to be safe nothing was written. This is a defect of Lead Sync: report it with the run's report."
            )
        yield {"op": op, "field": rule.field, "value": value, "code": code, "message": message, "rule": rule.rule}


def _summary(column: _Column, finding: Finding) -> RuleSummary:
    rule = finding.rule
    sample = pa.array(list(finding.failing[:SAMPLED_OPS]), pa.int64())
    return RuleSummary(
        field=rule.field,
        kind=rule.kind.value,
        rule=rule.rule,
        code=rule.code if finding.error is None else RULE_ERROR,
        checked=finding.checked,
        failed=len(finding.failing),
        ops=tuple(column.ops.take(sample).to_pylist()),
        error=finding.error,
    )


def _unmapped(strangers: pa.Table) -> list[Mapping[str, Canonical]]:
    message = "This field is not in the field map, so nothing vouches for its values (P5); it is not written."
    return [{**row, "code": UNMAPPED, "message": message, "rule": "P5"} for row in strangers.to_pylist()]


def _unmapped_summary(strangers: pa.Table) -> Iterator[RuleSummary]:
    for name in pc.unique(strangers["field"]).to_pylist():
        ops = strangers.filter(pc.equal(strangers["field"], name))["op"]
        sample = tuple(ops.slice(0, SAMPLED_OPS).to_pylist())
        yield RuleSummary(name, "mapped", "P5", UNMAPPED, len(ops), len(ops), sample)


def _failed(texts: pa.Table, failures: pa.Table, on_invalid: OnInvalid) -> set[str]:
    """Operations with a failing field, or under "field" those of which nothing is left."""
    failed: set[str] = set(failures["op"].to_pylist())
    if on_invalid == "field":
        left = texts.filter(pc.invert(pc.is_in(_pairs(texts), value_set=_pairs(failures))))
        failed -= set(left["op"].to_pylist())
    return failed


def _incomplete(judged: Sequence[tuple[_Column, Finding]]) -> set[str]:
    """New records that lack a required column: they cannot go without it (DECISIONS 1)."""
    return {
        column.ops[position].as_py()
        for column, finding in judged
        if finding.rule.kind is RuleKind.REQUIRED
        for position in finding.failing
    }
