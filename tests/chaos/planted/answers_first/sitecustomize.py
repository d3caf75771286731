"""Plants a bug in a service whose PYTHONPATH leads here: its workers answer before they commit.

As long as nothing goes wrong nobody can tell.
"""

from __future__ import annotations

import sys

import tests.faults.broken_disk.sitecustomize  # noqa: F401 - Python imports only one of this name

if "workers" in sys.orig_argv:
    from workers.rules import settle
    from workers.worker import Worker

    def run_once(self: Worker, wait_seconds: float) -> int:
        batch = self.inbox.take(self.batch_max, wait_seconds)
        self.heart.beat()
        if batch:
            with self.lock as token:
                settlement = settle(self.ledger.load(batch), batch, self.now())
                self.inbox.answer(settlement.outcomes)
                self.ledger.commit(settlement, token)
            self.heart.count(len(batch))
        return len(batch)

    Worker.run_once = run_once  # type: ignore[method-assign]
