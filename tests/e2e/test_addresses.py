"""Every spelling of an address that some program understands is understood everywhere (C39 to C42)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from tests.e2e.usbmuxd import COMMAND, UDIDS, start_usbmuxd
from tests.support.daemon import clean_environment
from tests.support.process import ChildProcess
from usbmux import Client
from usbmux.commands.usbmux import main

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.e2e.usbmuxd import Usbmuxd

SPELLINGS = [
    "{path}",
    "unix:{path}",
    "UNIX:{path}",
    "unix://{path}",
    "UNIX://{path}",
    "./usbmuxd",
    "127.0.0.1:{port}",
    "localhost:{port}",
    "tcp:127.0.0.1:{port}",
    "tcp://127.0.0.1:{port}",
    "TCP://127.0.0.1:{port}",
]


@pytest.fixture(scope="module")
def usbmuxd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Usbmuxd]:
    with start_usbmuxd(tmp_path_factory.mktemp("addresses")) as running:
        yield running


@pytest.fixture(params=SPELLINGS)
def spelling(request: pytest.FixtureRequest, usbmuxd: Usbmuxd, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.delenv("USBMUXD_SOCKET_ADDRESS", raising=False)
    monkeypatch.chdir(usbmuxd.socket_path.parent)
    return str(request.param).format(path=usbmuxd.socket_path, port=usbmuxd.tcp_port)


def test_client_understands_it(spelling: str) -> None:
    assert {device.udid for device in Client(spelling).devices()} == set(UDIDS.values())


def test_client_understands_it_in_the_variable(spelling: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("USBMUXD_SOCKET_ADDRESS", spelling)
    assert len(Client().devices()) == 2


def test_command_understands_it(spelling: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["list", "--socket", spelling]) == 0
    assert set(capsys.readouterr().out.split()) == set(UDIDS.values())


def test_command_understands_it_in_the_variable(
    spelling: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("USBMUXD_SOCKET_ADDRESS", spelling)
    assert main(["list"]) == 0
    assert set(capsys.readouterr().out.split()) == set(UDIDS.values())


def test_daemon_understands_all_of_them_at_once(tmp_path: Path) -> None:
    paths = [f"{tmp_path}/{number}" for number in range(5)]
    unix = [f"{scheme}{path}" for scheme, path in zip(("", "unix:", "UNIX:", "unix://", "UNIX://"), paths, strict=True)]
    tcp = ["127.0.0.1:0", "localhost:0", "[::1]:0", "tcp://127.0.0.1:0", "tcp:[::1]:0"]
    listeners = [argument for address in (*unix, "./relative", *tcp) for argument in ("-S", address)]
    shell = ["/bin/sh", "-c", 'cd "$0"; exec "$@"', str(tmp_path)]
    with ChildProcess([*shell, *COMMAND, *listeners, "--simulate"], environment=clean_environment()) as process:
        ready = process.wait_for_line("^usbmuxd ready: (.*)$")[1]
        told = ready.split(", ")
        assert len(told) == 11
        assert [address for address in told if address.startswith("unix:/")] == [f"unix:{path}" for path in paths]
        assert "unix:./relative" in told
        for address in (*paths, f"{tmp_path}/relative", *told[6:]):
            assert len(Client(address).devices()) == 1
        assert process.stop() == 0
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("spelling_of_daemon", ["{path}", "UNIX:{path}", "unix:///{path}", "[::1]:0"])
def test_daemon_understands_it_in_the_variable(tmp_path: Path, spelling_of_daemon: str) -> None:
    address = spelling_of_daemon.format(path=tmp_path / "usbmuxd")
    environment = clean_environment(USBMUXD_SOCKET_ADDRESS=address)
    with ChildProcess([*COMMAND, "--simulate", "3"], environment=environment) as process:
        told = process.wait_for_line("^usbmuxd ready: (.*)$")[1]
        assert re.fullmatch(r"unix:/.*/usbmuxd|\[::1\]:\d+", told)
        assert len(Client(told).devices()) == 3
