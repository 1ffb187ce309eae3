"""A host's session and a strict phone, joined by a link that takes time; the clock is only counted, never waited for.

The link has one lane each way, or one for both as USB 2 has. A transfer takes a fixed time and that of its bytes, and
one follows the other. The host keeps as much in flight as `usbmux.usb` does. What is measured with it depends on
nothing but the code.
"""

from __future__ import annotations

import heapq
from collections import deque
from itertools import count
from typing import TYPE_CHECKING, Final, Protocol, runtime_checkable

from usbmux.mux.events import ConnectionClosed, ConnectionEstablished, DataReceived, SendRoomOpened
from usbmux.mux.session import MuxSession, SessionState
from usbmux.testing.device import ConnectionProgressed, ConnectionRequested, DeviceMux
from usbmux.testing.options import PhoneOptions
from usbmux.usb.pipe import MAX_WRITE_BYTES

if TYPE_CHECKING:
    from collections.abc import Callable

    from usbmux.mux.connection import TcpConnection
    from usbmux.mux.settings import MuxSettings
    from usbmux.testing.device_connection import DeviceConnection

MAX_WRITES: Final = 8


class Client(Protocol):
    """A program on the host; called when something has changed for its connection."""

    def established(self, connection: TcpConnection) -> None: ...

    def received(self, connection: TcpConnection, count: int) -> None: ...

    def room_opened(self, connection: TcpConnection) -> None: ...


@runtime_checkable
class Offering(Client, Protocol):
    """One that keeps what it has until its turn."""

    def turn_came(self, connection: TcpConnection, limit: int) -> tuple[bytes, int]:
        """Behind `TimedLink.offer`. Returns: at most `limit` bytes for the phone, and about how many it has then."""


class Service(Protocol):
    """A port of the phone."""

    def __call__(self, connection: DeviceConnection) -> None:
        """Something has changed: read, write."""


