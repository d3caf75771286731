"""One more web process of a service that runs, here, in the test's own process."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager

import gevent
from flask import Flask

from service.app import create_app
from tests.harness import Soldout
from workers.settings import read_settings


def greenlets() -> list[gevent.Greenlet]:
    """Return all that there are: they live as long as a process, and nobody keeps them."""
    return [found for found in gc.get_objects() if isinstance(found, gevent.Greenlet)]


@contextmanager
def application(service: Soldout) -> Iterator[Flask]:
    """Give the application; end its greenlets and close its sockets when the block is left."""
    others = set(greenlets())
    app = create_app(read_settings(service.env))
    try:
        yield app
    finally:
        gevent.killall([found for found in greenlets() if found not in others])
        for lane in app.extensions["carrier"]._lanes:
            lane.close()
