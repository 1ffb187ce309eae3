from __future__ import annotations

import os
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from tests.commands.doctor.made_up import NO_TROUBLE, SOCKET, MadeUpSystem, said
from usbmux.commands.doctor.processes import process
from usbmux.commands.doctor.server import Make, Server, Trouble
from usbmux.commands.doctor.socket_check import check_socket
from usbmux.control.address import TcpAddress, UnixAddress

if TYPE_CHECKING:
    from pathlib import Path

START = "sudo usbmux install-service, or in a terminal: sudo usbmuxd -f"
PORT = TcpAddress("127.0.0.1", 27015)


def test_our_daemon_is_named_with_its_version_and_process(system: MadeUpSystem) -> None:
    system.process(7, "python3", "/usr/bin/usbmuxd")
    server = replace(NO_TROUBLE, process=process(system.view, 7))
    assert said(check_socket, system.examination(server)) == [
        ("ok", "usbmuxd of usbmux 9.9, pid 7 (python3 /usr/bin/usbmuxd), answers at unix:/run/mux", "")
    ]


@pytest.mark.parametrize(
    ("make", "name"),
    [(Make.ANOTHER, "another usbmuxd"), (Make.APPLES, "Apple's usbmuxd"), (Make.UNKNOWN, "a usbmux daemon")],
)
def test_daemon_of_others_is_named_as_far_as_it_is_known(system: MadeUpSystem, make: Make, name: str) -> None:
    server = Server(PORT, make=make)
    assert said(check_socket, system.examination(server)) == [("ok", f"{name} answers at 127.0.0.1:27015", "")]


def test_daemon_with_simulated_phones_says_so(system: MadeUpSystem) -> None:
    system.process(7, "usbmuxd", "--simulate")
    server = replace(NO_TROUBLE, process=process(system.view, 7))
    _, (severity, text, _fix) = said(check_socket, system.examination(server))
    assert (severity, text) == ("note", "its phones are simulated; it does not look at the USB bus")


def test_daemon_that_tells_only_root_more_says_how_to_ask(system: MadeUpSystem) -> None:
    server = replace(NO_TROUBLE, address=UnixAddress("/run/my mux"), is_secretive=True)
    _, (severity, _text, fix) = said(check_socket, system.examination(server))
    assert (severity, fix) == ("note", "sudo usbmux --socket 'unix:/run/my mux' doctor")


@pytest.mark.parametrize(
    ("trouble", "address", "words", "fix"),
    [
        (Trouble.MISSING, SOCKET, "there is no daemon: no socket at unix:/run/mux", START),
        (Trouble.NO_SOCKET, SOCKET, "what lies at unix:/run/mux is no socket", f"remove it, then: {START}"),
        (Trouble.DESERTED, SOCKET, "nobody listens at unix:/run/mux: the daemon has ended", START),
        (Trouble.DESERTED, PORT, "nobody listens at 127.0.0.1:27015", "start the daemon there, or unset"),
        (Trouble.UNREACHABLE, PORT, "the error", "check the address, and the way there"),
        (Trouble.SILENT, SOCKET, "the error; it may be stopped", "sudo systemctl restart usbmuxd"),
        (Trouble.FOREIGN, SOCKET, "whoever listens at unix:/run/mux is no usbmux daemon: the error", "check the addr"),
    ],
    ids=lambda value: value.name if isinstance(value, Trouble) else "",
)
def test_each_trouble_says_what_to_do(
    system: MadeUpSystem, trouble: Trouble, address: UnixAddress | TcpAddress, words: str, fix: str
) -> None:
    ((severity, text, found),) = said(check_socket, system.examination(Server(address, trouble, "the error")))
    assert severity == "problem"
    assert text.startswith(words)
    assert found.startswith(fix)


@pytest.mark.parametrize(
    ("unit", "is_container", "platform", "fix"),
    [
        ("/lib/systemd/system/usbmuxd.socket", False, "linux", "sudo systemctl start usbmuxd.socket"),
        ("", False, "linux", START),
        ("", True, "linux", "usbmuxd -f here, or share the host's: docker run -v /run/usbmuxd:/run/usbmuxd ..."),
        ("", False, "win32", "start Apple's daemon (plug a phone in, or install iTunes on Windows), or ours"),
    ],
)
def test_start_of_a_daemon_is_what_this_system_has(
    system: MadeUpSystem, unit: str, is_container: bool, platform: str, fix: str
) -> None:
    system.platform = platform
    system.folder("/run/systemd/system")
    if unit:
        system.file(unit)
    if is_container:
        system.file("/.dockerenv")
    assert system.examination().start_fix.startswith(fix)


@pytest.fixture
def path(tmp_path: Path, system: MadeUpSystem) -> Path:
    """A socket of the group "phones", as far as its status tells."""
    path = tmp_path / "mux"
    path.touch()
    system.file("/etc/passwd", f"ada:x:1000:\nkeeper:x:{os.getuid()}:\n")
    return path


def group(system: MadeUpSystem, *members: str) -> None:
    system.file("/etc/group", f"# odd\nphones:x:{os.getgid()}:{','.join(members)}\n")


def not_allowed(system: MadeUpSystem, path: Path) -> tuple[str, str, str]:
    (finding,) = said(check_socket, system.examination(Server(UnixAddress(str(path)), Trouble.NOT_ALLOWED)))
    return finding


def test_socket_of_a_group_says_how_to_join_it(system: MadeUpSystem, path: Path) -> None:
    path.chmod(0o660)
    group(system, "bob")
    assert not_allowed(system, path) == (
        "problem",
        f"ada may not connect to {path}: it is keeper:phones, mode 0660",
        "sudo usermod -aG phones ada, then log in again",
    )


def test_member_whose_session_does_not_know_it_yet_is_told_to_log_in_again(system: MadeUpSystem, path: Path) -> None:
    path.chmod(0o660)
    group(system, "bob", "ada")
    _severity, text, fix = not_allowed(system, path)
    assert text.endswith("ada is in that group, but this session began before")
    assert fix == "log in again, or: newgrp phones"


def test_socket_of_one_user_says_whose(system: MadeUpSystem, path: Path) -> None:
    path.chmod(0o600)
    group(system)
    assert not_allowed(system, path)[2].startswith("run the program as keeper, ")


def test_directory_that_may_not_be_entered_is_named(system: MadeUpSystem, tmp_path: Path) -> None:
    _severity, text, fix = not_allowed(system, tmp_path / "closed/mux")
    assert text == f"ada may not enter the directory of {tmp_path}/closed/mux"
    assert fix == f"ls -ld {tmp_path}/closed"
