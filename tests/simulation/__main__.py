"""Run seeds: `python -m tests.simulation --seed 7` one, in words; without it, until stopped."""

from __future__ import annotations

import argparse
import os
import sys
import time


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--seed", type=int)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--count", type=int)
    parser.add_argument("--quiet", action="store_true")
    parser.add_argument("--ledger", choices=("sqlite", "redis", "model"), default="sqlite")
    arguments = parser.parse_args()
    from tests.simulation.runs import run  # noqa: PLC0415
    from tests.simulation.stand_ins import in_place  # noqa: PLC0415

    from contextlib import ExitStack  # noqa: PLC0415
    from tests.simulation.redis_model import RedisModel  # noqa: PLC0415
    from tests.simulation.redis_real import RealRedis  # noqa: PLC0415

    with ExitStack() as stack:
        engine = {"sqlite": lambda: None, "redis": lambda: stack.enter_context(RealRedis()), "model": RedisModel}[arguments.ledger]()
        stack.enter_context(in_place())
        if arguments.seed is not None:
            verdict = run(arguments.seed, None if arguments.quiet else print, engine)
            print(verdict)
            return bool(verdict.failures)
        began = time.monotonic()
        steps = sales = deaths = power = failed = 0
        for n, seed in enumerate(range(arguments.first, arguments.first + (arguments.count or 1 << 60)), 1):
            verdict = run(seed, engine=engine)
            steps += verdict.steps
            sales += verdict.sales
            deaths += verdict.deaths
            power += verdict.power_failures
            if verdict.failures:
                failed += 1
                print(f"seed {seed}: {verdict.failures[0][:600]}")
            if n % 100 == 0 or n == arguments.count:
                took = time.monotonic() - began
                print(f"{n} seeds, {steps} steps, {sales} sales, {deaths} deaths, {power} power failures, {failed} failed, {n/took:.1f} seeds/s", flush=True)
    return bool(failed)


if __name__ == "__main__":
    if os.environ.get("PYTHONHASHSEED") != "0":  # sets of strings are in the order of their hashes
        os.environ["PYTHONHASHSEED"] = "0"
        os.execv(sys.executable, [sys.executable, "-m", "tests.simulation", *sys.argv[1:]])
    sys.exit(main())
