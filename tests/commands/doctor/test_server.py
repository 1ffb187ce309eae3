"""Who answers at an address: asked of real daemons, and of others that listen."""

from __future__ import annotations

import asyncio
import os
import socket
import sys
import tempfile
import threading
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support.daemon import start_daemon
from tests.support.daemon_on_usbfs import DEBIANS, daemon_on_usbfs
from tests.support.debian_usbmuxd import require_debian_usbmuxd
from tests.usb.usbfs.host import build_preload
from usbmux import AsyncClient, UsbmuxError, __version__
from usbmux.commands.doctor import server as server_module
from usbmux.commands.doctor.examination import examine
from usbmux.commands.doctor.server import Make, Trouble, examine_server
from usbmux.commands.doctor.system_view import Account, SystemView
from usbmux.control.address import TcpAddress, UnixAddress
from usbmux.testing import RunningDaemon, SimulatedPhone

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.slow

NOBODY = 65534


def real_view(**environ: str) -> SystemView:
    return SystemView(Path("/"), environ, "linux", Account(os.geteuid(), frozenset()))


@contextmanager
def as_nobody(files: list[Path]) -> Iterator[None]:
    """Without rights to these files: root has them all, so as another user if this is root."""
    for file in files:
        file.chmod(0)
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)


@pytest.fixture
def folder() -> Iterator[Path]:
    """A directory that every user may enter."""
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        yield Path(name)


def test_our_daemon_tells_its_version_its_process_and_its_phones(folder: Path) -> None:
    daemon = start_daemon(folder, {7: "echo"})
    with daemon.process:
        found = examine_server(real_view(), UnixAddress(str(daemon.socket_path)))
    assert (found.trouble, found.make, found.version) == (None, Make.OURS, __version__)
    assert found.process is not None
    assert (found.process.pid, found.process.is_daemon, found.process.uses_usb) == (daemon.process.pid, True, False)
    assert [device.udid for device in found.devices] == [daemon.udid]
    assert [phone.port_path for phone in found.phones or ()] == ["1-1"]


def test_our_daemon_whose_admin_socket_is_not_for_us_is_ours_and_secretive(folder: Path) -> None:
    daemon = start_daemon(folder, {})
    with daemon.process, as_nobody([Path(f"{daemon.socket_path}.admin")]):
        found = examine_server(real_view(), UnixAddress(str(daemon.socket_path)))
    assert (found.make, found.is_secretive, found.phones) == (Make.OURS, True, None)


def test_our_daemon_in_a_program_of_another_name_is_known_by_its_answers() -> None:
    with RunningDaemon([SimulatedPhone()], addresses=[TcpAddress("127.0.0.1", 0)]) as daemon:
        found = examine_server(real_view(), daemon.address)
    assert (found.make, found.process, len(found.devices)) == (Make.OURS, None, 1)


@pytest.mark.interop
@pytest.mark.asyncio
async def test_debians_daemon_is_another(tmp_path: Path) -> None:
    require_debian_usbmuxd()
    if not sys.platform.startswith("linux") or (library := build_preload(tmp_path)) is None:
        pytest.skip("no C compiler for the fake usbfs")
    phone = SimulatedPhone()
    async with daemon_on_usbfs(DEBIANS, library, phone) as running:
        address = UnixAddress(str(running.socket_path))
        await wait_for_a_phone(address)
        found = await asyncio.to_thread(examine_server, real_view(), address)
    assert (found.trouble, found.make, found.phones) == (None, Make.ANOTHER, None)
    assert found.process is not None
    assert found.process.arguments[0].endswith("/usbmuxd")
    assert [device.udid for device in found.devices] == [phone.udid]


async def wait_for_a_phone(address: UnixAddress) -> None:
    """The daemon does not tell when it listens."""
    async with asyncio.timeout(30):
        while True:
            try:
                if await AsyncClient(address).devices():
                    return
            except UsbmuxError:
                pass
            await asyncio.sleep(0.05)


def trouble_at(path: Path) -> Trouble | None:
    return examine_server(real_view(), UnixAddress(str(path))).trouble


def test_nothing_is_there(folder: Path) -> None:
    assert trouble_at(folder / "mux") is Trouble.MISSING


@pytest.mark.parametrize("kind", ["directory", "file"])
def test_something_else_is_there(folder: Path, kind: str) -> None:
    (folder / "mux").mkdir() if kind == "directory" else (folder / "mux").touch()
    assert trouble_at(folder / "mux") is Trouble.NO_SOCKET


def test_socket_whose_daemon_has_ended_is_deserted(folder: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(folder / "mux"))
    assert trouble_at(folder / "mux") is Trouble.DESERTED


def test_port_where_nobody_listens_is_deserted() -> None:
    with socket.socket() as bound:  # and not listening, so that nobody else can
        bound.bind(("127.0.0.1", 0))
        found = examine_server(real_view(), TcpAddress("127.0.0.1", bound.getsockname()[1]))
    assert found.trouble is Trouble.DESERTED


def test_socket_that_is_not_for_us_is_not_allowed(folder: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(folder / "mux"))
        listener.listen()
        with as_nobody([folder / "mux"]):
            assert trouble_at(folder / "mux") is Trouble.NOT_ALLOWED


def test_path_that_cannot_be_is_unreachable(folder: Path) -> None:
    (folder / "file").touch()
    found = examine_server(real_view(), UnixAddress(f"{folder}/file/mux"))
    assert found.trouble is Trouble.UNREACHABLE
    assert f"{folder}/file/mux" in found.error


def test_daemon_that_says_nothing_is_silent(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server_module, "PATIENCE_S", 0.1)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(folder / "mux"))
        listener.listen()
        assert trouble_at(folder / "mux") is Trouble.SILENT


def test_server_of_another_protocol_is_foreign(folder: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(folder / "mux"))
        listener.listen()
        thread = threading.Thread(target=answer_as_a_web_server, args=(listener,))
        thread.start()
        assert trouble_at(folder / "mux") is Trouble.FOREIGN
        thread.join()


def answer_as_a_web_server(listener: socket.socket) -> None:
    connection, _ = listener.accept()
    with connection:
        connection.recv(4096)
        connection.sendall(b"HTTP/1.0 400 Bad Request\r\n\r\n")


def test_examination_asks_where_the_option_says_and_else_where_the_variable_does(folder: Path) -> None:
    variable, option = f"{folder}/variable", f"{folder}/option"
    told = examine(real_view(USBMUXD_SOCKET_ADDRESS=variable), option)
    assert (told.given, told.server.address) == (UnixAddress(option), UnixAddress(option))
    usual = examine(real_view(USBMUXD_SOCKET_ADDRESS=variable), None)
    assert (usual.given, usual.server.address, usual.is_served) == (None, UnixAddress(variable), False)
