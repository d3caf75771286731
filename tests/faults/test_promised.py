"""What was answered 202 is a promise, too: told to leave (SIGTERM), the service keeps it first."""

from __future__ import annotations

import os
import signal
import uuid

from tests.faults.crowd import Wish, all_orders
from tests.faults.line import Line
from tests.faults.stopping import standing_still
from tests.harness import STOP_SECONDS, Soldout, wait_until
from workers.hearts import clock_ms

PURCHASES = 120
STILL_MS = 1_500  # longer than a web process needs to leave, shorter than a worker may be still


def without_waiting(wish: Wish) -> bytes:
    """Return the bytes that ask for it and want no answer but that it was taken."""
    return wish.request().replace(b"\r\n\r\n", b"\r\nPrefer: respond-async\r\n\r\n", 1)


def stood_still(service: Soldout, workers: list[int]) -> bool:
    """Say whether these workers stood still until who does not wait for them has left."""
    pulses = [pulse for pulse in service.hearts().pulses() if pulse.pid in workers]
    return all(clock_ms() - pulse.beat_clock_ms > STILL_MS for pulse in pulses)


def test_what_was_promised_is_sold_before_the_service_leaves(
    service: Soldout, stadium: str
) -> None:
    """Nobody waits for it on a connection, and no worker has seen it when the signal comes."""
    wishes = [Wish(uuid.uuid4().hex, stadium, 2) for _ in range(PURCHASES)]
    drains = service.log().count("draining")
    workers = service.family()["worker"]
    with standing_still(*workers):
        with Line(service.port) as line:
            for wish in wishes:
                wish.attempts.append(line.ask(without_waiting(wish)))
        os.kill(service.pid, signal.SIGTERM)
        wait_until(lambda: service.log().count("draining") > drains, 5, "it drains")
        wait_until(lambda: stood_still(service, workers), 10, "they stood still for long enough")
    assert [wish.attempts[0].status for wish in wishes] == [202] * PURCHASES
    assert service.process is not None
    assert service.process.wait(STOP_SECONDS) == 0

    service.start()
    promised = {wish.attempts[0].said["id"] for wish in wishes}
    assert len(promised) == PURCHASES
    assert all_orders(service, stadium).keys() == promised
    assert service.audit(stadium)["sold"] == 2 * PURCHASES
