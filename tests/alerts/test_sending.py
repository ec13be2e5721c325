"""Alerts and the digest arrive at a real mail server and a real webhook, and hold no secret (DECISIONS 34)."""

from __future__ import annotations

import json
import logging
import shutil
from collections.abc import Callable, Iterator
from copy import deepcopy
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pyarrow as pa
import pytest
import yaml

from include.leadsync.alerts.troubles import KINDS
from include.leadsync.alerts.watch import NotTold
from include.leadsync.approval import park
from include.leadsync.clock import FakeClock
from include.leadsync.errors import AccessRefused, StateUnavailable
from include.leadsync.model import System
from include.leadsync.settings.tree import SystemLimits
from include.leadsync.state import ActivityLog, Outbox, Runs, SharedBudget, StateStore
from leadsync_hooks import engine, watching
from leadsync_hooks.airflow_names import AirflowException, AirflowFailException
from leadsync_hooks.notifying import ChatNotifier
from leadsync_hooks.watching import BLIND, WatchOperator
from tests.alerts.receivers import Chat, Mailbox, chat_server, mail_server

ROOT = Path(__file__).resolve().parents[2]
HOOK, PASSWORD = "services/T0/B0/s3cr3t-of-the-hook", "s3cr3t-of-the-mail"
CONSOLE = "https://airflow.example/leadsync"
PLAN = "00112233445566aa"


@pytest.fixture(scope="module")
def mail_on_loopback() -> Iterator[Mailbox]:
    with mail_server() as box:
        yield box


@pytest.fixture(scope="module")
def chat_on_loopback() -> Iterator[Chat]:
    with chat_server() as server:
        yield server


@pytest.fixture(scope="module")
def shipped() -> dict[str, Any]:
    """The shipped configuration without a field map: reading the whole map takes longer than sending a mail."""
    config: dict[str, Any] = yaml.safe_load((ROOT / "include/config/leadsync.yaml").read_text())
    return config | {"fields": {"lead": {}, "contact": {}}}


@pytest.fixture
def mail(mail_on_loopback: Mailbox) -> Mailbox:
    mail_on_loopback.mails, mail_on_loopback.to, mail_on_loopback.refuse = [], [], False
    return mail_on_loopback


@pytest.fixture
def chat(chat_on_loopback: Chat) -> Chat:
    chat_on_loopback.posts, chat_on_loopback.status = [], 200
    return chat_on_loopback


@pytest.fixture
def store(
    tmp_path: Path,
    mail: Mailbox,
    chat: Chat,
    monkeypatch: pytest.MonkeyPatch,
    migrated_sqlite: Path,
    shipped: dict[str, Any],
) -> Iterator[StateStore]:
    """The state store that `engine.watch` opens; what is written through this one happened two hours ago."""
    config = deepcopy(shipped)
    shutil.copy(migrated_sqlite, tmp_path / "state.db")
    config["limits"]["marketo"] |= {"daily": 1, "share": 1.0}
    config["alerts"] |= {"email": {"to": ["ops@example.com", "ann@example.com"], "connection": "smtp_default"}}
    config["alerts"] |= {"chat": {"connection": "team_chat"}, "digest_hour": None}
    (tmp_path / "leadsync.yaml").write_text(yaml.safe_dump(config))
    smtp = {"conn_type": "smtp", "host": "127.0.0.1", "port": mail.port, "login": "", "password": PASSWORD}
    smtp["extra"] = {"disable_ssl": True, "disable_tls": True, "from_email": "sync@example.com", "retry_limit": 0}
    hook = {"conn_type": "http", "host": f"http://127.0.0.1:{chat.port}", "password": HOOK}
    for name, value in (("AIRFLOW_CONN_SMTP_DEFAULT", json.dumps(smtp)), ("AIRFLOW_CONN_TEAM_CHAT", json.dumps(hook))):
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("LEADSYNC_CONFIG", str(tmp_path / "leadsync.yaml"))
    monkeypatch.setenv("LEADSYNC_STATE_URL", f"sqlite:///{tmp_path / 'state.db'}")
    past = FakeClock(datetime.now(UTC) - timedelta(hours=2))
    opened = StateStore.open(f"sqlite:///{tmp_path / 'state.db'}", past)
    yield opened
    opened.close()


def failed(name: str, message: str) -> Callable[[StateStore], None]:
    def happen(store: StateStore) -> None:
        Runs(store).start("r1", "request")
        Runs(store).finish("r1", "failed", {"error": message, "class": name})

    return happen


