"""One call of the Web API on its way through the emulator."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol
from urllib.parse import parse_qsl

import msgspec

from include.sandbox.dynamics.errors import ServiceError, bad_query, missing_privilege, unsupported_message
from include.sandbox.dynamics.options import Options
from include.sandbox.dynamics.privilege_names import privilege
from include.sandbox.dynamics.schema import Schema, Table
from include.sandbox.dynamics.storage import Storage, Transaction
from include.sandbox.service import Json, Response

JSON_TYPE = "application/json; odata.metadata=minimal"
_OPTIONS = frozenset(
    {"$select", "$filter", "$orderby", "$top", "$count", "$expand", "$apply", "$skiptoken", "$deltatoken", "$id"}
)
encode = msgspec.json.Encoder(decimal_format="number").encode


@dataclass(slots=True)
class Caller:
    """Who acts: `user` counts for rights and stamps, `behind` is the application that impersonates it.

    `rights` maps a table name or `*` to verb -> `organization` or `user`; None means everything.
    """

    user: str
    behind: str | None = None
    rights: Mapping[str, Mapping[str, str]] | None = None

    def depth(self, verb: str, table: str) -> str | None:
        """How far a right reaches, or None without it."""
        if self.rights is None:
            return "organization"
        return self.rights.get(table, self.rights.get("*", {})).get(verb)


@dataclass(slots=True)
class Prefer:
    """The `Prefer` header; `applied` collects what the answer honours (V10)."""

    representation: bool = False
    page_size: int | None = None
    track_changes: bool = False
    continue_on_error: bool = False
    annotations: tuple[str, ...] = ()
    applied: list[str] = field(default_factory=list)

    def wants(self, annotation: str) -> bool:
        """Whether an annotation was asked for: by name, by `Namespace.*` or by `*`."""
        return any(
            asked in {"*", annotation} or (asked.endswith(".*") and annotation.startswith(asked[:-1]))
            for asked in self.annotations
        )


class World(Protocol):
    """What every call shares: the parts of the emulator."""

    storage: Storage

    @property
    def schema(self) -> Schema:
        """The schema in force."""
        ...

    @property
    def options(self) -> Options:
        """The settings in force."""
        ...

    def now(self) -> datetime:
        """Sandbox time."""
        ...

    def change_schema(self, changes: Sequence[tuple[str, Mapping[str, Json]]]) -> None:
        """Change the schema, all or none; raises `ValueError` or `KeyError` for what makes no sense."""
        ...

    def read_rights(self, connection: sqlite3.Connection, user: str) -> Mapping[str, Mapping[str, str]] | None:
        """The rights of a user; None means everything."""
        ...


@dataclass(slots=True)
class Call:
    """One request below the service root. `transaction` is set inside a change set or a bulk action."""

    world: World
    schema: Schema
    caller: Caller
    method: str
    path: str
    raw_path: str
    query: str
    headers: Mapping[str, str]
    body: bytes
    root: str
    transaction: Transaction | None = None
    references: dict[str, str] = field(default_factory=dict)
    prefer: Prefer = field(default_factory=Prefer)
    parameters: list[tuple[str, str]] = field(default_factory=list)
    in_batch: bool = False

    def __post_init__(self) -> None:
        self.prefer = parse_prefer(self.headers.get("prefer", ""))
        self.parameters = parse_qsl(self.query, keep_blank_values=True)

    def option(self, name: str) -> str | None:
        """A query option."""
        return next((value for key, value in self.parameters if key == name), None)

    def check_options(self) -> None:
        """Refuse `$` options that the service does not know or that come twice (V7, V22)."""
        seen: set[str] = set()
        for name, _ in self.parameters:
            if name in seen and name.startswith("$"):
                raise bad_query(
                    f"Query option '{name}' was specified more than once, but it must be specified at most once."
                )
            seen.add(name)
            if name == "$skip":
                raise bad_query("Skip Clause is not supported in CRM")
            if name.startswith("$") and name not in _OPTIONS:
                raise bad_query(f"The query parameter {name} is not supported.")

    def aliases(self) -> dict[str, str]:
        """Parameter aliases such as `@p1`."""
        return {name: value for name, value in self.parameters if name.startswith("@")}

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """A connection to read with: that of the running transaction, or a snapshot of its own."""
        if self.transaction is not None:
            yield self.transaction.connection
        else:
            with self.world.storage.read() as connection:
                yield connection

    @contextmanager
    def writing(self) -> Iterator[Transaction]:
        """The running transaction, or one of its own."""
        if self.transaction is not None:
            yield self.transaction
        else:
            with self.world.storage.write() as transaction:
                yield transaction

    def demand(self, verb: str, table: Table) -> str:
        """How far the caller's right reaches; raises 403 without it (V5), 400 for a write that no table takes."""
        if table.view and verb != "read":
            raise unsupported_message(verb.capitalize(), table.name)
        depth = self.caller.depth(verb, table.name)
        if depth is None:
            raise missing_privilege(self.caller.user, privilege(table, verb), table.name, table.type_code)
        return depth

    def cookie_secret(self, table: Table) -> str:
        """What page cookies of a table are signed with: one of another table is none."""
        return f"{self.world.storage.secret}:{table.name}"

    def address(self, table: Table, row_id: str) -> str:
        """The address of a row."""
        return f"{self.root}{table.set}({row_id})"

    def json(self, status: int, content: Json, headers: list[tuple[str, str]] | None = None) -> Response:
        """A JSON answer."""
        return Response(status, encode(content), [("Content-Type", JSON_TYPE), *(headers or [])])


def parse_prefer(header: str) -> Prefer:
    """Read the `Prefer` header; unknown preferences are ignored (section 2.1)."""
    prefer = Prefer()
    for part in _split(header):
        name, _, value = part.partition("=")
        name, value = name.strip().lower(), value.strip().strip('"')
        if name == "return":
            prefer.representation = value == "representation"
        elif name == "odata.maxpagesize":
            prefer.page_size = _page_size(value)
        elif name == "odata.track-changes":
            prefer.track_changes = True
        elif name == "odata.continue-on-error":
            prefer.continue_on_error = value.lower() != "false"
        elif name == "odata.include-annotations":
            prefer.annotations = tuple(entry.strip() for entry in value.split(",") if entry.strip())
    return prefer


def _page_size(value: str) -> int | None:
    return int(value) if value.isdigit() and int(value) > 0 else None


def _split(header: str) -> list[str]:
    parts, quoted = [""], False
    for char in header:
        if char == '"':
            quoted = not quoted
        if char == "," and not quoted:
            # Without quotes the list of annotations goes on: its names have no "=" and a dot or a star.
            parts.append("")
        else:
            parts[-1] += char
    return _rejoined(parts)


def _rejoined(parts: list[str]) -> list[str]:
    joined: list[str] = []
    for part in parts:
        continues = joined and "=" not in part and "include-annotations" in joined[-1] and _is_annotation(part.strip())
        if continues:
            joined[-1] += f",{part}"
        else:
            joined.append(part)
    return joined


def _is_annotation(name: str) -> bool:
    return name == "*" or name.startswith(("OData.Community.", "Microsoft."))


def not_implemented(what: str) -> ServiceError:
    """501 for what this emulator leaves out, said clearly."""
    return ServiceError(501, "0x80040216", f"{what} is not part of this sandbox.")
