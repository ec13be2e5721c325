"""The control endpoint: token, commands, clock, snapshots, people on a running sandbox."""

from __future__ import annotations

import json
import shutil
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from include.sandbox.control import TOKEN_VARIABLE, UnknownCommand
from include.sandbox.folder import DataFolder
from include.sandbox.people.generation import people
from include.sandbox.people.loading import CUSTOM_FIELDS
from include.sandbox.server import SandboxServer
from tests.sandbox.conftest import Client

Start = Callable[..., SandboxServer]


def test_a_command_of_an_emulator_reaches_the_one_that_was_asked(marketo: Client, dynamics: Client) -> None:
    assert dynamics.command("write", {"body": "by command"}) == (200, {"result": {"written": "by command"}})
    assert (marketo.notes(), dynamics.notes()) == ([], ["by command"])


def test_commands_need_the_token(marketo: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    assert marketo.command("write", {"body": "x"}, token="guess")[0] == 401
    assert marketo.call("POST", "/_sandbox/write", b'{"body": "x"}')[0] == 401
    monkeypatch.setenv(TOKEN_VARIABLE, "other")
    assert marketo.command("write", {"body": "x"})[0] == 401
    assert marketo.command("write", {"body": "x"}, token="other")[0] == 200
    assert marketo.notes() == ["x"]


@pytest.mark.parametrize(
    ("command", "body", "status", "words"),
    [
        ("nonsense", b"{}", 404, "unknown command 'nonsense' for marketo"),
        ("faults/nonsense", b"{}", 404, "faults.set"),
        ("write", b"{}", 400, "missing or unknown: 'body'"),
        ("write", b"[1]", 400, "must be a JSON object"),
        ("write", b"{", 400, "Expecting"),
        ("faults/set", b'{"rules": [{"nth": 0}]}', 400, "'nth' is 0"),
        ("clock/freeze", b'{"at": "2026-03-01T12:00:00"}', 400, "has no zone"),
        ("faults/set", b'{"rules": [{"effect": {"replace": [["a", "\\\\9"]]}}]}', 400, "cannot take its place"),
        ("faults/set", b"[" * 100_000, 400, "recursion"),
        ("calls/list", b'{"path": "("}', 400, "missing )"),
        ("write", b'{"body": "x", "values": [1]}', 400, "values must be an object"),
        ("clock/advance", b'{"seconds": NaN}', 400, "finite"),
        ("clock/advance", b'{"seconds": -Infinity}', 400, "finite"),
        ("clock/advance", b'{"seconds": 1e20}', 400, "finite"),
        ("clock/advance", b'{"seconds": 1e11}', 400, "the year 1970 to 2999"),
        ("clock/freeze", b'{"at": "0001-01-01T00:00:00Z"}', 400, "the year 1970 to 2999"),
        ("snapshot/restore", b'{"name": "none such"}', 400, "letters, digits"),
        ("snapshot/restore", b'{"name": "unmade"}', 400, "no snapshot 'unmade'"),
    ],
)
def test_a_wrong_command_is_refused_with_a_reason(
    marketo: Client, command: str, body: bytes, status: int, words: str
) -> None:
    found, answer, _ = marketo.call("POST", f"/_sandbox/{command}", body, X_Sandbox_Token="sandbox")
    assert found == status
    assert words in json.loads(answer)["error"]


def test_a_refused_move_leaves_the_clock_where_it_was(marketo: Client) -> None:
    marketo.command("clock/freeze", {"at": "2026-05-01T00:00:00Z"})
    for seconds in (b"NaN", b"Infinity", b"1e20", b"-1e11"):
        marketo.call("POST", "/_sandbox/clock/advance", b'{"seconds": ' + seconds + b"}", X_Sandbox_Token="sandbox")
    shown = {"now": "2026-05-01T00:00:00+00:00", "offset": 0.0, "frozen": True}
    assert marketo.command("clock/show") == (200, {"result": shown})
    assert marketo.command("clock/reset")[0] == 200


def test_only_post_is_a_command(marketo: Client) -> None:
    assert marketo.call("GET", "/_sandbox/calls/list", X_Sandbox_Token="sandbox")[0] == 405


def test_in_this_process_an_unknown_command_is_an_error_of_its_own(sandbox: SandboxServer) -> None:
    with pytest.raises(UnknownCommand, match="nonsense"):
        sandbox.control("nonsense")


def test_faults_are_set_over_http_for_both_services(marketo: Client, dynamics: Client) -> None:
    plan = {"rules": [{"name": "down", "path": "^/notes", "effect": {"status": 503}}], "seed": 3}
    assert marketo.command("faults/set", plan) == (200, {"result": {"rules": ["down"]}})
    assert dynamics.call("GET", "/notes")[0] == 503
    listing = dynamics.command("faults/list")[1]["result"]
    assert listing["seed"] == 3
    assert listing["rules"] == [{**plan["rules"][0], "matched": 1, "fired": 1, "paused": 0}]  # type: ignore[index]
    assert marketo.command("faults/clear") == (200, {"result": {"cleared": 1}})
    assert dynamics.call("GET", "/notes")[0] == 200


def test_commands_are_never_faulted_and_never_logged(marketo: Client) -> None:
    marketo.command("faults/set", {"rules": [{"effect": {"drop": "before"}}]})
    status, answer = marketo.command("calls/list")
    assert (status, answer["result"]["calls"]) == (200, [])


def now(client: Client) -> datetime:
    return datetime.fromisoformat(json.loads(client.call("GET", "/notes")[1])["now"])


def test_the_clock_is_moved_for_both_services(marketo: Client, dynamics: Client) -> None:
    hour = timedelta(hours=1)
    marketo.command("clock/advance", {"seconds": hour.total_seconds()})
    for client in (marketo, dynamics):
        before, shown, after = datetime.now(UTC), now(client), datetime.now(UTC)
        assert before + hour <= shown <= after + hour


def test_a_frozen_clock_stands_at_the_moment_asked_for_even_after_it_was_moved(marketo: Client) -> None:
    marketo.command("clock/advance", {"seconds": -500})
    marketo.command("clock/freeze", {"at": "2026-03-08T02:30:00-06:00"})
    assert now(marketo).isoformat() == "2026-03-08T08:30:00+00:00"
    marketo.command("clock/advance", {"seconds": 90})
    assert now(marketo).isoformat() == "2026-03-08T08:31:30+00:00"
    marketo.command("clock/freeze")
    assert now(marketo).isoformat() == "2026-03-08T08:31:30+00:00"


def test_a_reset_clock_tells_real_time(sandbox: SandboxServer, marketo: Client) -> None:
    marketo.command("clock/advance", {"seconds": 86400})
    marketo.command("clock/freeze", {"at": "2020-01-01T00:00:00Z"})
    marketo.command("clock/reset")
    before, shown, after = datetime.now(UTC), now(marketo), datetime.now(UTC)
    assert before <= shown <= after


def test_the_clock_stands_where_it_stood_after_a_restart(start_sandbox: Start) -> None:
    first = start_sandbox()
    first.control("clock.advance", {"seconds": 1000})
    first.control("clock.freeze", {"at": "2026-05-01T00:00:00Z"})
    first.stop()
    shown = start_sandbox().control("clock.show")
    assert shown == {"now": "2026-05-01T00:00:00+00:00", "offset": 1000.0, "frozen": True}


def test_a_snapshot_brings_back_what_was(sandbox: SandboxServer, marketo: Client, dynamics: Client) -> None:
    marketo.call("POST", "/notes", b"before")
    dynamics.call("POST", "/notes", b"before too")
    assert marketo.command("snapshot/save", {"name": "start"})[1]["result"]["bytes"] > 0
    marketo.call("POST", "/notes", b"after")
    sandbox.control("clock.advance", {"seconds": 60})
    assert marketo.command("snapshot/restore", {"name": "start"})[0] == 200
    assert (marketo.notes(), dynamics.notes()) == (["before"], ["before too"])
    assert marketo.command("snapshot/list")[1]["result"] == {"snapshots": ["start"]}
    assert sandbox.control("clock.show")["offset"] == 60  # the clock is no part of it
    marketo.call("POST", "/notes", b"goes on")
    assert marketo.notes() == ["before", "goes on"]


def test_a_snapshot_can_be_restored_while_requests_come_in(sandbox: SandboxServer, marketo: Client) -> None:
    sandbox.control("snapshot.save")
    statuses: list[int] = []

    def write() -> None:
        statuses.extend(marketo.call("POST", "/notes", b"x")[0] for _ in range(20))

    writers = [threading.Thread(target=write) for _ in range(4)]
    for writer in writers:
        writer.start()
    for _ in range(5):
        sandbox.control("snapshot.restore")
    for writer in writers:
        writer.join()
    assert statuses == [200] * 80


class _Killed(BaseException):
    """The process ends here."""


def _killed_at(step: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """From now on only so many changes of the file system happen."""
    left = [step]

    def counted(change: Callable[..., Any]) -> Callable[..., Any]:
        def carried_out(*arguments: Any, **more: Any) -> Any:
            if left[0] == 0:
                raise _Killed
            left[0] -= 1
            return change(*arguments, **more)

        return carried_out

    for place, name in ((Path, "rename"), (Path, "unlink"), (Path, "rmdir"), (shutil, "copyfile"), (shutil, "rmtree")):
        monkeypatch.setattr(place, name, counted(getattr(place, name)))


def _held(folder: DataFolder) -> dict[str, str]:
    return {path.name: path.read_text() for path in folder.path.iterdir() if path.is_file() and path.stat().st_size}


def _folder_with_snapshot(path: Path) -> DataFolder:
    folder = DataFolder(path)
    folder.take()
    for name in ("a", "b"):
        (path / name).write_text("then")
    folder.save("then")
    for name in ("b", "c"):
        (path / name).write_text("now")
    return folder


@pytest.mark.parametrize("act", ["restore", "save"])
def test_a_kill_in_the_middle_of_a_snapshot_leaves_what_was_or_what_will_be(
    act: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    then, now = {"a": "then", "b": "then"}, {"a": "then", "b": "now", "c": "now"}
    for step in range(100):
        folder = _folder_with_snapshot(tmp_path / str(step))
        with monkeypatch.context() as patched:
            _killed_at(step, patched)
            try:
                getattr(folder, act)("then")
                survived = True
            except _Killed:
                survived = False
        folder.give_back()
        again = DataFolder(folder.path)
        again.take()
        assert _held(again) in ([now, then] if act == "restore" else [now])
        assert again.snapshots() == ["then"]
        kept = {path.name: path.read_text() for path in (folder.path / "snapshots" / "then").iterdir()}
        assert kept in ([then] if act == "restore" else [then, now])
        again.restore("then")
        assert _held(again) == kept
        again.give_back()
        if survived:
            assert step > 3
            return
    pytest.fail("it never ends")


def test_a_snapshot_of_a_database_in_use_is_whole(tmp_path: Path) -> None:
    folder = DataFolder(tmp_path / "data")
    folder.take()
    from tests.sandbox.conftest import NotebookEmulator  # a database with a journal beside it

    emulator = NotebookEmulator("marketo", folder.path, None, {})  # type: ignore[arg-type]
    emulator.write("in the journal")
    folder.save("copy")
    assert sorted(path.name for path in (folder.path / "snapshots" / "copy").iterdir()) == ["marketo.sqlite"]
    emulator.close()
    folder.restore("copy")
    again = NotebookEmulator("marketo", folder.path, None, {})  # type: ignore[arg-type]
    assert again.notes() == ["in the journal"]
    again.close()
    folder.give_back()


def loaded(sandbox: SandboxServer, service: str, table: str) -> list[dict[str, Any]]:
    return getattr(sandbox, service).loaded(table)  # type: ignore[no-any-return]


def test_people_are_generated_on_the_first_start_only(start_sandbox: Start) -> None:
    first = start_sandbox(people=30, seed=9)
    assert loaded(first, "marketo", "person") == [pair.person for pair in people(9, 30)]
    for table in ("lead", "contact"):
        expected = [pair.record for pair in people(9, 30) if pair.table == table]
        assert loaded(first, "dynamics", table) == expected
    assert len(loaded(first, "dynamics", "account")) > 500
    first.stop()
    assert len(loaded(start_sandbox(people=500), "marketo", "person")) == 30


def test_an_empty_first_start_stays_empty(start_sandbox: Start) -> None:
    start_sandbox(people=0).stop()
    assert loaded(start_sandbox(people=10), "marketo", "person") == []


def test_a_first_start_that_was_killed_is_made_again_from_nothing(start_sandbox: Start, tmp_path: Path) -> None:
    folder = DataFolder(tmp_path / "data")
    first = start_sandbox(people=5)
    first.stop()
    note = folder.note("people")
    folder.write_note("people", {**note, "complete": False})  # as it stands while people are loaded
    second = start_sandbox(people=7)
    assert len(loaded(second, "marketo", "person")) == 7
    assert folder.note("people")["complete"] is True


def test_more_people_can_be_added_and_marketo_chooses_their_ids(start_sandbox: Start) -> None:
    sandbox = start_sandbox(people=10)
    added = sandbox.control("people.add", {"seed": 1, "start": 10, "count": 5, "linked": 0.0})
    persons = loaded(sandbox, "marketo", "person")
    assert added["person"] == len(persons) - 10
    assert added["account"] == 0
    assert all("id" not in person for person in persons[10:])


def test_the_custom_fields_hold_every_generated_value() -> None:
    names = {name for name, _, _ in CUSTOM_FIELDS}
    used = {name for pair in people(1, 500) if pair.person for name in pair.person if name.startswith("microsoft")}
    assert used == names


def test_the_host_says_where_it_listens_and_what_it_knows(sandbox: SandboxServer, marketo: Client) -> None:
    shown = marketo.command("host/show")[1]["result"]
    assert shown["urls"] == {"marketo": sandbox.marketo_url, "dynamics": sandbox.dynamics_url}
    assert "faults.set" in shown["commands"]


def test_every_command_of_the_host_is_documented(sandbox: SandboxServer, project_root: Path) -> None:
    text = (project_root / "docs" / "sandbox.md").read_text("utf-8")
    missing = [name for name in sandbox.control("host.show")["commands"] if f"`{name}`" not in text]
    assert missing == []
