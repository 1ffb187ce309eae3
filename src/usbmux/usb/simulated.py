"""A bus in memory: phones are plugged in by calls, and bulk transfers are handed over in the event loop.

Everything a pipe or the bus calls back is called by the loop, in order, and never from inside a call into
them. All transfers that gather in one turn of the loop cross in one callback. Not thread-safe.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import replace
from typing import Final, Protocol

from usbmux.errors import LocalProtocolError, UsbAccessError, UsbDisconnectedError, UsbError
from usbmux.usb.drain import Drain
from usbmux.usb.pipe import BUFFER_SIZE, MAX_WRITE_BYTES, BulkPipe, BusListener, PipeReceiver, UsbDeviceInfo

_BUS_NUMBER: Final = 1
_VENDOR_ID: Final = 0x05AC


class UsbFunction(Protocol):
    """The phone's side of a pipe: what can be plugged into a `SimulatedBus`. Compared by identity."""

    @property
    def info(self) -> UsbDeviceInfo:
        """Who this is. The bus replaces `location_id` and `port_path` by those of the plug."""

    @property
    def max_packet_size(self) -> int:
        """The bulk endpoints' wMaxPacketSize, in bytes."""

    def connected(self, send: Callable[[bytes], None]) -> None:
        """The host opened and started the pipe. Each call of `send` queues one bulk IN transfer."""

    def bulk_out(self, data: bytes) -> None:
        """One request of the host arrived.

        A transfer ends with a packet shorter than `max_packet_size`. So data whose length is a multiple of it
        does not end a transfer, unless it is empty.
        """

    def disconnected(self) -> None:
        """The host closed the pipe, or the plug was pulled. Ends what `connected` began."""


class SimulatedPipe:
    """A `BulkPipe` to a `UsbFunction`; made by `SimulatedCandidate.open`."""

    def __init__(
        self,
        function: UsbFunction,
        info: UsbDeviceInfo,
        *,
        slots: int,
        zero_length_packets: bool,
        released: Callable[[], None],
    ) -> None:
        self._function = function
        self._info = info
        self._slots = slots
        self.drain: Final = Drain()
        """Nothing is ever known: who lives in our loop takes nothing while we sleep."""
        self._zero_length_packets = zero_length_packets
        self._released = released
        self._loop = asyncio.get_running_loop()
        self._receiver: PipeReceiver | None = None
        self._outgoing: deque[bytes] = deque()
        self._outgoing_bytes = 0
        self._buffer = memoryview(bytearray(BUFFER_SIZE))
        self._incoming: deque[bytes] = deque()
        self._is_transfer_due = False
        self._is_ended = False
        self._is_closed = False
        self._error: UsbError | None = None
        self._finished = asyncio.Event()

    @property
    def info(self) -> UsbDeviceInfo:
        """Who this is."""
        return self._info

    def start(self, receiver: PipeReceiver) -> None:
        """Begin to read. Call once, before anything is written.

        Raises:
            LocalProtocolError: It was started before, or is closed.
        """
        if self._receiver is not None or self._is_closed:
            raise LocalProtocolError("the pipe is started or closed already")
        self._receiver = receiver
        if self._is_ended:
            self._finished.clear()
            self._loop.call_soon(self._tell_lost, receiver)
        else:
            self._function.connected(self._send)

    def has_free_slot(self) -> bool:
        """Whether `write` may be called now; never before the start or after the end."""
        return self._has_room() and self._receiver is not None and not self._is_ended

    def write(self, packet: bytes) -> None:
        """Send one mux packet as one bulk transfer, with its zero-length packet where one is due.

        Raises:
            LocalProtocolError: No slot is free.
        """
        if not self.has_free_slot():
            raise LocalProtocolError("the pipe has no free slot")
        self._outgoing.append(packet)
        self._outgoing_bytes += len(packet)
        self._schedule()

    def free_buffer(self) -> memoryview | None:
        """Memory for a packet, whose content is copied by `write_buffer`; None if no slot is free."""
        return self._buffer if self.has_free_slot() else None

    def write_buffer(self, length: int) -> None:
        """As `write`, a packet that stands in the first bytes of what `free_buffer` has just given.

        Raises:
            LocalProtocolError: No slot is free.
        """
        self.write(bytes(self._buffer[:length]))

    async def close(self) -> None:
        """Hand over what was written and release the interface. Idempotent; `pipe_lost(None)` comes first."""
        self._is_closed = True
        while self._outgoing and not self._is_ended:
            self._transfer_out()
        self.end(None)
        await self._finished.wait()

    def end(self, error: UsbError | None) -> None:
        """Stop all transfers at once; the receiver hears of it from the loop. Only the first call counts."""
        if not self._is_ended:
            self._is_ended = True
            self._error = error
            self._outgoing.clear()
            self._incoming.clear()
            self._loop.call_soon(self._finish, self._receiver)

    def _finish(self, receiver: PipeReceiver | None) -> None:
        self._released()
        if receiver is None:
            self._finished.set()
        else:
            self._function.disconnected()
            self._tell_lost(receiver)

    def _tell_lost(self, receiver: PipeReceiver) -> None:
        try:
            receiver.pipe_lost(self._error)
        finally:
            self._finished.set()

    def _send(self, data: bytes) -> None:
        if data and not self._is_ended:
            self._incoming.append(data)
            self._schedule()

    def _schedule(self) -> None:
        if not self._is_transfer_due:
            self._is_transfer_due = True
            self._loop.call_soon(self._transfer)

    def _transfer(self) -> None:
        # What the callbacks queue meanwhile waits for the loop's next turn, so that other work gets its share.
        self._is_transfer_due = False
        try:
            self._transfer_all()
        finally:
            # A callback that raised does not stop the rest.
            if self._outgoing or self._incoming:
                self._schedule()

    def _transfer_all(self) -> None:
        assert self._receiver is not None
        was_full = not self._has_room()
        for _ in range(len(self._outgoing)):
            if self._is_ended:
                return
            self._transfer_out()
        if was_full and not self._is_ended:
            self._receiver.slot_freed()
        if self._incoming and not self._is_ended:
            pieces = list(self._incoming)
            self._incoming.clear()
            self._receiver.data_received(pieces)
            self._receiver.ran_low()  # always: who lives in our loop does nothing while we sleep

    def _has_room(self) -> bool:
        return len(self._outgoing) < self._slots and self._outgoing_bytes < MAX_WRITE_BYTES

    def _transfer_out(self) -> None:
        packet = self._outgoing.popleft()
        self._outgoing_bytes -= len(packet)
        self._function.bulk_out(packet)
        is_unfinished = len(packet) % self._function.max_packet_size == 0 and len(packet) > 0
        if is_unfinished and self._zero_length_packets and not self._is_ended:
            self._function.bulk_out(b"")


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
