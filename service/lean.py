"""A Flask that leaves out, through the hooks it has for that, what no request here needs.

Nobody logs in, so there is no session; no view is a coroutine; no route depends on a subdomain.
Together this is a fifth of an empty view's cost.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from flask import Flask, Request, Response
from flask.sessions import NullSession, SessionInterface, SessionMixin
from flask.signals import request_tearing_down
from flask.typing import ResponseReturnValue
from werkzeug.routing import MapAdapter

from service.answers import Answer


class NoSessions(SessionInterface):
    """One empty session serves all requests."""

    _empty = NullSession()

    def open_session(self, app: Flask, request: Request) -> NullSession:  # noqa: ARG002 - Flask's signature
        """Return the empty session."""
        return self._empty

    def save_session(self, app: Flask, session: SessionMixin, response: Response) -> None:
        """Keep nothing."""


class LeanFlask(Flask):
    """Flask without sessions, coroutines and subdomains."""

    response_class = Answer
    session_interface = NoSessions()

    def create_url_adapter(self, request: Request | None) -> MapAdapter | None:
        """Bind the routes to a request by what it says itself; its host plays no part in them."""
        if request is None:
            return None
        return MapAdapter(
            self.url_map,
            server_name=request.environ.get("HTTP_HOST", "localhost"),  # for redirects
            script_name=request.root_path or "/",
            subdomain="",
            url_scheme=request.scheme,
            path_info=request.path,
            default_method=request.method,
            query_args=request.query_string.decode("latin1"),
        )

    def preprocess_request(self) -> ResponseReturnValue | None:
        """Call what was registered to go before views, if there is any."""
        if self.url_value_preprocessors or self.before_request_funcs:
            return super().preprocess_request()
        return None

    def process_response(self, response: Response) -> Response:
        """Call what was registered to go after views, if there is any; no session is to be kept."""
        return super().process_response(response) if self.after_request_funcs else response

    def do_teardown_request(self, exc: BaseException | None = None) -> None:
        """Call what was registered for the end of requests, if there is any."""
        if self.teardown_request_funcs or request_tearing_down.receivers:
            super().do_teardown_request(exc)

    def ensure_sync(self, func: Callable[..., Any]) -> Callable[..., Any]:
        """Return the function as it is; Flask looks at every call whether it is a coroutine."""
        return func
