"""What the admin socket answers, and what it does not let its clients do to the daemon."""

from __future__ import annotations

import asyncio
import json
import os
import stat
from typing import TYPE_CHECKING, Any

import pytest

from tests.daemon.harness import OTHER_UDID, UDID, turns
from usbmux import __version__
from usbmux.admin.line_reader import MAX_REQUEST_LENGTH
from usbmux.control.address import UnixAddress
from usbmux.daemon.listen_settings import ListenSettings
from usbmux.daemon.server import Daemon
from usbmux.daemon.settings import DaemonSettings
from usbmux.mux.settings import MuxSettings
from usbmux.testing import PhoneOptions, SimulatedPhone, echo

if TYPE_CHECKING:
    from pathlib import Path

    from tests.daemon.conftest import Serve
    from tests.daemon.harness import RawClient

pytestmark = pytest.mark.asyncio

STATUS = b'{"command": "status"}\n'


async def ask(client: RawClient, request: bytes = STATUS) -> dict[str, Any]:
    await client.send(request)
    answer: dict[str, Any] = json.loads(await client.receive_line())
    return answer


async def test_socket_is_for_the_owner_alone_and_goes_with_the_daemon(serve: Serve) -> None:
    harness = await serve()
    mode = os.stat(harness.admin_address.path).st_mode
    assert stat.S_ISSOCK(mode)
    assert stat.S_IMODE(mode) == 0o600
    await harness.stop()
    with pytest.raises(FileNotFoundError):
        os.stat(harness.admin_address.path)


async def test_another_daemon_answers_there_daemon_does_not_start(serve: Serve, tmp_path: Path) -> None:
    harness = await serve()
    settings = DaemonSettings(
        listen=(ListenSettings(UnixAddress(str(tmp_path / "another"))),),
        pair_record_directory=tmp_path / "records",
        admin_listen=ListenSettings(harness.admin_address, mode=0o600),
    )
    with pytest.raises(OSError, match=r"cannot listen at .*usbmuxd\.admin: another program answers there"):
        await Daemon(settings, []).start()
    assert not (tmp_path / "another").exists()
    assert await ask(await harness.admin())


async def test_socket_of_a_killed_daemon_is_replaced(tmp_path: Path, serve: Serve) -> None:
    harness = await serve()
    path = harness.admin_address.path
    os.link(path, f"{path}.left")
    await harness.stop()
    os.rename(f"{path}.left", path)
    async with Daemon(harness.settings, []):
        assert await ask(await harness.admin())


async def test_phone_is_attached_status_says_all_of_it(serve: Serve) -> None:
    harness = await serve(SimulatedPhone(UDID))
    await harness.attached()
    assert await ask(await harness.admin()) == {
        "ok": True,
        "version": __version__,
        "phones": [
            {
                "state": "attached",
                "port_path": "1-1",
                "udid": UDID,
                "product_id": 0x12A8,
                "connection_speed": 480_000_000,
                "device_id": 1,
                "attach_count": 1,
                "last_error": None,
                "next_try_s": None,
                "reconnects_last_hour": 0,
                "bytes_to_phone": 0,
                "bytes_from_phone": 0,
            }
        ],
    }


async def test_phone_is_replugged_attachments_are_counted_over_it(serve: Serve) -> None:
    phone = SimulatedPhone(UDID)
    harness = await serve(phone)
    await harness.attached()
    harness.bus.unplug(phone)
    await harness.attached(0)
    admin = await harness.admin()

    async def phones() -> list[Any]:
        found: list[Any] = (await ask(admin))["phones"]
        return found

    async with asyncio.timeout(20):
        while await phones():
            pass
    harness.bus.plug(phone)
    await harness.attached()
    (status,) = await phones()
    assert (status["state"], status["device_id"], status["attach_count"]) == ("attached", 2, 2)
    assert status["reconnects_last_hour"] == 1


def silent_phone() -> SimulatedPhone:
    return SimulatedPhone(UDID, options=PhoneOptions(answer_version=False))


async def test_phone_does_not_answer_yet_it_is_shown_being_opened(serve: Serve) -> None:
    harness = await serve(silent_phone(), mux=MuxSettings(handshake_timeout_s=60))
    await turns()
    (status,) = (await ask(await harness.admin()))["phones"]
    assert (status["state"], status["udid"], status["device_id"]) == ("opening", UDID, None)
    assert (status["attach_count"], status["last_error"], status["next_try_s"]) == (0, None, None)


