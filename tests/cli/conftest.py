"""How these tests type commands, with only such settings as they name."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, NamedTuple, TypeAlias

import pytest
from click.testing import CliRunner

from service.cli import main
from tests.harness import Soldout


class Typed(NamedTuple):
    """What a command came to."""

    status: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


Type: TypeAlias = Callable[..., Typed]


def typing(environ: dict[str, str]) -> Type:
    """Return a function that runs `soldout <words>` with these SOLDOUT_ variables and no others."""

    def run(*words: str) -> Typed:
        found = CliRunner(env=environ).invoke(main, words, prog_name="soldout")
        if found.exception is not None and not isinstance(found.exception, SystemExit):
            raise found.exception
        return Typed(found.exit_code, found.stdout, found.stderr)

    return run


@pytest.fixture(autouse=True)
def _no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever runs the tests may have settings of their own."""
    for name in ("URL", "BIND", "DATA_DIR", "ADMIN_KEY", "ADMIN_KEY_FILE"):
        monkeypatch.delenv(f"SOLDOUT_{name}", raising=False)


@pytest.fixture
def cli(soldout: Soldout) -> Type:
    """Commands typed on the host of a running service, with its settings."""
    return typing(
        {"SOLDOUT_BIND": f"127.0.0.1:{soldout.port}", "SOLDOUT_ADMIN_KEY": soldout.admin_key}
    )


@pytest.fixture
def nowhere() -> Type:
    """Commands typed where no service runs."""
    return typing({})
