"""A host in a few lines: enough of one to talk to a simulated phone from a test, with no code of the daemon's."""

import asyncio
from collections import deque
from collections.abc import Sequence

from usbmux.errors import UsbError
from usbmux.mux.packet import (
    FIRST_RX_SEQ,
    SETUP_PAYLOAD,
    MuxProtocol,
    Packet,
    PacketReader,
    Version,
    encode_v1,
    encode_v2,
)
from usbmux.mux.segment import Flags, Segment, seq_add
from usbmux.testing import SimulatedBus, SimulatedPhone
from usbmux.usb.pipe import BulkPipe, UsbBus, UsbCandidate

WINDOW = 131072


class HostScript:
    """Opens the first phone on a bus; packets go out at once and come in through a queue."""

    def __init__(self, bus: UsbBus) -> None:
        self.transfers: list[bytes] = []
        self.lost: list[UsbError | None] = []
        self._bus = bus
        self._candidates: asyncio.Queue[UsbCandidate] = asyncio.Queue()
        self._packets: asyncio.Queue[Packet] = asyncio.Queue()
        self._reader = PacketReader()
        self._pipe: BulkPipe | None = None
        self._tx_seq = 0
        self._last_port = 0
        self._unsent: deque[bytes] = deque()

    @property
    def pipe(self) -> BulkPipe:
        assert self._pipe is not None
        return self._pipe

    def device_arrived(self, candidate: UsbCandidate) -> None:
        self._candidates.put_nowait(candidate)

    def device_left(self, candidate: UsbCandidate) -> None:
        pass

    def data_received(self, pieces: Sequence[bytes | memoryview]) -> None:
        for data in pieces:
            self.transfers.append(bytes(data))
            for packet in self._reader.receive_data(data):
                self._packets.put_nowait(Packet(packet.protocol, bytes(packet.payload), packet.tx_seq, packet.rx_seq))

    def ran_low(self) -> None:
        """It looks as often as the loop turns."""

    def slot_freed(self) -> None:
        while self._unsent and self.pipe.has_free_slot():
            self.pipe.write(self._unsent.popleft())

    def pipe_lost(self, error: UsbError | None) -> None:
        self.lost.append(error)

    async def open(self) -> None:
        await self._bus.start(self)
        self._pipe = await (await self._candidates.get()).open()
        self._pipe.start(self)

    def _write(self, packet: bytes) -> None:
        self._unsent.append(packet)
        self.slot_freed()

    async def shake_hands(self) -> int:
        """Returns the phone's version."""
        self._reader.version = 1
        self._write(encode_v1(MuxProtocol.VERSION, Version(2, 0).encode()))
        version = Version.decode((await self.next_packet()).payload)
        self._reader.version = version.major
        if version.major == 2:
            self._write(encode_v2(MuxProtocol.SETUP, SETUP_PAYLOAD, 0, FIRST_RX_SEQ))
            self._tx_seq = 1
        return version.major

    def send(self, segment: Segment) -> None:
        if self._reader.version == 1:
            self._write(encode_v1(MuxProtocol.TCP, segment.encode()))
            return
        self._write(encode_v2(MuxProtocol.TCP, segment.encode(), self._tx_seq, 0))
        self._tx_seq = (self._tx_seq + 1) & 0xFFFF

    async def next_packet(self) -> Packet:
        return await self._packets.get()

    async def next_segment(self) -> Segment:
        packet = await self.next_packet()
        assert packet.protocol == MuxProtocol.TCP
        return Segment.decode(packet.payload)

    async def idle(self) -> list[Packet]:
        """Everything that comes in while nobody sends, until nothing is under way any more."""
        for _ in range(20):
            await asyncio.sleep(0)
        return [self._packets.get_nowait() for _ in range(self._packets.qsize())]

    def send_syn(self, port: int, *, window: int = WINDOW) -> "HostConnection":
        self._last_port += 1
        connection = HostConnection(self, self._last_port, port, window)
        connection.send_flags(Flags.SYN)
        return connection

    async def connect(self, port: int, *, window: int = WINDOW) -> "HostConnection":
        connection = self.send_syn(port, window=window)
        await connection.receive_syn_ack()
        return connection


