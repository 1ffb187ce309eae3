"""A device behind the fake usbfs: what each transfer and ioctl does to it, and what tests make go wrong."""

from __future__ import annotations

import errno
from collections import deque
from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING, Protocol

from tests.usb.usbfs.descriptors import ENDPOINT_IN, ENDPOINT_OUT, DeviceKind, phone_configurations

if TYPE_CHECKING:
    from collections.abc import Callable

    from usbmux.usb.simulated import UsbFunction

ZERO_PACKET = 0x40
CONTROL = 2


class Call(IntEnum):
    """The ioctls that reach the device; the same numbers as in fake.h."""

    CLAIM = 1
    RELEASE = 2
    SET_CONFIGURATION = 3
    SET_INTERFACE = 4
    CLEAR_HALT = 5
    GET_DRIVER = 6
    DISCONNECT_DRIVER = 7
    RESET = 8


@dataclass(frozen=True, slots=True)
class Transfer:
    """One URB that the host submitted."""

    tag: int
    endpoint: int
    kind: int
    flags: int
    length: int
    data: bytes


class Host(Protocol):
    """Where a device answers."""

    def complete(self, device: UsbfsDevice, tag: int, status: int, data: bytes, actual_length: int) -> None: ...
    def configured(self, device: UsbfsDevice) -> None: ...


