"""Runs the chaos: `python -m tests.chaos --seconds 180 --seed 7 --side both`.

Out: one table. Exit status 0 if nothing was lost, oversold, doubled or told otherwise than it was;
1 if anything was, or nothing is sold any more; 130 after Ctrl-C. What it started it ends.
"""

from __future__ import annotations

import argparse
import secrets
import signal
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from types import FrameType
from typing import Final

import msgspec

from tests.chaos.helper import Helper
from tests.chaos.judge import Bench, Judged
from tests.chaos.nemesis import Nemesis, StuckError
from tests.chaos.report import Outcome, table
from tests.chaos.rounds import Brief, Progress, Told
from tests.chaos.sites import Side, Site, open_site
from tests.harness import ADMIN_KEY

SIDES: Final[list[Side]] = ["embedded", "redis"]
QUIET_SECONDS: Final = 3.0  # before the first fault
WARM_SECONDS: Final = 1.0
CROWD_LEAVES_SECONDS: Final = 120.0
JUDGE_SECONDS: Final = 300.0
POLL_SECONDS: Final = 0.1


def main(arguments: list[str] | None = None) -> int:
    """Run and return the exit status."""
    options = parse(arguments)
    signal.signal(signal.SIGTERM, _interrupt)
    sides = SIDES if options.side == "both" else [options.side]
    say(f"chaos: --seed {options.seed} --seconds {options.seconds:g} --side {options.side}")
    try:
        outcomes = [Run(side, options, options.seconds / len(sides)).play() for side in sides]
    except KeyboardInterrupt:
        say("interrupted: all that was started is ended")
        return 130
    say(table(outcomes))
    for outcome in outcomes:
        say(f"{outcome.side}: the longest time without a sale was during: {outcome.gap}")
        for line in [*outcome.failures, *outcome.examples]:
            say(f"{outcome.side}: {line}")
    wrong = any(outcome.failures for outcome in outcomes)
    say(f"{'WRONG' if wrong else 'RIGHT'}: --seed {options.seed}")
    return 1 if wrong else 0


def parse(arguments: list[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument(
        "--seconds", type=float, default=180, help="of faults, on all sides together"
    )
    parser.add_argument("--seed", type=int, default=secrets.randbelow(2**31))
    parser.add_argument("--calm", type=float, default=3, help="seconds between faults, at most")
    parser.add_argument("--side", choices=[*SIDES, "both"], default="both")
    return parser.parse_args(arguments)


class Run:
    """One side, from an empty ledger to the last judgement."""

    def __init__(self, side: Side, options: argparse.Namespace, seconds: float) -> None:
        self._side, self._seconds = side, seconds
        self._seed: int = options.seed
        self._calm_seconds: float = options.calm
        self._outcome = Outcome(side)
        self._judge: Helper | None = None
        self._crowd_done = False

    def play(self) -> Outcome:
        """Sell, break, heal, judge."""
        with ExitStack() as stack:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="soldout-chaos-")))
            site = stack.enter_context(open_site(self._side, folder, self._seed))
            try:
                self._play(site, folder, stack)
            except StuckError as error:
                self._outcome.broke_off = f"{error}\n{site.log()}"
        return self._outcome

    def _play(self, site: Site, folder: Path, stack: ExitStack) -> None:
        outcome, bench = self._outcome, Bench(site.ports, ADMIN_KEY)
        outcome.shards = site.shards
        judge = stack.enter_context(Helper("tests.chaos.judge", bench, self._hear_judge))
        self._judge = judge
        rounds = folder / "rounds"
        rounds.mkdir()
        brief = Brief(self._seed, site.ports, ADMIN_KEY, str(rounds))
        crowd = stack.enter_context(Helper("tests.chaos.crowd", brief, self._hear_crowd))

        def look() -> None:
            site.tend()
            if not (crowd.running and judge.running):
                raise StuckError("the crowd or the judge has ended before its time")

        nemesis = Nemesis(
            site, self._seed, self._calm_seconds, lambda: self._progress.last_sale_at, look
        )
        nemesis.wait_until_it_sells()
        self._measure_quiet()
        began = time.monotonic()
        try:
            nemesis.rage(began + self._seconds)
            crowd.say("stop")
            self._finish(site, crowd, "the crowd", CROWD_LEAVES_SECONDS)
            self._finish(site, judge, "the judge", JUDGE_SECONDS)
        finally:
            outcome.seconds = time.monotonic() - began
            outcome.struck, outcome.restarts = nemesis.struck, site.restarts
            outcome.bugs = site.bugs()
            gap = outcome.progress
            outcome.gap = nemesis.during(gap.gap_ended_at - gap.gap_seconds, gap.gap_ended_at)

    @property
    def _progress(self) -> Progress:
        return self._outcome.progress

    def _measure_quiet(self) -> None:
        time.sleep(WARM_SECONDS)
        confirmed, began = self._progress.confirmed, time.monotonic()
        time.sleep(QUIET_SECONDS)
        sold = self._progress.confirmed - confirmed
        self._outcome.quiet_rate = sold / (time.monotonic() - began)

    def _finish(self, site: Site, helper: Helper, who: str, seconds: float) -> None:
        helper.end_input()
        limit = time.monotonic() + seconds
        while helper.running:
            if time.monotonic() > limit:
                raise StuckError(f"{who} does not come to an end within {seconds} s")
            site.tend()
            time.sleep(POLL_SECONDS)
        if status := helper.wait():
            raise StuckError(f"{who} ended with status {status}")

    def _hear_crowd(self, line: bytes) -> None:
        told = msgspec.json.decode(line, type=Told)
        self._outcome.progress = told.progress
        self._outcome.unsettled += told.unsettled
        if told.round and self._judge is not None:
            self._judge.say(told.round)

    def _hear_judge(self, line: bytes) -> None:
        judged = msgspec.json.decode(line, type=Judged)
        self._outcome.take(judged)
        wrong = f", WRONG: {judged.wrong}" if judged.wrong else ""
        say(f"  {self._side} {judged.event}: {judged.orders} orders judged{wrong}")


def say(text: str) -> None:
    """Print, at once."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def _interrupt(_signal: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
