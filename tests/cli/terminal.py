"""A command on a terminal of its own, and what it has written there."""

from __future__ import annotations

import os
import pty
import subprocess
import termios
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Self

from service.cli.screen import HOME, TO_LINE_END, TO_SCREEN_END


class Terminal:
    """Run a command on a pseudo-terminal for the length of a `with` block."""

    def __init__(
        self,
        command: Sequence[str],
        env: dict[str, str] | None = None,
        size: tuple[int, int] = (24, 80),
    ) -> None:
        self._screen, theirs = pty.openpty()
        termios.tcsetwinsize(theirs, size)  # rows and columns
        self.process = subprocess.Popen(
            command,
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            env=_with_terminal(os.environ if env is None else env),
        )
        os.close(theirs)
        os.set_blocking(self._screen, False)
        self._written = b""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.process.kill()
        self.process.wait()
        os.close(self._screen)

    def type(self, text: str) -> None:
        """Type on its keyboard."""
        os.write(self._screen, text.encode())

    def written(self) -> str:
        """Return all that was written so far."""
        with suppress(BlockingIOError, OSError):  # EIO once nobody has it open any more
            while piece := os.read(self._screen, 65_536):
                self._written += piece
        return self._written.decode(errors="replace")

    def shown(self) -> list[str]:
        """Return the lines that were drawn last, without those that are empty."""
        last = self.written().rpartition(HOME)[2]
        for told in ("\r", TO_LINE_END, TO_SCREEN_END):
            last = last.replace(told, "")
        return [line for line in last.splitlines() if line]


def _with_terminal(env: Mapping[str, str]) -> dict[str, str]:
    """Return an environment that leaves the size to the terminal."""
    sizes = ("COLUMNS", "LINES")
    return {name: value for name, value in env.items() if name not in sizes} | {"TERM": "xterm"}
