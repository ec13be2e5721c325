"""Companies, opportunities and sales persons under a native CRM sync (facts/marketo-api.md 6.3; M52).

The sandbox keeps none of them: reads find nothing. With the native sync on, writes answer 1018 as
the real service does; without it they answer 703, for these objects are not part of the sandbox.
"""

from __future__ import annotations

from include.sandbox.marketo.identity import Permission
from include.sandbox.marketo.instance import Instance
from include.sandbox.marketo.routes import Body, Route
from include.sandbox.marketo.wire import Call, Refusal, Reply

_RESOURCES = {
    "companies": (Permission.READ_COMPANY, Permission.WRITE_COMPANY),
    "opportunities": (Permission.READ_OPPORTUNITY, Permission.WRITE_OPPORTUNITY),
    "opportunities/roles": (Permission.READ_OPPORTUNITY, Permission.WRITE_OPPORTUNITY),
    "salespersons": (Permission.READ_SALES_PERSON, Permission.WRITE_SALES_PERSON),
}


class Companies:
    """The CRM-owned objects."""

    def __init__(self, instance: Instance) -> None:
        """Keep the instance."""
        self._at = instance

    def routes(self) -> list[Route]:
        """Its resources."""
        found: list[Route] = []
        for name, (read, write) in _RESOURCES.items():
            found.append(Route("GET", f"/rest/v1/{name}.json", self.read, (read, write)))
            found.extend(
                Route("POST", f"/rest/v1/{name}{ending}.json", self.write, (write,), Body.JSON)
                for ending in ("", "/delete")
            )
        return found

    def read(self, call: Call) -> Reply:
        """Nothing is ever found."""
        call.required("filterType")
        if not call.many("filterValues"):
            raise Refusal("1003", "filterValues not specified")
        return Reply([])

    def write(self, call: Call) -> Reply:
        """Refused either way."""
        call.input(call.json(), "Records not specified")
        if self._at.options.native_sync:
            raise Refusal("1018", "CRM Enabled")
        raise Refusal("703", "feature is not enabled")
