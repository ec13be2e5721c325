"""One Great Expectations context per process, quiet, offline and fast.

Great Expectations takes seconds to import, so it is loaded by the first column that is judged.
A context shared by two threads gave wrong results without an error (facts/airflow-gx.md): a lock
lets one thread in at a time, and a forked child makes a context of its own.

Fast mode, as measured in facts/airflow-gx.md: one column per batch, positions instead of index
queries, no hash over the data of each batch, and of few values the positions only where one fails.
"""

from __future__ import annotations

import os
import re
import threading
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from include.leadsync.validate.loading import load_great_expectations
from include.leadsync.validate.memory import FEW, Memory
from include.leadsync.validate.rule import Finding, Rule, RuleKind, digest

if TYPE_CHECKING:
    from great_expectations import ExpectationSuite

FAST = {"result_format": "COMPLETE", "return_unexpected_index_query": False}
"""The result format: failing positions, all of them, without a query text (facts/airflow-gx.md)."""

WHETHER = {"result_format": "BOOLEAN_ONLY"}
"""Whether anything fails: half the work of `FAST`, and all there is to say of most columns."""

_OF_NULLS = {RuleKind.WRITABLE, RuleKind.CLEARABLE, RuleKind.REQUIRED}
"""Rules that check nulls as well."""

KEPT_SUITES = 1024

_RAISED = re.compile(r"^([A-Za-z_][\w.]*)(?::|$)", re.MULTILINE)


class Session:
    """A context with its one data source, and the suites made so far."""

    def __init__(self) -> None:
        load_great_expectations()
        import great_expectations
        from great_expectations.data_context.types.base import (
            DataContextConfig,
            InMemoryStoreBackendDefaults,
            ProgressBarsConfig,
        )

        self.process = os.getpid()
        config = DataContextConfig(
            store_backend_defaults=InMemoryStoreBackendDefaults(init_temp_docs_sites=False),  # no folder under /tmp
            progress_bars=ProgressBarsConfig(globally=False, metric_calculations=False),
            analytics_enabled=False,
        )
        self._context = great_expectations.get_context(mode="ephemeral", project_config=config)
        source = self._context.data_sources.add_pandas("writes")
        self._batches = source.add_dataframe_asset("column").add_batch_definition_whole_dataframe("all")
        self._suites: OrderedDict[str, ExpectationSuite] = OrderedDict()
        self._memory = Memory(KEPT_SUITES)

    def suite(self, rules: Sequence[Rule]) -> ExpectationSuite:
        """The suite of these rules, built once per digest: unchanged metadata builds nothing."""
        from include.leadsync.validate.suites import build_suite

        key = digest(rules)
        if key not in self._suites:
            self._suites[key] = build_suite(rules)
            while len(self._suites) > KEPT_SUITES:
                self._suites.popitem(last=False)
        self._suites.move_to_end(key)
        return self._suites[key]

    def judge(self, rules: Sequence[Rule], values: pa.ChunkedArray) -> list[Finding]:
        """Let the suite of one field judge one column of canonical texts; one finding per rule."""
        return self._memory.judge(rules, values, self._ask)

    def _ask(self, rules: Sequence[Rule], values: pa.ChunkedArray) -> list[Finding]:
        import pandas as pd
        from great_expectations.validator.v1_validator import Validator

        from include.leadsync.validate.suites import VALUE

        frame = pd.DataFrame({VALUE: values.to_pandas()})
        suite = self.suite(rules)
        # Made here: `Batch.validate` makes one as well, and for it the batch once more.
        validator = Validator(self._batches, FAST, {"dataframe": frame})
        if len(frame) <= FEW:
            validator.result_format = WHETHER
            answers = _answers(validator.validate_expectation_suite(suite))
            if all(_is_clean(answers.get(rule.kind.value)) for rule in rules):
                return [Finding(rule, _checked(rule, values), []) for rule in rules]
            validator.result_format = FAST
        answers = _answers(validator.validate_expectation_suite(suite))
        return [_finding(rule, answers.get(rule.kind.value), len(frame)) for rule in rules]


def _answers(outcome: Any) -> dict[str, Any]:
    """By kind of rule."""
    return {answer.expectation_config.meta["kind"]: answer for answer in outcome.results}


def _is_clean(answer: Any) -> bool:
    """Nothing fails, without a doubt."""
    return answer is not None and _error(answer.exception_info) is None and answer.success is True


def _checked(rule: Rule, values: pa.ChunkedArray) -> int:
    """How many of the values a rule looks at."""
    return len(values) if rule.kind in _OF_NULLS else len(values) - values.null_count


def _finding(rule: Rule, answer: Any, rows: int) -> Finding:
    """Read one answer. What cannot be read as a clear verdict counts as an error: fail closed."""
    if answer is None:
        return Finding(rule, rows, range(rows), "NoAnswer")
    error = _error(answer.exception_info)
    if error is not None:
        return Finding(rule, rows, range(rows), error)
    checked = answer.result.get("element_count", 0) - answer.result.get("missing_count", 0)
    failing = answer.result.get("unexpected_index_list") or []
    if bool(answer.success) != (not failing):
        return Finding(rule, rows, range(rows), "NoPositions")
    return Finding(rule, checked, failing)


def _error(info: Mapping[str, Any] | None) -> str | None:
    """Class of the error inside a rule. `info` is one record, or one record per broken metric."""
    if not info:
        return None
    records = [info] if "raised_exception" in info else list(info.values())
    for record in records:
        if record.get("raised_exception"):
            cause = _RAISED.search(record.get("exception_traceback") or "")  # the first of a chain
            return cause[1].rpartition(".")[2] if cause else "Exception"
    return None


_lock = threading.Lock()
_session: Session | None = None


def _forget() -> None:
    global _lock, _session
    _lock, _session = threading.Lock(), None


os.register_at_fork(after_in_child=_forget)


def judge_columns(columns: Sequence[tuple[Sequence[Rule], pa.ChunkedArray]]) -> list[list[Finding]]:
    """Judge several columns, one after the other; one list of findings per column, in order."""
    global _session  # noqa: PLW0603 - one context per process is the point
    with _lock:
        if _session is None or _session.process != os.getpid():
            _session = Session()
        return [_session.judge(rules, values) for rules, values in columns]


def suite_for(rules: Sequence[Rule]) -> ExpectationSuite:
    """The suite that judges these rules of one field. Raises ValueError for rules of several fields."""
    with _lock:
        load_great_expectations()
        from include.leadsync.validate.suites import build_suite

        return build_suite(rules)
