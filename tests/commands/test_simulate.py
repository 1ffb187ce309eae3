from __future__ import annotations

import asyncio
import json
import os
import shlex
import signal
import sys
from typing import TYPE_CHECKING

import pytest

from tests.commands.program import USBMUX, WITHIN_S, line_of, run, started
from tests.support.attached import wait_attached
from usbmux import Client, parse_address
from usbmux.testing import default_phones
from usbmux.testing.iphone import LOCKDOWN_PORT

if TYPE_CHECKING:
    from pathlib import Path
from subprocess import PIPE

pytestmark = pytest.mark.slow

UDIDS = [phone.udid for phone in default_phones(64)]
LIST = (*USBMUX, "list")
BLOCKED = """
import sys
class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] == "cryptography":
            raise ModuleNotFoundError("No module named 'cryptography'", name="cryptography")
sys.meta_path.insert(0, Blocker())
from usbmux.commands.usbmux import main
sys.exit(main())
"""
"""As if the extra ``testing`` were not installed."""
WITHOUT_EXTRA = (sys.executable, "-c", BLOCKED)


async def exports_of(process: asyncio.subprocess.Process) -> tuple[dict[str, str], list[str]]:
    """What the shell would take from the lines until it is ready, and the comments."""
    exports: dict[str, str] = {}
    comments: list[str] = []
    while not (line := await line_of(process.stdout)).startswith("# ready"):
        if line.startswith("# "):
            comments.append(line)
        else:
            export, assignment = shlex.split(line)
            name, _, value = assignment.partition("=")
            assert export == "export"
            exports[name] = value
    return exports, [*comments, line]


@pytest.mark.asyncio
async def test_simulate_tells_the_shell_where_the_phones_are_until_terminated() -> None:
    async with started(USBMUX, "simulate", "--count", "2") as process:
        exports, comments = await exports_of(process)
        path = exports["PYMOBILEDEVICE3_USBMUX"]
        assert exports == {"USBMUXD_SOCKET_ADDRESS": f"UNIX://{path}", "PYMOBILEDEVICE3_USBMUX": path}
        assert comments[0] == f"# {UDIDS[0]}  Virtual iPhone, iPhone12,1, iOS 16.7.2"
        assert comments[1] == f"# {UDIDS[1]}  Virtual iPhone 2, iPhone12,1, iOS 16.7.2"
        assert "# pymobiledevice3, once usbmux pair or another program has paired:" in comments
        assert f"# tidevice: tidevice --socket {path}" in comments
        assert comments[-1] == f"# ready: unix:{path}"
        assert await asyncio.to_thread(listed, path, 2) == UDIDS[:2]
        process.terminate()
        assert await process.wait() == 0
    assert not os.access(os.path.dirname(path), os.F_OK)


def listed(address: str, count: int) -> list[str]:
    """Once that many are there."""
    wait_attached(parse_address(address), count)
    return [device.udid for device in Client(address).devices()]


@pytest.mark.asyncio
@pytest.mark.parametrize("option", ["-S", "--socket"])
async def test_simulate_listens_where_it_is_told_and_says_so_in_json(tmp_path: Path, option: str) -> None:
    arguments = ("--json", option, str(tmp_path / "usbmuxd"), option, "127.0.0.1:0")
    async with started(USBMUX, "simulate", *arguments) as process:
        ready = json.loads(await line_of(process.stdout))
        assert ready["addresses"][0] == f"unix:{tmp_path}/usbmuxd"
        assert ready["environment"]["PYMOBILEDEVICE3_USBMUX"] == f"{tmp_path}/usbmuxd"
        assert ready["phones"] == [{"udid": UDIDS[0], "summary": "Virtual iPhone, iPhone12,1, iOS 16.7.2"}]
        for address in ready["addresses"]:
            assert await asyncio.to_thread(listed, address, 1) == UDIDS[:1]
        process.send_signal(signal.SIGINT)
        assert await process.wait() == 0


@pytest.mark.asyncio
async def test_simulate_after_the_socket_of_the_group_listens_there(tmp_path: Path) -> None:
    socket = str(tmp_path / "usbmuxd")
    async with started((*USBMUX, "--socket", socket), "simulate") as process:
        exports, _ = await exports_of(process)
        assert exports["PYMOBILEDEVICE3_USBMUX"] == socket


@pytest.mark.asyncio
async def test_simulate_command_finds_the_phones_and_its_output_is_all() -> None:
    outcome = await run(USBMUX, "simulate", "--count", "3", "--", *LIST)
    assert (outcome.code, outcome.stderr) == (0, "")
    assert outcome.stdout.decode().split() == UDIDS[:3]


@pytest.mark.asyncio
@pytest.mark.parametrize(("script", "code"), [("exit 7", 7), ("kill -KILL $$", 128 + signal.SIGKILL)])
async def test_simulate_command_ends_it_with_its_code(script: str, code: int) -> None:
    outcome = await run(USBMUX, "simulate", "sh", "-c", script)  # what follows the command is the command's
    assert (outcome.code, outcome.stderr) == (code, "")


