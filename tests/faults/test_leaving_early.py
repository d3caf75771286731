"""The web's server is told to leave while one of its processes has only just been forked."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.harness import STOP_SECONDS, free_port, lets_in, wait_until

# What gunicorn reads: the service's own settings, and a pause where each process begins.
SETTINGS = """
import time
from pathlib import Path
from service import gunicorn_conf
from service.gunicorn_conf import *

def post_fork(server, worker):
    Path({folder!r}, f"forked-{{worker.pid}}").touch()
    while not Path({folder!r}, "go").exists():
        time.sleep(0.01)
    gunicorn_conf.post_fork(server, worker)
"""


def test_who_was_told_to_leave_before_it_could_listen_leaves(tmp_path: Path) -> None:
    settings = tmp_path / "settings.py"
    settings.write_text(SETTINGS.format(folder=str(tmp_path)))
    port = free_port()
    command = [
        *(sys.executable, "-m", "gunicorn", "--config", str(settings), "--workers", "2"),
        *("--bind", f"127.0.0.1:{port}", "tests.e2e.broken_application:app"),
    ]
    with subprocess.Popen(command) as server:
        try:
            wait_until(lambda: len(list(tmp_path.glob("forked-*"))) == 2, 20, "both are forked")
            server.terminate()
            wait_until(lambda: not lets_in(port), 10, "they are told, too")
            (tmp_path / "go").touch()
            assert server.wait(STOP_SECONDS) == 0
        finally:
            server.kill()
