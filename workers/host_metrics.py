"""What one host exports of itself, whoever is asked: counters of its processes, hearts, disk."""

from __future__ import annotations

import os
from functools import cache
from importlib import metadata
from pathlib import Path

from workers.exposition import Family, Sample, gauge
from workers.hearts import HEARTBEAT_LIMIT_MS, Hearts, clock_ms
from workers.metrics import IN_FLIGHT, SINCE, STARTS, STREAMS, WORKERS, Metrics, total
from workers.settings import Settings


class HostMetrics:
    """The processes of one host. Made where the service runs already. Raises OSError."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self.metrics = Metrics(settings.metrics_path)

    def families(self) -> list[Family]:
        """Return all that this host says of itself."""
        return [
            *self.metrics.families(),
            *self._service(),
            *self._workers(),
            *self._webs(),
            *self._disk(),
        ]

    def _service(self) -> list[Family]:
        started = self.metrics.supervisor[SINCE] / 1000
        return [
            gauge(
                "soldout_build_info", "1; the version stands in the label.", 1, version=_version()
            ),
            gauge(
                "soldout_start_time_seconds", "When the service was started, since 1970.", started
            ),
        ]

    def _workers(self) -> list[Family]:
        slots = self.metrics.workers()
        configured = self.metrics.supervisor[WORKERS]
        families = [gauge("soldout_workers", "Workers that this host shall have.", configured)]
        if not slots:
            return families
        hearts, now = Hearts(self._settings.run_path / "hearts", configured), clock_ms()
        pulses = [hearts.pulse(worker) for worker in slots]
        ages_ms = {str(p.worker): now - p.beat_clock_ms for p in pulses}
        return [
            *families,
            Family(
                "soldout_worker_up",
                "gauge",
                "Whether a worker has booted and its heart beats.",
                [
                    Sample(
                        int(p.ready and ages_ms[str(p.worker)] < HEARTBEAT_LIMIT_MS),
                        {"worker": str(p.worker)},
                    )
                    for p in pulses
                ],
            ),
            Family(
                "soldout_worker_heartbeat_age_seconds",
                "gauge",
                "How long ago a worker's heart beat last.",
                [Sample(max(0, age) / 1000, {"worker": w}) for w, age in ages_ms.items()],
            ),
            Family(
                "soldout_worker_restarts",
                "counter",
                "Times that a worker was started again.",
                [
                    Sample(max(0, slot[STARTS] - 1), {"worker": str(worker)})
                    for worker, slot in slots.items()
                ],
            ),
        ]

    def _webs(self) -> list[Family]:
        alive, ever = self.metrics.webs_alive(), self.metrics.webs()
        if not ever:
            return []
        restarts = Sample(sum(slot[STARTS] - 1 for slot in ever))
        return [
            gauge("soldout_web_processes_up", "Web processes that take requests.", len(alive)),
            Family(
                "soldout_web_process_restarts",
                "counter",
                "Times that a web process was started in the place of another.",
                [restarts],
            ),
            gauge(
                "soldout_purchases_in_flight",
                "Commands that wait for a worker or are under way, in all web processes.",
                total(alive, IN_FLIGHT),
            ),
            gauge("soldout_streams_open", "Live streams that are open.", total(alive, STREAMS)),
        ]

    def _disk(self) -> list[Family]:
        disk = os.statvfs(self._settings.data_path)
        families = [
            gauge(
                "soldout_disk_free_bytes",
                "Free to this user on the data directory's disk.",
                disk.f_bavail * disk.f_frsize,
            ),
            gauge(
                "soldout_disk_size_bytes",
                "Size of the data directory's disk.",
                disk.f_blocks * disk.f_frsize,
            ),
        ]
        if self._settings.lock == "process":
            path = self._settings.ledger_path
            size = sum(map(_size, (path, path.with_name(path.name + "-wal"))))
            families.append(
                gauge("soldout_ledger_size_bytes", "The embedded ledger, its WAL included.", size)
            )
        return families


def _size(path: Path) -> int:
    try:
        return path.stat().st_size  # looked at, never opened: closing it would drop SQLite's locks
    except FileNotFoundError:
        return 0


@cache
def _version() -> str:
    return metadata.version("soldout")
