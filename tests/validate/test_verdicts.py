"""Verdicts: what Great Expectations says of dirty tables, and what becomes of the operations."""

from __future__ import annotations

import gc
import json
import random
import sys
from collections import Counter

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from include.leadsync.model import Canonical, Direction, FieldType, OperationKind
from include.leadsync.validate import UNMAPPED, RuleSummary, Verdicts, rules_for, validate_writes
from include.leadsync.validate.verdicts import OnInvalid
from tests.validate.plain import verdicts_plain
from tests.validate.samples import DIRTY, EVERY_TYPE, NUMBER, SUBJECT, field, mapped, one, writes

CREATE, UPDATE = OperationKind.CREATE, OperationKind.UPDATE
OUT, IN = Direction.OUTBOUND, Direction.INBOUND
KINDS = [(CREATE, OUT), (UPDATE, OUT), (CREATE, IN), (UPDATE, IN)]

texts = st.one_of(
    st.none(),
    st.sampled_from(DIRTY),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=50),
    st.text("0123456789.-+e", max_size=14),
    st.text('ab@." \n\xa0_-', max_size=12),
    st.builds(str, st.integers(-(2**70), 2**70)),
    st.builds(lambda number: format(number, "f"), st.decimals(-200, 200, places=7)),
    st.dates().map(str),
    st.datetimes().map(lambda moment: moment.strftime("%Y-%m-%dT%H:%M:%SZ").rjust(20, "0")),
    st.lists(st.sampled_from(["Advertisement", "Employee Referral", "x", ""]), max_size=3).map(";".join),
)
rows = st.tuples(st.integers(0, 12).map("o{}".format), st.sampled_from(EVERY_TYPE.names), texts)


def failures(verdicts: Verdicts) -> Counter[tuple[str, str, Canonical, str, str]]:
    return Counter(
        tuple(row[name] for name in ("op", "field", "value", "code", "rule")) for row in verdicts.failures.to_pylist()
    )


def assert_equal_to_plain(table: pa.Table, operation: OperationKind, direction: Direction) -> None:
    rules = rules_for(EVERY_TYPE, operation, direction)
    expected = Counter(verdicts_plain(rules, table, creating=operation is CREATE))
    verdicts = validate_writes(table, EVERY_TYPE, operation, direction, "record")
    assert failures(verdicts) == expected
    assert set(verdicts.failed_ops) == {op for op, *_ in expected}


@pytest.mark.parametrize(("operation", "direction"), KINDS)
def test_every_dirty_value_in_every_field_gets_the_verdict_of_a_plain_evaluation(
    operation: OperationKind, direction: Direction
) -> None:
    table = writes(*((f"{name}-{n}", name, value) for name in EVERY_TYPE.names for n, value in enumerate(DIRTY)))
    assert_equal_to_plain(table, operation, direction)


@pytest.mark.parametrize(("operation", "direction"), KINDS)
@settings(max_examples=8, deadline=None, suppress_health_check=list(HealthCheck))
@given(table=st.lists(rows, min_size=1, max_size=250).map(lambda found: writes(*found)))
def test_random_dirty_tables_get_the_verdicts_of_a_plain_evaluation(
    table: pa.Table, operation: OperationKind, direction: Direction
) -> None:
    assert_equal_to_plain(table, operation, direction)


def test_verdicts_do_not_depend_on_the_order_of_the_writes() -> None:
    found = [(f"{name}-{n}", name, value) for name in EVERY_TYPE.names for n, value in enumerate(DIRTY)]
    shuffled = random.Random(7).sample(found, len(found))
    first, second = (validate_writes(writes(*table), EVERY_TYPE, UPDATE, OUT, "record") for table in (found, shuffled))
    assert failures(first) == failures(second)


def test_the_plain_yardstick_refuses_and_accepts_values_of_every_rule() -> None:
    rules = rules_for(EVERY_TYPE, UPDATE, OUT) + rules_for(EVERY_TYPE, UPDATE, IN)
    for rule in rules:
        failed = len(verdicts_plain([rule], one(rule.field, DIRTY)))
        undecided = rule.kind in {"writable", "clearable", "required"} or rule.parameters.get("values") == ()
        assert failed > 0, rule
        assert undecided or failed < len(DIRTY), rule


NAME = field("name", FieldType.STRING, "String", column={"max_length": 10})
FEW = mapped(SUBJECT, NAME, NUMBER)
MIXED = writes(
    ("bad", "name", "far too long a name"), ("bad", "employees", "5"),
    ("good", "name", "Ada"), ("good", "employees", "6"),
    ("all bad", "employees", "x"),
)  # fmt: skip


def judged(table: pa.Table, on_invalid: OnInvalid = "record", operation: OperationKind = UPDATE) -> Verdicts:
    return validate_writes(table, FEW, operation, OUT, on_invalid)


def kept(verdicts: Verdicts, table: pa.Table) -> list[tuple[str, str]]:
    accepted = verdicts.accepted(table)
    return list(zip(accepted["op"].to_pylist(), accepted["field"].to_pylist(), strict=True))


def test_by_record_a_failing_field_holds_back_its_whole_operation() -> None:
    verdicts = judged(MIXED)
    assert verdicts.failed_ops == ["bad", "all bad"]
    assert kept(verdicts, MIXED) == [("good", "name"), ("good", "employees")]


def test_by_field_only_the_failing_field_is_dropped() -> None:
    verdicts = judged(MIXED, "field")
    assert kept(verdicts, MIXED) == [("bad", "employees"), ("good", "name"), ("good", "employees")]


