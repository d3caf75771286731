"""Runs SPIN on a model of `docs/model`: makes a checker, runs it, and reads what it found.

All files go to a temporary directory. Nothing is installed: a machine without SPIN is told how to.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Final

from msgspec import Struct

MODELS: Final = Path(__file__).parents[2] / "docs" / "model"
MEMORY_MAX_MB: Final = 450  # of each of two at the same time; the largest here takes 200
HASH_TABLE_BITS: Final = 22  # 32 MB; the checker's own default takes 128
DEPTH_MAX: Final = 20_000  # steps of one run; the longest here has some hundreds
RUN_SECONDS: Final = 300  # on a machine that is busy with much else

_DEPTH = re.compile(r"depth reached (\d+).*errors: (\d+)")
_ERROR = re.compile(r"pan:\d+: (.*) \(at depth (\d+)\)")
_ELAPSED = re.compile(r"elapsed time ([\d.e+-]+) seconds")
_MEMORY = re.compile(r"([\d.]+)\s+total actual memory usage")
_STORED = re.compile(r"([\d.e+]+) states, stored")


class MissingProgram(Exception):
    """The machine has no SPIN, or no C compiler."""


class Verdict(Struct):
    """What an exhaustive search found; `error` is None if every promise held in every state."""

    states: int
    depth: int
    seconds: float
    memory_mb: float
    error: str | None = None
    steps: int = 0  # of the shortest run that leads to the error


def check(
    model: str,
    defines: list[str],
    *,
    shortest: bool = False,
    ltl: bool = False,
    may_stick: bool = False,
) -> Verdict:
    """Search all states of a model.

    `shortest`: breadth first; `ltl`: the promise for all runs; `may_stick`: a run may end anywhere.

    Raises MissingProgram, and RuntimeError if the search was not complete.
    """
    for program in ("spin", "gcc"):
        if shutil.which(program) is None:
            raise MissingProgram(f"the model needs {program}: apt-get install {program}")
    kind = [] if ltl else ["-DSAFETY", "-DNOCLAIM"]
    with tempfile.TemporaryDirectory(prefix="soldout-model-") as folder:
        macros = [f"-D{define}" for define in defines]
        _run(folder, "spin", "-a", *macros, str(MODELS / model))
        optimized = "-O0" if shortest else "-O1"  # compiling takes most of the time
        limits = [f"-DMEMLIM={MEMORY_MAX_MB}", *(["-DBFS"] if shortest else [])]
        _run(folder, "gcc", "-w", optimized, *kind, *limits, "-o", "pan", "pan.c")
        pan = ["./pan", f"-w{HASH_TABLE_BITS}", f"-m{DEPTH_MAX}", "-n", *(["-a"] if ltl else [])]
        pan += ["-E"] if may_stick else []
        return _read(_run(folder, *pan), " ".join([model, *macros]))


def _run(folder: str, *command: str) -> str:
    done = subprocess.run(
        command, cwd=folder, capture_output=True, text=True, timeout=RUN_SECONDS, check=False
    )
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)}: {done.stdout}{done.stderr}")
    return done.stdout


def _read(output: str, what: str) -> Verdict:
    found = {
        name: pattern.search(output)
        for name, pattern in (
            ("depth", _DEPTH),
            ("states", _STORED),
            ("seconds", _ELAPSED),
            ("memory", _MEMORY),
        )
    }
    if any(match is None for match in found.values()):
        raise RuntimeError(f"{what}: the checker did not finish:\n{output}")
    number = {name: float(match[1]) for name, match in found.items() if match}
    verdict = Verdict(
        int(number["states"]), int(number["depth"]), number["seconds"], number["memory"]
    )
    if error := _ERROR.search(output):
        verdict.error, verdict.steps = error[1], int(error[2])
    elif "Search not completed" in output or "max search depth too small" in output:
        raise RuntimeError(f"{what}: the search is not complete:\n{output}")
    return verdict
