"""HTTP: calls go out, as often as patience allows; answers of success come in, or errors."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import urljoin, urlsplit

import requests
from requests.auth import AuthBase
from urllib3.exceptions import HTTPError, NewConnectionError

from service.client.answers import failure, unexpected
from service.client.calls import Call
from service.client.errors import Unavailable
from service.client.patience import Patience

CONNECT_TIMEOUT_SECONDS = 3.0  # long enough for one lost SYN, which is sent again after 1 s
CSV_CHUNK_BYTES = 64 * 1024
STREAM_CHUNK_BYTES = 64 * 1024  # at most; less as soon as there is any

_LOST = (
    requests.ConnectionError,
    requests.Timeout,
    requests.exceptions.ChunkedEncodingError,
    requests.exceptions.ContentDecodingError,
)


class _Bearer(AuthBase):
    """Sends the administration's key, or none. Set even for none: requests else asks ~/.netrc."""

    def __init__(self, key: str | None) -> None:
        self._key = key

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        if self._key is not None:
            request.headers["Authorization"] = f"Bearer {self._key}"
        return request


class Transport:
    """The connections to one service. Raises ValueError if `base_url` is no address."""

    def __init__(self, base_url: str, admin_key: str | None, timeout_seconds: float) -> None:
        self.base_url = _checked_address(base_url)
        self._admin = _Bearer(admin_key)
        self._public = _Bearer(None)
        self._timeout_seconds = timeout_seconds
        self._session = requests.Session()
        for header in ("Accept", "Content-Type"):
            self._session.headers[header] = "application/json"
        self._session.headers["User-Agent"] = "soldout-client"

    def close(self) -> None:
        """Close the connections."""
        self._session.close()

    def ask(self, call: Call, patience: Patience) -> requests.Response:
        """Send `call` until it is answered or `patience` ends; return an answer of success."""
        reached = False
        while True:
            try:
                return self._attempt(call)
            except Unavailable as fault:
                fault.reached = reached = reached or fault.reached
                if not patience.pause(fault.retry_after_seconds):
                    raise

    def export(self, call: Call, patience: Patience) -> Iterator[bytes]:
        """Yield what `call` is answered in pieces. Raises `Unavailable` also in the middle."""
        with self.ask(call, patience) as answer:
            try:
                yield from answer.iter_content(CSV_CHUNK_BYTES)
            except _LOST as error:
                raise Unavailable(f"the export was cut: {_root_cause(error)}") from error

    def listen(self, call: Call, patience: Patience) -> Iterator[bytes]:
        """Yield what `call` is answered as it arrives. Raises `Unavailable` when it is cut."""
        with self.ask(call, patience) as answer:
            if not answer.headers.get("Content-Type", "").startswith("text/event-stream"):
                raise unexpected(answer, "is no stream")
            try:
                while piece := answer.raw.read1(STREAM_CHUNK_BYTES):
                    yield piece
            except (*_LOST, HTTPError, OSError) as error:
                raise Unavailable(f"the stream was cut: {_root_cause(error)}") from error

    def own_path(self, answer: requests.Response, link: str) -> str:
        """Return what follows the base address in `link`: the key goes to no other server."""
        url = urljoin(answer.url, link)
        if not url.startswith(self.base_url + "/"):
            raise unexpected(answer, f"leads to another server, {url}")
        return url.removeprefix(self.base_url)

    def _attempt(self, call: Call) -> requests.Response:
        try:
            answer = self._session.request(
                call.method,
                self.base_url + call.path,
                params=call.params,
                data=call.body,
                headers=call.headers,
                auth=self._admin if call.admin else self._public,
                timeout=(
                    min(CONNECT_TIMEOUT_SECONDS, self._timeout_seconds),
                    self._timeout_seconds + call.wait_seconds,
                ),
                allow_redirects=False,  # a redirect may turn a purchase into a GET
                stream=call.stream,
            )
        except _LOST as error:
            reason = f"cannot reach {self.base_url}: {_root_cause(error)}"
            raise Unavailable(reason, reached=_may_have_arrived(error)) from error
        if 200 <= answer.status_code < 300:
            return answer
        raise failure(answer)


def _checked_address(url: str) -> str:
    try:
        parts = urlsplit(url)
        good = parts.scheme in {"http", "https"} and parts.hostname and parts.port != 0
    except ValueError:  # of a port that is no number
        good = False
    if not good:
        raise ValueError(f"not an address like http://127.0.0.1:8000: {url!r}")
    return url.rstrip("/")


def _may_have_arrived(error: requests.RequestException) -> bool:
    """Say whether the service may have read the request before the connection failed."""
    reason = getattr(error.args[0], "reason", None) if error.args else None
    return not isinstance(error, requests.ConnectTimeout) and not isinstance(
        reason, NewConnectionError
    )


def _root_cause(error: BaseException) -> str:
    """Return the system's own words, from below the layers that wrapped them."""
    while (inner := error.__cause__ or error.__context__) is not None:
        error = inner
    return str(getattr(error, "strerror", None) or error)
