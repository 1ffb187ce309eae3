"""The start of a daemon: what is done with all rights, and what with those that are left."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from tests.daemon.harness import UDID, until
from usbmux.control.address import UnixAddress
from usbmux.daemon.listen_settings import ListenSettings
from usbmux.daemon.server import Daemon
from usbmux.daemon.settings import DaemonSettings
from usbmux.testing import SimulatedPhone
from usbmux.usb.simulated import SimulatedBus

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.asyncio


@pytest.fixture
def bus() -> SimulatedBus:
    bus = SimulatedBus()
    SimulatedPhone(UDID).plug_into(bus)
    return bus


@pytest.fixture
def settings(tmp_path: Path) -> DaemonSettings:
    listen = (ListenSettings(UnixAddress(str(tmp_path / "usbmuxd"))),)
    return DaemonSettings(listen=listen, pair_record_directory=tmp_path / "records")


async def test_listening_rights_are_given_up_before_records_and_phones(
    settings: DaemonSettings, bus: SimulatedBus, tmp_path: Path
) -> None:
    settings.pair_record_directory.mkdir()
    settings.pair_record_directory.chmod(0o755)
    found: list[tuple[bool, int, int]] = []

    def look() -> None:
        mode = settings.pair_record_directory.stat().st_mode & 0o777
        found.append(((tmp_path / "usbmuxd").exists(), mode, len(daemon._attendant.statuses())))

    daemon = Daemon(settings, [bus])
    await daemon.start(look)
    try:
        await until(lambda: bool(daemon.registry.records()))
        assert found == [(True, 0o755, 0)]
        assert settings.pair_record_directory.stat().st_mode & 0o777 == 0o700
    finally:
        await daemon.close()


async def test_rights_cannot_be_given_up_it_does_not_start_and_leaves_nothing(
    settings: DaemonSettings, bus: SimulatedBus, tmp_path: Path
) -> None:
    def fail() -> None:
        raise PermissionError(1, "only root can become nobody")

    daemon = Daemon(settings, [bus])
    with pytest.raises(PermissionError, match="only root"):
        await daemon.start(fail)
    assert os.listdir(tmp_path) == []
    assert not daemon.registry.records()
