"""Commands of the control endpoint: what a person, an administrator or misfortune does outside the API."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeAlias

from include.sandbox.marketo import extract_smart_lists
from include.sandbox.marketo.desk import Desk
from include.sandbox.marketo.feed import Activity
from include.sandbox.marketo.instance import Instance
from include.sandbox.marketo.values import accept, parse_moment
from include.sandbox.marketo.wire import Refusal, Skip
from include.sandbox.marketo.writer import Provenance
from include.sandbox.service import Json

Arguments: TypeAlias = Mapping[str, Json]


class Control:
    """The commands. Each takes and returns JSON."""

    def __init__(self, instance: Instance) -> None:
        """Keep the instance."""
        self._at = instance
        self._commands: dict[str, Callable[[Arguments], Json]] = {
            "create_fields": self.create_fields, "create_list": self.create_list,
            "create_smart_list": self.create_smart_list,
            "create_partition": self.create_partition, "create_program": self.create_program,
            "restrict_partitions": self.restrict_partitions,
            "add_activity": self.add_activity,
            "set_options": self.set_options, "options": self.options, "grant": self.grant, "revoke": self.revoke,
            "expire_tokens": self.expire_tokens, "revoke_tokens": self.revoke_tokens,
            "native_sync": self.native_sync, "edit_person": self.edit_person, "people_count": self.people_count,
            "reset_usage": self.reset_usage, **Desk(instance).commands(),
        }  # fmt: skip

    def run(self, command: str, arguments: Arguments) -> Json:
        """Carry out a command.

        Raises:
            KeyError: the command, a required argument, or something named by one does not exist.
            ValueError: a value is not acceptable.
        """
        try:
            return self._commands[command](arguments)
        except (Skip, Refusal) as error:
            raise ValueError(f"{error.code} {error.message}") from error

    def create_fields(self, arguments: Arguments) -> Json:
        """`{"fields": [{name, displayName, dataType, description?, soapOnly?}]}`: fields as by an administrator.

        More types than the API allows (text, reference). A field that exists is left alone, so that
        the command can be repeated. Returns `{"created": [names]}`.
        """
        with self._at.database.write() as connection:
            wanted = [one for one in arguments["fields"] if self._at.catalog.get(one["name"]) is None]
            made = [self._at.catalog.create(connection, one, by_api=False).name for one in wanted]
        return {"created": made}

    def create_list(self, arguments: Arguments) -> Json:
        """`{"name", "id"?, "programName"?}`: a static list; one of that name is returned as it is. Returns `{"id"}`."""
        name = arguments["name"]
        with self._at.database.write() as connection:
            found = self._at.lists.find(connection, "name = ?", (name,), 1)
            if found:
                return {"id": found[0].id}
            number, program, now = arguments.get("id"), arguments.get("programName"), self._at.now()
            folder = self._at.programs.named(connection, program, now).id if program else None
            made = self._at.lists.create(connection, name, now, list_id=number, program=program, folder=folder)
        return {"id": made.id}

    def create_smart_list(self, arguments: Arguments) -> Json:
        """`{"name", "values"? {field: value}, "id"?}`: the persons whose fields have these values, for bulk extract.

        Returns `{"id"}`; one of that name is returned as it is.
        """
        name = arguments["name"]
        with self._at.database.write() as connection:
            found = extract_smart_lists.find(connection, "name", name)
            values, number = arguments.get("values") or {}, arguments.get("id")
            made = found or extract_smart_lists.create(connection, self._at.catalog, name, values, number)
        return {"id": made}

    def create_partition(self, arguments: Arguments) -> Json:
        """`{"name", "description"?}`: a person partition. Returns `{"id"}`."""
        with self._at.database.write() as connection:
            sql = "INSERT INTO partition (name, description) VALUES (?, ?)"
            made = connection.execute(sql, (arguments["name"], arguments.get("description")))
        return {"id": made.lastrowid}

    def restrict_partitions(self, arguments: Arguments) -> Json:
        """`{"user", "partitions": [names] or null}`: an API user may enter these only; null: all."""
        user = self._at.identity.known_user(arguments["user"])
        with self._at.database.write() as connection:
            self._at.partitions.restrict(connection, user, arguments["partitions"])
        return {}

    def create_program(self, arguments: Arguments) -> Json:
        """`{"name"}`: a program; one of that name is returned as it is. Returns `{"id"}`."""
        with self._at.database.write() as connection:
            return {"id": self._at.programs.named(connection, arguments["name"], self._at.now()).id}

    def add_activity(self, arguments: Arguments) -> Json:
        """Append any activity, for instance 300, Sync Lead to Microsoft. Returns `{"id", "marketoGUID"}`.

        `{"leadId", "activityTypeId", "activityDate"? (now), "primaryAttributeValueId"?, "primaryAttributeValue"?,
        "attributes"? {name: value}, "campaignId"?}`.
        """
        now = self._at.now()
        date = arguments.get("activityDate")
        moment = parse_moment(date) if date else None
        if date and moment is None:
            raise ValueError(f"activityDate {date!r} is no ISO 8601 datetime")
        with self._at.database.write() as connection:
            if self._at.people.get(connection, arguments["leadId"]) is None:
                raise KeyError(arguments["leadId"])
            activity = Activity(
                arguments["activityTypeId"], arguments["leadId"], int(moment.timestamp()) if moment else now,
                arguments.get("primaryAttributeValueId"), arguments.get("primaryAttributeValue"),
                arguments.get("attributes") or {}, arguments.get("campaignId"),
            )  # fmt: skip
            (seq,) = self._at.feed.append(connection, [activity], now)
        return {"id": seq, "marketoGUID": str(seq)}

    def set_options(self, arguments: Arguments) -> Json:
        """`{option: value, …}`: see `options.Options`. Returns all options."""
        try:
            return self._at.options.change(arguments)
        except TypeError as error:
            raise ValueError(str(error)) from error

    def options(self, _arguments: Arguments) -> Json:
        """Every option with its present value."""
        return self._at.options.all()

    def native_sync(self, arguments: Arguments) -> Json:
        """`{"on": bool}`: switch the native CRM sync (M52)."""
        return self.set_options({"native_sync": arguments["on"]})

    def grant(self, arguments: Arguments) -> Json:
        """`{"user", "permissions": [names]}`: give permissions. Returns `{"permissions"}` after it."""
        user, names = arguments["user"], arguments["permissions"]
        return {"permissions": self._at.identity.set_permissions(user, names, granted=True)}

    def revoke(self, arguments: Arguments) -> Json:
        """`{"user", "permissions": [names]}`: take permissions. Returns `{"permissions"}` after it."""
        user, names = arguments["user"], arguments["permissions"]
        return {"permissions": self._at.identity.set_permissions(user, names, granted=False)}

    def expire_tokens(self, _arguments: Arguments) -> Json:
        """All live tokens end now: next use 602, then 601. Returns `{"tokens"}`, how many."""
        return {"tokens": self._at.identity.expire_tokens(self._at.clock.now().timestamp())}

    def revoke_tokens(self, _arguments: Arguments) -> Json:
        """All tokens are forgotten: next use 601. Returns `{"tokens"}`, how many."""
        return {"tokens": self._at.identity.revoke_tokens()}

    def edit_person(self, arguments: Arguments) -> Json:
        """`{"id", "values": {field: value}, "source"?, "reason"?}`: an edit as by a human in Marketo.

        Activities say Source "Lead update", Reason "Manual person edit" unless told otherwise. Values are
        checked as in the API. Returns `{"changed": [names]}`.
        """
        values = {}
        for name, sent in arguments["values"].items():
            field = self._at.catalog.get(name)
            if field is None or field.read_only:
                raise KeyError(name)
            values[field] = accept(field, sent, truncate=self._at.options.truncate_strings)
        source, reason = arguments.get("source", "Lead update"), arguments.get("reason", "Manual person edit")
        by = Provenance(source=source, reason=reason)
        with self._at.database.write() as connection:
            person = self._at.people.get(connection, arguments["id"])
            if person is None:
                raise KeyError(arguments["id"])
            changed = self._at.writer.update(connection, person, values, by, self._at.now())
        return {"changed": [field.name for field in changed]}

    def people_count(self, _arguments: Arguments) -> Json:
        """`{"people"}`: how many persons there are."""
        with self._at.database.read() as connection:
            return {"people": connection.execute("SELECT count(*) FROM person").fetchone()[0]}

    def reset_usage(self, _arguments: Arguments) -> Json:
        """Forget all counted calls."""
        self._at.limits.reset()
        return {}
