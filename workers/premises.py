"""What a service needs of its host before it starts: a port, and open files enough."""

from __future__ import annotations

import errno
import logging
import resource
import socket
import time
from importlib.util import find_spec
from typing import Final

from workers.data_dir import TAKEOVER_SECONDS
from workers.errors import BadSetting, BootFailed
from workers.settings import Settings

log = logging.getLogger(__name__)

SPARE_DESCRIPTORS: Final = 256  # a web process's own: ledger, lanes, libraries


def check_address(settings: Settings) -> None:
    """Say at once what gunicorn would find out after many tries. Raises BootFailed."""
    host, port = settings.address
    limit = time.monotonic() + TAKEOVER_SECONDS
    while True:
        try:
            family, kind, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
            with socket.socket(family, kind) as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                probe.bind(address)
        except OSError as error:
            if time.monotonic() > limit or error.errno != errno.EADDRINUSE:
                reason = error.strerror or str(error)
                if error.errno == errno.EADDRINUSE:
                    other = f"{settings.bind.rpartition(':')[0]}:{9001 if port == 9000 else 9000}"
                    reason += f"; SOLDOUT_BIND={other} chooses another"
                raise BootFailed(f"cannot listen on {settings.bind}: {reason}") from None
            time.sleep(0.02)
        else:
            return


def check_traces(settings: Settings) -> None:
    """Say at once if what sends traces is not installed. Raises BadSetting."""
    if settings.traces == "off":
        return
    for package in ("opentelemetry.sdk", "opentelemetry.exporter.otlp.proto.http"):
        try:
            missing = find_spec(package) is None
        except ModuleNotFoundError:  # not even its parent is there
            missing = True
        if missing:
            raise BadSetting(
                f"SOLDOUT_TRACES={settings.traces!r}: {package} is not installed;"
                " pip install 'soldout[otel]'"
            )


def raise_descriptor_limit(settings: Settings) -> None:
    """Let a web process have as many connections as it may be asked for."""
    wanted = settings.connections_max + settings.streams_max + SPARE_DESCRIPTORS
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        allowed = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, hard))
        if allowed < wanted:
            log.warning(
                "only %d open files are allowed (ulimit -n); %d may be needed", allowed, wanted
            )
