"""The files beside docs/operations/deploy.md: a real nginx sells by one, systemd knows the other.

Marked long not for their time: a developer's machine may lack nginx and systemd.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from service.client import Client
from tests.harness import Soldout, free_port, wait_until
from tests.servers.certificates import Certificates, make_certificates
from workers.settings import unknown_names

FOLDER = Path(__file__).parents[2] / "docs" / "operations"


def test_the_settings_file_names_only_settings() -> None:
    names = re.findall(r"^(\w+)=", (FOLDER / "soldout.env").read_text(), re.MULTILINE)
    assert names
    assert unknown_names(dict.fromkeys(names, "")) == []


@pytest.mark.long
def test_systemd_understands_the_unit(tmp_path: Path) -> None:
    unit = tmp_path / "soldout.service"
    text = (FOLDER / "soldout.service").read_text()
    here = re.sub(r"^ExecStart=\S+", f"ExecStart={sys.executable}", text, flags=re.MULTILINE)
    unit.write_text(re.sub(r"^(User|Group)=.*$", r"\1=daemon", here, flags=re.MULTILINE))
    done = subprocess.run(
        ["systemd-analyze", "verify", str(unit)], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    done = subprocess.run(
        ["systemd-analyze", "security", "--offline=yes", "--threshold=25", str(unit)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout


class Proxy:
    """The page's nginx before a service, on a port of its own; `plain` sends to the other one."""

    def __init__(self, folder: Path, service: Soldout) -> None:
        self.certificates: Certificates = make_certificates(folder / "certificates")
        self.port, self.plain = free_port(), free_port()
        self.url = f"https://127.0.0.1:{self.port}"
        here = {
            "127.0.0.1:8000": f"127.0.0.1:{service.port}",
            "listen 443 ssl http2;": f"listen 127.0.0.1:{self.port} ssl http2;",
            "listen 80;": f"listen 127.0.0.1:{self.plain};",
            "/etc/ssl/tickets.example.com.pem": str(self.certificates.certificate("server")),
            "allow 192.0.2.0/24;": "allow 127.0.0.1;",
            "/etc/ssl/private/tickets.example.com.key": str(self.certificates.key("server")),
        }
        text = (FOLDER / "nginx.conf").read_text()
        for there, ours in here.items():
            assert there in text
            text = text.replace(there, ours)
        office = re.search(r"    # location /admin \{\n(?:    # .*\n)*    # \}\n", text)
        assert office is not None
        text = text.replace(office[0], office[0].replace("    # ", "    "))
        places = "".join(
            f"{kind}_temp_path {folder / kind};\n"
            for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        )
        self._config = folder / "nginx.conf"
        self._log = folder / "nginx.log"
        self._config.write_text(
            f"daemon off; pid {folder / 'pid'}; error_log {self._log};\nevents {{}}\n"
            f"http {{\naccess_log off;\n{places}{text}}}\n"
        )

    def start(self) -> subprocess.Popen[bytes]:
        """Start nginx and wait until it listens."""
        process = subprocess.Popen(["nginx", "-c", str(self._config), "-e", str(self._log)])
        wait_until(self._answers, 20, self._log.read_text)
        return process

    def _answers(self) -> bool:
        try:
            return requests.get(f"{self.url}/healthz", verify=self.trust, timeout=5).ok
        except requests.RequestException:
            return False

    @property
    def trust(self) -> str:
        """The authority to trust."""
        return str(self.certificates.authority)


@pytest.fixture(scope="module")
def proxy(tmp_path_factory: pytest.TempPathFactory, soldout: Soldout) -> Iterator[Proxy]:
    proxy = Proxy(tmp_path_factory.mktemp("nginx"), soldout)
    process = proxy.start()
    yield proxy
    process.terminate()
    process.wait(20)


@pytest.mark.long
def test_a_purchase_through_the_proxy_is_sold_once_and_asked_again(
    proxy: Proxy, soldout: Soldout, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", proxy.trust)
    soldout.put_event("gala", capacity=5)
    with Client(proxy.url, soldout.admin_key) as client:
        order = client.buy("gala", 2, key="a-purchase-by-proxy")
        assert client.buy("gala", 2, key="a-purchase-by-proxy") == order
        assert client.audit("gala").sold == 2
        assert client.now().this_host.in_flight == 0


@pytest.mark.long
def test_a_change_comes_through_the_proxy_as_it_is_made(proxy: Proxy, soldout: Soldout) -> None:
    soldout.put_event("ball", capacity=5)
    told: list[int] = []
    with requests.get(
        f"{proxy.url}/remaining/stream?event=ball", stream=True, verify=proxy.trust, timeout=20
    ) as stream:
        for line in stream.iter_lines(1):
            if line.startswith(b"data:"):
                told.append(json.loads(line.removeprefix(b"data:"))["remaining"])
                if len(told) == 2:
                    break
                assert soldout.buy("ball").status_code == 201
    assert told == [5, 4]


@pytest.mark.long
def test_the_proxy_keeps_metrics_inside_and_sends_plain_http_away(proxy: Proxy) -> None:
    assert requests.get(f"{proxy.url}/metrics", verify=proxy.trust, timeout=20).status_code == 404
    sent = requests.get(
        f"http://127.0.0.1:{proxy.plain}/remaining", allow_redirects=False, timeout=20
    )
    assert (sent.status_code, sent.headers["Location"]) == (308, "https://127.0.0.1/remaining")


@pytest.mark.long
def test_browsers_speak_http2_and_come_back_by_tls(proxy: Proxy) -> None:
    told = curl(proxy, "/remaining", "-D", "-", "-w", "version %{http_version}")
    assert told.endswith("version 2")
    assert "strict-transport-security: max-age=31536000" in told


@pytest.mark.long
def test_the_box_office_is_for_the_addresses_that_are_named(proxy: Proxy) -> None:
    status = ("-o", "/dev/null", "-w", "%{http_code}")
    assert curl(proxy, "/admin", *status, "--interface", "127.0.0.1") == "200"
    for path in ("/admin", "/admin/now"):
        assert curl(proxy, path, *status, "--interface", "127.0.0.2") == "403"
    assert curl(proxy, "/", *status, "--interface", "127.0.0.2") == "200"


def curl(proxy: Proxy, path: str, *more: str) -> str:
    """Ask as curl does, which speaks HTTP/2 and from any address of this machine."""
    command = ["curl", "-s", "--http2", "--cacert", proxy.trust, *more, f"{proxy.url}{path}"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout
