"""Garbage in Redis: on the streams, in the values, in place of whole keys. Nothing wrong is sold.

What is no frame is dropped; what is no ledger is refused, and selling goes on when it is mended.
"""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest
import requests

from tests.faults_redis.hosts import Host, Site, site_in
from tests.fuzz.garbage import bend, spoil, value
from tests.fuzz.test_frames import good
from tests.fuzz.watched import undisturbed
from tests.harness import SEED, note, wait_until
from workers.hearts import clock_ms, wall_ms

SHARD = "soldout:{s01}:"
COMMANDS = f"{SHARD}commands"
EVENT = "gala"
CAPACITY = 100_000
ENTRIES = 150
PATIENCE_SECONDS = 20.0


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with site_in(tmp_path_factory.mktemp("garbage")) as site:
        yield site


@pytest.fixture(scope="module")
def host(site: Site) -> Host:
    host = site.host("serve").start()
    host.put_event(EVENT, capacity=CAPACITY)
    host.put_event("limited", capacity=CAPACITY, max_per_buyer=5)
    return host


@pytest.fixture
def client(site: Site) -> Any:
    return site.redis.client(decode_responses=False)


@pytest.fixture
def chance() -> random.Random:
    return random.Random(SEED)


# --- streams --------------------------------------------------------------------------------------

NUMBERS = (b"0", b"1", b"-1", b"2", b"999999999999999999", b"1e308", b"nan", b"inf", b"", b"0x10")
WORDS = (b"", b"nobody", b"\xff\xfe", b"x" * 5_000, b"*", b"{s02}", b"a\r\nb")


def frame(chance: random.Random) -> list[bytes]:
    """Return the fields of an entry that is nearly a frame, or not at all."""
    commands = good(chance, EVENT)
    if chance.random() < 0.5:
        commands = bend(chance, commands)
    body = msgspec.msgpack.encode(commands)
    if "closed" in str(commands) or "paused" in str(commands) or chance.random() < 0.3:
        body = spoil(chance, body[:1] + b"\xc1" + body[1:])
    offset = b"%d" % (wall_ms() - clock_ms())
    fields = [b"count", b"2", b"lane", b"l", b"frame", b"1", b"offset_ms", offset, b"body", body]
    for _ in range(chance.randrange(3)):
        place = chance.randrange(1, 8, 2)
        fields[place] = chance.choice(WORDS if place == 3 else NUMBERS)
    if chance.random() < 0.2:
        start = chance.randrange(0, 10, 2)
        del fields[start : start + 2]
    return fields or [b"", b""]


def test_garbage_on_the_stream_of_commands_is_dropped_and_others_buy_on(
    host: Host, client: Any, chance: random.Random
) -> None:
    with undisturbed(host, patience=True):
        for _ in range(ENTRIES):
            fields = frame(chance)
            client.execute_command("XADD", COMMANDS, "*", *fields)
        wait_until(lambda: client.xlen(COMMANDS) == 0, PATIENCE_SECONDS, "all is taken off")
    assert host.audit(EVENT)["orders"] > 0, "some of it was good"


def test_garbage_on_the_streams_of_answers_is_skipped(
    host: Host, client: Any, chance: random.Random
) -> None:
    with undisturbed(host, patience=True):
        assert host.buy(EVENT).status_code == 201
        for _ in range(20):
            lanes = client.keys(f"{SHARD}answers:*")
            assert lanes
            for lane in lanes:
                number, body = chance.choice(NUMBERS), msgspec.msgpack.encode(value(chance))
                fields = [b"frame", number, b"body", body, b"confirmed", b"1"]
                cut = chance.choice((2, 4, 6, 6))
                client.execute_command("XADD", lane, "*", *fields[:cut])
            time.sleep(0.01)
        for _ in range(5):
            assert host.buy(EVENT).status_code == 201


