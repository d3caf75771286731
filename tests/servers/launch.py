"""Become another program that ends with the process that asked: `launch.py parent_pid program …`.

The kernel remembers the wish across exec. A `preexec_fn` would do the same without this file, but
it runs Python between fork and exec of a process that has threads.
"""

from __future__ import annotations

import os
import sys

from workers.processes import end_with_parent

if __name__ == "__main__":
    parent_pid, *command = sys.argv[1:]
    end_with_parent(int(parent_pid))
    os.execv(command[0], command)
