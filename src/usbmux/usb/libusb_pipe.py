"""The opened mux interface of one phone, over libusb.

::

    OPENED --start--> RUNNING --failure--> LOST --close--> CLOSED
      |                  |                                   ^
      +------------------+---------------close---------------+

A stalled endpoint is healed once: its other transfers are cancelled, the halt is cleared, and they are sent again.
If it stalls again before it carried anything, the pipe is lost.
"""

import asyncio
import logging
from contextlib import suppress
from enum import Enum
from typing import Final

from usbmux.errors import LocalProtocolError, UsbDisconnectedError, UsbError
from usbmux.usb.apple import MuxInterface
from usbmux.usb.binding import translated
from usbmux.usb.bulk_reader import BulkReader
from usbmux.usb.bulk_transfer import BulkEndpoint
from usbmux.usb.bulk_writer import BulkWriter
from usbmux.usb.pipe import MAX_WRITE_BYTES, PipeReceiver, UsbDeviceInfo
from usbmux.usb.session import UsbSession
from usbmux.usb.sleep import SleepCheck
from usbmux.usb.spare_memory import SpareMemory
from usbmux.usb.write_limit import WriteLimit
from usbmux.values import frozen

# Linux takes 5 s to give up on a host controller that hangs; then all its transfers end.
_CANCEL_TIMEOUT_S: Final = 6.0
_LAST_WRITES_S: Final = 0.5
_LARGEST_PACKET_SIZE: Final = 1024
_READS_GROWTH: Final = 8  # many short packets: what more would bring is little
_WRITES_GROWTH: Final = 4

_log = logging.getLogger("usbmux.usb")


class PipeState(Enum):
    """Where a pipe is in its life."""

    OPENED = "opened"
    RUNNING = "running"
    LOST = "lost"
    CLOSED = "closed"


_EDGES: Final = frozenset(
    {
        (PipeState.OPENED, PipeState.RUNNING),
        (PipeState.OPENED, PipeState.CLOSED),
        (PipeState.RUNNING, PipeState.LOST),
        (PipeState.RUNNING, PipeState.CLOSED),
        (PipeState.LOST, PipeState.CLOSED),
    }
)


@frozen
class TransferSizes:
    """How much a pipe keeps in flight.

    Where that is too little, there may be eight times as many reads, and four times as many bytes to write.

    A read must not be larger than 16384 bytes unless the phone ends every transfer that fills whole packets with a
    zero-length packet: it is only known to do so where the length is not a multiple of 16384, and a larger read would
    wait for more. Eight such reads take one whole window of a connection on USB 2.
    """

    reads: int = 8
    """Number of reads in flight."""
    read_size: int = 16384
    """Bytes of a read."""
    writes: int = 32
    """Number of writes in flight."""
    write_bytes: int = MAX_WRITE_BYTES
    """No further write begins while as many bytes are in flight; see also `WriteLimit`."""

    def __post_init__(self) -> None:
        if self.reads < 1 or self.writes < 2 or self.write_bytes < 1:
            raise ValueError("at least one read and two writes must be in flight")
        if self.read_size < _LARGEST_PACKET_SIZE or self.read_size % _LARGEST_PACKET_SIZE != 0:
            raise ValueError(f"the size of a read must be a multiple of {_LARGEST_PACKET_SIZE}")


