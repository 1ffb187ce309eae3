from __future__ import annotations

from dataclasses import dataclass, field

from usbmux.daemon.counts import COUNTED_PHONES, Counts, PhoneCounts
from usbmux.daemon.stalls import Stalls


@dataclass
class FixedTraffic:
    udid: str
    bytes_to_phone: int = 0
    bytes_from_phone: int = 0
    phone_stalls: Stalls = field(default_factory=lambda: Stalls(lambda: 0.0))
    client_stalls: Stalls = field(default_factory=lambda: Stalls(lambda: 0.0))


def test_phone_is_attached_again_and_again_it_is_counted() -> None:
    counts = Counts()
    assert [counts.phone_attached(udid, 0.0) for udid in ("A", "B", "A", "A")] == [1, 1, 2, 3]
    assert counts.phones == {"B": PhoneCounts(attached=1), "A": PhoneCounts(attached=3)}


def test_phones_are_too_many_the_one_attached_longest_ago_is_forgotten() -> None:
    counts = Counts()
    for number in range(COUNTED_PHONES):
        counts.phone_attached(str(number), 0.0)
    counts.phone_attached("0", 0.0)
    counts.phone_attached("one more", 0.0)
    assert len(counts.phones) == COUNTED_PHONES
    assert "1" not in counts.phones
    assert counts.phones["0"].attached == 2


def test_stream_ended_its_bytes_and_waits_stay() -> None:
    counts = Counts()
    counts.phone_attached("A", 0.0)
    waiting = FixedTraffic("A", 3, 5)
    waiting.phone_stalls.begin()
    counts.stream_ended(waiting, 2.0)
    waiting.client_stalls.begin()
    counts.stream_ended(waiting, 4.0)
    assert counts.phones["A"] == PhoneCounts(1, 6, 10)
    stalls = counts.stalls
    assert (stalls.phone_stalls, stalls.phone_stalled_s) == (2, 6.0)
    assert (stalls.client_stalls, stalls.client_stalled_s) == (1, 4.0)


def test_phone_is_attached_again_reconnects_of_the_last_hour_are_known() -> None:
    counts = Counts()
    for now in (0.0, 60.0, 1800.0):
        counts.phone_attached("A", now)
    assert [counts.phones["A"].reconnects.count(now) for now in (1800.0, 3700.0, 5400.0)] == [2, 1, 0]


def test_streams_are_open_their_bytes_are_added_for_now_only() -> None:
    counts = Counts()
    counts.phone_attached("A", 0.0)
    counts.stream_ended(FixedTraffic("A", 1, 2), 0.0)
    streams = [FixedTraffic("A", 10, 20), FixedTraffic("B", 5, 5), FixedTraffic("A", 100, 200)]
    assert counts.phones_with(streams) == {"A": PhoneCounts(1, 111, 222)}
    assert counts.phones == {"A": PhoneCounts(1, 1, 2)}


def test_stream_of_a_forgotten_phone_ended_nobody_minds() -> None:
    counts = Counts()
    counts.stream_ended(FixedTraffic("A", 3, 5), 0.0)
    assert counts.phones == {}