class UsbfsDevice:
    """A device that takes bulk OUT transfers and gives bulk IN transfers.

    Attributes:
        written: Every OUT transfer that the device took: data, and whether it asked for the zero-length packet.
        calls: Every ioctl with its argument.
        drivers: Kernel drivers by interface.
        configuration: bConfigurationValue in force.
    """

    def __init__(self, kind: DeviceKind, *, name: str = "1-2", configuration: int = 4, speed: int = 480) -> None:
        self.kind = kind
        self.name = name
        self.speed = speed
        self.configuration = configuration
        self.capabilities = 0x7F
        self.address = 0
        self.host: Host | None = None
        self.drivers: dict[int, str] = {}
        self.claimed: set[int] = set()
        self.open_count = 0
        self.calls: list[tuple[Call, int]] = []
        self.written: list[tuple[bytes, bool]] = []
        self.reads_waiting: deque[Transfer] = deque()
        self.writes_held: deque[Transfer] = deque()
        self.holds_writes = False
        self.vendor_answers: dict[int, bytes] = {}
        self.vendor_requests: list[tuple[int, int]] = []
        self.silent_control = False
        self.after_set_configuration: Callable[[], None] | None = None
        self.on_written: Callable[[bytes, bool], None] = lambda data, zero_packet: None
        self.on_claimed: Callable[[bool], None] = lambda is_claimed: None
        self._errors: dict[Call, deque[int]] = {}
        self._stalls: dict[int, int] = {}
        self._outgoing: deque[tuple[memoryview, bool]] = deque()

    def fail(self, call: Call, *errors: int) -> None:
        """Let the next calls of an ioctl fail with these errnos."""
        self._errors.setdefault(call, deque()).extend(errors)

    def stall(self, endpoint: int, times: int = 1) -> None:
        """Let the next transfers on an endpoint stall."""
        self._stalls[endpoint] = times
        if endpoint == ENDPOINT_IN:
            self._give()

    def send(self, data: bytes) -> None:
        """Queue one bulk IN transfer; it ends with a short packet, or an empty one where that is due."""
        is_full = len(data) % self.kind.max_packet_size == 0
        self._outgoing.append((memoryview(data), is_full))
        self._give()

    def release_writes(self) -> None:
        """Complete the writes that were held."""
        self.holds_writes = False
        while self.writes_held:
            self._take(self.writes_held.popleft())

    def submitted(self, transfer: Transfer) -> None:
        """The host submitted a URB."""
        if transfer.kind == CONTROL:
            self._control(transfer)
        elif transfer.endpoint == ENDPOINT_IN:
            self.reads_waiting.append(transfer)
            self._give()
        elif self.holds_writes:
            self.writes_held.append(transfer)
        else:
            self._take(transfer)

    def discarded(self, tag: int) -> None:
        """The host cancelled a URB."""
        for queue in (self.reads_waiting, self.writes_held):
            for transfer in list(queue):
                if transfer.tag == tag:
                    queue.remove(transfer)
        self._complete(tag, -errno.ENOENT)

    def called(self, call: Call, argument: int) -> tuple[int, bytes]:
        """The host called an ioctl: returns an errno, and text for GET_DRIVER."""
        self.calls.append((call, argument))
        error = self._errors[call].popleft() if self._errors.get(call) else 0
        if error:
            return error, b""
        match call:
            case Call.CLAIM:
                if argument in self.drivers:
                    return errno.EBUSY, b""
                self.claimed.add(argument)
                self.on_claimed(True)
            case Call.RELEASE:
                self.claimed.discard(argument)
                self.on_claimed(False)
            case Call.SET_CONFIGURATION:
                return self._set_configuration(argument), b""
            case Call.GET_DRIVER:
                driver = self.drivers.get(argument)
                return (0, driver.encode()) if driver else (errno.ENODATA, b"")
            case Call.DISCONNECT_DRIVER:
                self.drivers.pop(argument, None)
            case Call.CLEAR_HALT | Call.SET_INTERFACE | Call.RESET:
                pass
        return 0, b""

    def closed(self) -> None:
        """The host closed the device node."""
        if self.claimed:
            self.claimed.clear()
            self.on_claimed(False)
        self.reads_waiting.clear()
        self.writes_held.clear()

    def _set_configuration(self, value: int) -> int:
        if self.drivers or self.claimed:
            return errno.EBUSY
        if value not in self.kind.configurations:
            return errno.EINVAL
        self.configuration = value
        if self.after_set_configuration is not None:
            self.after_set_configuration()
        assert self.host is not None
        self.host.configured(self)
        return 0

    def _control(self, transfer: Transfer) -> None:
        if self.silent_control:
            return
        request_type, request = transfer.data[0], transfer.data[1]
        value = int.from_bytes(transfer.data[2:4], "little")
        index = int.from_bytes(transfer.data[4:6], "little")
        answer = None
        if request_type == 0x80 and request == 6 and value >> 8 == 3:
            answer = self.kind.string(value & 0xFF)
        elif request_type == 0xC0:
            self.vendor_requests.append((request, index))
            answer = self.vendor_answers.get(request)
        if answer is None:
            self._complete(transfer.tag, -errno.EPIPE)
        else:
            self._complete(transfer.tag, 0, answer[: transfer.length - 8])

    def _take(self, transfer: Transfer) -> None:
        if self._has_stall(ENDPOINT_OUT):
            self._complete(transfer.tag, -errno.EPIPE)
            return
        is_ended = bool(transfer.flags & ZERO_PACKET)
        self.written.append((transfer.data, is_ended))
        self._complete(transfer.tag, 0, b"", len(transfer.data))
        self.on_written(transfer.data, is_ended)

    def _give(self) -> None:
        while self.reads_waiting and self._has_stall(ENDPOINT_IN):
            self._complete(self.reads_waiting.popleft().tag, -errno.EPIPE)
        while self._outgoing and self.reads_waiting:
            data, is_full = self._outgoing.popleft()
            read = self.reads_waiting.popleft()
            chunk, rest = data[: read.length], data[read.length :]
            # A transfer that fills the read to its end leaves its empty packet to the next read.
            if rest or (is_full and len(chunk) == read.length):
                self._outgoing.appendleft((rest, is_full))
            self._complete(read.tag, 0, bytes(chunk))

    def _has_stall(self, endpoint: int) -> bool:
        left = self._stalls.get(endpoint, 0)
        self._stalls[endpoint] = max(left - 1, 0)
        return left > 0

    def _complete(self, tag: int, status: int, data: bytes = b"", actual_length: int | None = None) -> None:
        assert self.host is not None
        self.host.complete(self, tag, status, data, len(data) if actual_length is None else actual_length)


def device_of_function(function: UsbFunction, *, name: str = "1-2") -> UsbfsDevice:
    """A phone whose mux interface leads to a `UsbFunction`, such as a `usbmux.testing.SimulatedPhone`."""
    info = function.info
    kind = DeviceKind(
        phone_configurations(),
        product_id=info.product_id,
        max_packet_size=function.max_packet_size,
        # On the wire the serial number has no dash.
        serial_number=info.serial_number.replace("-", ""),
    )
    device = UsbfsDevice(kind, name=name)

    def written(data: bytes, asks_for_zero_packet: bool) -> None:
        function.bulk_out(data)
        if asks_for_zero_packet and data and len(data) % function.max_packet_size == 0:
            function.bulk_out(b"")

    def claimed(is_claimed: bool) -> None:
        if is_claimed:
            function.connected(device.send)
        else:
            function.disconnected()

    device.on_written = written
    device.on_claimed = claimed
    return device
