"""`python -m scripts.bench` on tiny sizes: every section runs, the table and the JSON say what was measured."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import pytest

from scripts.bench import __main__ as command
from scripts.bench.figures import Bar, Figure, table

TINY = command.Sizes(
    merge=(200,),
    links=40,
    few_links=20,
    changes=(2, 4),
    same_changes=2,
    state_rows=10,
    pages=(30, 50),
    sandbox_people=400,
    people_under_airflow=0,  # tests/project starts an Airflow of its own
)


@pytest.fixture
def tiny(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("LEADSYNC_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(command, "QUICK", TINY)
    monkeypatch.setattr("scripts.bench.cycling.REPEATS", 1)
    monkeypatch.setattr("scripts.bench.timing.REPEATS", 1)
    # Before each figure all garbage is collected, which takes ten times as long as what is measured here.
    monkeypatch.setattr("scripts.bench.timing.gc", SimpleNamespace(collect=lambda: 0))


@pytest.mark.usefixtures("tiny")
def test_every_section_runs_the_json_names_the_machine_and_nothing_stays_behind(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "results.json"
    assert command.main(["--quick", "--output", str(output)]) == 0
    written = json.loads(output.read_text())
    assert set(written["seconds"]) == set(command.NAMES)
    assert {"cores", "memory_gb", "python", "libraries"} <= set(written["machine"])
    groups = {figure["group"] for figure in written["figures"]}
    subjects = ["Merge kernel", "Page of 30 persons", "State store", "Sandbox, 400", "Idle cycle"]
    subjects += ["Cycle with 4 changes", "The same 2"]
    for subject in subjects:
        assert any(subject in group for group in groups), subject
    steps = {f["what"].strip() for f in written["figures"] if f["group"] == "Cycle with 4 changes over 40 links"}
    assert {"recover", "extract", "validate", "load", "finish"} <= steps
    shown = capsys.readouterr().out
    assert all(group in shown for group in groups)
    assert list((tmp_path / "home").iterdir()) == []


def test_an_unknown_section_is_refused_before_anything_runs(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        command.main(["--only", "everything"])
    assert ended.value.code == 2
    assert "everything" in capsys.readouterr().err


@pytest.mark.parametrize(("asked", "status"), [([], 0), (["--check"], 1)])
def test_a_missed_bar_ends_with_status_1_only_when_asked(
    asked: list[str], status: int, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    missed = [Figure("Group", "too slow", 3, "x", Bar(2))]
    monkeypatch.setattr(command, "run", lambda *_: (missed, {"merge": 1.0}))
    assert command.main(["--output", str(tmp_path / "r.json"), *asked]) == status


def test_the_table_says_which_bars_are_met() -> None:
    shown = table(
        [
            Figure("Group", "quick", 1.5, "x", Bar(2)),
            Figure("Group", "slow", 3, "x", Bar(2)),
            Figure("Group", "often", 40, "x", Bar(30, at_least=True)),
            Figure("Group", "plain", 0.25, "s"),
        ]
    ).splitlines()
    assert shown[0] == "Group"
    assert shown[1].split() == ["quick", "1.50", "x", "≤", "2", "met"]
    assert shown[2].split()[-1] == "MISSED"
    assert shown[3].split()[-3:] == ["≥", "30", "met"]
    assert shown[4].split() == ["plain", "0.250", "s"]
