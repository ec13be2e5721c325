"""The validation report: complete, readable, offline, and without personal values."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from html.parser import HTMLParser

import pyarrow as pa
import pytest

from include.leadsync.model import Direction, Entity, OperationKind
from include.leadsync.validate import FAILURES, ReportSection, RuleSummary, Verdicts, render_report, validate_writes
from tests.validate.samples import NUMBER, SUBJECT, mapped, writes

MADE_AT = datetime(2026, 3, 1, 12, 30, tzinfo=UTC)
VOID = {"meta", "link", "br"}


def section(verdicts: Verdicts) -> ReportSection:
    return ReportSection(Entity.LEAD, OperationKind.UPDATE, Direction.OUTBOUND, verdicts)


def failing(count: int, value: str = "Ada Lovelace", message: str = "“Ada Lovelace” is wrong") -> Verdicts:
    rows = [
        {"op": f"op-{n}", "field": "topic", "value": value, "code": "0x80044331", "message": message, "rule": "V36"}
        for n in range(count)
    ]
    summary = [RuleSummary("topic", "max_length", "V36", "0x80044331", count, count, ("op-0",))]
    return Verdicts(pa.Table.from_pylist(rows, FAILURES), [f"op-{n}" for n in range(count)], summary, count, "record")


def page(*verdicts: Verdicts, **options: int) -> str:
    return render_report("run-1", [section(one) for one in verdicts], made_at=MADE_AT, **options)


class Outline(HTMLParser):
    """Tags with their attributes, and whether every opened one was closed in order."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.text: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text.append(data)


def test_it_shows_run_time_counts_and_the_table_of_rules() -> None:
    table = writes(("a", "topic", "much too long a topic"), ("a", "employees", "5"), ("b", "employees", "x"))
    verdicts = validate_writes(table, mapped(SUBJECT, NUMBER), OperationKind.UPDATE, Direction.OUTBOUND, "record")
    text = " ".join(Outline(page(verdicts)).text)
    for shown in ("run-1", "2026-03-01 12:30:00 UTC", "2 operations, 2 not written", "max_length", "0x80044331", "V36"):
        assert shown in text
    assert "Lead · update · outbound (Marketo → Dynamics)" in text


def test_it_works_with_no_failures_and_with_no_sections() -> None:
    clean = Verdicts(FAILURES.empty_table(), [], [RuleSummary("topic", "max_length", "V36", "c", 9, 0)], 9, "record")
    for text in (page(clean), page()):
        assert "Every value passed." in text
        assert "Failures</h2>" not in text


def test_every_tag_is_closed_and_tables_have_captions_and_scoped_heads() -> None:
    outline = Outline(page(failing(3), failing(0)))
    assert outline.open == []
    tags = [tag for tag, _ in outline.tags]
    assert tags.count("caption") == tags.count("table") == 3
    assert all(attributes.get("scope") in {"col", "row"} for tag, attributes in outline.tags if tag == "th")
    assert dict(outline.tags)["html"]["lang"] == "en"


def test_it_loads_nothing_from_anywhere() -> None:
    text = page(failing(3))
    outline = Outline(text)
    assert not {"script", "link", "img", "iframe", "a"} & {tag for tag, _ in outline.tags}
    assert not re.search(r"https?:|url\(|@import|//[a-z]", text)
    assert "default-src 'none'" in text


def test_it_has_colours_for_light_and_dark() -> None:
    assert "color-scheme: light dark" in page()
    assert "prefers-color-scheme: dark" in page()


def test_values_are_masked_in_the_cell_and_in_the_message() -> None:
    text = page(failing(1))
    assert "Lovelace" not in text
    assert "A*** (12 characters)" in text
    assert "“A***” is wrong" in text


def test_it_says_how_values_are_shown() -> None:
    assert "Values are masked: first character and length." in page(failing(1))


@pytest.mark.parametrize("field", ["op", "field", "code", "message", "rule"])
def test_markup_in_a_failure_is_escaped(field: str) -> None:
    verdicts = failing(1)
    position = FAILURES.get_field_index(field)
    evil = verdicts.failures.set_column(position, field, pa.array(["<script>alert(1)</script>"]))
    text = page(Verdicts(evil, ["x"], verdicts.summary, 1, "record"))
    assert "<script>" not in text
    assert "&lt;script&gt;" in text


def test_markup_in_a_rule_or_run_id_is_escaped() -> None:
    summary = [RuleSummary("<b>f", "<b>k", "<b>r", "<b>c", 1, 1, ("<b>o",), "<b>e")]
    text = render_report("<b>", [section(Verdicts(FAILURES.empty_table(), [], summary, 1, "field"))], made_at=MADE_AT)
    assert "<b>" not in text


def test_a_masked_value_that_is_markup_or_invisible_stays_harmless() -> None:
    assert "<td><***" not in page(failing(1, "<", "“<” is wrong"))
    assert "?*** (1 characters)" in page(failing(1, "\x00"))
    assert "(empty)" in page(failing(1).__class__(failing(1).failures.set_column(2, "value", pa.nulls(1, pa.string())),
                                                   ["op-0"], [], 1, "record"))  # fmt: skip


def test_no_more_than_the_limit_is_listed_over_all_sections_and_the_rest_is_counted() -> None:
    text = page(failing(6), failing(6), shown_failures=8)
    assert text.count("A*** (12 characters)") == 8
    assert "The first 8 of 12 failures are listed" in text


def test_a_thousand_failures_are_listed_unless_told_otherwise() -> None:
    assert page(failing(1001)).count("A*** (12 characters)") == 1000


def test_a_rule_that_could_not_be_evaluated_stands_out() -> None:
    summary = [RuleSummary("topic", "max_length", "V36", "rule_error", 1, 1, ("op-0",), "ArrowInvalid")]
    text = page(Verdicts(FAILURES.empty_table(), ["op-0"], summary, 1, "field"))
    assert "could not be evaluated: ArrowInvalid" in text
    assert "A failing field holds back the failing field only." in text
