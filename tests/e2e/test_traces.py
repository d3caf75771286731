"""OpenTelemetry: the spans of a purchase arrive at a collector, below the client's own."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
import requests
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from tests.harness import Soldout, ended, wait_until
from workers.errors import BadSetting
from workers.premises import check_traces
from workers.settings import read_settings

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
PARENT = "00f067aa0ba902b7"


@contextmanager
def collector() -> Iterator[tuple[str, list[Any]]]:
    """Take spans as an OTLP collector does; yield its address and what came."""
    spans: list[Any] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
                for scope in resource.scope_spans:
                    spans.extend(scope.spans)
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}", spans
        finally:
            server.shutdown()
            thread.join()


def buy(service: Soldout, sampled: str) -> requests.Response:
    return requests.post(
        f"{service.url}/buy",
        json={"event": "gala", "quantity": 2},
        headers={"traceparent": f"00-{TRACE}-{PARENT}-{sampled}"},
        timeout=10,
    )


def test_a_purchase_is_followed_through_web_queue_and_worker(tmp_path: Path) -> None:
    with collector() as (url, spans), ended(Soldout(tmp_path / "data", traces="otlp")) as service:
        service.env |= {"OTEL_EXPORTER_OTLP_ENDPOINT": url, "OTEL_BSP_SCHEDULE_DELAY": "100"}
        service.start()
        service.put_event("gala", capacity=3)
        assert buy(service, "00").status_code == 201  # whose client keeps no trace of it
        assert buy(service, "01").status_code == 409
        wait_until(lambda: len(spans) >= 3, 10, service.log)
        assert service.terminate() == 0
    by_name = {span.name: span for span in spans}
    assert len(spans) == len(by_name) == 3
    whole, queue, settle = (by_name[name] for name in ("POST /buy", "queue", "settle"))
    assert {span.trace_id.hex() for span in spans} == {TRACE}
    assert whole.parent_span_id.hex() == PARENT
    assert queue.parent_span_id == settle.parent_span_id == whole.span_id
    moments = [
        *(whole.start_time_unix_nano, queue.start_time_unix_nano, queue.end_time_unix_nano),
        *(settle.start_time_unix_nano, settle.end_time_unix_nano, whole.end_time_unix_nano),
    ]
    assert moments == sorted(moments)
    assert moments[2] == moments[3]
    said = {a.key: a.value.string_value or a.value.int_value for a in whole.attributes}
    assert said["soldout.outcome"] == "sold-out"
    assert said["soldout.event"] == "gala"
    assert said["http.response.status_code"] == 409


def test_a_collector_that_is_gone_costs_no_sale(tmp_path: Path) -> None:
    with ended(Soldout(tmp_path / "data", traces="otlp")) as service:
        service.env["OTEL_EXPORTER_OTLP_ENDPOINT"] = "http://127.0.0.1:9"
        service.start()
        service.put_event("gala", capacity=3)
        assert buy(service, "01").status_code == 201
        assert service.terminate() == 0


def test_without_what_it_needs_the_start_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    check_traces(read_settings({"SOLDOUT_TRACES": "otlp"}))
    monkeypatch.setattr("workers.premises.find_spec", lambda _: None)
    check_traces(read_settings({}))
    with pytest.raises(BadSetting, match=r"pip install 'soldout\[otel\]'"):
        check_traces(read_settings({"SOLDOUT_TRACES": "otlp"}))
