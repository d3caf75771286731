"""`GET /metrics` as Prometheus reads it."""

from __future__ import annotations

from collections import Counter
from typing import Any

import requests
from prometheus_client.parser import text_string_to_metric_families

Series = tuple[str, frozenset[tuple[str, str]]]


class Scrape:
    """One page: every series with its value."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.families: dict[str, Any] = {
            family.name: family for family in text_string_to_metric_families(text)
        }
        self.series: dict[Series, float] = {}
        for family in self.families.values():
            for sample in family.samples:
                series = (sample.name, frozenset(sample.labels.items()))
                assert series not in self.series, f"twice on one page: {series}"
                self.series[series] = sample.value

    def value(self, name: str, **labels: str) -> float:
        """Return the value of one series, which must be there."""
        return self.series[name, frozenset(labels.items())]

    def counts(self) -> dict[Series, float]:
        """Return whatever may never go down: counters, and the parts of histograms."""
        kinds = {f"{f.name}{suffix}" for f in self.families.values() for suffix in _suffixes(f)}
        return {series: value for series, value in self.series.items() if series[0] in kinds}

    def purchases(self) -> Counter[str]:
        """Return how many purchases were answered, by outcome."""
        family = self.families["soldout_purchases"]
        return Counter({s.labels["outcome"]: int(s.value) for s in family.samples if s.value})


def _suffixes(family: Any) -> tuple[str, ...]:
    return {"counter": ("_total",), "histogram": ("_bucket", "_sum", "_count")}.get(family.type, ())


def scrape(url: str, **headers: str) -> Scrape:
    """Read the page of a running service."""
    answer = requests.get(f"{url}/metrics", headers=headers, timeout=10)
    assert answer.status_code == 200, answer.text
    assert answer.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
    return Scrape(answer.text)