@pytest.mark.asyncio
async def test_simulate_command_that_is_not_there_is_named() -> None:
    outcome = await run(USBMUX, "simulate", "--", "/no/such/command")
    assert outcome.code == 1
    assert outcome.stderr == "usbmux: /no/such/command: No such file or directory\n"


@pytest.mark.asyncio
async def test_simulate_interrupted_leaves_it_to_the_command_to_end() -> None:
    script = "echo here; read line; exit 5"
    async with started(USBMUX, "simulate", "--", "sh", "-c", script, stdin=PIPE) as process:
        assert await line_of(process.stdout) == "here"
        process.send_signal(signal.SIGINT)
        assert process.stdin is not None
        process.stdin.write(b"\n")
        assert await process.wait() == 5


@pytest.mark.asyncio
async def test_simulate_terminated_terminates_the_command() -> None:
    async with started(USBMUX, "simulate", "--", "sh", "-c", "echo here; exec sleep 600") as process:
        assert await line_of(process.stdout) == "here"
        process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(WITHIN_S):
            assert await process.wait() == 128 + signal.SIGTERM


@pytest.mark.asyncio
async def test_simulate_terminal_hangs_up_under_nohup_it_serves_on() -> None:
    under_nohup = ("sh", "-c", "trap '' HUP; exec \"$@\"", "sh", *USBMUX)
    hang_up_then_list = ("sh", "-c", 'kill -HUP $PPID; exec "$@"', "sh", *LIST)
    outcome = await run(under_nohup, "simulate", "--", *hang_up_then_list)
    assert (outcome.code, outcome.stdout.decode().split()) == (0, UDIDS[:1])


@pytest.mark.asyncio
async def test_simulate_file_names_the_phones_of_both_kinds(tmp_path: Path) -> None:
    config = tmp_path / "phones.toml"
    config.write_text('[[phone]]\nudid = "0123456789"\n[[iphone]]\ndevice_name = "Ada"\n')
    outcome = await run(USBMUX, "simulate", "--config", str(config), "--", *LIST)
    assert outcome.stdout.decode().split() == ["0123456789", UDIDS[0]]


@pytest.mark.asyncio
async def test_simulate_without_the_extra_names_it_and_what_needs_none() -> None:
    outcome = await run(WITHOUT_EXTRA, "simulate")
    assert outcome.code == 1
    assert "needs the package cryptography: pip install 'usbmux[testing]'" in outcome.stderr
    assert "--plain" in outcome.stderr
    plain = await run(WITHOUT_EXTRA, "simulate", "--plain", "--", *LIST)
    assert (plain.code, plain.stdout.decode().split(), plain.stderr) == (0, UDIDS[:1], "")


@pytest.mark.asyncio
async def test_simulate_file_with_an_iphone_without_the_extra_names_it_and_the_key(tmp_path: Path) -> None:
    config = tmp_path / "phones.toml"
    config.write_text("[[iphone]]\n")
    outcome = await run(WITHOUT_EXTRA, "simulate", "--config", str(config))
    assert outcome.code == 1
    assert f"{config}: iphone[0]: a virtual iPhone needs the package cryptography" in outcome.stderr


@pytest.mark.asyncio
async def test_simulate_64_virtual_iphones_all_answer() -> None:
    async with started(USBMUX, "simulate", "--count", "64") as process:
        exports, _ = await exports_of(process)
        names = await asyncio.to_thread(ask_each, exports["USBMUXD_SOCKET_ADDRESS"])
        assert names == UDIDS
        process.terminate()
        assert await process.wait() == 0


def ask_each(address: str) -> list[str]:
    """The UDID that lockdown of each phone tells, in the order in which they are listed."""
    client = Client(parse_address(address))
    with client.watch() as events:
        for _ in UDIDS:
            next(events)
    answers = []
    for device in client.devices():
        with client.connect(device, LOCKDOWN_PORT) as stream:
            stream.settimeout(WITHIN_S)
            request = b"<plist><dict><key>Request</key><string>GetValue</string></dict></plist>"
            stream.sendall(len(request).to_bytes(4) + request)
            reply = b""
            while b"UniqueDeviceID</key>" not in reply or b"</plist>" not in reply:
                reply += stream.recv(65536)
            answers.append(reply.partition(b"UniqueDeviceID</key>")[2].partition(b"<string>")[2][:25].decode())
    return answers


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("--usbredir", "/nowhere/at/all"), 1),
        (("--usbredir", "x", "--config", "/nowhere"), 1),
        (("--socket", "/nowhere/at/all"), 1),
        (("--socket", "nonsense"), 2),
        (("--config", "y", "--count", "2"), 2),
        (("--config", "y", "--plain"), 2),
        (("--speed", "high"), 2),
        (("--usbredir", "x", "--json"), 2),
        (("--usbredir", "x", "--socket", "y"), 2),
        (("--usbredir", "x", "--", "true"), 2),
        (("--count", "65"), 2),
    ],
)
async def test_simulate_impossible_says_so(arguments: tuple[str, ...], code: int) -> None:
    outcome = await run(USBMUX, "simulate", *arguments)
    assert outcome.code == code
    assert outcome.stderr
    assert "Traceback" not in outcome.stderr
