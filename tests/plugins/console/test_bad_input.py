"""Broken questions, hostile values, a store that is away: a clear answer, nothing broken, nothing leaked."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from leadsync_console import page
from tests.console.stored import HELD, SCRIPT

SHOWN = ["/", "/errors", "/errors/causes", "/collisions", "/persons", "/persons/1", "/runs", "/requests", "/fields",
         f"/held/{HELD}"]  # fmt: skip


@pytest.mark.parametrize(
    "address",
    [
        "/errors?person=abc",
        "/errors?person=-1",
        "/errors?person=0",
        "/errors?person=99999999999999999999",
        "/errors?person=٣",
        "/errors?direction=sideways",
        "/errors?show=none",
        "/errors?crm=1234",
        "/errors?before=last",
        "/errors?code=" + "x" * 201,
        "/errors?q=%00",
        "/errors?q=" + "x" * 600,
        "/errors.csv?entity=account",
        "/collisions?winner=salesforce",
        "/collisions?before=1;drop table ledger",
        "/runs?outcome=maybe",
        "/runs?before=1~",
        "/runs?before=99999999999999999999~a",
        "/requests?state=lost",
        "/requests?before=x",
        "/fields?entity=account",
        "/persons/0",
        "/persons/99999999999999999999",
        "/persons/1?before=yesterday",
        "/persons/1?before=9999-99-99",
        "/records/not-a-guid",
        "/held/zzz",
    ],
)
def test_a_broken_filter_or_page_token_is_answered_in_words(vic: TestClient, address: str) -> None:
    answer = vic.get(address)
    assert answer.status_code == 400
    assert "This question cannot be answered" in answer.text
    assert "Traceback" not in answer.text
    assert "drop table" not in answer.text


@pytest.mark.parametrize("text", ["it's", 'say "x"', "100%", "too_long", "\\", SCRIPT, "'; --", "部门", "مدير"])
def test_a_search_takes_quotes_percent_signs_and_any_script_as_they_are(vic: TestClient, text: str) -> None:
    for address in ("/errors", "/collisions", "/persons"):
        answer = vic.get(address, params={"q": text})
        assert answer.status_code == 200
        assert "<script" not in answer.text
    found = vic.get("/errors", params={"q": text}).text
    assert ("too_long</a>" in found) == (text in {"it's", "100%", "too_long", SCRIPT})


def test_html_in_values_is_text_on_every_page(vic: TestClient) -> None:
    seen = 0
    for address in SHOWN:
        text = vic.get(address).text
        assert "<script" not in text, address
        seen += "&lt;script&gt;" in text
    assert seen >= 4


def test_without_a_state_store_every_page_says_so_and_none_makes_one(vic: TestClient, home: Path) -> None:
    (home / "state.db").unlink()
    for address in [*SHOWN, "/errors.csv"]:
        answer = vic.get(address)
        assert answer.status_code == 503, address
        assert "There is no state store yet" in answer.text
        assert str(home) not in answer.text
    assert not (home / "state.db").exists()


def test_a_store_of_another_version_is_not_migrated_by_looking(vic: TestClient, home: Path) -> None:
    with sqlite3.connect(home / "state.db") as connection:
        connection.execute("UPDATE leadsync_version SET version_num = '0005'")
    connection.close()
    assert vic.get("/").status_code == 503
    with sqlite3.connect(home / "state.db") as connection:
        assert connection.execute("SELECT version_num FROM leadsync_version").fetchone() == ("0005",)
    connection.close()


def test_a_damaged_store_is_told_without_the_path_of_the_machine(vic: TestClient, home: Path) -> None:
    (home / "state.db").write_bytes(b"no database at all, " * 100)
    answer = vic.get("/errors")
    assert answer.status_code == 503
    assert str(home) not in answer.text
    assert "damaged" in answer.text


def test_a_server_that_is_away_is_told_without_its_password(vic: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LEADSYNC_STATE_URL", "postgresql://ann:hunter2@127.0.0.1:1/state")
    answer = vic.get("/")
    assert answer.status_code == 503
    assert "cannot be reached" in answer.text
    assert "hunter2" not in answer.text


def test_settings_with_mistakes_are_told_without_the_path(
    vic: TestClient, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (home / "wrong.yaml").write_text("fields: 5\n")
    monkeypatch.setenv("LEADSYNC_CONFIG", str(home / "wrong.yaml"))
    answer = vic.get("/fields")
    assert answer.status_code == 503
    assert "The settings have mistakes" in answer.text
    assert str(home) not in answer.text


def test_an_unknown_page_person_and_record_are_not_there(vic: TestClient) -> None:
    for address in ("/nowhere", "/persons/123456", "/records/00000000-0000-0000-0000-00000000dead"):
        answer = vic.get(address)
        assert answer.status_code == 404, address
        assert "There is nothing here" in answer.text


def test_a_notice_is_a_sentence_of_ours_whatever_the_address_says(vic: TestClient) -> None:
    text = vic.get("/errors", params={"done": "retried", "n": SCRIPT, "m": "7"}).text
    assert "7 records will be read" in text
    assert "&lt;script&gt;alert" not in text.partition("</main>")[0].partition('role="status"')[2].partition("</p>")[0]
    assert 'role="status"' not in vic.get("/errors", params={"done": "hacked"}).text


def test_every_template_escapes_by_default(monkeypatch: pytest.MonkeyPatch) -> None:
    assert page._templates.autoescape is True
    folder = Path(page.__file__).parent / "templates"
    templates = list(folder.glob("*.html"))
    assert len(templates) > 12
    for template in templates:
        source = template.read_text("utf-8")
        assert "|safe" not in source.replace(" ", "")
        assert "autoescape" not in source


def test_an_unreadable_form_is_answered_in_words(ada: TestClient, audit_log: list[Any]) -> None:
    for path, data in [
        ("/errors/retry", {}),
        ("/errors/retry", {"activity": "many"}),
        ("/errors/retry", {"code": "x", "direction": "up"}),
        ("/requests", {"persons": ""}),
        ("/requests", {"persons": "1, two"}),
        ("/requests", {"persons": "99999999999"}),
        ("/requests", {"persons": " ".join(map(str, range(1, 102)))}),
        ("/requests", {"persons": "1", "sync_as": "account"}),
        ("/requests", {"persons": "1", "reason": "a\x00b"}),
    ]:
        answer = ada.post(path, data=data, headers={"origin": "http://testserver"})
        assert answer.status_code == 400, (path, data)
    assert audit_log == []
