"""A device behind the fake usbfs: what each transfer and ioctl does to it, and what tests make go wrong."""

from __future__ import annotations

import errno
from collections import deque
from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING, Protocol

from usbmux.testing.usb_control import RequestType, SetupPacket
from usbmux.testing.usb_descriptors import IS_IN, DeviceKind, Speed
from usbmux.testing.usb_device import UsbDevice
from usbmux.testing.usb_endpoint import InRequest, TransferStatus
from usbmux.testing.usb_phone import ENDPOINT_IN, INITIAL_MODE, phone_kinds

if TYPE_CHECKING:
    from collections.abc import Callable

    from usbmux.usb.function import UsbFunction

ZERO_PACKET = 0x40
CONTROL = 2
_ERRORS = {
    TransferStatus.DONE: 0,
    TransferStatus.STALLED: -errno.EPIPE,
    TransferStatus.CANCELLED: -errno.ESHUTDOWN,
    TransferStatus.INVALID: -errno.ENOENT,
}


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
    """A `UsbDevice` whose host is a kernel that has configured it already.

    Attributes:
        written: Every OUT transfer that the device took: data, and whether it asked for the zero-length packet.
        calls: Every ioctl with its argument.
        hangs_in: An ioctl that does not return until the host releases it.
        drivers: Kernel drivers by interface.
        vendor_answers: What it says to vendor requests.
        silent_vendor: Whether it leaves them without an answer.
    """

    def __init__(
        self,
        kind: DeviceKind,
        *,
        name: str = "1-2",
        configuration: int = 4,
        speed: int | None = None,
        function: UsbFunction | None = None,
    ) -> None:
        self.kind = kind
        self.name = name
        self.speed = kind.speed.megabits if speed is None else speed
        self.capabilities = 0x7F
        self.address = 0
        self.host: Host | None = None
        self.drivers: dict[int, str] = {}
        self.claimed: set[int] = set()
        self.open_count = 0
        self.calls: list[tuple[Call, int]] = []
        self.hangs_in: Call | None = None
        self.written: list[tuple[bytes, bool]] = []
        self.writes_held: deque[Transfer] = deque()
        self.holds_writes = False
        self.vendor_answers: dict[int, bytes] = {}
        self.vendor_requests: list[tuple[int, int]] = []
        self.silent_control = False
        self.silent_vendor = False
        self.after_set_configuration: Callable[[], None] | None = None
        self.on_written: Callable[[bytes, bool], None] = lambda data, zero_packet: None
        self.on_claimed: Callable[[bool], None] = lambda is_claimed: None
        self._device = UsbDevice({INITIAL_MODE: kind}, function)
        self._configuration = configuration
        self._errors: dict[Call, deque[int]] = {}

    @property
    def configuration(self) -> int:
        """bConfigurationValue in force."""
        return self._configuration

    @configuration.setter
    def configuration(self, value: int) -> None:
        self._configuration = value
        self._device.set_configuration(value)

    @property
    def reads_waiting(self) -> tuple[InRequest, ...]:
        """The reads in flight at the mux interface."""
        return self._device.waiting(ENDPOINT_IN)

    def plugged(self, host: Host) -> None:
        """It is on the bus of a host now, and configured."""
        self.host = host
        self._device.attach(self._read_ended)
        self._device.set_configuration(self._configuration)

    def unplugged(self) -> None:
        """It is not on the bus any more."""
        self.closed()
        self._device.detach()

    def fail(self, call: Call, *errors: int) -> None:
        """Let the next calls of an ioctl fail with these errnos."""
        self._errors.setdefault(call, deque()).extend(errors)

    def stall(self, endpoint: int, times: int = 1) -> None:
        """Halt an endpoint until the host has cleared it so many times."""
        self._device.halt(endpoint, times)

    def send(self, data: bytes) -> None:
        """Queue one bulk IN transfer; it ends with a short packet, or an empty one where that is due."""
        self._device.send(data)

    def release_writes(self) -> None:
        """Complete the writes that were held."""
        self.holds_writes = False
        while self.writes_held:
            self._take(self.writes_held.popleft())

    def submitted(self, transfer: Transfer) -> None:
        """The host submitted a URB."""
        if transfer.kind == CONTROL:
            self._control(transfer)
        elif transfer.endpoint & IS_IN:
            if not self._device.submit_in(transfer.tag, transfer.endpoint, transfer.length):
                self._complete(transfer.tag, -errno.ENOENT)
        elif self.holds_writes:
            self.writes_held.append(transfer)
        else:
            self._take(transfer)

    def discarded(self, tag: int) -> None:
        """The host cancelled a URB."""
        self._device.cancel(tag)
        for transfer in list(self.writes_held):
            if transfer.tag == tag:
                self.writes_held.remove(transfer)
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
            case Call.CLEAR_HALT:
                self._device.clear_halt(argument)
            case Call.SET_INTERFACE | Call.RESET:
                pass
        return 0, b""

    def closed(self) -> None:
        """The host closed the device node."""
        if self.claimed:
            self.claimed.clear()
            self.on_claimed(False)
        for request in self.reads_waiting:
            self._device.cancel(request.tag)
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
        setup = SetupPacket.decode(transfer.data[:8])
        if setup.request_type == RequestType.VENDOR_FROM_DEVICE:
            self.vendor_requests.append((setup.request, setup.index))
            if self.silent_vendor:
                return
            answer = self.vendor_answers.get(setup.request)
        else:
            answer = self._device.control(setup)
        if answer is None:
            self._complete(transfer.tag, -errno.EPIPE)
        else:
            self._complete(transfer.tag, 0, answer[: setup.length])

    def _take(self, transfer: Transfer) -> None:
        status = self._device.submit_out(transfer.endpoint, transfer.data)
        if status is not TransferStatus.DONE:
            self._complete(transfer.tag, _ERRORS[status])
            return
        is_ended = bool(transfer.flags & ZERO_PACKET)
        if is_ended and transfer.data and len(transfer.data) % self.kind.speed.max_packet_size == 0:
            self._device.submit_out(transfer.endpoint, b"")
        self.written.append((transfer.data, is_ended))
        self._complete(transfer.tag, 0, b"", len(transfer.data))
        self.on_written(transfer.data, is_ended)

    def _read_ended(self, tag: int, status: TransferStatus, data: bytes) -> None:
        self._complete(tag, _ERRORS[status], data)

    def _complete(self, tag: int, status: int, data: bytes = b"", actual_length: int | None = None) -> None:
        assert self.host is not None
        self.host.complete(self, tag, status, data, len(data) if actual_length is None else actual_length)


def device_of_function(function: UsbFunction, *, name: str = "1-2") -> UsbfsDevice:
    """A phone whose mux interface leads to a `UsbFunction`, such as a `usbmux.testing.SimulatedPhone`."""
    (speed,) = (each for each in Speed if each.max_packet_size == function.max_packet_size)
    return UsbfsDevice(phone_kinds(function, speed)[INITIAL_MODE], name=name, function=function)
