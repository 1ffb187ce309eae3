"""A whole USB device around a `UsbFunction` such as a `SimulatedPhone`: control requests, configurations, endpoints.

Sans-IO. Whoever carries its transfers (a fake usbfs, a usbredir server) calls it like a bus and is called back like
one. What an iPhone does beyond any other device:

- Vendor request 0x45 tells whether it is in its first mode. 0x52 asks it for another mode (1 to 5, in wIndex); it
  answers with a zero byte if it agrees, leaves the bus, and comes back with other configurations.
- Vendor request 0 tells the hardware address of its network interface, without which no driver takes that.
- The mux runs from the configuration that has it until the next configuration, reset or unplug. Who has opened the
  device on the host, a phone cannot see.
"""

from collections.abc import Callable, Mapping
from typing import Final

from usbmux.errors import LocalProtocolError
from usbmux.testing.usb_control import ActiveInterface, RequestType, SetupPacket, answer_standard
from usbmux.testing.usb_descriptors import IS_IN, DeviceKind, EndpointType
from usbmux.testing.usb_endpoint import Halt, InEndpoint, InRequest, TransferStatus
from usbmux.testing.usb_phone import INITIAL_MODE, MUX, hardware_address
from usbmux.usb.function import UsbFunction
from usbmux.values import frozen

_HARDWARE_ADDRESS: Final = 0x00
_QUERY_MODE: Final = 0x45
_SWITCH_MODE: Final = 0x52
_FIRST_MODE: Final = b"\x03\x03\x03\x00"
_OTHER_MODE: Final = b"\x05\x03\x03\x00"
_AGREED: Final = b"\x00"
_REFUSED: Final = b"\x01"

EndedCallback = Callable[[int, TransferStatus, bytes], None]
"""Takes the tag of a request for data, how it ended, and the data."""


@frozen
class UsbDeviceOptions:
    """How a device behaves towards control requests; the defaults are those of a phone in order."""

    stalls_mode_requests: bool = False
    """It knows no modes."""
    mode_query_answer: bytes | None = None
    """Instead of the four usual bytes."""
    control_delay_s: float = 0.0
    """How long each control request takes; for whoever carries the transfers to wait. Infinity never answers."""


