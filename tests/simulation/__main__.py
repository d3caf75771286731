"""Run seeds.

`python -m tests.simulation`                     one after the other until stopped, on each ledger
`python -m tests.simulation --seed 7 --ledger sqlite`   one seed, in words: the same each time
`python -m tests.simulation --planted --count 300`      the table of planted bugs
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
from contextlib import ExitStack
from itertools import islice

from tests.simulation.planted import BROKEN_LOCK
from tests.simulation.report import Report, table
from tests.simulation.runs import LEDGERS, Runner


def main() -> int:
    """Do what the command line says; 1 if a run failed."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulation")
    parser.add_argument("--ledger", choices=LEDGERS, action="append", help="one or more")
    parser.add_argument("--seed", type=int, help="run this one, and tell each step")
    parser.add_argument("--quiet", action="store_true", help="tell its verdict only")
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument("--count", type=int, help="how many seeds of each ledger")
    parser.add_argument("--plant", help="with this bug planted")
    parser.add_argument("--planted", action="store_true", help="count in how many each is found")
    parser.add_argument("--until-found", action="store_true", help="not in more seeds than needed")
    parser.add_argument("--traces", action="store_true", help="tell the verdict of each seed")
    parser.add_argument("--lock-lets-two-in", action="store_true", help="the processes' lock")
    asked = parser.parse_args()
    ledgers = asked.ledger or ["sqlite", "model"]
    with ExitStack() as stack:
        runner = stack.enter_context(Runner(asked.plant))
        for change in BROKEN_LOCK if asked.lock_lets_two_in else ():
            change(stack)
        if asked.planted:
            return table(
                runner, ledgers, asked.first, asked.count or 300, until_found=asked.until_found
            )
        if asked.seed is not None:
            verdicts = [
                runner.run(ledger, asked.seed, None if asked.quiet else print) for ledger in ledgers
            ]
            print(*verdicts, sep="\n")
            return int(any(verdict.failures for verdict in verdicts))
        report, stopped = Report(), []
        signal.signal(signal.SIGINT, lambda *_: stopped.append(True))  # not in the middle of a run
        for seed in islice(range(asked.first, sys.maxsize), asked.count):
            for ledger in ledgers:
                if not stopped:
                    verdict = runner.run(ledger, seed)
                    report.count(verdict)
                    if asked.traces:
                        print(verdict)
            if stopped:
                break
        report.say()
        return int(report.failed > 0)


if __name__ == "__main__":
    if os.environ.get("PYTHONHASHSEED") != "0":  # sets of strings are in the order of their hashes
        os.environ["PYTHONHASHSEED"] = "0"
        os.execv(sys.executable, [sys.executable, "-m", "tests.simulation", *sys.argv[1:]])
    sys.exit(main())