def test_a_stream_of_answers_that_is_none_holds_up_nobody_else(host: Host, client: Any) -> None:
    """Its frame is settled, and taken off; its lane asks again under another name."""
    body = msgspec.msgpack.encode([["probe", clock_ms() + 60_000]])
    with undisturbed(host, patience=True):
        client.set(f"{SHARD}answers:odd", "garbage")
        fields = ["count", 1, "lane", "odd", "frame", 1, "offset_ms", 0, "body", body]
        client.execute_command("XADD", COMMANDS, "*", *fields)
        wait_until(lambda: client.xlen(COMMANDS) == 0, PATIENCE_SECONDS, "it is taken off")
        for _ in range(5):
            assert host.buy(EVENT).status_code == 201


# --- values and keys ------------------------------------------------------------------------------


def make(client: Any, kind: str, key: str) -> None:
    """Put something of another type in a key's place."""
    {
        "string": lambda: client.set(key, "garbage"),
        "list": lambda: client.rpush(key, "garbage"),
        "hash": lambda: client.hset(key, "garbage", "garbage"),
        "stream": lambda: client.xadd(key, {"garbage": "garbage"}),
        "set": lambda: client.sadd(key, "garbage"),
    }[kind]()


@contextmanager
def replaced(client: Any, key: str) -> Iterator[None]:
    """Take a key away for a `with` block, and put it back as it was."""
    saved = client.dump(key)
    client.delete(key)
    try:
        yield
    finally:
        pipe = client.pipeline()
        pipe.delete(key)
        if saved is not None:
            pipe.restore(key, 0, saved)
        pipe.execute()


def audited(host: Host) -> dict[str, Any]:
    """Audit the event; for a moment after a fault a web process does not even try to read."""
    found: list[dict[str, Any]] = []

    def ask() -> bool:
        answer = host.admin("GET", "/events/limited/audit")
        assert answer.status_code in (200, 503), answer.text
        found.extend([answer.json()] if answer.status_code == 200 else [])
        return bool(found)

    wait_until(ask, PATIENCE_SECONDS, host.log)
    assert found[0]["consistent"], found[0]
    return found[0]


def refused_or_sold(host: Host, event: str, buyer: str) -> str | None:
    """Buy; return the order's id, or None if it was refused clearly."""
    answer = requests.post(
        f"{host.url}/buy",
        json={"event": event, "quantity": 1, "buyer": buyer},
        headers={"Prefer": "wait=1"},
        timeout=30,
    )
    assert answer.status_code in (201, 202, 503), answer.text
    return str(answer.json()["id"]) if answer.status_code == 201 else None


NO_ORDER = "00000000-0000-0000-0000-000000000000"
KINDS = ("string", "list", "hash", "stream")
KEYS = {  # with the type that each has: of that one, it would be data that was lost, not damaged
    **dict.fromkeys(("events", "orders", "meta", "workers", "claims", "bought:limited"), "hash"),
    **dict.fromkeys(("lock", "wanted"), "string"),
    **dict.fromkeys(("wake", "journal:limited", "tickets:limited"), "list"),
    "commands": "stream",
}
LONG = pytest.mark.long
AT_ONCE = {("events", "string"), ("orders", "list"), ("commands", "hash"), ("meta", "stream")}


@pytest.mark.parametrize(
    ("key", "kind"),
    [
        pytest.param(key, kind, marks=() if (key, kind) in AT_ONCE else LONG)
        for key, own in KEYS.items()
        for kind in KINDS
        if kind != own
    ],
)
def test_a_key_of_another_type_sells_nothing_by_half_and_once_mended_all_goes_on(
    host: Host, client: Any, key: str, kind: str
) -> None:
    log, family = len(host.log()), host.family()
    host.admin("PUT", "/events/limited", {"capacity": CAPACITY, "max_per_buyer": 5})
    before = audited(host)["orders"]
    with replaced(client, SHARD + key):
        make(client, kind, SHARD + key)
        sold = refused_or_sold(host, "limited", f"buyer-{kind}-{key}")
        statuses = {
            requests.get(f"{host.url}{path}", timeout=30).status_code
            for path in (
                "/events",
                "/remaining/limited",
                f"/orders/{'0' * 8}-0000-0000-0000-{'0' * 12}",
            )
        }
        assert statuses <= {200, 404, 503}, statuses
    wait_until(host.ready, PATIENCE_SECONDS, host.log)
    assert refused_or_sold(host, "limited", f"buyer-{kind}-{key}")
    wait_until(lambda: client.xlen(COMMANDS) == 0, PATIENCE_SECONDS, "nothing waits")
    found = audited(host)
    assert found["orders"] >= before + 1 + (sold is not None)
    assert host.family() == family
    assert "Traceback" not in host.log()[log:], host.log()[log:]


