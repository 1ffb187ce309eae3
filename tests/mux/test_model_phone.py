"""A session against a model phone: whatever happens in whatever order, no byte is lost, doubled or sent too early."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from tests.mux.model_phone import RST, ModelPhone, PhoneEnd, pattern
from usbmux.mux.events import (
    CloseCause,
    ConnectionClosed,
    ConnectionEstablished,
    DataReceived,
    Event,
    HandshakeCompleted,
    SendRoomOpened,
)
from usbmux.mux.session import MuxSession
from usbmux.mux.settings import MuxSettings

if TYPE_CHECKING:
    from usbmux.mux.connection import TcpConnection

WHICH = st.integers(0, 2)
COUNT = st.integers(1, 2000)
EVERYTHING = 10**9
ENDINGS = st.sampled_from(["client closes at once", "client shuts down, phone resets", "phone resets"])
SEQUENCE = st.one_of(st.integers(0, 2**32 - 1), st.integers(2**32 - 2000, 2**32 - 1))


@dataclass(eq=False)
class Client:
    """The host's side of a connection, as the daemon would serve it: it writes only when it may."""

    connection: TcpConnection
    end: PhoneEnd
    wanted: int = 0
    written: int = 0
    received: int = 0
    taken: int = 0
    may_write: bool = False
    cause: CloseCause | None = None


