"""Who gets a path, if several want it at once."""

from __future__ import annotations

import errno
import fcntl
import os
import socket
import stat
import tempfile
import threading
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from usbmux import socket_file
from usbmux.socket_file import SocketFile, listen_unix

if TYPE_CHECKING:
    from collections.abc import Iterator

PATIENCE_S = 20
NOBODY_IN_PARTICULAR = 60001


class Starter:
    """Listens at a path in a thread of its own, as another program would."""

    def __init__(self, path: Path) -> None:
        self.moved = threading.Event()
        """It has been kept waiting, or is through."""
        self.refused: OSError | None = None
        self.listening: tuple[socket.socket, SocketFile] | None = None
        self._path = path
        self._thread = threading.Thread(target=self._run)

    def start(self) -> None:
        """Until it cannot go on."""
        self._thread.start()
        assert self.moved.wait(PATIENCE_S)

    def end(self) -> None:
        self._thread.join(PATIENCE_S)
        if self.listening is not None:
            self.listening[0].close()

    def _run(self) -> None:
        try:
            self.listening = listen_unix(str(self._path), 0o600, 1)
        except OSError as error:
            self.refused = error
        self.moved.set()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "mux"


def leave_socket_file(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as sock:
        sock.bind(str(path))


@contextmanager
def listening_at(path: Path) -> Iterator[SocketFile]:
    sock, file = listen_unix(str(path), 0o600, 1)
    with sock:
        yield file


def answers(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as client:
        return client.connect_ex(str(path)) == 0


@pytest.mark.parametrize("step", ["unlink", "chmod"])
def test_stale_socket_two_start_at_once_one_listens_and_the_other_is_refused(
    path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    """The other starts when the first has found the socket stale, or has bound its own and does not listen yet."""
    leave_socket_file(path)
    other = Starter(path)
    carry_out, flock = getattr(os, step), fcntl.flock

    def started_before(*arguments: object) -> None:
        monkeypatch.setattr(os, step, carry_out)
        other.start()
        carry_out(*arguments)

    def told_flock(descriptor: int, operation: int) -> None:
        try:
            flock(descriptor, operation)
        except BlockingIOError:
            other.moved.set()
            raise

    monkeypatch.setattr(os, step, started_before)
    monkeypatch.setattr(fcntl, "flock", told_flock)
    monkeypatch.setattr(socket_file, "LOCK_WITHIN_S", PATIENCE_S)
    with listening_at(path) as file:
        other.end()
        assert other.listening is None
        assert other.refused is not None
        assert other.refused.errno == errno.EADDRINUSE
        assert path.stat().st_ino == file.inode
        assert answers(path)


def test_listening_nothing_but_the_socket_is_left_and_then_nothing(path: Path) -> None:
    with listening_at(path) as file:
        assert [entry.name for entry in path.parent.iterdir()] == ["mux"]
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert answers(path)
        file.remove()
        assert list(path.parent.iterdir()) == []
    descriptor = os.open(path.parent, os.O_RDONLY)
    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    os.close(descriptor)


def test_somebody_holds_the_directory_it_is_not_waited_for_long(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket_file, "LOCK_WITHIN_S", 0.02)
    leave_socket_file(path)
    held = os.open(path.parent, os.O_RDONLY)
    fcntl.flock(held, fcntl.LOCK_EX)
    with listening_at(path):
        assert answers(path)
    os.close(held)


@pytest.mark.skipif(os.geteuid() != 0, reason="plays another user")
def test_directory_may_be_written_but_not_read_it_is_listened_there() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o733)
        os.seteuid(NOBODY_IN_PARTICULAR)
        try:
            leave_socket_file(folder / "mux")
            with listening_at(folder / "mux"):
                assert answers(folder / "mux")
        finally:
            os.seteuid(0)
