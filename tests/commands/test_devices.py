from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
from typing import TYPE_CHECKING, Self

import pytest

from tests.commands.program import USBMUX, line_of, run, started
from usbmux.client.blocking import Client
from usbmux.commands.devices import watch_devices
from usbmux.commands.exits import LONGEST_WAIT_S

if TYPE_CHECKING:
    from pathlib import Path

    from tests.relay.scripted_daemon import ScriptedDaemon

pytestmark = pytest.mark.slow

_A = {
    "device_id": 1,
    "udid": "A",
    "product_id": 0x12A8,
    "location_id": 0x10004,
    "connection_speed": 480_000_000,
    "connection_type": "USB",
    "port_path": "1-4",
}


@pytest.mark.asyncio
async def test_list_prints_a_udid_a_line(daemon: ScriptedDaemon) -> None:
    daemon.attach(1, "A")
    daemon.attach(2, "B")
    outcome = await run(USBMUX, "list")
    assert (outcome.code, outcome.stdout, outcome.stderr) == (0, b"A\nB\n", "")


@pytest.mark.asyncio
async def test_list_long_prints_a_table(daemon: ScriptedDaemon) -> None:
    daemon.attach(1, "A" * 10)
    daemon.attach(12, "B")
    outcome = await run(USBMUX, "list", "-l")
    assert outcome.stdout.decode().splitlines() == [
        "ID  UDID        NAME  MODEL  VERSION  PRODUCT  SPEED       LOCATION    PORT  TYPE",
        "1   AAAAAAAAAA  -     -      -        12a8     480 Mbit/s  0x00010004  1-4   USB",
        "12  B           -     -      -        12a8     480 Mbit/s  0x00010004  1-4   USB",
    ]


@pytest.mark.asyncio
async def test_list_json_prints_one_document(daemon: ScriptedDaemon) -> None:
    daemon.attach(1, "A")
    outcome = await run(USBMUX, "list", "--json")
    assert json.loads(outcome.stdout) == [_A]


@pytest.mark.asyncio
@pytest.mark.parametrize(("options", "stdout"), [([], b""), (["--json"], b"[]\n")])
async def test_list_without_phones_says_so_on_stderr_only(
    daemon: ScriptedDaemon, options: list[str], stdout: bytes
) -> None:
    outcome = await run(USBMUX, "list", *options)
    assert (outcome.code, outcome.stdout, outcome.stderr) == (0, stdout, "usbmux: no phone is attached\n")


@pytest.mark.asyncio
@pytest.mark.parametrize("place", ["before", "after"])
async def test_list_socket_option_outdoes_the_variable_before_and_after_the_sub_command(
    daemon: ScriptedDaemon, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    daemon.attach(1, "A")
    monkeypatch.setenv("USBMUXD_SOCKET_ADDRESS", "/nowhere/mux")
    option = ["--socket", daemon.address]
    arguments = [*option, "list"] if place == "before" else ["list", *option]
    assert (await run(USBMUX, *arguments)).stdout == b"A\n"


@pytest.mark.asyncio
async def test_daemon_absent_exits_4_naming_the_address(daemon: ScriptedDaemon) -> None:
    await daemon.stop()
    for command in (["list"], ["watch"], ["connect", "22"]):
        outcome = await run(USBMUX, *command)
        assert (outcome.code, outcome.stdout) == (4, b"")
        assert daemon.address in outcome.stderr
        assert outcome.stderr.count("\n") == 1


@pytest.mark.asyncio
async def test_address_senseless_exits_2() -> None:
    outcome = await run(USBMUX, "list", "--socket", "nonsense")
    assert outcome.code == 2
    assert "nonsense" in outcome.stderr


@pytest.mark.asyncio
async def test_watch_prints_a_line_an_event(daemon: ScriptedDaemon) -> None:
    daemon.attach(1, "A")
    async with started(USBMUX, "watch") as program:
        assert await line_of(program.stdout) == "attached A"
        daemon.attach(2, "B")
        assert await line_of(program.stdout) == "attached B"
        daemon.pair(1)
        assert await line_of(program.stdout) == "paired A"
        daemon.detach(2)
        assert await line_of(program.stdout) == "detached B"


@pytest.mark.asyncio
async def test_watch_json_prints_an_object_a_line(daemon: ScriptedDaemon) -> None:
    daemon.attach(1, "A")
    async with started(USBMUX, "watch", "--json") as program:
        assert json.loads(await line_of(program.stdout)) == {"event": "attached", **_A}
        daemon.detach(1)
        assert json.loads(await line_of(program.stdout)) == {"event": "detached", **_A}


@pytest.mark.asyncio
async def test_watch_daemon_restarts_goes_on(daemon: ScriptedDaemon) -> None:
    async with started(USBMUX, "watch") as program:
        await daemon.wait_listener()
        await daemon.stop()
        await daemon.start()
        daemon.attach(1, "A")
        assert await line_of(program.stdout) == "attached A"


@pytest.mark.asyncio
async def test_watch_interrupted_exits_130_without_words(daemon: ScriptedDaemon) -> None:
    async with started(USBMUX, "watch") as program:
        await daemon.wait_listener()
        program.send_signal(signal.SIGINT)
        _, stderr = await program.communicate()
        assert (program.returncode, stderr) == (130, b"")


@pytest.mark.asyncio
async def test_watch_interrupted_while_a_class_is_made_exits_130(
    daemon: ScriptedDaemon, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """That is an interrupt inside of code in a string, as when what reads a property list is being imported."""
    tmp_path.joinpath("sitecustomize.py").write_text(
        "from usbmux.client.watch import Watch\n"
        "Watch.wait_event = lambda watch, timeout_s: exec('raise KeyboardInterrupt')\n"
    )
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join((str(tmp_path), *filter(None, (os.environ.get("PYTHONPATH"),)))))
    outcome = await run(USBMUX, "watch")
    assert (outcome.code, outcome.stdout, outcome.stderr) == (130, b"", "")


def test_watch_never_waits_long_in_one_call(monkeypatch: pytest.MonkeyPatch) -> None:
    """An interrupt right before a call that waits is noticed when that is over: no test can hit the moment."""
    waits: list[float | None] = []

    class Events(contextlib.nullcontext[object]):
        def __enter__(self) -> Self:
            return self

        def wait_event(self, timeout_s: float | None = None) -> None:
            waits.append(timeout_s)
            if len(waits) == 3:
                raise KeyboardInterrupt

    monkeypatch.setattr(Client, "watch", lambda _client, *, reconnect: Events())

    with pytest.raises(KeyboardInterrupt):
        watch_devices("unix:/nowhere", as_json=False)

    assert waits == [LONGEST_WAIT_S] * 3


@pytest.mark.asyncio
async def test_watch_reader_gone_ends_quietly(daemon: ScriptedDaemon) -> None:
    readable, writable = os.pipe()
    os.close(readable)
    async with started(USBMUX, "watch", stdout=writable) as program:
        os.close(writable)
        await daemon.wait_listener()
        daemon.attach(1, "A")
        _, stderr = await program.communicate()
        assert (program.returncode, stderr) == (0, b"")


@pytest.mark.asyncio
async def test_list_starts_without_an_event_loop(daemon: ScriptedDaemon) -> None:
    """Importing asyncio takes as long as all the rest."""
    code = "import sys; from usbmux.commands.usbmux import main; main(['list']); print('asyncio' in sys.modules)"
    async with asyncio.timeout(30):
        outcome = await run((USBMUX[0],), "-c", code)
    assert outcome.stdout == b"False\n"
