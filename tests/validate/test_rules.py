"""Rules follow from live metadata: which checks a field gets, with which limits and codes."""

from __future__ import annotations

from typing import Any

import pytest

from include.leadsync.model import Direction, FieldType, Flow, OperationKind, SyncField
from include.leadsync.validate import Rule, RuleKind, digest, rules_for
from tests.validate.samples import EVERY_TYPE, NUMBER, REVENUE, SOURCES, SUBJECT, field, mapped

CREATE, UPDATE = OperationKind.CREATE, OperationKind.UPDATE
OUT, IN = Direction.OUTBOUND, Direction.INBOUND


def rules(one: SyncField, operation: OperationKind = UPDATE, direction: Direction = OUT) -> dict[RuleKind, Rule]:
    return {rule.kind: rule for rule in rules_for(mapped(one), operation, direction)}


def text(**column: Any) -> SyncField:
    return field("name", FieldType.STRING, "String", column=column)


@pytest.mark.parametrize("level", ["ApplicationRequired", "SystemRequired"])
@pytest.mark.parametrize("operation", [CREATE, UPDATE])
def test_a_required_column_has_a_rule_on_create_and_on_update(level: str, operation: OperationKind) -> None:
    assert RuleKind.REQUIRED in rules(text(required=level), operation)


@pytest.mark.parametrize("level", ["None", "Recommended"])
@pytest.mark.parametrize("operation", [CREATE, UPDATE])
def test_a_recommended_column_may_be_empty(level: str, operation: OperationKind) -> None:
    assert RuleKind.REQUIRED not in rules(text(required=level), operation)


@pytest.mark.parametrize("type_", ["Owner", "State", "Status", "Boolean", "Uniqueidentifier"])
def test_a_column_that_the_server_fills_is_not_missed_on_create_but_refuses_to_be_cleared(type_: str) -> None:
    filled = field("filled", FieldType.CHOICE, type_, column={"required": "SystemRequired"})
    assert RuleKind.REQUIRED not in rules(filled, CREATE)
    assert rules(filled, UPDATE)[RuleKind.REQUIRED].code == "0x80040203"


@pytest.mark.parametrize("name", ["transactioncurrencyid", "owningbusinessunit"])
def test_columns_filled_by_the_server_are_known_by_name_too(name: str) -> None:
    assert RuleKind.REQUIRED not in rules(text(required="SystemRequired", name=name), CREATE)


def test_a_required_column_that_cannot_be_created_is_not_missed_on_create() -> None:
    assert RuleKind.REQUIRED not in rules(text(required="SystemRequired", creatable=False), CREATE)


def test_clearing_a_business_required_column_has_a_readable_code() -> None:
    assert rules(SUBJECT)[RuleKind.REQUIRED].code == "required"


@pytest.mark.parametrize("type_", ["String", "Memo"])
def test_text_columns_are_limited_to_their_length_with_the_code_of_the_service(type_: str) -> None:
    rule = rules(field("name", FieldType.STRING, type_, column={"max_length": 300}))[RuleKind.MAX_LENGTH]
    assert (rule.parameters["limit"], rule.code, rule.rule) == (300, "0x80044331", "V36")


def test_a_text_column_without_a_length_in_its_metadata_has_no_length_rule() -> None:
    assert RuleKind.MAX_LENGTH not in rules(text())


@pytest.mark.parametrize(("mapped_as", "shown_as"), [(FieldType.EMAIL, "Text"), (FieldType.STRING, "Email")])
def test_an_email_is_known_by_its_map_entry_or_by_its_format(mapped_as: FieldType, shown_as: str) -> None:
    one = field("mail", mapped_as, "String", column={"format": shown_as})
    assert rules(one)[RuleKind.EMAIL_FORMAT].code == "email_format"


def test_a_phone_is_checked_for_length_and_control_characters_only() -> None:
    phone = field("phone", FieldType.PHONE, "String", column={"max_length": 20, "format": "Phone"})
    assert set(rules(phone)) == {RuleKind.MAX_LENGTH, RuleKind.CONTROL_CHARACTERS}


