"""A session and a phone that insists on every rule, joined directly."""

from __future__ import annotations

from typing import TYPE_CHECKING

from usbmux.mux.session import MuxSession, SessionState
from usbmux.testing.device import ConnectionRequested, DeviceMux
from usbmux.testing.device_connection import ConnectionState
from usbmux.testing.options import PhoneOptions

if TYPE_CHECKING:
    from usbmux.mux.connection import TcpConnection
    from usbmux.mux.events import Event

ECHO, REFUSED, GREETS_AND_RESETS = 7, 8, 9
NOW = 100.0


class Pair:
    """A session and a phone on a cable without length, at a moment without duration."""

    def __init__(self, version: int = 2) -> None:
        self.violations: list[str] = []
        self.session = MuxSession(NOW)
        self.device = DeviceMux(
            lambda port: port != REFUSED,
            version=version,
            options=PhoneOptions(),
            strict=True,
            violations=self.violations,
        )
        self.host_ports: list[int] = []
        """Of every SYN that the phone has accepted."""
        self.settle()
        assert self.session.state is SessionState.READY

    def settle(self) -> list[Event]:
        """Let packets cross until both sides are silent; return what the session reported."""
        reported: list[Event] = []
        while True:
            while (event := self.session.next_event()) is not None:
                reported.append(event)
            packet = self.session.packet_to_send(NOW)
            if packet is not None:
                self.device.receive_data(bytes(packet))
                self._serve()
            elif packets := self.device.take_packets():
                self.session.receive_data(b"".join(packets), NOW)
            else:
                return reported

    def connect(self, port: int) -> TcpConnection:
        return self.session.connect(port, NOW)

    def _serve(self) -> None:
        while (event := self.device.next_event()) is not None:
            connection = event.connection
            if isinstance(event, ConnectionRequested):
                self.host_ports.append(connection.host_port)
                connection.accept()
            elif connection.port == GREETS_AND_RESETS and connection.state is ConnectionState.ESTABLISHED:
                connection.write(b"bye")
                connection.close()
            else:
                connection.write(connection.read(65536))
