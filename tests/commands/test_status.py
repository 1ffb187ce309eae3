from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

import pytest

from tests.commands.program import USBMUX, run
from tests.commands.served import served
from usbmux import AsyncClient, __version__
from usbmux.admin.message import (
    ClientActivity,
    ClientStatus,
    ConnectionState,
    ConnectionStatus,
    PhoneState,
    PhoneStatus,
    Status,
    StatusPart,
)
from usbmux.commands import status as status_module
from usbmux.commands.status import admin_client, show_status
from usbmux.commands.usbmux import main
from usbmux.control.address import UnixAddress
from usbmux.errors import AddressError
from usbmux.testing import PhoneOptions, RunningDaemon, SimulatedPhone, echo

if TYPE_CHECKING:
    from pathlib import Path

    from usbmux.client.admin import AdminClient

pytestmark = pytest.mark.slow

UDID = "00008030-001A2B3C4D5E6F01"
CLIENT = ClientStatus(12, "unix:/run/mux", ClientActivity.STREAM, 5400.0, 501, 20, None, "ssh\x07")
CONNECTION = ConnectionStatus(
    *(12, "U", 22, 3, ConnectionState.ESTABLISHED, 59.4, 131072, 10, 20, 7),
    client_stalls=2,
    client_stalled_s=1.2,
)


@pytest.mark.asyncio
async def test_phone_is_attached_it_is_a_row_of_a_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with served(tmp_path, monkeypatch, SimulatedPhone(UDID)):
        outcome = await run(USBMUX, "status")
    assert (outcome.code, outcome.stderr) == (0, "")
    assert outcome.stdout.decode().splitlines() == [
        "PORT  STATE     UDID                       SPEED       ATTACHED  NOTE",
        f"1-1   attached  {UDID}  480 Mbit/s  1",
    ]


