"""Where a program on the service's own host finds the administration's key: where the service does.

In: the environment. Out: the key, as `Client` takes it, or `NoAdminKey` with the reason.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

DEFAULT_DATA_DIR = "./data"
HASH_PREFIX = "sha256:"  # a service may be given its key so; from it nobody can tell the key


class NoAdminKey(LookupError):
    """There is none where a service with these settings has it; the text says why."""


def find_admin_key(environ: Mapping[str, str]) -> str:
    """Return the administration's key from where a service with these settings has it."""
    given = environ.get("SOLDOUT_ADMIN_KEY", "")
    if given.startswith(HASH_PREFIX):
        raise NoAdminKey("SOLDOUT_ADMIN_KEY is only its hash")
    if given:
        return given
    data_path = Path(environ.get("SOLDOUT_DATA_DIR") or DEFAULT_DATA_DIR)
    path = Path(environ.get("SOLDOUT_ADMIN_KEY_FILE") or data_path / "admin-key")
    try:
        lines = [line.strip() for line in path.read_text(errors="replace").splitlines()]
    except OSError as error:
        raise NoAdminKey(f"{path}: {error.strerror}") from None
    for line in lines:
        if line and not line.startswith(("#", HASH_PREFIX)):
            return line
    raise NoAdminKey(f"{path} holds none, or only hashes")
