"""The proofs in their long form: fresh seeds, round after round, until the time is up or one of them fails.

`python -m scripts.soak [--minutes 60] [--seed 1] [--only PROOF]`. Every round plays each proof with the next seeds. A
failure prints the seeds and the command that plays it again; the end prints where to go on.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SEEDS = 5
"""Seeds that a round plays."""


@dataclass(frozen=True, slots=True)
class Proof:
    """A test that plays more when the environment says so.

    `seed`: the variable that names the first seed. `every`: only one round of so many plays it, unless it is alone.
    """

    tests: str
    seed: str
    environment: Mapping[str, str] = field(default_factory=dict)
    every: int = 1


PROOFS: Mapping[str, Proof] = {
    "histories": Proof(
        "tests/properties/test_histories.py",
        "HISTORIES_SEED",
        {"HISTORIES": "2500", "HISTORIES_ROUNDS": "3"},
    ),
    "lives": Proof("tests/properties/test_state_machine.py", "LIVES_SEED", {"LIVES": "200"}),
    "races": Proof("tests/properties/test_races.py", "RACES_SEED", {"RACES": "all"}),
    "mutants": Proof("tests/properties/test_mutants.py", "MUTANTS_SEED", {"MUTANTS": "all"}),
    "storms": Proof("tests/faults/test_fault_storms.py", "STORM_SEED", {"STORMS": str(SEEDS)}),
    "faults": Proof("tests/faults/test_fault_kinds.py", "FAULTS_SEED", {"FAULTS": "15"}),
    "kills": Proof("tests/faults/test_kills.py", "KILLS_SEED", {"KILLS_AGAIN": "15"}),
    "instants": Proof("tests/cli/test_random_kills.py", "RANDOM_KILLS_SEED", {"RANDOM_KILLS": str(SEEDS)}),
    "airflow": Proof(
        "tests/local_airflow/soak_kills.py", "KILLS_IN_AIRFLOW_SEED", {"KILLS_IN_AIRFLOW": str(SEEDS)}, every=3
    ),
    "scheduled": Proof(
        "tests/local_airflow/soak_at_once.py", "AT_ONCE_IN_AIRFLOW_SEED", {"AT_ONCE_IN_AIRFLOW_ROUNDS": "3"}, every=3
    ),
    "together": Proof("tests/cli/soak_all_at_once.py", "AT_ONCE_SEED", {"AT_ONCE_ROUNDS": str(SEEDS)}),
}
Run = Callable[[Sequence[str], Mapping[str, str], float], "Ended"]


@dataclass(frozen=True, slots=True)
class Ended:
    """How a round of a proof ended; `passed` is None when the time was up before."""

    passed: bool | None
    output: str = ""

    def told(self) -> Iterator[str]:
        """The lines in which a proof says what its seeds contained."""
        return (line.lstrip(".") for line in self.output.splitlines() if line.lstrip(".").startswith("seeds "))


def run_pytest(command: Sequence[str], environment: Mapping[str, str], seconds: float) -> Ended:
    """Play one round of a proof in a process of its own."""
    try:
        variables = {**os.environ, **environment}
        done = subprocess.run(
            command, cwd=ROOT, env=variables, timeout=seconds, capture_output=True, text=True, check=False
        )
    except subprocess.TimeoutExpired:
        return Ended(None)
    return Ended(done.returncode == 0, done.stdout + done.stderr)


def soak(names: Sequence[str], seed: int, minutes: float, run: Run = run_pytest) -> int:
    """Rounds until the time is up; 1 when a proof failed."""
    ends = time.monotonic() + minutes * 60
    while True:
        for name in (name for name in names if len(names) == 1 or seed // SEEDS % PROOFS[name].every == 0):
            proof, begun = PROOFS[name], time.monotonic()
            environment = {**proof.environment, proof.seed: str(seed)}
            command = [sys.executable, "-m", "pytest", "-q", "-s", "-p", "no:cacheprovider", proof.tests]
            ended = run(command, environment, ends - begun)
            if ended.passed is None:
                print(f"{name}, seeds from {seed}: not finished when the time was up; this round does not count")
                print(f'go on with: make soak SOAK_ARGS="--seed {seed}"')
                return 0
            took = time.monotonic() - begun
            print(f"{name}, seeds from {seed}: {'passed' if ended.passed else 'FAILED'} in {took:.0f} s", flush=True)
            for line in ended.told():
                print(f"  {line}", flush=True)
            if not ended.passed:
                variables = " ".join(f"{key}={value}" for key, value in environment.items())
                print(f"{ended.output}\nplay it again with:\n  {variables} .venv/bin/python -m pytest {proof.tests}")
                return 1
        seed += SEEDS


def main(arguments: Sequence[str] | None = None, run: Run = run_pytest) -> int:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m scripts.soak", description="The proofs in their long form.")
    parser.add_argument("--minutes", type=float, default=60.0, help="when to end (60)")
    parser.add_argument("--seed", type=int, default=1, help="the first seed (1); the end prints where to go on")
    parser.add_argument("--only", action="append", choices=sorted(PROOFS), help="this proof alone; may be repeated")
    options = parser.parse_args(arguments)
    if options.minutes <= 0 or options.seed < 1:
        parser.error("--minutes and --seed are more than 0")
    return soak(options.only or list(PROOFS), options.seed, options.minutes, run)


if __name__ == "__main__":
    sys.exit(main())
