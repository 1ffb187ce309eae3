"""One connection to a usbredir guest, such as QEMU: the host's side of the protocol, with a simulated device. Sans-IO.

The guest's hello comes first; then the device is announced, and the guest does with it what a kernel does with a
device on its bus. Rules for whoever changes this:

- Endpoints, then interfaces are told before every connect, and before the success of every change of them.
- After a disconnect nothing that the guest still sends is meant for the next device. A guest that can says so when it
  has seen the disconnect, and only then is the next device announced.
- Every data packet of the guest gets one answer, which is `CANCELLED` after a cancel, unless the device went away.
"""

import logging
from collections.abc import Callable
from enum import Enum, auto
from typing import Final

from usbmux import __version__
from usbmux.errors import RemoteProtocolError
from usbmux.testing.usb_descriptors import IS_IN
from usbmux.testing.usb_device import UsbDevice
from usbmux.testing.usb_endpoint import TransferStatus
from usbmux.testing.usbredir_answers import answer_packet, check_control_request, device_announcement
from usbmux.testing.usbredir_packet import MAX_BULK_LENGTH, Capability, Hello, PacketType, RedirPacket, RedirReader
from usbmux.testing.usbredir_payload import BulkPacket, ControlPacket, Status

CAPABILITIES: Final = (
    Capability.CONNECT_DEVICE_VERSION
    | Capability.FILTER
    | Capability.DEVICE_DISCONNECT_ACK
    | Capability.EP_INFO_MAX_PACKET_SIZE
    | Capability.IDS_64BITS
    | Capability.BULK_LENGTH_32BITS
)
"""What this side can."""
MAX_PENDING: Final = 1024
"""Number of requests that may wait for an answer."""

_STATUSES: Final = {
    TransferStatus.DONE: Status.SUCCESS,
    TransferStatus.STALLED: Status.STALL,
    TransferStatus.CANCELLED: Status.CANCELLED,
    TransferStatus.INVALID: Status.INVALID,
}
_CONTROL_REQUESTS: Final = (
    PacketType.SET_CONFIGURATION,
    PacketType.GET_CONFIGURATION,
    PacketType.SET_ALT_SETTING,
    PacketType.GET_ALT_SETTING,
    PacketType.CONTROL_PACKET,
)

_log = logging.getLogger("usbmux.testing")


class SessionState(Enum):
    """What stands between the two sides."""

    WAITING_HELLO = auto()
    UNPLUGGED = auto()
    PLUGGED = auto()
    LEAVING = auto()
    """The guest has not acknowledged the disconnect yet."""
    CLOSED = auto()


_EDGES: Final = {
    SessionState.WAITING_HELLO: {SessionState.UNPLUGGED, SessionState.CLOSED},
    SessionState.UNPLUGGED: {SessionState.PLUGGED, SessionState.CLOSED},
    SessionState.PLUGGED: {SessionState.LEAVING, SessionState.UNPLUGGED, SessionState.CLOSED},
    SessionState.LEAVING: {SessionState.UNPLUGGED, SessionState.CLOSED},
    SessionState.CLOSED: set[SessionState](),
}


