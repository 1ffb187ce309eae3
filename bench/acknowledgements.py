"""When should received data be acknowledged, and what should our window say? Prints what each policy costs.

    python -m bench.acknowledgements [--mebibytes N]

Our engine talks to the strict simulated phone over a link that takes time (tests/support/timed_link.py), on a clock
that is counted and not waited for. So the figures depend on nothing but the code, and are the same in every run.

"MB/s" is what a client receives that takes everything at once, or 200 microseconds after it came (a host that is
busy), or at 10 MB/s. "packets" are those that the host sends for each MiB.
"""

import argparse
from collections.abc import Iterator
from dataclasses import dataclass, field
from unittest.mock import patch

from tests.support.timed_link import TimedLink
from usbmux.mux import session as session_module
from usbmux.mux.connection import TcpConnection
from usbmux.mux.segment import Segment, seq_diff
from usbmux.mux.settings import MuxSettings
from usbmux.testing.device_connection import DeviceConnection
from usbmux.testing.options import PhoneOptions

PLENTY = bytes(1 << 20)
NEVER = 1e9


class FollowingConnection(TcpConnection):
    """The other way to hold back a phone: everything is acknowledged, and the window shrinks by what is not taken.

    Exists only here, to be measured. The window opens in the steps in which the engine acknowledges.
    """

    def _segment(self, flags: int, payload: bytes | memoryview = b"") -> Segment:
        segment = super()._segment(flags, payload)
        untaken = seq_diff(self.rcv_nxt, self.rcv_taken)
        return segment._replace(ack=self.rcv_nxt, window=self.rcv_wnd - untaken)


@dataclass(frozen=True)
class Policy:
    """What is compared."""

    name: str
    settings: MuxSettings = field(default_factory=MuxSettings)
    connection: type[TcpConnection] = TcpConnection


@dataclass(frozen=True)
class Bus:
    """A kind of link; the phone's packets have `segment` bytes of payload."""

    name: str
    rate: float
    transfer_s: float
    is_shared: bool
    segment: int


def acknowledging(share: float, delay_s: float) -> MuxSettings:
    """At once when that share of the window was taken, and after that time."""
    return MuxSettings(acknowledge_share=share, acknowledge_delay_s=delay_s)


POLICIES = (
    Policy("every packet", acknowledging(0, 0.005)),
    Policy("timer, 30 ms", acknowledging(2, 0.030)),
    Policy("timer, 5 ms", acknowledging(2, 0.005)),
    Policy("1/16, 5 ms", acknowledging(1 / 16, 0.005)),
    Policy("1/8, 5 ms", acknowledging(1 / 8, 0.005)),
    Policy("1/4, 5 ms"),
    Policy("1/4, 30 ms", acknowledging(1 / 4, 0.030)),
    Policy("1/2, 5 ms", acknowledging(1 / 2, 0.005)),
    Policy("3/4, 5 ms", acknowledging(3 / 4, 0.005)),
    Policy("following", connection=FollowingConnection),
)
BUSES = (
    Bus("USB 2, 40 MB/s", 40e6, 60e-6, is_shared=True, segment=16000),
    Bus("USB 2, short packets", 40e6, 60e-6, is_shared=True, segment=1460),
    Bus("USB 3, 400 MB/s", 400e6, 20e-6, is_shared=False, segment=32768),
)


class Source:
    """The phone's port: sends without end."""

    def __call__(self, connection: DeviceConnection) -> None:
        """See `Service`."""
        if connection.unsent_length < len(PLENTY):
            connection.write(PLENTY)


class Echo:
    """The phone's port: answers each message of 64 bytes."""

    def __call__(self, connection: DeviceConnection) -> None:
        """See `Service`."""
        while connection.unread_length >= 64:
            connection.write(connection.read(64))


