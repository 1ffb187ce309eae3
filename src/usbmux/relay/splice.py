"""Two connected sockets joined, so that each looks like the far end of the other.

The local side may half-close: that is passed on, and the answer direction stays open for as long as the device side
keeps it. The device side never half-closes, so its end is the end of the connection: what it sent is delivered, and
what the local side still sends is read and thrown away, because closing a socket with unread input makes the kernel
send a reset that destroys delivered data.

Bytes move in callbacks of the event loop, at most one chunk waits per direction, and a direction whose chunk waits
is not read. Needs a selector event loop (``add_reader``).
"""

import asyncio
import socket
from collections.abc import Callable
from contextlib import suppress
from enum import Enum

from usbmux.sockets import undelivered

LINGER_S = 2.0
"""How long a side that has taken everything is listened to before it is closed."""


class FlowState(Enum):
    """Where one direction stands."""

    READING = "reading"
    """The source is watched, nothing waits."""
    WRITING = "writing"
    """A chunk waits for the sink, the source is left alone."""
    DISCARDING = "discarding"
    """The sink takes no more; the source is read and its bytes are thrown away."""
    FINISHED = "finished"
    """The source ended; if the sink could still take bytes it was told."""


_EDGES = {
    FlowState.READING: {FlowState.WRITING, FlowState.DISCARDING, FlowState.FINISHED},
    FlowState.WRITING: {FlowState.READING, FlowState.DISCARDING},
    FlowState.DISCARDING: {FlowState.FINISHED},
    FlowState.FINISHED: set(),
}
_SOURCE_WATCHED = {FlowState.READING, FlowState.DISCARDING}


class _Flow:
    """One direction. `ended` is called when it stops to carry bytes and when its source ended."""

    def __init__(
        self, source: socket.socket, sink: socket.socket, scratch: bytearray, ended: Callable[["_Flow"], None]
    ) -> None:
        self._source = source
        self._sink = sink
        self._scratch = memoryview(scratch)
        self._ended = ended
        self._loop = asyncio.get_running_loop()
        self._waiting = b""
        self._state = FlowState.READING
        self.source_failed = False
        self.byte_count = 0
        self._loop.add_reader(source, self._source_ready)

    @property
    def is_carrying(self) -> bool:
        return self._state is FlowState.READING or self._state is FlowState.WRITING

    @property
    def is_finished(self) -> bool:
        return self._state is FlowState.FINISHED

    def discard(self) -> None:
        """Carry nothing more; read the source until it ends."""
        if self.is_carrying:
            self._waiting = b""
            self._set_state(FlowState.DISCARDING)

    def stop(self) -> None:
        """Let go of both sockets."""
        self._loop.remove_reader(self._source)
        self._loop.remove_writer(self._sink)

    def _set_state(self, state: FlowState) -> None:
        if state not in _EDGES[self._state]:
            raise AssertionError(f"no edge from {self._state} to {state}")
        if state in _SOURCE_WATCHED and self._state not in _SOURCE_WATCHED:
            self._loop.add_reader(self._source, self._source_ready)
        elif state not in _SOURCE_WATCHED and self._state in _SOURCE_WATCHED:
            self._loop.remove_reader(self._source)
        if state is FlowState.WRITING:
            self._loop.add_writer(self._sink, self._sink_ready)
        elif self._state is FlowState.WRITING:
            self._loop.remove_writer(self._sink)
        self._state = state

    def _source_ready(self) -> None:
        try:
            count = self._source.recv_into(self._scratch)
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            self.source_failed = True
            count = 0
        if count == 0:
            self._finish()
        elif self._state is FlowState.READING:
            self._deliver(self._scratch[:count])

    def _sink_ready(self) -> None:
        self._deliver(self._waiting)

    def _deliver(self, chunk: bytes | memoryview) -> None:
        try:
            sent = self._sink.send(chunk)
        except (BlockingIOError, InterruptedError):
            sent = 0
        except OSError:
            self.discard()
            self._ended(self)
            return
        self.byte_count += sent
        # The scratch buffer is everybody's: what stays here must be a copy.
        self._waiting = bytes(chunk[sent:])
        if self._waiting and self._state is FlowState.READING:
            self._set_state(FlowState.WRITING)
        elif not self._waiting and self._state is FlowState.WRITING:
            self._set_state(FlowState.READING)

    def _finish(self) -> None:
        if self.is_carrying:
            with suppress(OSError):  # the sink may be gone already, and whoever reads it finds out
                self._sink.shutdown(socket.SHUT_WR)
        self._set_state(FlowState.FINISHED)
        self._ended(self)


class Splice:
    """A local connection and the connection to the device that it leads to.

    Args:
        local: Connected stream socket of the local program. Belongs to the splice from now on.
        device: Connected stream socket from the daemon. Belongs to the splice from now on.
        scratch: Where bytes pass through during one callback. Any number of splices on one loop may share it;
            its length bounds what waits per direction.
        linger_s: Limit for the polite end of a side whose partner is gone.
    """

    def __init__(
        self, local: socket.socket, device: socket.socket, scratch: bytearray, *, linger_s: float = LINGER_S
    ) -> None:
        self._local = local
        self._device = device
        self._linger_s = linger_s
        self._linger_timer: asyncio.TimerHandle | None = None
        self._done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        for side in (local, device):
            _prepare(side)
        self._to_device = _Flow(local, device, scratch, self._flow_ended)
        self._to_local = _Flow(device, local, scratch, self._flow_ended)

    @property
    def bytes_to_device(self) -> int:
        """Bytes that the device side's socket has taken."""
        return self._to_device.byte_count

    @property
    def bytes_to_local(self) -> int:
        """Bytes that the local side's socket has taken."""
        return self._to_local.byte_count

    async def run(self) -> None:
        """Wait until both directions have ended; both sockets are closed then, and also when cancelled."""
        try:
            await self._done
        finally:
            if self._linger_timer is not None:
                self._linger_timer.cancel()
            self._to_device.stop()
            self._to_local.stop()
            self._local.close()
            self._device.close()

    def _flow_ended(self, flow: _Flow) -> None:
        if flow is self._to_local and flow.is_finished:
            self._to_device.discard()
        elif flow is self._to_device and flow.source_failed:
            self._to_local.discard()
        if self._to_device.is_carrying or self._to_local.is_carrying:
            return
        if self._to_device.is_finished and self._to_local.is_finished:
            self._end()
        elif self._linger_timer is None:
            self._linger()

    def _linger(self) -> None:
        self._linger_timer = asyncio.get_running_loop().call_later(self._linger_s, self._check_delivery)

    def _check_delivery(self) -> None:
        if undelivered(self._local) or undelivered(self._device):
            self._linger()
        else:
            self._end()

    def _end(self) -> None:
        if not self._done.done():
            self._done.set_result(None)


def _prepare(side: socket.socket) -> None:
    side.setblocking(False)
    if side.family in (socket.AF_INET, socket.AF_INET6):
        with suppress(OSError):  # some systems refuse options on a socket that was reset; reading it will tell
            side.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
