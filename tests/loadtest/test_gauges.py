"""The gauges tell the processes of a server apart, and the clients' programs send what they say."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import requests

from loadtest.gauges import memory, peak_memory, spending, wrk
from loadtest.rivals import EMBEDDED
from loadtest.scenarios import LOOKS, MANY, SOLD_OUT
from loadtest.servers import Store, redis

BURN = """
import os, subprocess, sys, time
from setproctitle import setproctitle
setproctitle(sys.argv[1])
children = [subprocess.Popen([sys.executable, __file__, name]) for name in sys.argv[2:]]
while time.process_time() < 0.3:
    pass
os.write(1, b"burnt\\n")  # in one piece, whatever others write
time.sleep(600)
"""


@pytest.fixture
def service_that_burnt(tmp_path: Path) -> Iterator[int]:
    """A supervisor with a worker and two web processes, each of which burnt 0.3 s."""
    program = tmp_path / "burn.py"
    program.write_text(BURN)
    names = ["soldout: supervisor", "soldout: worker 1", "soldout: web 1", "soldout: web 2"]
    process = subprocess.Popen(
        [sys.executable, str(program), *names], stdout=subprocess.PIPE, start_new_session=True
    )
    try:
        assert process.stdout is not None
        for _ in names:
            assert process.stdout.readline() == b"burnt\n"
        yield process.pid
    finally:
        for child in Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split():
            subprocess.run(["kill", "-9", child], check=True)
        process.kill()
        process.communicate()


def test_processor_time_is_told_apart_by_the_titles_of_the_processes(
    service_that_burnt: int,
) -> None:
    spent = spending(service_that_burnt)
    assert spent.workers >= 0.28
    assert spent.web >= 0.56
    assert spent.rest >= 0.28
    later = spending(service_that_burnt).since(spent)
    assert later.workers == later.web == 0
    assert later.elsewhere >= -0.1  # ticks of /proc are coarser than our own usage


def test_the_store_is_counted_apart_from_the_service_that_uses_it() -> None:
    with redis() as store, socket.create_connection(("127.0.0.1", port_of(store))) as client:
        before = spending(os.getpid(), (store.pid,))
        client.sendall(b"EVAL 'for i = 1, 1e7 do end' 0\r\n")
        assert client.recv(64)
        spent = spending(os.getpid(), (store.pid,)).since(before)
    assert spent.store > 0
    assert spent.web == spent.workers == 0


def port_of(store: Store) -> int:
    return urlsplit(store.url).port or 0


def test_memory_is_told_apart_and_its_most_is_kept(service_that_burnt: int) -> None:
    held = memory(service_that_burnt)
    assert held.web > held.workers > 0 < held.rest
    assert held.store == 0
    with redis() as store, peak_memory(service_that_burnt, (store.pid,)) as most:
        pass
    assert most.store > 0
    assert most.web > most.workers


@pytest.mark.long  # needs wrk, which CI has
def test_wrk_picks_events_in_turn_and_tells_refusals_from_sales_and_looks() -> None:
    with EMBEDDED.serve({**MANY.on_sale, **SOLD_OUT.on_sale}) as server:
        buy = f"{server.url}/buy"
        seen = wrk(buy, MANY.body, 4, 1)
        assert seen.sales > 200
        assert (seen.refusals, seen.looks, seen.errors) == (0, 0, 0)
        url = f"{server.url}{LOOKS.path}"
        events = requests.get(url, timeout=10).json()["events"]
        sold = {event["event"]: event["sold"] for event in events}
        assert all(abs(sold[event] - seen.sales / 100) < 3 for event in MANY.on_sale)

        refused = wrk(buy, SOLD_OUT.body, 4, 1)
        assert refused.refusals > 50 * refused.sales > 0
        assert refused.errors == 0

        randomly = wrk(buy, {"event": "bench", "quantity": 1}, 4, 1, {"WRK_KEYS": "random"})
        assert randomly.sales > 0
        assert randomly.refusals == randomly.errors == 0

        looked = wrk(url, None, 4, 1)
        assert looked.looks > 0 == looked.sales
        assert wrk(f"{server.url}/nowhere", None, 4, 1).errors > 0
