"""What a daemon in a fixture can be told."""

from __future__ import annotations

import concurrent.futures
import errno
import tempfile
import threading
from typing import TYPE_CHECKING, NoReturn

import pytest

from usbmux import Client
from usbmux.errors import LocalProtocolError
from usbmux.testing import PhoneOptions, RunningDaemon, SimulatedPhone, running

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("keeps_addresses", [True, False])
def test_replugged_phone_has_another_id_and_its_old_address_if_addresses_are_kept(keeps_addresses: bool) -> None:
    phone = SimulatedPhone()
    with RunningDaemon([phone], keeps_addresses=keeps_addresses) as daemon:
        client = Client(daemon.address)
        with client.watch() as watch:
            before = next(watch).device
            daemon.unplug(phone)
            assert next(watch).device.udid == phone.udid
            daemon.plug(phone)
            after = next(watch).device
    assert after.device_id != before.device_id
    assert (after.location_id == before.location_id) == keeps_addresses


def test_start_no_event_loop_can_be_made_it_raises_and_nothing_is_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def make_none() -> NoReturn:
        raise OSError(errno.EMFILE, "Too many open files")

    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(running, "new_event_loop", make_none)
    with pytest.raises(OSError, match="Too many open files"), RunningDaemon():
        pass
    assert list(tmp_path.iterdir()) == []


def test_not_running_phone_is_plugged_local_error() -> None:
    daemon = RunningDaemon()
    with pytest.raises(LocalProtocolError, match="the daemon is not running"):
        daemon.plug(SimulatedPhone())
    with daemon, pytest.raises(LocalProtocolError, match="a daemon runs only once"), daemon:
        pass
    with pytest.raises(LocalProtocolError, match="the daemon is not running"):
        daemon.plug(SimulatedPhone())


class _Interrupted(concurrent.futures.Future[None]):
    def result(self, timeout: float | None = None) -> NoReturn:
        raise KeyboardInterrupt


def test_start_interrupted_nothing_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    daemon = RunningDaemon([SimulatedPhone(options=PhoneOptions(answer_version=False))])
    monkeypatch.setattr(daemon, "_started", _Interrupted())
    with pytest.raises(KeyboardInterrupt), daemon:
        pass
    assert "usbmuxd" not in [thread.name for thread in threading.enumerate()]
    assert list(tmp_path.iterdir()) == []
