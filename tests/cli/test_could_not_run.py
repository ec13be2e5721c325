"""Exit status 2: every expected obstacle ends in one message that says what to fix, never in a traceback."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from include.leadsync.clock import SystemClock
from tests.cli.command_line import DYNAMICS, MARKETO, SECRET, SHIPPED, CommandLine, Result, connection, end_of

AWAY = "http://127.0.0.1:9"  # the discard port: nobody listens


@dataclass(frozen=True)
class Obstacle:
    """Something that keeps a command from running, and what its message has to name."""

    says: str
    words: tuple[str, ...] = ("cycle",)
    changes: dict[str, str] = field(default_factory=dict)
    stream: str = "err"


def config(change: Callable[[str], str]) -> str:
    """A name for `written`: the shipped configuration, changed."""
    return change(SHIPPED.read_text("utf-8"))


OBSTACLES = {
    "no connection": Obstacle(r"AIRFLOW_CONN_MARKETO_DEFAULT.*JSON form", changes={MARKETO: ""}),
    "both connections missing": Obstacle(
        r"(?s)2 problem.*MARKETO_DEFAULT.*DYNAMICS_DEFAULT", changes={MARKETO: "", DYNAMICS: ""}
    ),
    "connection that is no JSON": Obstacle(r"DYNAMICS_DEFAULT: found JSON that", changes={DYNAMICS: "{" + SECRET}),
    "wrong secret of Marketo": Obstacle(
        r"marketo refused access .*LaunchPoint", changes={MARKETO: connection("marketo", "@marketo", secret=SECRET)}
    ),
    "wrong secret of Dynamics": Obstacle(
        r"dynamics refused access \(AADSTS7000215\).*secret",
        ("check",),
        {DYNAMICS: connection("dynamics", "@dynamics", secret=SECRET, extra={"tenant_id": "sandbox"})},
        "out",
    ),
    "unreachable host": Obstacle(
        r"127\.0\.0\.1:9 cannot be reached .*check the host", changes={MARKETO: connection("marketo", AWAY)}
    ),
    "broken configuration": Obstacle(
        r"leadsync\.yaml:\d+: .*YAML", changes={"LEADSYNC_CONFIG": config(lambda text: f"{text}\n{{[")}
    ),
    "mistakes in the configuration, all at once": Obstacle(
        r"(?s)2 problem.*(policies\.on_invalid.*contact\.nosuch|contact\.nosuch.*policies\.on_invalid)",
        changes={
            "LEADSYNC_CONFIG": config(
                lambda text: text.replace("on_invalid: record", "on_invalid: maybe").replace(
                    "\n  contact:\n", "\n  contact:\n    nosuch: {dynamics: firstname, type: sting}\n", 1
                )
            )
        },
    ),
    "field that neither system has": Obstacle(
        r"(?s)lead\.nosuch.*new_nosuch",
        changes={
            "LEADSYNC_CONFIG": config(
                lambda text: text.replace(
                    "\n  lead:\n", "\n  lead:\n    nosuch: {dynamics: new_nosuch, type: string}\n", 1
                )
            )
        },
    ),
    "no such configuration": Obstacle(r"nowhere\.yaml.*No such file", changes={"LEADSYNC_CONFIG": "nowhere.yaml"}),
    "state store in a place that cannot be made": Obstacle(
        r"state store cannot be made .*LEADSYNC_STATE_URL", changes={"LEADSYNC_STATE_URL": "sqlite:////proc/no/s.db"}
    ),
    "state store that is no database": Obstacle(
        r"damaged or no database .*backup",
        ("status",),
        {"LEADSYNC_STATE_URL": f"sqlite:///{SHIPPED}"},
    ),
    "state store that is away": Obstacle(
        r"PostgreSQL database leads at 127\.0\.0\.1:9 cannot be reached .*LEADSYNC_STATE_URL",
        changes={"LEADSYNC_STATE_URL": f"postgresql+psycopg://user:{SECRET}@127.0.0.1:9/leads"},
    ),
    "state store of another make": Obstacle(
        r"LEADSYNC_STATE_URL names mysql", changes={"LEADSYNC_STATE_URL": f"mysql://user:{SECRET}@db/leads"}
    ),
    "staging on a file system nobody knows": Obstacle(
        r"FAIL  staging: LEADSYNC_STAGING .*nosuch",
        ("check",),
        {"LEADSYNC_STAGING": f"nosuch://user:{SECRET}@place"},
        "out",
    ),
    "staging that cannot be written": Obstacle(
        r"FAIL  staging: .*cannot be written .*LEADSYNC_STAGING", ("check",), {"LEADSYNC_STAGING": "/proc/no"}, "out"
    ),
    "set-up missing": Obstacle(r"Marketo lacks the field\(s\) microsoftId.*leadsync setup`"),
    "set-up missing, seen by check": Obstacle(r"FAIL  Marketo set-up: .*leadsync setup`", ("check",), stream="out"),
    "unknown option": Obstacle(r"unrecognized arguments: --sideways", ("cycle", "--sideways")),
    "unknown command": Obstacle(r"invalid choice: 'sync'", ("sync",)),
    "no command": Obstacle(r"required: COMMAND", ()),
    "id that is none": Obstacle(r"'99999999999999999999' is no Marketo id", ("why", "99999999999999999999")),
    "backfill of everything": Obstacle(r"needs a beginning \(since\), persons or fields", ("backfill",)),
    "backfill of one entity, no window": Obstacle(r"needs a beginning", ("backfill", "--entity", "lead")),
    "backfill without a beginning": Obstacle(
        r"an end \(2026-01-01\) but no beginning; say since when", ("backfill", "--until", "2026-01-01")
    ),
    "backfill from the future": Obstacle(
        r"the window begins \(2199-01-01\) in the future", ("backfill", "--since", "2199-01-01")
    ),
    "report of people of the future": Obstacle(
        r"--since is '2199-01-01', which is in the future", ("first-sync", "report", "--since", "2199-01-01")
    ),
    "direction of whole records": Obstacle(
        r"a direction goes with fields and without persons", ("backfill", "--person", "1", "--direction", "outbound")
    ),
    "created without a window": Obstacle(
        r"created needs a window \(since\)", ("backfill", "--field", "title", "--on", "created")
    ),
    "why of a field that nobody syncs": Obstacle(
        r"no synced field is called 'titel'; did you mean 'title'\? There are: .*email", ("why", "1", "titel")
    ),
    "owner without a name": Obstacle(r"' ' is no owner", ("sync-person", "1", "--owner", " ")),
}


PROCESSES = ("no connection", "wrong secret of Dynamics", "unknown option")
"""Tried as processes of their own; the others through the same `main`, because a process takes a second to start."""


@pytest.fixture(scope="module")
def results(command_line: CommandLine, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Result]:
    """Every obstacle tried once."""
    changes = {name: changed(name, command_line, tmp_path_factory.mktemp("obstacle")) for name in OBSTACLES}
    running = {name: command_line.start(*OBSTACLES[name].words, **changes[name]) for name in PROCESSES}
    rest = [name for name in OBSTACLES if name not in PROCESSES]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(SystemClock, "sleep", lambda *_: None)  # calls are repeated, but nobody waits for it
        found = {name: command_line.run_here(*OBSTACLES[name].words, **changes[name]) for name in rest}
    return found | {name: end_of(process) for name, process in running.items()}


def changed(name: str, command_line: CommandLine, folder: Path) -> dict[str, str]:
    """What this obstacle changes in the environment, with the sandbox's addresses and its own configuration file."""
    changes = {"LEADSYNC_HOME": str(folder / "home")} | OBSTACLES[name].changes
    for key, value in changes.items():
        if "\n" in value:
            (folder / "leadsync.yaml").write_text(value, "utf-8")
            changes[key] = str(folder / "leadsync.yaml")
        authority = f'"authority": "{command_line.sandbox.dynamics_url}", "tenant_id"'
        changes[key] = (
            changes[key]
            .replace("@marketo", command_line.sandbox.marketo_url)
            .replace("@dynamics", command_line.sandbox.dynamics_url)
            .replace('"tenant_id"', authority)
        )
    return changes


@pytest.mark.parametrize("name", OBSTACLES)
def test_an_obstacle_ends_with_status_2_and_says_what_to_fix(name: str, results: dict[str, Result]) -> None:
    result, obstacle = results[name], OBSTACLES[name]
    assert re.search(obstacle.says, getattr(result, obstacle.stream)), result
    assert result.status == 2, result
    assert "Traceback" not in result.err


def test_no_output_shows_a_secret(results: dict[str, Result]) -> None:
    planted = [name for name, obstacle in OBSTACLES.items() if any(SECRET in v for v in obstacle.changes.values())]
    assert len(planted) >= 5
    assert [name for name, result in results.items() if SECRET in result.out + result.err] == []
