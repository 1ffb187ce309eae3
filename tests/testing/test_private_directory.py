"""Where temporary sockets go when TMPDIR is deep."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import pytest

from usbmux import Client
from usbmux.testing import RunningDaemon, SimulatedPhone
from usbmux.testing.private_directory import private_directory

pytestmark = pytest.mark.skipif(os.name != "posix", reason="TMPDIR may be deep where sockets have no path")


def temporary_files_go_to(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder.mkdir(exist_ok=True)
    monkeypatch.setattr(tempfile, "tempdir", str(folder))


def test_usual_place_is_taken_when_a_socket_has_room_there(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with tempfile.TemporaryDirectory(dir="/tmp") as usual:
        temporary_files_go_to(Path(usual), monkeypatch)
        with private_directory("phones-") as directory:
            assert Path(directory).parent == Path(usual)
            assert Path(directory).name.startswith("phones-")
            assert Path(directory).stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("name", ["d" * 100, "ü" * 50])
def test_place_too_deep_for_a_socket_is_left_for_a_shallow_one(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    temporary_files_go_to(tmp_path / name, monkeypatch)
    with private_directory("phones-") as directory:
        assert len(os.fsencode(Path(directory, "usbmuxd.admin"))) <= 103
    assert not Path(directory).exists()


def test_temporary_files_deep_daemon_in_a_test_serves(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    temporary_files_go_to(tmp_path / ("d" * 100), monkeypatch)
    with RunningDaemon([SimulatedPhone()]) as daemon:
        assert [phone.udid for phone in Client(daemon.address).devices()] == [SimulatedPhone().udid]
