"""Choice columns: between the numbers Dynamics stores and the labels Marketo holds (D54, D55).

A text from Marketo is matched on the exact label, then on the label whatever its case, then on the
aliases (of the metadata and of the field map), then as a number. What matches nothing stays as it
is; validation then names it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache

from include.leadsync.model import Option, SyncField

SEPARATOR = ";"
"""Between the labels of a multi-choice in Marketo (D55)."""

_INTEGER = re.compile(r"-?\d{1,18}", re.ASCII)
Aliases = tuple[tuple[str, tuple[str, ...]], ...]


def label_of(option: Option) -> str:
    """The canonical spelling of an option: its label, or its number when it has none."""
    return option.label or str(option.value)


class ChoiceTable:
    """Both ways through one choice column."""

    def __init__(self, options: Iterable[Option], aliases: Aliases = ()) -> None:
        """`aliases`: label (in any case) and the further spellings that the field map accepts for it."""
        known = tuple(options)
        self._label_by_number = {option.value: label_of(option) for option in known}
        self._number_by_label: dict[str, int] = {}
        self._label_by_spelling: dict[str, str] = {}
        for option in known:
            self._number_by_label.setdefault(label_of(option), option.value)
            self._learn((label_of(option),), label_of(option))
        configured = {label.casefold(): spellings for label, spellings in aliases}
        for option in known:
            self._learn(option.aliases, label_of(option))
            self._learn(configured.get(label_of(option).casefold(), ()), label_of(option))
        for option in known:
            self._learn((str(option.value),), label_of(option))

    def _learn(self, spellings: Iterable[str], label: str) -> None:
        for spelling in spellings:
            self._label_by_spelling.setdefault(spelling.casefold(), label)

    def label(self, number: int) -> str:
        """Label of a stored number; a number the metadata does not know stays a number."""
        return self._label_by_number.get(number, str(number))

    def labels(self, numbers: str) -> str | None:
        """Labels of Dynamics' multi-choice text `"1,3"`, sorted and joined; nothing chosen is null."""
        parts = (part.strip() for part in numbers.split(","))
        return _joined(self.label(int(part)) if _INTEGER.fullmatch(part) else part for part in parts)

    def canonical(self, text: str) -> str:
        """Canonical label of a Marketo text; an unknown text stays as it is."""
        if text in self._number_by_label:
            return text
        return self._label_by_spelling.get(text.casefold(), text)

    def canonical_many(self, text: str) -> str | None:
        """Canonical labels of a Marketo text with several; order and repeats carry no meaning."""
        parts = text.split(SEPARATOR)
        return _joined(part if part in self._number_by_label else self.canonical(part.strip()) for part in parts)

    def number(self, text: str) -> int | None:
        """Number to write for a label or other known spelling; None when Dynamics has no such option."""
        return self._number_by_label.get(self.canonical(text))


def choices(field: SyncField) -> ChoiceTable:
    """The table of one field; built once per distinct metadata and map entry."""
    return _table(field.dynamics.options, tuple((label, tuple(known)) for label, known in field.rule.aliases.items()))


@lru_cache(maxsize=512)
def _table(options: tuple[Option, ...], aliases: Aliases) -> ChoiceTable:
    return ChoiceTable(options, aliases)


def _joined(labels: Iterable[str]) -> str | None:
    return SEPARATOR.join(sorted({label for label in labels if label})) or None
