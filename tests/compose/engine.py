"""A Docker engine of the tests' own, in a folder of its own, on a machine that can pull no image.

Base images are made from this Debian machine's packages, with the wheels in them that a build
installs; so the project's own Dockerfile and docker-compose.yml run as they are. Needs root.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.harness import note, wait_until

ROOT = Path(__file__).parents[2]
BASE_IMAGE, REDIS_IMAGE = "soldout-base:test", "soldout-redis:test"
SYSTEM_PYTHON = "/usr/bin/python3"  # the one that is in the base image
START_SECONDS = 30
STOP_SECONDS = 60
COMMAND_SECONDS = 180  # of which a build on two slow cores takes a quarter


class Engine:
    """How to speak to the engine: every command runs in the project's folder and must succeed."""

    def __init__(self, home: Path) -> None:
        self.env = {
            **{k: v for k, v in os.environ.items() if not k.startswith(("SOLDOUT_", "COMPOSE_"))},
            "DOCKER_HOST": f"unix://{home}/docker.sock",
            "COMPOSE_PROJECT_NAME": "soldout-test",
            "BASE_IMAGE": BASE_IMAGE,
            "REDIS_IMAGE": REDIS_IMAGE,
        }

    def run(self, *command: str | Path, **more: Any) -> str:
        """Run a command and return what it printed."""
        began = time.monotonic()
        done = subprocess.run(
            [str(word) for word in command],
            **{"env": self.env, "cwd": ROOT, "text": True, "timeout": COMMAND_SECONDS, **more},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            check=False,
        )
        took = time.monotonic() - began
        note(f"$ {' '.join(map(str, command))}  # {took:.1f} s\n{done.stdout}")
        assert done.returncode == 0, f"{command}: {done.returncode}\n{done.stdout}"
        return str(done.stdout)

    def docker(self, *words: str) -> str:
        """Run `docker …`."""
        return self.run("docker", *words)

    def compose(self, *words: str) -> str:
        """Run `docker compose …`."""
        return self.run(*compose_command(), *words)


def compose_command() -> list[str]:
    """Return how Compose is called on this machine: by itself, as in Debian, or as a plug-in."""
    return ["docker-compose"] if shutil.which("docker-compose") else ["docker", "compose"]


@contextmanager
def running_engine() -> Iterator[Engine]:
    """Start an engine that knows the base image; end it, and remove all that it kept."""
    home = Path(tempfile.mkdtemp(prefix="soldout-docker-"))  # short: it holds Unix sockets
    engine = Engine(home)
    log_path = home / "dockerd.log"
    with log_path.open("wb") as log:
        dockerd = subprocess.Popen(
            [
                *("setpriv", "--pdeathsig", "TERM"),  # it ends with the tests, however they end
                *("dockerd", "--host", engine.env["DOCKER_HOST"], "--pidfile", home / "docker.pid"),
                *("--data-root", home / "data", "--exec-root", home / "exec"),
            ],
            stdout=log,
            stderr=log,
            start_new_session=True,  # Ctrl-C is for the tests, which then end the engine
        )
    try:
        wait_until(
            lambda: answers(engine) or dockerd.poll() is not None, START_SECONDS, "an engine"
        )
        assert dockerd.poll() is None, log_path.read_text()
        make_base_images(engine, home / "wheels")
        yield engine
    finally:
        dockerd.terminate()  # it stops what containers there still are
        try:
            dockerd.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            dockerd.kill()
            dockerd.wait()
        unmount_below(home)
        shutil.rmtree(home)


def answers(engine: Engine) -> bool:
    """Say whether the engine answers."""
    asked = subprocess.run(["docker", "info"], env=engine.env, capture_output=True, check=False)
    return asked.returncode == 0


def make_base_images(engine: Engine, wheels: Path) -> None:
    """Load what the images install, as this machine's pip finds it, and make the base images."""
    pip = (sys.executable, "-m", "pip", "--python", SYSTEM_PYTHON, "download", "--quiet")
    for name in ("run", "loadtest"):
        locked = ("--require-hashes", "--requirement", ROOT / "requirements" / f"{name}.txt")
        engine.run(*pip, "--only-binary", ":all:", *locked, "--dest", wheels)
    engine.run(Path(__file__).with_name("base_images.sh"), BASE_IMAGE, REDIS_IMAGE, wheels)


def unmount_below(home: Path) -> None:
    """Unmount what an engine leaves mounted in its folder."""
    mounted = [line.split()[1] for line in Path("/proc/mounts").read_text().splitlines()]
    for path in sorted((path for path in mounted if path.startswith(f"{home}/")), reverse=True):
        subprocess.run(["umount", path], check=True)