def test_values_that_cannot_be_read_sell_nothing_and_concern_nobody_else(
    host: Host, client: Any, chance: random.Random
) -> None:
    order = host.buy("limited", 1, buyer="reader").json()
    field = bytes.fromhex(order["id"].replace("-", ""))
    places = [(f"{SHARD}events", b"limited"), (f"{SHARD}orders", field)]
    heard: dict[int, int] = {}
    with undisturbed(host, patience=True):
        for number in range(16):
            key, name = places[number % 2]
            good_value = client.hget(key, name)
            assert good_value is not None
            bad = (
                spoil(chance, good_value)
                if number % 4 < 2
                else msgspec.msgpack.encode(value(chance))
            )
            if bad == good_value or readable(key, bad):
                continue
            client.hset(key, name, bad)
            try:
                answers = [
                    requests.get(f"{host.url}/orders/{order['id']}", timeout=30),
                    requests.get(f"{host.url}/events/limited", timeout=30),
                    host.admin("POST", "/events/limited/resume"),
                    host.admin("GET", "/events/limited/audit"),
                ]
                for answer in answers:
                    heard[answer.status_code] = heard.get(answer.status_code, 0) + 1
                    assert answer.status_code in (200, 503), answer.text
                asked = answers[number % 2 == 0]
                assert asked.status_code == 503 or asked.json().get("findings"), asked.text
            finally:
                client.hset(key, name, good_value)
    note(str(heard))
    assert {200, 503} <= heard.keys()


def readable(key: str, data: bytes) -> bool:
    """Say whether spoiled bytes can be read all the same: nothing tells them from others."""
    from workers.ledgers.redis_rows import read_event, read_order

    try:
        (read_event if key.endswith("events") else lambda d: read_order("", d))(data)
    except ValueError:
        return False
    return True


# --- files ----------------------------------------------------------------------------------------


def append_only_file(site: Site) -> Path:
    """The one that is being written."""
    return max(site.redis.data_dir.rglob("*.incr.aof"), key=lambda path: path.stat().st_mtime)


def cut_the_end_off(site: Site) -> None:
    """Lose the last sale, as a disk that lied: Redis takes the rest for all there is."""
    site.redis.kill()
    path = append_only_file(site)
    data = path.read_bytes()
    path.write_bytes(data[: data.rindex(f"journal:{EVENT}".encode())])
    site.redis.start()


@pytest.mark.parametrize(
    "running",
    [pytest.param(True, id="it runs"), pytest.param(False, id="it starts later", marks=LONG)],
)
def test_an_append_only_file_without_its_end_is_refused_as_older(
    tmp_path: Path, running: bool
) -> None:
    with site_in(tmp_path) as site:
        host = site.host("serve", workers=1, web_processes=1).start()
        host.put_event(EVENT, capacity=20)
        for _ in range(3):
            assert host.buy(EVENT).status_code == 201
        if not running:
            assert host.terminate() == 0
        cut_the_end_off(site)
        if not running:
            host.launch()
        host.said("came back older")
        wait_until(lambda: not host.ready(), 5, "what was asked before is asked again")
        if running:
            assert host.buy(EVENT).status_code == 503
        assert site.redis.ask("LLEN", f"{SHARD}tickets:{EVENT}") == 2
