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
from contextlib import suppress

from usbmux.readiness import Readiness
from usbmux.relay.flow import Flow
from usbmux.relay.pipe import PipePool
from usbmux.sockets import undelivered

LINGER_S = 2.0
"""How long a side that has taken everything is listened to before it is closed."""


class Splice:
    """A local connection and the connection to the device that it leads to.

    Args:
        local: Connected stream socket of the local program. Belongs to the splice from now on.
        device: Connected stream socket from the daemon. Belongs to the splice from now on.
        scratch: Where bytes pass through during one callback. Any number of splices on one loop may share it;
            its length bounds what waits per direction.
        pipes: For many bytes at once, of the same size, and shared likewise; None for pipes of its own.
        linger_s: Limit for the polite end of a side whose partner is gone.
    """

    def __init__(
        self,
        local: socket.socket,
        device: socket.socket,
        scratch: bytearray,
        pipes: PipePool | None = None,
        *,
        linger_s: float = LINGER_S,
    ) -> None:
        self._local = local
        self._device = device
        self._linger_s = linger_s
        self._linger_timer: asyncio.TimerHandle | None = None
        self._done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        for side in (local, device):
            _prepare(side)
        self._own_pipes = PipePool(len(scratch))
        view = memoryview(scratch)
        pipes = pipes or self._own_pipes
        self._to_device = Flow(local, device, view, pipes, self._flow_ended)
        self._to_local = Flow(device, local, view, pipes, self._flow_ended)
        _watch(local, self._to_device, self._to_local)
        _watch(device, self._to_local, self._to_device)
        self._to_device.start()
        self._to_local.start()

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
            self._own_pipes.close()
            self._local.close()
            self._device.close()

    def _flow_ended(self, flow: Flow) -> None:
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


def _watch(side: socket.socket, outward: Flow, inward: Flow) -> None:
    """Let the loop tell of a side those that read it and write to it."""
    loop = asyncio.get_running_loop()
    ready = Readiness(loop, side, on_readable=outward.source_ready, on_writable=inward.sink_ready)
    outward.watch_source = ready.read
    inward.watch_sink = ready.write


def _prepare(side: socket.socket) -> None:
    side.setblocking(False)
    if side.family in (socket.AF_INET, socket.AF_INET6):
        with suppress(OSError):  # some systems refuse options on a socket that was reset; reading it will tell
            side.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
