"""All rows of the table, in the order in which they are printed."""

from collections.abc import Iterator
from typing import Final

from bench.figure import Figure
from bench.link import LINKS, USB_2, USB_3, Link
from bench.row import CommandRow, HeldRow, PlugRow, RequestRow, Row, StartRow, StreamRow

_LENGTHS: Final = {"1.5K": 1536, "4K": 4096, "16K": 16384, "64K": 65536}
_HEADERS: Final = 36
_SHORTER: Final = 4
_TIMES_OUT_S: Final = 5.0
"""No daemon here waits longer for what a phone owes it."""
PACKETS: Final = {name: length - _SHORTER - _HEADERS for name, length in _LENGTHS.items()}
"""Names and payloads of the phone's packets; with their headers they are 4 bytes shorter than their names say, so
that no empty USB packet is due after them."""


def all_rows(quick: bool = False) -> list[Row]:
    """Every row; `quick` leaves out some of the links and packets, and pauses less."""
    return [*_streams(quick), *_many(), *_requests(), *_processes(quick)]


def _streams(quick: bool) -> Iterator[Row]:
    for link in LINKS:
        packets = ("4K", "64K") if quick else tuple(PACKETS)
        for packet in packets:
            yield _stream("receive", link, packet)
        yield StreamRow(f"send-{link.name}", "send", link, _stream_figures("send", link), PACKETS["16K"])
        for packet in ("64K",) if quick else packets:
            yield _stream("duplex", link, packet)


def _stream(mode: str, link: Link, packet: str) -> StreamRow:
    is_small = link is USB_2 and packet in ("1.5K", "4K")
    figures = _stream_figures(mode, link, is_small=is_small)
    return StreamRow(f"{mode}-{link.name}-{packet}", mode, link, figures, PACKETS[packet])


def _stream_figures(mode: str, link: Link, *, is_small: bool = False) -> tuple[Figure, ...]:
    rate, cpu = 1.0, 1.0
    if link is USB_3 and mode == "receive":
        rate = 1.35
    if link is USB_3 and mode == "send":
        cpu = 1.1
    if is_small:
        cpu = 1.3
    return (_rate(rate), _cpu(cpu))


def _rate(target: float) -> Figure:
    return Figure("rate", "MB/s", is_more_better=True, ratio_target=target, digits=1)


def _cpu(target: float) -> Figure:
    return Figure("cpu", "s/GiB", ratio_target=target, digits=3)


def _many() -> Iterator[Row]:
    fairness = Figure("fairness", "", is_more_better=True, own_target=0.99, digits=4)
    for mode in ("receive", "send"):
        figures = (_rate(1.0), _cpu(0.5), fairness)
        yield StreamRow(f"{mode}-400-200x", mode, USB_3, figures, PACKETS["16K"], connections=200)
    yield StreamRow("slow-reader-400", "receive", USB_3, (_cpu(1.0),), PACKETS["64K"], pace=30_000_000)


def _requests() -> Iterator[Row]:
    middle = Figure("p50", "us", ratio_target=1.0, digits=1)
    slow = Figure("p99", "us", ratio_target=1.1, digits=1)
    cpu = Figure("cpu", "us", digits=1)
    for name, size in (("1", 1), ("64", 64), ("100k", 100_000)):
        yield RequestRow(f"echo-{name}", ("echo", f"size={size}"), (middle, slow, cpu))
    yield RequestRow("echo-64-50x", ("echo", "size=64", "connections=50"), (_per_second(0.6), cpu))
    slow = Figure("p99", "us", digits=1)
    for form in ("plist", "binary"):
        load = ("connects", f"binary={int(form == 'binary')}")
        yield RequestRow(f"connects-{form}", load, (_per_second(0.9), slow, cpu))
    yield RequestRow("list-fresh", ("lists", "kept=0"), (_per_second(0.8), cpu))
    yield RequestRow("list-kept", ("lists", "kept=1"), (_per_second(0.8), cpu))
    yield RequestRow("list-400-listeners", ("lists", "kept=0", "listeners=400"), (_per_second(2.0), cpu))


def _per_second(target: float) -> Figure:
    return Figure("rate", "/s", is_more_better=True, ratio_target=target, digits=0)


def _processes(quick: bool) -> Iterator[Row]:
    yield HeldRow("memory-idle", ("connections=0",), (Figure("memory", "MB", own_target=32, digits=1),))
    more = Figure("more", "MB", own_target=1, digits=2)
    yield HeldRow("memory-200x", ("connections=200",), (more,))
    all_memory = Figure("memory", "MB", own_target=60, digits=1)
    yield HeldRow("memory-500-listeners", ("connections=0", "listeners=500"), (all_memory,))
    one_window = Figure("more", "MB", own_target=0.3, digits=2)
    yield HeldRow("memory-slow-reader", ("connections=1", "port=1"), (one_window,), USB_2)
    figures = (Figure("cpu", "us/s", own_target=0, digits=1), Figure("wakes", "/s", own_target=0, digits=1))
    yield HeldRow("idle", ("connections=200",), figures, pause_s=2 if quick else 10, settle_s=_TIMES_OUT_S)
    yield StartRow("start", (Figure("ready", "ms", own_target=250, digits=0),))
    yield CommandRow("start-list", (Figure("list", "ms", own_target=100, digits=0),))
    yield PlugRow("plug", (Figure("attached", "ms", ratio_target=1.2, digits=2), Figure("slowest", "ms", digits=2)))
