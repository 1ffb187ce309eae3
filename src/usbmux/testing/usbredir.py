"""A usbredir server: a simulated phone on a cable that ends in a socket, for QEMU and every other usbredir guest.

::

    async with UsbredirServer(SimulatedPhone()) as server:
        await server.serve("/tmp/phone0")
        # qemu-system-x86_64 -device qemu-xhci \
        #     -chardev socket,id=phone0,path=/tmp/phone0 -device usb-redir,chardev=phone0
"""

import asyncio
import logging
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from usbmux.control.address import Address, TcpAddress, UnixAddress, parse_address
from usbmux.errors import LocalProtocolError, RemoteProtocolError
from usbmux.testing.usb_descriptors import Speed
from usbmux.testing.usb_device import UsbDevice, UsbDeviceOptions
from usbmux.testing.usb_phone import INITIAL_MODE, phone_kinds
from usbmux.testing.usbredir_session import SessionState, UsbredirSession
from usbmux.usb.function import UsbFunction

_CHUNK_LENGTH: Final = 1 << 18

_log = logging.getLogger("usbmux.testing")


class UsbredirServer:
    """One phone and one socket. One guest at a time has the phone; others are hung up on.

    Args:
        phone: Must run at no other place. Its `max_packet_size` must be that of the speed.
        speed: Of the phone on its cable; None for the one that goes with its `max_packet_size`.
        options: Faults in its control requests.
        is_plugged: Whether guests find it plugged in.
        mode: The USB mode that it begins in, 1 to 5; in mode 5 it has no mux interface.

    Raises:
        LocalProtocolError: The phone's `max_packet_size` is not that of the speed.
    """

    def __init__(
        self,
        phone: UsbFunction,
        *,
        speed: Speed | None = None,
        options: UsbDeviceOptions | None = None,
        is_plugged: bool = True,
        mode: int = INITIAL_MODE,
    ) -> None:
        size = phone.max_packet_size
        fitting = [each for each in Speed if each.max_packet_size == size and speed in (None, each)]
        if not fitting:
            raise LocalProtocolError(f"{speed or 'no speed'} does not go with a max_packet_size of {size}")
        self.device: Final = UsbDevice(phone_kinds(phone, fitting[0]), phone, options=options, mode=mode)
        """The phone as a device: its modes, its endpoints, what it was asked for."""
        self._is_wanted = is_plugged
        self._server: asyncio.Server | None = None
        self._address: Address | None = None
        self._session: UsbredirSession | None = None
        self._writer: asyncio.StreamWriter | None = None
        self._task: asyncio.Task[None] | None = None
        self._progress = asyncio.Event()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    @property
    def address(self) -> Address:
        """Where it listens, with the port that the system has chosen.

        Raises:
            LocalProtocolError: It does not.
        """
        if self._address is None:
            raise LocalProtocolError("the usbredir server does not listen")
        return self._address

    @property
    def is_plugged(self) -> bool:
        """Whether the phone is plugged in, or will be as soon as there is a guest that is ready."""
        return self._is_wanted if self._session is None else self._session.is_wanted

    async def serve(self, address: str | Path | Address) -> None:
        """Listen at a path or a TCP address, from now on until `close`.

        Raises:
            AddressError: It is no address.
            OSError: It cannot be listened at.
            LocalProtocolError: It listens already.
        """
        if self._server is not None:
            raise LocalProtocolError("the usbredir server listens already")
        if isinstance(address, Path):
            address = UnixAddress(str(address))
        elif isinstance(address, str):
            address = parse_address(address)
        if isinstance(address, UnixAddress):
            self._server = await asyncio.start_unix_server(self._accept, address.path)
            self._address = address
        else:
            self._server = await asyncio.start_server(self._accept, address.host, address.port)
            self._address = TcpAddress(*self._server.sockets[0].getsockname()[:2])

    async def plug(self) -> None:
        """Plug the phone in; returns when the guest, if there is one, is told."""
        self._is_wanted = True
        if self._session is not None:
            self._session.plug()
            await self._wait_while(self._session, SessionState.LEAVING)

    async def unplug(self) -> None:
        """Pull the plug; returns when the guest, if there is one, has seen it."""
        self._is_wanted = False
        if self._session is not None:
            self._session.unplug()
            await self._wait_while(self._session, SessionState.LEAVING)

    def unplug_after(self, count: int) -> None:
        """Pull the plug when so many more bytes of bulk data have crossed, both directions added.

        A request in the middle of which that happens gets no answer; the phone takes what whole packets came before.

        Raises:
            LocalProtocolError: There is no guest.
        """
        if self._session is None:
            raise LocalProtocolError("no usbredir guest is connected")
        self._session.bytes_to_unplug = count

    def drop_connection(self) -> None:
        """Lose the connection to the guest, if there is one, in the middle of whatever is under way."""
        if self._writer is not None:
            self._writer.transport.abort()

    async def close(self) -> None:
        """Listen no more and hang up. Idempotent."""
        self._stop_listening()
        self.drop_connection()
        if self._task is not None:
            await self._task

    def _stop_listening(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None
            if isinstance(self._address, UnixAddress):
                Path(self._address.path).unlink(missing_ok=True)
            self._address = None

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._session is not None or self._server is None:
            _log.warning("%s: a second usbredir guest is refused", self._address)
            writer.close()
            return
        self._task = asyncio.current_task()
        self._writer = writer
        loop = asyncio.get_running_loop()
        self._session = UsbredirSession(self.device, writer.write, loop.call_later, is_wanted=self._is_wanted)
        try:
            await self._serve_guest(self._session, reader, writer)
        finally:
            self._is_wanted = self._session.is_wanted
            self._session.close()
            self._session = self._writer = self._task = None
            self._wake()
            writer.transport.abort()

    async def _serve_guest(
        self, session: UsbredirSession, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        with suppress(ConnectionError):
            try:
                while data := await reader.read(_CHUNK_LENGTH):
                    session.receive_data(data)
                    self._wake()
                    # A guest that does not read is not read either.
                    await writer.drain()
            except RemoteProtocolError as error:
                _log.warning("%s: usbredir guest: %s: %s", self._address, error, error.data.hex(" "))

    def _wake(self) -> None:
        self._progress.set()
        self._progress.clear()

    async def _wait_while(self, session: UsbredirSession, state: SessionState) -> None:
        while session.state is state:
            await self._progress.wait()
