"""The field map is changed from a page: looked at first, saved on the file that was looked at, or not at all."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from include.leadsync.config import load_settings
from include.leadsync.model import Entity
from leadsync_console import services
from leadsync_console.views import fields
from tests.plugins.console.conftest import HERE

SHIPPED = Path(__file__).resolve().parents[3] / "include" / "config" / "leadsync.yaml"
ADD = {"action": "add", "entity": "lead", "field": "favouriteColour", "column": "new_colour"}
IMPACT = {
    "links": 1000, "marketo_calls": 4, "dynamics_calls": 10, "looked": 300, "missing": 0, "exact": False,
    "equal": 1, "hidden": True, "into_marketo": {"filled": 100, "overwritten": 30, "emptied": 0},
    "into_dynamics": {"filled": 0, "overwritten": 0, "emptied": 0},
}  # fmt: skip


@pytest.fixture
def config(home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the shipped file, and services that answer."""
    path = home / "leadsync.yaml"
    shutil.copy(SHIPPED, path)
    monkeypatch.setenv("LEADSYNC_CONFIG", str(path))
    monkeypatch.setattr(fields, "impact_of_added", lambda *_: (IMPACT, None))
    monkeypatch.setattr(fields, "metadata_afresh", lambda _: None)
    return path


def _form(text: str) -> dict[str, str]:
    return dict(re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)">', text.partition('method="post"')[2]))


def _looked_at(client: TestClient, **change: str) -> dict[str, str]:
    answer = client.get("/fields/proposal", params={**ADD, **change})
    assert answer.status_code == 200
    return _form(answer.text)


def test_a_pair_is_proposed_with_the_lines_of_the_file_and_what_it_touches_then_saved_and_on_record(
    ada: TestClient, config: Path, audit_log: list[tuple[str, str, Mapping[str, Any]]]
) -> None:
    page = ada.get("/fields/proposal", params=ADD).text
    assert "<ins>+     favouriteColour: {dynamics: new_colour, type: string}</ins>" in page
    assert "new_colour only 20" in page
    assert "A sample of 300" in page
    assert "≈ 333" in page
    assert "Column security hides new_colour" in page
    assert config.read_bytes() == SHIPPED.read_bytes()
    assert audit_log == []

    answer = ada.post("/fields", data=_form(page), headers=HERE)
    assert answer.status_code == 303
    assert "Saved" in ada.get(answer.headers["location"]).text
    entry = load_settings(config).fields.of(Entity.LEAD)["favouriteColour"]
    assert (entry.dynamics, entry.type) == ("new_colour", "string")
    assert config.read_text().count("\n") == SHIPPED.read_text().count("\n") + 1
    ((who, what, detail),) = audit_log
    assert (who, what, detail["action"], detail["field"]) == ("ada", "fields", "add", "favouriteColour")
    assert detail["before"] != detail["after"]
    assert detail["lines"] == ["+    favouriteColour: {dynamics: new_colour, type: string}"]


def test_direction_and_winner_are_changed_and_a_pair_is_removed(ada: TestClient, config: Path) -> None:
    assert 'value="change"' in ada.get("/fields/entry?entity=lead&field=title").text
    change = {"action": "change", "entity": "lead", "field": "title", "winner": "dynamics"}
    page = ada.get("/fields/proposal", params=change).text
    assert "Of 6 that were looked at, 6 have a value and 1 differ" in page
    assert ada.post("/fields", data=_form(page), headers=HERE).status_code == 303
    assert load_settings(config).fields.lead["title"].winner == "dynamics"
    page = ada.get("/fields/proposal", params={"action": "remove", "entity": "lead", "field": "title"}).text
    assert ada.post("/fields", data=_form(page), headers=HERE).status_code == 303
    assert "title" not in load_settings(config).fields.lead
    assert "title" in load_settings(config).fields.contact


def test_of_two_who_save_at_once_the_second_is_shown_the_file_as_it_is_and_saves_then(
    ada: TestClient, config: Path, audit_log: list[Any]
) -> None:
    mine, theirs = _looked_at(ada), _looked_at(ada, field="nickname", column="new_colour", direction="inbound")
    assert ada.post("/fields", data=theirs, headers=HERE).status_code == 303
    saved = config.read_bytes()
    answer = ada.post("/fields", data=mine, headers=HERE)
    assert answer.status_code == 409
    assert "Somebody else has saved" in answer.text
    assert "nickname" in answer.text
    assert config.read_bytes() == saved
    assert len(audit_log) == 1
    again = _form(answer.text)
    assert again["was"] != mine["was"]
    assert ada.post("/fields", data=again, headers=HERE).status_code == 303
    assert {"nickname", "favouriteColour"} <= set(load_settings(config).fields.lead)


def test_the_same_pair_twice_is_refused_in_words(ada: TestClient, config: Path) -> None:
    mine = _looked_at(ada)
    assert ada.post("/fields", data=mine, headers=HERE).status_code == 303
    answer = ada.post("/fields", data=mine, headers=HERE)
    assert answer.status_code == 409
    assert "is there already" in answer.text


