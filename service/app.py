"""The Flask application of one web process: `create_app` is the only place that wires it."""

from __future__ import annotations

import os

from flask import Flask

from service import (
    admin,
    events,
    health,
    live,
    metrics,
    office,
    openapi,
    pages,
    problems,
    purchases,
    wire,
)
from service.access_log import AccessLog
from service.desk import Desk
from service.lean import LeanFlask
from service.measures import Measures
from service.now import Watch
from service.shown import Shown
from service.stores import open_store
from service.streams import Streams
from service.traces import Traces
from workers.settings import Settings, read_admin_keys, read_settings


def create_app(settings: Settings | None = None) -> Flask:
    """Return the application, with its courier started and its ledger open. Call it after any fork.

    Raises BadSetting or BootFailed.
    """
    settings = settings or read_settings(os.environ)
    measures = Measures(settings)
    store = open_store(settings, measures.slot)
    reader, carrier = store.reader, store.carrier
    shown = Shown(reader)
    store = store._replace(reader=shown)
    desk = Desk(settings, carrier)
    keys = admin.Keys(read_admin_keys(settings))

    app = LeanFlask(__name__, static_folder=None)
    app.config["MAX_CONTENT_LENGTH"] = wire.BODY_MAX_BYTES
    app.extensions["carrier"] = carrier  # for the web process, which does not leave before it
    app.extensions["reader"] = reader  # for the web process, which lets go of it when it leaves
    app.extensions["measures"] = measures  # for the web process, which knows its number
    if settings.traces == "otlp":
        Traces().install(app)
    if settings.access_log:
        AccessLog(settings).install(app)
    problems.install(app, measures.slot)
    app.register_blueprint(
        purchases.blueprint(desk, reader, shown, measures, settings.server_timing)
    )
    app.register_blueprint(events.blueprint(shown))
    streams = Streams(shown, settings.streams_max, app.logger)
    app.extensions["streams"] = streams  # for the web process, which ends them when it leaves
    board = live.Board(reader, lambda: store.settled() + shown.reads)
    app.register_blueprint(live.blueprint(board, streams))
    app.register_blueprint(pages.blueprint(shown, board.recent))
    app.register_blueprint(openapi.blueprint())
    app.register_blueprint(health.blueprint(health.Readiness(desk)))
    app.register_blueprint(admin.blueprint(desk, shown, keys, store.workers))
    watch = Watch(settings, store, desk)
    app.register_blueprint(office.blueprint(watch, shown, board.recent, keys.check))
    exporter = metrics.Exporter(settings, store, measures.slot)
    app.register_blueprint(metrics.blueprint(exporter, settings, keys.check))

    return app
