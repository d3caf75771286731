"""Each host exports its own: a pool without a web on a port for that, a web the shards too."""

from __future__ import annotations

import os
import signal
from typing import Any

import pytest
import requests

from tests.faults.stopping import standing_still
from tests.harness import Soldout, children_of, free_port, title_of, wait_until
from tests.hosts.hosts import StartHost, started
from tests.scrape import Scrape, scrape
from tests.servers.redis_server import RedisServer


def exporters(service: Soldout) -> list[int]:
    return [pid for pid in children_of(service.pid) if title_of(pid) == "soldout: metrics"]


def at_rest(url: str, name: str, value: float, **labels: str) -> Scrape:
    """Wait until a page has this value, and return it."""
    pages: list[Scrape] = []

    def found() -> bool:
        pages.append(scrape(url))
        return pages[-1].series.get((name, frozenset(labels.items()))) == value

    wait_until(found, 10, lambda: f"{name} is not {value}:\n{pages[-1].text}")
    return pages[-1]


def test_a_pool_exports_what_it_settled_and_a_web_what_it_answered(host: StartHost) -> None:
    port = free_port()
    pool, web = host("workers", metrics_bind=f"127.0.0.1:{port}"), host("web")
    started(pool, web)
    web.put_event("gala", capacity=5)
    for _ in range(7):
        web.buy("gala")
    at_pool = scrape(f"http://127.0.0.1:{port}")
    assert at_pool.value("soldout_workers") == 2
    assert at_pool.value("soldout_batch_size_sum") >= 7
    assert not at_pool.purchases()
    assert not [name for name in at_pool.families if name.startswith("soldout_shard")]
    at_web = at_rest(web.url, "soldout_shard_workers", 2, shard="1")
    assert at_web.value("soldout_workers") == 0
    assert at_web.purchases() == {"sold": 5, "sold-out": 2}
    assert at_web.value("soldout_tickets", event="gala", state="sold") == 5
    assert at_web.value("soldout_shard_frames_waiting", shard="1") == 0
    assert at_web.value("soldout_shard_older", shard="1") == 0
    assert web.terminate() == pool.terminate() == 0


def test_an_operator_is_told_what_is_of_this_host_and_what_of_all(
    host: StartHost, redis_server: RedisServer
) -> None:
    pool, web, other = host("workers"), host("web"), host("web")
    started(pool, web, other)
    web.put_event("gala", capacity=10)
    for number in range(4):
        (web if number % 2 else other).buy("gala", 2)
    curves = [at.admin("GET", "/events/gala/curve").json()["points"] for at in (web, other)]
    assert curves[0] == curves[1]
    assert [point["issued"] for point in curves[0]] == [2, 4, 6, 8]
    wait_until(lambda: told(web)["events"][0]["sold"] == 8, 10, "all sales")
    here = told(web)
    assert (here["hosts"], here["ledger"]) == ("many", "readable")
    assert here["this_host"]["purchases"]["sold"] == 2
    assert here["this_host"]["batch_size"]["count"] == 0
    assert [shard["workers"] for shard in here["shards"]] == [2]
    assert [worker["worker"] for worker in here["workers"]] == [1, 2]
    assert redis_server.pid
    with standing_still(redis_server.pid):
        wait_until(lambda: told(web)["ledger"] == "unreadable", 10, "that it cannot be read")
        assert told(web)["this_host"]["purchases"]["sold"] == 2
    wait_until(lambda: told(web)["ledger"] == "readable", 10, "its return")


def told(service: Soldout) -> Any:
    return service.admin("GET", "/admin/now").json()


def test_the_server_for_metrics_is_started_again_and_leaves_with_the_rest(host: StartHost) -> None:
    port = free_port()
    pool = host("workers", metrics_bind=f"127.0.0.1:{port}").start()
    [exporter] = exporters(pool)
    os.kill(exporter, signal.SIGKILL)
    wait_until(lambda: exporters(pool) not in ([], [exporter]), 5, "another one")
    url = f"http://127.0.0.1:{port}"
    assert scrape(url).value("soldout_workers") == 2
    assert requests.get(f"{url}/elsewhere", timeout=5).status_code == 404
    assert pool.terminate() == 0
    with pytest.raises(requests.ConnectionError):
        requests.get(url, timeout=5)


def test_a_port_that_is_taken_is_told_at_the_start(host: StartHost) -> None:
    web = host("web", metrics_bind="127.0.0.1:1")
    web.env["SOLDOUT_METRICS_BIND"] = web.env["SOLDOUT_BIND"]
    other = host("workers", metrics_bind=f"127.0.0.1:{web.port}").start()
    assert f"cannot listen on 127.0.0.1:{web.port}" in web.launch().refuses()
    assert other.terminate() == 0


def test_a_ledger_that_is_gone_is_told_and_nothing_else_is_kept_back(
    host: StartHost, redis_server: RedisServer
) -> None:
    service = host("serve").start()
    service.put_event("gala", capacity=5)
    service.buy("gala")
    at_rest(service.url, "soldout_ledger_up", 1)
    redis_server.pause()
    try:
        page = at_rest(service.url, "soldout_ledger_up", 0)
        assert page.purchases() == {"sold": 1}
        assert service.buy("gala").status_code in (202, 503)
    finally:
        redis_server.go_on()
    back = at_rest(service.url, "soldout_ledger_up", 1)
    faults = [v for (name, _), v in back.series.items() if name == "soldout_ledger_faults_total"]
    assert sum(faults) > 0
