"""Verdicts that Great Expectations has given before.

A rule looks at one value at a time, so the same rules say the same of the same value. A cycle of a few writes repeats
most of the values of the cycle before (types, flags, options, nothing at all): only what is new is judged again.
Columns of more than `FEW` values, or with one of more than `SHORT` characters, are judged whole. What is remembered
stays in the process, and errors are not.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import pyarrow as pa

from include.leadsync.validate.rule import Finding, Rule, digest

FEW, SHORT = 64, 500
KEPT_VALUES = 1_000
"""Values remembered per suite; beyond, all of them are forgotten."""

Judge = Callable[[Sequence[Rule], pa.ChunkedArray], list[Finding]]


@dataclass(frozen=True, slots=True)
class _Said:
    """Of one value, for each rule: whether it counts as checked, and whether it fails."""

    checked: tuple[int, ...]
    fails: tuple[bool, ...]


@dataclass
class Memory:
    """`most`: suites whose verdicts are kept, the latest ones."""

    most: int
    _suites: OrderedDict[str, dict[str | None, _Said]] = field(default_factory=OrderedDict)

    def judge(self, rules: Sequence[Rule], values: pa.ChunkedArray, ask: Judge) -> list[Finding]:
        """As `ask`, which is asked for values that are new."""
        if len(values) > FEW:
            return ask(rules, values)
        texts: list[str | None] = values.to_pylist()
        if any(len(text or "") > SHORT for text in texts):
            return ask(rules, values)
        known = self._known(rules)
        for new in _batches([text for text in dict.fromkeys(texts) if text not in known]):
            findings = ask(rules, pa.chunked_array([pa.array(new, pa.string())]))
            if any(finding.error for finding in findings):
                return ask(rules, values)
            failing = [set(finding.failing) for finding in findings]
            checked = tuple(finding.checked // len(new) for finding in findings)
            known |= {text: _Said(checked, tuple(i in f for f in failing)) for i, text in enumerate(new)}
        said = [known[text] for text in texts]
        return [
            Finding(rule, sum(s.checked[i] for s in said), [at for at, s in enumerate(said) if s.fails[i]])
            for i, rule in enumerate(rules)
        ]

    def _known(self, rules: Sequence[Rule]) -> dict[str | None, _Said]:
        key = digest(rules)
        known = self._suites.setdefault(key, {})
        self._suites.move_to_end(key)
        while len(self._suites) > self.most:
            self._suites.popitem(last=False)
        if len(known) > KEPT_VALUES:
            known.clear()
        return known


def _batches(new: list[str | None]) -> list[list[str | None]]:
    """Values and null apart: whether a null is checked depends on the rule, a value always is."""
    values: list[str | None] = [text for text in new if text is not None]
    nothing: list[str | None] = [None]
    return [*([values] if values else []), *([nothing] if None in new else [])]
