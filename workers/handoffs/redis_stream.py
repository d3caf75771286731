"""The hand-off over Redis: frames on the shard's stream, answers on a stream of each lane's own.

A frame stays on the stream until the commit that settles it takes it off (`shards.turn`): a worker
that dies leaves nothing to claim. A lane has one frame under way. It skips answers to older ones;
Redis skips older frames that come after a newer one, from a connection that was given up.
Deadlines go by Redis' clock, which is one for all hosts: a frame says how far its sender's is off.
"""

from __future__ import annotations

import logging
import time
import uuid
from typing import Any, Final

from msgspec.structs import force_setattr

from workers.codec import GARBAGE, decode_commands, decode_outcomes, encode
from workers.complaints import Complaints
from workers.domain import Command, Outcome
from workers.errors import LedgerFault, LedgerLost
from workers.hearts import HEARTBEAT_LIMIT_MS, clock_ms
from workers.metrics import FAULTS, Slot
from workers.shards.frames import Frame
from workers.shards.keys import Keys
from workers.shards.link import Link, Script, call
from workers.shards.memory import Mark, Marks
from workers.shards.server import Server
from workers.shards.turn import Turn

log = logging.getLogger(__name__)

BLOCK_MS: Final = 500  # for an answer, between two looks whether it can still come
FRAMES_MAX: Final = 1_000  # on a shard's stream: without workers, Redis shall not fill up
CLOCK_LEARNT_FOR_MS: Final = 10_000  # clocks drift, and are set
LANE_KEPT_MS: Final = 3_600_000  # in Redis, after its last frame: longer than any deadline
PAUSE_SECONDS: Final = 0.1  # of a worker, after a fault: what it failed at waits on the stream

_APPEND = Script("append")


class RedisInbox:
    """A worker's end. The frames are read in the step that takes the lock."""

    def __init__(self, turn: Turn) -> None:
        self._turn = turn
        self._complaints = Complaints(log)

    def take(self, limit: int, wait_seconds: float) -> list[Command]:
        """Wait for frames and the lock; return up to `limit` commands, one frame at least, or none.

        A fault of Redis is none of the caller's: nothing is taken then.
        """
        turn = self._turn
        if turn.given_up:
            time.sleep(PAUSE_SECONDS)
        try:
            turn.tell()
            turn.take(limit, wait_seconds)
            self._complaints.over("selling again")
            commands = self._open(turn.frames)
            if turn.frames and not commands:
                self.answer([])
        except LedgerFault as fault:
            self._give_up(fault)
            return []
        return commands

    def take_waiting(self, limit: int) -> list[Command]:
        """Return further commands, unless all that waited was read when the lock was taken."""
        turn = self._turn
        if turn.complete or limit <= 0:
            return []
        if turn.token is None:
            return self.take(limit, 0)
        return self._open(turn.more(limit))

    def answer(self, outcomes: list[Outcome]) -> None:
        """Answer what was taken, unless the commit did, or a fault left it on the stream."""
        turn = self._turn
        try:
            if turn.frames:
                turn.answer(turn.bodies(outcomes))
        except LedgerFault as fault:
            self._give_up(fault)

    def close(self) -> None:
        """Take no more; what is on the stream is another worker's."""
        self._turn.close()

    def _give_up(self, fault: LedgerFault) -> None:
        self._turn.give_up()
        self._turn.slot.count(FAULTS.of("take"))
        self._complaints.say("not selling: %s", fault)

    def _open(self, frames: list[Frame]) -> list[Command]:
        commands: list[Command] = []
        for frame in frames:
            try:
                found = decode_commands(frame.body)
            except GARBAGE as error:
                log.error("a frame on the stream cannot be read and is given up: %s", error)
                found = []
            frame.unread = frame.count - len(found)
            frame.count = len(found)
            for command in found:
                force_setattr(command, "deadline_ms", command.deadline_ms + frame.offset_ms)
            commands += found
        return commands


