"""Keys: unique, in the order of minting, and what RFC 9562 calls a UUIDv7."""

from __future__ import annotations

import os
import time
from concurrent.futures import ThreadPoolExecutor
from uuid import RFC_4122, UUID

from service.uuid7 import KeyMint, mint_key

DAY_NS = 86_400 * 10**9


def milliseconds_of(key: str) -> int:
    return UUID(key).int >> 80


def test_a_key_is_a_version_7_uuid_that_begins_with_the_time_in_milliseconds() -> None:
    before = time.time_ns() // 10**6
    key = mint_key()
    assert before <= milliseconds_of(key) <= time.time_ns() // 10**6
    assert UUID(key).version == 7
    assert UUID(key).variant == RFC_4122
    assert str(UUID(key)) == key


def test_a_key_has_the_bits_of_the_rfc_in_their_places() -> None:
    """The moment of the example in RFC 9562, appendix A.6, with half a millisecond more."""
    key = KeyMint(lambda: 0x017F22E279B0 * 10**6 + 500_000).mint()
    assert key.startswith("017f22e2-79b0-7800-")  # 0x800 of 0x1000 is the half
    assert key[19] in "89ab"


def test_keys_come_in_the_order_of_minting() -> None:
    keys = [mint_key() for _ in range(10_000)]
    assert keys == sorted(keys)
    assert len(set(keys)) == len(keys)


def test_keys_stay_unique_and_ordered_when_the_clock_stands_still_or_is_set_back() -> None:
    now = time.time_ns()
    readings = iter([now, now, now, now - DAY_NS, now - DAY_NS, now + DAY_NS])
    mint = KeyMint(lambda: next(readings))
    keys = [mint.mint() for _ in range(6)]
    assert keys == sorted(keys)
    assert len({key[:18] for key in keys}) == 6  # already their time parts differ
    assert milliseconds_of(keys[-1]) == (now + DAY_NS) // 10**6


def test_threads_that_share_a_mint_get_different_keys() -> None:
    mint = KeyMint(lambda: 10**18)
    with ThreadPoolExecutor(8) as threads:
        keys = list(threads.map(lambda _: mint.mint()[:18], range(4_000)))
    assert len(set(keys)) == len(keys)


def test_a_forked_process_mints_other_keys_than_its_parent() -> None:
    mint = KeyMint(lambda: 10**18)
    read_end, write_end = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.write(write_end, mint.mint().encode())
        os._exit(0)
    os.waitpid(pid, 0)
    child_key = os.read(read_end, 36).decode()
    os.close(read_end)
    os.close(write_end)
    assert child_key != mint.mint()