@pytest.mark.asyncio
async def test_phone_does_not_answer_it_is_shown_quarantined(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    silent = SimulatedPhone(UDID, options=PhoneOptions(answer_version=False))
    async with served(tmp_path, monkeypatch, silent, handshake_timeout_s=0.2):
        stdout = ""
        while "quarantined" not in stdout:  # it is tried again and again, after growing rests
            outcome = await run(USBMUX, "status")
            stdout = outcome.stdout.decode()
    assert re.fullmatch(
        rf"1-1   quarantined  {UDID}  480 Mbit/s  0         next try in \d+ s: no answer to VERSION within 0\.2 s.*",
        stdout.splitlines()[1],
    )


@pytest.mark.asyncio
async def test_phones_as_json_are_one_document(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with served(tmp_path, monkeypatch, SimulatedPhone(UDID)):
        outcome = await run(USBMUX, "status", "--json")
    document = json.loads(outcome.stdout)
    assert document["version"] == __version__
    (phone,) = document["phones"]
    assert (phone["state"], phone["udid"], phone["port_path"]) == ("attached", UDID, "1-1")
    assert (phone["last_error"], phone["next_try_s"]) == (None, None)


@pytest.mark.asyncio
@pytest.mark.parametrize("options", [[], ["--json"]])
async def test_no_phone_is_said_on_stderr(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: list[str]) -> None:
    async with served(tmp_path, monkeypatch):
        outcome = await run(USBMUX, "status", *options)
    assert (outcome.code, outcome.stderr) == (0, "usbmux: no phone is plugged in\n")
    assert bool(outcome.stdout) is bool(options)


@pytest.mark.asyncio
@pytest.mark.parametrize("command", ["status", "capture"])
async def test_no_daemon_exit_4(tmp_path: Path, command: str) -> None:
    outcome = await run(USBMUX, command, "--socket", str(tmp_path / "mux"))
    assert (outcome.code, outcome.stdout) == (4, b"")
    assert outcome.stderr == f"usbmux: no usbmux daemon at unix:{tmp_path}/mux.admin: No such file or directory\n"


@pytest.mark.parametrize("arguments", [["status"], ["top", "--once"], ["capture"], ["forward", "list"]], ids=" ".join)
def test_daemon_has_no_admin_socket_that_is_said_and_exit_4(
    tmp_path: Path, arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "mux"
    with RunningDaemon([], addresses=[UnixAddress(str(path))]):
        assert main([*arguments, "--socket", str(path)]) == 4
    expected = f"usbmux: the usbmux daemon at unix:{path} has no admin socket at unix:{path}.admin\n"
    assert capsys.readouterr() == ("", expected)


@pytest.mark.asyncio
@pytest.mark.parametrize("command", ["status", "capture"])
async def test_address_has_no_place_beside_it_exit_2(command: str) -> None:
    outcome = await run(USBMUX, command, "--socket", "localhost:27015")
    assert (outcome.code, outcome.stdout) == (2, b"")
    assert "the place of the daemon's admin socket must be given" in outcome.stderr


def test_admin_socket_is_given_it_is_taken_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    assert admin_client("localhost:27015", "relative").address == UnixAddress("relative")
    assert admin_client("unix:/run/mux", None).address == UnixAddress("/run/mux.admin")
    monkeypatch.setenv("USBMUXD_SOCKET_ADDRESS", "/run/other")
    assert admin_client(None, None).address == UnixAddress("/run/other.admin")
    monkeypatch.setenv("USBMUXD_SOCKET_ADDRESS", "nonsense")
    with pytest.raises(AddressError):
        admin_client(None, None)


class FixedClient:
    def __init__(self, *phones: PhoneStatus) -> None:
        self._phones = phones

    def status(self, *, detailed: bool) -> Status:
        return (
            Status("9", self._phones, (CLIENT,), (CONNECTION,), parts=tuple(StatusPart))
            if detailed
            else Status("9", self._phones)
        )


def as_client(client: FixedClient) -> AdminClient:
    return client  # type: ignore[return-value]  # as much of it as is used


def test_phone_is_quarantined_note_says_until_when_and_why(capsys: pytest.CaptureFixture[str]) -> None:
    never_opened = PhoneStatus(PhoneState.QUARANTINED, "1-2", last_error="claimed\x1b[2J", next_try_s=7.6)
    recovered = PhoneStatus(PhoneState.ATTACHED, "1-3.4", "U", 1, 5_000_000_000, 4, 12, "it broke")
    show_status(as_client(FixedClient(never_opened, recovered)), detailed=False, as_json=False)
    assert capsys.readouterr().out.splitlines() == [
        "PORT   STATE        UDID  SPEED        ATTACHED  NOTE",
        "1-2    quarantined  -     -            0         next try in 8 s: claimed?[2J",
        "1-3.4  attached     U     5000 Mbit/s  12        last error: it broke",
    ]


def test_everything_is_wanted_clients_and_connections_are_tables_of_their_own(
    capsys: pytest.CaptureFixture[str],
) -> None:
    show_status(as_client(FixedClient(PhoneStatus(PhoneState.OPENING, "1-2"))), detailed=True, as_json=False)
    assert capsys.readouterr().out.splitlines() == [
        "PORT  STATE    UDID  SPEED  ATTACHED  NOTE",
        "1-2   opening  -     -      0",
        "",
        "CLIENT  ADDRESS        UID  GID  PID  PROGRAM  WHAT    AGE",
        "12      unix:/run/mux  501  20   -    ssh?     stream  1.5 h",
        "",
        "CLIENT  UDID  PORT  LOCAL  STATE        TO PHONE  FROM PHONE  ROOM    BACKLOG  "
        "PHONE STALLS  CLIENT STALLS  AGE",
        "12      U     22    3      established  10        20          131072  7        "
        "-             2 in 1.2 s     59 s",
    ]


@pytest.mark.asyncio
async def test_everything_as_json_is_one_document(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with served(tmp_path, monkeypatch, SimulatedPhone(UDID, ports={7: echo})):
        client = AsyncClient(timeout_s=20)
        (device,) = await client.devices()
        reader, writer = await client.connect(device, 7)
        outcome = await run(USBMUX, "status", "-l", "--json")
        writer.close()
        assert await reader.read() == b""
    document = json.loads(outcome.stdout)
    assert document.keys() == {"version", "phones", "clients", "connections"}
    assert [client["what"] for client in document["clients"]] == ["stream"]
    assert [connection["port"] for connection in document["connections"]] == [7]


def test_status_is_read_without_an_event_loop() -> None:
    assert not hasattr(status_module, "asyncio")