def down(store: StateStore) -> None:
    Runs(store).start("r1", "cycle")
    Runs(store).finish("r1", "done")


def set_aside(store: StateStore) -> None:
    row = {"code": "field_set_aside", "message": "is gone", "rule": "D67", "entity": "lead", "field": "title"}
    ActivityLog(store).stands(pa.Table.from_pylist([row]), ["field_set_aside"], "r1")


def waiting(state: str, plan_hash: str | None = None) -> Callable[[StateStore], None]:
    row = {"op_id": "o1", "run_id": "r1", "entity": "lead", "direction": "outbound", "kind": "update", "lane": 2}

    def happen(store: StateStore) -> None:
        rows = [row | {"payload": "{}", "state": state, "plan_hash": plan_hash, "link_id": 1}]
        Outbox(store).add(pa.Table.from_pylist(rows))

    return happen


def spent(store: StateStore) -> None:
    now = FakeClock(datetime.now(UTC))
    with SharedBudget(store, System.MARKETO, SystemLimits(daily=1, share=1.0), now).call(System.MARKETO):
        pass


WRONG: dict[str, tuple[Callable[[StateStore], None], str]] = {
    "sync_down": (down, "no cycle has come to its end for 120 minutes"),
    "rights": (failed("AccessRefused", "marketo refused access"), "run r1: marketo refused access"),
    "configuration": (failed("FixConfiguration", "Marketo lacks a field"), "run r1: Marketo lacks a field"),
    "schema": (set_aside, "field_set_aside, lead title: is gone"),
    "quota": (spent, "marketo: 1 of 1 calls"),
    "backlog": (waiting("pending"), "1 outbound writes wait, the oldest for 120 minutes"),
    "held_plan": (waiting("held", PLAN), f"plan {PLAN} waits for approval: 1 operations on 1 links"),
}


@pytest.mark.parametrize("kind", KINDS)
def test_each_trouble_arrives_once_by_mail_and_in_the_chat(
    store: StateStore, mail: Mailbox, chat: Chat, kind: str
) -> None:
    happen, text = WRONG[kind]
    happen(store)
    assert engine.watch(CONSOLE)["sent"] == 2
    assert engine.watch(CONSOLE)["sent"] == 0
    assert mail.subjects == [f"Lead Sync: {kind.replace('_', ' ')}"]
    assert mail.to == [["ops@example.com", "ann@example.com"]]
    assert mail.mails[0]["From"] == "sync@example.com"
    ((path, body),) = chat.posts
    assert path == f"/{HOOK}"
    assert list(body) == ["text"]
    for arrived in (mail.texts[0], body["text"]):
        assert text in arrived
        assert f"{CONSOLE}/" in arrived


def test_its_end_is_told_too(store: StateStore, mail: Mailbox, chat: Chat) -> None:
    waiting("held", PLAN)(store)
    engine.watch(CONSOLE)
    park(store, PLAN)
    engine.watch(CONSOLE)
    assert mail.subjects == ["Lead Sync: held plan", "Lead Sync: held plan is over"]
    assert [body["text"].splitlines()[0] for _, body in chat.posts] == mail.subjects


@pytest.mark.parametrize("status", [500, 302])
def test_a_chat_that_takes_nothing_keeps_no_mail_back_and_is_told_later(
    store: StateStore, mail: Mailbox, chat: Chat, caplog: pytest.LogCaptureFixture, status: int
) -> None:
    down(store)
    chat.status = status
    with caplog.at_level(logging.WARNING), pytest.raises(NotTold, match=r"chat \(AirflowException\)") as refused:
        engine.watch(CONSOLE)
    assert len(mail.mails) == 1
    assert HOOK not in caplog.text + str(refused.value)
    chat.status = 200
    assert engine.watch(CONSOLE)["sent"] == 1
    assert len(mail.mails) == 1


def test_a_mail_server_that_refuses_is_tried_again_with_the_next_look(
    store: StateStore, mail: Mailbox, chat: Chat
) -> None:
    down(store)
    mail.refuse = True
    with pytest.raises(NotTold, match=r"email \(SMTP\w+\)") as refused:
        engine.watch(CONSOLE)
    assert PASSWORD not in str(refused.value)
    assert len(chat.posts) == 1
    mail.refuse = False
    assert engine.watch(CONSOLE)["sent"] == 1


