"""The judge of `make chaos`, a process of its own: holds what a round's crowd heard to the ledger.

    python -m tests.chaos.judge '<Bench as JSON>'

In, a line each: the file of a round that is over. Out, a line of JSON for each of its events: what
every check found. A round is read from the service while everything breaks, so it asks until it is
answered; and not before what nobody heard of is too late to be sold.
"""

from __future__ import annotations

import itertools
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import msgspec
import requests
from msgspec import Struct, field

from loadtest.history.checks import check
from loadtest.history.operations import Booked, History, Sold
from tests.chaos.orders import read_page

# After the end of a round: who was stopped (4) with a request unread; deadline (6), commit (3).
SETTLED_SECONDS: Final = 15.0
PATIENCE_SECONDS: Final = 120.0
PAUSE_SECONDS: Final = 0.2
EXAMPLES: Final = 3
AUDIT: Final = "the audit is consistent and agrees"


class Bench(Struct):
    """Whom the judge may ask."""

    ports: list[int]
    admin_key: str


class Judged(Struct):
    """One event: what is sold of it; for each check how much was checked, and what is wrong."""

    event: str
    orders: int
    tickets: int
    checked: dict[str, int] = field(default_factory=dict)
    wrong: dict[str, int] = field(default_factory=dict)
    examples: dict[str, list[str]] = field(default_factory=dict)

    def note(self, name: str, checked: int, wrong: list[str]) -> None:
        """Take in what a check found."""
        self.checked[name] = self.checked.get(name, 0) + checked
        if wrong:
            self.wrong[name] = len(wrong)
            self.examples[name] = wrong[:EXAMPLES]


class SilentError(RuntimeError):
    """The service did not answer the judge in all its patience."""


class Judge:
    """Reads ledgers over HTTP, from whichever web process answers."""

    def __init__(self, bench: Bench) -> None:
        self._ports = itertools.cycle(bench.ports)
        self._session = requests.Session()
        self._session.trust_env = False
        self._session.headers["Authorization"] = f"Bearer {bench.admin_key}"

    def judge(self, event: str, history: History) -> Judged:
        """Read an event's ledger and say what is wrong with what was heard."""
        history.ledger = [Booked(sold, cancelled) for sold, cancelled in self._orders(event)]
        self._name_the_untold(history)
        standing = [booked for booked in history.ledger if not booked.cancelled]
        tickets = sum(number for booked in standing for _, number in booked.sold.quantities)
        judged = Judged(event, len(history.ledger), tickets)
        for name, (checked, wrong) in check(history).items():
            judged.note(name, checked, wrong)
        judged.note(AUDIT, len(history.ledger) + 1, self._audit(event, len(standing), tickets))
        return judged

    def _orders(self, event: str) -> Iterator[tuple[Sold, bool]]:
        path = f"/events/{event}/orders?limit=1000"
        while path:
            answer = self._get(path)
            yield from read_page(answer.content)
            path = str(answer.links.get("next", {}).get("url", ""))

    def _name_the_untold(self, history: History) -> None:
        """Find the keys of orders that no client was told of, among those that may have sold."""
        told = {ask.said.order: ask.key for ask in history.asks if isinstance(ask.said, Sold)}
        untold = {b.sold.order: b for b in history.ledger if b.sold.order not in told}
        keys = {ask.key for ask in history.asks if ask.said is None} - set(told.values())
        for key in sorted(keys) if untold else []:
            answer = self._get(f"/orders?key={key}", 404)
            if answer.status_code == 200 and (booked := untold.get(answer.json()["id"])):
                booked.key = key

    def _audit(self, event: str, orders: int, tickets: int) -> list[str]:
        audit: dict[str, Any] = self._get(f"/events/{event}/audit").json()
        pairs = {"orders": orders, "tickets": tickets, "sold": tickets, "held": 0}
        wrong = [f"finding: {finding}" for finding in audit["findings"]]
        wrong += [] if audit["consistent"] else ["the journal is not consistent"]
        wrong += [
            f"{n}: {audit[n]}, not {number}" for n, number in pairs.items() if audit[n] != number
        ]
        if audit["sold"] + audit["held"] + audit["remaining"] != audit["capacity"]:
            wrong.append(f"it does not add up: {audit}")
        return wrong

    def _get(self, path: str, *also: int) -> requests.Response:
        limit = time.monotonic() + PATIENCE_SECONDS
        while time.monotonic() < limit:
            try:
                url = f"http://127.0.0.1:{next(self._ports)}{path}"
                answer = self._session.get(url, timeout=30)
                if answer.status_code in (200, *also):
                    return answer
            except requests.RequestException:
                pass
            time.sleep(PAUSE_SECONDS)
        raise SilentError(path)


def main(bench: Bench) -> None:
    """Judge the rounds that stdin names, until it ends."""
    judge = Judge(bench)
    while line := sys.stdin.readline():
        path = Path(line.strip())
        time.sleep(max(0.0, path.stat().st_mtime + SETTLED_SECONDS - time.time()))
        for event, history in msgspec.msgpack.decode(
            path.read_bytes(), type=dict[str, History]
        ).items():
            sys.stdout.buffer.write(msgspec.json.encode(judge.judge(event, history)) + b"\n")
            sys.stdout.buffer.flush()
        path.unlink()


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # who started it will say when to end
    main(msgspec.json.decode(sys.argv[1], type=Bench))
