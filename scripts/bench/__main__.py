"""`make bench`: every benchmark, a table on the terminal, and the same as JSON.

`--quick` takes small sizes: it shows that everything runs, its ratios mean little. `--only merge` takes
one section. `--check` ends with status 1 when a bar is missed.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from include.leadsync.config import Paths
from scripts.bench.cycling import cycles, flatness, idle, prepared
from scripts.bench.decoding import decoding
from scripts.bench.emulating import emulating
from scripts.bench.figures import Figure, machine, table
from scripts.bench.merging import merging
from scripts.bench.scheduled import scheduled
from scripts.bench.storing import storing

RESULT = Path("bench-results.json")


@dataclass(frozen=True)
class Sizes:
    """How much of everything. The full ones are those the bars are stated for."""

    merge: tuple[int, ...] = (10_000, 100_000, 1_000_000)
    links: int = 100_000
    few_links: int = 10_000
    changes: tuple[int, ...] = (100, 1_000, 10_000)
    same_changes: int = 1_000
    state_rows: int = 10_000
    pages: tuple[int, int] = (300, 5_000)
    people_under_airflow: int = 300
    sandbox_people: int = 50_000


QUICK = Sizes(
    merge=(1_000, 10_000),
    links=2_000,
    few_links=500,
    changes=(20, 200),
    same_changes=50,
    state_rows=500,
    pages=(300, 500),
    people_under_airflow=0,
    sandbox_people=1_000,
)


def sections(sizes: Sizes, folder: Path) -> dict[str, Callable[[], Iterator[Figure]]]:
    """Every section by name, in order. `folder` is for what they write."""
    return {
        "merge": lambda: merging(sizes.merge),
        "decode": lambda: decoding(*sizes.pages),
        "state": lambda: storing(folder, sizes.links, sizes.state_rows),
        "sandbox": lambda: emulating(folder, sizes.sandbox_people),
        "cycle": lambda: _cycle_figures(sizes, folder),
        "airflow": lambda: scheduled(folder, sizes.people_under_airflow),
    }


NAMES = tuple(sections(Sizes(), RESULT))


def _cycle_figures(sizes: Sizes, folder: Path) -> Iterator[Figure]:
    started = time.perf_counter()
    large = prepared(folder / "many", sizes.links)
    yield Figure("Preparation", f"{sizes.links:,} pairs made and linked", time.perf_counter() - started, "s")
    small = prepared(folder / "few", sizes.few_links)
    try:
        yield from idle(large)
        yield from cycles(large, sizes.changes)
        yield from flatness(small, large, sizes.same_changes)
    finally:
        small.close()
        large.close()


def run(
    sizes: Sizes, only: Sequence[str] = (), report: Callable[[str], None] = print
) -> tuple[list[Figure], dict[str, float]]:
    """Figures, and the seconds each section took; all sections unless `only` names some."""
    figures: list[Figure] = []
    spent: dict[str, float] = {}
    home = Paths.from_environment().home
    home.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="bench-", dir=home) as folder:
        known = sections(sizes, Path(folder))
        for name in only or known:
            started = time.perf_counter()
            taken = list(known[name]())
            spent[name] = time.perf_counter() - started
            figures += taken
            report(f"{table(taken)}\n")
    return figures, spent


def document(figures: Sequence[Figure], spent: dict[str, float], described: dict[str, Any]) -> dict[str, Any]:
    """What is written as JSON."""
    return {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": described,
        "seconds": {name: round(seconds, 1) for name, seconds in spent.items()},
        "figures": [figure.to_json() for figure in figures],
    }


def main(arguments: Sequence[str] | None = None) -> int:
    """0, or 1 with --check when a bar is missed."""
    parser = argparse.ArgumentParser(prog="python -m scripts.bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="small sizes")
    parser.add_argument("--only", choices=NAMES, action="append", default=[], help="this section; may be repeated")
    parser.add_argument("--check", action="store_true", help="status 1 when a bar is missed")
    parser.add_argument("--output", type=Path, default=RESULT, help="JSON file (default: %(default)s)")
    options = parser.parse_args(arguments)
    described = machine()
    figures, spent = run(QUICK if options.quick else Sizes(), options.only)
    options.output.write_text(json.dumps(document(figures, spent, described), indent=1, ensure_ascii=False) + "\n")
    missed = [figure for figure in figures if figure.met is False]
    hardware = f"{described['cores']} cores, {described['memory_gb']} GB, Python {described['python']}"
    print(f"{hardware}; load of the machine before: {described['load_before'][0]}")
    print("Time went to " + ", ".join(f"{name} {seconds:.0f} s" for name, seconds in spent.items()))
    print(f"{len(missed)} of {sum(figure.bar is not None for figure in figures)} bars missed; {options.output} written")
    return 1 if options.check and missed else 0


if __name__ == "__main__":
    sys.exit(main())
