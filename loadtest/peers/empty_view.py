"""The ceiling: a Flask view that sells nothing and says 201, under gunicorn's own gevent worker.

In: any `POST /buy`, unread, or `GET /remaining`. Out: a small JSON body; `GET /readyz` tells that
it is up.
"""

from __future__ import annotations

from flask import Flask


def create_app() -> Flask:
    """Return the app for gunicorn, which serves it with the settings of soldout's own web."""
    app = Flask(__name__)

    @app.post("/buy")
    def buy() -> tuple[dict[str, str], int]:
        return {"status": "sold"}, 201

    @app.get("/remaining")
    def remaining() -> dict[str, int]:
        return {"remaining": 1}

    @app.get("/readyz")
    def ready() -> dict[str, str]:
        return {"status": "ready"}

    return app
