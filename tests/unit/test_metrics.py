"""Counters in shared memory: what one process counts, all export; who takes over goes on."""

from __future__ import annotations

import multiprocessing as mp
import os
import signal
from pathlib import Path

import pytest
from msgspec.structs import replace
from prometheus_client.parser import text_string_to_metric_families
from werkzeug.exceptions import NotFound, RequestEntityTooLarge

from service.metrics import EVENTS_MAX, stock_of
from service.problems import KINDS, Problem, slug_of
from tests.scrape import Scrape
from tests.unit.builders import gala
from workers.errors import LedgerFault, NoLedger, Overloaded
from workers.exposition import Family, Sample, gauge, histogram_samples, write
from workers.metrics import (
    BATCH,
    FAULTS,
    FENCED,
    IN_FLIGHT,
    OUTCOMES,
    PURCHASE_TIME,
    PURCHASES,
    SLOT_WORDS,
    WEBS_MAX,
    WORKERS,
    WORKERS_MAX,
    Metrics,
    Slot,
    total,
)


@pytest.fixture
def metrics(tmp_path: Path) -> Metrics:
    """The file of a host with two workers."""
    metrics = Metrics(tmp_path / "metrics", create=True)
    Slot(metrics.supervisor).set(WORKERS, 2)
    return metrics


def page(metrics: Metrics) -> Scrape:
    return Scrape(write(metrics.families()).decode())


def test_what_several_processes_count_is_exported_as_one(metrics: Metrics) -> None:
    for words in (metrics.web(1), metrics.web(2), metrics.web(WEBS_MAX)):
        Slot(words).count(PURCHASES.of("sold"), 3)
    for worker in (1, 2):
        Slot(metrics.worker(worker)).count(FENCED.at)
    assert page(metrics).purchases() == {"sold": 9}
    assert page(metrics).value("soldout_fenced_commits_total") == 2


def test_every_slot_and_every_counter_has_words_of_its_own(metrics: Metrics) -> None:
    slots = [metrics.supervisor]
    slots += [metrics.worker(worker) for worker in range(1, WORKERS_MAX + 1)]
    slots += [metrics.web(number) for number in range(1, WEBS_MAX + 1)]
    for number, slot in enumerate(slots):
        for word in range(SLOT_WORDS):
            slot[word] = number * SLOT_WORDS + word
    assert [slot[word] for slot in slots for word in range(SLOT_WORDS)] == list(
        range(len(slots) * SLOT_WORDS)
    )
    words = [PURCHASES.of(outcome) for outcome in OUTCOMES] + [FAULTS.of("read"), FENCED.at]
    assert len(set(words)) == len(words)


def test_whoever_takes_a_dead_ones_place_goes_on_counting(metrics: Metrics, tmp_path: Path) -> None:
    def work() -> None:
        slot = Slot(Metrics(tmp_path / "metrics").web(1))
        slot.count(PURCHASES.of("sold"), 7)
        slot.observe(PURCHASE_TIME, 1_000)
        os.kill(os.getpid(), signal.SIGKILL)

    for times in (1, 2):
        process = mp.get_context("fork").Process(target=work)
        process.start()
        process.join()
        assert page(metrics).purchases() == {"sold": 7 * times}
        assert page(metrics).value("soldout_purchase_duration_seconds_count") == times


def test_nothing_is_exported_of_who_has_not_joined(metrics: Metrics) -> None:
    slot = Slot()
    slot.count(PURCHASES.of("sold"))
    assert not page(metrics).purchases()


def test_a_service_that_starts_counts_from_nothing_and_disturbs_nobody(
    metrics: Metrics, tmp_path: Path
) -> None:
    old = Slot(metrics.web(1))
    old.count(PURCHASES.of("sold"))
    new = Metrics(tmp_path / "metrics", create=True)
    assert not page(new).purchases()
    old.count(PURCHASES.of("sold"))  # of a predecessor that still leaves: not into the new file
    assert not page(new).purchases()


def test_what_is_true_of_now_is_told_only_of_the_living(metrics: Metrics) -> None:
    alive, dead = Slot(metrics.web(1)), Slot(metrics.web(2))
    alive.set(IN_FLIGHT, 3)
    dead.set(IN_FLIGHT, 4)
    alive.beat()
    assert total(metrics.webs_alive(), IN_FLIGHT) == 3
    Slot(metrics.web(1)).beat()  # another one in its place: what that one held went with it
    assert total(metrics.webs_alive(), IN_FLIGHT) == 0


