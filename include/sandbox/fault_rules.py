"""The rules of a fault plan: their JSON form, what they match, when they fire, what they do.

The keys are described in docs/sandbox.md; a wrong one is refused with the rule's name.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from include.sandbox.fault_answers import is_known
from include.sandbox.service import Json, Request

SERVICES = ("marketo", "dynamics")
_MATCH_KEYS = frozenset({"service", "method", "path", "query", "body", "client"})
_FIRE_KEYS = frozenset({"nth", "times", "every", "probability"})
_PLAIN_KEYS = frozenset(
    {"delay", "delay_after", "pause", "pause_limit", "drop", "status", "message", "retry_after", "stage"}
    | {"garble", "truncate", "cut"}
)
_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_EFFECT_KEYS = _PLAIN_KEYS | {"then", "afterwards", "headers", "answer", "error", "replace"}


@dataclass(frozen=True, slots=True)
class Command:
    """One control command that a rule carries out."""

    service: str
    command: str
    arguments: Mapping[str, Json]


@dataclass(frozen=True, slots=True)
class Effect:
    """What happens to a request on which a rule fires. The defaults do nothing."""

    rules: tuple[str, ...] = ()
    then: tuple[Command, ...] = ()
    afterwards: tuple[Command, ...] = ()
    delay: float = 0.0
    delay_after: float = 0.0
    pause: str | None = None  # "before" | "after"
    pause_limit: float = 30.0
    drop: str | None = None  # "before" | "after"
    status: int | None = None
    headers: tuple[tuple[str, str], ...] = ()
    answer: bytes | None = None
    error: str | None = None
    message: str | None = None
    retry_after: int | None = None
    stage: str = "instead"  # "instead" | "after"
    replace: tuple[tuple[re.Pattern[bytes], bytes], ...] = ()
    garble: bool = False
    truncate: float | None = None  # whole answer of a shortened body
    cut: float | None = None  # the connection ends inside the body
    noise: int = 0

    @property
    def makes_answer(self) -> bool:
        """Whether the emulator's own answer is not the one that goes out."""
        return self.error is not None or self.answer is not None or self.status is not None


@dataclass(slots=True)
class Rule:
    """One rule of a plan with its counters."""

    name: str
    given: Mapping[str, Json]
    service: str | None
    methods: frozenset[str]
    patterns: Mapping[str, re.Pattern[str]]
    nth: int
    times: int | None
    every: int
    probability: float
    effect: Effect
    matched: int = 0
    fired: int = 0
    paused: int = 0
    released: int = 0

    def matches(self, service: str, request: Request, client: str | None) -> bool:
        """Whether this request counts for the rule."""
        if self.service not in (None, service) or (self.methods and request.method not in self.methods):
            return False
        texts = {"path": request.path, "query": request.query, "client": client or ""}
        if "body" in self.patterns:
            texts["body"] = request.body.decode("utf-8", "replace")
        return all(pattern.search(texts[name]) for name, pattern in self.patterns.items())

    def fires(self, seed: int) -> bool:
        """Count one match; whether the rule acts on it."""
        self.matched += 1
        since = self.matched - self.nth
        if since < 0 or since % self.every or (self.times is not None and self.fired >= self.times):
            return False
        if self.probability < 1.0 and draw(seed, self.name, self.matched) >= self.probability:
            return False
        self.fired += 1
        return True


def parse_rule(given: Json, number: int) -> Rule:
    """A rule from its JSON form; raises `ValueError`."""
    if not isinstance(given, Mapping):
        _fail(f"rule-{number}", "rules", f"has {given!r}, not an object")
    name = str(given.get("name") or f"rule-{number}")
    known = _MATCH_KEYS | _FIRE_KEYS | {"name", "effect"}
    _refuse_unknown(name, given, known)
    service = given.get("service")
    if service is not None and service not in SERVICES:
        _fail(name, "service", f"is {service!r}, not one of {', '.join(SERVICES)}")
    methods = given.get("method") or ()
    return Rule(
        name=name,
        given=dict(given),
        service=service,
        methods=frozenset(str(one).upper() for one in ([methods] if isinstance(methods, str) else methods)),
        patterns={
            key: _pattern(name, key, given[key])
            for key in ("path", "query", "body", "client")
            if given.get(key) is not None
        },
        nth=_whole(name, "nth", given.get("nth", 1)),
        times=None if given.get("times") is None else _whole(name, "times", given["times"]),
        every=_whole(name, "every", given.get("every", 1)),
        probability=_number(name, given, "probability", 1.0, most=1.0),
        effect=_parse_effect(name, given.get("effect") or {}),
    )


