"""`serve`, `web` and `workers`: their flags, the demo, and what is said of a wrong value."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from service.client import Client
from tests.cli.conftest import Type, typing
from tests.harness import START_SECONDS, Soldout, wait_until

SERVE = [sys.executable, "-m", "service", "serve"]


@pytest.fixture
def demo(tmp_path: Path) -> Iterator[Soldout]:
    """A service whose flags go before an environment in which every value is wrong."""
    service = Soldout(tmp_path / "data", bind="x", lock="x", workers="x", web_processes="x")
    service.env["SOLDOUT_DATA_DIR"] = "/proc/no/such/place"
    service.env["SOLDOUT_URL"] = "http://127.0.0.1:1"
    del service.env["SOLDOUT_ADMIN_KEY"]
    flags = f"--bind 127.0.0.1:{service.port} --data-dir {service.data_dir} --lock process"
    flags += " --workers 1 --web-processes 1 --demo"
    with service.log_path.open("ab") as log:
        service.process = subprocess.Popen(
            [*SERVE, *flags.split()], env=service.env, stdout=log, stderr=log
        )
    try:
        yield service
    finally:
        if service.process.poll() is None:
            service.terminate()


@pytest.fixture
def cli(demo: Soldout) -> Type:
    return typing(
        {"SOLDOUT_BIND": f"127.0.0.1:{demo.port}", "SOLDOUT_DATA_DIR": str(demo.data_dir)}
    )


def advice(service: Soldout) -> list[str]:
    """Return the words of the line that says how to buy, once it is printed."""
    assert service.process is not None
    wait_until(
        lambda: "curl" in service.log() or service.process.poll() is not None,  # type: ignore[union-attr]
        START_SECONDS,
        "the demo says how to buy",
    )
    return shlex.split(next(line for line in service.log().splitlines() if "curl" in line))


def test_the_demo_is_on_sale_as_its_one_line_says(demo: Soldout, cli: Type) -> None:
    words = advice(demo)
    url, header, body = (words[words.index(w) + 1] for w in ("curl", "-H", "-d"))
    name, _, value = header.partition(": ")
    answer = requests.post(url, body, headers={name: value}, timeout=10)
    assert answer.status_code == 201, answer.text
    page = requests.get(words[words.index("open") + 1], timeout=10)
    assert page.headers["Content-Type"].startswith("text/html")
    assert cli("remaining", "demo", "--json").json["sold"] == 1


def test_the_start_says_where_the_box_office_is_and_its_key(demo: Soldout) -> None:
    advice(demo)
    told = demo.log()
    [address] = re.findall(r'the box office is at ([^\s"]+)', told)
    page = requests.get(address, timeout=10)
    assert (page.status_code, "Box office" in page.text) == (200, True)
    [path] = re.findall(r'the admin key is in ([^\s"]+)', told)
    key = Path(path).read_text().strip()
    headers = {"Authorization": f"Bearer {key}"}
    assert requests.get(f"{address}/now", headers=headers, timeout=10).status_code == 200


def test_flags_go_before_the_environment(demo: Soldout) -> None:
    advice(demo)
    family = demo.family()
    assert (len(family["worker"]), len(family["web"])) == (1, 1)
    assert (demo.data_dir / "admin-key").exists()


def test_the_demo_leaves_a_demo_event_that_exists_as_it_is(demo: Soldout, cli: Type) -> None:
    advice(demo)
    assert cli("event", "put", "demo", "--capacity", "7").status == 0
    assert cli("demo").status == 0
    assert cli("remaining", "demo", "--json").json["capacity"] == 7


def test_a_demo_that_is_sold_out_says_how_to_begin_again(demo: Soldout, cli: Type) -> None:
    advice(demo)
    assert cli("buy", "demo", "--quantity", "100").status == 0
    told = cli("demo").out
    assert "nothing of the demo is left" in told
    command = told.partition("To begin again: soldout ")[2].split()
    assert command == ["event", "put", "demo", "--capacity", "200"]
    assert cli(*command).status == 0
    assert cli("buy", "demo").status == 0
    assert " and click, or curl " in cli("demo").out


def test_serve_becomes_the_supervisor_and_drains_when_asked(demo: Soldout) -> None:
    """No process stands between: the pid that was started gets the signal and gives the status."""
    advice(demo)
    with Client(demo.url) as client:
        client.buy("demo")
    assert demo.terminate() == 0


def refused(flags: str, tmp_path: Path) -> subprocess.CompletedProcess[str]:
    return refused_as("serve", flags, tmp_path)


def refused_as(
    command: str, flags: str, tmp_path: Path, **settings: str
) -> subprocess.CompletedProcess[str]:
    words = [sys.executable, "-m", "service", command, *flags.split()]
    env = Soldout(tmp_path / "data", None, **settings).env
    return subprocess.run(words, env=env, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("flags", ["--lock none", "--workers", "--redis", "now"])
def test_a_flag_that_is_none_is_misuse(tmp_path: Path, flags: str) -> None:
    found = refused(flags, tmp_path)
    assert found.returncode == 2
    assert found.stderr.splitlines()[-1].startswith("Error: ")


@pytest.mark.parametrize(
    ("flags", "variable"),
    [
        ("--workers many", "SOLDOUT_WORKERS"),
        ("--web-processes 0", "SOLDOUT_WEB_PROCESSES"),
        ("--bind nowhere", "SOLDOUT_BIND"),
        ("--lock redis --redis-url localhost", "SOLDOUT_REDIS_URL"),
        ("--lock redis --shards none", "SOLDOUT_SHARDS"),
    ],
)
def test_a_wrong_value_is_status_2_and_one_line_that_names_it(
    tmp_path: Path, flags: str, variable: str
) -> None:
    found = refused(flags, tmp_path)
    assert found.returncode == 2
    assert found.stderr.count("\n") == 1
    assert variable in found.stderr


@pytest.mark.parametrize(
    ("flags", "variable"),
    [("--redis-url redis://10.0.0.5", "SOLDOUT_REDIS_URL"), ("--shards 4", "SOLDOUT_SHARDS")],
)
def test_a_redis_without_its_lock_is_refused_before_anything_is_sold_beside_it(
    tmp_path: Path, flags: str, variable: str
) -> None:
    found = refused(flags, tmp_path)
    assert found.returncode == 2
    assert found.stderr == (
        f"soldout: {variable} is given, but SOLDOUT_LOCK is process:"
        " say SOLDOUT_LOCK=redis, or leave it out\n"
    )
    assert not (tmp_path / "data").exists()


# --- web and workers apart ---


@pytest.mark.parametrize("command", ["web", "workers"])
def test_web_and_workers_apart_meet_in_redis_only(tmp_path: Path, command: str) -> None:
    for found in (
        refused_as(command, "--lock process", tmp_path),
        refused_as(command, "", tmp_path, lock="process"),
    ):
        assert found.returncode == 2
        assert "meet only in Redis" in found.stderr.splitlines()[-1]
    assert not (tmp_path / "data").exists()


def test_the_supervisor_itself_refuses_one_side_without_redis(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "workers"]
    env = Soldout(tmp_path / "data").env
    found = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    assert (found.returncode, found.stderr.count("\n")) == (2, 1)
    assert found.stderr.startswith("soldout: SOLDOUT_LOCK='process': ")


@pytest.mark.parametrize("command", ["web", "workers"])
def test_a_flag_of_the_other_side_is_misuse(tmp_path: Path, command: str) -> None:
    flags = {"web": "--workers 2", "workers": "--web-processes 2"}[command]
    found = refused_as(command, flags, tmp_path)
    assert found.returncode == 2
    assert "No such option" in found.stderr
