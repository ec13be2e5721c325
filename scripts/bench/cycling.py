"""Full cycles over both emulators: time by step, flatness, API calls against the floor, the idle cycle."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from random import Random
from statistics import median

from scripts.bench.figures import Bar, Figure, ratio
from scripts.bench.floor import Echo, Scenario, floor
from scripts.bench.systems import Cycle, Systems, linked_people
from scripts.bench.timing import REPEATS

_WARM_UP = 20
_FLAT = Bar(1.5)
_TEN_TIMES = Bar(12)
_PROTOCOL_MS = Bar(0.5)
_JUDGED = 1_000  # changes; below, the fixed costs of a batch weigh too much


class Round:
    """Edits, the cycle that carries them across, and the cycle that sees their echo."""

    def __init__(self, systems: Systems, changes: int, random: Random) -> None:
        self.scenario, echo = _edit(systems, changes, random)
        self.cycle = systems.cycle()
        _require_all_done(self.cycle, self.scenario)
        self.after = systems.settle()[0]
        batch = systems.engine.settings.batches.dynamics
        self.floor = floor(self.scenario, batch)
        self.floor_after = floor(Scenario(), batch, echo)


def _edit(systems: Systems, changes: int, random: Random) -> tuple[Scenario, Echo]:
    """Half of the edits in each system, never the same pair; every edit sets one text field."""
    chosen = random.sample(list(linked_people(systems)), changes)
    in_marketo, in_dynamics = chosen[: changes // 2], chosen[changes // 2 :]
    text = f"Title {random.randrange(10**9)}"
    systems.edit_persons([person for person, _, _ in in_marketo], text)
    for table in ("lead", "contact"):
        systems.edit_rows(table, [crm_id for _, kind, crm_id in in_dynamics if kind == table], text)
    scenario = Scenario(len(in_marketo), Counter(table for _, table, _ in in_dynamics))
    return scenario, Echo(len(in_dynamics), Counter(table for _, table, _ in in_marketo))


def _require_all_done(cycle: Cycle, scenario: Scenario) -> None:
    """Only a cycle that did all of its work is worth timing."""
    load = cycle.report["load"]
    wanted = {"outbound_done": scenario.persons, "inbound_done": sum(scenario.rows.values())}
    done = {name: load.get(name, 0) for name in wanted}
    if done != wanted:
        raise AssertionError(f"the cycle was to write {wanted} and reports {load}")


def prepared(folder: Path, links: int) -> Systems:
    """Linked pairs that the engine knows and finds equal, and everything that is imported or cached once is there."""
    systems = Systems(folder, links)
    systems.settle()
    _edit(systems, min(_WARM_UP, links // 2), Random(0))  # not every record is open
    systems.settle()
    return systems


def cycles(systems: Systems, sizes: Sequence[int]) -> Iterator[Figure]:
    """Cycles with `sizes` changes, each a few times."""
    random = Random(1)
    rounds = {size: [Round(systems, size, random) for _ in range(REPEATS)] for size in sizes}
    for size, taken in rounds.items():
        yield from _one_size(systems, size, taken)
    for less, more in pairwise(sizes):
        group = f"Ten times the changes, {systems.links:,} links"
        over, under = (median(r.cycle.seconds for r in rounds[size]) for size in (more, less))
        yield ratio(group, f"cycle of {more:,} / cycle of {less:,}", over, under, _TEN_TIMES)


def _one_size(systems: Systems, size: int, taken: list[Round]) -> Iterator[Figure]:
    group = f"Cycle with {size:,} changes over {systems.links:,} links"
    cycles_taken = [one.cycle for one in taken]
    totals = [cycle.seconds for cycle in cycles_taken]
    yield Figure(group, "whole cycle", median(totals), "s", runs=totals)
    yield Figure(group, "of it in the engine, without the emulators", _own(cycles_taken), "s")
    for name in cycles_taken[0].steps:
        value = median(cycle.steps[name] for cycle in cycles_taken)
        emulated = median(cycle.emulated[name] for cycle in cycles_taken)
        yield Figure(group, f"  {name}", value, "s", detail={"in_emulators": emulated})
    writes = taken[0].scenario.changes
    bar = _PROTOCOL_MS if writes >= _JUDGED else None
    own = median(cycle.steps["load"] - cycle.emulated["load"] for cycle in cycles_taken)
    yield Figure(group, "load, per written record besides the API call", own / writes * 1000, "ms", bar)
    yield from _calls(group, "", taken[0].cycle, taken[0].floor)
    yield from _calls(group, "echo cycle: ", taken[0].after, taken[0].floor_after)


def _own(cycles_taken: Sequence[Cycle]) -> float:
    return median(cycle.own_seconds for cycle in cycles_taken)


def _calls(group: str, prefix: str, cycle: Cycle, least: dict[str, int]) -> Iterator[Figure]:
    used, possible = cycle.total_calls, sum(least.values())
    detail = {"used": dict(sorted(cycle.calls.items())), "floor": least}
    yield Figure(group, f"{prefix}API calls", used, "calls", detail=detail)
    yield ratio(group, f"{prefix}API calls / floor of {possible}", used, possible)


def idle(systems: Systems) -> Iterator[Figure]:
    """Cycles without anything to do."""
    group = f"Idle cycle over {systems.links:,} links"
    taken = [systems.cycle() for _ in range(REPEATS)]
    totals = [cycle.seconds for cycle in taken]
    yield Figure(group, "whole cycle in one process", median(totals), "s", runs=totals)
    yield from _calls(group, "", taken[0], floor(Scenario(), systems.engine.settings.batches.dynamics))


def flatness(small: Systems, large: Systems, changes: int) -> Iterator[Figure]:
    """The same number of changes over few and over many links, in turns."""
    group = f"The same {changes:,} changes over {small.links:,} and {large.links:,} links"
    random = Random(2)
    taken: dict[int, list[Cycle]] = {small.links: [], large.links: []}
    for _ in range(REPEATS):
        for systems in (small, large):
            taken[systems.links].append(Round(systems, changes, random).cycle)
    for links, cycles_taken in taken.items():
        yield Figure(group, f"over {links:,}", _own(cycles_taken), "s")
    over, under = (_own(taken[systems.links]) for systems in (large, small))
    yield ratio(group, "time, without the emulators", over, under, _FLAT)
