"""A real Prometheus (Debian's) scrapes a real service: panels get data, alerts are silent till due.

Marked long not for its time: a developer's machine may lack Prometheus.
"""

from __future__ import annotations

import json
import math
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.faults.stopping import standing_still
from tests.harness import Soldout, free_port, serving, wait_until

FOLDER = Path(__file__).parents[2] / "docs" / "operations"
PANELS = json.loads((FOLDER / "grafana-dashboard.json").read_text())["panels"]
ELSEWHERE = {"Shards in Redis"}  # one host has none
SILENT = {
    *("SoldoutDown", "SoldoutSellingStopped", "SoldoutWorkersDown"),
    *("SoldoutLedgerUnreachable", "SoldoutInconsistent"),
}


class Prometheus:
    """A Prometheus of the test's own, which scrapes one service every second."""

    def __init__(self, port: int) -> None:
        self._url = f"http://127.0.0.1:{port}/api/v1"

    def ask(self, path: str, **parameters: str) -> Any:
        """Return the data of an answer of its API."""
        answer = requests.get(f"{self._url}/{path}", params=parameters, timeout=10).json()
        assert answer["status"] == "success", answer
        return answer["data"]

    def values(self, expression: str) -> list[float]:
        """Return what an expression is now, for each of its series."""
        found = self.ask("query", query=expression)["result"]
        return [float(series["value"][1]) for series in found]

    def alerts(self) -> dict[str, str]:
        """Return the alerts that are pending or firing, by name."""
        found = self.ask("alerts")["alerts"]
        return {alert["labels"]["alertname"]: alert["state"] for alert in found}


@contextmanager
def scraping(service: Soldout, folder: Path) -> Iterator[Prometheus]:
    port = free_port()
    rules = folder / "alerts.yml"  # those of the service, but sooner: nobody waits for minutes
    lines = (FOLDER / "alerts.yml").read_text().splitlines(keepends=True)
    sooner = "".join(line for line in lines if " for: " not in line)
    rules.write_text(sooner.replace("[1m]", "[5s]"))
    (folder / "prometheus.yml").write_text(
        f"""
global: {{scrape_interval: 1s, evaluation_interval: 1s}}
rule_files: [{rules}]
scrape_configs:
  - job_name: soldout
    static_configs: [{{targets: ["127.0.0.1:{service.port}"]}}]
"""
    )
    with (folder / "prometheus.log").open("wb") as log:
        process = subprocess.Popen(
            [
                "prometheus",
                f"--config.file={folder / 'prometheus.yml'}",
                f"--storage.tsdb.path={folder / 'tsdb'}",
                f"--web.listen-address=127.0.0.1:{port}",
            ],
            stdout=log,
            stderr=log,
        )
    try:
        prometheus = Prometheus(port)
        wait_until(lambda: is_up(prometheus), 30, (folder / "prometheus.log").read_text)
        yield prometheus
    finally:
        process.terminate()
        process.wait(20)


def is_up(prometheus: Prometheus) -> bool:
    try:
        return prometheus.values('up{job="soldout"}') == [1]
    except requests.RequestException:
        return False


@pytest.mark.long
def test_every_panel_gets_data_and_an_alert_comes_when_it_is_due(tmp_path: Path) -> None:
    with (
        serving(tmp_path / "data") as service,
        scraping(service, tmp_path) as prometheus,
    ):
        service.put_event("gala", capacity=20)
        over = threading.Event()

        def sell_on() -> None:
            while not over.wait(0.05):
                service.buy("gala")

        seller = threading.Thread(target=sell_on)
        seller.start()
        try:
            for panel in PANELS:
                if panel["title"] not in ELSEWHERE:
                    wait_until(lambda panel=panel: filled(panel, prometheus), 30, panel["title"])  # type: ignore[misc]
        finally:
            over.set()
            seller.join()
        groups = prometheus.ask("rules")["groups"]
        rules = {rule["name"]: rule for group in groups for rule in group["rules"]}
        assert {rule["health"] for rule in rules.values()} == {"ok"}
        assert not prometheus.alerts().keys() & SILENT
        with standing_still(service.pid, *service.family()["worker"]):
            due = {"SoldoutSellingStopped", "SoldoutWorkersDown"}
            wait_until(lambda: ask_and_look(service, prometheus) >= due, 40, f"{due} fire")
        service.terminate()
        wait_until(lambda: prometheus.alerts().get("SoldoutDown") == "firing", 30, "it is down")


def ask_and_look(service: Soldout, prometheus: Prometheus) -> set[str]:
    """Ask for a ticket, without waiting for it, and return which alerts fire."""
    body, headers = {"event": "gala", "quantity": 1}, {"Prefer": "respond-async"}
    requests.post(f"{service.url}/buy", json=body, headers=headers, timeout=10)
    return {name for name, state in prometheus.alerts().items() if state == "firing"}


def filled(panel: dict[str, Any], prometheus: Prometheus) -> bool:
    """Say whether every question of a panel has an answer that is a number."""
    expressions = [target["expr"] for target in panel["targets"]]
    found = [
        prometheus.values(text.replace("$job", "soldout").replace("$__rate_interval", "10s"))
        for text in expressions
    ]
    return all(values and not any(map(math.isnan, values)) for values in found)
