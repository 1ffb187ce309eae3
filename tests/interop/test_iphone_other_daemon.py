"""A virtual iPhone on the fake usbfs, and a daemon that pairs with it as soon as it comes: Debian's, and ours."""

from __future__ import annotations

import asyncio
import json
import plistlib
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.interop.iphone_bench import NAME, Spelling
from tests.interop.programs import debian_program, pymobiledevice3
from tests.support.daemon import clean_environment
from tests.support.daemon_on_usbfs import DEBIANS, OURS, DaemonOnUsbfs, daemon_on_usbfs
from tests.support.debian_usbmuxd import require_debian_usbmuxd
from tests.support.streams import MEBIBYTE, digest, some_bytes
from tests.usb.usbfs.host import build_preload
from usbmux.testing import PhoneOptions
from usbmux.testing.iphone import Identity, VirtualIPhone

if TYPE_CHECKING:
    from pathlib import Path

    from tests.interop.compatibility import CompatibilityTable

pytestmark = [pytest.mark.interop, pytest.mark.asyncio]

PAIRED_WITHIN_S = 60.0
LENGTH = 8 * MEBIBYTE


@pytest.fixture(scope="module")
def preload(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if not sys.platform.startswith("linux"):
        pytest.skip("usbfs is Linux only")
    library = build_preload(tmp_path_factory.mktemp("usbfs"))
    if library is None:
        pytest.skip("no C compiler for the fake usbfs; remedy: apt-get install gcc libc6-dev")
    return library


async def read_record(daemon: DaemonOnUsbfs, udid: str) -> dict[str, object]:
    """The pair record of the phone, as soon as there is one."""
    path = daemon.records / f"{udid}.plist"
    async with asyncio.timeout(PAIRED_WITHIN_S):
        while True:
            try:
                record: dict[str, object] = plistlib.loads(path.read_bytes())
            except (FileNotFoundError, plistlib.InvalidFileException):  # not there, or not all of it
                await asyncio.sleep(0.02)
            else:
                return record


async def printed(daemon: DaemonOnUsbfs, spelling: str, *command: str) -> str:
    """What a client of the daemon prints that succeeds; the phone goes on meanwhile."""
    variables = clean_environment(USBMUXD_SOCKET_ADDRESS=spelling.format(path=daemon.socket_path))
    completed = await asyncio.to_thread(
        subprocess.run, command, env=variables, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60
    )
    assert completed.returncode == 0, completed.stdout + completed.stderr
    return completed.stdout


async def wait_listed(daemon: DaemonOnUsbfs, udid: str) -> None:
    program = debian_program("idevice_id")
    async with asyncio.timeout(PAIRED_WITHIN_S):
        while True:
            if udid in await printed(daemon, Spelling.LIBIMOBILEDEVICE, program, "-l"):
                return


@pytest.mark.parametrize("name", [OURS, DEBIANS])
async def test_daemon_pairs_and_all_programs_use_its_pairing(
    preload: Path, compatibility: CompatibilityTable, tmp_path: Path, name: str
) -> None:
    if name == DEBIANS:
        require_debian_usbmuxd()
    sent, back, program = tmp_path / "sent", tmp_path / "back", pymobiledevice3()
    sent.write_bytes(some_bytes(LENGTH))
    # Debian's takes it for granted that a phone counts from 0.
    iphone = VirtualIPhone(Identity(device_name=NAME), options=PhoneOptions(initial_sequence=0))
    async with daemon_on_usbfs(name, preload, iphone.device, pairs=True) as daemon:
        record = await read_record(daemon, iphone.udid)
        assert iphone.hosts.host_ids == (record["HostID"],)
        await wait_listed(daemon, iphone.udid)
        shown = await printed(daemon, Spelling.LIBIMOBILEDEVICE, debian_program("ideviceinfo"), "-k", "SerialNumber")
        assert shown.strip() == iphone.values.value("SerialNumber")
        information = json.loads(await printed(daemon, Spelling.PYMOBILEDEVICE3, program, "lockdown", "info"))
        assert information["DeviceName"] == NAME
        await printed(daemon, Spelling.PYMOBILEDEVICE3, program, "afc", "push", str(sent), "/Downloads/sent")
        await printed(daemon, Spelling.PYMOBILEDEVICE3, program, "afc", "pull", "/Downloads/sent", str(back))
        assert digest(back.read_bytes()) == digest(sent.read_bytes())
        assert iphone.hosts.host_ids == (record["HostID"],)
    assert iphone.device.violations == []
    if name == DEBIANS:
        compatibility.add(
            "usbmuxd, Debian's", "1.1.1", "usbmuxd -f", "pairs with a virtual iPhone; programs use that pairing"
        )
