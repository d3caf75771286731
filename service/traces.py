"""OpenTelemetry spans of purchases, for who has installed `soldout[otel]` and set SOLDOUT_TRACES.

Three spans a purchase, below the one that its `traceparent` names: the request, its wait for a
frame, and the frame's way to a worker and back. The last is as the web process sees it: a worker
settles purchases of many traces as one batch, which `/metrics` takes apart. Spans are made when the
answer is, from times that are taken anyway, so nothing waits for them. Where they go and which
traces are kept, OpenTelemetry's own variables say (OTEL_EXPORTER_OTLP_ENDPOINT and others).
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

from flask import Flask, request
from werkzeug.wrappers import Response

from service.access_log import ID_SHOWN
from service.measures import ASKED, Asked
from workers.metrics import clock_us

if TYPE_CHECKING:  # nobody else has to install it
    from opentelemetry.sdk.trace.export import SpanExporter

SERVICE: Final = "soldout"


class Traces:
    """Makes the spans of one web process, and sends them now and then."""

    def __init__(self, exporter: SpanExporter | None = None) -> None:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import (  # noqa: PLC0415
            OTLPSpanExporter,
        )
        from opentelemetry.sdk.resources import Resource  # noqa: PLC0415
        from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415
        from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415
        from opentelemetry.trace import SpanKind, set_span_in_context  # noqa: PLC0415
        from opentelemetry.trace.propagation.tracecontext import (  # noqa: PLC0415
            TraceContextTextMapPropagator,
        )

        provider = TracerProvider(resource=Resource.create({"service.name": SERVICE}))
        provider.add_span_processor(BatchSpanProcessor(exporter or OTLPSpanExporter()))
        self._tracer = provider.get_tracer(SERVICE)
        self._propagator = TraceContextTextMapPropagator()
        self._server, self._inside = SpanKind.SERVER, set_span_in_context

    def install(self, app: Flask) -> None:
        """Make spans of every purchase of this app."""
        app.after_request(self._tell)

    def _tell(self, response: Response) -> Response:
        asked: Asked | None = request.environ.get(ASKED)
        if asked is not None:
            self._make_spans(asked, response.status_code)
        return response

    def _make_spans(self, asked: Asked, status: int) -> None:
        now_us = clock_us()
        to_wall_ns = time.time_ns() - now_us * 1_000
        headers = {
            name: request.environ[f"HTTP_{name.upper()}"]
            for name in ("traceparent", "tracestate")
            if f"HTTP_{name.upper()}" in request.environ
        }
        attributes: dict[str, str | int] = {
            "http.request.method": request.method,
            "http.route": "/buy",
            "http.response.status_code": status,
            "soldout.outcome": asked.outcome,
        }
        if asked.purchase is not None:
            attributes["soldout.event"] = asked.purchase.event
            attributes["soldout.purchase"] = asked.purchase.id[:ID_SHOWN]
        span = self._tracer.start_span(
            "POST /buy",
            self._propagator.extract(headers),
            self._server,
            attributes,
            start_time=asked.began_us * 1_000 + to_wall_ns,
        )
        receipt = asked.receipt
        if receipt is not None and receipt.settled_us:
            inside = self._inside(span)
            for name, start_us, end_us in (
                ("queue", receipt.handed_us, receipt.sent_us),
                ("settle", receipt.sent_us, receipt.settled_us),
            ):
                part = self._tracer.start_span(
                    name, inside, start_time=start_us * 1_000 + to_wall_ns
                )
                part.end(end_us * 1_000 + to_wall_ns)
        span.end(now_us * 1_000 + to_wall_ns)
