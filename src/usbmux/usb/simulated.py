"""A bus in memory: phones are plugged in by calls.

What the bus calls back is called by the event loop, in order, and never from inside a call into it. Not thread-safe.
"""

import asyncio
from dataclasses import replace
from typing import Final

from usbmux.errors import LocalProtocolError, UsbAccessError, UsbDisconnectedError
from usbmux.usb.function import UsbFunction
from usbmux.usb.pipe import BulkPipe, BusListener, UsbDeviceInfo
from usbmux.usb.simulated_pipe import SimulatedPipe

_BUS_NUMBER: Final = 1
_VENDOR_ID: Final = 0x05AC


class SimulatedCandidate:
    """A `UsbCandidate`: one plugged function until it is unplugged."""

    def __init__(self, function: UsbFunction, info: UsbDeviceInfo, *, slots: int, zero_length_packets: bool) -> None:
        self._function = function
        self._info = info
        self._slots = slots
        self._zero_length_packets = zero_length_packets
        self._pipe: SimulatedPipe | None = None
        self._is_plugged = True

    @property
    def name(self) -> str:
        """Port path and ids for the log: ``1-2 (05ac:12a8)``."""
        return f"{self._info.port_path} ({_VENDOR_ID:04x}:{self._info.product_id:04x})"

    async def open(self, *, anew: bool = False) -> BulkPipe:
        """Take the pipe; it can be opened again once it is closed. `anew` makes no difference.

        Raises:
            UsbDisconnectedError: It was unplugged.
            UsbAccessError: It is open.
        """
        if not self._is_plugged:
            raise UsbDisconnectedError(f"{self.name} is unplugged")
        if self._pipe is not None:
            raise UsbAccessError(f"{self.name} is claimed already")
        self._pipe = SimulatedPipe(
            self._function,
            self._info,
            slots=self._slots,
            zero_length_packets=self._zero_length_packets,
            released=self._release,
        )
        return self._pipe

    def unplug(self) -> None:
        """The device is gone for good: an open pipe is lost."""
        self._is_plugged = False
        if self._pipe is not None:
            self._pipe.end(UsbDisconnectedError(f"{self.name} was unplugged"))

    def _release(self) -> None:
        self._pipe = None


class SimulatedBus:
    """A `UsbBus` into which functions are plugged by hand, before or after its start.

    Args:
        slots: Number of bulk OUT transfers that a pipe takes before it has no free slot.
        zero_length_packets: False leaves them out, as a careless host does: exists to show that a phone notices.
        keeps_addresses: Whether a function that comes back has the address that it had, as on some systems.
    """

    def __init__(self, *, slots: int = 8, zero_length_packets: bool = True, keeps_addresses: bool = False) -> None:
        self._slots = slots
        self._zero_length_packets = zero_length_packets
        self._candidates: dict[UsbFunction, SimulatedCandidate] = {}
        self._keeps_addresses = keeps_addresses
        self._ports: dict[UsbFunction, int] = {}
        self._addresses: dict[UsbFunction, int] = {}
        self._last_address = 0
        self._listener: BusListener | None = None
        self._starts = 0
        self._loop: asyncio.AbstractEventLoop | None = None

    def plug(self, function: UsbFunction) -> None:
        """Put a function on the bus: under a new address unless addresses are kept, but always at the same port.

        Raises:
            LocalProtocolError: It is plugged in already.
        """
        if function in self._candidates:
            raise LocalProtocolError(f"{function.info.serial_number} is plugged in already")
        if not self._keeps_addresses or function not in self._addresses:
            self._last_address += 1
            self._addresses[function] = self._last_address
        port = self._ports.setdefault(function, len(self._ports) + 1)
        location_id = _BUS_NUMBER << 16 | self._addresses[function]
        info = replace(function.info, location_id=location_id, port_path=f"{_BUS_NUMBER}-{port}")
        candidate = SimulatedCandidate(function, info, slots=self._slots, zero_length_packets=self._zero_length_packets)
        self._candidates[function] = candidate
        self._report(candidate, is_arrival=True)

    def unplug(self, function: UsbFunction) -> None:
        """Pull the plug: transfers that did not cross yet are lost, and so is an open pipe.

        Raises:
            LocalProtocolError: It is not plugged in.
        """
        candidate = self._candidates.pop(function, None)
        if candidate is None:
            raise LocalProtocolError(f"{function.info.serial_number} is not plugged in")
        self._report(candidate, is_arrival=False)
        candidate.unplug()

    async def start(self, listener: BusListener) -> None:
        """Report every function present, before this returns, and from then on every change.

        A closed bus may be started again.

        Raises:
            LocalProtocolError: It is started already.
        """
        if self._listener is not None:
            raise LocalProtocolError("the bus is started already")
        self._listener = listener
        self._starts += 1
        self._loop = asyncio.get_running_loop()
        for candidate in self._candidates.values():
            self._report(candidate, is_arrival=True)
        await asyncio.sleep(0)  # one turn of the loop, in which it reports them

    def rescan(self) -> None:
        """Nothing to do: no change goes unreported."""

    async def close(self) -> None:
        """Stop reporting. What is plugged in stays so."""
        self._listener = None

    def _report(self, candidate: SimulatedCandidate, *, is_arrival: bool) -> None:
        if self._listener is not None and self._loop is not None:
            self._loop.call_soon(self._tell, self._starts, candidate, is_arrival)

    def _tell(self, start: int, candidate: SimulatedCandidate, is_arrival: bool) -> None:
        if self._listener is None or start != self._starts:
            return
        if is_arrival:
            self._listener.device_arrived(candidate)
        else:
            self._listener.device_left(candidate)
