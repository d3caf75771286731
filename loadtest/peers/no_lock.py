"""The ticket file without its lock. It sells the last ticket twice; the load test must find that.

Start: `python -m loadtest.peers.no_lock --port 8001 --capacity 100`; end it by its process id.
"""

from __future__ import annotations

from contextlib import nullcontext

from flask import Flask

from loadtest.peers import ticket_file


def create_app() -> Flask:
    """Return the app for gunicorn, with nothing between look and buy."""
    return ticket_file.create_app(lock=nullcontext)


if __name__ == "__main__":
    ticket_file.serve("loadtest.peers.no_lock")