def _parse_effect(name: str, given: Json) -> Effect:
    if not isinstance(given, Mapping):
        _fail(name, "effect", f"is {given!r}, not an object")
    _refuse_unknown(name, given, _EFFECT_KEYS)
    _one_of(name, given, "drop", ("before", "after"))
    _one_of(name, given, "pause", ("before", "after"))
    _one_of(name, given, "stage", ("instead", "after"))
    for key in ("delay", "delay_after", "pause_limit", "truncate", "cut"):
        _number(name, given, key, 0.0)
    for key, least, most in (("status", 200, 599), ("retry_after", 0, 10**6)):
        if given.get(key) is not None and (type(given[key]) is not int or not least <= given[key] <= most):
            _fail(name, key, f"is {given[key]!r}, not a whole number from {least} to {most}")
    for key, kind in (("garble", bool), ("message", str)):
        if given.get(key) is not None and not isinstance(given[key], kind):
            _fail(name, key, f"is {given[key]!r}, not {'true or false' if kind is bool else 'a text'}")
    error = given.get("error")
    if error is not None and not is_known(str(error)) and not given.get("message"):
        _fail(name, "error", f"{error!r} is not in the table of known codes: give its 'message' too")
    values: dict[str, Json] = {key: given[key] for key in _PLAIN_KEYS if given.get(key) is not None}
    return Effect(
        then=_commands(name, "then", given.get("then")),
        afterwards=_commands(name, "afterwards", given.get("afterwards")),
        headers=_headers(name, given.get("headers") or {}),
        answer=_body(given.get("answer")),
        error=None if error is None else str(error),
        replace=_replacements(name, given.get("replace") or ()),
        **values,
    )


def _headers(name: str, given: Json) -> tuple[tuple[str, str], ...]:
    if not isinstance(given, Mapping):
        _fail(name, "headers", f"is {given!r}, not an object")
    headers = tuple((str(key), str(value)) for key, value in given.items())
    for key, value in headers:
        if not _HEADER_NAME.fullmatch(key) or not value.isprintable() or not value.isascii():
            _fail(name, "headers", f"has {key!r}: {value!r}, which is no header")
    return headers


def _replacements(name: str, given: Sequence[Json]) -> tuple[tuple[re.Pattern[bytes], bytes], ...]:
    found = []
    for pair in given:
        fits = isinstance(pair, Sequence) and not isinstance(pair, str) and len(pair) == 2
        if not fits or not all(isinstance(text, str) for text in pair):
            _fail(name, "replace", "is a list of [pattern, text] pairs")
        _pattern(name, "replace", pair[0])
        pattern, text = re.compile(pair[0].encode()), pair[1].encode()
        try:
            re.compile(pattern.pattern + b"|").sub(text, b"")  # finds something even here, so that the text is read
        except (re.error, IndexError) as error:
            _fail(name, "replace", f"has {pair[1]!r}, which cannot take its place: {error}")
        found.append((pattern, text))
    return tuple(found)


def _commands(name: str, key: str, given: Json) -> tuple[Command, ...]:
    if given is None:
        return ()
    found = []
    for entry in given if isinstance(given, list) else [given]:
        if not isinstance(entry, Mapping) or not isinstance(entry.get("arguments") or {}, Mapping):
            _fail(name, key, f"has {entry!r}, which is no command with an object of arguments")
        _refuse_unknown(name, entry, frozenset({"service", "command", "arguments"}))
        command = str(entry.get("command") or "")
        # A command with a dot is the host's, which has no service.
        service = entry.get("service", SERVICES[0] if "." in command else None)
        if service not in SERVICES or not command:
            _fail(name, key, "needs 'command' and, unless it has a dot, 'service' (marketo or dynamics)")
        found.append(Command(service, command, entry.get("arguments") or {}))
    return tuple(found)


def _body(given: Json) -> bytes | None:
    if given is None:
        return None
    return given.encode() if isinstance(given, str) else json.dumps(given, ensure_ascii=False).encode()


def _pattern(name: str, key: str, text: Json) -> re.Pattern[str]:
    try:
        return re.compile(str(text))
    except re.error as error:
        _fail(name, key, f"is no regular expression: {error}")
        raise


def _whole(name: str, key: str, value: Json) -> int:
    if type(value) is not int or value < 1:
        _fail(name, key, f"is {value!r}, not a whole number from 1 on")
    return int(value)


def _number(name: str, given: Mapping[str, Json], key: str, usual: float, most: float = 1e9) -> float:
    value = given.get(key)
    if value is None:
        return usual
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= most:
        _fail(name, key, f"is {value!r}, not a number from 0 to {most:g}")
    return float(value)


def _one_of(name: str, given: Mapping[str, Json], key: str, allowed: Sequence[str]) -> None:
    if given.get(key) is not None and given[key] not in allowed:
        _fail(name, key, f"is {given[key]!r}, not one of {', '.join(allowed)}")


def _refuse_unknown(name: str, given: Mapping[str, Json], known: frozenset[str] | set[str]) -> None:
    unknown = sorted(set(given) - known)
    if unknown:
        _fail(name, unknown[0], f"is unknown; known are: {', '.join(sorted(known))}")


def _fail(name: str, key: str, problem: str) -> None:
    message = f"fault rule {name!r}: {key!r} {problem}"
    raise ValueError(message)


def draw(seed: int, name: str, occurrence: int) -> float:
    """A number from 0 to 1 that depends on these three alone."""
    digest = hashlib.blake2b(f"{seed}:{name}:{occurrence}".encode(), digest_size=8).digest()
    return int.from_bytes(digest) / 2.0**64