class UsbDevice:
    """A device that is attached to a bus, asked and written to, and detached, any number of times.

    Args:
        kinds: What it is in each of its modes.
        function: What runs behind the mux interface, if anything.
        options: Faults.
        mode: The mode that it begins in.
    """

    def __init__(
        self,
        kinds: Mapping[int, DeviceKind],
        function: UsbFunction | None = None,
        *,
        options: UsbDeviceOptions | None = None,
        mode: int = INITIAL_MODE,
    ) -> None:
        self.options = options or UsbDeviceOptions()
        self.mode_requests: list[tuple[int, int]] = []
        """Every vendor request for or about a mode: bRequest and wIndex."""
        self._kinds = dict(kinds)
        self._function = function
        self._mode = mode
        self._next_mode: int | None = None
        self._ended: EndedCallback | None = None
        self._configuration = 0
        self._alternates: list[int] = []
        self._in_endpoints: dict[int, InEndpoint] = {}
        self._out_halts: dict[int, Halt] = {}
        self._is_function_connected = False

    @property
    def mode(self) -> int:
        """The mode that it is in."""
        return self._mode

    @property
    def kind(self) -> DeviceKind:
        """What it is, in this mode."""
        return self._kinds[self._mode]

    @property
    def configuration(self) -> int:
        """The bConfigurationValue in force; 0 for none."""
        return self._configuration

    @property
    def interfaces(self) -> tuple[ActiveInterface, ...]:
        """The interfaces of the configuration in force, in the order of their numbers."""
        kinds = self.kind.configurations.get(self._configuration, ())
        return tuple(map(ActiveInterface, range(len(kinds)), self._alternates, kinds))

    @property
    def is_attached(self) -> bool:
        """Whether it is plugged in."""
        return self._ended is not None

    @property
    def is_leaving(self) -> bool:
        """Whether it has agreed to change its mode: once its answer is out, detach it and attach it again."""
        return self._next_mode is not None

    def attach(self, ended: EndedCallback) -> None:
        """Plug it in, unconfigured.

        Args:
            ended: Called for each request for data that ends, also from inside a call into the device.

        Raises:
            LocalProtocolError: It is attached.
        """
        if self._ended is not None:
            raise LocalProtocolError("the device is attached already")
        self._ended = ended

    def detach(self) -> None:
        """Unplug it. Requests that wait are forgotten without an answer. Idempotent."""
        self._ended = None
        self.reset()
        if self._next_mode is not None:
            self._mode, self._next_mode = self._next_mode, None

    def reset(self) -> None:
        """Bring it back to where it was when it was attached; requests that wait end as cancelled."""
        self._disconnect_function()
        self._configuration = 0
        self._alternates.clear()
        self._out_halts.clear()
        endpoints, self._in_endpoints = self._in_endpoints, {}
        for endpoint in endpoints.values():
            endpoint.drop()

    def set_configuration(self, value: int) -> bool:
        """Choose a configuration, 0 for none; everything begins anew, even if it is the one in force.

        Returns:
            False where there is none of that value; then nothing has changed.
        """
        if not self.is_attached or (value and value not in self.kind.configurations):
            return False
        self.reset()
        self._configuration = value
        self._alternates = [0] * len(self.kind.configurations.get(value, ()))
        for interface in self.interfaces:
            self._add_endpoints(interface)
        self._connect_function()
        return True

    def set_interface(self, number: int, alternate: int) -> bool:
        """Choose an alternate setting; its endpoints begin anew. False where there is none."""
        interfaces = self.interfaces
        if number >= len(interfaces) or alternate > interfaces[number].kind.alternate:
            return False
        old = interfaces[number]
        if old.kind.triple == MUX:
            self._disconnect_function()
        for endpoint in old.kind.endpoints_of(old.alternate):
            self._out_halts.pop(endpoint.address, None)
            if endpoint.address in self._in_endpoints:
                self._in_endpoints.pop(endpoint.address).drop()
        self._alternates[number] = alternate
        self._add_endpoints(self.interfaces[number])
        self._connect_function()
        return True

    def control(self, setup: SetupPacket) -> bytes | None:
        """Carry out a control request: the data for the host, at most `setup.length`; None where it stalls."""
        is_vendor = setup.request_type == RequestType.VENDOR_FROM_DEVICE
        answer = self._answer_vendor(setup) if is_vendor else answer_standard(self, setup)
        return None if answer is None else answer[: setup.length]

    def submit_in(self, tag: int, address: int, length: int) -> bool:
        """Ask an endpoint for data; False where there is no such endpoint, and nothing will end."""
        endpoint = self._in_endpoints.get(address)
        if endpoint is None:
            return False
        endpoint.submit(InRequest(tag, length))
        return True

    def submit_out(self, address: int, data: bytes) -> TransferStatus:
        """Send one request to an endpoint; only the mux has a use for it.

        A transfer ends with a packet that is not full. So a request whose length is a multiple of wMaxPacketSize does
        not end one, unless it is empty.
        """
        halt = self._out_halts.get(address)
        if halt is None:
            return TransferStatus.INVALID
        if halt:
            return TransferStatus.STALLED
        if self._function is not None and self._is_function_connected and address == self._mux_address(is_in=False):
            self._function.bulk_out(data)
        return TransferStatus.DONE

    def cancel(self, tag: int) -> bool:
        """Forget a request for data; whether it was waiting. It does not end."""
        return any(endpoint.cancel(tag) for endpoint in self._in_endpoints.values())

    def waiting(self, address: int) -> tuple[InRequest, ...]:
        """The requests for data without an answer yet at an endpoint."""
        endpoint = self._in_endpoints.get(address)
        return () if endpoint is None else endpoint.waiting

    def send(self, data: bytes) -> None:
        """Queue one transfer at the mux interface's endpoint to the host; without one it is lost."""
        address = self._mux_address(is_in=True)
        if address is not None:
            self._in_endpoints[address].send(data)

    def is_halted(self, address: int) -> bool | None:
        """Whether an endpoint is halted; None where there is no such endpoint."""
        if address & ~IS_IN == 0:
            return False
        endpoint = self._in_endpoints.get(address)
        if endpoint is not None:
            return endpoint.is_halted
        halt = self._out_halts.get(address)
        return None if halt is None else bool(halt)

    def halt(self, address: int, times: int = 1) -> None:
        """Let an endpoint stall until the host has cleared the halt so many times; one that is not there does not."""
        if address in self._in_endpoints:
            self._in_endpoints[address].halt(times)
        elif address in self._out_halts:
            self._out_halts[address].halt(times)

    def clear_halt(self, address: int) -> None:
        """Clear a halt, once."""
        if address in self._in_endpoints:
            self._in_endpoints[address].clear_halt()
        elif address in self._out_halts:
            self._out_halts[address].clear()

    def _add_endpoints(self, interface: ActiveInterface) -> None:
        for endpoint in interface.kind.endpoints_of(interface.alternate):
            if endpoint.address & IS_IN:
                self._in_endpoints[endpoint.address] = InEndpoint(self.kind.speed.max_packet_size, self._in_ended)
            else:
                self._out_halts[endpoint.address] = Halt()

    def _in_ended(self, tag: int, status: TransferStatus, data: bytes) -> None:
        if self._ended is not None:
            self._ended(tag, status, data)

    def _mux_address(self, *, is_in: bool) -> int | None:
        for interface in self.interfaces:
            if interface.kind.triple == MUX:
                for endpoint in interface.kind.endpoints_of(interface.alternate):
                    if endpoint.kind is EndpointType.BULK and bool(endpoint.address & IS_IN) is is_in:
                        return endpoint.address
        return None

    def _connect_function(self) -> None:
        has_mux = self._mux_address(is_in=True) is not None and self._mux_address(is_in=False) is not None
        if self._function is not None and has_mux and not self._is_function_connected:
            self._is_function_connected = True
            self._function.connected(self.send)

    def _disconnect_function(self) -> None:
        if self._function is not None and self._is_function_connected:
            self._is_function_connected = False
            self._function.disconnected()

    def _answer_vendor(self, setup: SetupPacket) -> bytes | None:
        if setup.request == _HARDWARE_ADDRESS:
            return hardware_address(self.kind.serial_number)
        if setup.request not in (_QUERY_MODE, _SWITCH_MODE):
            return None
        self.mode_requests.append((setup.request, setup.index))
        if self.options.stalls_mode_requests:
            return None
        if setup.request == _QUERY_MODE:
            usual = _FIRST_MODE if self._mode == INITIAL_MODE else _OTHER_MODE
            return usual if self.options.mode_query_answer is None else self.options.mode_query_answer
        if setup.index not in self._kinds:
            return _REFUSED
        self._next_mode = setup.index
        return _AGREED
