"""The admin socket: for root and the daemon's own user, to look inside while it runs."""

import asyncio
import logging
import socket
from collections.abc import Callable
from dataclasses import replace
from typing import Final

from usbmux import __version__
from usbmux.admin.message import Kicked, KickRequest, PhoneStatus, Status, StatusPart, StatusRequest
from usbmux.capture.trace_hub import TraceHub
from usbmux.daemon.admin_link import AdminLink
from usbmux.daemon.client_table import ClientTable, connections_of
from usbmux.daemon.counts import Counts
from usbmux.daemon.kept_forwards import KeptForwards
from usbmux.daemon.listen_settings import ListenSettings
from usbmux.daemon.listener import Listener
from usbmux.errors import ConfigurationError
from usbmux.farewell import Farewells

logger = logging.getLogger("usbmux.daemon.admin")

MAX_ADMIN_CLIENTS: Final = 32


class AdminServer:
    """Serves the protocol of docs/admin.md. Implements `AdminHost`.

    Args:
        loop: Where it lives.
        listen: The socket.
        hub: Where captures listen.
        farewells: Close the clients' sockets.
        phones: The phones as they are now.
        clients: The daemon's clients.
        counts: What has happened since the start.
        forwards: Those that it keeps.
        backlog: How many bytes of a capture may wait for its reader before packets are dropped.

    Raises:
        ConfigurationError: The socket is none with a file, whose mode keeps others out.
        OSError: The address cannot be bound.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        listen: ListenSettings,
        hub: TraceHub,
        farewells: Farewells,
        phones: Callable[[], tuple[PhoneStatus, ...]],
        clients: ClientTable,
        counts: Counts,
        forwards: KeptForwards,
        backlog: int,
    ) -> None:
        _check_private(listen)
        self.hub: TraceHub = hub
        self.farewells: Farewells = farewells
        self.forwards: KeptForwards = forwards
        self.backlog: int = backlog
        self._loop: Final = loop
        self._phones: Final = phones
        self._clients: Final = clients
        self._counts: Final = counts
        self._links: Final[dict[AdminLink, None]] = {}
        self._client_count = 0
        self._listener: Final = Listener(loop, listen.address, listen.mode, self._client_arrived, handed=listen.handed)

    def start(self) -> None:
        """Begin to accept."""
        self._listener.start()

    def stop_listening(self) -> None:
        """Accept no more and remove the socket file."""
        self._listener.close()

    def close(self) -> None:
        """End what is left, after `stop_listening`; captures tell of the ends of links that were ended before."""
        for link in list(self._links):
            link.close()

    def status(self, request: StatusRequest) -> Status:
        """See `AdminHost`."""
        parts, now = request.parts, self._loop.time()
        is_about_phones_alone = set(parts) <= {StatusPart.PHONES}
        page, next_after = ([], None) if is_about_phones_alone else self._clients.page(request.after)
        return Status(
            version=__version__,
            phones=self._counted_phones(now) if StatusPart.PHONES in parts else (),
            clients=tuple(client.status(now) for client in page) if StatusPart.CLIENTS in parts else (),
            connections=tuple(connections_of(page, now)) if StatusPart.CONNECTIONS in parts else (),
            next_after=next_after,
            parts=parts,
        )

    def kick(self, request: KickRequest) -> Kicked:
        """See `AdminHost`."""
        client = self._clients.find(request.client)
        if client is not None:
            client.owner.close("an administrator ended the connection")
        return Kicked(client is not None)

    def link_closed(self, link: AdminLink) -> None:
        """See `AdminHost`."""
        del self._links[link]

    def _counted_phones(self, now: float) -> tuple[PhoneStatus, ...]:
        counted = self._counts.phones_with(self._clients.traffic())
        phones = []
        for phone in self._phones():
            if (counts := counted.get(phone.udid or "")) is not None:
                phone = replace(
                    phone,
                    reconnects_last_hour=counts.reconnects.count(now),
                    bytes_to_phone=counts.bytes_to_phone,
                    bytes_from_phone=counts.bytes_from_phone,
                )
            phones.append(phone)
        return tuple(phones)

    def _client_arrived(self, sock: socket.socket) -> None:
        self._client_count += 1
        link = AdminLink(self._loop, self, sock, self._client_count)
        self._links[link] = None
        if len(self._links) > MAX_ADMIN_CLIENTS:
            logger.warning("refused a client: %d are connected, which is the limit", MAX_ADMIN_CLIENTS)
            link.refuse(f"{MAX_ADMIN_CLIENTS} admin clients are connected, which is the limit")
        else:
            link.start()


def _check_private(listen: ListenSettings) -> None:
    """Who reaches the socket is not asked who he is, and can read everything that crosses."""
    if not listen.has_file:
        raise ConfigurationError(
            f"{listen.address} is open to others: the admin socket is a Unix socket with a path, and its mode"
        )
