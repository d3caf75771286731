"""What is checked: the models in several sizes, in which all promises hold, and planted bugs."""

from __future__ import annotations

from typing import Final

from msgspec import Struct

from tests.model.spin import Verdict, check

AT_ONCE: Final = 2  # checks; each has up to 200 MB

OVERSOLD: Final = "cancelled))<=1"
TWO_ORDERS: Final = "orders[(f&1)]<=1"
CONFIRMED: Final = "orders[who]>0"
REFUSED: Final = ">=refused["
EXPIRED: Final = ">=gone["
STALE: Final = "token[me]==fence"
WALL: Final = "journal!=entries"
STUCK: Final = "invalid end state"


class Sound(Struct):
    """A model and a size, in which no promise may break. `thorough`: for `make model` only."""

    name: str
    model: str
    defines: list[str]
    ltl: bool = False
    thorough: bool = False
    may_stick: bool = False

    def run(self) -> Verdict:
        """Search all of it."""
        return check(self.model, self.defines, ltl=self.ltl, may_stick=self.may_stick)


class Planted(Struct):
    """A bug, and what must be found broken: a part of the assertion, as the checker prints it."""

    name: str
    model: str
    defines: list[str]
    breaks: str

    def run(self) -> Verdict:
        """Search until it is found, the shortest run first."""
        return check(self.model, self.defines, shortest=True)


MANY: Final = "many_hosts.pml"
ONE: Final = "one_host.pml"
CLAIMS: Final = "two_shards.pml"

SOUND: Final = [
    Sound(
        "many hosts: 2 buyers, 2 faults, everybody is answered",
        MANY,
        ["FAULTS=2", "ATTEMPTS=3", "EVERYBODY_IS_ANSWERED"],
    ),
    Sound(
        "many hosts: 2 buyers, 3 faults",
        MANY,
        ["FAULTS=3", "ATTEMPTS=1"],
        thorough=True,
    ),
    Sound(
        "many hosts: 2 buyers, 2 web processes, 2 faults",
        MANY,
        ["FAULTS=2", "ATTEMPTS=2", "WEBS=2"],
    ),
    Sound(
        "many hosts: 2 buyers, deadlines, 1 fault",
        MANY,
        ["FAULTS=1", "ATTEMPTS=1", "DEADLINES"],
        thorough=True,
    ),
    Sound(
        "many hosts: an impatient buyer, deadlines, 2 web processes, 1 fault",
        MANY,
        ["FAULTS=1", "CLIENTS=1", "IMPATIENT", "DEADLINES", "WEBS=2"],
    ),
    Sound(
        "many hosts: in every run everybody is answered (LTL), 1 fault",
        MANY,
        ["FAULTS=1", "ATTEMPTS=2", "EVERYBODY_IS_ANSWERED"],
        ltl=True,
    ),
    Sound(
        "many hosts: 2 buyers, an order is cancelled, 2 faults",
        MANY,
        ["FAULTS=2", "ATTEMPTS=2", "STOCK_COMES_BACK"],
    ),
    Sound(
        "many hosts: 2 buyers, 2 web processes, an order is cancelled, 2 faults",
        MANY,
        ["FAULTS=2", "ATTEMPTS=2", "WEBS=2", "STOCK_COMES_BACK"],
        thorough=True,
    ),
    Sound(
        "many hosts: 2 buyers, without the lock: tokens are enough to be right",
        MANY,
        ["FAULTS=1", "ATTEMPTS=1", "BUG_LOCK_IS_IGNORED", "LEASES_PROMISE_NOTHING"],
        may_stick=True,
    ),
    Sound(
        "many hosts: 2 buyers, anybody gives the lock back: they are enough as well",
        MANY,
        ["FAULTS=2", "ATTEMPTS=1", "BUG_ANYBODY_GIVES_THE_LOCK_BACK", "LEASES_PROMISE_NOTHING"],
    ),
    Sound(
        "one host: 2 buyers, 1 fault, everybody is answered",
        ONE,
        ["FAULTS=1", "ATTEMPTS=2", "EVERYBODY_IS_ANSWERED"],
    ),
    Sound(
        "one host: 2 buyers, 2 faults, everybody is answered",
        ONE,
        ["FAULTS=2", "ATTEMPTS=3", "EVERYBODY_IS_ANSWERED"],
        thorough=True,
    ),
    Sound(
        "one host: 2 buyers, deadlines, 1 fault",
        ONE,
        ["FAULTS=1", "ATTEMPTS=1", "DEADLINES"],
        thorough=True,
    ),
    Sound(
        "one host: an impatient buyer, deadlines, 1 fault",
        ONE,
        ["FAULTS=1", "CLIENTS=1", "IMPATIENT", "DEADLINES"],
    ),
    Sound(
        "one host: an impatient buyer, 2 web processes, 1 fault",
        ONE,
        ["FAULTS=1", "CLIENTS=1", "IMPATIENT", "WEBS=2"],
    ),
    Sound(
        "one host: in every run everybody is answered (LTL), 1 fault",
        ONE,
        ["FAULTS=1", "ATTEMPTS=2", "EVERYBODY_IS_ANSWERED"],
        ltl=True,
    ),
    Sound("two shards: one key, 1 fault", CLAIMS, ["FAULTS=1"]),
    Sound("two shards: one key, 2 faults", CLAIMS, ["FAULTS=2"], thorough=True),
]

