"""Figures as Prometheus reads them: its text format, version 0.0.4."""

from collections.abc import Iterable, Mapping
from enum import Enum
from typing import Final

from usbmux.values import frozen

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
_ESCAPED: Final = str.maketrans({"\\": r"\\", "\n": r"\n", '"': r"\""})


class MetricKind(Enum):
    """How a figure moves."""

    COUNTER = "counter"
    """Only up, from 0 at the start of the daemon."""
    GAUGE = "gauge"


@frozen
class Sample:
    """One figure."""

    value: float
    labels: Mapping[str, str]
    """What tells it from the others of its metric."""


@frozen
class Metric:
    """Figures of one meaning."""

    name: str
    kind: MetricKind
    text: str
    """What they mean: one line, without a backslash."""
    samples: tuple[Sample, ...]


def expose(metrics: Iterable[Metric]) -> bytes:
    """The document."""
    return "".join(line for metric in metrics for line in _lines(metric)).encode("utf-8", "replace")


def _lines(metric: Metric) -> Iterable[str]:
    yield f"# HELP {metric.name} {metric.text}\n"
    yield f"# TYPE {metric.name} {metric.kind.value}\n"
    for sample in metric.samples:
        labels = ",".join(f'{name}="{value.translate(_ESCAPED)}"' for name, value in sample.labels.items())
        yield f"{metric.name}{{{labels}}} {sample.value}\n" if labels else f"{metric.name} {sample.value}\n"
