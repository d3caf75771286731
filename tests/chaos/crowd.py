"""The crowd of `make chaos`, a process of its own: it buys without pause and notes what it hears.

    python -m tests.chaos.crowd '<Brief as JSON>'

Out, a line of JSON each: a round that is over (a file with the histories of its events, ledgers
missing), and several times a second how far it is. A round has an event with more tickets than it
buys and one that sells out. Everybody asks under one key until it is settled, but some hang up
before the answer, some ask twice, some look, some give tickets back. In: "stop" lets everybody
learn what became of the last purchase, and ends it; end of file ends it at once.
"""

from __future__ import annotations

import asyncio
import random
import signal
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Final

import msgspec
from msgspec import Struct

from loadtest.history.operations import (
    Ask,
    Cancel,
    History,
    Look,
    Said,
    Sold,
    SoldOut,
    Stock,
    quantities,
)
from tests.chaos.line import Heard, Line
from tests.chaos.orders import TICKET_TYPE, read_order
from tests.chaos.rounds import Brief, Event, Progress, Round, Told

PAUSE_SECONDS: Final = 0.05, 0.3  # before a purchase is repeated
LOOK, TWICE, HANG_UP, CANCEL, FEW_WANTED = 0.01, 0.004, 0.004, 0.002, 0.06  # shares
TELL_SECONDS: Final = 0.2
STRANGE_MAX: Final = 20
LAST_SECONDS: Final = 60.0  # for the last purchases to be settled


class _Problem(Struct):
    type: str
    ticket_type: str = ""
    remaining: int = 0
    held: int = 0


class _Counts(Struct):
    sold: int
    held: int
    remaining: int


_read_problem = msgspec.json.Decoder(_Problem).decode
_read_counts = msgspec.json.Decoder(_Counts).decode
_encode = msgspec.json.encode