@pytest.mark.parametrize(
    ("us", "le"), [(0, "0.0005"), (500, "0.0005"), (501, "0.001"), (10_000_000, "10.0")]
)
def test_a_time_falls_into_the_first_range_that_holds_it(
    metrics: Metrics, us: int, le: str
) -> None:
    Slot(metrics.web(1)).observe(PURCHASE_TIME, us)
    name = "soldout_purchase_duration_seconds"
    counted = {
        dict(labels)["le"]: value
        for (series, labels), value in page(metrics).series.items()
        if series == f"{name}_bucket"
    }
    assert len(counted) == 15
    assert next(edge for edge, count in counted.items() if count) == le
    assert counted["+Inf"] == page(metrics).value(f"{name}_count") == 1
    assert page(metrics).value(f"{name}_sum") == us / 1_000_000


def test_what_is_above_all_ranges_is_counted_too(metrics: Metrics) -> None:
    slot = Slot(metrics.worker(1))
    slot.observe(BATCH, 5_000)
    slot.observe(BATCH, 1)
    assert page(metrics).value("soldout_batch_size_bucket", le="1024.0") == 1
    assert page(metrics).value("soldout_batch_size_bucket", le="+Inf") == 2
    assert page(metrics).value("soldout_batch_size_sum") == 5_001


def test_only_the_services_user_may_look(metrics: Metrics, tmp_path: Path) -> None:
    assert (tmp_path / "metrics").stat().st_mode & 0o077 == 0


def test_every_outcome_is_a_problem_or_one_of_three() -> None:
    assert set(OUTCOMES) - set(KINDS) == {"sold", "replayed", "pending"}


# --- the text format ---


def test_a_page_is_read_as_it_was_meant() -> None:
    odd = 'a "quoted" \\ back\nslash'
    families = [
        Family("tried", "counter", "How often, in a\nfew \\ words.", [Sample(3, {"why": odd})]),
        gauge("age_seconds", "Age.", 0.25),
        Family("size", "histogram", "Sizes.", histogram_samples([0.5, 2], [1, 0, 2], 9.5)),
        Family("nothing", "gauge", "No sample, no family.", []),
    ]
    tried, age, size = text_string_to_metric_families(write(families).decode())
    assert (tried.name, tried.type) == ("tried", "counter")
    assert tried.documentation == "How often, in a\nfew \\ words."
    assert tried.samples[0][:3] == ("tried_total", {"why": odd}, 3)
    assert age.samples[0][:3] == ("age_seconds", {}, 0.25)
    assert [(s.name, dict(s.labels), s.value) for s in size.samples] == [
        ("size_bucket", {"le": "0.5"}, 1),
        ("size_bucket", {"le": "2.0"}, 1),
        ("size_bucket", {"le": "+Inf"}, 3),
        ("size_sum", {}, 9.5),
        ("size_count", {}, 3),
    ]


# --- problems ---


def test_every_failure_of_a_request_has_its_outcome() -> None:
    failures = {
        "sold-out": Problem("sold-out", ""),
        "too-large": RequestEntityTooLarge(),
        "not-found": NotFound(),
        "overloaded": Overloaded(),
        "unavailable": LedgerFault(),
        "unknown-event": NoLedger(),
        "internal-error": ZeroDivisionError(),
    }
    assert {slug: slug_of(error) for slug, error in failures.items()} == {s: s for s in failures}


def test_only_some_events_are_exported_those_on_sale_and_new_first() -> None:
    numbers = range(EVENTS_MAX + 50)
    events = [replace(gala(), id=f"event-{number}") for number in numbers]
    for event in events[-10:]:
        event.switch = "closed"
    found = Scrape(write(stock_of(events, 0)).decode())
    shown = {dict(labels)["event"] for (name, labels) in found.series if name == "soldout_tickets"}
    assert shown == {f"event-{number}" for number in range(40, EVENTS_MAX + 40)}
    assert found.value("soldout_events") == EVENTS_MAX + 50
