"""Another daemon takes the place of one behind a socket that stays, as under a service manager."""

from __future__ import annotations

import socket
import sys
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Final

from tests.daemon.harness import encode
from tests.e2e.usbmuxd import COMMAND
from tests.support.daemon import clean_environment
from tests.support.process import ChildProcess
from usbmux import Client, DeviceAttached, DeviceDetached

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

STAYS, GOES, COMES = (f"00008030-{number:016X}" for number in (1, 2, 3))
HAND_OVER: Final = """
import os, sys
os.dup2(int(sys.argv[1]), 3)
os.environ |= {"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": "1"}
os.execv(sys.executable, [sys.executable, *sys.argv[2:]])
"""
"""Becomes the program of its arguments, with a socket handed over; the pid must be that of the program."""


@contextmanager
def serving(folder: Path, listener: socket.socket, *udids: str) -> Iterator[ChildProcess]:
    phones = folder / "phones.toml"
    phones.write_text("".join(f'[[phone]]\nudid = "{udid}"\n[phone.ports]\n7 = "echo"\n' for udid in udids))
    options = ["-C", str(folder / "records"), "--config", "NONE", "--simulate", str(phones)]
    command = [sys.executable, "-c", HAND_OVER, str(listener.fileno()), *COMMAND[1:], *options]
    with ChildProcess(command, environment=clean_environment(), pass_fds=[listener.fileno()]) as process:
        process.wait_for_line("^usbmuxd ready")
        yield process
        assert process.stop() == 0


def test_another_daemon_takes_over_listener_hears_of_what_changed_only_and_nobody_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "usbmuxd"
    client = Client(str(path), timeout_s=20)
    with ExitStack() as stack:
        listener, meanwhile = (stack.enter_context(socket.socket(socket.AF_UNIX)) for _ in range(2))
        listener.bind(str(path))
        listener.listen()
        with serving(tmp_path, listener, STAYS, GOES):
            watch = stack.enter_context(client.watch(reconnect=True))
            devices = client.devices()
            assert [watch.wait_event(20) for _ in devices] == [DeviceAttached(device) for device in devices]
        meanwhile.settimeout(20)
        meanwhile.connect(str(path))
        meanwhile.sendall(encode({"MessageType": "ListDevices"}))
        with serving(tmp_path, listener, STAYS, COMES):
            assert STAYS.encode() in meanwhile.recv(65536)
            news = [watch.wait_event(20), watch.wait_event(20)]
            assert [(type(event), event and event.device.udid) for event in news] == [
                (DeviceDetached, GOES),
                (DeviceAttached, COMES),
            ]
            assert watch.wait_event(0) is None
    assert path.exists()
