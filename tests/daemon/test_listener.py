from __future__ import annotations

import asyncio
import errno
import os
import socket
import stat
from typing import TYPE_CHECKING

import pytest

from tests.daemon.harness import UDID, turns, until
from usbmux.control.address import Address, TcpAddress, UnixAddress
from usbmux.daemon import listener as listener_module
from usbmux.daemon.listener import Listener
from usbmux.errors import AddressError
from usbmux.testing import SimulatedPhone, echo

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.daemon.conftest import Serve

pytestmark = pytest.mark.asyncio


def listen(address: Address, on_client: Callable[[socket.socket], None] = lambda _sock: None) -> Listener:
    return Listener(asyncio.get_running_loop(), address, 0o640, on_client)


def leave_socket_file(path: Path) -> None:
    """What a killed daemon leaves behind."""
    with socket.socket(socket.AF_UNIX) as sock:
        sock.bind(str(path))


async def test_closed_unix_listener_leaves_no_file(tmp_path: Path) -> None:
    path = tmp_path / "usbmuxd"
    listener = listen(UnixAddress(str(path)))
    assert stat.S_ISSOCK(path.stat().st_mode)
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    listener.close()
    assert not path.exists()


async def test_closing_its_file_goes_while_it_answers_so_that_nobody_takes_the_place_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "usbmuxd"
    listener = listen(UnixAddress(str(path)))
    refusals: list[str] = []
    unlink = os.unlink

    def tried_before(name: str) -> None:
        with pytest.raises(OSError, match="another program answers there") as caught:
            listen(UnixAddress(str(path)))
        refusals.append(str(caught.value))
        unlink(name)

    monkeypatch.setattr(os, "unlink", tried_before)
    listener.close()
    assert len(refusals) == 1
    assert not path.exists()


async def test_stale_socket_file_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "usbmuxd"
    leave_socket_file(path)
    listener = listen(UnixAddress(str(path)))
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(path))
    listener.close()


async def test_live_socket_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "usbmuxd"
    first = listen(UnixAddress(str(path)))
    with pytest.raises(OSError, match=r"cannot listen at .*usbmuxd: another program answers there") as caught:
        listen(UnixAddress(str(path)))
    assert caught.value.errno == errno.EADDRINUSE
    assert path.exists()
    first.close()


async def test_live_socket_with_full_queue_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "usbmuxd"
    clients = []
    with socket.socket(socket.AF_UNIX) as other:
        other.bind(str(path))
        other.listen(0)
        for _ in range(2):
            client = socket.socket(socket.AF_UNIX)
            clients.append(client)
            client.setblocking(False)
            client.connect_ex(str(path))
        with pytest.raises(OSError, match=r"cannot listen at .*usbmuxd: "):
            listen(UnixAddress(str(path)))
        assert path.exists()
    for client in clients:
        client.close()


@pytest.mark.parametrize("kind", ["file", "directory"])
async def test_something_else_at_the_path_is_left_alone(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "usbmuxd"
    path.write_text("precious") if kind == "file" else path.mkdir()
    with pytest.raises(OSError, match=r"cannot listen at .*usbmuxd: it is there and not a socket"):
        listen(UnixAddress(str(path)))
    assert path.exists()


@pytest.mark.parametrize(
    ("path", "reason"),
    [("missing/usbmuxd", "No such file or directory"), ("x" * 200, "path too long")],
)
async def test_impossible_path_is_refused_with_the_path_and_the_reason(tmp_path: Path, path: str, reason: str) -> None:
    with pytest.raises(OSError, match=f"cannot listen at .*{path}: .*{reason}"):
        listen(UnixAddress(str(tmp_path / path)))


async def test_mode_cannot_be_set_no_file_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_path: str, _mode: int) -> None:
        raise PermissionError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "chmod", refuse)
    with pytest.raises(OSError, match="Operation not permitted"):
        listen(UnixAddress(str(tmp_path / "usbmuxd")))
    assert not os.listdir(tmp_path)


async def test_file_replaced_by_another_daemon_close_leaves_it(tmp_path: Path) -> None:
    path = tmp_path / "usbmuxd"
    listener = listen(UnixAddress(str(path)))
    path.unlink()
    leave_socket_file(path)
    listener.close()
    assert path.exists()


async def test_file_removed_by_somebody_close_does_not_mind(tmp_path: Path) -> None:
    listener = listen(UnixAddress(str(tmp_path / "usbmuxd")))
    (tmp_path / "usbmuxd").unlink()
    listener.close()


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "localhost"])
async def test_tcp_port_0_address_tells_the_port(host: str) -> None:
    listener = listen(TcpAddress(host, 0))
    assert isinstance(listener.address, TcpAddress)
    assert listener.address.port != 0
    socket.create_connection((listener.address.host, listener.address.port)).close()
    listener.close()


async def test_tcp_port_in_use_is_refused_with_the_address() -> None:
    first = listen(TcpAddress("127.0.0.1", 0))
    with pytest.raises(OSError, match=rf"cannot listen at {first.address}: Address already in use"):
        listen(first.address)
    first.close()


async def test_tcp_host_unknown_is_refused_with_the_address() -> None:
    with pytest.raises(AddressError, match=r"cannot listen at nowhere\.invalid:1"):
        listen(TcpAddress("nowhere.invalid", 1))