class Taker:
    """A client that takes what comes: so much later, or so many bytes per second."""

    def __init__(self, link: TimedLink, delay_s: float, pace: float | None) -> None:
        self.link = link
        self.delay_s = delay_s
        self.pace = pace
        self.taken = 0
        self.untaken = 0
        self.is_taking = False

    def established(self, connection: TcpConnection) -> None:
        """See `Client`."""
        self.link.send(connection, b"go")

    def received(self, connection: TcpConnection, count: int) -> None:
        """See `Client`."""
        self.untaken += count
        if self.pace is None:
            self.link.call_later(self.delay_s, lambda: self.take(connection, count))
        elif not self.is_taking:
            self.take_piece(connection, self.pace)

    def take(self, connection: TcpConnection, count: int) -> None:
        """As the daemon does when the client's socket has taken something."""
        self.untaken -= count
        self.taken += count
        self.link.take(connection, count)

    def take_piece(self, connection: TcpConnection, pace: float) -> None:
        """Take 4 KiB, and go on when their time is over."""
        count = min(self.untaken, 4096)
        self.is_taking = count > 0
        if count:
            self.take(connection, count)
            self.link.call_later(count / pace, lambda: self.take_piece(connection, pace))

    def room_opened(self, connection: TcpConnection) -> None:
        """See `Client`."""


class Talker:
    """A client that says 64 bytes when it was answered."""

    def __init__(self, link: TimedLink) -> None:
        self.link = link
        self.answers = 0

    def established(self, connection: TcpConnection) -> None:
        """See `Client`."""
        self.link.send(connection, bytes(64))

    def received(self, connection: TcpConnection, count: int) -> None:
        """See `Client`."""
        self.answers += count // 64
        self.link.take(connection, count)
        self.link.send(connection, bytes(64))

    def room_opened(self, connection: TcpConnection) -> None:
        """See `Client`."""


def download(policy: Policy, bus: Bus, length: int, *, delay_s: float = 0, pace: float | None = None) -> str:
    """One stream from the phone: rate, packets of the host."""
    with patch.object(session_module, "TcpConnection", policy.connection):
        options = PhoneOptions(initial_sequence=0, max_segment=bus.segment)
        link = TimedLink(
            {1: Source()},
            rate=bus.rate,
            transfer_s=bus.transfer_s,
            is_shared=bus.is_shared,
            settings=policy.settings,
            options=options,
        )
        taker = Taker(link, delay_s, pace)
        began, packets = link.now, link.packets_to_phone
        link.connect(1, taker)
        link.run_until(lambda: taker.taken >= length, NEVER)
    check(link)
    packets = link.packets_to_phone - packets
    rate = taker.taken / (link.now - began) / 1e6
    return f"{rate:7.1f} {packets * (1 << 20) / taker.taken:8.1f}"


def echo(policy: Policy, bus: Bus, times: int) -> str:
    """Question and answer: round trips per second, packets of the host for each."""
    with patch.object(session_module, "TcpConnection", policy.connection):
        link = TimedLink(
            {7: Echo()},
            rate=bus.rate,
            transfer_s=bus.transfer_s,
            is_shared=bus.is_shared,
            settings=policy.settings,
            options=PhoneOptions(initial_sequence=0),
        )
        talker = Talker(link)
        began, packets = link.now, link.packets_to_phone
        link.connect(7, talker)
        link.run_until(lambda: talker.answers >= times, NEVER)
    check(link)
    return f"{times / (link.now - began):7.0f} {(link.packets_to_phone - packets) / times:8.2f}"


def check(link: TimedLink) -> None:
    """A policy that breaks a rule has no figures."""
    assert link.violations == [], link.violations
    assert link.closed == [], link.closed


def table(length: int) -> Iterator[str]:
    """The lines of all tables."""
    for bus in BUSES:
        yield f"{bus.name}, packets of {bus.segment} bytes"
        heads = ("takes at once", "200 us late", "10 MB/s", "echo of 64 bytes")
        yield f"  {'':13}" + "".join(f"  {head:>16}" for head in heads)
        yield f"  {'':13}" + f"  {'MB/s':>7} {'packets':>8}" * 3 + f"  {'1/s':>7} {'packets':>8}"
        for policy in POLICIES:
            columns = (
                download(policy, bus, length),
                download(policy, bus, length, delay_s=200e-6),
                download(policy, bus, length, pace=10e6),
                echo(policy, bus, 500),
            )
            yield f"  {policy.name:13}" + "".join(f"  {column}" for column in columns)
        yield ""


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--mebibytes", type=int, default=16)
    options = parser.parse_args()
    for line in table(options.mebibytes << 20):
        print(line)


if __name__ == "__main__":
    main()
