"""The fault switchboard: misbehaviour as data, seeded and replayable (V59; marketo-api.md 14).

A *plan* is a seed and a list of rules. A rule counts the requests that match it, and *fires* on
some of them; what it does then is its *effect*. Whether a rule fires depends on the seed, the
rule's name and the number of the match alone, so that a plan run against the same requests does
the same again. Without a plan nothing of this shows.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from include.sandbox.fault_rules import Effect, Rule, draw, parse_rule
from include.sandbox.service import Json, Request


@dataclass(slots=True)
class FaultBoard:
    """The plan in force, shared by both services and all threads."""

    seed: int = 0
    rules: list[Rule] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def set(self, rules: Sequence[Mapping[str, Json]], seed: int = 0) -> list[str]:
        """Replace the plan; raises `ValueError` naming the rule and key that is wrong. Returns names."""
        parsed = _parsed(rules, 0)
        names = [rule.name for rule in parsed]
        if len(set(names)) != len(names):
            message = f"rule names repeat: {names}"
            raise ValueError(message)
        with self._lock:
            self._release_all()
            self.seed, self.rules = seed, parsed
        return names

    def add(self, rules: Sequence[Mapping[str, Json]]) -> list[str]:
        """Add rules to the plan in force, their counters starting at zero."""
        with self._lock:
            present = len(self.rules)
            parsed = _parsed(rules, present)
            taken = {rule.name for rule in self.rules}
            for rule in parsed:
                if rule.name in taken:
                    message = f"there is a rule {rule.name!r} already"
                    raise ValueError(message)
                taken.add(rule.name)
            self.rules = [*self.rules, *parsed]
        return [rule.name for rule in parsed]

    def clear(self) -> int:
        """No faults any more; paused requests go on. Returns how many rules there were."""
        with self._lock:
            self._release_all()
            count = len(self.rules)
            self.rules = []
        return count

    def listing(self) -> Json:
        """The plan as given with what each rule has counted."""
        with self._lock:
            rules = [
                {
                    **rule.given,
                    "name": rule.name,
                    "matched": rule.matched,
                    "fired": rule.fired,
                    "paused": rule.paused - rule.released,
                }
                for rule in self.rules
            ]
            return {"seed": self.seed, "rules": rules}

    def decide(self, service: str, request: Request, client: str | None = None) -> Effect | None:
        """Count the request on every rule; the combined effect of those that fire, or None.

        Where two firing rules set the same thing, the earlier one in the plan decides; their
        commands are carried out one after the other.
        """
        if not self.rules:
            return None
        with self._lock:
            fired = [rule for rule in self.rules if rule.matches(service, request, client) and rule.fires(self.seed)]
            effect = None
            for rule in fired:
                noise = int(draw(self.seed, rule.name, rule.matched) * 2**53)
                effect = _combined(effect, replace(rule.effect, rules=(rule.name,), noise=noise))
            return effect

    def enter_pause(self, name: str) -> tuple[Rule, int] | None:
        """Mark a request as waiting at rule `name`; its ticket for `is_released`."""
        with self._lock:
            for rule in self.rules:
                if rule.name == name:
                    rule.paused += 1
                    return rule, rule.paused
        return None

    def is_released(self, ticket: tuple[Rule, int]) -> bool:
        """Whether the waiting request may go on."""
        rule, number = ticket
        with self._lock:
            return number <= rule.released

    def release(self, name: str | None = None) -> int:
        """Let the requests go on that wait at rule `name`, or at any; returns how many waited."""
        with self._lock:
            return self._release_all(name)

    def _release_all(self, name: str | None = None) -> int:
        count = 0
        for rule in self.rules:
            if name in (None, rule.name):
                count += rule.paused - rule.released
                rule.released = rule.paused
        return count


def _parsed(rules: Json, present: int) -> list[Rule]:
    if isinstance(rules, str | Mapping) or not isinstance(rules, Sequence):
        message = f"rules are a list of objects, not {rules!r}"
        raise ValueError(message)
    return [parse_rule(rule, number) for number, rule in enumerate(rules, present + 1)]


def _combined(first: Effect | None, second: Effect) -> Effect:
    if first is None:
        return second
    plain = Effect()
    joined = {key: getattr(first, key) + getattr(second, key) for key in ("rules", "then", "afterwards")}
    alone = {
        key: getattr(second, key)
        for key in Effect.__dataclass_fields__
        if key not in joined and getattr(first, key) == getattr(plain, key)
    }
    return replace(first, **joined, **alone)
