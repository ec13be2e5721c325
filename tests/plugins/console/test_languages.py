"""Six languages say the same: every key, every placeholder; what the engine can name has a word."""

from __future__ import annotations

import re
import string
from dataclasses import fields
from pathlib import Path

import pytest

from include.leadsync.approval import REJECTED, UNANSWERED
from include.leadsync.console.collisions import KINDS
from include.leadsync.console.held_plans import HELD
from include.leadsync.console.request_list import OUTCOMES, STATES
from include.leadsync.console.run_history import ORDER
from include.leadsync.context import RunRequest
from include.leadsync.cycle import STEPS
from include.leadsync.model import Entity, Flow, Lane, LinkStatus, OperationKind, OperationState
from leadsync_console import language
from leadsync_console.language import FALLBACK, NAMES, catalog, chosen, words

ENGLISH = catalog(FALLBACK)
OTHERS = [tag for tag in NAMES if tag != FALLBACK]
FOLDER = Path(language.__file__).parent


def _placeholders(text: str) -> set[str | None]:
    return {name for _, name, _, _ in string.Formatter().parse(text) if name}


@pytest.mark.parametrize("tag", OTHERS)
def test_every_language_has_every_key_with_the_same_placeholders(tag: str) -> None:
    mine = catalog(tag)
    assert list(mine) == list(ENGLISH)
    for key, text in mine.items():
        assert isinstance(text, str), key
        assert text.strip(), key
        assert _placeholders(text) == _placeholders(ENGLISH[key]), key


@pytest.mark.parametrize("tag", OTHERS)
def test_a_language_is_not_english_again(tag: str) -> None:
    mine = catalog(tag)
    sentences = [key for key, text in ENGLISH.items() if len(text.split()) > 3 and not key.endswith("find_hint")]
    assert [key for key in sentences if mine[key] == ENGLISH[key]] == []


def test_every_catalog_is_a_language_of_the_menu() -> None:
    assert {file.stem for file in (FOLDER / "languages").glob("*.yaml")} == set(NAMES)


def test_every_key_that_a_template_or_a_view_asks_for_is_there() -> None:
    sources = [*FOLDER.glob("templates/*.html"), *FOLDER.rglob("*.py")]
    asked = {
        key
        for file in sources
        for key in re.findall(r"\b(?:t|say)\('?\"?([a-z_]+\.[a-z_]+)['\"]", file.read_text("utf-8"))
    }
    assert len(asked) > 150
    assert asked - set(ENGLISH) == set()


def test_every_word_of_the_engine_that_is_shown_has_a_translation() -> None:
    shown: dict[str, list[str]] = {
        "entity": [*Entity],
        "flow": [*Flow],
        "lane": [str(int(lane)) for lane in Lane],
        "link": [*LinkStatus],
        "op": [*OperationKind, *KINDS],
        "state": [*OperationState],
        "decision": [HELD, REJECTED, UNANSWERED],
        "request": [*STATES],
        "failure": [*OUTCOMES],
        "change": [*KINDS],
        "window": [field.name for field in fields(RunRequest) if field.name not in {"run_id", "kind"}],
    }
    missing = [
        f"{group}.{word}" for group, values in shown.items() for word in values if f"{group}.{word}" not in ENGLISH
    ]
    assert missing == []


def test_the_steps_are_shown_in_the_order_of_a_cycle() -> None:
    assert list(ORDER) == list(STEPS)


def test_a_word_that_no_catalog_has_is_shown_as_it_is() -> None:
    assert words("sv")("state.frozen") == "frozen"


@pytest.mark.parametrize(
    ("query", "cookie", "accepted", "expected"),
    [
        (None, None, None, "en"),
        (None, None, "sv-SE,sv;q=0.9,en;q=0.8", "sv"),
        (None, None, "de,fr;q=0.8", "en"),
        (None, None, "de, ko;q=0.5, es;q=0.7", "es"),
        (None, None, "zh-CN", "zh-Hans"),
        (None, None, "zh", "zh-Hans"),
        (None, None, "zh-TW, es;q=0.1", "es"),
        (None, None, "pt-PT", "pt-BR"),
        (None, None, "sv;q=0", "en"),
        (None, None, ";;;q=,,", "en"),
        (None, None, "x" * 10_000, "en"),
        (None, "ko", "sv", "ko"),
        ("es", "ko", "sv", "es"),
        ("klingon", "nothing", "sv", "sv"),
    ],
)
def test_the_language_is_that_of_the_address_the_cookie_or_the_browser(
    query: str | None, cookie: str | None, accepted: str | None, expected: str
) -> None:
    assert chosen(query, cookie, accepted) == expected