class HostConnection:
    """The one open connection of a `HostScript`."""

    def __init__(self, host: HostScript, host_port: int, port: int, window: int) -> None:
        self._host = host
        self._host_port = host_port
        self._port = port
        self._window = window
        self._snd_nxt = 0
        self._snd_una = 0
        self._edge = 0
        self._rcv_nxt = 0
        self._received = bytearray()
        self.reset_text: bytes | None = None

    def send_flags(self, flags: Flags, payload: bytes | memoryview = b"") -> None:
        sent = Segment(self._host_port, self._port, self._snd_nxt, self._rcv_nxt, flags, self._window, payload)
        self._host.send(sent)
        self._snd_nxt = seq_add(self._snd_nxt, len(payload) + bool(flags & Flags.SYN))

    async def receive_syn_ack(self) -> None:
        answer = await self._next_segment()
        assert answer.flags == Flags.SYN | Flags.ACK, str(answer)
        self._rcv_nxt = seq_add(answer.seq, 1)
        self._edge = answer.ack + answer.window
        self.send_flags(Flags.ACK)

    async def send(self, data: bytes) -> None:
        rest = memoryview(data)
        while rest and self.reset_text is None:
            room = min(self._edge - self._snd_nxt, 49116)
            if room > 0 and self._host.pipe.has_free_slot():
                self.send_flags(Flags.ACK, rest[:room])
                rest = rest[room:]
            else:
                await self.receive_segment()

    async def read(self, length: int) -> bytes:
        while len(self._received) < length and self.reset_text is None:
            await self.receive_segment()
        data = bytes(self._received[:length])
        del self._received[:length]
        return data

    async def read_to_reset(self) -> tuple[bytes, bytes]:
        """Everything up to the phone's RST, and its text."""
        while self.reset_text is None:
            await self.receive_segment()
        return bytes(self._received), self.reset_text

    async def receive_segment(self) -> None:
        segment = await self._next_segment()
        if segment.flags & Flags.RST:
            self.reset_text = bytes(segment.payload)
            return
        assert segment.flags == Flags.ACK, str(segment)
        assert segment.seq == self._rcv_nxt, str(segment)
        self._edge = segment.ack + segment.window
        self._received += segment.payload
        self._rcv_nxt = seq_add(self._rcv_nxt, len(segment.payload))
        if segment.payload:
            self.send_flags(Flags.ACK)

    async def _next_segment(self) -> Segment:
        # Our last acknowledgement may cross the phone's RST on an earlier connection, and is refused then.
        while (segment := await self._host.next_segment()).destination_port != self._host_port:
            assert segment.flags == Flags.RST, str(segment)
        return segment

    @property
    def room(self) -> int:
        """What the phone's window still takes."""
        return self._edge - self._snd_nxt

    async def wait_stalled(self) -> None:
        """Waits until a task that sends makes no progress, though everybody got many turns."""
        idle_turns, last = 0, self._snd_nxt
        while idle_turns < 200:
            await asyncio.sleep(0)
            idle_turns = idle_turns + 1 if self._snd_nxt == last else 0
            last = self._snd_nxt

    def acknowledge(self, ack: int) -> None:
        self._rcv_nxt = ack
        self.send_flags(Flags.ACK)

    def reset(self) -> None:
        self.send_flags(Flags.RST)


async def plug_in(phone: SimulatedPhone) -> HostScript:
    """The phone on a bus of its own, opened, its handshake done."""
    bus = SimulatedBus()
    bus.plug(phone)
    host = HostScript(bus)
    await host.open()
    await host.shake_hands()
    return host
