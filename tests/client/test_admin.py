from __future__ import annotations

import os
import socket
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from usbmux.admin.codec import encode_answer
from usbmux.admin.message import (
    CaptureBegun,
    CaptureFormat,
    ClientActivity,
    ClientStatus,
    ConnectionState,
    ConnectionStatus,
    Kicked,
    PhoneState,
    PhoneStatus,
    Refused,
    Status,
    StatusPart,
)
from usbmux.client.admin import AdminClient, admin_address
from usbmux.control.address import TcpAddress, UnixAddress
from usbmux.errors import (
    AddressError,
    DaemonUnavailableError,
    RemoteProtocolError,
    RequestTimeoutError,
    UsbmuxError,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

STATUS = Status("9", (PhoneStatus(PhoneState.OPENING, "1-2"),))
BEGUN = encode_answer(CaptureBegun())


@contextmanager
def serving(folder: Path, *serves: Callable[[socket.socket], None]) -> Iterator[UnixAddress]:
    """A server of so many connections, each of which ends with the function that serves it."""
    path = str(folder / "admin")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen()

        def run() -> None:
            for serve in serves:
                connection, _peer = listener.accept()
                with connection:
                    connection.settimeout(20)
                    serve(connection)

        thread = threading.Thread(target=run, daemon=True)
        thread.start()
        yield UnixAddress(path)
        thread.join(20)
        assert not thread.is_alive()


def answering(*answers: bytes, requests: list[bytes] | None = None) -> Callable[[socket.socket], None]:
    """Answers one request after the other, in pieces, and keeps the requests."""

    def serve(connection: socket.socket) -> None:
        for answer in answers:
            request = connection.recv(1000)
            if requests is not None:
                requests.append(request)
            for start in range(0, len(answer), 7):
                connection.sendall(answer[start : start + 7])

    return serve


def test_status_is_asked_for_and_read(tmp_path: Path) -> None:
    requests: list[bytes] = []
    with serving(tmp_path, answering(encode_answer(STATUS), requests=requests)) as address:
        assert AdminClient(address).status() == STATUS
    assert requests == [b'{"command": "status"}\n']


def page(*numbers: int, next_after: int | None) -> bytes:
    clients = tuple(ClientStatus(number, "unix:/mux", ClientActivity.STREAM, 1.5) for number in numbers)
    connections = tuple(
        ConnectionStatus(number, "U", 7, number, ConnectionState.ESTABLISHED, 1.5, send_room=9) for number in numbers
    )
    return encode_answer(Status("9", (), clients, connections, next_after, (*StatusPart,)[1:]))


def test_status_with_everything_is_asked_for_all_pages_are_read_over_one_connection(tmp_path: Path) -> None:
    requests: list[bytes] = []
    answers = [encode_answer(STATUS), page(1, 2, next_after=2), page(5, next_after=5), page(next_after=None)]
    with serving(tmp_path, answering(*answers, requests=requests)) as address:
        status = AdminClient(address).status(detailed=True)
    assert status.phones == STATUS.phones
    assert [client.number for client in status.clients] == [1, 2, 5]
    assert [connection.client for connection in status.connections] == [1, 2, 5]
    assert (status.next_after, status.parts) == (None, tuple(StatusPart))
    assert requests == [
        b'{"command": "status"}\n',
        b'{"command": "status", "parts": ["clients", "connections"]}\n',
        b'{"command": "status", "parts": ["clients", "connections"], "after": 2}\n',
        b'{"command": "status", "parts": ["clients", "connections"], "after": 5}\n',
    ]


def test_pages_of_a_status_never_end_error(tmp_path: Path) -> None:
    answers = [encode_answer(STATUS), page(1, 2, next_after=2), page(2, next_after=2)]
    with (
        serving(tmp_path, answering(*answers)) as address,
        pytest.raises(RemoteProtocolError, match="next_after: expected more than 2, found 2"),
    ):
        AdminClient(address).status(detailed=True)


def test_connection_is_kept_questions_go_one_after_the_other(tmp_path: Path) -> None:
    requests: list[bytes] = []
    answers = [encode_answer(STATUS), encode_answer(Kicked(True)), encode_answer(Kicked(False)), encode_answer(STATUS)]
    with (
        serving(tmp_path, answering(*answers, requests=requests)) as address,
        AdminClient(address).connect() as connection,
    ):
        assert connection.status() == STATUS
        assert [connection.kick(number) for number in (3, 4)] == [True, False]
        assert connection.status() == STATUS
    assert requests[1:3] == [b'{"command": "kick", "client": 3}\n', b'{"command": "kick", "client": 4}\n']


def test_client_is_to_be_ended_it_is_asked_for(tmp_path: Path) -> None:
    with serving(tmp_path, answering(encode_answer(Kicked(True)))) as address:
        assert AdminClient(address).kick(3) is True


def test_connection_is_interrupted_from_another_thread_the_question_fails(tmp_path: Path) -> None:
    def serve(connection: socket.socket) -> None:
        assert connection.recv(1000)
        admin.interrupt()
        assert connection.recv(1000) == b""

    with serving(tmp_path, serve) as address, AdminClient(address).connect() as admin:
        with pytest.raises(DaemonUnavailableError, match="hung up"):
            admin.status()
        admin.interrupt()
        with pytest.raises(DaemonUnavailableError, match="hung up"):
            admin.status()


def test_capture_begins_with_the_answer_nothing_behind_it_is_lost(tmp_path: Path) -> None:
    requests: list[bytes] = []

    def serve(connection: socket.socket) -> None:
        requests.append(connection.recv(1000))
        connection.sendall(BEGUN + b"first")
        assert connection.recv(1000) == b""  # the client has asked for the end
        connection.sendall(b"last")

    with serving(tmp_path, serve) as address:
        with AdminClient(address).capture("A", CaptureFormat.LINES) as capture:
            received = capture.read() or b""
            assert capture.read(0.01) is None
            capture.stop()
            while data := capture.read():
                received += data
            capture.stop()
        assert received == b"firstlast"
    assert requests == [b'{"command": "capture", "udid": "A", "format": "lines"}\n']


def test_capture_is_cut_off_it_ends(tmp_path: Path) -> None:
    def serve(connection: socket.socket) -> None:
        connection.recv(1, socket.MSG_PEEK)  # the request is there, and never taken, so that the end is a reset
        connection.sendall(BEGUN)

    with serving(tmp_path, serve) as address, AdminClient(address).capture() as capture:
        assert capture.read() == b""
        capture.stop()


def test_request_is_refused_error_says_why(tmp_path: Path) -> None:
    with (
        serving(tmp_path, answering(encode_answer(Refused("no such command")))) as address,
        pytest.raises(UsbmuxError, match=r"daemon at unix:\S+ refused: no such command$"),
    ):
        AdminClient(address).status()


@pytest.mark.parametrize("answer", [b"", b'{"ok": true'])
def test_daemon_hangs_up_before_its_answer_is_whole_error(tmp_path: Path, answer: bytes) -> None:
    with (
        serving(tmp_path, answering(answer)) as address,
        pytest.raises(DaemonUnavailableError, match="hung up"),
    ):
        AdminClient(address).status()


def test_answer_is_none_error(tmp_path: Path) -> None:
    with (
        serving(tmp_path, answering(b"HTTP/1.1 400 Bad Request\r\n")) as address,
        pytest.raises(RemoteProtocolError, match="not JSON"),
    ):
        AdminClient(address).status()


def test_daemon_does_not_answer_in_time_error(tmp_path: Path) -> None:
    may_end = threading.Event()

    def serve(_connection: socket.socket) -> None:
        may_end.wait(20)

    with serving(tmp_path, serve) as address:
        with pytest.raises(RequestTimeoutError, match=r"did not answer within 0\.05 s"):
            AdminClient(address, timeout_s=0.05).status()
        may_end.set()


def test_no_socket_is_there_error(tmp_path: Path) -> None:
    with pytest.raises(DaemonUnavailableError, match=r"unix:\S+/admin: No such file"):
        AdminClient(UnixAddress(str(tmp_path / "admin"))).status()


@pytest.mark.skipif(os.geteuid() != 0, reason="becomes another user for a moment, which only root can")
def test_socket_is_not_for_us_error_says_for_whom(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        # Where other users may look too, unlike below pytest's own directory.
        path = f"/tmp/usbmux-admin-test-{os.getpid()}"
        listener.bind(path)
        try:
            os.chmod(path, 0o600)
            listener.listen()
            os.seteuid(65534)
            try:
                with pytest.raises(DaemonUnavailableError, match="only root and the daemon's user"):
                    AdminClient(UnixAddress(path)).status()
            finally:
                os.seteuid(0)
        finally:
            os.unlink(path)


def test_place_of_the_admin_socket_is_beside_a_unix_socket_only() -> None:
    assert admin_address(UnixAddress("/var/run/usbmuxd")) == UnixAddress("/var/run/usbmuxd.admin")
    with pytest.raises(AddressError, match=r"localhost:27015 is no Unix socket"):
        admin_address(TcpAddress("localhost", 27015))
