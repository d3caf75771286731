"""A process that `make chaos` starts beside itself, and speaks with by lines."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from types import TracebackType
from typing import Self

import msgspec
from msgspec import Struct

from tests.servers import launch


class Helper:
    """`python -m module '<brief>'`, ended with a `with` block, and with the thread that made it.

    Each line that it prints is given to `hear`, in a thread of its own.
    """

    def __init__(self, module: str, brief: Struct, hear: Callable[[bytes], None]) -> None:
        given = msgspec.json.encode(brief).decode()
        bootstrap = [sys.executable, "-P", launch.__file__, str(os.getpid())]
        self._process = subprocess.Popen(
            [*bootstrap, sys.executable, "-m", module, given],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            process_group=0,  # Ctrl-C is for who started it
        )
        self._hear = hear
        self._listener = threading.Thread(target=self._listen, name=module, daemon=True)
        self._listener.start()

    @property
    def running(self) -> bool:
        """Whether it has not ended."""
        return self._process.poll() is None

    def say(self, line: str) -> None:
        """Give it a line; one that has ended does not hear it."""
        assert self._process.stdin is not None
        with suppress(BrokenPipeError):
            self._process.stdin.write(line.encode() + b"\n")
            self._process.stdin.flush()

    def end_input(self) -> None:
        """Say that there is nothing more to come."""
        assert self._process.stdin is not None
        with suppress(BrokenPipeError):
            self._process.stdin.close()

    def wait(self) -> int:
        """Wait for its end, and until all that it said is heard; return its exit status."""
        status = self._process.wait()
        self._listener.join()
        return status

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._process.kill()
        self._process.wait()
        self._listener.join()
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                with suppress(BrokenPipeError):
                    stream.close()

    def _listen(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._hear(line)