def test_an_integer_beyond_32_bits_has_the_code_of_a_wrong_type_and_not_of_the_range() -> None:
    found = rules(NUMBER)
    assert (found[RuleKind.NUMBER_SIZE].code, found[RuleKind.NUMBER_RANGE].code) == ("0x80048d19", "0x8004432F")


def test_money_has_the_range_of_its_metadata_written_out_in_digits() -> None:
    rule = rules(REVENUE)[RuleKind.NUMBER_RANGE]
    assert (rule.parameters["minimum"], rule.parameters["maximum"]) == ("0", "100000000000000")
    assert (rule.parameters["scale"], rule.code) == (2, "0x80044330")


def test_a_number_without_bounds_has_no_range_rule() -> None:
    assert RuleKind.NUMBER_RANGE not in rules(field("n", FieldType.DECIMAL, "Decimal"))


@pytest.mark.parametrize(
    ("type_", "code"), [("Picklist", "0x8004431A"), ("State", "0x80048408"), ("Status", "0x80048408")]
)
def test_a_choice_accepts_the_labels_of_its_metadata(type_: str, code: str) -> None:
    rule = rules(field("c", FieldType.CHOICE, type_, column={"options": SOURCES}))[RuleKind.OPTION]
    assert (rule.parameters["values"], rule.code) == (tuple(option.label for option in SOURCES), code)


def test_dates_range_from_1753_to_the_last_day_but_one() -> None:
    day = rules(field("d", FieldType.DATE, "DateTime", column={"date_behavior": "DateOnly"}))
    assert day[RuleKind.DATE_RANGE].parameters == {"form": "date", "minimum": "1753-01-01", "maximum": "9999-12-30"}
    assert (day[RuleKind.DATE_FORMAT].code, day[RuleKind.DATE_RANGE].code) == ("0x80048d19", "0x80040239")


def test_the_map_entry_decides_between_date_and_datetime() -> None:
    column = {"date_behavior": "UserLocal"}
    assert (
        rules(field("d", FieldType.DATE, "DateTime", column=column))[RuleKind.DATE_FORMAT].parameters["form"] == "date"
    )
    plain = rules(field("d", FieldType.STRING, "DateTime", column=column))[RuleKind.DATE_FORMAT]
    assert (plain.parameters["form"], plain.code) == ("datetime", "0x80040239")


@pytest.mark.parametrize(
    ("one", "operation", "code"),
    [
        (text(updatable=False), UPDATE, "read_only"),
        (text(creatable=False), CREATE, "read_only"),
        (field("f", FieldType.STRING, "String", flow=Flow.INBOUND), UPDATE, "wrong_direction"),
        (field("f", FieldType.STRING, "String", outbound_on_create_only=True), UPDATE, "create_only"),
        (field("f", FieldType.LOOKUP, "Customer"), CREATE, "lookup_not_written"),
        (field("f", FieldType.STRING, "Image"), UPDATE, "type_not_written"),
    ],
)
def test_what_must_not_be_written_may_not_be_cleared_either(
    one: SyncField, operation: OperationKind, code: str
) -> None:
    found = rules(one, operation)
    assert set(found) == {RuleKind.WRITABLE} | (set() if operation is CREATE else {RuleKind.CLEARABLE})
    assert {rule.code for rule in found.values()} == {code}


@pytest.mark.parametrize(
    ("one", "operation"),
    [
        (text(updatable=False), CREATE),
        (text(creatable=False), UPDATE),
        (field("f", FieldType.STRING, "String", outbound_on_create_only=True), CREATE),
        (field("f", FieldType.STRING, "String", flow=Flow.INBOUND, default_on_create="{company}"), CREATE),
        (field("f", FieldType.STRING, "String", flow=Flow.OUTBOUND), UPDATE),
    ],
)
def test_what_may_be_written_then_is_judged_by_its_type(one: SyncField, operation: OperationKind) -> None:
    assert set(rules(one, operation)) == {RuleKind.CONTROL_CHARACTERS}


