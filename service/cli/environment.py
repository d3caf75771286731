"""What commands find around them: where the service is, and its administration's key.

Settings of the service itself say both, so that a command on its host needs no option.
"""

from __future__ import annotations

from collections.abc import Mapping

import click

DEFAULT_BIND = "127.0.0.1:8000"


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
    from service.client import admin_key  # noqa: PLC0415 - serve must not wait for it

    try:
        return admin_key.find_admin_key(environ)
    except admin_key.NoAdminKey as why:
        places = "SOLDOUT_ADMIN_KEY, SOLDOUT_ADMIN_KEY_FILE or the service's own SOLDOUT_DATA_DIR"
        message = f"the administration's key is needed, but {why}; set {places}"
        raise Misuse(message) from None