class Crowd:
    """All buyers, and the round they are in."""

    def __init__(self, brief: Brief) -> None:
        self.brief = brief
        self.progress = Progress()
        self.chance = random.Random(brief.seed)
        self.stopping = asyncio.Event()
        self.serial = 0
        self.current = Round("none", gives_back=False)
        self.leaving: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        """Buy until told to stop, round after round."""
        teller = asyncio.create_task(self._tell_regularly())
        opener = Line()
        self.current = await self._opened(opener, 1)
        buyers = [asyncio.create_task(self._buy_on(n)) for n in range(self.brief.lines)]
        number = 1
        while not self.stopping.is_set():
            with suppress(TimeoutError):
                await asyncio.wait_for(self.stopping.wait(), 0.1)
            if self.current.over:
                number += 1
                ended, self.current = self.current, await self._opened(opener, number)
                self.leaving.add(asyncio.create_task(self._leave(ended)))
            for task in [*buyers, *self.leaving]:
                if task.done():
                    task.result()
        _, late = await asyncio.wait(buyers, timeout=LAST_SECONDS)
        for buyer in late:
            buyer.cancel()
        await asyncio.gather(*buyers, return_exceptions=True)
        teller.cancel()
        await asyncio.gather(*self.leaving, self._leave(self.current))
        self._tell(Told(self.progress, done=True))

    # --- rounds ---

    async def _opened(self, line: Line, number: int) -> Round:
        found = Round(f"{self.brief.seed}-{number}", gives_back=number % 2 == 0)
        for event in found.events:
            body = _encode({"capacity": event.history.capacity[TICKET_TYPE]})
            request = self._request("PUT", f"/events/{event.name}", body)
            while (heard := await line.ask(self._port(), request)) is None or heard.status > 201:
                if heard is not None and heard.status != 503:
                    raise AssertionError(f"the event does not open: {heard}")
                await asyncio.sleep(0.1)
        found.ends_at = time.monotonic() + self.brief.round_seconds
        return found

    async def _leave(self, ended: Round) -> None:
        """Write a round down as soon as nobody asks for anything of it any more."""
        while ended.open:
            await asyncio.sleep(0.05)
        path = Path(self.brief.folder, f"{ended.name}.msgpack")
        named = {event.name: event.history for event in ended.events}
        path.write_bytes(msgspec.msgpack.encode(named))
        for event in ended.events:
            event.history = History({})
        self._tell(Told(self.progress, str(path), ended.unsettled))

    # --- buyers ---

    async def _buy_on(self, number: int) -> None:
        chance = random.Random(f"{self.brief.seed} {number}")
        line = Line()
        while not self.stopping.is_set():
            here = self.current
            here.open += 1
            try:
                await self._act(chance, line, here)
            finally:
                here.open -= 1
        line.close()

    async def _act(self, chance: random.Random, line: Line, here: Round) -> None:
        event = here.events[chance.random() < FEW_WANTED]
        drawn = chance.random()
        if drawn < LOOK:
            await self._look(line, event)
            return
        club = here.events[1]
        if drawn < LOOK + CANCEL and club.sold and here.gives_back:
            await self._give_back(chance, line, club)
            return
        await self._buy(chance, line, here, event)

    async def _buy(self, chance: random.Random, line: Line, here: Round, event: Event) -> None:
        quantity = 1 if chance.random() < 0.7 else 2
        key, wanted = self._key(), quantities({TICKET_TYPE: quantity})
        body = b'{"event":"%b","quantity":%d}' % (event.name.encode(), quantity)
        request = self._request("POST", "/buy", body, key)
        here.unsettled += 1
        again = chance.random() < TWICE
        while True:
            hang_up = chance.random() < HANG_UP
            ask = Ask(key, wanted, time.monotonic())
            event.history.asks.append(ask)  # before it is sent: whoever is cut off leaves it so
            await self._ask(line, request, ask, hang_up)
            match ask.said:
                case None:
                    self.progress.unknown += 1
                    await asyncio.sleep(chance.uniform(*PAUSE_SECONDS))
                    continue
                case Sold() if again:  # the same key, at any later time, is told the same order
                    again = False
                    continue
                case Sold():
                    self.progress.confirmed += 1
                    if event is here.events[1] and chance.random() < 0.3:
                        event.sold.append(ask.said.order)
                case _:
                    self.progress.refused += 1
            here.unsettled -= 1
            return

    async def _ask(self, line: Line, request: bytes, ask: Ask, hang_up: bool) -> None:
        heard = await self._heard(line, request, hang_up)
        ask.said = None if heard is None else self._said(heard)
        if heard is not None and ask.said is not None:
            ask.heard_at, ask.line = time.monotonic(), line.number
            if heard.status == 201:
                ask.fresh = not heard.replayed
                self._note_gap()
                self.progress.last_sale_at = ask.heard_at

    async def _heard(self, line: Line, request: bytes, hang_up: bool = False) -> Heard | None:
        heard = await line.ask(self._port(), request, hang_up)
        self.progress.requests += 1
        return heard

    def _said(self, heard: Heard) -> Said:
        """Return what an answer says for certain; a fault of operation says nothing."""
        if heard.status == 201:
            return read_order(heard.body)[0]
        if heard.status == 409:
            problem = _read_problem(heard.body)
            if problem.type == "/problems/sold-out":
                return SoldOut(problem.ticket_type, problem.remaining, problem.held)
        if heard.status not in (202, 503):
            self._wonder(heard)
        return None

    def _wonder(self, heard: Heard) -> None:
        if len(self.progress.strange) < STRANGE_MAX:
            self.progress.strange.append(f"{heard.status} {heard.body[:200]!r}")

    async def _look(self, line: Line, event: Event) -> None:
        asked_at = time.monotonic()
        heard = await self._heard(line, self._request("GET", f"/remaining/{event.name}"))
        if heard is None or heard.status == 503:
            return
        if heard.status != 200:
            self._wonder(heard)
        else:
            counts = _read_counts(heard.body)
            stock = (Stock(TICKET_TYPE, counts.sold, counts.held, counts.remaining),)
            event.history.looks.append(Look(asked_at, time.monotonic(), stock, line.number))

    async def _give_back(self, chance: random.Random, line: Line, event: Event) -> None:
        order = event.sold.pop(chance.randrange(len(event.sold)))
        request = self._request("POST", f"/orders/{order}/cancel", b"")
        while True:
            cancel = Cancel(order, time.monotonic())
            event.history.cancels.append(cancel)
            heard = await self._heard(line, request)
            if heard is not None and heard.status == 200:
                cancel.heard_at, cancel.line = time.monotonic(), line.number
                cancel.done = True
                return
            if heard is not None and heard.status != 503:
                self._wonder(heard)
                return
            await asyncio.sleep(chance.uniform(*PAUSE_SECONDS))

    # --- small things ---

    def _port(self) -> int:
        return self.chance.choice(self.brief.ports)

    def _key(self) -> str:
        """Return a UUIDv7 in form, so that the ledger's index grows at its end."""
        self.serial += 1
        ms = time.time_ns() // 1_000_000
        seed = self.brief.seed & 0xFFF
        return f"{ms >> 16:08x}-{ms & 0xFFFF:04x}-7{seed:03x}-8000-{self.serial:012x}"

    def _request(self, method: str, path: str, body: bytes | None = None, key: str = "") -> bytes:
        more = b"Idempotency-Key: %b\r\n" % key.encode() if key else b""
        if not key and method != "GET":
            more = b"Authorization: Bearer %b\r\n" % self.brief.admin_key.encode()
        if body is not None:
            more += b"Content-Type: application/json\r\nContent-Length: %d\r\n" % len(body)
        head = b"%b %b HTTP/1.1\r\nHost: localhost\r\n%b\r\n"
        return head % (method.encode(), path.encode(), more) + (body or b"")

    def _note_gap(self) -> None:
        now, last = time.monotonic(), self.progress.last_sale_at
        if self.stopping.is_set():
            return  # they have all they wanted
        if last and now - last > self.progress.gap_seconds:
            self.progress.gap_seconds, self.progress.gap_ended_at = now - last, now

    async def _tell_regularly(self) -> None:
        while True:
            await asyncio.sleep(TELL_SECONDS)
            self._note_gap()
            self._tell(Told(self.progress))

    def _tell(self, told: Told) -> None:
        sys.stdout.buffer.write(_encode(told) + b"\n")
        sys.stdout.buffer.flush()


async def main(brief: Brief) -> None:
    """Run a crowd, which listens to its stdin."""
    crowd = Crowd(brief)
    loop = asyncio.get_running_loop()
    listener = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(listener), sys.stdin)
    work = asyncio.create_task(crowd.run())

    async def listen() -> None:
        if await listener.readline() == b"stop\n":
            crowd.stopping.set()
        else:
            work.cancel()

    listening = asyncio.create_task(listen())
    with suppress(asyncio.CancelledError):
        await work
    listening.cancel()


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # who started it will say when to end
    asyncio.run(main(msgspec.json.decode(sys.argv[1], type=Brief)))
