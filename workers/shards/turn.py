"""A worker's turn at its shard: the lock, the frames it read, and the end of all in one script.

`take` takes the lock and reads the frames that wait, in one step. They stay on the stream until the
commit that settles them takes them off, sends the answers, and gives the lock back or, if more
frames wait, begins the next turn: in one step too. So a worker that dies leaves nothing behind but
a lock that expires: whoever gets it next reads the same frames. A sleeper that wakes up finds its
fencing token outdated, and changes nothing.

The lock, the inbox and the ledger of one worker are views on its turn; used alone, each does its
part in a step of its own.
"""

from __future__ import annotations

import logging
import secrets
from typing import Any, Final

from workers.codec import encode
from workers.domain import Now, Outcome, Unsettled
from workers.errors import BootFailed, Fenced, Inconsistent, LedgerFault, LedgerLost, StartAgain
from workers.hearts import HEARTBEAT_LIMIT_MS, Heart, Phase, clock_ms
from workers.metrics import LOCK_HELD, LOCK_WAIT, Slot, clock_us
from workers.shards.frames import Frame, read_frame
from workers.shards.keys import Keys
from workers.shards.link import Command, Link, Script, call
from workers.shards.memory import Mark
from workers.shards.pulses import TELL_EVERY_MS, forget_old, tell, untell
from workers.shards.server import Server

log = logging.getLogger(__name__)

TURN_MAX_MS: Final = HEARTBEAT_LIMIT_MS  # later, a commit is refused: what it looked at is too old
ANSWERS_KEPT_MS: Final = 120_000  # for a web process that does not read; it asks again anyway
BLOCK_SECONDS: Final = 0.5  # below the patience for a reply

_EPOCH, _TAKE, _COMMIT, _ANSWER, _RELEASE = (
    Script(name) for name in ("epoch", "take", "commit", "answer", "release")
)


