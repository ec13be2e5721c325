"""What each vendor's error code means, as data: one table per vendor, one line per code.

Sources: Marketo "Error codes" (https://experienceleague.adobe.com/en/docs/marketo-developer/marketo/rest/error-codes,
facts/marketo-api §3); Dataverse "Web service error codes" and "API limits"
(https://learn.microsoft.com/power-apps/developer/data-platform/reference/web-service-error-codes, …/api-limits,
facts/dataverse-api §11, §12); Entra error codes (facts/dataverse-api §1.3).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from include.leadsync.errors import (
    AccessRefused,
    FixConfiguration,
    LeadSyncError,
    RowFailed,
    ServiceUnavailable,
    Throttled,
)


class Action(StrEnum):
    """What happens next."""

    RETRY = "retry"  # the same call later
    RENEW_TOKEN = "renew_token"  # noqa: S105 - a new token, then the same call once
    THROTTLE = "throttle"  # the same call after a wait that everybody keeps
    ROW = "row"  # this record is refused; its data must change
    CONFIGURATION = "configuration"  # a human must change rights, settings or the field map
    CONFLICT = "conflict"  # somebody else wrote first; read and merge again
    GONE = "gone"  # the record is not there (any more)
    EXISTS = "exists"  # the record is there already
    RESYNC = "resync"  # the cursor is dead; read in full
    BUG = "bug"  # we asked wrongly


class Owner(StrEnum):
    """Who must act."""

    NOBODY = "nobody"  # it passes, or the engine deals with it
    ADMIN = "admin"  # who administers the service or this installation
    DATA = "data"  # who owns the record
    DEVELOPER = "developer"  # us


@dataclass(frozen=True, slots=True)
class VendorCode:
    """One code. `text` tells a human what to do; `page` names the vendor page; `wait` is in seconds."""

    code: str
    action: Action
    owner: Owner
    text: str
    page: str
    wait: float | None = None


_OWNER: Final = {
    Action.ROW: Owner.DATA,
    Action.CONFIGURATION: Owner.ADMIN,
    Action.BUG: Owner.DEVELOPER,
}
_M, _D, _L, _E = "marketo error-codes", "dataverse web-service-error-codes", "dataverse api-limits", "entra error-codes"
_RIGHTS = "Give the role of the API user the permissions listed in docs (read-write lead, activity, schema)"
_APP_USER = "Give the application user an enabled account and a security role with organisation-level rights"


def _table(page: str, *rows: tuple[str, Action, str] | tuple[str, Action, str, float]) -> dict[str, VendorCode]:
    codes = (
        VendorCode(row[0], row[1], _OWNER.get(row[1], Owner.NOBODY), row[2], page, row[3] if len(row) > 3 else None)
        for row in rows
    )
    return {code.code: code for code in codes}


MARKETO: Final = _table(
    _M,
    ("500", Action.RETRY, "Internal error at Marketo"),
    ("502", Action.RETRY, "Gateway time-out at Marketo"),
    ("600", Action.RENEW_TOKEN, "No token was sent"),
    ("601", Action.RENEW_TOKEN, "The token is unknown"),
    ("602", Action.RENEW_TOKEN, "The token has expired"),
    ("603", Action.CONFIGURATION, f"{_RIGHTS}, and put this host on the IP allow-list if there is one"),
    ("604", Action.RETRY, "Marketo took too long"),
    ("605", Action.BUG, "Wrong HTTP method"),
    ("606", Action.THROTTLE, "100 calls in 20 seconds used up", 20.0),
    ("607", Action.THROTTLE, "The day's calls are used up; they come back at midnight US Central time"),
    ("608", Action.RETRY, "Marketo is under maintenance"),
    ("609", Action.BUG, "The body is not JSON"),
    ("610", Action.BUG, "No such address"),
    ("611", Action.RETRY, "System error at Marketo"),
    ("612", Action.BUG, "Wrong content type"),
    ("613", Action.BUG, "Malformed upload"),
    ("614", Action.RETRY, "The instance cannot be reached; check the host's Munchkin id if this lasts"),
    ("615", Action.THROTTLE, "10 calls are running already", 2.0),
    ("616", Action.CONFIGURATION, "The subscription lacks this feature"),
    ("701", Action.ROW, "A required value is blank"),
    ("702", Action.GONE, "No data found"),
    ("703", Action.CONFIGURATION, "The subscription lacks this feature"),
    ("704", Action.BUG, "Wrong date format"),
    ("709", Action.ROW, "A business rule of Marketo forbids it"),
    ("713", Action.RETRY, "Transient error at Marketo"),
    ("719", Action.RETRY, "Lock wait time-out at Marketo"),
    ("1001", Action.BUG, "A parameter has the wrong type"),
    ("1002", Action.BUG, "A parameter is missing"),
    ("1003", Action.ROW, "A value does not fit its field"),
    ("1004", Action.GONE, "No such person"),
    ("1005", Action.EXISTS, "The person exists already"),
    ("1006", Action.CONFIGURATION, "A field of the map does not exist in Marketo; create it or correct the map"),
    ("1007", Action.ROW, "Several persons match; merge the duplicates in Marketo"),
    ("1008", Action.CONFIGURATION, "Give the API user access to the person's partition"),
    ("1009", Action.CONFIGURATION, "A partition must be named"),
    ("1010", Action.CONFIGURATION, "The API user may not move persons between partitions"),
    ("1011", Action.CONFIGURATION, "The field cannot be searched; choose one that describe2 lists as searchable"),
    ("1012", Action.BUG, "Invalid cookie value"),
    ("1013", Action.GONE, "No such list, campaign or object"),
    ("1014", Action.RETRY, "Marketo could not create the object"),
    ("1015", Action.GONE, "The person is not in the list"),
    ("1016", Action.RETRY, "10 imports are queued already", 60.0),
    ("1017", Action.EXISTS, "The object exists already"),
    ("1018", Action.CONFIGURATION, "A native CRM sync owns this object"),
    ("1019", Action.RETRY, "The list is being imported to", 60.0),
    ("1021", Action.ROW, "The person's company cannot be updated through the person"),
    ("1022", Action.EXISTS, "The object is in use"),
    ("1026", Action.CONFIGURATION, "The subscription lacks custom objects"),
    ("1027", Action.CONFIGURATION, "The instance has its 10 custom activity types already"),
    ("1028", Action.CONFIGURATION, "The activity type has its 20 attributes already"),
    ("1029", Action.RETRY, "The export queue is full or the day's 500 MB are used up", 60.0),
    ("1035", Action.CONFIGURATION, "The subscription cannot filter exports by this; use createdAt or a static list"),
    ("1036", Action.ROW, "The same key twice in one call"),
    ("1049", Action.ROW, "The activity's attributes exceed 65,536 bytes"),
    ("1080", Action.BUG, "More than 25 persons to merge"),
)
"""Marketo's codes. The same code occurs for a whole response and for one record; `ROW` codes of a whole response
mean that nothing was done."""

DYNAMICS: Final = _table(
    _D,
    ("0x80040217", Action.GONE, "The row does not exist"),
    ("0x80060891", Action.GONE, "No row has this key"),
    ("0x80060888", Action.CONFIGURATION, "A table or column does not exist; correct the field map"),
    ("0x8006088a", Action.BUG, "The query is not understood"),
    ("0x80048d19", Action.ROW, "A value has the wrong type for its column, or the column does not exist"),
    ("0x80044331", Action.ROW, "A text is too long for its column"),
    ("0x8004431a", Action.ROW, "The choice column has no such option"),
    ("0x8004432f", Action.ROW, "A number is outside the column's range"),
    ("0x80044330", Action.ROW, "A number is outside the column's range"),
    ("0x80040317", Action.ROW, "An amount is outside the range of money columns"),
    ("0x80040239", Action.ROW, "A date is unreadable or before 1753"),
    ("0x80040203", Action.ROW, "A system column cannot be empty, or an argument is wrong"),
    ("0x80040278", Action.ROW, "A text contains control characters"),
    ("0x80048408", Action.ROW, "The status reason does not belong to the status"),
    ("0x80040265", Action.ROW, "A business rule or plug-in of this organisation refused the row"),
    ("0x80040224", Action.RETRY, "A plug-in of this organisation crashed"),
    ("0x80040216", Action.RETRY, "Unexpected error at Dynamics"),
    ("0x80040333", Action.ROW, "A duplicate detection rule refused the row"),
    ("0x80040237", Action.EXISTS, "A row with this key exists already"),
    ("0x80060892", Action.EXISTS, "A row with this alternate key exists already"),
    ("0x80060882", Action.CONFLICT, "The row was changed since it was read"),
    ("0x80060883", Action.BUG, "The row version is missing"),
    ("0x8006088d", Action.CONFIGURATION, "Optimistic concurrency is off for this table; switch it on"),
    ("0x80060890", Action.CONFIGURATION, "The alternate key is not defined or its index is not active"),
    ("0x80040220", Action.CONFIGURATION, f"A privilege is missing. {_APP_USER}"),
    ("0x80040231", Action.CONFIGURATION, "The owner to be lacks rights on the table"),
    ("0x80048306", Action.CONFIGURATION, f"No access to the row. {_APP_USER}"),
    ("0x80040256", Action.CONFIGURATION, f"No access. {_APP_USER}"),
    ("0x80072560", Action.CONFIGURATION, f"The application is no user of this organisation. {_APP_USER}"),
    ("0x80042f09", Action.CONFIGURATION, f"The user has no role. {_APP_USER}"),
    ("0x80040225", Action.CONFIGURATION, "The user is disabled; enable it"),
    ("0x8004d24b", Action.CONFIGURATION, "The user has no licence; assign one"),
    ("0x80040230", Action.ROW, "The row is inactive"),
    ("0x80040227", Action.ROW, "Other rows still refer to this one"),
    ("0x80040519", Action.ROW, "The lead is closed already"),
    ("0x80040518", Action.ROW, "The lead is open already"),
    ("0x80081018", Action.CONFIGURATION, "No right to create accounts when a lead is qualified"),
    ("0x80044352", Action.RESYNC, "The change tracking token has expired"),
    ("0x80072491", Action.CONFIGURATION, "Switch on change tracking for this table"),
    ("0x8004e023", Action.BUG, "The query aggregates too many rows"),
    ("0x80041102", Action.BUG, "The query names no known table"),
    ("0x80041103", Action.CONFIGURATION, "The query names no known column; correct the field map"),
    ("0x80044150", Action.RETRY, "SQL error at Dynamics"),
    ("0x80044151", Action.RETRY, "SQL time-out at Dynamics"),
    ("0x80040255", Action.RETRY, "The transaction was aborted"),
    ("0x8004418a", Action.BUG, "The request is too large"),
    ("0x8004a101", Action.RENEW_TOKEN, "The token has expired"),
) | _table(
    _L,
    ("0x80072322", Action.THROTTLE, "6,000 requests in 5 minutes used up", 30.0),
    ("0x80072321", Action.THROTTLE, "20 minutes of execution time in 5 minutes used up", 30.0),
    ("0x80072326", Action.THROTTLE, "52 requests are running already", 5.0),
    ("0x8005f103", Action.THROTTLE, "Too many requests", 30.0),
    ("0x80060308", Action.THROTTLE, "Too many requests", 30.0),
)
"""Dataverse codes, lower case (§2.4: compare case-insensitively)."""

IDENTITY: Final = _table(
    _E,
    ("7000215", Action.CONFIGURATION, "The client secret is wrong; enter the secret's value, not its id"),
    ("7000222", Action.CONFIGURATION, "The client secret has expired; create a new one"),
    ("7000218", Action.CONFIGURATION, "The client secret is missing"),
    ("700016", Action.CONFIGURATION, "The application is not registered in this tenant; check client id and tenant id"),
    ("90002", Action.CONFIGURATION, "The tenant does not exist; check the tenant id"),
    ("70011", Action.CONFIGURATION, "The scope is malformed; check the connection's host"),
    ("1002012", Action.CONFIGURATION, "The scope must end in /.default; check the connection's host"),
    ("500011", Action.CONFIGURATION, "The organisation is unknown in this tenant; check the connection's host"),
    ("65001", Action.CONFIGURATION, "An administrator must consent to the application"),
    ("90033", Action.RETRY, "The identity service is unavailable"),
    ("90006", Action.RETRY, "The identity service is unavailable"),
    ("90024", Action.RETRY, "The identity service is unavailable"),
)
"""Entra's AADSTS numbers at the Dynamics token endpoint."""

