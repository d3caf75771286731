"""`make loadtest`: plays the rush against a soldout of its own and says whether it went right.

In: how many users for how long, or a server to aim at. Out: the judgement on the terminal, locust's
page in reports/loadtest.html, and locust's exit status.
"""

from __future__ import annotations

import argparse
import os
import socket
import subprocess
import sys
from contextlib import AbstractContextManager, nullcontext
from ipaddress import ip_address
from pathlib import Path
from urllib.parse import urlsplit

from loadtest.servers import NotReadyError, Server, end, soldout

LOCUSTFILE = Path(__file__).with_name("locustfile.py")
REPORT = Path("reports", "loadtest.html")


def main(arguments: list[str] | None = None) -> int:
    """Play one rush and return the exit status: 0 right, 1 wrong, 2 not played."""
    options = parse(arguments)
    try:
        with server_for(options.host) as server:
            return play(server, options)
    except NotReadyError as error:
        print(error, file=sys.stderr)
        return 2


def parse(arguments: list[str] | None) -> argparse.Namespace:
    """Read the command line; what we do not know goes to locust as it is."""
    parser = argparse.ArgumentParser(prog="python -m loadtest", description=__doc__)
    parser.add_argument("--users", type=int, default=200)
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--processes", type=int, default=0, help="of locust; 0 is one, undivided")
    parser.add_argument("--host", type=loopback_url, help="a server on this machine, not our own")
    return parser.parse_args(arguments)


def loopback_url(text: str) -> str:
    """Accept the address of a server on this machine only: a load test elsewhere is an attack."""
    host = urlsplit(text).hostname
    try:
        addresses = {info[4][0] for info in socket.getaddrinfo(host, None)} if host else set()
    except OSError:
        addresses = set()
    if not addresses or not all(ip_address(address).is_loopback for address in addresses):
        raise argparse.ArgumentTypeError(f"{text} is not http://… on this machine")
    return text


def server_for(host: str | None) -> AbstractContextManager[Server]:
    """Start a soldout with nothing in it, or take the server that is named."""
    if host is None:
        return soldout()
    return nullcontext(Server(host, pid=0, admin_key=os.environ.get("SOLDOUT_ADMIN_KEY", "")))


def play(server: Server, options: argparse.Namespace) -> int:
    """Run locust without its page and return its exit status."""
    command = [
        *(sys.executable, "-m", "locust", "-f", str(LOCUSTFILE), "--headless", "--only-summary"),
        *("-u", str(options.users), "-r", str(options.users), "-t", f"{options.seconds}s"),
        *("--host", server.url, "--html", str(REPORT)),
        *(("--processes", str(options.processes)) if options.processes else ()),
    ]
    locust = subprocess.Popen(command, env=os.environ | {"SOLDOUT_ADMIN_KEY": server.admin_key})
    try:
        return locust.wait()
    finally:
        end(locust)


if __name__ == "__main__":
    sys.exit(main())
