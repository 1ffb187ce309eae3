"""The ports of services that were started: each for one connection, within some seconds."""

import asyncio
from typing import Final

from usbmux.testing.phone import SimulatedPhone
from usbmux.testing.ports import AcceptsLate, PortHandler
from usbmux.testing.stream import PhoneStream

FIRST_PORT: Final = 49152
_LAST_PORT: Final = 65535
_MAX_OPEN: Final = 256


class ServicePorts:
    """Opens ports of a phone, and closes those that no host comes to.

    Args:
        device: Whose ports.
        open_for_s: How long a host may take to connect.
    """

    def __init__(self, device: SimulatedPhone, open_for_s: float) -> None:
        self._device = device
        self._open_for_s = open_for_s
        self._timers: dict[int, asyncio.TimerHandle] = {}
        self._last = FIRST_PORT - 1

    def open(self, handler: PortHandler, accept_delay_s: float = 0.0) -> int | None:
        """Open a port for one connection; None if too many are open.

        Args:
            handler: Serves the connection, once it is accepted.
            accept_delay_s: How long that takes.
        """
        if len(self._timers) >= _MAX_OPEN:
            return None
        port = self.unused_port()
        self._timers[port] = asyncio.get_running_loop().call_later(self._open_for_s, self._close, port)

        async def serve_once(stream: PhoneStream) -> None:
            if self._close(port):  # else another connection was first
                await asyncio.sleep(accept_delay_s)
                stream.accept()
                await handler(stream)

        self._device.add_port(port, AcceptsLate(serve_once))
        return port

    def unused_port(self) -> int:
        """A port that is not open, and not the last one that was."""
        occupied = self._device.ports
        port = self._last
        while True:
            port = port + 1 if port < _LAST_PORT else FIRST_PORT
            if port not in occupied:
                self._last = port
                return port

    def _close(self, port: int) -> bool:
        timer = self._timers.pop(port, None)
        if timer is None:
            return False
        timer.cancel()
        self._device.remove_port(port)
        return True
