"""A whole daemon on the test's own event loop, with its admin socket, for commands as processes."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from usbmux.control.address import UnixAddress
from usbmux.daemon.listen_settings import ListenSettings
from usbmux.daemon.server import Daemon
from usbmux.daemon.settings import DaemonSettings
from usbmux.mux.settings import MuxSettings
from usbmux.testing import SimulatedBus, SimulatedPhone

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    import pytest


@asynccontextmanager
async def served(
    folder: Path, monkeypatch: pytest.MonkeyPatch, *phones: SimulatedPhone, handshake_timeout_s: float = 20.0
) -> AsyncIterator[tuple[Daemon, SimulatedBus]]:
    """The default daemon of the commands that are run meanwhile; its phones have been tried. And their bus."""
    bus = SimulatedBus()
    for phone in phones:
        bus.plug(phone)
    path = str(folder / "mux")
    monkeypatch.setenv("USBMUXD_SOCKET_ADDRESS", path)
    settings = DaemonSettings(
        listen=(ListenSettings(UnixAddress(path)),),
        admin_listen=ListenSettings(UnixAddress(f"{path}.admin"), mode=0o600),
        pair_record_directory=folder / "records",
        mux=MuxSettings(handshake_timeout_s=handshake_timeout_s),
    )
    async with Daemon(settings, [bus]) as daemon:
        await daemon.wait_settled(20)
        yield daemon, bus
