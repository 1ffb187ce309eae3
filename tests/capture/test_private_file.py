from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

import pytest

from usbmux.capture.private_file import open_private, take_back

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("mode", [0o644, 0o660, 0o600])
def test_file_is_there_it_is_emptied_and_for_its_owner_alone(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "capture"
    path.write_bytes(b"old")
    path.chmod(mode)
    os.close(open_private(str(path)))
    assert (path.read_bytes(), stat.S_IMODE(path.stat().st_mode)) == (b"", 0o600)


def test_pipe_is_there_its_mode_stays(tmp_path: Path) -> None:
    path = tmp_path / "pipe"
    os.mkfifo(path)
    path.chmod(0o660)
    reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    os.close(open_private(str(path)))
    os.close(reader)
    assert stat.S_IMODE(path.stat().st_mode) == 0o660


def test_file_must_be_new_and_is_there_it_stays(tmp_path: Path) -> None:
    path = tmp_path / "capture"
    path.write_bytes(b"old")
    with pytest.raises(FileExistsError):
        open_private(str(path), must_be_new=True)
    assert path.read_bytes() == b"old"


def test_record_is_taken_back_the_next_one_stands_in_its_place(tmp_path: Path) -> None:
    path = tmp_path / "capture"
    descriptor = open_private(str(path))
    os.write(descriptor, b"whole, beginning")
    take_back(descriptor, len(", beginning"))
    os.write(descriptor, b"!")
    os.close(descriptor)
    assert path.read_bytes() == b"whole!"