class SessionAgainstPhone(RuleBasedStateMachine):
    """Rules for both ends and for the cable between them; `teardown` brings everything to its end."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self.phone = ModelPhone()
        self.clients: list[Client] = []
        self.ending = ""
        self.is_closing = False
        """The clients are gone: what still comes is acknowledged although nobody takes it."""

    @initialize(
        ends=st.lists(st.tuples(SEQUENCE, SEQUENCE, st.integers(0, 3000)), min_size=1, max_size=3),
        window=st.sampled_from([256, 1024, 131072]),
        max_payload=st.sampled_from([7, 100, 1000, 49112]),
        ending=ENDINGS,
    )
    def connect(self, ends: list[tuple[int, int, int]], window: int, max_payload: int, ending: str) -> None:
        """Each end is the phone's and the host's sequence number, and the phone's buffer."""
        self.ending = ending
        self.session = MuxSession(self.now, MuxSettings(receive_window=window, max_packet_length=36 + max_payload))
        self.settle()
        for port, (isn, _host_isn, capacity) in enumerate(ends):
            self.phone.ends[port] = PhoneEnd(port, isn, capacity)
            self.clients.append(Client(self.session.connect(port, self.now), self.phone.ends[port]))
        self.settle()
        for client, (_isn, host_isn, _capacity) in zip(self.clients, ends, strict=True):
            client.end.host_isn = host_isn  # as if that much had been sent already
            client.connection.snd_una = client.connection.snd_nxt = (host_isn + 1) % 2**32

    def client(self, which: int) -> Client:
        return self.clients[which % len(self.clients)]

    # The clients.

    @rule(which=WHICH, count=COUNT)
    def client_wants_to_write(self, which: int, count: int) -> None:
        client = self.client(which)
        client.wanted += count
        self.write(client)

    @rule(which=WHICH, count=COUNT)
    def client_takes(self, which: int, count: int) -> None:
        client = self.client(which)
        count = min(count, client.received - client.taken)
        client.taken += count
        self.session.acknowledge(client.connection, count, self.now)

    def write(self, client: Client) -> None:
        if client.may_write:
            count = min(client.connection.send_room, client.wanted - client.written)
            if count:
                self.session.send(client.connection, pattern(client.written, count), self.now)
            client.written += count
            client.may_write = client.connection.send_room > 0

    # The phone's applications.

    @rule(which=WHICH, count=COUNT, cut=COUNT)
    def phone_writes(self, which: int, count: int, cut: int) -> None:
        self.phone.write(self.client(which).end, count, cut)

    @rule(which=WHICH, count=COUNT)
    def phone_reads(self, which: int, count: int) -> None:
        end = self.client(which).end
        end.read = min(end.read + count, end.received)

    @rule(which=WHICH, capacity=st.integers(0, 5000))
    def phone_resizes_its_buffer(self, which: int, capacity: int) -> None:
        self.client(which).end.capacity = capacity

    @rule(which=WHICH)
    def phone_acknowledges(self, which: int) -> None:
        self.phone.send(self.client(which).end, 16)

    # The cable and the clock.

    @rule(count=st.integers(1, 5000))
    def transfer_in(self, count: int) -> None:
        self.session.receive_data(self.phone.deliver(count), self.now)
        while (event := self.session.next_event()) is not None:
            self.handle(event)

    @rule(count=st.integers(1, 5))
    def transfers_out(self, count: int) -> None:
        while count and (packet := self.session.packet_to_send(self.now)) is not None:
            self.phone.receive_packet(bytes(packet))
            count -= 1
        for client in self.clients:
            assert client.end.acknowledged <= client.taken or self.is_closing

    @rule(milliseconds=st.integers(1, 20))
    def time_passes(self, milliseconds: int) -> None:
        self.now += milliseconds / 1000
        if self.session.deadline is not None and self.session.deadline <= self.now:
            self.session.handle_timer(self.now)
        assert self.session.deadline is None or self.session.deadline > self.now

    def handle(self, event: Event) -> None:
        match event:
            case HandshakeCompleted():
                pass
            case ConnectionEstablished(connection):
                client = self.client_of(connection)
                client.may_write = connection.send_room > 0
            case SendRoomOpened(connection):
                client = self.client_of(connection)
                client.may_write = True
                self.write(client)
            case DataReceived(connection, pieces):
                data = b"".join(pieces)
                client = self.client_of(connection)
                assert data == pattern(client.received, len(data))
                client.received += len(data)
                assert client.received - client.taken <= connection.rcv_wnd
            case ConnectionClosed(connection, cause):
                self.client_of(connection).cause = cause
            case _:
                raise AssertionError(event)

    def client_of(self, connection: TcpConnection) -> Client:
        return next(client for client in self.clients if client.connection is connection)

    # The end.

    def settle(self) -> None:
        """Everybody works until nobody has anything to do, which must not take long."""
        for _ in range(5):
            self.transfers_out(EVERYTHING)
            self.transfer_in(EVERYTHING)
            self.time_passes(5)
        assert self.session.packet_to_send(self.now) is None

    def run_until_all_is_read(self) -> None:
        for _ in range(400):
            if all(self.is_all_read(client) for client in self.clients):
                return
            for which, client in enumerate(self.clients):
                client.end.capacity = max(client.end.capacity, 1000)
                if client.cause is None and not self.is_closing:
                    self.client_takes(which, EVERYTHING)
                    self.write(client)
                self.phone_reads(which, EVERYTHING)
                if not client.end.is_reset:
                    self.phone_acknowledges(which)
            self.transfer_in(EVERYTHING)
            self.transfers_out(EVERYTHING)
            self.time_passes(5)
        raise AssertionError("the streams stand still")

    def is_all_read(self, client: Client) -> bool:
        if self.is_closing:
            return client.end.is_reset
        return client.end.read == client.wanted and client.taken == client.end.sent and not self.phone.stream

    def teardown(self) -> None:
        if not self.clients:
            return
        if self.ending == "client closes at once":
            self.is_closing = True
            for client in self.clients:
                self.session.close(client.connection, self.now)
            self.expect_end(CloseCause.FINISHED)
            return
        if self.ending == "client shuts down, phone resets":
            self.run_until_all_is_read()
            for client in self.clients:
                self.session.shutdown_write(client.connection, self.now)
                client.may_write = False
                self.phone.write(client.end, 5000, 700)
        self.run_until_all_is_read()
        for client in self.clients:
            self.phone.send(client.end, RST, b"done")
            client.end.is_reset = True
        self.expect_end(CloseCause.RESET)

    def expect_end(self, cause: CloseCause) -> None:
        self.run_until_all_is_read()
        self.settle()
        for client in self.clients:
            assert client.cause is cause
            assert client.end.received == client.written
            assert client.end.is_reset
        assert self.session.packet_to_send(self.now) is None
        assert self.session.next_event() is None


TestSessionAgainstPhone = SessionAgainstPhone.TestCase
TestSessionAgainstPhone.settings = settings(max_examples=100, stateful_step_count=50, derandomize=True, deadline=None)
