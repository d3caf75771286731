"""Plants a bug in a service whose PYTHONPATH leads here: its workers think that five more are left.

Only on Redis: SQLite's own CHECK would refuse to write it.
"""

from __future__ import annotations

import sys

if "workers" in sys.orig_argv:
    from workers import domain, rules

    domain.TicketType.remaining = property(  # type: ignore[method-assign,assignment]
        lambda self: self.capacity + 5 - self.sold - self.held
    )
    rules._check_conserved = lambda *_: None
