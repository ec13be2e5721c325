"""How a condition of the sync filter compares (D73)."""

from __future__ import annotations

from enum import StrEnum


class Operator(StrEnum):
    """How a value is compared."""

    ONE_OF = "one_of"
    NOT_ONE_OF = "not_one_of"
    EMPTY = "empty"
    NOT_EMPTY = "not_empty"
    CONTAINS = "contains"
    STARTS_WITH = "starts_with"
    AT_LEAST = "at_least"
    AT_MOST = "at_most"


WITHOUT_VALUES = frozenset({Operator.EMPTY, Operator.NOT_EMPTY})
ONE_VALUE = frozenset({Operator.AT_LEAST, Operator.AT_MOST})