class RedisLane:
    """The web's end of one way to a shard's workers, whichever of them is at work."""

    retry_seconds = 0.07  # a Redis that is gone is not back in less

    def __init__(self, server: Server, shard: int, slot: Slot | None = None) -> None:
        self._server = server
        self._slot = slot or Slot()
        self._shard = shard
        self._keys = Keys(shard)
        self._lane = self._keys.lane(uuid.uuid4().hex)  # as long as this object counts its frames
        self._name = ""  # of its connection
        self._link: Link = server.link(shard)
        self._number = 0
        self._seen: Any = "0-0"  # the newest answer that was read
        self._offset_ms = 0
        self._clock_learned_ms = 0
        self._complaints = Complaints(log)

    @property
    def fault(self) -> str:
        """Why the last frame was not answered."""
        return self._complaints.fault

    def connect(self) -> None:
        """Reach Redis, and learn its clock. Raises ConnectionError."""
        try:
            self._link.learn(_APPEND)
            self._learn_clock()
            self._server.recognize(self._shard, self._link)
        except LedgerFault as fault:
            self._complain(fault)
            raise ConnectionError(str(fault)) from fault
        self._name, self._seen = uuid.uuid4().hex, "0-0"  # what is answered to the old name is late

    def exchange(self, commands: list[Command]) -> list[Outcome]:
        """Put one frame on the stream and wait for its answer. Raises ConnectionError."""
        try:
            body = self._exchange(commands)
        except LedgerFault as fault:
            self._complain(fault)
            raise ConnectionError(str(fault)) from fault
        self._complaints.over("purchases reach the workers again")
        try:
            outcomes = decode_outcomes(body)
        except GARBAGE as error:
            raise ConnectionError(f"a worker answered garbage: {error}") from error
        if len(outcomes) != len(commands):
            raise ConnectionError(f"{len(commands)} commands, but {len(outcomes)} outcomes")
        return outcomes

    def _complain(self, fault: LedgerFault) -> None:
        self._slot.count(FAULTS.of("send"))
        self._complaints.say("no purchase reaches the workers: %s", fault)

    def close(self) -> None:
        """Let go of the connection; the stream of answers expires."""
        self._link.mistrust()

    def _exchange(self, commands: list[Command]) -> bytes:
        identity = self._server.identity()
        ledger = identity.id if identity else ""
        self._number += 1
        until_ms = max(c.deadline_ms for c in commands) + HEARTBEAT_LIMIT_MS
        if clock_ms() - self._clock_learned_ms > CLOCK_LEARNT_FOR_MS:
            self._learn_clock()
        keys = [self._keys.meta, self._keys.lock, self._keys.wake, self._keys.commands, self._lane]
        frame = (len(commands), self._name, self._number, self._offset_ms, encode(commands))
        looked_for = self._server.memory.marks(self._shard)
        wanted = self._server.memory.wanted(looked_for)
        append = call(_APPEND, keys, ledger, wanted, FRAMES_MAX, LANE_KEPT_MS, *frame)
        # Its reply would only wake this process once more: the answer says that it was heard.
        heard = False
        [answers] = self._link.ask(self._wait(), unheard=append)
        while True:
            for number, body in self._read(answers, looked_for):
                if number == self._number:
                    return body
            if clock_ms() > until_ms:
                raise LedgerFault("no worker answered in time")
            if heard:
                [answers] = self._link.ask(self._wait())
            else:
                appended, answers = self._link.ask(append, self._wait())
                heard = True
                self._check(appended, ledger)

    def _check(self, appended: bytes, ledger: str) -> None:
        match appended:
            case b"other" if not ledger:
                raise LedgerFault("somebody has just made the ledger")
            case b"other":
                raise LedgerLost("Redis came back empty, or holds another ledger than before")
            case b"older":
                raise LedgerLost("Redis came back older than it was seen")
            case b"full":
                raise LedgerFault(f"{FRAMES_MAX} frames wait for workers already")

    def _wait(self) -> tuple[Any, ...]:
        key = self._keys.answers(self._name)
        return ("XREAD", "BLOCK", BLOCK_MS, "STREAMS", key, self._seen)

    def _read(self, answers: Any, looked_for: Marks) -> list[tuple[int, bytes]]:
        if not answers:
            return []
        [(_, entries)] = answers
        self._seen = entries[-1][0]
        found = []
        for _, fields in entries:
            try:
                _, number, _, body, _, confirmed = fields
                self._server.memory.learn(self._shard, Mark.read(confirmed), looked_for)
                found.append((int(number), body))
            except ValueError as error:
                log.error("an answer cannot be read and is skipped: %s", error)
        return found

    def _learn_clock(self) -> None:
        """Compare clocks. Deadlines may come too early, by a reply's way back, never too late."""
        [(seconds, micros)] = self._link.ask(("TIME",))
        self._clock_learned_ms = clock_ms()
        self._offset_ms = int(seconds) * 1000 + int(micros) // 1000 - self._clock_learned_ms
