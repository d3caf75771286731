"""What Linux needs to be told about a process: to end with its parent, and what `ps` shows."""

from __future__ import annotations

import ctypes
import gc
import os
import signal

from setproctitle import setproctitle

_PR_SET_PDEATHSIG = 1  # prctl(2)
_titles = ["soldout"]
_libc = ctypes.CDLL(None, use_errno=True)


def end_with_parent(parent_pid: int) -> None:
    """Have the kernel kill this process when its parent ends, however that ends."""
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent_pid:  # it ended before we asked
        os._exit(1)


def set_title(text: str) -> None:
    """Name this process as an operator expects it in `ps`."""
    setproctitle(f"soldout: {text}")
    _titles[0] = text


def title() -> str:
    """Return what this process is named, without the service's own name."""
    return _titles[0]


def spare_the_collector() -> None:
    """Have the cyclic garbage collector look rarely, and never at what was loaded at the start.

    Requests that wait for their batch keep thousands of objects alive for a moment. By default the
    collector would look through them every 700 allocations, in vain: reference counts free them.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(100_000, 20, 20)
