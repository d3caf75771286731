"""A line on the terminal that says how far something is that takes over a second.

It goes to standard error, so that results can be piped, and only where that is a terminal.
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

WIDTH = 30
FIRST_SECONDS = 1.0  # what is over by then needs no line
NEXT_SECONDS = 0.2


@contextmanager
def progress(stage: str, fraction: Callable[[], float | None] = lambda: None) -> Iterator[None]:
    """Show how much of a stage is done (0 to 1), or for how long it lasts if nobody can tell.

    `fraction` is called from a thread of its own.
    """
    if not sys.stderr.isatty():
        yield
        return
    over = threading.Event()
    drawing = threading.Thread(target=_draw, args=(stage, fraction, over), daemon=True)
    drawing.start()
    try:
        yield
    finally:
        over.set()
        drawing.join()


def _draw(stage: str, fraction: Callable[[], float | None], over: threading.Event) -> None:
    began = time.monotonic()
    if over.wait(FIRST_SECONDS):
        return
    while True:
        _write(line(stage, fraction(), time.monotonic() - began))
        if over.wait(NEXT_SECONDS):
            break
    _write("")  # the results take its place


def line(stage: str, done: float | None, seconds: float) -> str:
    """Return the line of one moment."""
    if done is None:
        return f"{stage} … {seconds:.0f} s"
    done = min(max(done, 0.0), 1.0)
    full = int(done * WIDTH)
    return f"{stage} [{'#' * full}{'.' * (WIDTH - full)}] {done:4.0%}"


def _write(text: str) -> None:
    sys.stderr.write(f"\r\x1b[K{text}")
    sys.stderr.flush()
