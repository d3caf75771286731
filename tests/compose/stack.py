"""The containers of docker-compose.yml, and a way to speak to the service in them."""

from __future__ import annotations

from pathlib import Path

from tests.compose.engine import Engine
from tests.harness import Soldout, wait_until

READY_SECONDS = 60


class Stack:
    """Web, workers and Redis in containers; `service` speaks to them through the published port."""

    def __init__(self, engine: Engine, folder: Path) -> None:
        self.engine = engine
        self.service = Soldout(folder / "unused")  # never started: it only asks
        engine.env["SOLDOUT_PORT"] = str(self.service.port)

    def up(self, workers: int = 1) -> None:
        """Start what does not run, with so many hosts of workers, and wait until it sells."""
        self.engine.compose("up", "-d", "--scale", f"workers={workers}")
        wait_until(self.service.ready, READY_SECONDS, self.log)
        self.service.admin_key = self.admin_key()

    def remove(self) -> None:
        """Remove the containers, and what they have stored."""
        self.engine.compose("down", "--volumes", "--timeout", "5")

    def log(self) -> str:
        """Return what all containers have printed."""
        return self.engine.compose("logs")

    def admin_key(self) -> str:
        """Read the administration's key where the web keeps it."""
        return self.engine.compose("exec", "-T", "web", "cat", "/data/admin-key").strip()

    def containers(self, service: str) -> list[str]:
        """Return the ids of a service's containers that run."""
        label = f"label=com.docker.compose.service={service}"
        return self.engine.docker("ps", "--quiet", "--filter", label).split()

    def exit_status(self, container: str) -> int:
        """Return a stopped container's exit status."""
        return int(self.engine.docker("inspect", "--format", "{{.State.ExitCode}}", container))

    def hosts_of_workers(self) -> set[str]:
        """Return the hosts of the workers that the administration sees."""
        workers = self.service.admin("GET", "/workers").json()["workers"]
        return {worker["host"] for worker in workers}
