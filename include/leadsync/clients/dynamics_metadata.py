"""Dynamics' own description of its columns, and who we are to it (facts/dataverse-api §13, §15)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import msgspec

from include.leadsync.clients.dynamics_batch import DynamicsBatch
from include.leadsync.clients.dynamics_session import decoded, entity_set, guid, select
from include.leadsync.clients.records import WhoAmI
from include.leadsync.errors import AccessRefused, FixConfiguration, RowFailed
from include.leadsync.model import DynamicsAttribute, Entity, Option

_BASE: Final = (
    "LogicalName,AttributeTypeName,AttributeOf,DisplayName,RequiredLevel,"
    "IsValidForRead,IsValidForCreate,IsValidForUpdate,IsSecured"
)
_CASTS: Final = {  # type → its own properties; there is no way to ask for all types at once (V60)
    "String": ",MaxLength,FormatName",
    "Memo": ",MaxLength",
    "Integer": ",MinValue,MaxValue,Format",
    "BigInt": "",
    "Decimal": ",MinValue,MaxValue,Precision",
    "Double": ",MinValue,MaxValue,Precision",
    "Money": ",MinValue,MaxValue,Precision",
    "Boolean": "&$expand=OptionSet",
    "DateTime": ",Format,DateTimeBehavior",
    "Picklist": "&$expand=OptionSet,GlobalOptionSet",
    "MultiSelectPicklist": "&$expand=OptionSet,GlobalOptionSet",
    "State": "&$expand=OptionSet",
    "Status": "&$expand=OptionSet",
    "Lookup": ",Targets",
    "UniqueIdentifier": "",
}


_DEPTHS: Final = ("0", "Basic", "1", "Local", "2", "Deep", "3", "Global")
_NO_READ: Final = {"403", "0x80040220", "0x80048306", "0x80040256"}


class _Counted(msgspec.Struct, rename="pascal"):
    keys: list[str] = []
    values: list[int] = []


class _Counts(msgspec.Struct):
    collection: _Counted = msgspec.field(name="EntityRecordCountCollection")


class _Text(msgspec.Struct):
    value: str | None = msgspec.field(name="Value", default=None)


class _Localized(msgspec.Struct, rename="pascal"):
    label: str | None = None
    language_code: int = 0


class _Label(msgspec.Struct, rename="pascal"):
    localized_labels: list[_Localized] | None = None
    user_localized_label: _Localized | None = None


class _Option(msgspec.Struct, rename="pascal"):
    value: int
    label: _Label | None = None


class _OptionSet(msgspec.Struct, rename="pascal"):
    options: list[_Option] | None = None
    true_option: _Option | None = None
    false_option: _Option | None = None


class _Attribute(msgspec.Struct, rename="pascal"):
    logical_name: str
    attribute_type_name: _Text | None = None
    attribute_of: str | None = None
    display_name: _Label | None = None
    required_level: _Text | None = None
    is_valid_for_read: bool = True
    is_valid_for_create: bool = True
    is_valid_for_update: bool = True
    is_secured: bool | None = None
    max_length: int | None = None
    min_value: float | None = None
    max_value: float | None = None
    precision: int | None = None
    format_name: _Text | None = None
    format: str | None = None
    date_time_behavior: _Text | None = None
    targets: list[str] | None = None
    option_set: _OptionSet | None = None
    global_option_set: _OptionSet | None = None


class _Attributes(msgspec.Struct):
    value: list[_Attribute]


class _Table(msgspec.Struct, rename="pascal"):
    change_tracking_enabled: bool = False


class _WhoAmI(msgspec.Struct, rename="pascal"):
    user_id: str
    business_unit_id: str
    organization_id: str


class _Version(msgspec.Struct, rename="pascal"):
    version: str


class _Rows(msgspec.Struct):
    value: list[msgspec.Raw]


class _Privilege(msgspec.Struct, rename="pascal"):
    privilege_name: str = ""
    depth: str | int = ""


class _Privileges(msgspec.Struct, rename="pascal"):
    role_privileges: list[_Privilege]


class DynamicsMetadata(DynamicsBatch):
    """Metadata and identity."""

    def who_am_i(self) -> WhoAmI:
        """The application user, its business unit and organisation; ids in lower case (§15)."""
        found = self._get("WhoAmI", lambda answer: decoded(answer.body, _WhoAmI))
        return WhoAmI(found.user_id.lower(), found.business_unit_id.lower(), found.organization_id.lower())

    def version(self) -> str:
        """The service's version, such as 9.2.25063.00157."""
        return self._get("RetrieveVersion", lambda answer: decoded(answer.body, _Version)).version

    def privileges(self, user_id: str) -> dict[str, str] | None:
        """What a user may do by its roles and teams: privilege name in lower case → depth (Basic, Local, Deep, Global).

        None if this service does not tell; then only a probing read (`may_read`) and the writes themselves show it.
        Source: Web API reference, RetrieveUserPrivileges; the shape as recorded by ryanmichaeljames/dataverse-mcp.
        """
        address = f"systemusers({guid(user_id)})/Microsoft.Dynamics.CRM.RetrieveUserPrivileges"
        try:
            found = self._get(address, lambda answer: decoded(answer.body, _Privileges))
        except (FixConfiguration, RowFailed) as error:
            if isinstance(error, AccessRefused):
                raise
            return None
        depths: dict[str, str] = {}
        for each in found.role_privileges:
            name, depth = each.privilege_name.lower(), str(each.depth)
            depths[name] = max(depths.get(name, depth), depth, key=_DEPTHS.index)
        return depths

    def may_read(self, table: str) -> bool:
        """Whether rows of a table may be read at all, by reading one; says nothing of how deep the right goes.

        Raises:
            FixConfiguration: the table does not exist.
        """
        address = f"{entity_set(table)}?{select(table, {})}&$top=1"
        try:
            self._get(address, lambda answer: decoded(answer.body, _Rows))
        except AccessRefused as error:
            if error.code.lower() not in _NO_READ:
                raise
            return False
        return True

    def attributes(self, entity: Entity, language: int = 1033) -> list[DynamicsAttribute]:
        """All columns of a table that the Web API can read or write, in name order; one batch of calls (V60).

        Companion columns (`AttributeOf`), images and files are left out: they are no OData properties (§13.2). Labels
        are in `language`, else in the user's. Yes/no columns have their two labels as options 1 and 0. Each says
        whether it can be read, set on create and on update, and whether column security may hide values (`secured`).
        """
        addresses = [
            f"EntityDefinitions(LogicalName='{entity.value}')/Attributes"
            f"/Microsoft.Dynamics.CRM.{cast}AttributeMetadata?$select={_BASE}{own}"
            for cast, own in _CASTS.items()
        ]
        found = [each for body in self.read_many(addresses) for each in decoded(body, _Attributes).value]
        attributes = {a.logical_name: _attribute(entity, a, language) for a in found if not a.attribute_of}
        return sorted(attributes.values(), key=lambda attribute: attribute.name)

    def secured_columns(self, entity: Entity) -> set[str]:
        """Names of the columns that are under column security at this moment."""
        address = (
            f"EntityDefinitions(LogicalName='{entity.value}')/Attributes?$select=LogicalName&$filter=IsSecured eq true"
        )
        return set(self._get(address, lambda answer: [a.logical_name for a in decoded(answer.body, _Attributes).value]))

    def shows_values(self, entity: Entity, column: str) -> bool:
        """Whether any row shows our user a value in a column, as it is read (look-ups as `_x_value`).

        Where column security hides the values, all of them are null, or the question is refused.
        """
        address = f"{entity_set(entity.value)}?$select={column}&$filter={column} ne null&$top=1"
        try:
            return bool(self._get(address, lambda answer: decoded(answer.body, _Rows)).value)
        except AccessRefused:
            return False

    def record_count(self, entity: Entity) -> int | None:
        """How many rows a table has, as the service counted within the last day; None when it does not say."""
        address = f"RetrieveTotalRecordCount(EntityNames=@p1)?@p1=%5B%22{entity.value}%22%5D"
        counted = self._get(address, lambda answer: decoded(answer.body, _Counts)).collection
        return dict(zip(counted.keys, counted.values, strict=False)).get(entity.value)

    def change_tracking_enabled(self, entity: Entity) -> bool:
        """Whether the table can be read by `track` (§4.1)."""
        address = f"EntityDefinitions(LogicalName='{entity.value}')?$select=ChangeTrackingEnabled"
        return self._get(address, lambda answer: decoded(answer.body, _Table)).change_tracking_enabled