class Turn:
    """What one worker has under way in its shard. Not for threads."""

    def __init__(
        self,
        server: Server,
        shard: int,
        *,
        owner: str,
        ttl_ms: int,
        heart: Heart | None = None,
        shards: int = 1,
        slot: Slot | None = None,
    ) -> None:
        self.server = server
        self.shard = shard
        self.owner = owner
        self.keys = Keys(shard)
        self.link: Link = server.link(shard)
        self.token: int | None = None  # of the lock, while we have it
        self.frames: list[Frame] = []  # read and not answered, the first ones of the stream
        self.complete = False  # all that waited was read in the step that took the lock
        self.ledger_id = ""
        self._last_token = 0  # of the turn that read `frames`
        self._ttl_ms = ttl_ms
        self._heart = heart
        self.slot = slot or Slot()
        self._since_us = 0  # since when we have the lock
        self._told_ms = -TELL_EVERY_MS
        self._shards = shards
        self._counted = False  # whether the ledger has that many
        self._began = (0, 0)  # by Redis' clock and by ours
        self._begun: tuple[int, int, int, list[Frame]] | None = None  # by the last commit
        self._commands_max = 0
        self.given_up = False  # frames were left on the stream, of which nobody will be woken
        self._checked = False  # that Redis keeps what it is asked to promise
        self.safe = False  # what was committed for the frames that were read is
        self._closed = False
        self.link.beat = self._beat
        self.link.greet = self._begin_epoch

    # --- beginning ---

    def take(self, commands_max: int, wait_seconds: float = 0.0, *, anyway: bool = False) -> bool:
        """Take the lock, and up to so many commands; `anyway`, even if none waits. One try.

        Before it, wait until somebody wakes us, or so long at most: in the same round trip.
        Raises LedgerFault.
        """
        if self._begun is not None and commands_max:
            self._begin(*self._begun)
            return True
        self._check()
        memory = self.server.memory
        keys = [self.keys.meta, self.keys.lock, self.keys.wanted, self.keys.commands]
        self._commands_max = commands_max
        self.link.learn(_TAKE)
        looked_for = memory.marks(self.shard)
        known = memory.ledger_id, memory.wanted(looked_for)
        flag = "1" if anyway else ""
        take = call(_TAKE, keys, self.owner, self._ttl_ms, commands_max, flag, *known)
        block = max(0.001, min(wait_seconds, BLOCK_SECONDS))  # 0 would be for ever
        waits = [("BLPOP", self.keys.wake, f"{block:.3f}")]
        *_, reply = self.ask(*waits[: wait_seconds > 0 and not self.given_up], take)
        self.given_up = False
        self.ledger_id = reply[1].decode()
        memory.check_ledger(self.ledger_id)
        if reply[0] == b"older":
            raise memory.lost(self.shard, int(reply[2]))
        if reply[0] == b"mine":
            self.token = int(reply[4])
        memory.learn(self.shard, Mark.read(reply[2]), looked_for)
        self._count_shards()
        if reply[0] == b"held":
            return False
        if reply[0] == b"idle":
            self._began = int(reply[3]), clock_ms()
            return False
        frames = self.frames if anyway else [read_frame(*entry) for entry in reply[5]]
        self._begin(clock_ms(), int(reply[3]), int(reply[4]), frames)
        return True

    def _begin_epoch(self) -> None:
        """Tell what will be committed through a new connection from what a server lost before."""
        self.link.run(_EPOCH, [self.keys.meta], secrets.token_hex(8))

    def _begin(self, our_ms: int, redis_ms: int, token: int, frames: list[Frame]) -> None:
        self._begun = None
        self._began = redis_ms, our_ms
        self.token = self._last_token = token
        self.frames = frames
        self._since_us = clock_us()
        if frames:
            self.slot.observe(LOCK_WAIT, max(0, redis_ms - frames[0].arrived_ms) * 1_000)
        if self._heart:
            self._heart.enter(Phase.HOLDING)

    def _check(self) -> None:
        """See to it, before the first turn and after each fault, that Redis keeps the promise."""
        if not self._checked:
            try:
                self.server.check(self._beat)
            except BootFailed as broken:
                raise LedgerFault(str(broken)) from broken
            self._checked = True

    def _count_shards(self) -> None:
        """See to it, once there is a ledger, that it is whole and that this shard is one of it."""
        if self.ledger_id and not self._counted:
            shards = self.server.create().shards
            if shards != self._shards:
                raise StartAgain(f"the ledger has {shards} shards, not {self._shards}")
            self._counted = True

    def more(self, commands_max: int) -> list[Frame]:
        """Read further frames, behind those that were read; the lock must be ours."""
        start = f"({self.frames[-1].id.decode()}" if self.frames else "-"
        [entries] = self.ask(("XRANGE", self.keys.commands, start, "+", "COUNT", 64))
        found: list[Frame] = []
        for entry in entries:
            frame = read_frame(*entry)
            commands_max -= frame.count
            if commands_max < 0:
                break
            found.append(frame)
        self.frames += found
        return found

    def now(self) -> Now:
        """Return the moment by Redis' clock, which is one for all hosts."""
        redis_ms, ours_ms = self._began
        moment = redis_ms + clock_ms() - ours_ms
        return Now(wall_ms=moment, clock_ms=moment)

    def tell(self) -> None:
        """Tell all hosts of this worker, now and then."""
        if self._heart is None or clock_ms() - self._told_ms < TELL_EVERY_MS:
            return
        if self._told_ms < 0:
            forget_old(self.link, self.shard)
        self._told_ms = clock_ms()
        [(seconds, micros)] = self.ask(("TIME",))
        redis_ms = int(seconds) * 1000 + int(micros) // 1000
        self.ask(tell(self.shard, self.owner, self._heart.pulse(), redis_ms))

    # --- ending ---

    def bodies(self, outcomes: list[Outcome]) -> list[bytes]:
        """Return the answer to each frame that was read; nothing if these are others' outcomes."""
        if sum(frame.count for frame in self.frames) != len(outcomes):
            return []
        found, start = [], 0
        for frame in self.frames:
            unread = [Unsettled("it could not be read")] * frame.unread
            found.append(encode(outcomes[start : start + frame.count] + unread))
            start += frame.count
        return found

    def commit(self, token: int, keys: list[str], writes: list[Any], bodies: list[bytes]) -> None:
        """Write what the ledger says, and end the turn. `bodies`: an answer to each frame, or none.

        Raises Fenced if the turn is over, Inconsistent if a last wall held, LedgerFault if it is
        not known whether it was written.
        """
        lock = [self.keys.lock, self.keys.wanted, self.keys.wake, self.keys.commands]
        fixed = [self.keys.meta, *lock, self.keys.events, self.keys.orders]
        answers, streams = self._answers(bodies, first_key=len(fixed) + len(keys) + 1)
        looked_for = self.server.memory.marks(self.shard)
        result, *more = self.run(
            _COMMIT,
            [*fixed, *keys, *streams],
            self.ledger_id,
            token,
            self._began[0] + TURN_MAX_MS if self.token is not None else 1 << 52,
            self.owner if bodies else "",
            self._ttl_ms,
            self._commands_max,
            self.frames[-1].id if bodies else "",
            ANSWERS_KEPT_MS,
            *writes[:3],
            len(bodies),
            self.server.memory.wanted(looked_for),
            *writes[3:],
            *answers,
        )
        if result in (b"fenced", b"late"):
            self._over()
            raise Fenced(f"fencing token {token} is too old: {result.decode()}")
        if result == b"other":
            self._over()
            raise LedgerLost("Redis holds another ledger than before")
        if result == b"older":
            self._over()
            raise self.server.memory.lost(self.shard, int(more[0]))
        if result != b"done":
            raise Inconsistent(f"the ledger is not as it was read: {result.decode()}")
        changed, *begun = more
        if bodies:
            self.server.memory.learn(self.shard, Mark.read(changed), looked_for)
            self._over()
        if begun:
            redis_ms, token, entries = begun
            self._begun = clock_ms(), redis_ms, token, [read_frame(*entry) for entry in entries]

    def answer(self, bodies: list[bytes]) -> None:
        """Answer every frame that was read, unless another worker has them by now.

        That confirms what was committed before, if it is safe.
        """
        if self.frames:
            answers, streams = self._answers(bodies, first_key=3)
            keys = [self.keys.meta, self.keys.commands, *streams]
            through, confirms = self.frames[-1].id, "1" if self.safe else ""
            self.frames, self.safe = [], False
            fixed = (self._last_token, through, ANSWERS_KEPT_MS, confirms)
            result, *confirmed = self.run(_ANSWER, keys, *fixed, *answers)
            if result == b"done":
                self.server.memory.learn(self.shard, Mark.read(confirmed[0]), ())
        self.release()

    def release(self) -> None:
        """Give the lock back, if we have it."""
        if self.token is not None:
            self.token = None
            keys = [self.keys.lock, self.keys.wanted, self.keys.wake, self.keys.commands]
            self.run(_RELEASE, keys, self.owner)
            self.slot.observe(LOCK_HELD, clock_us() - self._since_us)
            self._rest()

    def give_up(self) -> None:
        """Leave all as it stands, after a fault: the frames are on the stream, the lock expires."""
        self._checked = False
        self.given_up = True
        self._over()
        self.link.mistrust()

    def close(self) -> None:
        """Leave the shard to the others."""
        if self._closed:
            return
        self._closed = True
        if self._begun is not None:
            self._begin(*self._begun)
        try:
            self.release()
            if self._heart:
                self.ask(untell(self.shard, self.owner))
        except LedgerFault as fault:
            log.warning("the lock is left to expire: %s", fault)
        self._over()
        self.link.close()
        self.server.close()

    # --- talking ---

    def run(self, script: Script, keys: list[str], *arguments: Any) -> Any:
        """Run a script. Raises LedgerFault."""
        return self.link.run(script, keys, *arguments)

    def ask(self, *commands: Command) -> list[Any]:
        """Send commands together. Raises LedgerFault."""
        return self.link.ask(*commands)

    def _beat(self) -> None:
        if self._heart:
            self._heart.beat()

    def _answers(self, bodies: list[bytes], first_key: int) -> tuple[list[Any], list[str]]:
        answers: list[Any] = []
        streams: dict[str, int] = {}
        for frame, body in zip(self.frames, bodies, strict=bool(bodies)):
            key = streams.setdefault(self.keys.answers(frame.lane), first_key + len(streams))
            answers += (key, frame.number, body)
        return answers, list(streams)

    def _over(self) -> None:
        self._begun = None
        if self.token is not None:
            self.slot.observe(LOCK_HELD, clock_us() - self._since_us)
        self.token = None
        self.frames, self.safe = [], False
        self._rest()

    def _rest(self) -> None:
        self.complete = False
        if self._heart:
            self._heart.enter(Phase.IDLE)


def release_for(server: Server, shard: int, owner: str) -> None:
    """Give back the lock of a worker that died, if it had it, and list it no more.

    Raises LedgerFault.
    """
    keys = Keys(shard)
    link = server.link(shard)
    try:
        link.run(_RELEASE, [keys.lock, keys.wanted, keys.wake, keys.commands], owner)
        link.ask(untell(shard, owner))
    finally:
        link.close()
