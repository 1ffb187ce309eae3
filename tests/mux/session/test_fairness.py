"""Many connections over one link: those that send little do not wait, and those that send much get the same."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import pytest

from tests.support.timed_link import TimedLink
from usbmux.mux.settings import MuxSettings
from usbmux.testing.options import PhoneOptions

if TYPE_CHECKING:
    from usbmux.mux.connection import TcpConnection
    from usbmux.testing.device_connection import DeviceConnection

RATE = 40e6
TRANSFER_S = 20e-6
PACKET_S = MuxSettings().max_packet_length / RATE + TRANSFER_S
SINK, SOURCE, DEAF = 1, 2, 3
PLENTY = bytes(1 << 20)
LOOK_S = 1e-5


class Sink:
    """Reads all, and remembers how much has come on which connection."""

    def __init__(self) -> None:
        self.counts: dict[int, int] = {}

    def __call__(self, connection: DeviceConnection) -> None:
        count = len(connection.read(connection.unread_length))
        self.counts[connection.host_port] = self.counts.get(connection.host_port, 0) + count


class Source:
    """Sends without end."""

    def __call__(self, connection: DeviceConnection) -> None:
        if connection.unsent_length < len(PLENTY):
            connection.write(PLENTY)


def deaf(connection: DeviceConnection) -> None:
    """Reads nothing."""


class Sender:
    """A client that sends without end, at most `cut` bytes at once."""

    def __init__(self, link: TimedLink, cut: int) -> None:
        self.link = link
        self.cut = cut

    def established(self, connection: TcpConnection) -> None:
        self.room_opened(connection)

    def received(self, connection: TcpConnection, count: int) -> None:
        raise AssertionError("nobody sends to a sender")

    def room_opened(self, connection: TcpConnection) -> None:
        while room := connection.send_room:
            self.link.send(connection, PLENTY[: min(room, self.cut)])


class Offerer:
    """A client that has data without end, at most `cut` bytes at once, and keeps it until its turn."""

    def __init__(self, link: TimedLink, cut: int) -> None:
        self.link = link
        self.cut = cut
        self.usual = MuxSettings().max_packet_length

    def established(self, connection: TcpConnection) -> None:
        self.room_opened(connection)

    def received(self, connection: TcpConnection, count: int) -> None:
        raise AssertionError("nobody sends to a sender")

    def room_opened(self, connection: TcpConnection) -> None:
        self.link.offer(connection, self.usual)

    def turn_came(self, connection: TcpConnection, limit: int) -> tuple[bytes, int]:
        self.usual = min(limit, self.cut)
        return PLENTY[: self.usual], self.usual


class Talker:
    """A client that sends 64 bytes now and then, and sees how long they take to the phone's service."""

    def __init__(self, link: TimedLink, sink: Sink, rng: random.Random, *, offers: bool) -> None:
        self.link = link
        self.sink = sink
        self.rng = rng
        self.offers = offers
        self.sent = 0
        self.times_s: list[float] = []

    def established(self, connection: TcpConnection) -> None:
        self.link.call_later(self.rng.uniform(0, 0.01), lambda: self.talk(connection))

    def received(self, connection: TcpConnection, count: int) -> None:
        raise AssertionError("nobody answers")

    def room_opened(self, connection: TcpConnection) -> None:
        raise AssertionError("it sends too little to fill a window")

    def turn_came(self, connection: TcpConnection, limit: int) -> tuple[bytes, int]:
        return bytes(64), 0

    def talk(self, connection: TcpConnection) -> None:
        began = self.link.now
        self.sent += 64
        if self.offers:
            self.link.offer(connection, 64)
        else:
            self.link.send(connection, bytes(64))

        def look() -> None:
            if self.sink.counts.get(connection.local_port, 0) < self.sent:
                self.link.call_later(LOOK_S, look)
                return
            self.times_s.append(self.link.now - began)
            self.link.call_later(self.rng.uniform(0, 0.01), lambda: self.talk(connection))

        look()