WRONG_NAMES: Final = frozenset({"1006", "1011", "0x80060888", "0x80041103"})
"""`CONFIGURATION` codes that no right would mend: the map names what is not there."""


def marketo(code: str) -> VendorCode:
    """The meaning of a Marketo code; an unknown one refuses its record or call and says so."""
    return MARKETO.get(code) or VendorCode(code, Action.ROW, Owner.DATA, "A code this version does not know", _M)


def dynamics(code: str | None) -> VendorCode | None:
    """The meaning of a Dataverse code in any case, None if unknown (then the HTTP status decides)."""
    return DYNAMICS.get((code or "").lower())


def refusal(system: str, meaning: VendorCode, message: str, *, after: float | None = None) -> LeadSyncError:
    """The error for a refused call; `CONFLICT`, `GONE`, `EXISTS` and `ROW` become `RowFailed`.

    `CONFIGURATION` is `AccessRefused`, or plain `FixConfiguration` where a name of the field map does not exist.

    `RENEW_TOKEN` and `RESYNC` need context and are dealt with by the caller; here they are `AccessRefused`
    and `FixConfiguration`.
    """
    wait = after if after is not None else meaning.wait
    text = f"{system} answered {meaning.code} ({message}): {meaning.text}"
    match meaning.action:
        case Action.RETRY:
            return ServiceUnavailable(text, after=wait)
        case Action.THROTTLE:
            return Throttled(text, after=wait)
        case Action.CONFIGURATION if meaning.code in WRONG_NAMES:
            return FixConfiguration(text)
        case Action.CONFIGURATION | Action.RENEW_TOKEN:
            return AccessRefused(system, meaning.code, message, meaning.text)
        case Action.BUG | Action.RESYNC:
            return FixConfiguration(f"{text}. Nothing was done; please report this with the log of the run")
        case _:
            return RowFailed(meaning.code, message or meaning.text)
