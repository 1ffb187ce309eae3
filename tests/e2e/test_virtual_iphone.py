"""Virtual iPhones of a file in the real daemon process."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.e2e.usbmuxd import COMMAND
from tests.support.attached import wait_attached
from tests.support.daemon import clean_environment
from tests.support.process import ChildProcess
from tests.testing.iphone.host import LockdownClient, TestHost
from usbmux import Client, DeviceAttached, DeviceDetached, UnixAddress
from usbmux.testing.iphone import LOCKDOWN_PORT

if TYPE_CHECKING:
    from pathlib import Path


def test_phone_of_a_file_pairs_and_leaves_when_it_is_told_to(tmp_path: Path) -> None:
    phones, path = tmp_path / "phones.toml", tmp_path / "usbmuxd"
    phones.write_text('[[iphone]]\ndevice_name = "Ada"\n')
    where = ["-S", str(path), "-C", str(tmp_path / "records"), "--config", "NONE", "--no-preflight"]
    with ChildProcess([*COMMAND, *where, "--simulate", str(phones)], environment=clean_environment()) as process:
        process.wait_for_line("^usbmuxd ready")
        wait_attached(UnixAddress(str(path)), 1)
        client, host = Client(str(path)), TestHost()
        stream = client.connect(None, LOCKDOWN_PORT)
        stream.settimeout(30)
        with client.watch() as events, LockdownClient(stream) as lockdown:
            assert isinstance(next(events), DeviceAttached)
            lockdown.pair(host)
            lockdown.start_session(host)
            assert lockdown.value("DeviceName") == "Ada"
            assert lockdown.request("EnterRecovery")["Result"] == "Success"
            assert isinstance(next(events), DeviceDetached)
        assert process.stop() == 0
