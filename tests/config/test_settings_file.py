"""leadsync.yaml is read strictly, and every mistake in it is named: line, key, found, expected."""

from __future__ import annotations

from pathlib import Path

import pytest

from include.leadsync.config import load_settings
from include.leadsync.errors import ConfigurationInvalid, FixConfiguration
from include.leadsync.model import Entity, FieldType, Flow, System, Winner
from tests.config.files import FIELDS, lead_with, mistakes, settings_with, write


def test_a_file_with_fields_alone_takes_every_default(tmp_path: Path) -> None:
    settings = load_settings(write(tmp_path, FIELDS))
    assert [rule.name for rule in settings.rules(Entity.LEAD)] == ["firstName", "company"]
    first = settings.rules(Entity.LEAD)[0]
    assert (first.dynamics, first.type, first.flow, first.winner) == (
        "firstname",
        FieldType.STRING,
        Flow.BOTH,
        Winner.BY_TYPE,
    )
    assert settings.limits.of(System.MARKETO).window_seconds == 20
    assert settings.limits.of(System.DYNAMICS).calls == 6000


def test_settings_cannot_be_changed_afterwards(tmp_path: Path) -> None:
    settings = load_settings(write(tmp_path, FIELDS))
    with pytest.raises(ValueError, match="frozen"):
        settings.language = 1053


def test_an_entry_may_be_a_block_with_every_key(tmp_path: Path) -> None:
    entry = "rating: {dynamics: leadqualitycode, type: choice, winner: never_blank, aliases: {Hot: [on, no]}}"
    rule = settings_with(tmp_path, entry).rules(Entity.LEAD)[2]
    assert rule.aliases == {"Hot": ("on", "no")}
    assert rule.winner is Winner.NEVER_BLANK


@pytest.mark.parametrize(
    ("written", "winner"),
    [("", Winner.OPT_OUT), (", winner: by_type", Winner.BY_TYPE), (", winner: marketo", "marketo")],
)
def test_consent_lets_opt_out_win_unless_told_otherwise(tmp_path: Path, written: str, winner: str) -> None:
    entry = f"unsubscribed: {{dynamics: donotbulkemail, type: boolean, consent: true{written}}}"
    assert settings_with(tmp_path, entry).rules(Entity.LEAD)[2].winner == winner


def test_a_field_that_both_entities_want_created_must_be_one_field(tmp_path: Path) -> None:
    text = FIELDS.replace("  contact:", "    hobby: {dynamics: new_hobby, type: string, setup: Hobby}\n  contact:")
    path = write(tmp_path, f"{text}    hobby: {{dynamics: new_hobby, type: choice, setup: Hobby}}\n")
    assert mistakes(path) == [
        (
            "leadsync.yaml:8: fields.contact.hobby.setup: found 'Hobby' of type choice; expected 'Hobby' of type"
            " string, as under lead"
        )
    ]


def test_every_mistake_is_named_at_once_in_the_order_of_the_file(tmp_path: Path) -> None:
    text = """\
    fields:
      lead:
        firstName: {dynamics: firstname, typ: string}
        lastName: {dynamics: lastname, type: strng}
        a: {dynamics: x, type: string, consent: true}
        b: {dynamics: x, type: string}
        b: {dynamics: y, type: string}
    polices: {}
    limits: {marketo: {share: "0.5", calls: 0}}
    """
    keys = [text.split(": found")[0].removeprefix("leadsync.yaml") for text in mistakes(write(tmp_path, text))]
    assert keys == [
        ":1: fields.contact",
        ":3: fields.lead.firstName.type",
        ":3: fields.lead.firstName.typ",
        ":4: fields.lead.lastName.type",
        ":5: fields.lead.a.consent",
        ":6: fields.lead.b.dynamics",
        ":7: fields.lead.b",
        ":8: polices",
        ":9: limits.marketo.share",
        ":9: limits.marketo.calls",
    ]


def test_a_missing_file_is_a_configuration_mistake(tmp_path: Path) -> None:
    assert mistakes(tmp_path / "leadsync.yaml") == [
        "leadsync.yaml: (whole file): found cannot be read: No such file or directory; expected a readable YAML file"
    ]