class UsbredirSession:
    """A guest, from its connection to its end.

    Args:
        device: Not attached to anything.
        write: Sends bytes to the guest.
        call_later: Calls something after so many seconds; for devices with slow control requests.
        is_wanted: Whether the device is plugged in as soon as the guest has said hello.
    """

    def __init__(
        self,
        device: UsbDevice,
        write: Callable[[bytes], None],
        call_later: Callable[[float, Callable[[], None]], object],
        *,
        is_wanted: bool,
    ) -> None:
        self.is_wanted = is_wanted
        """Whether the device is plugged in, or about to be."""
        self.bytes_to_unplug: int | None = None
        """Unplug as soon as so many more bytes of bulk data have crossed, in the middle of a request if need be."""
        self._device = device
        self._write = write
        self._call_later = call_later
        self._state = SessionState.WAITING_HELLO
        self._reader = RedirReader()
        self._reads: dict[int, BulkPacket] = {}
        self._slow: dict[int, RedirPacket] = {}
        write(
            RedirPacket(PacketType.HELLO, 0, Hello(f"usbmux {__version__}", CAPABILITIES).encode()).encode(
                Capability(0)
            )
        )

    @property
    def state(self) -> SessionState:
        """What stands between the two sides."""
        return self._state

    def receive_data(self, data: bytes) -> None:
        """Take bytes of the guest.

        Raises:
            RemoteProtocolError: They break the protocol; close the session.
        """
        for packet in self._reader.receive_data(data):
            self._receive(packet)

    def plug(self) -> None:
        """Plug the device in: at once, or when the guest is ready for it."""
        self.is_wanted = True
        if self._state is SessionState.UNPLUGGED:
            self._set_state(SessionState.PLUGGED)
            self._device.attach(self._read_ended)
            self._send(*device_announcement(self._device, self._reader.capabilities))

    def unplug(self) -> None:
        """Pull the plug; requests under way get no answer."""
        self.is_wanted = False
        self.bytes_to_unplug = None
        if self._state is SessionState.PLUGGED:
            self._take_away()
            self._set_state(SessionState.LEAVING)
            self._send(RedirPacket(PacketType.DEVICE_DISCONNECT))
            if Capability.DEVICE_DISCONNECT_ACK not in self._reader.capabilities:
                self._set_state(SessionState.UNPLUGGED)

    def close(self) -> None:
        """The connection is over. Idempotent."""
        if self._state is SessionState.PLUGGED:
            self._take_away()
        self._set_state(SessionState.CLOSED)

    def _set_state(self, state: SessionState) -> None:
        if state is not self._state:
            assert state in _EDGES[self._state], f"{self._state} -> {state}"
            self._state = state

    def _send(self, *packets: RedirPacket) -> None:
        for packet in packets:
            self._write(packet.encode(self._reader.capabilities))

    def _take_away(self) -> None:
        self._reads.clear()
        self._slow.clear()
        self._device.detach()

    def _receive(self, packet: RedirPacket) -> None:
        if self._state is SessionState.WAITING_HELLO:
            hello = Hello.decode(packet.payload)
            _log.info("usbredir guest: %s", hello.version)
            self._reader.capabilities = hello.capabilities & CAPABILITIES
            self._set_state(SessionState.UNPLUGGED)
            if self.is_wanted:
                self.plug()
        elif packet.kind is PacketType.DEVICE_DISCONNECT_ACK:
            self._receive_acknowledgement()
        elif self._state is SessionState.PLUGGED:
            self._receive_for_device(packet)

    def _receive_acknowledgement(self) -> None:
        if self._state is SessionState.LEAVING:
            self._set_state(SessionState.UNPLUGGED)
            if self.is_wanted:
                self.plug()

    def _receive_for_device(self, packet: RedirPacket) -> None:
        if packet.kind is PacketType.BULK_PACKET:
            self._receive_bulk(packet)
        elif packet.kind is PacketType.CANCEL_DATA_PACKET:
            self._cancel(packet.id)
        elif packet.kind is PacketType.FILTER_REJECT:
            _log.warning("the usbredir guest's filter rejects the device")
            self._take_away()
            self._set_state(SessionState.UNPLUGGED)
        elif packet.kind in _CONTROL_REQUESTS and self._device.options.control_delay_s:
            self._check_pending(packet)
            check_control_request(packet)  # later there is nobody to whom an error could be raised
            self._slow[packet.id] = packet
            self._call_later(self._device.options.control_delay_s, lambda: self._answer_slow(packet))
        else:
            self._answer(packet)

    def _answer_slow(self, packet: RedirPacket) -> None:
        if self._slow.get(packet.id) is packet:
            del self._slow[packet.id]
            self._answer(packet)

    def _answer(self, packet: RedirPacket) -> None:
        self._send(*answer_packet(self._device, packet, self._reader.capabilities))
        if self._device.is_leaving:
            self.unplug()
            self.plug()

    def _receive_bulk(self, packet: RedirPacket) -> None:
        asked = BulkPacket.decode(packet.payload, self._reader.capabilities)
        is_in = bool(asked.endpoint & IS_IN)
        if len(asked.data) != (0 if is_in else asked.length):
            text = f"bulk packet for {asked.length} bytes with {len(asked.data)}"
            raise RemoteProtocolError(text, packet.payload[:16])
        if asked.length > MAX_BULK_LENGTH:
            raise RemoteProtocolError(f"bulk packet for {asked.length} bytes", packet.payload[:16])
        if asked.stream_id:
            self._answer_bulk(packet.id, asked, Status.INVALID, 0)
        elif is_in:
            self._check_pending(packet)
            self._reads[packet.id] = asked
            if not self._device.submit_in(packet.id, asked.endpoint, asked.length):
                self._read_ended(packet.id, TransferStatus.INVALID, b"")
        else:
            self._write_out(packet.id, asked)

    def _write_out(self, packet_id: int, asked: BulkPacket) -> None:
        left = self.bytes_to_unplug
        if left is not None and left < asked.length:
            # Only whole packets: less would end a transfer.
            whole = left - left % self._device.kind.speed.max_packet_size
            if whole:
                self._device.submit_out(asked.endpoint, asked.data[:whole])
            self.unplug()
            return
        status = self._device.submit_out(asked.endpoint, asked.data)
        moved = asked.length if status is TransferStatus.DONE else 0
        self._answer_bulk(packet_id, asked, _STATUSES[status], moved)
        self._count(moved)

    def _read_ended(self, packet_id: int, status: TransferStatus, data: bytes) -> None:
        asked = self._reads.pop(packet_id)
        if self.bytes_to_unplug is not None and self.bytes_to_unplug < len(data):
            self.unplug()
            return
        self._answer_bulk(packet_id, asked, _STATUSES[status], len(data), data)
        self._count(len(data))

    def _answer_bulk(self, packet_id: int, asked: BulkPacket, status: Status, moved: int, data: bytes = b"") -> None:
        answer = BulkPacket(asked.endpoint, status, moved, asked.stream_id, data)
        self._send(RedirPacket(PacketType.BULK_PACKET, packet_id, answer.encode(self._reader.capabilities)))

    def _count(self, moved: int) -> None:
        if self.bytes_to_unplug is not None:
            self.bytes_to_unplug -= moved
            if self.bytes_to_unplug == 0:
                self.unplug()

    def _cancel(self, packet_id: int) -> None:
        # What was answered already needs no second answer.
        read = self._reads.get(packet_id)
        slow = self._slow.pop(packet_id, None)
        if read is not None:
            self._device.cancel(packet_id)
            self._read_ended(packet_id, TransferStatus.CANCELLED, b"")
        elif slow is not None and slow.kind is PacketType.CONTROL_PACKET:
            asked = ControlPacket.decode(slow.payload)
            fields = (asked.endpoint, asked.request, asked.request_type)
            answer = ControlPacket(*fields, Status.CANCELLED, asked.value, asked.index, 0)
            self._send(RedirPacket(slow.kind, packet_id, answer.encode()))

    def _check_pending(self, packet: RedirPacket) -> None:
        if packet.id in self._reads or packet.id in self._slow:
            raise RemoteProtocolError(f"{packet.kind.name}: id {packet.id} is in use", packet.payload[:16])
        if len(self._reads) + len(self._slow) >= MAX_PENDING:
            raise RemoteProtocolError(f"more than {MAX_PENDING} requests under way")
