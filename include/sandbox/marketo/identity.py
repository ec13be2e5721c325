"""Tokens, custom services and the permissions of API users (facts/marketo-api.md section 2; M1-M8)."""

from __future__ import annotations

import secrets
import threading
from collections.abc import Collection, Iterable
from datetime import UTC, datetime
from enum import StrEnum

import msgspec

from include.sandbox.marketo.database import Database
from include.sandbox.marketo.options import Options
from include.sandbox.marketo.wire import Call, Refusal, json_response
from include.sandbox.service import Json, Response

QUERY_TOKEN_UNTIL = datetime(2026, 9, 1, tzinfo=UTC)
"""`access_token` in the query works to the end of 31 August 2026."""
UNCACHED = (
    ("Cache-Control", "no-store"), ("Pragma", "no-cache"), ("X-XSS-Protection", "1; mode=block"),
    ("X-Frame-Options", "DENY"), ("X-Content-Type-Options", "nosniff"),
)  # fmt: skip
"""Headers of every identity answer, as recorded."""


class Permission(StrEnum):
    """Permissions of a role, as the documentation names them."""

    READ_LEAD = "Read-Only Lead"
    WRITE_LEAD = "Read-Write Lead"
    READ_ACTIVITY = "Read-Only Activity"
    WRITE_ACTIVITY = "Read-Write Activity"
    ACTIVITY_METADATA = "Read-Write Activity Metadata"
    READ_ASSETS = "Read-Only Assets"
    WRITE_ASSETS = "Read-Write Assets"
    STANDARD_FIELDS = "Read-Write Schema Standard Field"
    CUSTOM_FIELDS = "Read-Write Schema Custom Field"
    READ_COMPANY = "Read-Only Company"
    WRITE_COMPANY = "Read-Write Company"
    READ_OPPORTUNITY = "Read-Only Opportunity"
    WRITE_OPPORTUNITY = "Read-Write Opportunity"
    READ_SALES_PERSON = "Read-Only Sales Person"
    WRITE_SALES_PERSON = "Read-Write Sales Person"
    READ_NAMED_ACCOUNT = "Read-Only Named Account"
    WRITE_NAMED_ACCOUNT = "Read-Write Named Account"
    READ_CUSTOM_OBJECT = "Read-Only Custom Object"
    WRITE_CUSTOM_OBJECT = "Read-Write Custom Object"
    EXECUTE_CAMPAIGN = "Execute Campaign"


ASSETS = (Permission.READ_ASSETS, Permission.WRITE_ASSETS)
"""Either permits reading assets, and the memberships of a person."""
SERVICES = (("sandbox", "sandbox", "sync-api@example.test"), ("other", "other", "other-api@example.test"))
"""Client id, secret and API user of the two custom services a new instance has."""