class LibusbPipe:
    """A `BulkPipe`. Takes over an opened session with the interface claimed, and closes it."""

    def __init__(
        self, session: UsbSession, info: UsbDeviceInfo, mux: MuxInterface, sizes: TransferSizes, spare: SpareMemory
    ) -> None:
        self._session = session
        self._info = info
        self._loop = asyncio.get_running_loop()
        self._sleep = SleepCheck()
        self._state = PipeState.OPENED
        self._receiver: PipeReceiver | None = None
        self._healing: set[asyncio.Task[None]] = set()
        self._closing: asyncio.Task[None] | None = None
        endpoint_in = BulkEndpoint(session.handle, mux.endpoint_in)
        endpoint_out = BulkEndpoint(session.handle, mux.endpoint_out)
        self._reader = BulkReader(
            endpoint_in, self, spare, count=sizes.reads, most=_READS_GROWTH * sizes.reads, size=sizes.read_size
        )
        limit = WriteLimit(
            spare, least=sizes.write_bytes, most=_WRITES_GROWTH * sizes.write_bytes, step=max(1, sizes.write_bytes // 2)
        )
        self._writer = BulkWriter(endpoint_out, self, limit, max_packet_size=mux.max_packet_size, slots=sizes.writes)
        # Each packet needs both, so without a call in between; see `BulkPipe`.
        self.has_free_slot: Final = self._writer.has_free_slot
        self.drain: Final = self._writer.drain
        self.write: Final = self._writer.write
        self.free_buffer: Final = self._writer.free_buffer
        self.write_buffer: Final = self._writer.write_buffer
        session.pump.call_after_events(self._collect)

    @property
    def info(self) -> UsbDeviceInfo:
        """Who this is."""
        return self._info

    def start(self, receiver: PipeReceiver) -> None:
        """Begin to read. Call once, before anything is written.

        Raises:
            LocalProtocolError: It was started before, or is closed.
        """
        if self._state is not PipeState.OPENED:
            raise LocalProtocolError(f"the pipe is {self._state.value} already")
        self._receiver = receiver
        self._reader.deliver = receiver.data_received
        self._set_state(PipeState.RUNNING)
        self._writer.start()
        self._reader.resume()

    async def close(self) -> None:
        """Stop all transfers and release the interface. Idempotent; `pipe_lost(None)` comes first."""
        if self._closing is None:
            self._writer.refuse()
            self._closing = asyncio.ensure_future(self._close())
        await asyncio.shield(self._closing)

    def ran_low(self) -> None:
        """Half of the reads or more had ended when somebody looked."""
        if self._state is PipeState.RUNNING and self._receiver is not None:
            self._receiver.ran_low()

    def read_stalled(self) -> None:
        """A read ended in a stall: heal the endpoint."""
        if self._state is not PipeState.RUNNING:
            return
        _log.warning("%s: endpoint %#04x stalled; clearing the halt", self._session.name, self._reader.address)
        self._reader.stop()
        task = asyncio.ensure_future(self._heal())
        self._healing.add(task)
        task.add_done_callback(self._healing.discard)

    def transfer_failed(self, error: UsbError) -> None:
        """A transfer ended in an error: the pipe is lost."""
        if self._state is PipeState.RUNNING:
            self._end(PipeState.LOST, error)

    def _collect(self) -> None:
        if self._state is PipeState.RUNNING and self._sleep.has_slept():
            self._end(PipeState.LOST, UsbDisconnectedError("the machine slept, and the phone may have forgotten us"))
        # Writes first: their slots are free then for what the reads bring about, above all acknowledgements. Only what
        # these leave is for those that waited for a slot.
        is_slot_freed = False
        try:
            is_slot_freed = self._writer.collect()
        finally:
            try:
                self._reader.collect()
            finally:
                if is_slot_freed and self._receiver is not None and self._writer.has_free_slot():
                    self._receiver.slot_freed()

    def _end(self, state: PipeState, error: UsbError | None) -> None:
        self._set_state(state)
        receiver, self._receiver = self._receiver, None
        self._reader.deliver = _drop
        self._reader.stop()
        self._writer.stop()
        if receiver is not None:
            # By the loop, so that what it raises does not keep the pipe from being closed. It comes before `close`
            # returns, which takes several turns.
            self._loop.call_soon(receiver.pipe_lost, error)

    async def _heal(self) -> None:
        await self._reader.wait_idle()
        try:
            await self._session.call(self._clear_halt, self._reader.address)
        except UsbError as error:
            self.transfer_failed(error)
            return
        if self._state is PipeState.RUNNING:
            self._reader.resume()

    def _clear_halt(self, address: int) -> None:
        with translated(f"clear the halt of endpoint {address:#04x} of {self._session.name}"):
            self._session.handle.clearHalt(address)

    async def _close(self) -> None:
        if self._state is PipeState.RUNNING:
            # What was handed over goes out first: a phone that is left amid a packet takes the next one for its rest.
            with suppress(TimeoutError):
                async with asyncio.timeout(_LAST_WRITES_S):
                    await self._writer.wait_idle()
        if self._state is PipeState.LOST:
            self._set_state(PipeState.CLOSED)
        else:
            self._end(PipeState.CLOSED, None)
        try:
            async with asyncio.timeout(_CANCEL_TIMEOUT_S):
                await asyncio.gather(*self._healing, self._reader.wait_idle(), self._writer.wait_idle())
        except TimeoutError:
            # To free what the kernel still uses would be worse than to leak it.
            _log.error("%s: transfers do not end; its handle stays open", self._session.name)
            return
        self._reader.close()
        self._writer.close()
        await self._session.close()

    def _set_state(self, state: PipeState) -> None:
        assert (self._state, state) in _EDGES, f"{self._state} -> {state}"
        self._state = state


def _drop(_pieces: list[memoryview]) -> None:
    """A pipe that has ended delivers nothing."""
