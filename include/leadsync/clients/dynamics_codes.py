"""The error codes of Dataverse and of its token endpoint, one line each (facts/dataverse-api §1.3, §11, §12)."""

from __future__ import annotations

from typing import Final

from include.leadsync.clients.code_table import Action, table

_DOCS: Final = "https://learn.microsoft.com/power-apps/developer/data-platform"
_CODES: Final = f"{_DOCS}/reference/web-service-error-codes"
_LIMITS: Final = f"{_DOCS}/api-limits"
_ENTRA: Final = "https://learn.microsoft.com/entra/identity-platform/reference-error-codes"
_APP_USER: Final = "Give the application user an enabled account and a security role with organisation-level rights"

DYNAMICS: Final = table(
    _CODES,
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
    ("0x8004020d", Action.CONFIGURATION, f"No access. {_APP_USER}"),
    ("0x80040276", Action.CONFIGURATION, f"No access. {_APP_USER}"),
    ("0x8004049e", Action.CONFIGURATION, f"No access. {_APP_USER}"),
    ("0x80072560", Action.CONFIGURATION, f"The application is no user of this organisation. {_APP_USER}"),
    ("0x80042f09", Action.CONFIGURATION, f"The user has no role. {_APP_USER}"),
    ("0x80040225", Action.CONFIGURATION, "The user is disabled; enable it"),
    ("0x8004d24b", Action.CONFIGURATION, "The user has no licence; assign one"),
    ("0x80040230", Action.ROW, "The row is inactive"),
    ("0x80040227", Action.ROW, "Other rows still refer to this one"),
    ("0x8004023b", Action.ROW, "The row would be its own parent"),
    ("0x80040315", Action.ROW, "The row would be its own parent"),
    ("0x80040519", Action.ROW, "The lead is closed already"),
    ("0x80040518", Action.ROW, "The lead is open already"),
    ("0x80045300", Action.ROW, "The rows cannot be merged: one would become its own parent"),
    ("0x80045301", Action.ROW, "The rows cannot be merged: a right on one of them is missing"),
    ("0x80045302", Action.ROW, "The rows cannot be merged: one has an active quote"),
    ("0x80045303", Action.ROW, "The rows cannot be merged: they belong to different organisations"),
    ("0x80045304", Action.ROW, "The rows cannot be merged: one is not active"),
    ("0x80045305", Action.ROW, "The rows cannot be merged: they are the same row"),
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
    *(
        (code, Action.RENEW_TOKEN, "The token is not accepted")
        for code in (
            "0x80040204",
            "0x80040277",
            "0x80044300",
            "0x80044302",
            "0x80044308",
            "0x8004a100",
            "0x8004a102",
            "0x8004a103",
            "0x8004a104",
            "0x8004a105",
        )
    ),
) | table(
    _LIMITS,
    ("0x80072322", Action.THROTTLE, "6,000 requests in 5 minutes used up", 30.0),
    ("0x80072321", Action.THROTTLE, "20 minutes of execution time in 5 minutes used up", 30.0),
    ("0x80072326", Action.THROTTLE, "52 requests are running already", 5.0),
    ("0x8005f103", Action.THROTTLE, "Too many requests", 30.0),
    ("0x80060308", Action.THROTTLE, "Too many requests", 30.0),
)
"""Dataverse codes, lower case (§2.4: compare case-insensitively)."""

IDENTITY: Final = table(
    _ENTRA,
    ("7000215", Action.CONFIGURATION, "The client secret is wrong; enter the secret's value, not its id"),
    ("7000222", Action.CONFIGURATION, "The client secret has expired; create a new one"),
    ("7000218", Action.CONFIGURATION, "The client secret is missing"),
    ("700016", Action.CONFIGURATION, "The application is not registered in this tenant; check client id and tenant id"),
    ("90002", Action.CONFIGURATION, "The tenant does not exist; check the tenant id"),
    ("70011", Action.CONFIGURATION, "The scope is malformed; check the connection's host"),
    ("1002012", Action.CONFIGURATION, "The scope must end in /.default; check the connection's host"),
    ("500011", Action.CONFIGURATION, "The organisation is unknown in this tenant; check the connection's host"),
    ("65001", Action.CONFIGURATION, "An administrator must consent to the application"),
    *(
        (number, Action.CONFIGURATION, "The user cannot sign in; lead sync needs an application with a client secret")
        for number in ("50034", "50126", "50055", "50053", "50057", "50076", "50079")
    ),
    ("90033", Action.RETRY, "The identity service is unavailable"),
    ("90006", Action.RETRY, "The identity service is unavailable"),
    ("90024", Action.RETRY, "The identity service is unavailable"),
)
"""Entra's AADSTS numbers at the Dynamics token endpoint."""
