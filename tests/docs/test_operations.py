"""Alerts and dashboard name metrics that a running service has; the page explains every alert."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.harness import Soldout, serving
from tests.scrape import Scrape, scrape
from tests.servers.redis_server import RedisServer
from workers.metrics import OUTCOMES

FOLDER = Path(__file__).parents[2] / "docs" / "operations"
ALERTS = (FOLDER / "alerts.yml").read_text()
DASHBOARD: dict[str, Any] = json.loads((FOLDER / "grafana-dashboard.json").read_text())
PAGE = (FOLDER / "watching.md").read_text()
EXPRESSIONS = {
    "alerts.yml": re.findall(r"expr: (?:>\n((?: {10}.*\n)+)|(.+)\n)", ALERTS),
    "grafana-dashboard.json": [
        (target["expr"], "") for panel in DASHBOARD["panels"] for target in panel["targets"]
    ],
}
NAMES = re.compile(r"\bsoldout_\w+")


@pytest.fixture(scope="module", params=["process", "redis"])
def page(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Scrape]:
    """A page of a service that has sold, on each kind of ledger."""
    data_dir = tmp_path_factory.mktemp("watched") / "data"
    with RedisServer() as redis:
        settings = {"lock": "redis", "redis_url": redis.url} if request.param == "redis" else {}
        with serving(data_dir, **settings) as service:
            sell(service)
            yield scrape(service.url)


def sell(service: Soldout) -> None:
    service.put_event("gala", capacity=5)
    assert {service.buy("gala").status_code for _ in range(7)} == {201, 409}


def named(file: str) -> set[str]:
    return {name for expr in EXPRESSIONS[file] for name in NAMES.findall("".join(expr))}


def known(scraped: Scrape) -> set[str]:
    return {name for name, _ in scraped.series}


def test_both_files_have_something_to_say() -> None:
    assert len(named("alerts.yml")) > 10
    assert len(named("grafana-dashboard.json")) > 20
    assert len(EXPRESSIONS["alerts.yml"]) == ALERTS.count("- alert:") == ALERTS.count("expr:")


@pytest.mark.parametrize("file", list(EXPRESSIONS))
def test_every_metric_that_is_looked_at_exists(file: str, page: Scrape) -> None:
    on_one_host = not any(name.startswith("soldout_shard") for name in known(page))
    elsewhere = "soldout_shard_" if on_one_host else "soldout_ledger_size_bytes"
    unknown = {name for name in named(file) - known(page) if not name.startswith(elsewhere)}
    assert not unknown


@pytest.mark.parametrize("file", list(EXPRESSIONS))
def test_every_label_that_is_looked_at_exists(file: str, page: Scrape) -> None:
    text = "".join("".join(expr) for expr in EXPRESSIONS[file])
    outcomes = {
        one for many in re.findall(r'outcome[!=]~?"(.*?)"', text) for one in many.split("|")
    }
    assert outcomes <= set(OUTCOMES)
    labels = {label for _, labels in page.series for label, _ in labels}
    labels |= {"job", "instance", "shard"}  # Prometheus' own, and Redis' alone
    wanted = {
        label.strip() for many in re.findall(r"by \((.*?)\)", text) for label in many.split(",")
    }
    assert wanted <= labels


def test_the_page_explains_every_alert_and_no_other() -> None:
    alerts = re.findall(r"- alert: (\w+)", ALERTS)
    assert len(alerts) == len(set(alerts))
    assert re.findall(r"^### (\w+)$", PAGE, re.MULTILINE) == sorted(alerts, key=alerts.index)


def test_the_page_names_only_what_there_is(page: Scrape) -> None:
    names = set(re.findall(r"`(soldout_[a-z_]+)`", PAGE))
    assert names
    families = {f"{f}_total" if page.families[f].type == "counter" else f for f in page.families}
    assert names <= families | known(page)


def test_every_panel_has_a_place_and_a_question() -> None:
    panels = DASHBOARD["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    taken = [
        (x, y)
        for place in (panel["gridPos"] for panel in panels)
        for x in range(place["x"], place["x"] + place["w"])
        for y in range(place["y"], place["y"] + place["h"])
    ]
    assert len(taken) == len(set(taken)), "two panels overlap"
    assert max(x for x, _ in taken) < 24
    for panel in panels:
        assert panel["title"]
        assert all(target["expr"] and target["legendFormat"] for target in panel["targets"])


@pytest.mark.long  # not for its time: it needs promtool, which a developer's machine may lack
def test_prometheus_understands_the_alerts_and_the_dashboards_questions(tmp_path: Path) -> None:
    rules = [
        {"record": f"panel:{number}", "expr": expr.replace("$__rate_interval", "1m")}
        for number, (expr, _) in enumerate(EXPRESSIONS["grafana-dashboard.json"])
    ]
    panels = tmp_path / "panels.yml"
    panels.write_text(json.dumps({"groups": [{"name": "panels", "rules": rules}]}))
    for file in (FOLDER / "alerts.yml", panels):
        done = subprocess.run(
            ["promtool", "check", "rules", str(file)], capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr


REFUSED_ALL = """
rule_files: [{rules}]
evaluation_interval: 5s
tests:
  - interval: 5s
    input_series:
      - series: 'soldout_purchases_total{{outcome="unavailable"}}'
        values: '0+100x60'
      - series: 'soldout_purchases_total{{outcome="sold"}}'
        values: '{sold}'
      - series: 'soldout_purchase_settle_seconds_count'
        values: '0+100x60'
      - series: 'soldout_commit_duration_seconds_count'
        values: '{sold}'
    promql_expr_test:
      - expr: count(ALERTS{{alertname="SoldoutSellingStopped", alertstate="firing"}}) or vector(0)
        eval_time: 4m
        exp_samples: [{{labels: '{{}}', value: {firing}}}]
"""


@pytest.mark.long  # as above
@pytest.mark.parametrize(("sold", "firing"), [("7x60", 1), ("0+1x60", 0)])
def test_the_alert_for_a_sale_that_stopped_fires_though_workers_answer_that_nothing_is_settled(
    tmp_path: Path, sold: str, firing: int
) -> None:
    """On a full disk workers answer each purchase, and settle none."""
    file = tmp_path / "test.yml"
    file.write_text(REFUSED_ALL.format(rules=FOLDER / "alerts.yml", sold=sold, firing=firing))
    done = subprocess.run(
        ["promtool", "test", "rules", str(file)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
