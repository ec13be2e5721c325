"""`make soak`: rounds with fresh seeds, bounded in time; a failure names its seeds and how to play them again."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from scripts.soak import PROOFS, SEEDS, Ended, main


class Played:
    """Answers as pytest would, and remembers what was asked for."""

    def __init__(self, *endings: bool | None) -> None:
        self.endings = list(endings)
        self.asked: list[dict[str, str]] = []

    def __call__(self, command: Sequence[str], environment: Mapping[str, str], seconds: float) -> Ended:
        assert 0 < seconds <= 120
        self.asked.append(dict(environment))
        return Ended(self.endings.pop(0), "seeds 7 to 11: {'collision': 3}\nnoise")


def test_rounds_go_on_with_fresh_seeds_until_the_time_is_up(capsys: pytest.CaptureFixture[str]) -> None:
    played = Played(True, True, None)
    assert main(["--minutes", "2", "--seed", "7", "--only", "storms"], played) == 0
    assert [each["STORM_SEED"] for each in played.asked] == [str(7 + SEEDS * turn) for turn in range(3)]
    out = capsys.readouterr().out
    assert "storms, seeds from 7: passed" in out
    assert "  seeds 7 to 11: {'collision': 3}\n" in out
    assert "noise" not in out
    assert f'make soak SOAK_ARGS="--seed {7 + 2 * SEEDS}"' in out


def test_a_failure_ends_it_and_says_how_to_play_it_again(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--minutes", "2", "--only", "faults"], Played(False)) == 1
    out = capsys.readouterr().out
    assert "noise" in out
    assert "FAULTS=15 FAULTS_SEED=1 .venv/bin/python -m pytest tests/faults/test_fault_kinds.py" in out


def test_a_round_plays_every_proof_with_variables_that_its_test_reads(project_root: Path) -> None:
    played = Played(*[True] * len(PROOFS), None)
    assert main(["--minutes", "2"], played) == 0
    assert len(played.asked) == len(PROOFS) + 1
    for proof in PROOFS.values():
        read = set(re.findall(r'"([A-Z_]+)"', (project_root / proof.tests).read_text("utf-8")))
        given = {proof.seed, *proof.environment}
        assert given <= read
        assert not [name for name in given if name.startswith("AIRFLOW")]  # tests/conftest.py takes those away


def test_what_takes_long_comes_in_some_rounds_only_unless_it_is_alone() -> None:
    names = ["--only", "airflow", "--only", "storms"]
    beside, alone = Played(*[True] * 7, None), Played(*[True] * 3, None)
    assert main(["--minutes", "2", *names], beside) == main(["--minutes", "2", *names[:2]], alone) == 0
    kinds = ["airflow" if "KILLS_IN_AIRFLOW" in each else "storms" for each in beside.asked]
    assert kinds == ["airflow", "storms", "storms", "storms"] * 2
    assert [each["KILLS_IN_AIRFLOW_SEED"] for each in alone.asked] == [str(1 + SEEDS * turn) for turn in range(4)]


@pytest.mark.parametrize("wrong", [["--minutes", "0"], ["--seed", "0"], ["--only", "nothing"]])
def test_a_wrong_option_is_refused(wrong: list[str]) -> None:
    with pytest.raises(SystemExit):
        main(wrong)