def _attribute(entity: Entity, a: _Attribute, language: int) -> DynamicsAttribute:
    type_name = (a.attribute_type_name and a.attribute_type_name.value) or ""
    return DynamicsAttribute(
        entity=entity,
        name=a.logical_name,
        type=type_name.removesuffix("Type"),
        label=_label(a.display_name, language) or a.logical_name,
        required=(a.required_level and a.required_level.value) or "None",
        format=(a.format_name and a.format_name.value) or a.format,
        max_length=a.max_length,
        minimum=a.min_value,
        maximum=a.max_value,
        precision=a.precision,
        date_behavior=a.date_time_behavior.value if a.date_time_behavior else None,
        options=tuple(_options(a, language)),
        readable=a.is_valid_for_read,
        creatable=a.is_valid_for_create,
        updatable=a.is_valid_for_update,
        secured=a.is_secured is True,
        targets=tuple(a.targets or ()),
    )


def _options(a: _Attribute, language: int) -> Iterable[Option]:
    chosen = a.option_set or a.global_option_set
    if chosen is None:
        return
    for option in (*(chosen.options or ()), chosen.true_option, chosen.false_option):
        if option is not None:
            yield Option(option.value, _label(option.label, language) or str(option.value))


def _label(label: _Label | None, language: int) -> str | None:
    if label is None:
        return None
    for each in label.localized_labels or ():
        if each.language_code == language and each.label:
            return each.label
    return label.user_localized_label.label if label.user_localized_label else None
