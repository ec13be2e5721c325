"""Verdicts are remembered by value: the answer is the same, only new values are asked for."""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from include.leadsync.validate.memory import FEW, KEPT_VALUES, SHORT, Memory
from include.leadsync.validate.rule import Finding, Rule, RuleKind

REQUIRED = Rule("f", RuleKind.REQUIRED, "required", "V1", "f", "missing", {})
LENGTH = Rule("f", RuleKind.MAX_LENGTH, "length", "V2", "f", "too long", {"limit": 2})


class Judges:
    """Judges like Great Expectations: a length does not check a null. Writes down what it was asked."""

    def __init__(self, error: str | None = None) -> None:
        self.asked: list[list[str | None]] = []
        self.error = error

    def __call__(self, rules: Sequence[Rule], values: pa.ChunkedArray) -> list[Finding]:
        texts: list[str | None] = values.to_pylist()
        self.asked.append(texts)
        return [self._finding(rule, texts) for rule in rules]

    def _finding(self, rule: Rule, texts: list[str | None]) -> Finding:
        if self.error:
            return Finding(rule, len(texts), range(len(texts)), self.error)
        if rule.kind is RuleKind.REQUIRED:
            return Finding(rule, len(texts), [at for at, text in enumerate(texts) if text is None])
        long = [at for at, text in enumerate(texts) if text is not None and len(text) > 2]
        return Finding(rule, len(texts) - texts.count(None), long)


def column(*texts: str | None) -> pa.ChunkedArray:
    return pa.chunked_array([pa.array(texts, pa.string())])


@given(st.lists(st.lists(st.sampled_from([None, "", "a", "aa", "aaa", "bbbb"]), min_size=1, max_size=8), max_size=5))
def test_whatever_was_judged_before_the_answer_is_that_of_the_judge(batches: list[list[str | None]]) -> None:
    memory = Memory(10)
    for rules in ([REQUIRED], [REQUIRED, LENGTH]):
        for texts in batches:
            assert memory.judge(rules, column(*texts), Judges()) == Judges()(rules, column(*texts))


def test_only_new_values_are_asked_for_and_each_once() -> None:
    memory, judges = Memory(10), Judges()
    memory.judge([LENGTH], column("a", "a", None), judges)
    memory.judge([LENGTH], column(None, "bbb", "a"), judges)
    assert judges.asked == [["a"], [None], ["bbb"]]


def test_what_one_suite_said_is_not_taken_for_the_word_of_another() -> None:
    memory = Memory(10)
    stricter = Rule("f", RuleKind.MAX_LENGTH, "length", "V2", "f", "too long", {"limit": 1})
    memory.judge([LENGTH], column("aa"), Judges())
    judges = Judges()
    memory.judge([stricter], column("aa"), judges)
    assert judges.asked == [["aa"]]


def test_an_error_is_not_remembered_and_fails_every_position() -> None:
    memory = Memory(10)
    (finding,) = memory.judge([LENGTH], column("a", None), Judges(error="ValueError"))
    assert (list(finding.failing), finding.error) == ([0, 1], "ValueError")
    (finding,) = memory.judge([LENGTH], column("a", None), Judges())
    assert (list(finding.failing), finding.error) == ([], None)


def test_long_columns_are_judged_whole_and_the_memory_stays_small() -> None:
    memory, judges = Memory(1), Judges()
    many = [str(number) for number in range(FEW + 1)]
    memory.judge([LENGTH], column(*many), judges)
    assert judges.asked == [many]
    for start in range(0, KEPT_VALUES + 3 * FEW, FEW):
        memory.judge([LENGTH], column(*(f"v{number}" for number in range(start, start + FEW))), judges)
        assert sum(len(known) for known in memory._suites.values()) <= KEPT_VALUES + FEW
    memory.judge([REQUIRED], column("a"), judges)
    assert [len(known) for known in memory._suites.values()] == [1]


def test_a_long_text_is_judged_each_time_and_not_kept() -> None:
    memory, judges = Memory(10), Judges()
    for _ in range(2):
        (finding,) = memory.judge([LENGTH], column("a", "x" * (SHORT + 1)), judges)
        assert list(finding.failing) == [1]
    assert len(judges.asked) == 2
    assert not memory._suites
