"""How every process of the service logs: one format on standard error, for people or for machines.

On a terminal a line is text, elsewhere it is a JSON object: `at`, `level`, `process`, `pid`,
`message`. The only other lines are a person's at the command line: why it does not start.
"""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import MutableMapping
from datetime import UTC, datetime
from typing import Any, Final, Literal

import msgspec
import structlog
from structlog.stdlib import ProcessorFormatter

from workers.processes import title

Format = Literal["auto", "json", "text"]

_FIRST: Final = ("at", "level", "process", "pid", "message")

_encode = msgspec.json.Encoder().encode


def is_json(wanted: Format) -> bool:
    """Say whether lines are JSON; if nothing else is wanted, where no terminal shows them."""
    return wanted == "json" or (wanted == "auto" and not sys.stderr.isatty())


def start_logging(wanted: Format) -> None:
    """Log in this format from now on, and in all processes that are forked from this one."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_formatter(wanted))
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(logging.INFO)


def _formatter(wanted: Format) -> ProcessorFormatter:
    render: list[Any] = [
        structlog.dev.ConsoleRenderer(
            colors=sys.stderr.isatty(),
            event_key="message",
            timestamp_key="at",
            exception_formatter=structlog.dev.plain_traceback,
        )
    ]
    if is_json(wanted):
        render = [structlog.processors.format_exc_info, _in_order, _to_json]
    return ProcessorFormatter(
        foreign_pre_chain=[
            structlog.stdlib.add_log_level,
            _add_moment_and_process,
        ],
        processors=[
            ProcessorFormatter.remove_processors_meta,
            structlog.processors.EventRenamer("message"),  # "event" is what is on sale
            *render,
        ],
    )


def _add_moment_and_process(
    _logger: object, _method: str, line: MutableMapping[str, Any]
) -> MutableMapping[str, Any]:
    now = datetime.now(UTC).replace(tzinfo=None)
    line["at"] = f"{now.isoformat(timespec='milliseconds')}Z"
    line["process"], line["pid"] = title(), os.getpid()
    return line


def _in_order(
    _logger: object, _method: str, line: MutableMapping[str, Any]
) -> MutableMapping[str, Any]:
    return {name: line[name] for name in _FIRST if name in line} | dict(line)


def _to_json(_logger: object, _method: str, line: MutableMapping[str, Any]) -> str:
    try:
        return _encode(line).decode()
    except UnicodeEncodeError:  # a file's name that is no UTF-8
        return _encode({name: _printable(value) for name, value in line.items()}).decode()


def _printable(value: Any) -> Any:
    return value.encode(errors="replace").decode() if isinstance(value, str) else value
