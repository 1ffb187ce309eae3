from __future__ import annotations

import errno
import fcntl
import os
import sys
import threading
from typing import TYPE_CHECKING

import pytest

from usbmux.commands.pid_file import PidFile, locking_pid

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="there are no such locks")


def test_entered_it_names_this_process_and_left_it_is_gone(tmp_path: Path) -> None:
    path = tmp_path / "pid"
    with PidFile(path):
        assert path.read_text() == f"{os.getpid()}\n"
        assert locking_pid(path) == os.getpid()
    assert not path.exists()


def test_locked_another_is_refused_and_told_by_whom(tmp_path: Path) -> None:
    path = tmp_path / "pid"
    with (
        PidFile(path),
        pytest.raises(BlockingIOError, match=rf"another usbmuxd is running \(pid {os.getpid()}\)") as told,
    ):
        PidFile(path).__enter__()
    assert told.value.errno == errno.EAGAIN


def test_somebody_asks_at_that_moment_whether_it_is_locked_it_is_entered(tmp_path: Path) -> None:
    path = tmp_path / "pid"
    path.touch()
    with open(path) as asking:
        fcntl.flock(asking, fcntl.LOCK_SH)
        letting_go = threading.Timer(0.02, asking.close)  # it takes a moment to ask
        letting_go.start()
        with PidFile(path):
            assert locking_pid(path) == os.getpid()
        letting_go.join()


def test_left_behind_by_a_killed_daemon_it_is_taken_over(tmp_path: Path) -> None:
    path = tmp_path / "pid"
    path.write_text("99999999999\n")
    with PidFile(path):
        assert locking_pid(path) == os.getpid()


def test_replaced_by_somebody_else_theirs_stays(tmp_path: Path) -> None:
    path = tmp_path / "pid"
    with PidFile(path):
        path.unlink()
        path.write_text("4711\n")
    assert path.read_text() == "4711\n"


def test_symbolic_link_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "pid").symlink_to(tmp_path / "bait")
    with pytest.raises(OSError, match="symbolic"):
        PidFile(tmp_path / "pid").__enter__()
    assert not (tmp_path / "bait").exists()


@pytest.mark.parametrize("text", ["", "1\n", "-5\n", "0\n", "x\n"])
def test_locked_but_naming_nobody_is_nobody(tmp_path: Path, text: str) -> None:
    path = tmp_path / "pid"
    with PidFile(path):
        path.write_text(text)
        assert locking_pid(path) is None


def test_not_locked_or_not_there_is_nobody(tmp_path: Path) -> None:
    path = tmp_path / "pid"
    assert locking_pid(path) is None
    path.write_text("4711\n")
    assert locking_pid(path) is None
    assert path.read_text() == "4711\n"


def test_disk_is_full_file_is_named_and_not_left_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "pid"
    written: list[int] = []

    def refuse(descriptor: int, _data: bytes) -> int:
        written.append(descriptor)
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", refuse)
        with pytest.raises(OSError, match=f"cannot write {path}: No space left on device") as caught, PidFile(path):
            pytest.fail("entered")
    assert caught.value.errno == errno.ENOSPC
    assert not path.exists()
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(written[0])
