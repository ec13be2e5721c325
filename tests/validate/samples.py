"""Field maps, writes and dirty values that the tests of this room share."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pyarrow as pa

from include.leadsync.model import (
    Canonical,
    DynamicsAttribute,
    Entity,
    FieldMap,
    FieldRule,
    FieldType,
    Flow,
    MarketoField,
    Option,
    SyncField,
)

WRITES = pa.schema([("op", pa.string()), ("field", pa.string()), ("value", pa.string())])

SOURCES = (Option(1, "Advertisement"), Option(2, "Employee Referral"), Option(3, "Web; and more"))

MARKETO_TYPE = {
    FieldType.TEXT: "text",
    FieldType.DECIMAL: "float",
    FieldType.MONEY: "currency",
    FieldType.CHOICE: "string",
    FieldType.MULTI_CHOICE: "string",
    FieldType.LOOKUP: "string",
}


def field(
    name: str,
    type_: FieldType,
    dynamics: str,
    *,
    column: dict[str, Any] | None = None,
    person: dict[str, Any] | None = None,
    **rule: Any,
) -> SyncField:
    """One mapped field; `column` and `person` are what the two systems' metadata say of it."""
    type_of_person = MARKETO_TYPE.get(type_, str(type_))
    described: dict[str, Any] = {"id": 1, "name": name, "label": name, "type": type_of_person}
    metadata: dict[str, Any] = {"entity": Entity.LEAD, "name": name.lower(), "type": dynamics, "label": name}
    described.update(person or {})
    metadata.update(column or {})
    return SyncField(
        FieldRule(Entity.LEAD, name, name.lower(), type_, **rule),
        MarketoField(**described),
        DynamicsAttribute(**metadata),
    )


def mapped(*fields: SyncField) -> FieldMap:
    return FieldMap(Entity.LEAD, fields)


def writes(*rows: tuple[str, str, Canonical]) -> pa.Table:
    columns = zip(*rows, strict=True) if rows else ((), (), ())
    return pa.table([pa.array(list(column), pa.string()) for column in columns], schema=WRITES)


def one(name: str, values: Iterable[Canonical]) -> pa.Table:
    """One write per value, all to the same field, by operations o0, o1 and so on."""
    return writes(*((f"o{number}", name, value) for number, value in enumerate(values)))


SUBJECT = field("topic", FieldType.STRING, "String", column={"required": "ApplicationRequired", "max_length": 10})
NUMBER = field("employees", FieldType.INTEGER, "Integer", column={"minimum": 0.0, "maximum": 1000.0})
REVENUE = field(
    "revenue", FieldType.MONEY, "Money", column={"minimum": 0.0, "maximum": 100000000000000.0, "precision": 2}
)

EVERY_TYPE = mapped(
    SUBJECT,
    NUMBER,
    REVENUE,
    field("notes", FieldType.TEXT, "Memo", column={"max_length": 40}),
    field("email", FieldType.EMAIL, "String", column={"max_length": 100, "format": "Email"}),
    field("website", FieldType.URL, "String", column={"max_length": 200, "format": "Url"}),
    field("phone", FieldType.PHONE, "String", column={"max_length": 20, "format": "Phone"}, person={"length": 12}),
    field("latitude", FieldType.DECIMAL, "Double", column={"minimum": -90.0, "maximum": 90.0, "precision": 5}),
    field("rate", FieldType.DECIMAL, "Decimal", column={"minimum": 1e-10, "maximum": 1e11, "precision": 10}),
    field("serial", FieldType.INTEGER, "BigInt"),
    field("consent", FieldType.BOOLEAN, "Boolean"),
    field("born", FieldType.DATE, "DateTime", column={"date_behavior": "DateOnly"}),
    field("seen", FieldType.DATETIME, "DateTime", column={"date_behavior": "UserLocal"}),
    field("source", FieldType.CHOICE, "Picklist", column={"options": SOURCES}),
    field("status", FieldType.CHOICE, "Status", column={"options": SOURCES[:1], "required": "SystemRequired"}),
    field("tags", FieldType.MULTI_CHOICE, "MultiSelectPicklist", column={"options": SOURCES}),
    field("nothing", FieldType.CHOICE, "Picklist"),
    field("key", FieldType.STRING, "Uniqueidentifier", column={"required": "SystemRequired", "updatable": False}),
    field("parent", FieldType.LOOKUP, "Lookup", flow=Flow.INBOUND),
    field("created", FieldType.DATETIME, "DateTime", column={"creatable": False, "updatable": False}),
    field("picture", FieldType.STRING, "Image", person={"type": "formula"}),
    field("first", FieldType.STRING, "String", outbound_on_create_only=True, person={"read_only": True}),
    field("score", FieldType.INTEGER, "Integer", flow=Flow.OUTBOUND, person={"type": "score"}),
)
"""Every column type, every Marketo type that differs, and every way of being not writable."""

DIRTY: tuple[Canonical, ...] = (
    None, "a", "Ada Lovelace", "0", "-0", "5", "05", "+5", "-7", "1000", "1001", "2147483647", "2147483648",
    "9223372036854775807", "9223372036854775808", "-9223372036854775809", "1" + "0" * 60, "1e5", "1.", ".5", "0.005",
    "-0.004", "90.000001", "90.000005", "90.00001", "100000000000000.004", "100000000000000.01", "NaN", "Infinity",
    "٣", "12\n", " 5", "true", "false", "True", "1", "yes", "Advertisement", "advertisement", "Employee Referral",
    "Advertisement;Employee Referral", "Advertisement;Nonsense", ";", "Advertisement;", "2026-02-28", "2026-02-30",
    "1752-12-31", "1753-01-01", "9999-12-30", "9999-12-31", "20260228", "2026-W09-6", "2026-02-28T10:00:00Z",
    "2026-02-28T24:00:00Z", "2026-02-28T10:00:60Z", "2026-02-28 10:00:00", "2026-2-28T010:0:00Z",
    "2026-02- 1T10:00:00Z", "0000-01-01", "2024-02-29", "2026-02-28T10:00:00Z\n", "1752-12-31T23:59:59Z",
    "9999-12-30T23:59:59Z", "9999-12-31T00:00:00Z", "٢٠٢٦-02-28", "ada@example.test", "bademail", "@example.test",
    "ada@", "a b@example.test", '"a b"@example.test', '"a@b"@example.test', "a@b@example.test", "ada@example.test\n",
    "ada@\u3000example.test", "ådå@example.test", "ada@localhost",
    "ada@-a.test", "ada@a-.test", "ada@a_b.test", "ada@a.t-", "ada@a.1x", "ada@a.xn--p1ai", "a@b.co",
    "ada@.test", "o'neil+x@sub.example.test",
    '"@x.test', "https://example.test/a b", "https://example.test/a", "https://example.test/\u2028", "x\u0000y",
    "x\u001fy", "x\ty\r\n", "\u000b", "\x7f", "\U0001f600" * 5, "\U0001f600" * 6, "é" * 10, "é" * 11, "e\u0301" * 6,
    "漢" * 255, "漢" * 256, "漢" * 10_000, "漢" * 10_001, "x" * 100_000, "3f2504e0-4f89-11d3-9a0c-0305e82c3301",
    "3F2504E0-4F89-11D3-9A0C-0305E82C3301", "{3f2504e0-4f89-11d3-9a0c-0305e82c3301}", "nan", "None", "null", "{x}",
    "“q”",
)  # fmt: skip
"""Values that are wrong in some type's eyes, on and just beyond each limit."""
