"""All forwards that the daemon keeps."""

import asyncio
import logging
import socket
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from usbmux.admin.forward import MAX_FORWARDS, ForwardStatus, KeptForward
from usbmux.daemon.client_table import ClientTable, ServedClient
from usbmux.daemon.forward_file import ForwardFile
from usbmux.daemon.forward_listener import ForwardListener
from usbmux.daemon.forwarded_client import ForwardedClient, attached_links
from usbmux.daemon.pass_through import PassThrough
from usbmux.daemon.registry import DeviceRegistry
from usbmux.errors import AddressError, ConfigurationError
from usbmux.threads import call_in_thread

logger = logging.getLogger("usbmux.daemon.forward")


class KeptForwards:
    """Listens for each of them, and writes them down when they change, one change after the other.

    Args:
        loop: Where it lives.
        file: Where they are over a restart.
        registry: The phones.
        clients: Programs that came by a forward are among these, under its address.
        on_client: Gets each program that comes, with what leads it to the phone.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        file: ForwardFile,
        registry: DeviceRegistry,
        clients: ClientTable,
        on_client: Callable[[ForwardListener, socket.socket], None],
    ) -> None:
        self._loop: Final = loop
        self._file: Final = file
        self._registry: Final = registry
        self._clients: Final = clients
        self._on_client: Final = on_client
        self._forwards: list[ForwardListener] = []
        self._changing: Final = asyncio.Lock()
        self._writer: Final = ThreadPoolExecutor(1, "forwards")

    def load(self) -> None:
        """Read what was kept when the daemon ended."""
        for kept in self._file.read():
            try:
                self._forwards.append(ForwardListener(self._loop, kept, self._on_client))
            except AddressError as error:
                logger.error("a forward is not kept: %s", error)

    def listen(self) -> None:
        """Begin to listen for what was kept, now or as soon as that is possible."""
        for forward in self._forwards:
            forward.keep_trying()

    def statuses(self) -> tuple[ForwardStatus, ...]:
        """All of them, in the order in which they were added."""
        return self._statuses_of(self._forwards)

    async def add(self, wanted: Sequence[KeptForward]) -> tuple[ForwardStatus, ...]:
        """Keep these too.

        Raises:
            AddressError, ConfigurationError: They cannot be kept.
            OSError: One cannot listen, or they cannot be written down. Then none is kept.
        """
        async with self._changing:
            if len(self._forwards) + len(wanted) > MAX_FORWARDS:
                raise ConfigurationError(f"more than {MAX_FORWARDS} forwards")
            added: list[ForwardListener] = []
            try:
                for kept in wanted:
                    self._open(kept, added)
                await self._write([*self._forwards, *added])
            except BaseException:
                for forward in added:
                    forward.close()
                raise
            self._forwards += added
            for forward in added:
                forward.start()
            return self._statuses_of(added)

    async def remove(self, names: Sequence[str]) -> tuple[ForwardStatus, ...]:
        """Keep those no more that listen there, and end their connections.

        Raises:
            ConfigurationError: There is none of that name.
            OSError: That cannot be written down. Then all are kept.
        """
        async with self._changing:
            known = {forward.kept.listen for forward in self._forwards}
            for name in names:
                if name not in known:
                    raise ConfigurationError(f"no forward listens at {name}")
            left = [forward for forward in self._forwards if forward.kept.listen not in names]
            removed = [forward for forward in self._forwards if forward.kept.listen in names]
            await self._write(left)
            statuses = self._statuses_of(removed)
            self._forwards = left
            for forward in removed:
                self._end_clients(forward)
                forward.close()
            return statuses

    def stop_listening(self) -> None:
        """Accept nobody any more; the forwards stay written down."""
        for forward in self._forwards:
            forward.close()

    def close(self) -> None:
        """End, after `stop_listening`."""
        self._writer.shutdown(wait=False, cancel_futures=True)

    def _open(self, kept: KeptForward, added: list[ForwardListener]) -> None:
        forward = ForwardListener(self._loop, kept, self._on_client)
        if any(forward.address == other.address for other in self._forwards):  # one that does not listen now
            raise ConfigurationError(f"{forward.address} is forwarded already")
        forward.open()
        added.append(forward)

    async def _write(self, forwards: Iterable[ForwardListener]) -> None:
        kept = [forward.kept for forward in forwards]
        await call_in_thread(self._writer, self._file.write, kept)

    def _statuses_of(self, forwards: Iterable[ForwardListener]) -> tuple[ForwardStatus, ...]:
        return tuple(map(self._status_of, forwards))

    def _status_of(self, forward: ForwardListener) -> ForwardStatus:
        phones = len(attached_links(self._registry, forward.kept.udid))
        return ForwardStatus(
            listen=forward.kept.listen,
            port=forward.kept.port,
            udid=forward.kept.udid,
            is_listening=forward.is_listening,
            is_attached=phones == 1,
            phones=phones,
            connections=len(self._clients_of(forward)),
            error=forward.error,
        )

    def _clients_of(self, forward: ForwardListener) -> list[ServedClient]:
        if not forward.is_listening:  # the address is somebody else's, perhaps that of the daemon's own clients
            return []
        return [client for client in self._clients if client.address == forward.address]

    def _end_clients(self, forward: ForwardListener) -> None:
        for client in self._clients_of(forward):
            match client.owner:
                case ForwardedClient() as waiting:
                    waiting.close("the forward was removed")
                case PassThrough() as stream:
                    stream.close("the forward was removed")
                case _:
                    raise AssertionError("only forwarded programs come by a forward")