async def test_phone_does_not_answer_in_time_it_is_shown_quarantined_with_the_reason(serve: Serve) -> None:
    harness = await serve(silent_phone(), mux=MuxSettings(handshake_timeout_s=0.2))
    admin = await harness.admin()
    (status,) = (await ask(admin))["phones"]
    async with asyncio.timeout(20):
        while status["state"] != "quarantined":
            (status,) = (await ask(admin))["phones"]
    assert status["udid"] == UDID
    assert status["last_error"].startswith("no answer to VERSION within 0.2 s")
    assert 0 <= status["next_try_s"] <= 1.0


async def test_requests_come_in_one_write_each_is_answered(serve: Serve) -> None:
    harness = await serve(SimulatedPhone(UDID))
    await harness.attached()
    admin = await harness.admin()
    await admin.send(STATUS * 100)
    answers = [json.loads(await admin.receive_line()) for _ in range(100)]
    assert all(answer == answers[0] for answer in answers)


async def test_client_shuts_down_behind_its_request_answer_and_end_come(serve: Serve) -> None:
    harness = await serve()
    admin = await harness.admin()
    await admin.send(STATUS + STATUS)
    admin.shut_down_writing()
    lines = (await admin.receive_to_end()).splitlines()
    assert [json.loads(line)["ok"] for line in lines] == [True, True]
    await harness.quiet()


@pytest.mark.parametrize(
    ("request_line", "error"),
    [
        (b"hello\n", "not JSON: "),
        (b"\xff\n", "not JSON: "),
        (b"[" * 60_000 + b"\n", "not JSON: "),
        (b"[]\n", "expected a JSON object, found a list"),
        (b"{}\n", "command: missing"),
        (
            b'{"command": "reboot"}\n',
            'command: expected status, capture, kick, forward-add, forward-list or forward-remove, found "reboot"',
        ),
        (b'{"command": "status", "verbose": true}\n', '"verbose": unknown key'),
        (b'{"command": "capture", "udid": 5}\n', "udid: expected str, found 5"),
        (b'{"command": "capture", "format": "pcap"}\n', 'format: expected pcapng or lines or json, found "pcap"'),
        (b" " * (MAX_REQUEST_LENGTH + 1), "a line of more than 65536 bytes"),
    ],
    ids=str,
)
async def test_request_is_bad_it_is_told_so_and_the_connection_ends(
    serve: Serve, request_line: bytes, error: str
) -> None:
    harness = await serve()
    admin = await harness.admin()
    await admin.send(STATUS + request_line)
    good, bad = (await admin.receive_to_end()).splitlines()
    assert json.loads(good)["ok"] is True
    answer = json.loads(bad)
    assert answer.keys() == {"ok", "error"}
    assert answer["ok"] is False
    assert answer["error"].startswith(error)
    assert len(bad) < 300
    await harness.quiet()


async def test_client_shuts_down_amid_its_request_it_is_told_so(serve: Serve) -> None:
    harness = await serve()
    admin = await harness.admin()
    await admin.send(STATUS[:-1])
    admin.shut_down_writing()
    assert json.loads(await admin.receive_to_end()) == {"ok": False, "error": "a request ends with a newline"}


async def test_client_asks_and_never_reads_it_is_no_longer_read_and_others_are(serve: Serve) -> None:
    harness = await serve(*(SimulatedPhone(f"{UDID[:-2]}{number:02}") for number in range(20)))
    await harness.attached()
    greedy = await harness.admin()
    asked = 0
    for _ in range(1000):
        try:
            asked += greedy.sock.send(STATUS * 1000)
        except BlockingIOError:
            break
        await turns(20)
    else:
        pytest.fail("the daemon reads without end")
    assert len((await ask(await harness.admin()))["phones"]) == 20
    # What it asked is answered when it reads, so nothing was lost either.
    for _ in range(10):
        assert len(json.loads(await greedy.receive_line())["phones"]) == 20
    await harness.quiet()


async def test_clients_go_in_every_state_nothing_is_left(serve: Serve) -> None:
    harness = await serve(SimulatedPhone(UDID, ports={7: echo}), SimulatedPhone(OTHER_UDID))
    await harness.attached()
    await harness.admin()
    asking = await harness.admin()
    await asking.send(STATUS[:5])
    for capture_format in (b"pcapng", b"lines"):
        capturing = await harness.admin()
        assert await ask(capturing, b'{"command": "capture", "format": "' + capture_format + b'"}\n') == {"ok": True}
    await harness.quiet()
