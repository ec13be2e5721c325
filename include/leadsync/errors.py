"""One tree of errors, branched by what happens next.

LeadSyncError
├── FixConfiguration     a human must change something; exit status 2, no retry
│   ├── ConfigurationInvalid   leadsync.yaml or the environment; lists every problem at once
│   ├── NameUnknown            a service does not know a field or column that was there; its metadata is read again
│   └── AccessRefused          wrong secret, missing right, unknown tenant
├── RetryLater           the same call may succeed later, nothing was lost
│   ├── Throttled              429, 606, 607, 615, or our own budget is used up
│   ├── ServiceUnavailable     5xx, 604, 608, 611, 713, 719
│   ├── ConnectionBroken       no complete answer; `maybe_committed` says whether a write may have happened
│   └── StateUnavailable       the state store cannot be reached or is locked
├── RowFailed            one record was refused; the others go on
├── ReadAgain            a cursor is no good any more; read in full, then go on
└── StopRun              this run must end now; what it staged is dropped, nothing is lost
    ├── AnotherRunAtWork       cursor race or lease lost: outcome "skipped" (DECISIONS 12, 14)
    ├── LeaseLost              another loader took over; its fencing number is higher (DECISIONS 13)
    └── AnswerMalformed        the service's answer cannot be read; nothing of it is used

Every message says what failed and what to do. Secrets never enter a message:
constructors take facts, and `redact` masks what a URL or header might carry.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime

_SECRET = re.compile(
    r"(?i)(client_secret|client_assertion|access_token|password|authorization|refresh_token|client_id)"
    r"(\"?\s*[=:]\s*\"?)(bearer\s+)?[^&\s\",;}]+"
)

_ADDRESS = re.compile(r"[\w.+-]+(?:@|%40)[\w-]+(?:\.[\w-]+)+")


def redact(text: str) -> str:
    """Mask the value of everything that looks like a credential, and e-mail addresses (P10)."""
    return _ADDRESS.sub("***@***", _SECRET.sub(lambda m: f"{m[1]}{m[2]}***", text))


class LeadSyncError(Exception):
    """Root of everything this project raises on purpose. Its text is redacted, whatever it was made from."""

    def __init__(self, *facts: object) -> None:
        super().__init__(*(redact(fact) if isinstance(fact, str) else fact for fact in facts))


class FixConfiguration(LeadSyncError):
    """A human must change something before a rerun can succeed (exit status 2)."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One mistake in the configuration: where it is, what is there and what belongs there."""

    file: str
    key: str
    found: str
    expected: str

    def __str__(self) -> str:
        return f"{self.file}: {self.key}: found {self.found}; expected {self.expected}"


class ConfigurationInvalid(FixConfiguration):
    """The configuration has mistakes; `problems` holds all of them."""

    def __init__(self, problems: list[Problem]) -> None:
        self.problems = list(problems)
        lines = "\n".join(f"  - {problem}" for problem in self.problems)
        super().__init__(f"{len(self.problems)} problem(s) in the configuration:\n{lines}")

    def __reduce__(self) -> tuple[type[ConfigurationInvalid], tuple[list[Problem]]]:
        return type(self), (self.problems,)


class NameUnknown(FixConfiguration):
    """A field or column of the map is not there. One that was there before is set aside, and the rest goes on (D67)."""


class AccessRefused(FixConfiguration):
    """A service refuses us: wrong secret, missing right, disabled user. `code` is the service's own."""

    def __init__(self, system: str, code: str, message: str, remedy: str) -> None:
        self.system, self.code, self.message, self.remedy = system, code, redact(message), remedy
        super().__init__(f"{system} refused access ({code}): {self.message}. {remedy}")

    def __reduce__(self) -> tuple[type[AccessRefused], tuple[str, str, str, str]]:
        return type(self), (self.system, self.code, self.message, self.remedy)


class RetryLater(LeadSyncError):
    """Nothing was lost; the same call may succeed later. `after` is in seconds, if the service told."""

    def __init__(self, message: str, *, after: float | None = None) -> None:
        self.after = after
        super().__init__(message)


class Throttled(RetryLater):
    """A limit of the service, or our share of it, is used up."""


class ServiceUnavailable(RetryLater):
    """The service answered that it cannot answer."""


class ConnectionBroken(RetryLater):
    """No complete answer arrived. With `maybe_committed` a write may have happened all the same."""

    def __init__(self, message: str, *, maybe_committed: bool, after: float | None = None) -> None:
        self.maybe_committed = maybe_committed
        super().__init__(message, after=after)


class StateUnavailable(RetryLater):
    """The state store cannot be reached, or stays locked."""


class RowFailed(LeadSyncError):
    """One record was refused; the others go on. `code` is the service's or the rule's own."""

    def __init__(self, code: str, message: str, *, field: str | None = None) -> None:
        self.code, self.message, self.field = code, message, field
        super().__init__(f"{code}: {message}")

    def __reduce__(self) -> tuple[type[RowFailed], tuple[str, str]]:
        return type(self), (self.code, self.message)


class ReadAgain(LeadSyncError):
    """A stored cursor is expired or rejected; the stream must be read in full (D91, M-15, V29)."""

    def __init__(self, stream: str, code: str, message: str) -> None:
        self.stream, self.code, self.message = stream, code, message
        super().__init__(f"cursor of {stream} is no longer valid ({code}): {message}; reading in full")

    def __reduce__(self) -> tuple[type[ReadAgain], tuple[str, str, str]]:
        return type(self), (self.stream, self.code, self.message)


class StopRun(LeadSyncError):
    """This run ends now; nothing it staged is used, nothing is lost."""


class AnotherRunAtWork(StopRun):
    """Another run holds the work; this one ends as skipped (DECISIONS 12, 14)."""


class LeaseLost(StopRun):
    """Another loader has taken over with a higher fencing number (DECISIONS 13)."""

    def __init__(self, name: str, fence: int, held_by: str, since: datetime | None = None) -> None:
        self.name, self.fence, self.held_by, self.since = name, fence, held_by, since
        super().__init__(f"lease {name!r} with fencing number {fence} is lost to {held_by}; nothing more is written")

    def __reduce__(self) -> tuple[type[LeaseLost], tuple[str, int, str, datetime | None]]:
        return type(self), (self.name, self.fence, self.held_by, self.since)


class AnswerMalformed(StopRun):
    """A service's answer cannot be read. Nothing of it is used; the next run asks again."""

    def __init__(self, system: str, what: str, excerpt: str) -> None:
        self.system, self.what, self.excerpt = system, what, redact(excerpt[:200])
        super().__init__(
            f"{system} sent an answer that cannot be read ({what}); nothing of it was used and the next run"
            f" asks again. It began: {self.excerpt!r}"
        )

    def __reduce__(self) -> tuple[type[AnswerMalformed], tuple[str, str, str]]:
        return type(self), (self.system, self.what, self.excerpt)
