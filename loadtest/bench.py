"""`make bench`: how many durable sales a second, and what a sale costs, beside other designs.

In: rivals, scenarios, rounds, seconds and connections; Debian's `wrk`. Out: a table on the
terminal, reports/bench.json and reports/bench.svg. Rivals take turns within a round, so that a slow
minute of the machine hits all.
"""

from __future__ import annotations

import argparse
import shutil
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from operator import attrgetter
from pathlib import Path
from statistics import median

import msgspec

from loadtest.gauges import machine
from loadtest.plot import Bar, bars
from loadtest.rivals import CEILING, LEAN, LUA, PIPELINED, RIVALS, Rival
from loadtest.scenarios import SCENARIOS, Scenario
from loadtest.servers import NotReadyError
from loadtest.targets import Target, judge, spread
from loadtest.turns import MiscountError, Turn, of, play, ratios

REPORT, PLOT = Path("reports", "bench.json"), Path("reports", "bench.svg")
YARDSTICKS = (CEILING, LUA, LEAN, PIPELINED)  # what every rival is set beside
WIDTH = 20  # of a rival's name
QUIET_PERCENT = 10.0  # more of the machine than that going elsewhere spoils the figures


def main(arguments: list[str] | None = None) -> int:
    """Return 0; 1 if a rival fails, or `--check` finds a target missed; 2 without the programs."""
    options = parse(arguments)
    if shutil.which("wrk") is None:
        print("the benchmark needs wrk: apt-get install wrk", file=sys.stderr)
        return 2
    rivals = present(options.rivals)
    if not rivals:
        return 2
    try:
        turns = [
            play(rival, scenario, connections, options.seconds)
            for round_ in range(options.rounds)
            for scenario in map(SCENARIOS.__getitem__, options.scenario)
            for connections in options.connections
            for rival in in_turn(rivals, round_)
        ]
    except (MiscountError, NotReadyError) as error:
        print(error, file=sys.stderr)
        return 1
    targets = judge(turns)
    write_report(turns, targets, options.seconds)
    print(table(turns, targets))
    return 1 if options.check and not all(target.met for target in targets) else 0


def parse(arguments: list[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m loadtest.bench", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=5, help="of each rival's turn")
    parser.add_argument("--connections", type=int, nargs="+", default=[64])
    parser.add_argument("--scenario", nargs="+", choices=SCENARIOS, default=["sale"])
    parser.add_argument("--rivals", nargs="+", choices=RIVALS, help="those it names must be there")
    parser.add_argument("--check", action="store_true", help="fail if a target is missed")
    return parser.parse_args(arguments)


def present(asked: Sequence[str] | None) -> list[Rival]:
    """Return who can play. Who was not asked for by name and cannot is left out, with a line."""
    rivals = [RIVALS[name] for name in asked or RIVALS]
    for rival in rivals:
        if missing := rival.missing():
            fate = "is asked for" if asked else "is left out"
            print(f"{rival.name} {fate}, and something is missing: {missing}", file=sys.stderr)
    able = [rival for rival in rivals if not rival.missing()]
    return [] if asked and len(able) < len(rivals) else able


def in_turn(rivals: Sequence[Rival], round_: int) -> Sequence[Rival]:
    """Let each round begin with another rival, so that none always follows the same one."""
    first = round_ % len(rivals)
    return [*rivals[first:], *rivals[:first]]


# --- the table ------------------------------------------------------------------------------------

COLUMNS = (
    ("refused", "refusals"),
    ("errors", "errors"),
    ("p50 ms", "p50_ms"),
    ("p99 ms", "p99_ms"),
    ("p99.9", "p999_ms"),
    ("web µs", "web_us"),
    ("workers", "workers_us"),
    ("store", "store_us"),
    ("rest", "rest_us"),
    ("all µs", "all_us"),
    ("web MiB", "memory_mib.web"),
    ("workers", "memory_mib.workers"),
    ("store", "memory_mib.store"),
    ("batch", "batch"),
    ("% else", "elsewhere_percent"),
)
# Sales are what counts. Processor time says nearly the same, and a busy machine disturbs it less.
BESIDE = {"its rate, beside": "rate", "its µs, beside": "all_us"}


def table(turns: Sequence[Turn], targets: Sequence[Target]) -> str:
    """Return the machine, medians with the spread of the rates, ratios, and the targets."""
    lines = [f"{key}: {value}" for key, value in machine().items()]
    for name, connections in dict.fromkeys((t.scenario, t.connections) for t in turns):
        lines += part(turns, SCENARIOS[name], connections)
    lines += ["", *map(str, targets)]
    if busy := sum(1 for turn in turns if turn.elsewhere_percent > QUIET_PERCENT):
        lines.append(f"in {busy} of {len(turns)} turns other programs were busy: measure again")
    return "\n".join(lines)


def part(turns: Sequence[Turn], scenario: Scenario, connections: int) -> list[str]:
    """Return the lines of one scenario with so many connections."""
    played = {
        rival: its
        for rival in RIVALS.values()
        if (its := of(turns, rival, connections, scenario.name))
    }
    heads = ["a second", "least", "most", *(head for head, _ in COLUMNS)]
    lines = ["", f"{scenario.says}, {connections} connections"]
    lines.append(" " * WIDTH + "".join(f"{head:>9}" for head in heads))
    lines += [row(rival.name, its) for rival, its in played.items()]
    yardsticks = [rival for rival in YARDSTICKS if rival in played]
    for title, field in BESIDE.items() if yardsticks else ():
        lines += ["", f"{title:<{WIDTH}}" + "".join(f"{y.name:>24}" for y in yardsticks)]
        for rival, its in played.items():
            told = [spread(ratios(its, played[y], field)) for y in yardsticks]
            lines.append(f"{rival.name:<{WIDTH}}" + "".join(f"{text:>24}" for text in told))
    return lines


def row(name: str, turns: Sequence[Turn]) -> str:
    """Return a rival's line."""
    rates = [turn.rate for turn in turns]
    medians = [median(attrgetter(field)(turn) for turn in turns) for _, field in COLUMNS]
    return f"{name:<{WIDTH}}" + "".join(
        f"{figure:>9.0f}" if figure >= 100 else f"{figure:>9.1f}"
        for figure in (median(rates), min(rates), max(rates), *medians)
    )


# --- the report -----------------------------------------------------------------------------------


def write_report(turns: Sequence[Turn], targets: Sequence[Target], seconds: int) -> None:
    """Write every turn, to look closer or compare with an earlier day; and draw."""
    report = {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": machine(),
        "seconds_a_turn": seconds,
        "turns": turns,
        "targets": [{**msgspec.structs.asdict(t), "met": t.met} for t in targets],
    }
    REPORT.parent.mkdir(exist_ok=True)
    REPORT.write_bytes(msgspec.json.format(msgspec.json.encode(report)))
    PLOT.write_text(draw(turns))


def draw(turns: Sequence[Turn]) -> str:
    """Return a picture of the first scenario that was played, with its connections."""
    scenario, connections = SCENARIOS[turns[0].scenario], turns[0].connections
    rates = {
        rival.name: [turn.rate for turn in of(turns, rival, connections, scenario.name)]
        for rival in RIVALS.values()
    }
    rows = [
        Bar(name, median(its), min(its), max(its), name.startswith("soldout"))
        for name, its in rates.items()
        if its
    ]
    counted = " and ".join(scenario.counted)
    title = f"{counted.capitalize()} a second: {scenario.says}, {connections} connections"
    return bars(title, "every sale on disk before its answer; medians, least to most", rows)


if __name__ == "__main__":
    sys.exit(main())