class Taker:
    """A client that takes what comes, or does not."""

    def __init__(self, link: TimedLink, *, is_slow: bool) -> None:
        self.link = link
        self.is_slow = is_slow
        self.count = 0

    def established(self, connection: TcpConnection) -> None:
        self.link.send(connection, b"go")

    def received(self, connection: TcpConnection, count: int) -> None:
        self.count += count
        if not self.is_slow:
            self.link.take(connection, count)

    def room_opened(self, connection: TcpConnection) -> None:
        raise AssertionError("it sends too little to fill a window")


@pytest.mark.parametrize("offers", [False, True])
@pytest.mark.parametrize("bulk_senders", [1, 3])
@pytest.mark.parametrize("acknowledge", ["delivered", "received"])
def test_fairness_bulk_beside_63_that_send_little_costs_them_less_than_two_packet_times(
    acknowledge: str, bulk_senders: int, offers: bool
) -> None:
    sink, rng = Sink(), random.Random(1)
    options = PhoneOptions(initial_sequence=0, acknowledge="received" if acknowledge == "received" else "delivered")
    link = TimedLink({SINK: sink}, rate=RATE, transfer_s=TRANSFER_S, options=options)
    talkers = [Talker(link, sink, rng, offers=offers) for _ in range(63)]
    for _ in range(bulk_senders):
        link.connect(SINK, (Offerer if offers else Sender)(link, 65536))
    for talker in talkers:
        link.connect(SINK, talker)

    link.run_until(lambda: all(len(talker.times_s) >= 20 for talker in talkers), 5)

    alone_s = TRANSFER_S + 100 / RATE + LOOK_S  # their own transfer, and how finely it is looked at
    added_s = max(max(talker.times_s) for talker in talkers) - alone_s
    assert PACKET_S / 2 < added_s < 2 * PACKET_S  # the first: or there was no bulk to wait for
    assert link.violations == []


@pytest.mark.parametrize("kind", [Sender, Offerer])
def test_fairness_senders_of_different_sizes_get_the_same_share(kind: type[Sender | Offerer]) -> None:
    sink = Sink()
    link = TimedLink({SINK: sink}, rate=RATE, transfer_s=TRANSFER_S)
    for cut in (100, 1000, 4000, 16000, 49000, 65536, 131072, 131072):
        link.connect(SINK, kind(link, cut))

    link.run_until(lambda: sum(sink.counts.values()) > 40_000_000, 5)

    shares = list(sink.counts.values())
    assert len(shares) == 8
    assert sum(shares) ** 2 / (8 * sum(share**2 for share in shares)) >= 0.99  # Jain's index
    assert link.violations == []


@pytest.mark.parametrize("is_one_slow", [False, True])
def test_fairness_one_slow_reader_of_64_leaves_the_others_their_speed(is_one_slow: bool) -> None:
    link = TimedLink({SOURCE: Source()}, rate=RATE, transfer_s=TRANSFER_S)
    takers = [Taker(link, is_slow=is_one_slow and number == 0) for number in range(64)]
    for taker in takers:
        link.connect(SOURCE, taker)

    link.run_until(lambda: link.now > 3, 4)

    slow, others = takers[0], takers[1:]
    assert all(taker.count >= 0.9 * 3 * RATE / 64 for taker in others)
    assert not is_one_slow or slow.count == MuxSettings().receive_window
    assert link.violations == []


def test_fairness_one_deaf_service_of_64_leaves_the_others_their_speed() -> None:
    sink = Sink()
    link = TimedLink({SINK: sink, DEAF: deaf}, rate=RATE, transfer_s=TRANSFER_S)
    stuck = link.connect(DEAF, Sender(link, 65536))
    for _ in range(63):
        link.connect(SINK, Sender(link, 65536))

    link.run_until(lambda: link.now > 1, 2)

    assert len(sink.counts) == 63
    assert all(count >= 0.9 * RATE / 64 for count in sink.counts.values())
    assert stuck.send_room == 0
    assert link.violations == []
