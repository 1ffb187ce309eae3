"""A daemon process on the fake usbfs of tests/usb/usbfs, whose devices live in this process: ours or Debian's."""

from __future__ import annotations

import asyncio
import shutil
import sys
import tempfile
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tests.support.daemon import clean_environment
from tests.support.debian_usbmuxd import start_debian_usbmuxd
from tests.support.process import ChildProcess
from tests.usb.usbfs.device import device_of_function
from tests.usb.usbfs.host import UsbfsHost, environment

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.usb.usbfs.device import UsbfsDevice
    from usbmux.testing import SimulatedPhone

OURS, DEBIANS = "ours", "Debian's"


@dataclass(frozen=True, slots=True)
class DaemonOnUsbfs:
    """A running daemon, and where it is found."""

    process: ChildProcess
    socket_path: Path
    records: Path
    """The directory of its pair records."""
    host: UsbfsHost
    """Its bus."""
    device: UsbfsDevice
    """The phone there, which may be unplugged and plugged in again."""


@asynccontextmanager
async def daemon_on_usbfs(
    daemon: str, preload: Path, phone: SimulatedPhone, *, pairs: bool = False
) -> AsyncIterator[DaemonOnUsbfs]:
    """A daemon that has one phone, or is about to.

    Args:
        daemon: OURS or DEBIANS.
        preload: What `build_preload` has made.
        phone: Lives in the running loop.
        pairs: Whether the daemon pairs with it by itself.
    """
    folder = Path(tempfile.mkdtemp(prefix="usbfs"))  # not below tmp_path: a socket's path is short
    host = UsbfsHost()
    await host.start(folder / "usbfs")
    device = device_of_function(phone)
    host.plug(device)
    variables = environment(preload, folder / "usbfs")
    process, socket_path, records = (_start_ours if daemon == OURS else _start_debians)(folder, variables, pairs=pairs)
    try:
        yield DaemonOnUsbfs(process, socket_path, records, host, device)
    finally:
        # In a thread: to end well, the daemon needs the bus, which is served by this loop.
        await asyncio.to_thread(process.stop)
        await host.close()
        shutil.rmtree(folder)


def _start_ours(folder: Path, variables: dict[str, str], *, pairs: bool) -> tuple[ChildProcess, Path, Path]:
    socket_path, records = folder / "usbmuxd", folder / "records"
    command = [sys.executable, "-m", "usbmux.commands.usbmuxd", "-f", *([] if pairs else ["-p"])]
    where = ["-S", str(socket_path), "-C", str(records)]
    process = ChildProcess([*command, *where], environment=clean_environment(**variables))
    return process, socket_path, records


def _start_debians(folder: Path, variables: dict[str, str], *, pairs: bool) -> tuple[ChildProcess, Path, Path]:
    process, socket_path = start_debian_usbmuxd(folder, variables, pairs=pairs)
    return process, socket_path, folder / "lib/lockdown"
