"""The daemon as a whole: owns listeners, clients and phones."""

import asyncio
import ipaddress
import logging
import socket
from collections.abc import Sequence
from contextlib import suppress
from typing import Final

from usbmux.control.address import Address, TcpAddress
from usbmux.daemon.attendant import DeviceAttendant
from usbmux.daemon.client_link import ClientLink
from usbmux.daemon.device_link import DeviceStream
from usbmux.daemon.farewell import Farewells
from usbmux.daemon.hangup import HangupWatch
from usbmux.daemon.listener import Listener
from usbmux.daemon.pairing import PairRecordStore
from usbmux.daemon.pass_through import PassThrough
from usbmux.daemon.registry import DeviceRegistry
from usbmux.daemon.requests import RequestAnswerer
from usbmux.daemon.settings import DaemonSettings
from usbmux.usb.pipe import UsbBus

logger = logging.getLogger("usbmux.daemon")


class Daemon:
    """Serves the phones of some buses to local programs. Lives in one event loop.

    `start`, then `close`; or use it as an asynchronous context manager. Implements `ClientHost`.
    """

    def __init__(self, settings: DaemonSettings, buses: Sequence[UsbBus]) -> None:
        self.registry: DeviceRegistry = DeviceRegistry()
        self.answerer: RequestAnswerer = RequestAnswerer(self.registry, PairRecordStore(settings.pair_record_directory))
        self._settings: Final = settings
        self._buses: Final = tuple(buses)
        self._listeners: list[Listener] = []
        self._clients: dict[int, ClientLink] = {}
        self._streams: set[PassThrough] = set()
        self._client_count = 0

    async def __aenter__(self) -> "Daemon":
        await self.start()
        return self

    async def __aexit__(self, *_exc_info: object) -> None:
        await self.close()

    @property
    def addresses(self) -> tuple[Address, ...]:
        """Where it listens, with the ports that the system has chosen."""
        return tuple(listener.address for listener in self._listeners)

    async def start(self) -> None:
        """Listen at every address and watch every bus.

        Raises:
            OSError: An address cannot be bound.
            UsbError: A bus cannot be used at all.
        """
        self._loop = asyncio.get_running_loop()
        self._watch = HangupWatch(self._loop)
        self.farewells: Farewells = Farewells(self._loop)
        self._attendant = DeviceAttendant(self._loop, self.registry, self._settings.mux)
        try:
            for address in self._settings.addresses:
                _warn_of_exposure(address)
                listener = Listener(self._loop, address, self._settings.socket_mode, self._client_arrived)
                self._listeners.append(listener)
            for bus in self._buses:
                await bus.start(self._attendant)
        except BaseException:
            await self.close()
            raise
        for listener in self._listeners:
            listener.start()

    async def wait_settled(self, timeout_s: float) -> None:
        """Wait until every phone that was there at the start is attached or given up, but not longer than that."""
        await self._attendant.wait_settled(timeout_s)

    def rescan(self) -> None:
        """Look for phones that a bus did not report."""
        for bus in self._buses:
            bus.rescan()

    async def close(self) -> None:
        """End everything: clients, streams, phones, buses. Idempotent."""
        for listener in self._listeners:
            listener.close()
        self._listeners.clear()
        for client in list(self._clients.values()):
            client.close()
        for stream in list(self._streams):
            stream.close("usbmuxd is shutting down")
        await self._attendant.close()
        for bus in self._buses:
            await bus.close()
        self._watch.close()
        self.farewells.close()

    # Clients

    def _client_arrived(self, sock: socket.socket) -> None:
        self._client_count += 1
        client = ClientLink(self._loop, self, sock, self._client_count)
        self._clients[client.number] = client
        client.start()

    def client_ended(self, client: ClientLink) -> None:
        """See `ClientHost`."""
        self._clients.pop(client.number, None)

    def client_connected(
        self, client: ClientLink, sock: socket.socket, stream: DeviceStream, greeting: bytes, early: bytes
    ) -> None:
        """See `ClientHost`."""
        del self._clients[client.number]
        logger.info("%s: connected to %s", client, stream)
        pass_through = PassThrough(
            self._loop,
            self._watch,
            self.farewells,
            sock,
            stream,
            greeting=greeting,
            early=early,
            linger_s=self._settings.mux.linger_s,
            on_end=lambda: self._streams.discard(pass_through),
        )
        self._streams.add(pass_through)
        pass_through.start()


def _warn_of_exposure(address: Address) -> None:
    """Pair records and phones are open to whoever reaches the socket."""
    if isinstance(address, TcpAddress) and address.host != "localhost":
        with suppress(ValueError):
            if ipaddress.ip_address(address.host).is_loopback:
                return
        logger.warning("%s is reachable from other computers: anybody there may use the phones", address)
