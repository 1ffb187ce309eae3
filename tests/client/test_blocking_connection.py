"""Blocking sockets that end, and that are not to wait any longer. No deadline lies in the future but the last one."""

from __future__ import annotations

import math
import socket
from typing import TYPE_CHECKING

import pytest

from usbmux.client.blocking_connection import BlockingConnection, dial, open_socket, wait_for
from usbmux.client.operations import client_identity, read_buid, save_pair_record
from usbmux.control.address import TcpAddress, UnixAddress
from usbmux.deadlines import PAST
from usbmux.errors import DaemonUnavailableError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

ADDRESS = UnixAddress("/run/usbmuxd")
RECORD = bytes(30000)


@pytest.fixture
def pair() -> Iterator[tuple[BlockingConnection, socket.socket]]:
    """A connection whose socket waits for ever, and the daemon's end of it."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        yield BlockingConnection(ours, ADDRESS, client_identity("test")), theirs


def test_deadline_has_passed_request_does_not_fit_it_is_not_waited(
    pair: tuple[BlockingConnection, socket.socket],
) -> None:
    connection, _daemon = pair
    connection.stream.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, len(RECORD) // 4)
    with pytest.raises(TimeoutError):
        connection.begin(save_pair_record("udid", RECORD, None), PAST)


def test_deadline_has_passed_no_reply_it_is_not_waited(pair: tuple[BlockingConnection, socket.socket]) -> None:
    operation = read_buid()
    pair[0].begin(operation, math.inf)
    with pytest.raises(TimeoutError):
        pair[0].finish(operation, PAST)


def test_daemon_has_hung_up_request_says_so(pair: tuple[BlockingConnection, socket.socket]) -> None:
    connection, daemon = pair
    daemon.close()
    with pytest.raises(DaemonUnavailableError, match="/run/usbmuxd hung up"):
        connection.begin(read_buid(), math.inf)


def test_daemon_hung_up_without_reading_the_request_reply_says_so(
    pair: tuple[BlockingConnection, socket.socket],
) -> None:
    connection, daemon = pair
    operation = read_buid()
    connection.begin(operation, math.inf)
    daemon.close()  # a reset, for the request is still unread
    with pytest.raises(DaemonUnavailableError, match="/run/usbmuxd hung up"):
        connection.finish(operation, math.inf)


def test_opened_before_the_deadline_what_follows_waits_no_longer(tmp_path: Path) -> None:
    address = UnixAddress(str(tmp_path / "s"))
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(address.path)
        listener.listen()
        with open_socket(address, math.inf) as stream:
            assert stream.gettimeout() is None


def resolved(bound: socket.socket) -> tuple[object, ...]:
    """What is found of the address to which it is bound."""
    host, port = bound.getsockname()
    return socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]


def test_first_address_of_a_name_refuses_the_next_one_is_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener, socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        found = [resolved(each) for each in (closed, listener)]
        unknown = (255, *found[0][1:])  # as where IP version 6 is switched off
        monkeypatch.setattr(socket, "getaddrinfo", lambda *_args, **_kw: [unknown, *found])
        with open_socket(TcpAddress("localhost", 1), math.inf) as stream:
            assert stream.getpeername() == listener.getsockname()
            assert stream.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


def test_no_address_of_a_name_answers_the_last_reason_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        found = resolved(closed)
        monkeypatch.setattr(socket, "getaddrinfo", lambda *_args, **_kw: [(255, *found[1:]), found])
        with pytest.raises(DaemonUnavailableError, match="refused"):
            open_socket(TcpAddress("localhost", 1), math.inf)


def test_queue_of_a_unix_socket_is_full_time_is_waited_for_and_the_deadline_counts(tmp_path: Path) -> None:
    address = UnixAddress(str(tmp_path / "s"))
    with socket.socket(socket.AF_UNIX) as listener, socket.socket(socket.AF_UNIX) as first:
        listener.bind(address.path)
        listener.listen(0)
        first.connect(address.path)
        dialing = dial(address)
        at = next(dialing)
        assert isinstance(at, float)
        assert not wait_for(at, PAST)
        assert wait_for(at, at)
        again = next(dialing)
        assert isinstance(again, float)
        assert again > at
        listener.accept()[0].close()
        with pytest.raises(StopIteration) as finished:
            next(dialing)
        finished.value.value.close()
