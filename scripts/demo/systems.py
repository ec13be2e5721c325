"""Both systems as their own users see them: a marketer's and a salesperson's hands, over HTTP.

Nothing of the engine is used here: what the sync did is read back through the systems' own APIs.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

import requests

Json = Any
_TIMEOUT = 30.0


class Marketo:
    """The Marketo side, as a second integration (client "other") and as a marketer."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._http = requests.Session()
        self._http.trust_env = False
        grant = {"grant_type": "client_credentials", "client_id": "other", "client_secret": "other"}
        token = self._http.get(f"{url}/identity/oauth/token", params=grant, timeout=_TIMEOUT).json()["access_token"]
        self._http.headers["Authorization"] = f"Bearer {token}"

    def call(self, method: str, path: str, body: Json = None, **query: Json) -> Json:
        """One call of the REST API; the decoded answer. Raises `AssertionError` for a refusal."""
        answer = self._http.request(method, f"{self.url}{path}", params=query, json=body, timeout=_TIMEOUT).json()
        assert answer.get("success"), answer
        return answer

    def control(self, command: str, arguments: Mapping[str, Json]) -> Json:
        """One command of the sandbox's control endpoint."""
        return _control(self._http, self.url, command, arguments)

    def person(self, person_id: int, *fields: str) -> dict[str, Json]:
        """A person's fields; empty when there is no such person."""
        return self._first(filterType="id", filterValues=person_id, fields=",".join(fields) or "id")

    def person_of(self, crm_id: str, *fields: str) -> dict[str, Json]:
        """The person that carries a CRM id; empty when there is none."""
        return self._first(filterType="microsoftId", filterValues=crm_id, fields=",".join(("id", *fields)))

    def _first(self, **query: Json) -> dict[str, Json]:
        found = self.call("GET", "/rest/v1/leads.json", **query)["result"]
        return dict(found[-1]) if found else {}

    def add(self, **values: Json) -> int:
        """A new person."""
        body = {"action": "createDuplicate", "input": [values]}
        return int(self.call("POST", "/rest/v1/leads.json", body)["result"][0]["id"])

    def edit(self, person_id: int, **values: Json) -> None:
        """An edit as by a marketer in the user interface."""
        self.control("edit_person", {"id": person_id, "values": values})

    def by_email(self, email: str) -> list[dict[str, Json]]:
        """Persons with this e-mail address."""
        return list(self.call("GET", "/rest/v1/leads.json", filterType="email", filterValues=email)["result"])

    def merge(self, winner: int, loser: int) -> None:
        """Merge two persons; the winner keeps its id."""
        self.call("POST", f"/rest/v1/leads/{winner}/merge.json", leadId=loser)

    def delete(self, person_id: int) -> None:
        """Delete a person."""
        self.call("POST", "/rest/v1/leads/delete.json", {"input": [{"id": person_id}]})

    def outcomes(self, person_id: int) -> list[str]:
        """What the sync wrote into the person's activity log, in order: "failed: title"."""
        return [str(row["primaryAttributeValue"]) for row in self._activities(person_id)]

    def reasons(self, person_id: int) -> str:
        """Why, in the words of that log."""
        told = [{a["name"]: a["value"] for a in row["attributes"]} for row in self._activities(person_id)]
        return " · ".join(str(attributes.get("Message")) for attributes in told)

    def _activities(self, person_id: int) -> list[dict[str, Json]]:
        kinds = {k["apiName"]: k["id"] for k in self.call("GET", "/rest/v1/activities/external/types.json")["result"]}
        start = self.call("GET", "/rest/v1/activities/pagingtoken.json", sinceDatetime="2020-01-01T00:00:00Z")
        rows = self.call(
            "GET",
            "/rest/v1/activities.json",
            nextPageToken=start["nextPageToken"],
            activityTypeIds=kinds["leadSyncOutcome"],
            leadIds=person_id,
        ).get("result", [])
        return list(rows)


class Dynamics:
    """The Dynamics side, as a second application (client "other") and as a salesperson."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._http = requests.Session()
        self._http.trust_env = False
        form = {
            "grant_type": "client_credentials",
            "client_id": "other",
            "client_secret": "other",
            "scope": f"{url}/.default",
        }
        token = self._http.post(f"{url}/sandbox/oauth2/v2.0/token", data=form, timeout=_TIMEOUT).json()["access_token"]
        self._http.headers.update({"Authorization": f"Bearer {token}", "Accept": "application/json"})
        self._http.headers.update({"OData-Version": "4.0", "OData-MaxVersion": "4.0"})

    def call(self, method: str, path: str, body: Json = None, headers: Mapping[str, str] | None = None) -> Json:
        """One call of the Web API; the decoded answer, None without one."""
        answer = self._http.request(
            method, f"{self.url}/api/data/v9.2/{path}", json=body, headers=dict(headers or {}), timeout=_TIMEOUT
        )
        assert answer.status_code < 400 or answer.status_code == 404, answer.text
        return answer.json() if answer.content and answer.status_code < 400 else None

    def control(self, command: str, arguments: Mapping[str, Json]) -> Json:
        """One command of the sandbox's control endpoint."""
        return _control(self._http, self.url, command, arguments)

    def row(self, table: str, row_id: str) -> dict[str, Json]:
        """A CRM record; empty when it does not exist."""
        return self.call("GET", f"{table}s({row_id})") or {}

    def find(self, table: str, condition: str, columns: str, most: int) -> list[dict[str, Json]]:
        """CRM records that match an OData filter."""
        path = f"{table}s?$select={columns}&$filter={quote(condition)}&$top={most}"
        return list(self.call("GET", path)["value"])

    def add(self, table: str, **values: Json) -> str:
        """A new CRM record."""
        made = self.call("POST", f"{table}s", values, {"Prefer": "return=representation"})
        return str(made[f"{table}id"])

    def edit(self, table: str, row_id: str, **values: Json) -> None:
        """An edit by a salesperson."""
        self.call("PATCH", f"{table}s({row_id})", values, {"If-Match": "*"})

    def qualify(self, lead_id: str) -> None:
        """Qualify a lead into a new contact."""
        body = {"CreateAccount": False, "CreateContact": True, "CreateOpportunity": False, "Status": -1}
        self.call("POST", f"leads({lead_id})/Microsoft.Dynamics.CRM.QualifyLead", body)

    def merge(self, table: str, keep: str, lose: str) -> None:
        """Merge two records of one table."""
        kind, key = f"Microsoft.Dynamics.CRM.{table}", f"{table}id"
        rows = {"Target": {"@odata.type": kind, key: keep}, "Subordinate": {"@odata.type": kind, key: lose}}
        self.call("POST", "Merge", {**rows, "PerformParentingChecks": False})

    def delete(self, table: str, row_id: str) -> None:
        """Delete a CRM record."""
        self.call("DELETE", f"{table}s({row_id})")


def _control(http: requests.Session, url: str, command: str, arguments: Mapping[str, Json]) -> Json:
    headers = {"X-Sandbox-Token": "sandbox"}
    answer = http.post(f"{url}/_sandbox/{command}", json=dict(arguments), headers=headers, timeout=_TIMEOUT)
    assert answer.ok, answer.text
    return answer.json()
