"""What a daemon tells of itself in figures; their list is in docs/admin.md."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from enum import Enum
from typing import Final, TypeVar

from usbmux.admin.message import ClientActivity, PhoneState
from usbmux.daemon.admission import Refusal
from usbmux.daemon.counts import ConnectResult, Counts, RecordAction, RecordResult, Traffic
from usbmux.daemon.exposition import Metric, MetricKind, Sample
from usbmux.values import frozen

E = TypeVar("E", bound=Enum)
Figures = Iterable[tuple[float, Mapping[str, str]]]
_NO_LABELS: Final[Mapping[str, str]] = {}


@frozen
class Snapshot:
    """The daemon at one moment."""

    version: str
    started_at: float
    """Seconds since 1970."""
    phones: Counter[PhoneState]
    clients: Counter[ClientActivity]
    streams: tuple[Traffic, ...]
    """Those that are open."""
    now: float
    """Of the clock that times their waits."""
    refused: Counter[Refusal]
    without_descriptor: int
    """Newcomers that found no descriptor left."""
    counts: Counts


def metrics_of(snapshot: Snapshot) -> tuple[Metric, ...]:
    """All of them. A label that has few values is there with each of them from the start."""
    return (
        _gauge("process_start_time_seconds", "When the daemon started, in seconds since 1970.", snapshot.started_at),
        _metric(
            "usbmux_build_info",
            MetricKind.GAUGE,
            "Always 1; the label has the version.",
            [(1, {"version": snapshot.version})],
        ),
        *_of_now(snapshot),
        *_of_streams(snapshot),
        *_of_phones(snapshot),
        *_of_clients(snapshot),
    )


def _of_now(snapshot: Snapshot) -> Iterator[Metric]:
    streams = Counter(stream.udid for stream in snapshot.streams)
    kind = MetricKind.GAUGE
    yield _metric("usbmux_phones", kind, "Phones that are plugged in.", _by("state", PhoneState, snapshot.phones))
    yield _metric("usbmux_clients", kind, "Open clients.", _by("what", ClientActivity, snapshot.clients))
    yield _metric(
        "usbmux_streams",
        kind,
        "Open streams to ports of the phone.",
        [(count, {"udid": udid}) for udid, count in streams.items()],
    )


def _of_streams(snapshot: Snapshot) -> Iterator[Metric]:
    kind, stalls = MetricKind.COUNTER, replace(snapshot.counts.stalls)
    for stream in snapshot.streams:
        stalls.add(stream, snapshot.now)
    connects = _by("result", ConnectResult, snapshot.counts.connects)
    yield _metric("usbmux_connects_total", kind, "Requests for a connection to a phone that were answered.", connects)
    yield _metric(
        "usbmux_stalls_total",
        kind,
        "Waits of at least 0.1 s: for room in the window of a phone, or for a client that does not take.",
        [(stalls.phone_stalls, {"waited_for": "phone"}), (stalls.client_stalls, {"waited_for": "client"})],
    )
    yield _metric(
        "usbmux_stalled_seconds_total",
        kind,
        "Length of these waits.",
        [(stalls.phone_stalled_s, {"waited_for": "phone"}), (stalls.client_stalled_s, {"waited_for": "client"})],
    )


def _of_phones(snapshot: Snapshot) -> Iterator[Metric]:
    counts, kind = snapshot.counts, MetricKind.COUNTER
    phones = counts.phones_with(snapshot.streams)
    yield _metric(
        "usbmux_attaches_total",
        kind,
        "How often the phone was attached.",
        [(phone.attached, {"udid": udid}) for udid, phone in phones.items()],
    )
    yield _metric(
        "usbmux_stream_bytes_total",
        kind,
        "Bytes of clients' data that crossed.",
        [
            figure
            for udid, phone in phones.items()
            for figure in (
                (phone.bytes_to_phone, {"udid": udid, "direction": "to_phone"}),
                (phone.bytes_from_phone, {"udid": udid, "direction": "from_phone"}),
            )
        ],
    )
    yield _counter(
        "usbmux_phone_failures_total", "A phone could not be opened, or its link broke.", counts.phone_failures
    )
    yield _counter(
        "usbmux_resynchronisations_total", "Links that began anew amid their life.", counts.resynchronisations
    )
    yield _counter("usbmux_ignored_packets_total", "Packets of phones that belong to nothing.", counts.ignored_packets)


def _of_clients(snapshot: Snapshot) -> Iterator[Metric]:
    kind = MetricKind.COUNTER
    yield _metric(
        "usbmux_refused_clients_total",
        kind,
        "Newcomers that were closed at once.",
        [*_by("limit", Refusal, snapshot.refused), (snapshot.without_descriptor, {"limit": "descriptors"})],
    )
    yield _metric(
        "usbmux_pair_record_requests_total",
        kind,
        "Requests about pair records that were answered.",
        [
            (snapshot.counts.pair_records[action, result], {"action": action.value, "result": result.value})
            for action in RecordAction
            for result in RecordResult
        ],
    )


def _by(label: str, kind: type[E], counts: Counter[E]) -> list[tuple[float, dict[str, str]]]:
    return [(counts[value], {label: str(value.value)}) for value in kind]


def _metric(name: str, kind: MetricKind, text: str, figures: Figures) -> Metric:
    return Metric(name, kind, text, tuple(Sample(value, labels) for value, labels in figures))


def _counter(name: str, text: str, value: float) -> Metric:
    return _metric(name, MetricKind.COUNTER, text, [(value, _NO_LABELS)])


def _gauge(name: str, text: str, value: float) -> Metric:
    return _metric(name, MetricKind.GAUGE, text, [(value, _NO_LABELS)])
