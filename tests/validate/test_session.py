"""Great Expectations decides, quietly and offline; what it cannot judge is not written."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from include.leadsync.model import Direction, FieldType, Flow, OperationKind, SyncField
from include.leadsync.validate import (
    RULE_ERROR,
    Rule,
    RuleKind,
    RuleSummary,
    rules_for,
    session,
    suite_for,
    validate_writes,
)
from include.leadsync.validate.memory import FEW
from include.leadsync.validate.rule import Finding
from include.leadsync.validate.session import judge_columns
from include.leadsync.validate.verdicts import OnInvalid
from tests.validate.samples import DIRTY, EVERY_TYPE, NUMBER, SOURCES, SUBJECT, field, mapped, one, writes

OUT, IN = Direction.OUTBOUND, Direction.INBOUND
UPDATE = OperationKind.UPDATE


def accepted(name: str, value: str | None, direction: Direction, one_field: SyncField) -> bool:
    table = writes(("o", name, value))
    return bool(validate_writes(table, mapped(one_field), UPDATE, direction, "record").accepted(table).num_rows)


TEXT = field("f", FieldType.STRING, "String")
MUTANTS = [
    (RuleKind.WRITABLE, "x", OUT, field("f", FieldType.STRING, "String", flow=Flow.INBOUND)),
    (RuleKind.CLEARABLE, None, OUT, field("f", FieldType.STRING, "String", flow=Flow.INBOUND)),
    (RuleKind.REQUIRED, None, OUT, field("f", FieldType.STRING, "String", column={"required": "ApplicationRequired"})),
    (
        RuleKind.MAX_LENGTH,
        "\U0001f600\U0001f600",
        OUT,
        field("f", FieldType.STRING, "String", column={"max_length": 3}),
    ),
    (RuleKind.MAX_CHARACTERS, "x" * 256, IN, TEXT),
    (RuleKind.MAX_BYTES, "é" * 15_001, IN, field("f", FieldType.TEXT, "Memo")),
    (RuleKind.CONTROL_CHARACTERS, "a\x07", OUT, TEXT),
    (RuleKind.EMAIL_FORMAT, "bademail", OUT, field("f", FieldType.EMAIL, "String")),
    (RuleKind.URL_FORMAT, "a b", OUT, field("f", FieldType.URL, "String")),
    (RuleKind.GUID_FORMAT, "x", OUT, field("f", FieldType.STRING, "Uniqueidentifier")),
    (RuleKind.NUMBER_FORMAT, "12x", OUT, field("f", FieldType.INTEGER, "Integer")),
    (RuleKind.NUMBER_SIZE, "2147483648", OUT, field("f", FieldType.INTEGER, "Integer")),
    (RuleKind.NUMBER_RANGE, "1001", OUT, field("f", FieldType.INTEGER, "Integer", column={"maximum": 1000.0})),
    (RuleKind.BOOLEAN_FORMAT, "maybe", OUT, field("f", FieldType.BOOLEAN, "Boolean")),
    (RuleKind.DATE_FORMAT, "2026-02-30", OUT, field("f", FieldType.DATE, "DateTime")),
    (RuleKind.DATE_RANGE, "1752-12-31", OUT, field("f", FieldType.DATE, "DateTime")),
    (RuleKind.OPTION, "Nonsense", OUT, field("f", FieldType.CHOICE, "Picklist", column={"options": SOURCES})),
    (RuleKind.OPTIONS, "Nonsense", OUT, field("f", FieldType.MULTI_CHOICE, "MultiSelectPicklist")),
]


def test_there_is_a_mutant_for_every_kind_of_rule() -> None:
    assert {kind for kind, *_ in MUTANTS} == set(RuleKind)


@pytest.mark.usefixtures("fresh_session")
@pytest.mark.parametrize(("kind", "value", "direction", "one_field"), MUTANTS, ids=[str(m[0]) for m in MUTANTS])
def test_breaking_one_expectation_lets_its_bad_value_be_written(
    kind: RuleKind, value: str | None, direction: Direction, one_field: SyncField, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert not accepted("f", value, direction, one_field)
    from include.leadsync.validate import suites

    def lenient(_: dict[str, Any]) -> Any:
        return suites._matching({"regex": ""})

    monkeypatch.setitem(suites._EXPECTATIONS, kind, lenient)
    session._session = None  # the suite made a moment ago must not be used again
    assert accepted("f", value, direction, one_field)


@pytest.mark.usefixtures("fresh_session")
def test_a_limit_that_is_off_by_one_changes_exactly_the_rows_on_the_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    from include.leadsync.validate import suites

    table = one("topic", ["x" * 9, "x" * 10, "x" * 11, "x" * 12])
    before = validate_writes(table, mapped(SUBJECT), UPDATE, OUT, "record").accepted(table)["op"].to_pylist()
    right = suites._EXPECTATIONS[RuleKind.MAX_LENGTH]
    monkeypatch.setitem(
        suites._EXPECTATIONS, RuleKind.MAX_LENGTH, lambda told: right(told | {"limit": told["limit"] + 1})
    )
    session._session = None
    after = validate_writes(table, mapped(SUBJECT), UPDATE, OUT, "record").accepted(table)["op"].to_pylist()
    assert (before, after) == (["o0", "o1"], ["o0", "o1", "o2"])


BROKEN = Rule("f", RuleKind.EMAIL_FORMAT, "email_format", "R110", "lead.f", "{value}", {"regex": "((("})
LENGTH = Rule("f", RuleKind.MAX_LENGTH, "0x80044331", "V36", "lead.f", "{limit}", {"limit": 3})


def column(*values: str | None) -> pa.ChunkedArray:
    return pa.chunked_array([pa.array(values, pa.string())])


def by_kind(rules: list[Rule], values: pa.ChunkedArray) -> dict[RuleKind, Finding]:
    return {finding.rule.kind: finding for finding in judge_columns([(rules, values)])[0]}


def test_an_error_inside_a_metric_fails_every_row_of_its_rule_and_leaves_the_others_alone() -> None:
    found = by_kind([BROKEN, LENGTH], column("a", None, "long"))
    assert list(found[RuleKind.EMAIL_FORMAT].failing) == [0, 1, 2]
    assert found[RuleKind.EMAIL_FORMAT].error == "ArrowInvalid"
    assert (list(found[RuleKind.MAX_LENGTH].failing), found[RuleKind.MAX_LENGTH].error) == ([2], None)


@pytest.mark.usefixtures("fresh_session")
def test_an_error_inside_an_expectation_comes_in_another_shape_and_fails_closed_too(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    by_kind([LENGTH], column("a"))
    from include.leadsync.validate.expectations import ExpectUtf16LengthsToBeAtMost

    def broken(*_: object, **__: object) -> None:
        raise LookupError("Ada Lovelace\nTypeError: not the cause")

    monkeypatch.setattr(ExpectUtf16LengthsToBeAtMost, "_validate", broken)
    found = by_kind([LENGTH], column("a", None))[RuleKind.MAX_LENGTH]
    assert (list(found.failing), found.error) == ([0, 1], "LookupError")


class Answer:
    """An answer as Great Expectations gives them, with something missing."""

    success = False
    result: dict[str, Any] = {"element_count": 2}  # noqa: RUF012 - read only
    exception_info: dict[str, Any] = {"raised_exception": False}  # noqa: RUF012 - read only


@pytest.mark.parametrize(("answer", "error"), [(None, "NoAnswer"), (Answer(), "NoPositions")])
def test_an_answer_that_cannot_be_read_counts_as_an_error(answer: object, error: str) -> None:
    assert session._finding(LENGTH, answer, 2) == Finding(LENGTH, 2, range(2), error)


@pytest.mark.parametrize("info", [None, {}, {"raised_exception": False}, {"metric": {"raised_exception": False}}])
def test_no_error_is_read_where_there_is_none(info: dict[str, Any] | None) -> None:
    assert session._error(info) is None


@pytest.mark.parametrize("shape", [lambda record: record, lambda record: {"metric": record}])
def test_both_shapes_of_an_error_are_read_even_without_a_traceback(shape: Any) -> None:
    assert session._error(shape({"raised_exception": True, "exception_traceback": None})) == "Exception"


@pytest.mark.usefixtures("fresh_session")
@pytest.mark.parametrize("on_invalid", ["record", "field"])
def test_a_rule_that_raises_keeps_its_values_from_being_written_and_says_so_without_showing_them(
    on_invalid: OnInvalid, monkeypatch: pytest.MonkeyPatch
) -> None:
    judge_columns([])
    from include.leadsync.validate import suites

    monkeypatch.setitem(suites._EXPECTATIONS, RuleKind.MAX_LENGTH, lambda _: suites._matching({"regex": "((("}))
    table = writes(("o1", "topic", "Ada"), ("o1", "employees", "5"), ("o2", "employees", "6"))
    verdicts = validate_writes(table, mapped(SUBJECT, NUMBER), UPDATE, OUT, on_invalid)
    assert verdicts.failures["code"].to_pylist() == [RULE_ERROR]
    assert "ArrowInvalid" in verdicts.failures["message"][0].as_py()
    assert ("o1", "topic") not in {(row["op"], row["field"]) for row in verdicts.accepted(table).to_pylist()}
    expected = RuleSummary("topic", "max_length", "V36", RULE_ERROR, 1, 1, ("o1",), "ArrowInvalid")
    assert expected in verdicts.summary


def test_unchanged_rules_are_judged_by_the_suite_that_was_made_before() -> None:
    judge_columns([([LENGTH], column("a"))])
    current = session._session
    assert current is not None
    same = Rule("f", RuleKind.MAX_LENGTH, "0x80044331", "V36", "lead.f", "{limit}", {"limit": 3})
    other = Rule("f", RuleKind.MAX_LENGTH, "0x80044331", "V36", "lead.f", "{limit}", {"limit": 4})
    assert current.suite([LENGTH]) is current.suite([same]) is not current.suite([other])


@pytest.mark.usefixtures("fresh_session")
def test_old_suites_are_forgotten_when_metadata_keeps_changing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session, "KEPT_SUITES", 3)
    current = session.Session()
    for limit in range(10):
        current.suite([Rule("f", RuleKind.MAX_LENGTH, "c", "V36", "t", "m", {"limit": limit})])
    assert len(current._suites) == 3


def test_a_suite_holds_one_expectation_per_rule_and_names_the_rule() -> None:
    rules = [rule for rule in rules_for(EVERY_TYPE, UPDATE, OUT) if rule.field == "email"]
    told = [expectation.meta or {} for expectation in suite_for(rules).expectations]
    assert [meta["kind"] for meta in told] == [rule.kind for rule in rules]
    assert told[0] == {"kind": "max_length", "field": "email", "rule": "V36", "code": "0x80044331"}


def test_a_suite_for_rules_of_two_fields_is_refused() -> None:
    with pytest.raises(ValueError, match="judges one field"):
        suite_for(rules_for(mapped(SUBJECT, NUMBER), UPDATE, OUT))


def test_great_expectations_takes_our_batch_numbers_instead_of_hashing_the_data(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    judge_columns([([LENGTH], column("a"))])
    from great_expectations.execution_engine import pandas_execution_engine

    ours: Any = pandas_execution_engine.hash_pandas_dataframe
    seen: list[str] = []

    def watched(frame: Any) -> str:
        seen.append(ours(frame))
        return seen[-1]

    monkeypatch.setattr(pandas_execution_engine, "hash_pandas_dataframe", watched)
    for text in ("b", "c"):  # what was judged before is not asked again
        judge_columns([([LENGTH], column(text))])
    assert len(seen) == len(set(seen)) >= 2
    assert all(fingerprint.startswith("batch-") for fingerprint in seen)


def test_great_expectations_takes_the_configuration_that_an_expectation_kept_until_it_changes() -> None:
    judge_columns([([LENGTH], column("a"))])
    (expectation,) = suite_for([LENGTH]).expectations
    kept = expectation.configuration
    assert expectation.configuration is kept
    expectation.meta = {"kind": "other"}
    assert expectation.configuration.meta == {"kind": "other"}


def test_few_values_and_many_are_counted_alike() -> None:
    for kind, bad, direction, one_field in MUTANTS:
        rules = [rule for rule in rules_for(mapped(one_field), UPDATE, direction) if rule.kind is kind]
        for values in ("1", None), (bad, None), (None, None), ("true", "2026-03-01"):
            (few,) = judge_columns([(rules, column(*values))])[0]
            (many,) = judge_columns([(rules, column(*values * (FEW + 1)))])[0]
            times = FEW + 1
            assert (few.checked * times, len(few.failing) * times) == (many.checked, len(many.failing)), kind


def test_the_fast_mode_finds_the_same_rows_as_the_default_mode() -> None:
    rules = [rule for rule in rules_for(EVERY_TYPE, UPDATE, OUT) if rule.field == "email"]
    fast = {f.rule.kind: list(f.failing) for f in judge_columns([(rules, column(*DIRTY))])[0]}
    import great_expectations  # after ours, which keeps its warnings back
    import pandas as pd

    source = great_expectations.get_context(mode="ephemeral").data_sources.add_pandas("default")
    definition = source.add_dataframe_asset("wide").add_batch_definition_whole_dataframe("all")
    frame = pd.DataFrame({"key": range(len(DIRTY)), "value": pd.Series(DIRTY, dtype="str")})
    answers: Any = definition.get_batch({"dataframe": frame}).validate(
        suite_for(rules), result_format={"result_format": "COMPLETE", "unexpected_index_column_names": ["key"]}
    )
    default = {
        RuleKind(answer.expectation_config.meta["kind"]): [row["key"] for row in answer.result["unexpected_index_list"]]
        for answer in answers.results
    }
    assert fast == default


def test_threads_take_turns_and_each_gets_its_own_verdicts() -> None:
    found: dict[int, list[int]] = {}

    def judge(number: int) -> None:
        values = ["long enough"] * number + ["a"] * (20 - number)
        found[number] = [len(by_kind([LENGTH], column(*values))[RuleKind.MAX_LENGTH].failing) for _ in range(5)]

    threads = [threading.Thread(target=judge, args=(number,)) for number in range(1, 5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == {number: [number] * 5 for number in range(1, 5)}


@pytest.mark.usefixtures("fresh_session")
def test_another_process_does_not_use_the_context_of_its_parent() -> None:
    judge_columns([])
    inherited = session._session
    assert inherited is not None
    inherited.process = -1
    judge_columns([])
    assert session._session is not inherited


@pytest.mark.usefixtures("fresh_session")
def test_a_forked_child_starts_with_an_open_lock_and_no_context() -> None:
    judge_columns([])
    with session._lock:
        session._forget()
        assert not session._lock.locked()
    assert session._session is None


QUIET = """
import logging, socket, sys
def refuse(*_, **__):
    raise SystemExit("a socket was opened")