def test_every_mistake_is_shown_at_once_and_there_is_nothing_to_save(
    ada: TestClient, config: Path, audit_log: list[Any]
) -> None:
    wrong = {**ADD, "field": "nobody", "column": "nothing"}
    text = ada.get("/fields/proposal", params=wrong).text
    assert "cannot be saved (2)" in text
    assert "Marketo has no field nobody" in text
    assert str(config) not in text
    assert 'method="post"' not in text
    answer = ada.post("/fields", data={**wrong, "was": _looked_at(ada)["was"]}, headers=HERE)
    assert answer.status_code == 409
    assert ada.get("/fields/leadsync.yaml", params=wrong).status_code == 409
    assert config.read_bytes() == SHIPPED.read_bytes()
    assert audit_log == []


@pytest.mark.parametrize("reason", ["read_only", "several_places"])
def test_where_the_file_cannot_be_saved_the_page_says_so_and_offers_it_for_download(
    ada: TestClient, config: Path, monkeypatch: pytest.MonkeyPatch, reason: str
) -> None:
    form = _looked_at(ada)
    if reason == "read_only":
        monkeypatch.setattr(os, "access", lambda _, mode: mode != os.W_OK)
    else:
        monkeypatch.setenv("AIRFLOW__CORE__EXECUTOR", "CeleryExecutor")
    page = ada.get("/fields/proposal", params=ADD).text
    assert "cannot be saved from here" in page
    assert 'method="post"' not in page
    assert ada.post("/fields", data=form, headers=HERE).status_code == 409
    assert config.read_bytes() == SHIPPED.read_bytes()
    (address,) = re.findall(r'href="(/fields/leadsync\.yaml[^"]*)"', page)
    answer = ada.get(address.replace("&amp;", "&"))
    assert answer.headers["content-disposition"] == 'attachment; filename="leadsync.yaml"'
    assert b"favouriteColour: {dynamics: new_colour" in answer.content
    config.write_bytes(answer.content)
    assert "favouriteColour" in load_settings(config).fields.lead


@pytest.mark.parametrize(
    "form",
    [
        {},
        {"action": "drop"},
        {"entity": "account"},
        {"field": "a: b"},
        {"field": ""},
        {"direction": "up"},
        {"winner": "me"},
        {"type": "blob"},
        {"was": "x"},
        {"was": ""},
        {"field": "x" * 400},
    ],
)
def test_a_form_that_cannot_be_meant_changes_nothing(ada: TestClient, config: Path, form: dict[str, str]) -> None:
    sent = {**ADD, "was": "0" * 16, **form} if form else {}
    assert ada.post("/fields", data=sent, headers=HERE).status_code == 400
    assert config.read_bytes() == SHIPPED.read_bytes()


def test_a_column_with_a_quote_or_markup_is_a_mistake_like_any_other(ada: TestClient, config: Path) -> None:
    for column in ("o'x", 'a" b', "<script>alert(1)</script>", "x}, evil: {dynamics: y"):
        text = ada.get("/fields/proposal", params={**ADD, "column": column}).text
        assert "cannot be saved" in text
        assert "<script" not in text


def test_a_file_with_mistakes_and_a_store_that_is_away_are_told(ada: TestClient, config: Path, home: Path) -> None:
    config.write_bytes(b"fields: 5\n")
    assert ada.get("/fields/proposal", params=ADD).status_code == 503
    shutil.copy(SHIPPED, config)
    form = _looked_at(ada)
    (home / "state.db").unlink()
    for answer in (ada.get("/fields/new"), ada.get("/fields/proposal", params=ADD)):
        assert answer.status_code == 503
        assert "There is no state store yet" in answer.text
    assert ada.post("/fields", data=form, headers=HERE).status_code == 503
    assert config.read_bytes() == SHIPPED.read_bytes()


def test_what_cannot_be_put_on_record_is_not_saved(
    ada: TestClient, config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from leadsync_console import audit

    form = _looked_at(ada)

    def away(*_: object) -> None:
        raise OSError("Airflow's database is away")

    monkeypatch.setattr(audit, "note", away)
    with pytest.raises(OSError, match="away"):
        ada.post("/fields", data=form, headers=HERE)
    assert config.read_bytes() == SHIPPED.read_bytes()


def test_the_form_offers_what_both_systems_have_and_suggests_pairs_of_one_name(ada: TestClient, config: Path) -> None:
    text = ada.get("/fields/new?entity=contact").text
    assert '<option value="favouriteColour">' in text
    assert '<option value="new_colour">' in text
    assert "in use by title" in text
    assert "field=optIn&amp;column=new_flag" in text
    assert ada.get("/fields/entry?entity=lead&field=nobody").status_code == 404


def test_services_that_are_away_leave_the_fields_that_were_read_before(
    ada: TestClient, config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fields, "metadata_afresh", services.metadata_afresh)  # there are no connections here
    monkeypatch.setattr(fields, "impact_of_added", services.impact_of_added)
    text = ada.get("/fields/new?live=1").text
    assert "could not be asked" in text
    assert '<option value="favouriteColour">' in text
    page = ada.get("/fields/proposal", params=ADD).text
    assert "could not be asked what it would write" in page
    assert ada.post("/fields", data=_form(page), headers=HERE).status_code == 303
