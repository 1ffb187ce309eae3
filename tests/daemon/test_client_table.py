from __future__ import annotations

import socket
from typing import TYPE_CHECKING

from usbmux.admin.message import CLIENTS_A_PAGE, ClientActivity, ClientStatus, ConnectionState, ConnectionStatus
from usbmux.control.address import UnixAddress
from usbmux.daemon.client_table import ClientTable, ServedClient, connections_of
from usbmux.daemon.peer import Peer
from usbmux.mux.tcp_state import TcpState

if TYPE_CHECKING:
    from usbmux.daemon.counts import Traffic


class FixedOwner:
    """Serves a client that is always about the same."""

    def __init__(self, activity: ClientActivity, traffic: Traffic | None = None) -> None:
        self.activity = activity
        self.traffic = traffic

    def connection(self, client: int, now: float) -> ConnectionStatus | None:
        if self.activity in (ClientActivity.REQUEST, ClientActivity.LISTENING):
            return None
        return ConnectionStatus(client, "U", 62078, client, ConnectionState.ESTABLISHED, now, send_room=0)

    def close(self, reason: str) -> None:
        raise AssertionError("nobody ends it here")


SOCK = socket.socket()
SOCK.close()
ASKS = FixedOwner(ClientActivity.REQUEST)
STREAMS = FixedOwner(ClientActivity.STREAM)


def table_of(*numbers: int) -> ClientTable:
    table = ClientTable()
    for number in numbers:
        table.add(served(number))
    return table


def served(number: int, peer: Peer = Peer()) -> ServedClient:  # noqa: B008  # it is frozen
    return ServedClient(number, peer, UnixAddress("/run/mux"), since=10.0, sock=SOCK, owner=ASKS)


def numbers(page: list[ServedClient]) -> list[int]:
    return [client.number for client in page]


def test_clients_fit_into_a_page_there_is_no_next() -> None:
    table = table_of(*range(1, CLIENTS_A_PAGE + 1))
    page, next_after = table.page(0)
    assert numbers(page) == list(range(1, CLIENTS_A_PAGE + 1))
    assert next_after is None


def test_clients_are_too_many_for_a_page_the_next_goes_on_behind_it() -> None:
    last = 2 * CLIENTS_A_PAGE + 1
    table = table_of(*range(1, last + 1))
    found: list[int] = []
    after: int | None = 0
    while after is not None:
        page, after = table.page(after)
        assert len(page) <= CLIENTS_A_PAGE
        found += numbers(page)
    assert found == list(range(1, last + 1))


def test_clients_come_and_go_between_pages_who_stays_is_there_once() -> None:
    table = table_of(*range(1, 2 * CLIENTS_A_PAGE + 1))
    page, after = table.page(0)
    assert after is not None
    found = numbers(page)
    for number in (1, after, after + 1, after + 2):
        table.remove(number)
    table.add(served(2 * CLIENTS_A_PAGE + 1))
    page, after = table.page(after)
    assert found + numbers(page) == [
        *range(1, CLIENTS_A_PAGE + 1),
        *range(CLIENTS_A_PAGE + 3, 2 * CLIENTS_A_PAGE + 2),
    ]
    assert after is None


def test_client_becomes_a_stream_it_keeps_its_number_and_its_age() -> None:
    table = table_of(7, 8)
    table.hand_over(7, STREAMS)
    (first, second), _next_after = table.page(0)
    assert first.status(12.5) == ClientStatus(7, "unix:/run/mux", ClientActivity.STREAM, 2.5)
    assert [connection.client for connection in connections_of([first, second], 0.0)] == [7]
    assert table.activities() == {ClientActivity.STREAM: 1, ClientActivity.REQUEST: 1}


def test_client_is_known_to_the_kernel_its_status_says_who_it_is() -> None:
    status = served(1, Peer(uid=5, gid=6, pid=2**22 + 1)).status(10.0)  # no process has that pid
    assert (status.uid, status.gid, status.pid, status.program) == (5, 6, 2**22 + 1, None)


def test_states_of_a_connection_have_the_names_of_the_engine() -> None:
    assert [state.name for state in ConnectionState] == [state.name for state in TcpState]


def test_client_is_looked_for_it_is_found_while_it_is_served() -> None:
    table = table_of(1, 2)
    assert table.find(2) is not None
    table.remove(2)
    assert table.find(2) is None
