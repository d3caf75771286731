"""The Flask application of one web process: `create_app` is the only place that wires it."""

from __future__ import annotations

import os
import socket

from flask import Flask

from service import admin, events, health, live, problems, purchases, wire
from service.desk import Desk
from service.lean import LeanFlask
from workers.handoffs.courier import Courier
from workers.handoffs.unix_socket import UnixLane
from workers.hearts import Hearts
from workers.ledgers.sqlite_reader import SqliteReader
from workers.settings import Settings, read_admin_keys, read_settings


def create_app(settings: Settings | None = None) -> Flask:
    """Return the application, with its courier started and its ledger open. Call it after any fork.

    Raises BadSetting or BootFailed.
    """
    settings = settings or read_settings(os.environ)
    reader = SqliteReader(settings.ledger_path)
    lanes = [UnixLane(settings.run_path, worker) for worker in range(1, settings.workers + 1)]
    courier = Courier(lanes, max_in_flight=settings.max_in_flight, frame_max=settings.batch_max)
    courier.start()
    desk = Desk(settings, courier)
    keys = admin.Keys(read_admin_keys(settings))
    hearts = Hearts(settings.run_path / "hearts", settings.workers)

    app = LeanFlask(__name__, static_folder=None)
    app.config["MAX_CONTENT_LENGTH"] = wire.BODY_MAX_BYTES
    app.extensions["courier"] = courier  # for the web process, which does not leave before it
    problems.install(app)
    app.register_blueprint(purchases.blueprint(desk, reader))
    app.register_blueprint(events.blueprint(reader))
    app.register_blueprint(live.blueprint(live.Board(reader, courier)))
    app.register_blueprint(health.blueprint(health.Readiness(desk)))
    app.register_blueprint(admin.blueprint(desk, reader, keys, hearts, socket.gethostname()))

    return app
