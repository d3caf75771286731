"""What must hold of a service through any campaign of garbage: it sells on, and that is all."""

from __future__ import annotations

import re
import secrets
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import requests

from tests.harness import Soldout, note

GROWTH_MAX_BYTES: Final = 200 << 20  # of one process; garbage is bounded, caches are filled
NEXT_DOOR: Final = "next-door"


def memory_of(pid: int) -> int:
    """Return how many bytes of memory a process has."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024
    return 0


def audits(service: Soldout) -> dict[str, dict[str, object]]:
    """Audit every event that has an address; each must be consistent."""
    events = requests.get(f"{service.url}/events", timeout=30).json()["events"]
    ids = [event["id"] for event in events if re.fullmatch("[a-z0-9_-]{1,64}", event["id"])]
    return {event_id: service.audit(event_id) for event_id in ids}


@contextmanager
def undisturbed(service: Soldout, *, patience: bool = False) -> Iterator[None]:
    """Check that the service keeps its processes, its memory and its word during a `with` block.

    `patience`: who buys next door may be told to come again, and does.
    """
    if requests.get(f"{service.url}/events/{NEXT_DOOR}", timeout=30).status_code == 404:
        service.put_event(NEXT_DOOR, capacity=100_000)
    family = service.family()
    pids = [pid for role in family.values() for pid in role]
    memory = {pid: memory_of(pid) for pid in pids}
    before, log = service.audit(NEXT_DOOR), len(service.log())
    neighbours = Neighbours(service, patience=patience)
    try:
        yield
    finally:
        sold = neighbours.leave()
    said = service.log()[log:]
    assert service.family() == family, f"who served is gone: {said}"
    assert "Traceback" not in said, said
    growth = {pid: memory_of(pid) - memory[pid] for pid in pids}
    assert max(growth.values()) < GROWTH_MAX_BYTES, growth
    note(
        f"{sold} sold next door meanwhile; memory grew by {max(growth.values()) >> 10} KiB at most"
    )
    assert sold > 0
    assert service.audit(NEXT_DOOR)["orders"] == int(str(before["orders"])) + sold
    audits(service)
    assert service.buy(NEXT_DOOR).status_code == 201


class Neighbours:
    """Somebody who buys next door all the while, and is never refused."""

    def __init__(self, service: Soldout, *, patience: bool) -> None:
        self._service = service
        self._patience = patience
        self._leaving = threading.Event()
        self._sold = 0
        self._refused: list[str] = []
        self._thread = threading.Thread(target=self._buy)
        self._thread.start()

    def leave(self) -> int:
        """Stop, and say how many orders there were."""
        self._leaving.set()
        self._thread.join()
        assert not self._refused, self._refused[:3]
        return self._sold

    def _buy(self) -> None:
        key = secrets.token_hex(16)
        while True:
            try:
                answer = self._service.buy(NEXT_DOOR, 1, key)
            except requests.RequestException as error:
                self._refused.append(repr(error))
            else:
                if answer.status_code == 201:
                    self._sold += 1
                    key = secrets.token_hex(16)
                elif not self._patience or answer.status_code not in (202, 503):
                    self._refused.append(answer.text)
                elif self._leaving.is_set():
                    continue
            if self._leaving.wait(0.01):
                return
