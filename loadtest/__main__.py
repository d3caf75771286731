"""`make loadtest` and `make show`: play the rush and say whether it went right, on a page too.

In: how many users for how long, or a server to aim at; with `--show`, first the program that has
no lock and then soldout, from one seed. Out: the judgement on the terminal; the page and its
numbers in reports/loadtest.html (or show.html) and .json, locust's words in .log; exit status 0
right, 1 wrong, 2 not played.
"""

from __future__ import annotations

import argparse
import os
import secrets
import socket
import sys
from contextlib import AbstractContextManager, nullcontext
from ipaddress import ip_address
from pathlib import Path
from urllib.parse import urlsplit

from loadtest.ending import SOLDOUT, WITHOUT_A_LOCK, as_expected, ending, keep
from loadtest.figures import Run
from loadtest.play import NotPlayedError, Rush, play
from loadtest.servers import NotReadyError, Server, peer, soldout
from loadtest.shapes import tickets_for
from service.client.admin_key import NoAdminKey, find_admin_key

SECONDS, SHOW_SECONDS = 60, 12
BESIDES_SECONDS = 5  # to start a server, ask again for what is in doubt, read the books, and stop
REPORTS = Path("reports")


def main(arguments: list[str] | None = None) -> int:
    """Play one rush or two, and return the exit status."""
    options = parse(arguments)
    rush = rush_of(options)
    servers = [WITHOUT_A_LOCK, SOLDOUT] if options.show else [options.host or SOLDOUT]
    announce(rush, servers)
    REPORTS.mkdir(exist_ok=True)
    report = REPORTS / ("show" if options.show else "loadtest")
    log = report.with_suffix(".log")
    log.write_bytes(b"")
    runs: list[Run] = []
    try:
        for name in servers:
            with server_of(name, rush) as server:
                runs.append(play(name, server, rush, log))
    except (NotReadyError, NotPlayedError) as error:
        print(error, file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("\nStopped before its end: nothing is judged.", file=sys.stderr)
        return 2
    kept = keep(runs, report, again(options, rush))
    print(ending(runs, kept, log))
    return 0 if as_expected(runs) else 1


def parse(arguments: list[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m loadtest", description=__doc__)
    parser.add_argument("--users", type=at_least_one, default=200)
    parser.add_argument("--seconds", type=at_least_one, help="60; with --show 12 for each")
    parser.add_argument("--processes", type=int, default=0, help="of locust; 0 is one, undivided")
    target = parser.add_mutually_exclusive_group()
    target.add_argument("--host", type=loopback_url, help="a server on this machine, not our own")
    target.add_argument("--show", action="store_true", help="without a lock first, then soldout")
    options = parser.parse_args(arguments)
    options.seconds = options.seconds or (SHOW_SECONDS if options.show else SECONDS)
    return options


def at_least_one(text: str) -> int:
    """Read a whole number from 1."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text} is not a whole number from 1")
    return int(text)


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


def rush_of(options: argparse.Namespace) -> Rush:
    """Settle what all servers of this run are to meet."""
    return Rush(
        users=options.users,
        seconds=options.seconds,
        processes=options.processes,
        seed=number("SOLDOUT_LOADTEST_SEED") or secrets.randbelow(2**32),
        tickets=number("SOLDOUT_LOADTEST_CAPACITY") or tickets_for(options.users, options.seconds),
    )


def number(variable: str) -> int:
    """Return a number from the environment, or 0 where there is none."""
    text = os.environ.get(variable) or "0"
    if not text.isdecimal():
        print(f"{variable}={text} is not a whole number", file=sys.stderr)
        raise SystemExit(2)
    return int(text)


def announce(rush: Rush, servers: list[str]) -> None:
    """Say what will be done, and how long it takes."""
    seconds = len(servers) * (rush.seconds + BESIDES_SECONDS)
    twice = ", first at a program without a lock, then at soldout" if len(servers) > 1 else ""
    print(
        f"{rush.users} clients for {rush.seconds} s{twice}: about {seconds} s in all. "
        f"SOLDOUT_LOADTEST_SEED={rush.seed}",
        flush=True,
    )


def server_of(name: str, rush: Rush) -> AbstractContextManager[Server]:
    """Start a soldout with nothing in it or the peer, or take the server that is named."""
    if name == SOLDOUT:
        return soldout()
    if name == WITHOUT_A_LOCK:
        return peer(WITHOUT_A_LOCK, "--capacity", str(rush.tickets))
    check_somebody_listens(name)
    return nullcontext(Server(name, pid=0, admin_key=admin_key_here()))


def check_somebody_listens(url: str) -> None:
    """Raise NotReadyError unless there is a server."""
    address = urlsplit(url)
    try:
        socket.create_connection((address.hostname, address.port or 80), timeout=5).close()
    except OSError as error:
        raise NotReadyError(f"Nobody listens at {url}. `make run` starts the service.") from error


def admin_key_here() -> str:
    """Return the key that a service with our settings has, or none: a peer asks for none."""
    try:
        return find_admin_key(os.environ)
    except NoAdminKey:
        return ""


def again(options: argparse.Namespace, rush: Rush) -> str:
    """Return the command that plays the same."""
    words = [f"--users {rush.users} --seconds {rush.seconds}"]
    words += [f"--processes {rush.processes}"] if rush.processes else []
    words += [f"--host {options.host}"] if options.host else []
    target = "show" if options.show else "loadtest"
    setting = f"SOLDOUT_LOADTEST_SEED={rush.seed} SOLDOUT_LOADTEST_CAPACITY={rush.tickets}"
    return f'{setting} make {target} ARGS="{" ".join(words)}"'


if __name__ == "__main__":
    sys.exit(main())
