"""Reading persons: by id, by filter, by list (facts/marketo-api.md section 5; M25-M33)."""

from __future__ import annotations

from include.sandbox.marketo import tokens
from include.sandbox.marketo.catalog import SALESFORCE_FILTERS, Field
from include.sandbox.marketo.identity import Permission
from include.sandbox.marketo.instance import Instance
from include.sandbox.marketo.people import COLUMNS, Projection, inside, person_of
from include.sandbox.marketo.routes import Route
from include.sandbox.marketo.wire import PAGE, Call, Refusal, Reply, as_integer, too_many
from include.sandbox.service import Json

MOST_MATCHES = 1000
LEAD = (Permission.READ_LEAD, Permission.WRITE_LEAD)


class PersonReading:
    """The read endpoints of persons."""

    def __init__(self, instance: Instance) -> None:
        """Keep the instance."""
        self._at = instance

    def routes(self) -> list[Route]:
        """Its resources."""
        return [
            Route("GET", "/rest/v1/lead/{id}.json", self.one, LEAD),
            Route("GET", "/rest/v1/leads.json", self.by_filter, LEAD),
            Route("GET", "/rest/v1/list/{id}/leads.json", self.of_list, LEAD),
            Route("GET", "/rest/v1/lists/{id}/leads.json", self.of_list, LEAD),
        ]

    def one(self, call: Call) -> Reply:
        """One person, or an empty result (M25)."""
        projection = Projection(self._at.catalog, call.many("fields"))
        with self._at.database.read() as connection:
            within = self._at.partitions.within(connection, call.user)
            person = self._at.people.get(connection, call.place("id"), within)
        return Reply([projection.record(person)] if person else [])

    def by_filter(self, call: Call) -> Reply:
        """Persons with one of the values, ascending by id, a page at a time (M26-M31)."""
        if call.text("filterType") in SALESFORCE_FILTERS:
            return self._nobody(call)
        field = self._filter_field(call)
        values = list(dict.fromkeys(call.many("filterValues")))
        if not values:
            raise Refusal("1003", "filterValues not specified")
        too_many(len(values), PAGE, "filterValues")
        if field.data_type in {"integer", "reference"}:
            values = list(dict.fromkeys(str(as_integer(value)) for value in values))
        projection = Projection(self._at.catalog, call.many("fields"))
        size, token = call.batch_size(), call.text("nextPageToken")
        (after,) = self._at.tokens.read(tokens.PEOPLE, token) if token else (0,)
        self._at.people.prepare(field)
        with self._at.database.read() as connection:
            within = self._at.partitions.within(connection, call.user)
            if self._at.people.count_matching(connection, field, values, MOST_MATCHES + 1, within) > MOST_MATCHES:
                raise Refusal("1003", "Too many results match the filter")
            people = self._at.people.matching(connection, field, values, after, size + 1, within)
        records = [projection.record(person) for person in people[:size]]
        more = {"nextPageToken": self._at.tokens.write(tokens.PEOPLE, people[size - 1].id)} if people[size:] else {}
        return Reply(records, more)

    def _nobody(self, call: Call) -> Reply:
        """What a legal filter finds that no person can match."""
        Projection(self._at.catalog, call.many("fields"))
        if not call.many("filterValues"):
            raise Refusal("1003", "filterValues not specified")
        return Reply([])

    def _filter_field(self, call: Call) -> Field:
        name = call.required("filterType")
        field = self._at.catalog.get("cookies" if name == "cookie" else name)
        if field is None or not field.searchable:
            raise Refusal("1011", f"Field '{name}' not supported")
        return field

    def of_list(self, call: Call) -> Reply:
        """Members of a static list, ascending by id (M32)."""
        list_id = call.place("id")
        projection = Projection(self._at.catalog, call.many("fields"))
        size, token = call.batch_size(), call.text("nextPageToken")
        (after,) = self._at.tokens.read(tokens.MEMBERS, token) if token else (0,)
        columns = ", ".join(f"person.{column}" for column in COLUMNS.split(", "))
        with self._at.database.read() as connection:
            sql = (
                f"SELECT {columns} FROM member JOIN person ON person.id = member.person_id"  # noqa: S608
                f" WHERE member.list_id = ? AND member.person_id > ?"
                f"{inside(self._at.partitions.within(connection, call.user))} ORDER BY member.person_id LIMIT ?"
            )
            self._at.lists.need(connection, list_id)
            people = [person_of(row) for row in connection.execute(sql, (list_id, after, size + 1))]
        records: list[Json] = [projection.record(person) for person in people[:size]]
        more = {"nextPageToken": self._at.tokens.write(tokens.MEMBERS, people[size - 1].id)} if people[size:] else {}
        return Reply(records, more)
