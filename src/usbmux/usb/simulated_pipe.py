"""A pipe in memory: bulk transfers are handed over in the event loop.

Everything it calls back is called by the loop, in order, and never from inside a call into it. All transfers that
gather in one turn of the loop cross in one callback. Not thread-safe.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Final

from usbmux.errors import LocalProtocolError, UsbError
from usbmux.usb.drain import Drain
from usbmux.usb.function import UsbFunction
from usbmux.usb.pipe import BUFFER_SIZE, MAX_WRITE_BYTES, PipeReceiver, UsbDeviceInfo


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
