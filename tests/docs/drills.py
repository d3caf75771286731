"""A host as docs/operations/deploy.md sets it up, in a folder of the test's, and its operator.

The pages' commands run as they stand there. Their absolute paths lead into the folder, their port
to a free one. What only a real host has is stood in for: other users (`chown`, `runuser`,
`adduser`, `install -o`), packages (`make`), and systemd, whose unit file says what is started.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar, Self

from tests.harness import START_SECONDS, Soldout

ROOT = Path(__file__).parents[2]
PAGES = ROOT / "docs" / "operations"
PLACES = re.compile(
    r"(?<![\w.])(/opt/soldout|/var/lib/|/var/backups/|/etc/|/usr/local/|/tmp/soldout-)"
)
NOTHING = "#!/bin/sh\n"
STAND_INS = {
    "adduser": NOTHING,
    "chown": NOTHING,
    "install": '#!/bin/sh\nshift 4\nexec /usr/bin/install "$@"\n',  # -o USER -g GROUP
    "make": NOTHING,
    "runuser": '#!/bin/sh\nshift 3\nexec "$@"\n',  # -u USER --
}
FOLDERS = (  # as Debian has them, with cron and prometheus-node-exporter
    *("etc/systemd/system", "etc/cron.daily", "usr/local/bin", "var/backups", "shims"),
    "var/lib/prometheus/node-exporter",
)
VERSIONS = ("0.1.0", "0.2.0")


def sections(page: str) -> dict[str, list[str]]:
    """Return the commands of a page by the title above them."""
    text = (PAGES / page).read_text()
    parts = re.split(r"^## (.*)$", text, flags=re.MULTILINE)
    found = {}
    for title, body in zip(parts[1::2], parts[2::2], strict=True):
        blocks = re.findall(r"^```console\n(.*?)^```$", body, re.MULTILINE | re.DOTALL)
        lines = [line for block in blocks for line in block.splitlines()]
        assert all(line.startswith("$ ") for line in lines), lines
        if lines:
            found[title] = [line.removeprefix("$ ") for line in lines]
    return found


class Installed(Soldout):
    """The service as its unit file starts it."""

    def __init__(self, host: Path) -> None:
        super().__init__(host / "var" / "lib" / "soldout")
        self.unit = host / "etc" / "systemd" / "system" / "soldout.service"
        self.log_path = host / "journal"
        self._base = {k: v for k, v in self.env.items() if not k.startswith("SOLDOUT_")}

    def launch(self) -> Self:
        """Start what the unit says, with the environment that it names, and do not wait.

        As systemd reads it, letter by letter; the script `soldout` has to find the same.
        """
        said = dict(re.findall(r"^(\w+)=(.*)$", self.unit.read_text(), re.MULTILINE))
        settings = Path(said["EnvironmentFile"]).read_text()
        self.env = self._base | dict(re.findall(r"^(SOLDOUT_\w+)=(.*)$", settings, re.MULTILINE))
        self.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)  # StateDirectory
        with self.log_path.open("ab") as log:
            self.process = subprocess.Popen(
                shlex.split(said["ExecStart"]), env=self.env, stdout=log, stderr=log
            )
        return self

    def stop(self) -> None:
        """Stop it as systemd does, if it runs."""
        if self.process is not None and self.process.poll() is None:
            assert self.terminate() == 0, self.log()

    def admin(self, method: str, path: str, body: object = None) -> Any:
        """Send one request of the administration, with the key of the moment."""
        self.admin_key = (self.data_dir / "admin-key").read_text().strip()
        return super().admin(method, path, body)


class Operator:
    """Who types the commands of the pages on such a host."""

    typed: ClassVar[set[str]] = set()  # by all operators, as the lines stand there

    def __init__(self, host: Path) -> None:
        self.host = host
        self.service = Installed(host)
        self.units: dict[str, tuple[Callable[[], object], Callable[[], object]]] = {
            "soldout": (self.service.launch, self.service.stop)
        }
        self._shims = host / "shims"
        for folder in FOLDERS:
            (host / folder).mkdir(parents=True)
        for name, script in STAND_INS.items():
            self.stand_in(name, script)
        for version in VERSIONS:
            self._unpack(host / "opt" / "soldout" / version)

    def stand_in(self, name: str, script: str) -> None:
        """Have the operator's shell find a program of the test's."""
        (self._shims / name).write_text(script)
        (self._shims / name).chmod(0o755)

    def _unpack(self, code: Path) -> None:
        """Put the code there: this one, and the files of the pages with this folder's paths."""
        program = code / ".venv" / "bin" / "soldout"
        program.parent.mkdir(parents=True)
        program.write_text(f'#!/bin/sh\nexec {sys.executable} -m service "$@"\n')
        program.chmod(0o755)
        pages = code / "docs" / "operations"
        pages.mkdir(parents=True)
        for file in PAGES.iterdir():
            shutil.copy(file, pages)
            (pages / file.name).write_text(self.here(file.read_text()))

    def here(self, text: str) -> str:
        """Return a page's words with this folder's paths and port."""
        found = PLACES.sub(lambda place: f"{self.host}{place[0]}", text)
        return found.replace("127.0.0.1:8000", f"127.0.0.1:{self.service.port}")

    def follow(self, page: str, title: str) -> str:
        """Type what a page says below a title, each line as it stands; return what was printed."""
        return "".join(map(self.type, sections(page)[title]))

    def type(self, line: str) -> str:
        """Type one line, which must succeed."""
        words = shlex.split(line)
        if words[0] == "systemctl":
            seen = self._control(*(word for word in words[1:] if not word.startswith("--")))
        else:
            seen = self._run(line)
        self.typed.add(line)
        return seen

    def _run(self, line: str) -> str:
        path = f"{self._shims}:{self.host}/usr/local/bin:{os.environ['PATH']}"
        base = {k: v for k, v in os.environ.items() if not k.startswith("SOLDOUT_")}
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", self.here(line)],
            env=base | {"PATH": path},
            cwd=self.host,
            capture_output=True,
            text=True,
            timeout=3 * START_SECONDS,
            check=False,
        )
        assert done.returncode == 0, f"{line}\n{done.stdout}{done.stderr}{self.service.log()}"
        return done.stdout

    def _control(self, verb: str, unit: str = "") -> str:
        if verb == "daemon-reload":
            return ""
        start, stop = self.units[unit]
        if verb in ("stop", "restart"):
            stop()
        if verb in ("start", "restart", "enable"):
            start()
        return ""
