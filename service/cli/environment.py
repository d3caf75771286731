"""What commands find around them: where the service is, and its administration's key.

Settings of the service itself say both, so that a command on its host needs no option.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import click

DEFAULT_BIND = "127.0.0.1:8000"
DEFAULT_DATA_DIR = "./data"
HASH_PREFIX = "sha256:"  # a service may be given its key so; from it nobody can tell the key


class Misuse(click.ClickException):
    """The command cannot be carried out as it stands here, and nobody was asked."""

    exit_code = 2


def derive_url(environ: Mapping[str, str]) -> str:
    """Return where a service with these settings is found from its own host."""
    host, _, port = (environ.get("SOLDOUT_BIND") or DEFAULT_BIND).rpartition(":")
    everywhere = {"0.0.0.0": "127.0.0.1", "[::]": "[::1]"}  # noqa: S104 - replaced, not bound
    return f"http://{everywhere.get(host, host)}:{port}"


def find_admin_key(environ: Mapping[str, str]) -> str:
    """Return the administration's key from where a service with these settings has it."""
    given = environ.get("SOLDOUT_ADMIN_KEY", "")
    if given.startswith(HASH_PREFIX):
        raise _no_admin_key("SOLDOUT_ADMIN_KEY is only its hash")
    if given:
        return given
    data_path = Path(environ.get("SOLDOUT_DATA_DIR") or DEFAULT_DATA_DIR)
    path = Path(environ.get("SOLDOUT_ADMIN_KEY_FILE") or data_path / "admin-key")
    try:
        lines = [line.strip() for line in path.read_text(errors="replace").splitlines()]
    except OSError as error:
        raise _no_admin_key(f"{path}: {error.strerror}") from None
    for line in lines:
        if line and not line.startswith(("#", HASH_PREFIX)):
            return line
    raise _no_admin_key(f"{path} holds none, or only hashes")


def _no_admin_key(why: str) -> Misuse:
    places = "SOLDOUT_ADMIN_KEY, SOLDOUT_ADMIN_KEY_FILE or the service's own SOLDOUT_DATA_DIR"
    return Misuse(f"the administration's key is needed, but {why}; set {places}")