@pytest.mark.parametrize(
    ("type_", "kinds"),
    [
        ("string", {RuleKind.MAX_CHARACTERS}),
        ("phone", {RuleKind.MAX_CHARACTERS}),
        ("url", {RuleKind.MAX_CHARACTERS}),
        ("email", {RuleKind.MAX_CHARACTERS, RuleKind.EMAIL_FORMAT}),
        ("text", {RuleKind.MAX_BYTES}),
        ("integer", {RuleKind.NUMBER_FORMAT, RuleKind.NUMBER_SIZE}),
        ("percent", {RuleKind.NUMBER_FORMAT}),
        ("currency", {RuleKind.NUMBER_FORMAT}),
        ("boolean", {RuleKind.BOOLEAN_FORMAT}),
        ("date", {RuleKind.DATE_FORMAT}),
        ("datetime", {RuleKind.DATE_FORMAT}),
        ("formula", {RuleKind.WRITABLE, RuleKind.CLEARABLE}),
    ],
)
def test_inbound_follows_the_type_that_marketo_describes(type_: str, kinds: set[RuleKind]) -> None:
    assert set(rules(field("f", FieldType.STRING, "String", person={"type": type_}), UPDATE, IN)) == kinds


def test_a_marketo_text_takes_255_characters_unless_describe_says_otherwise() -> None:
    unknown = field("f", FieldType.STRING, "String")
    stated = field("f", FieldType.STRING, "String", person={"length": 2000})
    limits = [rules(one, UPDATE, IN)[RuleKind.MAX_CHARACTERS].parameters["limit"] for one in (unknown, stated)]
    assert limits == [255, 2000]


@pytest.mark.parametrize("one", [field("f", FieldType.STRING, "String", person={"read_only": True}),
                                 field("f", FieldType.STRING, "String", flow=Flow.OUTBOUND)])  # fmt: skip
def test_inbound_never_writes_a_read_only_or_outbound_field(one: SyncField) -> None:
    assert set(rules(one, UPDATE, IN)) == {RuleKind.WRITABLE, RuleKind.CLEARABLE}


def test_inbound_does_not_ask_for_what_dynamics_requires() -> None:
    assert RuleKind.REQUIRED not in rules(SUBJECT, CREATE, IN)


def test_flagging_a_deleted_record_is_judged_like_an_update_and_an_activity_not_at_all() -> None:
    assert rules_for(EVERY_TYPE, OperationKind.FLAG_DELETED, IN) == rules_for(EVERY_TYPE, UPDATE, IN)
    assert rules_for(EVERY_TYPE, OperationKind.ACTIVITY, OUT) == []


@pytest.mark.parametrize("direction", list(Direction))
@pytest.mark.parametrize("operation", [CREATE, UPDATE])
def test_every_rule_names_its_source_and_no_field_has_two_of_a_kind(
    operation: OperationKind, direction: Direction
) -> None:
    found = rules_for(EVERY_TYPE, operation, direction)
    assert len({(rule.field, rule.kind) for rule in found}) == len(found) > 20
    assert all(rule.rule and rule.code for rule in found)


def test_equal_metadata_gives_an_equal_digest_and_a_changed_limit_another() -> None:
    first, same, other = ([*rules(text(max_length=limit)).values()] for limit in (10, 10, 11))
    assert digest(first) == digest(same) != digest(other)


def test_messages_state_length_and_limit_and_quote_the_value_only_in_part() -> None:
    message = rules(text(max_length=10))[RuleKind.MAX_LENGTH].explain("\U0001f600" * 6)
    assert message == "lead.name takes 10 characters; the value has 12 (emoji count as 2)."
    long = rules(NUMBER)[RuleKind.NUMBER_FORMAT].explain("secret " * 20)
    assert "“secret secret secret sec…”" in long


def test_messages_survive_braces_quotes_and_invisible_characters_in_values() -> None:
    message = rules(NUMBER)[RuleKind.NUMBER_FORMAT].explain("{0}“x”\n\x00")
    assert message == '“{0}"x"\\x0a\\x00” for lead.employees is not a whole number.'


def test_a_long_list_of_options_is_cut_in_the_message() -> None:
    options = tuple(type(SOURCES[0])(number, f"option {number}") for number in range(25))
    rule = rules(field("c", FieldType.CHOICE, "Picklist", column={"options": options}))[RuleKind.OPTION]
    assert rule.explain("x").endswith("option 18, option 19 and 5 more.")
