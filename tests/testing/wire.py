"""Drives the sans-IO device of a simulated phone with hand-made packets."""

from usbmux.mux.packet import FIRST_RX_SEQ, MuxProtocol, PacketReader, Version, encode_v1, encode_v2
from usbmux.mux.segment import Flags, Segment
from usbmux.testing import PhoneOptions
from usbmux.testing.device import ConnectionRequested, DeviceMux
from usbmux.testing.device_connection import DeviceConnection

OPEN_PORT = 22
HOST_PORT = 1000
WINDOW = 131072
MAX_PACKET_SIZE = 512


class Wire:
    """A phone with port 22 open and the host's side of the cable.

    `inject` is as correct as its segment: header, count and zero-length packet are added.
    """

    def __init__(self, *, version: int = 2, strict: bool = True, options: PhoneOptions | None = None) -> None:
        self.violations: list[str] = []
        self.options = options or PhoneOptions(initial_sequence=500)
        self.mux = DeviceMux(
            lambda port: port == OPEN_PORT,
            version=version,
            options=self.options,
            strict=strict,
            violations=self.violations,
        )
        self.version = version
        self.tx_seq = 0
        self._reader = PacketReader()

    def transfer(self, data: bytes) -> None:
        self.mux.receive_data(data)
        if data and len(data) % MAX_PACKET_SIZE == 0:
            self.mux.receive_data(b"")

    def inject_packet(self, protocol: int, payload: bytes, *, rx_seq: int = 0) -> None:
        if self.version == 1:
            self.transfer(encode_v1(protocol, payload))
            return
        self.transfer(encode_v2(protocol, payload, self.tx_seq, rx_seq))
        self.tx_seq = (self.tx_seq + 1) & 0xFFFF

    def inject(
        self,
        flags: int,
        seq: int,
        ack: int = 0,
        payload: bytes = b"",
        *,
        port: int = OPEN_PORT,
        host_port: int = HOST_PORT,
        window: int = WINDOW,
    ) -> None:
        self.inject_packet(MuxProtocol.TCP, Segment(host_port, port, seq, ack, flags, window, payload).encode())

    def inject_version(self, major: int = 2) -> None:
        self.tx_seq = 0
        self.transfer(encode_v1(MuxProtocol.VERSION, Version(major, 0).encode()))

    def inject_setup(self) -> None:
        self.inject_packet(MuxProtocol.SETUP, b"\x07", rx_seq=FIRST_RX_SEQ)

    def shake_hands(self) -> None:
        self.inject_version()
        assert len(self.mux.take_packets()) == 1
        if self.version == 2:
            self.inject_setup()

    def establish(self, *, seq: int = 0, window: int = WINDOW) -> DeviceConnection:
        """A connection after SYN, SYN|ACK, ACK: our next seq is `seq` + 1, the phone's 501."""
        self.inject(Flags.SYN, seq, window=window)
        connection = self.take_request()
        connection.accept()
        self.mux.take_packets()
        self.inject(Flags.ACK, seq + 1, 501, window=window)
        self.expect()
        return connection

    def take_request(self) -> DeviceConnection:
        while not isinstance(event := self.mux.next_event(), ConnectionRequested):
            assert event is not None
        return event.connection

    def take_segments(self) -> list[Segment]:
        self._reader.version = self.version
        segments = []
        for raw in self.mux.take_packets():
            for packet in self._reader.receive_data(raw):
                assert packet.protocol == MuxProtocol.TCP
                segments.append(Segment.decode(bytes(packet.payload)))
        return segments

    def expect(self, *lines: str) -> None:
        """The segments that the phone sent since it was last asked, as text; no more and no less."""
        assert [str(segment) for segment in self.take_segments()] == list(lines)


def running(*, version: int = 2, strict: bool = True, options: PhoneOptions | None = None) -> Wire:
    """A wire behind its handshake."""
    wire = Wire(version=version, strict=strict, options=options)
    wire.shake_hands()
    assert wire.violations == []
    return wire
