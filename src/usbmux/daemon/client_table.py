"""Every client of the daemon, from its arrival to its end, for those who look inside."""

import socket
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Final, Protocol

from usbmux.admin.message import CLIENTS_A_PAGE, ClientActivity, ClientStatus, ConnectionStatus
from usbmux.control.address import Address
from usbmux.daemon.counts import Traffic
from usbmux.daemon.peer import Peer


class ClientOwner(Protocol):
    """What serves a client now."""

    @property
    def activity(self) -> ClientActivity:
        """What the client is about."""

    @property
    def traffic(self) -> Traffic | None:
        """What its stream has moved, if it is one."""

    def connection(self, client: int, now: float) -> ConnectionStatus | None:
        """Its connection to a phone, if it has one; `client` is its number."""

    def close(self, reason: str) -> None:
        """End the client now, whatever is under way, and tell the phone why if it has a connection to one."""


@dataclass(slots=True)
class ServedClient:
    """One client. It keeps its number while others come to serve it."""

    number: int
    peer: Peer
    address: Address
    """Of the listener that it came through."""
    since: float
    sock: socket.socket
    """As long as it is open, the client counts."""
    owner: ClientOwner

    def status(self, now: float) -> ClientStatus:
        """All that is known of it."""
        peer = self.peer
        return ClientStatus(
            number=self.number,
            address=str(self.address),
            what=self.owner.activity,
            age_s=round(now - self.since, 3),
            uid=peer.uid,
            gid=peer.gid,
            pid=peer.pid,
            program=peer.program or None,
        )


class ClientTable:
    """Clients by number, in the order of their numbers."""

    def __init__(self) -> None:
        self._clients: Final[dict[int, ServedClient]] = {}

    def __len__(self) -> int:
        return len(self._clients)

    def __iter__(self) -> Iterator[ServedClient]:
        return iter(self._clients.values())

    def add(self, client: ServedClient) -> None:
        """Its number must be higher than that of every client before it."""
        self._clients[client.number] = client

    def find(self, number: int) -> ServedClient | None:
        """The client of that number, if it is served now."""
        return self._clients.get(number)

    def hand_over(self, number: int, owner: ClientOwner) -> None:
        """Somebody else serves the client from now on."""
        self._clients[number].owner = owner

    def remove(self, number: int) -> ServedClient:
        """It has ended."""
        return self._clients.pop(number)

    def page(self, after: int) -> tuple[list[ServedClient], int | None]:
        """Return the next clients with numbers above `after`, and where to go on if those are not all."""
        following = (client for client in self if client.number > after)
        found = list(islice(following, CLIENTS_A_PAGE + 1))
        if len(found) <= CLIENTS_A_PAGE:
            return found, None
        found.pop()
        return found, found[-1].number

    def activities(self) -> Counter[ClientActivity]:
        """How many clients are about what."""
        return Counter(client.owner.activity for client in self)

    def traffic(self) -> Iterator[Traffic]:
        """What the open streams have moved."""
        found = (client.owner.traffic for client in self)
        return (traffic for traffic in found if traffic is not None)


def connections_of(clients: Iterable[ServedClient], now: float) -> Iterator[ConnectionStatus]:
    """The connections of these clients to phones."""
    found = (client.owner.connection(client.number, now) for client in clients)
    return (connection for connection in found if connection is not None)
