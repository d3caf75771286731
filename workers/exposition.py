"""Prometheus' text format, version 0.0.4: families of samples in, the page that is scraped out.

https://prometheus.io/docs/instrumenting/exposition_formats/
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import accumulate
from typing import Final, Literal, NamedTuple

MEDIA_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"

Kind = Literal["counter", "gauge", "histogram"]


class Sample(NamedTuple):
    """One value, with its labels; `suffix` follows the family's name."""

    value: float
    labels: Mapping[str, str] = {}
    suffix: str = ""


class Family(NamedTuple):
    """Samples of one name. A counter's name stands here without `_total`."""

    name: str
    kind: Kind
    meaning: str
    samples: Sequence[Sample]


def gauge(name: str, meaning: str, value: float, **labels: str) -> Family:
    """Return a family of one value that may go up and down."""
    return Family(name, "gauge", meaning, [Sample(value, labels)])


def histogram_samples(bounds: Sequence[float], buckets: Sequence[int], sum_: float) -> list[Sample]:
    """Return a histogram's samples; `buckets` has one more than `bounds`, and is not cumulative."""
    edges = [*(repr(float(bound)) for bound in bounds), "+Inf"]
    counts = list(accumulate(buckets))
    found = [
        Sample(count, {"le": edge}, "_bucket") for edge, count in zip(edges, counts, strict=True)
    ]
    return [*found, Sample(sum_, {}, "_sum"), Sample(counts[-1], {}, "_count")]


def write(families: Iterable[Family]) -> bytes:
    """Return the page. A family without samples is left out."""
    return "".join(line for family in families for line in _lines(family)).encode()


def _lines(family: Family) -> Iterator[str]:
    if not family.samples:
        return
    suffix = "_total" if family.kind == "counter" else ""
    name = family.name + suffix
    yield f"# HELP {name} {_escape(family.meaning)}\n# TYPE {name} {family.kind}\n"
    for sample in family.samples:
        labels = ",".join(f'{key}="{_quote(text)}"' for key, text in sample.labels.items())
        yield f"{name}{sample.suffix}{f'{{{labels}}}' if labels else ''} {_number(sample.value)}\n"


def _number(value: float) -> str:
    return str(int(value)) if value == int(value) else repr(value)


def _escape(text: str) -> str:
    return text.replace("\\", r"\\").replace("\n", r"\n")


def _quote(text: str) -> str:
    return _escape(text).replace('"', r"\"")