async def test_several_addresses_phone_is_reached_through_each(serve: Serve, tmp_path: Path) -> None:
    addresses: list[Address] = [
        UnixAddress(str(tmp_path / "one")),
        TcpAddress("127.0.0.1", 0),
        UnixAddress(str(tmp_path / "two")),
        TcpAddress("::1", 0),
    ]
    harness = await serve(SimulatedPhone(UDID, ports={7: echo}), addresses=addresses)
    for index in range(len(addresses)):
        client = await harness.stream(7, index=index)
        await client.send(b"here")
        assert await client.receive_exactly(4) == b"here"


async def test_second_address_impossible_first_is_given_back(serve: Serve, tmp_path: Path) -> None:
    good, bad = UnixAddress(str(tmp_path / "good")), UnixAddress(str(tmp_path / "missing" / "bad"))
    with pytest.raises(OSError, match="missing"):
        await serve(addresses=[good, bad])
    assert not (tmp_path / "good").exists()


class RefusingSocket(socket.socket):
    """A listening socket that fails to accept for a while."""

    failures: list[OSError]

    def _accept(self) -> tuple[int, object]:
        if self.failures:
            raise self.failures.pop(0)
        accepted: tuple[int, object] = super()._accept()  # type: ignore[misc]
        return accepted


@pytest.mark.parametrize("number", [errno.ENFILE, errno.EPERM, errno.EPROTO, errno.ENOMEM])
async def test_accept_fails_listener_says_so_and_tries_again_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, number: int
) -> None:
    monkeypatch.setattr(listener_module, "RETRY_S", 0.01)
    accepted: list[socket.socket] = []
    path = str(tmp_path / "usbmuxd")
    with monkeypatch.context() as patch:
        patch.setattr(socket, "socket", RefusingSocket)
        RefusingSocket.failures = [OSError(number, os.strerror(number))] * 3
        listener = listen(UnixAddress(path), accepted.append)
    listener.start()
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(path)
        await until(lambda: accepted)
    accepted[0].close()
    assert caplog.text.count(f"cannot accept: [Errno {number}]") == 3
    listener.close()


async def test_descriptors_have_run_out_newcomers_are_closed_at_once_and_later_ones_served(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    accepted: list[socket.socket] = []
    path = str(tmp_path / "usbmuxd")
    with monkeypatch.context() as patch:
        patch.setattr(socket, "socket", RefusingSocket)
        RefusingSocket.failures = []
        listener = listen(UnixAddress(path), accepted.append)
    clients = [socket.socket(socket.AF_UNIX) for _ in range(4)]
    for client in clients:
        client.connect(path)
        client.settimeout(10)
    RefusingSocket.failures = [OSError(errno.EMFILE, "none left")]
    listener.start()
    await until(lambda: len(accepted) == 3)
    assert clients[0].recv(1) == b""
    assert caplog.text.count("no descriptor is left: 1 newcomers refused") == 1
    for sock in (*accepted, *clients):
        sock.close()
    listener.close()


async def test_descriptors_have_run_out_even_the_spare_one_it_tries_again_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(listener_module, "RETRY_S", 0.01)
    accepted: list[socket.socket] = []
    path = str(tmp_path / "usbmuxd")
    with monkeypatch.context() as patch:
        patch.setattr(socket, "socket", RefusingSocket)
        RefusingSocket.failures = [OSError(errno.EMFILE, "none left")] * 4
        listener = listen(UnixAddress(path), accepted.append)
    listener.start()
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(path)
        await until(lambda: accepted)
    assert "cannot accept: [Errno 24]" in caplog.text
    accepted[0].close()
    listener.close()


async def test_descriptors_have_run_out_but_nobody_waits_listener_goes_on_in_silence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    accepted: list[socket.socket] = []
    path = str(tmp_path / "usbmuxd")
    with monkeypatch.context() as patch:
        patch.setattr(socket, "socket", RefusingSocket)
        listener = listen(UnixAddress(path), accepted.append)
    # Without descriptors the system says so before it looks for somebody.
    RefusingSocket.failures = [OSError(errno.EMFILE, "none left"), BlockingIOError()]
    listener.start()
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(path)
        await until(lambda: accepted)
    assert not caplog.messages
    accepted[0].close()
    listener.close()


async def test_socket_handed_over_is_served_and_its_file_stays(tmp_path: Path) -> None:
    accepted: list[socket.socket] = []
    path = str(tmp_path / "usbmuxd")
    handed = socket.socket(socket.AF_UNIX)
    handed.bind(path)
    loop = asyncio.get_running_loop()
    listener = Listener(loop, UnixAddress(path), 0o600, accepted.append, handed=handed)
    listener.start()
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(path)
        await until(lambda: accepted)
    accepted[0].close()
    listener.close()
    assert (tmp_path / "usbmuxd").is_socket()


@pytest.mark.skipif(os.getuid() != 0, reason="needs root to give a file to another group")
async def test_unix_listener_with_a_group_gives_it_the_file(tmp_path: Path) -> None:
    path = tmp_path / "usbmuxd"
    loop = asyncio.get_running_loop()
    listener = Listener(loop, UnixAddress(str(path)), 0o660, lambda _sock: None, group=7000)
    status = path.stat()
    assert (stat.S_IMODE(status.st_mode), status.st_gid) == (0o660, 7000)
    listener.close()


async def test_peer_gone_before_accept_listener_goes_on(tmp_path: Path) -> None:
    accepted: list[socket.socket] = []
    path = str(tmp_path / "usbmuxd")
    listener = listen(UnixAddress(path), accepted.append)
    for _ in range(3):
        socket.socket(socket.AF_UNIX).close()
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(path)
    listener.start()
    await turns(10)
    assert len(accepted) == 3
    for sock in accepted:
        sock.close()
    listener.close()