def test_by_field_an_operation_with_nothing_left_fails() -> None:
    assert judged(MIXED, "field").failed_ops == ["all bad"]


@pytest.mark.parametrize("on_invalid", ["record", "field"])
def test_a_new_record_without_a_required_column_is_never_written(on_invalid: OnInvalid) -> None:
    table = writes(("null", "topic", None), ("null", "name", "Ada"), ("absent", "name", "Bo"), ("ok", "topic", "x"))
    verdicts = judged(table, on_invalid, CREATE)
    assert verdicts.failed_ops == ["null", "absent"]
    assert set(verdicts.failures["code"].to_pylist()) == {"required"}
    assert kept(verdicts, table) == [("ok", "topic")]


def test_an_update_that_does_not_touch_a_required_column_passes_even_if_it_is_empty_there() -> None:
    assert judged(writes(("o", "name", "Ada"))).failed_ops == []


def test_an_update_that_clears_a_required_column_fails() -> None:
    assert judged(writes(("o", "topic", None))).failed_ops == ["o"]


def test_an_optional_column_can_be_cleared() -> None:
    assert judged(writes(("o", "name", None), ("o", "employees", None))).failures.num_rows == 0


@pytest.mark.parametrize("on_invalid", ["record", "field"])
def test_a_field_outside_the_map_is_never_written(on_invalid: OnInvalid) -> None:
    table = writes(("o", "name", "Ada"), ("o", "stranger", "x"))
    verdicts = judged(table, on_invalid)
    assert verdicts.failures["code"].to_pylist() == [UNMAPPED]
    assert ("o", "stranger") not in kept(verdicts, table)


def test_a_value_that_breaks_two_rules_has_a_row_for_each() -> None:
    codes = judged(writes(("o", "name", "far too long\x00"))).failures["code"].to_pylist()
    assert sorted(codes) == ["0x80040278", "0x80044331"]


def test_failures_carry_the_full_value_the_code_and_the_rule() -> None:
    row = judged(MIXED).failures.to_pylist()[0]
    assert row == {
        "op": "bad", "field": "name", "value": "far too long a name", "code": "0x80044331", "rule": "V36",
        "message": "lead.name takes 10 characters; the value has 19 (emoji count as 2).",
    }  # fmt: skip


def test_every_failing_row_is_reported_beyond_the_samples_that_great_expectations_keeps() -> None:
    assert judged(one("employees", ["x"] * 2500)).failures.num_rows == 2500


def test_the_summary_counts_per_rule_and_samples_at_most_five_operations_without_values() -> None:
    verdicts = judged(one("employees", ["secret"] * 7 + ["5"] * 3 + [None]))
    by_kind = {summary.kind: summary for summary in verdicts.summary}
    form = by_kind["number_format"]
    assert (form.checked, form.failed, form.ops) == (10, 7, ("o0", "o1", "o2", "o3", "o4"))
    assert by_kind["number_range"].failed == 0
    assert "secret" not in repr([summary.as_json() for summary in verdicts.summary])


def test_a_summary_survives_its_way_through_json() -> None:
    summary = judged(MIXED).summary
    assert [RuleSummary.from_json(json.loads(json.dumps(one_rule.as_json()))) for one_rule in summary] == summary


def test_large_strings_and_further_columns_of_the_writes_are_welcome_and_kept() -> None:
    table = pa.table({
        "link": pa.array([1, 2]),
        "op": pa.array(["a", "b"], pa.large_string()),
        "field": pa.array(["name", "name"], pa.large_string()),
        "value": pa.array(["Ada", "far too long a name"], pa.large_string()),
    })  # fmt: skip
    accepted = judged(table, "field").accepted(table)
    assert accepted.to_pylist() == [{"link": 1, "op": "a", "field": "name", "value": "Ada"}]


def test_no_writes_give_no_verdicts() -> None:
    verdicts = judged(writes())
    assert (verdicts.failed_ops, verdicts.failures.num_rows, verdicts.operations) == ([], 0, 0)


def test_writes_without_a_column_are_refused_by_name() -> None:
    with pytest.raises(ValueError, match=r"lack the column\(s\) \['value'\]"):
        judged(pa.table({"op": ["o"], "field": ["name"]}))


def test_custom_activities_are_not_judged_by_field_rules() -> None:
    table = writes(("o", "name", "far too long a name"))
    assert validate_writes(table, FEW, OperationKind.ACTIVITY, OUT, "record").failed_ops == []


def test_rules_look_at_whole_columns_and_at_no_value_by_itself() -> None:
    wide = mapped(field("site", FieldType.URL, "String", column={"max_length": 50}))
    assert len(rules_for(wide, UPDATE, OUT)) == 3

    def calls(rows: int) -> int:
        """Functions, of Python or C, that judging so many values calls."""
        values = [f"value-{number}" for number in range(rows)]
        table = pa.table({"op": [f"o{number}" for number in range(rows)], "field": ["site"] * rows, "value": values})
        counted = Counter[str]()
        gc.disable()  # what other tests left behind may call functions when it goes
        sys.setprofile(lambda _frame, event, _argument: counted.update((event,)))
        try:
            verdicts = validate_writes(table, wide, UPDATE, OUT, "record")
        finally:
            sys.setprofile(None)
            gc.enable()
        assert verdicts.failed_ops == []
        return counted["call"] + counted["c_call"]

    calls(1)  # imports and caches are not what is counted
    few, some, many = calls(10), calls(100), calls(10_100)
    assert many - some < 10_000
    assert some < 3 * 100_000  # each rule costs some 40,000: a second of CPU for sixty
    assert few < 0.7 * some  # of few values it is enough to know whether one fails