_CROWD: Final = ["FAULTS=2", "ATTEMPTS=1"]
_ONE_BUYER: Final = ["CLIENTS=1", "FAULTS=2"]
_DEADLINES: Final = ["CLIENTS=1", "FAULTS=1", "IMPATIENT", "DEADLINES"]
_CANCELLED: Final = ["FAULTS=1", "ATTEMPTS=1", "STOCK_COMES_BACK"]
_NO_WALLS: Final = ["WITHOUT_WALLS", "STALE_COMMITS_ARE_SEEN_BY_BUYERS"]
_WALLS: Final = ["WALLS_REFUSE", "STALE_COMMITS_ARE_SEEN_BY_BUYERS"]

PLANTED: Final = [
    Planted("answer before commit", MANY, ["BUG_ANSWER_BEFORE_COMMIT", *_CROWD], CONFIRMED),
    Planted("no fencing token", MANY, ["BUG_NO_FENCE", *_CROWD], STALE),
    Planted(
        "no fencing token, and no last walls",
        MANY,
        ["BUG_NO_FENCE", *_NO_WALLS, *_CROWD],
        OVERSOLD,
    ),
    Planted(
        "token compared with the newest committed only",
        MANY,
        ["BUG_FENCE_ONLY_OF_COMMITTED", *_CROWD],
        STALE,
    ),
    Planted(
        "the same, and no last walls",
        MANY,
        ["BUG_FENCE_ONLY_OF_COMMITTED", *_NO_WALLS, *_CROWD],
        OVERSOLD,
    ),
    Planted(
        "the same, with walls that refuse",
        MANY,
        [
            "BUG_FENCE_ONLY_OF_COMMITTED",
            *_WALLS,
            "CLIENTS=1",
            "ATTEMPTS=1",
            "FAULTS=1",
            "DEADLINES",
        ],
        REFUSED,
    ),
    Planted("the lock is ignored", MANY, ["BUG_LOCK_IS_IGNORED", *_CROWD], "leased[me]"),
    Planted(
        "the lock has no lease",
        MANY,
        ["BUG_LOCK_WITHOUT_LEASE", "BUG_DEAD_LOCK_IS_LEFT", *_CROWD],
        STUCK,
    ),
    Planted(
        "a lock is given back by who has it not",
        MANY,
        ["BUG_ANYBODY_GIVES_THE_LOCK_BACK", *_CROWD],
        "leased[me]",
    ),
    Planted(
        "frames are taken off when they are read",
        MANY,
        ["BUG_FRAMES_TAKEN_OFF_WHEN_READ", *_CROWD],
        STUCK,
    ),
    Planted(
        "an append that nobody heard is not repeated",
        MANY,
        ["BUG_APPEND_IS_NEVER_REPEATED", *_CROWD],
        STUCK,
    ),
    Planted(
        "the key is not looked up",
        MANY,
        ["BUG_KEY_IS_NOT_LOOKED_UP", "TICKETS=2", *_ONE_BUYER],
        TWO_ORDERS,
    ),
    Planted(
        "the client makes another key for each attempt",
        MANY,
        ["BUG_CLIENT_MINTS_A_KEY_EACH_TIME", "TICKETS=2", "IMPATIENT", *_ONE_BUYER],
        TWO_ORDERS,
    ),
    Planted(
        "only the web looks at deadlines",
        MANY,
        ["BUG_ONLY_THE_WEB_LOOKS_AT_DEADLINES", *_DEADLINES],
        EXPIRED,
    ),
    Planted("a turn has no end", MANY, ["BUG_TURNS_LAST_FOR_EVER", *_DEADLINES], EXPIRED),
    Planted(
        "the deadline is looked at before the key",
        MANY,
        ["BUG_DEADLINE_BEFORE_THE_KEY", *_DEADLINES],
        "orders[who]==0",
    ),
    Planted(
        "what was never sent is told that nothing was sold",
        MANY,
        ["BUG_NEVER_SENT_IS_TOLD_TOO_LATE", "WEBS=2", *_DEADLINES],
        REFUSED,
    ),
    Planted(
        "a frame may come after a newer one of its lane",
        MANY,
        ["BUG_OLD_LANES_MAY_APPEND", *_CANCELLED],
        REFUSED,
    ),
    Planted(
        "who appends again does not look whether it was answered",
        MANY,
        ["BUG_AGAIN_DOES_NOT_LOOK", *_CANCELLED],
        REFUSED,
    ),
    Planted(
        "the same, and an answer to an older frame is taken for this one's",
        MANY,
        ["BUG_AGAIN_DOES_NOT_LOOK", "BUG_ANY_ANSWER_IS_TAKEN", *_CROWD],
        "orders[who]",
    ),
    Planted(
        "(known) a web is killed while it sends, its buyer asks another, and stock comes back",
        MANY,
        ["KILLED_WHILE_IT_SENDS", "STOCK_COMES_BACK", "WEBS=2", "ATTEMPTS=2", "FAULTS=1"],
        REFUSED,
    ),
    Planted(
        "(known) a buyer asks two web processes at the same time, and stock comes back",
        MANY,
        ["IMPATIENT", "STOCK_COMES_BACK", "WEBS=2", "ATTEMPTS=2", "FAULTS=0"],
        REFUSED,
    ),
    Planted("answer before commit", ONE, ["BUG_ANSWER_BEFORE_COMMIT", *_CROWD], CONFIRMED),
    Planted("the lock is ignored", ONE, ["BUG_LOCK_IS_IGNORED", *_CROWD], "assertion violated"),
    Planted(
        "the lock is ignored, and SQLite's too",
        ONE,
        ["BUG_LOCK_IS_IGNORED", "BUG_NO_TRANSACTION", *_CROWD],
        OVERSOLD,
    ),
    Planted("the dead keep the lock", ONE, ["BUG_THE_DEAD_KEEP_THE_LOCK", *_CROWD], STUCK),
    Planted(
        "tokens begin anew with a generation",
        ONE,
        ["BUG_TOKENS_BEGIN_ANEW", *_CROWD],
        "assertion violated",
    ),
    Planted(
        "a frame is not sent again",
        ONE,
        ["BUG_FRAME_IS_NOT_SENT_AGAIN", *_CROWD],
        STUCK,
    ),
    Planted(
        "the key is not looked up",
        ONE,
        ["BUG_KEY_IS_NOT_LOOKED_UP", "TICKETS=2", *_ONE_BUYER],
        TWO_ORDERS,
    ),
    Planted(
        "only the web looks at deadlines",
        ONE,
        ["BUG_ONLY_THE_WEB_LOOKS_AT_DEADLINES", *_DEADLINES],
        EXPIRED,
    ),
    Planted("no claims", CLAIMS, ["BUG_NO_CLAIMS", "FAULTS=0"], "order["),
    Planted("a claim in two steps", CLAIMS, ["BUG_CLAIM_IN_TWO_STEPS", "FAULTS=0"], "order["),
    Planted("claims are given up", CLAIMS, ["BUG_CLAIMS_ARE_GIVEN_UP", "FAULTS=1"], "order["),
]
