"""Lines that stay in their place on a terminal and are drawn over there when they change."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Sequence

CLEAR, HOME, TO_LINE_END, TO_SCREEN_END = "\x1b[2J", "\x1b[H", "\x1b[K", "\x1b[J"


class Screen:
    """Standard output as a terminal's screen, drawn without flicker."""

    def __init__(self) -> None:
        self._drawn = False

    def show(self, lines: Sequence[str]) -> None:
        """Draw lines, cut to the terminal as large as it is now."""
        columns, rows = shutil.get_terminal_size()
        fitting = [line[:columns] for line in lines]
        if len(fitting) >= rows:
            fitting[rows - 2 :] = [f"… {len(fitting) - rows + 2} more lines"[:columns]]
        first = "" if self._drawn else CLEAR
        drawn = "".join(f"{line}{TO_LINE_END}\n" for line in fitting)
        sys.stdout.write(f"{first}{HOME}{drawn}{TO_SCREEN_END}")
        sys.stdout.flush()
        self._drawn = True
