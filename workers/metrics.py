"""What the processes of this host count, in one memory-mapped file that any of them can export.

A slot has one writer at a time: the supervisor, worker N, or web process N. Whoever takes a dead
one's place goes on counting where it stopped, so nothing that was counted is lost, and no counter
goes back while the service runs. No lock: each word is stored whole, and a reader may be a moment
behind.

Counting is a store to memory: a tenth of a microsecond, a value into a histogram a quarter.
"""

from __future__ import annotations

import mmap
import os
import time
from bisect import bisect_left
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from workers.errors import BootFailed
from workers.exposition import Family, Sample, histogram_samples

WORD_BYTES: Final = 8
WORKERS_MAX: Final = 64  # as the settings allow
WEBS_MAX: Final = 128  # twice as many as the settings allow: old ones drain while new ones serve
BEATS_MS: Final = 2_000  # a web process without a beat for so long is gone, and what it holds too

# From half a millisecond, which is a sale in a quiet house, to ten seconds; in microseconds.
TIMES_US: Final = (
    *(500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000),
    *(1_000_000, 2_500_000, 5_000_000, 10_000_000),
)
SIZES: Final = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1_024)

# What a purchase was answered: the slugs of its problems, or one of the first three.
OUTCOMES: Final = (
    *("sold", "replayed", "pending"),
    *("sold-out", "not-on-sale", "buyer-limit", "unknown-event", "unknown-ticket-type"),
    *("malformed-request", "request-timeout", "too-large", "unsupported-media-type"),
    *("invalid-request", "key-reused", "overloaded", "unavailable", "internal-error"),
)


class Counter:
    """A count that only grows: one, or one for each of a label's few known values."""

    at: int

    def __init__(
        self, name: str, meaning: str, label: str = "", values: Iterable[str] = ()
    ) -> None:
        self.name = name
        self.meaning = meaning
        self._label = label
        self._places = {value: place for place, value in enumerate(values)}
        self.words = len(self._places) or 1

    def of(self, value: str) -> int:
        """Return the word that counts a value of the label."""
        return self.at + self._places[value]

    def totals(self, slots: list[memoryview]) -> dict[str, int]:
        """Return what these slots have counted together, by the label's values; "" without one."""
        places = self._places or {"": 0}
        return {value: total(slots, self.at + place) for value, place in places.items()}

    def family(self, slots: list[memoryview]) -> Family:
        """Return what these slots have counted together, for Prometheus."""
        samples = [
            Sample(count, {self._label: value} if value else {})
            for value, count in self.totals(slots).items()
        ]
        return Family(self.name, "counter", self.meaning, samples)


class Histogram:
    """How often values fell into each of some ranges; `unit` of the exported values is 1."""

    at: int

    def __init__(self, name: str, meaning: str, bounds: tuple[int, ...], unit: int = 1) -> None:
        self.name = name
        self.meaning = meaning
        self.bounds = bounds
        self.unit = unit
        self.words = len(bounds) + 2  # one for what is above all bounds, one for the sum

    @property
    def sum_at(self) -> int:
        """The word with the sum of all values."""
        return self.at + len(self.bounds) + 1

    @property
    def edges(self) -> list[float]:
        """The ranges' upper ends, in the unit that is exported."""
        return [bound / self.unit for bound in self.bounds]

    def totals(self, slots: list[memoryview]) -> tuple[list[int], float]:
        """Return how often these slots saw each range, above all of them last, and the sum."""
        count = len(self.bounds) + 1
        buckets = [total(slots, self.at + place) for place in range(count)]
        return buckets, total(slots, self.sum_at) / self.unit

    def family(self, slots: list[memoryview]) -> Family:
        """Return what these slots have counted together, for Prometheus."""
        samples = histogram_samples(self.edges, *self.totals(slots))
        return Family(self.name, "histogram", self.meaning, samples)


def total(slots: list[memoryview], word: int) -> int:
    """Return the sum of a word over slots."""
    return sum(slot[word] for slot in slots)


def _times(name: str, meaning: str) -> Histogram:
    return Histogram(name, meaning, TIMES_US, 1_000_000)