def test_the_digest_arrives_once_a_day_with_counts_ids_and_a_link_and_no_value(
    store: StateStore, mail: Mailbox, chat: Chat, tmp_path: Path
) -> None:
    file = tmp_path / "leadsync.yaml"
    hour = (datetime.now(UTC) - timedelta(hours=1)).hour
    file.write_text(file.read_text().replace("digest_hour: null", f"digest_hour: {hour}"))
    row: dict[str, Any] = {"outcome": "failed", "code": "string_too_long", "message": "a value", "run_id": "r1"}
    row |= {"direction": "outbound", "entity": "lead", "field": "title", "value": "<b>María</b>"}
    rows = [row | {"person_id": person} for person in (11, 12)]
    ActivityLog(store).record(pa.Table.from_pylist(rows))
    assert engine.watch(CONSOLE)["sent"] == 2
    assert engine.watch(CONSOLE)["sent"] == 0
    assert mail.subjects == ["Lead Sync: 2 failures in a day, 2 open"]
    for arrived in (mail.texts[0], chat.posts[0][1]["text"]):
        assert "2 × string_too_long (outbound lead title), 2 open; for example person 12, person 11" in arrived
        assert f"{CONSOLE}/errors" in arrived
        assert "María" not in arrived


def test_a_text_is_sent_as_it_is_and_never_run_as_a_template(store: StateStore, mail: Mailbox, chat: Chat) -> None:
    failed("FixConfiguration", "found {{ conn.smtp_default.password }} <script>")(store)
    engine.watch(CONSOLE)
    assert "{{ conn.smtp_default.password }} &lt;script&gt;" in mail.texts[0]
    assert "{{ conn.smtp_default.password }} <script>" in chat.posts[0][1]["text"]


def test_a_chat_away_from_this_machine_must_be_reached_by_https(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_TEAM_CHAT", json.dumps({"conn_type": "http", "host": "http://chat.example/x"}))
    with pytest.raises(AirflowException, match="https"):
        ChatNotifier(text="x", conn_id="team_chat").notify({})


def looking(**params: bool) -> Any:
    """The context of a run of `lead_sync_watch` whose form says this."""
    run = SimpleNamespace(run_after=datetime(2026, 3, 1, tzinfo=UTC), conf=params)
    return {"params": params, "dag": SimpleNamespace(params=params), "dag_run": run}


def test_a_state_store_that_is_away_is_told_once_and_once_when_it_is_back(
    store: StateStore, mail: Mailbox, chat: Chat, monkeypatch: pytest.MonkeyPatch
) -> None:
    variables: dict[str, str] = {}
    fake = SimpleNamespace(get=lambda name, *, default: variables.get(name, default), set=variables.__setitem__)
    monkeypatch.setattr(watching, "Variable", fake)
    look = engine.watch

    def away(console: str) -> dict[str, Any]:
        raise StateUnavailable("the state store is locked or away")

    context = looking(test=False)
    monkeypatch.setattr(engine, "watch", away)
    for _ in range(2):
        with pytest.raises(StateUnavailable):
            WatchOperator(task_id="watch").execute(context)
    assert mail.subjects == ["Lead Sync: state store away"]
    assert variables[BLIND]
    monkeypatch.setattr(engine, "watch", look)
    assert WatchOperator(task_id="watch").execute(context) == {"troubles": [], "sent": 0}
    assert mail.subjects[1:] == ["Lead Sync: state store away is over"]
    assert len(chat.posts) == 2


def test_the_channels_can_be_tried_and_one_that_fails_is_named(
    store: StateStore, mail: Mailbox, chat: Chat, tmp_path: Path
) -> None:
    context = looking(test=True)
    assert WatchOperator(task_id="watch").execute(context) == {"email": "told", "chat": "told"}
    chat.status = 404
    with pytest.raises(AirflowFailException, match="'chat': 'AirflowException'"):
        WatchOperator(task_id="watch").execute(context)
    assert mail.subjects == ["Lead Sync: test"] * 2
    (tmp_path / "leadsync.yaml").write_text("fields: {lead: {}, contact: {}}")
    with pytest.raises(AirflowFailException, match="no channel"):
        WatchOperator(task_id="watch").execute(context)


def test_the_report_of_a_failed_run_keeps_the_class_and_the_words_of_our_own_errors_only() -> None:
    refused = AccessRefused("marketo", "603", "access denied", "give the role Read-Write Lead")
    with pytest.raises(AirflowFailException) as failing, engine.airflow_outcome():
        raise refused
    assert engine.failure_of(failing.value) == {"class": "AccessRefused", "error": str(refused)}
    assert engine.failure_of(KeyError("ann@example.com")) == {"class": "KeyError", "error": "KeyError"}
    assert engine.failure_of(None) == {"error": "unknown"}