socket.socket.connect = socket.socket.connect_ex = socket.getaddrinfo = refuse
logging.basicConfig(level=logging.DEBUG, stream=sys.stdout)
logging.getLogger().setLevel(logging.INFO)
from include.leadsync.model import Direction, OperationKind
from include.leadsync.validate import validate_writes
from tests.validate.samples import EVERY_TYPE, one, writes
def judge(table):
    return validate_writes(table, EVERY_TYPE, OperationKind.UPDATE, Direction.OUTBOUND, "record").failed_ops
assert not {"great_expectations", "pandas"} & set(sys.modules), "importing the room imported too much"
assert judge(writes()) == []
assert "great_expectations" not in sys.modules, "an empty table imported too much"
assert judge(one("topic", ["fine", "much too long a topic"])) == ["o1"]
assert "great_expectations" in sys.modules
assert not {"altair", "scipy.stats"} & set(sys.modules), "charts were imported that nobody draws"
from great_expectations.expectations.core import expect_column_kl_divergence_to_be_less_than as charts
assert charts.stats.entropy([1]) == 0 and charts.alt.Chart, "what stands for them is not them"
import os
assert os.environ["GX_ANALYTICS_ENABLED"] == "false"
assert os.listdir(sys.argv[1]) == [], "a temporary file was left"
"""


def test_it_imports_late_opens_no_socket_leaves_no_file_and_prints_nothing(project_root: Path, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", QUIET, str(tmp_path)],
        cwd=project_root,
        env={**os.environ, "TMPDIR": str(tmp_path), "PYTHONPATH": str(project_root)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