def test_a_folder_is_a_configuration_mistake(tmp_path: Path) -> None:
    assert mistakes(tmp_path) == [
        f"{tmp_path.name}: (whole file): found cannot be read: Is a directory; expected a readable YAML file"
    ]


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        (b"", "leadsync.yaml: (whole file): found nothing; expected sections, as `fields:`"),
        (b"- a\n", "leadsync.yaml: (whole file): found a list; expected sections, as `fields:`"),
        (b"just text\n", "leadsync.yaml: (whole file): found a str; expected sections, as `fields:`"),
        (b"fields: {}\nname: J\xf6rg\n", "leadsync.yaml:2: (whole file): found byte 0xf6; expected text in UTF-8"),
        (
            b"#" * 10_000_000,
            "leadsync.yaml: (whole file): found more than 1,000,000 bytes; expected at most 1,000,000 bytes",
        ),
        (
            b"fields:\n  lead: &all\n    a: {b: c}\n  contact: *all\n",
            "leadsync.yaml:2: (YAML): found anchor &all; expected no anchors; write the value where it is needed",
        ),
        (
            b"fields: !!python/object/apply:os.system ['true']\n",
            (
                "leadsync.yaml:1: (YAML): found tag tag:yaml.org,2002:python/object/apply:os.system; expected no tags;"
                " quote a value to make it a text"
            ),
        ),
        (b"[" * 5000, "leadsync.yaml:1: (YAML): found more than 16 levels; expected at most the levels shown"),
        (b"a: 1\n---\nb: 2\n", "leadsync.yaml: (YAML): found 2 documents; expected one document, without `---` lines"),
        (b"? [a]\n: 1\n", "leadsync.yaml:1: (whole file): found a key that is no text; expected a name"),
    ],
)
def test_a_file_that_is_no_configuration_gets_its_own_sentence(tmp_path: Path, body: bytes, sentence: str) -> None:
    path = tmp_path / "leadsync.yaml"
    path.write_bytes(body)
    assert sentence in mistakes(path)


def test_a_bomb_of_aliases_is_refused_without_unfolding_it(tmp_path: Path) -> None:
    levels = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    levels += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 12)]
    found = mistakes(write(tmp_path, "\n".join(levels) + "\n"))
    assert "leadsync.yaml:2: (YAML): found alias *a0; expected the value itself; aliases are not allowed" in found


@pytest.mark.parametrize(
    ("text", "line"),
    [("fields:\n  lead: {a: b\nlanguage: 1\n", 3), ("fields:\n\tlead: x\n", 2), ("a: 'open\n", 2), ("a: \x07\n", None)],
)
def test_broken_yaml_is_reported_with_its_line(tmp_path: Path, text: str, line: int | None) -> None:
    (sentence,) = mistakes(write(tmp_path, text))
    where = "leadsync.yaml" if line is None else f"leadsync.yaml:{line}"
    assert sentence.startswith(f"{where}: (YAML syntax): found ")
    assert sentence.endswith("; expected valid YAML")


def test_a_byte_order_mark_and_windows_line_ends_are_no_mistake(tmp_path: Path) -> None:
    path = tmp_path / "leadsync.yaml"
    path.write_bytes(b"\xef\xbb\xbf" + FIELDS.replace("\n", "\r\n").encode())
    assert len(load_settings(path).rules(Entity.LEAD)) == 2


def test_long_values_are_shortened_in_the_message(tmp_path: Path) -> None:
    (sentence,) = mistakes(lead_with(tmp_path, f"city: {{dynamics: {'x' * 5000}, type: string}}"))
    assert len(sentence) < 200
    assert "(5002 characters)" in sentence


def test_a_wrong_file_ends_the_run_as_something_to_fix(tmp_path: Path) -> None:
    with pytest.raises(FixConfiguration, match=r"1 problem\(s\) in the configuration"):
        load_settings(tmp_path / "absent.yaml")
    assert issubclass(ConfigurationInvalid, FixConfiguration)
