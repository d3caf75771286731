"""How tests type `soldout backup` and `restore`, and read what came of it."""

from __future__ import annotations

import hashlib
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec

from tests.harness import START_SECONDS

COMMAND = [sys.executable, "-m", "service"]


def soldout_does(*words: object, limit_kib: int | None = None) -> subprocess.CompletedProcess[str]:
    """Type a command; files may become so large only, as if the disk were full then."""
    command = [*COMMAND, *map(str, words)]
    if limit_kib is not None:
        command = ["bash", "-c", f'ulimit -f {limit_kib} && exec "$@"', "bash", *command]
    return subprocess.run(
        command, capture_output=True, text=True, timeout=START_SECONDS, check=False
    )


def back_up(data_dir: Path, copy: Path, *more: str) -> subprocess.CompletedProcess[str]:
    return soldout_does("backup", "--data-dir", data_dir, copy, *more)


def restore(data_dir: Path, copy: Path, *more: str) -> subprocess.CompletedProcess[str]:
    return soldout_does("restore", "--data-dir", data_dir, copy, *more)


def refused(done: subprocess.CompletedProcess[str]) -> str:
    """Return the one line with which a command was refused."""
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (1, "", 1), done
    assert done.stderr.startswith("Error: ")
    return done.stderr


def told(done: subprocess.CompletedProcess[str]) -> Any:
    assert done.returncode == 0, done.stderr
    return msgspec.json.decode(done.stdout)


def state_of(folder: Path) -> dict[str, str]:
    """Return every file below a folder by the hash of what it holds."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.is_file() and path.name != "serve.lock"
    }


def kill_within(seconds: float, *words: object) -> None:
    process = subprocess.Popen([*COMMAND, *map(str, words)], stdout=subprocess.DEVNULL)
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGKILL)
        process.wait()