PURCHASES: Final = Counter(
    "soldout_purchases",
    "Answers to purchases, by what they said: sold, replayed, pending, or a problem.",
    "outcome",
    OUTCOMES,
)
PURCHASE_TIME: Final = _times(
    "soldout_purchase_duration_seconds",
    "From a purchase's arrival in the application until its answer is made, whatever it says.",
)
QUEUE_TIME: Final = _times(
    "soldout_purchase_queue_seconds",
    "How long a purchase waited in its web process until a frame took it to a worker.",
)
SETTLE_TIME: Final = _times(
    "soldout_purchase_settle_seconds",
    "From the frame's leaving until a worker's answer: the way, the lock, the batch, the commit.",
)
RESENT: Final = Counter(
    "soldout_frames_resent", "Frames that will be sent again: their worker or the way to it failed."
)
LOCK_WAIT: Final = _times(
    "soldout_lock_wait_seconds",
    "How long a batch waited for the lock; on Redis, its oldest frame for a worker with the lock.",
)
LOCK_HELD: Final = _times("soldout_lock_held_seconds", "How long a worker held the lock.")
COMMIT_TIME: Final = _times(
    "soldout_commit_duration_seconds", "How long writing a batch took, until it was on disk."
)
BATCH: Final = Histogram(
    "soldout_batch_size",
    "Commands settled as one batch: purchases and the administration's, without `/readyz`.",
    SIZES,
)
FENCED: Final = Counter(
    "soldout_fenced_commits", "Commits refused because a newer lock holder had taken over."
)
INCONSISTENT: Final = Counter(
    "soldout_inconsistent_batches", "Batches that would have broken the ledger; none was written."
)
FAULTS: Final = Counter(
    "soldout_ledger_faults",
    "Times that the ledger, SQLite or Redis, failed: settling, taking frames, sending, reading.",
    "during",
    ("settle", "take", "send", "read"),
)
HUNG: Final = Counter("soldout_workers_hung", "Workers that were killed because they hung.")
SERVERS: Final = Counter("soldout_web_server_restarts", "Times that gunicorn was started again.")
_EXPORTED: Final = (
    *(PURCHASES, PURCHASE_TIME, QUEUE_TIME, SETTLE_TIME, RESENT),
    *(LOCK_WAIT, LOCK_HELD, COMMIT_TIME, BATCH, FENCED, INCONSISTENT, FAULTS, HUNG, SERVERS),
)
# Words of a slot that are no counters of their own.
STARTS, BEAT, IN_FLIGHT, STREAMS, WORKERS, SINCE = range(6)
_FIXED_WORDS: Final = 6


def _lay_out() -> int:
    end = _FIXED_WORDS
    for metric in _EXPORTED:
        metric.at = end
        end += metric.words
    return end


SLOT_WORDS: Final = _lay_out()


def _made_anew(path: Path, size: int) -> int:
    """Return a descriptor of a new file of zeros. Raises BootFailed."""
    try:
        path.unlink(missing_ok=True)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
        os.posix_fallocate(descriptor, 0, size)
    except OSError as error:
        raise BootFailed(f"{path} cannot be made: {error.strerror}") from error
    return descriptor


def clock_us() -> int:
    """Return microseconds of the monotonic clock."""
    return time.monotonic_ns() // 1_000


class Slot:
    """One process's own counters; until `take` they are nobody's, and are not exported."""

    def __init__(self, words: memoryview | None = None) -> None:
        self.words = memoryview(bytearray(SLOT_WORDS * WORD_BYTES)).cast("q")
        if words is not None:
            self.take(words)

    def take(self, words: memoryview) -> None:
        """Go on where the last process with these words stopped."""
        words[STARTS] += 1
        words[IN_FLIGHT] = words[STREAMS] = 0  # what it held went with it
        self.words = words

    def count(self, word: int, amount: int = 1) -> None:
        """Add to a counter."""
        self.words[word] += amount

    def observe(self, histogram: Histogram, value: int) -> None:
        """Count a value of a histogram, in its own unit: microseconds, or commands."""
        words, at, bounds = self.words, histogram.at, histogram.bounds
        words[at + bisect_left(bounds, value)] += 1
        words[at + len(bounds) + 1] += value

    def set(self, word: int, value: int) -> None:
        """Say how much there is of something just now."""
        self.words[word] = value

    def beat(self) -> None:
        """Say that what this slot says of now is true."""
        self.words[BEAT] = clock_us() // 1_000


class Metrics:
    """The slots of all processes of one host."""

    def __init__(self, path: Path, *, create: bool = False) -> None:
        size = (1 + WORKERS_MAX + WEBS_MAX) * SLOT_WORDS * WORD_BYTES
        # Who still has the old one keeps it; on a full disk there is room for one only.
        descriptor = _made_anew(path, size) if create else os.open(path, os.O_RDWR)
        try:
            self._words = memoryview(mmap.mmap(descriptor, size)).cast("q")
        finally:
            os.close(descriptor)

    def _slot(self, number: int) -> memoryview:
        return self._words[number * SLOT_WORDS : (number + 1) * SLOT_WORDS]

    @property
    def supervisor(self) -> memoryview:
        """The supervisor's slot."""
        return self._slot(0)

    def worker(self, worker: int) -> memoryview:
        """Return the slot of worker `worker`, from 1."""
        return self._slot(worker)

    def web(self, number: int) -> memoryview:
        """Return the slot of web process `number`, from 1."""
        return self._slot(WORKERS_MAX + min(number, WEBS_MAX))

    def workers(self) -> dict[int, memoryview]:
        """Return the slots of this host's workers, by their numbers, if it has any."""
        return {worker: self.worker(worker) for worker in range(1, self.supervisor[WORKERS] + 1)}

    def webs(self) -> list[memoryview]:
        """Return the slots of all web processes that there ever were."""
        slots = [self.web(number) for number in range(1, WEBS_MAX + 1)]
        return [slot for slot in slots if slot[STARTS]]

    def webs_alive(self) -> list[memoryview]:
        """Return the slots of the web processes that beat."""
        now_ms = clock_us() // 1_000
        return [slot for slot in self.webs() if now_ms - slot[BEAT] < BEATS_MS]

    def slots(self) -> list[memoryview]:
        """Return the slots of all processes that count, or did."""
        return [self.supervisor, *self.workers().values(), *self.webs()]

    def families(self) -> list[Family]:
        """Return what all processes have counted together."""
        slots = self.slots()
        return [metric.family(slots) for metric in _EXPORTED]