class TimedLink:
    """One phone on a host.

    Args:
        rate: Of a lane, in bytes per second.
        transfer_s: What each transfer takes besides.
        is_shared: One lane for both ways.
        services: By port.
    """

    def __init__(
        self,
        services: dict[int, Service],
        *,
        rate: float,
        transfer_s: float = 0.0,
        is_shared: bool = False,
        settings: MuxSettings | None = None,
        options: PhoneOptions | None = None,
    ) -> None:
        self.now = 0.0
        self.session = MuxSession(self.now, settings)
        self.violations: list[str] = []
        self.packets_to_phone = 0
        self.packets_to_host = 0
        self.empty_segments = 0
        """Sent to the phone: nothing but an acknowledgement."""
        self.closed: list[ConnectionClosed] = []
        self._options: Final = options or PhoneOptions(initial_sequence=0)
        self._phone: Final = DeviceMux(
            services.__contains__, version=2, options=self._options, strict=True, violations=self.violations
        )
        self._services: Final = services
        self._rate: Final = rate
        self._transfer_s: Final = transfer_s
        self._clients: Final[dict[TcpConnection, Client]] = {}
        self._calls: Final[list[tuple[float, int, Callable[[], None]]]] = []
        self._order: Final = count()
        self._out: Final[deque[bytes]] = deque()
        self._out_bytes = 0
        self._in: Final[deque[bytes]] = deque()
        self._is_shared: Final = is_shared
        self._busy: Final = {"out": False, "in": False}
        self._last_way = "in"
        self._in_turn = False
        self.run_until(lambda: self.session.state is SessionState.READY, 1.0)

    def connect(self, port: int, client: Client) -> TcpConnection:
        connection = self.session.connect(port, self.now)
        self._clients[connection] = client
        self._turn()
        return connection

    def send(self, connection: TcpConnection, data: bytes) -> None:
        self.session.send(connection, data, self.now)
        self._turn()

    def offer(self, connection: TcpConnection, count: int) -> None:
        """The client has about so many bytes, and keeps them until its turn."""
        self.session.offer(connection, count)
        self._turn()

    def take(self, connection: TcpConnection, count: int) -> None:
        """The client has taken so many bytes."""
        self.session.acknowledge(connection, count, self.now)
        self._turn()

    def call_later(self, delay_s: float, call: Callable[[], None]) -> None:
        heapq.heappush(self._calls, (self.now + delay_s, next(self._order), call))

    def run_until(self, is_done: Callable[[], bool], limit_s: float) -> None:
        """Let time pass until that is true, but fail if it takes longer."""
        end = self.now + limit_s
        self._turn()
        while not is_done():
            deadline = self.session.deadline
            if self._calls and (deadline is None or self._calls[0][0] <= deadline):
                self.now, _, call = heapq.heappop(self._calls)
                call()
            else:
                assert deadline is not None, f"all stands still at {self.now} s"
                self.now = max(self.now, deadline)
                self.session.handle_timer(self.now)
            assert self.now <= end, f"not done after {limit_s} s"
            self._turn()

    # Inside.

    def _turn(self) -> None:
        """What the daemon does after each change: hand out events, transmit."""
        if self._in_turn:
            return
        self._in_turn = True
        self._hand_out()
        self._transmit()
        self._begin_transfers()
        self._in_turn = False

    def _hand_out(self) -> None:
        while (event := self.session.next_event()) is not None:
            match event:
                case ConnectionEstablished(connection):
                    self._clients[connection].established(connection)
                case DataReceived(connection, pieces):
                    self._clients[connection].received(connection, sum(map(len, pieces)))
                case SendRoomOpened(connection):
                    self._clients[connection].room_opened(connection)
                case ConnectionClosed():
                    self.closed.append(event)
                case _:
                    pass

    def _transmit(self) -> None:
        while len(self._out) < MAX_WRITES and self._out_bytes < MAX_WRITE_BYTES:
            packet = self.session.packet_to_send(self.now)
            if packet is None and (connection := self.session.egress.granted) is not None:
                packet = self._granted_packet(connection)
                if packet is None:
                    continue
            if packet is None:
                break
            self._out.append(bytes(packet))
            self._out_bytes += len(packet)
            self.packets_to_phone += 1
            self.empty_segments += len(packet) == 36

    def _granted_packet(self, connection: TcpConnection) -> bytes | None:
        first = self.session.egress.headers_length
        limit = min(connection.send_room, self.session.settings.max_packet_length - first)
        if not limit:
            self.session.egress.granted = None
            return None
        client = self._clients[connection]
        assert isinstance(client, Offering), "a turn without an offer"
        data, more = client.turn_came(connection, limit)
        buffer = memoryview(bytearray(first) + data)
        packet = bytes(buffer[: self.session.send_at_once(connection, buffer, len(data))])
        if more and connection.send_room:
            self.session.offer(connection, more)
        return packet

    def _begin_transfers(self) -> None:
        ways = ("in", "out") if self._last_way == "out" else ("out", "in")
        for way in ways:
            queue = self._out if way == "out" else self._in
            is_free = not any(self._busy.values()) if self._is_shared else not self._busy[way]
            if queue and is_free:
                self._busy[way] = True
                self._last_way = way
                end = self._end_out if way == "out" else self._end_in
                self.call_later(self._transfer_s + len(queue[0]) / self._rate, end)

    def _end_out(self) -> None:
        packet = self._out.popleft()
        self._out_bytes -= len(packet)
        self._busy["out"] = False
        self._phone.receive_data(packet)
        if len(packet) % self._options.max_packet_size == 0:
            self._phone.receive_data(b"")
        self.let_phone_work()

    def _end_in(self) -> None:
        self._busy["in"] = False
        self.session.receive_data(self._in.popleft(), self.now)

    def let_phone_work(self) -> None:
        """Its services act on what has come; what they send gets in line."""
        touched: dict[DeviceConnection, None] = {}
        while (event := self._phone.next_event()) is not None:
            match event:
                case ConnectionRequested(connection):
                    connection.accept()
                case ConnectionProgressed(connection):
                    self._services[connection.port](connection)
            touched[event.connection] = None
        for connection in touched:
            connection.flush()
        self.collect()

    def collect(self) -> None:
        """Take what the phone has to send."""
        packets = self._phone.take_packets()
        self.packets_to_host += len(packets)
        self._in.extend(packets)