class Identity:
    """The token endpoint and the check of tokens."""

    def __init__(self, database: Database, options: Options) -> None:
        """Give a new instance its custom services."""
        self._database = database
        self._options = options
        self._lock = threading.Lock()
        everything = msgspec.json.encode(sorted(Permission)).decode()
        with database.write() as connection:
            connection.executemany("INSERT OR IGNORE INTO client VALUES (?, ?, ?)", SERVICES)
            users = [(user, everything) for _, _, user in SERVICES]
            connection.executemany("INSERT OR IGNORE INTO api_user VALUES (?, ?)", users)

    def token(self, call: Call) -> Response:
        """`/identity/oauth/token`: query or form (M1)."""
        grant = call.text("grant_type")
        if grant is None:
            return _refused(400, "invalid_request", "Missing grant type")
        if grant != "client_credentials":
            return _refused(400, "unsupported_grant_type", f"Unsupported grant type: {grant}")
        client, secret = call.text("client_id") or "", call.text("client_secret") or ""
        with self._database.read() as connection:
            row = connection.execute("SELECT secret, user FROM client WHERE client_id = ?", (client,)).fetchone()
        if row is None:
            return _refused(401, "unauthorized", f"No client with requested id: {client}")
        if not secrets.compare_digest(row[0].encode(), secret.encode()):
            return _refused(401, "invalid_client", "Bad client credentials")
        token, left = self._issue(client, row[1], call.now.timestamp())
        body = {"access_token": token, "token_type": "bearer", "expires_in": left, "scope": row[1]}
        return json_response(body, headers=UNCACHED)

    def _issue(self, client: str, user: str, now: float) -> tuple[str, int]:
        """The live token of a service, or a new one; with its whole seconds to live (M2)."""
        live = "SELECT token, expires FROM token WHERE client_id = ? AND expires > ? ORDER BY expires DESC LIMIT 1"
        with self._database.write() as connection:
            row = connection.execute(live, (client, now)).fetchone()
            if row is None:
                row = (f"{new_uuid()}:int", now + self._options.token_lifetime)
                connection.execute("INSERT INTO token VALUES (?, ?, ?, ?)", (row[0], client, user, row[1]))
        return row[0], int(row[1] - now)

    def has_token(self, call: Call) -> bool:
        """Whether the call carries a token at all."""
        return self._sent(call) is not None

    def authenticate(self, call: Call) -> str:
        """The API user of the call's token (M5-M7).

        Raises:
            Refusal: 603 without a token, 602 on the first use after expiry, 601 for any other unknown token.
        """
        token = self._sent(call)
        if token is None:
            raise Refusal("603", "Access denied")
        with self._database.read() as connection:
            row = connection.execute("SELECT user, expires FROM token WHERE token = ?", (token,)).fetchone()
        if row is None:
            raise Refusal("601", "Access token invalid")
        if row[1] <= call.now.timestamp():
            with self._database.write() as connection:
                told = connection.execute("DELETE FROM token WHERE token = ?", (token,)).rowcount
            raise Refusal("602", "Access token expired") if told else Refusal("601", "Access token invalid")
        user: str = row[0]
        return user

    def _sent(self, call: Call) -> str | None:
        scheme, _, token = call.request.header("authorization").partition(" ")
        if scheme.lower() == "bearer" and token.strip():
            return token.strip()
        mode = self._options.query_token
        allowed = mode == "on" or (mode == "auto" and call.now < QUERY_TOKEN_UNTIL)
        return call.text("access_token") if allowed else None

    def permit(self, user: str, any_of: Collection[Permission]) -> None:
        """Refuse a user who has none of the permissions (603, M6); an empty collection asks for none."""
        if any_of and not set(any_of) & self.permissions(user):
            raise Refusal("603", "Access denied")

    def permissions(self, user: str) -> set[str]:
        """What a user may do."""
        with self._database.read() as connection:
            row = connection.execute("SELECT permissions FROM api_user WHERE user = ?", (user,)).fetchone()
        return set(msgspec.json.decode(row[0])) if row else set()

    def set_permissions(self, user: str, names: Iterable[str], *, granted: bool) -> list[str]:
        """Give or take permissions of an API user, named by itself or by its client id; returns those it then has.

        Raises `ValueError` for an unknown user or permission.
        """
        asked = {Permission(name).value for name in names}
        user = self.known_user(user)
        with self._lock:
            present = self.permissions(user)
            after = sorted(present | asked if granted else present - asked)
            with self._database.write() as connection:
                body = msgspec.json.encode(after).decode()
                connection.execute("INSERT OR REPLACE INTO api_user VALUES (?, ?)", (user, body))
        return after

    def known_user(self, name: str) -> str:
        """An API user, named by itself or by its client id; raises `ValueError` for an unknown one."""
        sql = "SELECT user FROM client WHERE client_id = ? UNION SELECT user FROM api_user WHERE user = ?"
        with self._database.read() as connection:
            row = connection.execute(sql, (name, name)).fetchone()
        if row is None:
            message = f"unknown API user {name!r}"
            raise ValueError(message)
        return str(row[0])

    def expire_tokens(self, now: float) -> int:
        """Every live token ends now: its next use answers 602."""
        with self._database.write() as connection:
            return connection.execute("UPDATE token SET expires = ? WHERE expires > ?", (now, now)).rowcount

    def revoke_tokens(self) -> int:
        """Every token is forgotten: its next use answers 601."""
        with self._database.write() as connection:
            return connection.execute("DELETE FROM token").rowcount


def new_uuid() -> str:
    """A random identifier in the usual five groups."""
    digits = secrets.token_hex(16)
    return "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))


def _refused(status: int, error: str, description: str) -> Response:
    body: Json = {"error": error, "error_description": description}
    return json_response(body, status=status, headers=UNCACHED)
