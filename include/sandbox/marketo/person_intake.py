"""Persons that come with an event: push, form, associated cookie (facts/marketo-api.md 6.3; vendor page Leads)."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Mapping
from dataclasses import replace

from include.sandbox.marketo.feed import Activity
from include.sandbox.marketo.identity import Permission
from include.sandbox.marketo.instance import Instance
from include.sandbox.marketo.people import match_key
from include.sandbox.marketo.person_removal import as_person_id
from include.sandbox.marketo.person_sync import PersonSync
from include.sandbox.marketo.program_store import Program, status
from include.sandbox.marketo.routes import Body, Route
from include.sandbox.marketo.values import shown
from include.sandbox.marketo.wire import Call, Refusal, Reply
from include.sandbox.marketo.writer import Provenance
from include.sandbox.service import Json

WRITE = (Permission.WRITE_LEAD,)
FILL_OUT_FORM, PUSH_LEAD = 2, 145
COOKIES = "136"
FORM_SOURCE = "Web form fillout"
_COOKIE = re.compile(r"id:[A-Za-z0-9-]+&token:\S+\Z")
_VISIT = (("Client IP Address", "leadClientIpAddress"), ("Query Parameters", "queryString"),
          ("Referrer URL", "pageURL"), ("User Agent", "userAgentString"))  # fmt: skip
"""Attributes of Fill Out Form, and the member of visitorData that each comes from."""


class PersonIntake:
    """Push lead, submit form, associate lead."""

    def __init__(self, instance: Instance) -> None:
        """Keep the instance."""
        self._at = instance
        self._sync = PersonSync(instance)

    def routes(self) -> list[Route]:
        """Its resources."""
        return [
            Route("POST", "/rest/v1/leads/push.json", self.push, WRITE, Body.JSON),
            Route("POST", "/rest/v1/leads/submitForm.json", self.submit, WRITE, Body.JSON),
            Route("POST", "/rest/v1/leads/{id}/associate.json", self.associate, WRITE, Body.ANY),
        ]

    def push(self, call: Call) -> Reply:
        """Upsert, and one activity of the program for each person; with programStatus, membership too."""
        body = call.json()
        name, records = _member(body, "programName"), call.input(body, "Leads not specified")
        wanted = body.get("programStatus")
        to = status(shown(wanted)) if wanted else None
        if wanted and to is None:
            raise Refusal("1025", "Program status not found")
        batch = self._sync.batch(call, {**body, "action": "createOrUpdate"})
        told = {"Reason": _text(body.get("reason")), "Source": _text(body.get("source"))}

        def log(connection: sqlite3.Connection, result: Mapping[str, Json]) -> None:
            program: Program = self._at.programs.named(connection, name, call.second)
            pushed = Activity(PUSH_LEAD, result["id"], call.second, program.id, program.name, told)
            self._at.feed.append(connection, [pushed], call.second)
            if to is not None:
                acquired = result["status"] == "created"
                self._at.programs.place(connection, program.id, result["id"], to, call.second, acquired=acquired)

        return Reply(self._sync.run(batch, records, log))

    def submit(self, call: Call) -> Reply:
        """One form filled out by one person, found by e-mail; of duplicates the one changed last.

        Assumption: every form number exists and has every field, for the sandbox has no form editor.
        """
        body = call.json()
        form = as_person_id(body.get("formId"))
        if form is None:
            raise Refusal("1002", "Missing value for required parameter 'formId'")
        records = call.input(body, "Form input not specified")
        if len(records) != 1:
            raise Refusal("1003", "Exactly one form can be submitted")
        values = records[0].get("leadFormFields")
        if not isinstance(values, dict) or not values.get("email"):
            raise Refusal("1002", "Missing value for required parameter 'email'")
        sent = records[0].get("visitorData")
        visit = sent if isinstance(sent, dict) else {}
        cookie = records[0].get("cookie")
        if cookie:
            self._check_cookie(shown(cookie))
        page = _text(visit.get("pageURL")) or ""
        by = Provenance(source=FORM_SOURCE, reason=f"Form fill-out, URL: {page}", method="")
        batch = replace(self._sync.batch(call, {}), by=by, freshest=True)

        def log(connection: sqlite3.Connection, result: Mapping[str, Json]) -> None:
            told = {name: _text(visit.get(member)) for name, member in _VISIT}
            filled = Activity(FILL_OUT_FORM, result["id"], call.second, form, f"Form {form}",
                              {"Form Fields": _serialised(values), **told})  # fmt: skip
            self._at.feed.append(connection, [filled], call.second)
            if program := body.get("programId"):
                self._join(connection, program, result, call.second)
            if cookie:
                self._give(connection, result["id"], shown(cookie))

        return Reply(self._sync.run(batch, [values], log))

    def _join(self, connection: sqlite3.Connection, number: Json, result: Mapping[str, Json], now: int) -> None:
        member = status("Member")
        if isinstance(number, int) and not isinstance(number, bool) and 0 < number < 2**63 and member is not None:
            program = self._at.programs.numbered(connection, number, now)
            if self._at.programs.member(connection, program.id, result["id"]) is None:
                acquired = result["status"] == "created"
                self._at.programs.place(connection, program.id, result["id"], member, now, acquired=acquired)

    def associate(self, call: Call) -> Reply:
        """The cookie becomes the person's; whoever had it before loses it (1004, 1012)."""
        cookie, person = call.required("cookie"), call.place("id")
        self._check_cookie(cookie)
        with self._at.database.write() as connection:
            found = self._at.people.get(connection, person)
            if found is None:
                raise Refusal("1004", f"Lead '{person}' not found")
            self._at.partitions.check_whole(connection, call.user, found)
            self._give(connection, person, cookie)
        return Reply()

    def _check_cookie(self, value: str) -> None:
        """Refuse what is no Munchkin cookie, `id:MUNCHKIN-ID&token:TOKEN` (1012)."""
        if not _COOKIE.match(value):
            raise Refusal("1012", f"Invalid cookie value '{value[:300]}'")
        self._at.people.prepare(self._at.catalog.by_key[COOKIES])

    def _give(self, connection: sqlite3.Connection, person: int, cookie: str) -> None:
        """Assumption: the field holds the cookie of the last association, and its change is not logged."""
        field = self._at.catalog.by_key[COOKIES]
        owners = self._at.people.holders(connection, field, [cookie]).get(match_key(cookie), [])
        for one in self._at.people.get_many(connection, [*owners, person]):
            doc = {key: value for key, value in one.doc.items() if key != COOKIES}
            if one.id == person:
                doc[COOKIES] = cookie
            self._at.people.save(connection, one._replace(doc=doc))


def _member(body: Mapping[str, Json], name: str) -> str:
    value = body.get(name)
    if value is None or value == "":
        raise Refusal("1002", f"Missing value for required parameter '{name}'")
    return shown(value)


def _text(value: Json) -> str | None:
    return None if value is None or value == "" else shown(value)


def _serialised(values: Mapping[str, Json]) -> str:
    """Form values as the activity holds them: a serialised PHP array of text, as recorded."""

    def text(value: str) -> str:
        return f's:{len(value.encode(errors="surrogatepass"))}:"{value}";'

    pairs = "".join(text(name) + text(shown(value)) for name, value in values.items())
    return f"a:{len(values)}:{{{pairs}}}"
