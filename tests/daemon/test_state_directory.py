from __future__ import annotations

import errno
import logging
import os
import socket
import stat
import tempfile
import threading
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from usbmux.daemon import state_directory
from usbmux.daemon.state_directory import MAX_LENGTH, StateDirectory, backup_name

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

NAME = "record.plist"
BACKUP = ".record.plist.bak"
LEFTOVER = ".record.plist.0123456789abcdef.new"
NOBODY_IN_PARTICULAR = 60001
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="plays another user")


@pytest.fixture
def state(tmp_path: Path) -> StateDirectory:
    path = tmp_path / "state"
    path.mkdir(mode=0o700)
    return StateDirectory(path)


@pytest.fixture
def public_path() -> Iterator[Path]:
    """A folder that other users can reach, unlike that of pytest."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder)
        path.chmod(0o755)
        yield path


@contextmanager
def another_user() -> Iterator[None]:
    os.seteuid(NOBODY_IN_PARTICULAR)
    try:
        yield
    finally:
        os.seteuid(0)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.lstat().st_mode)


def names(state: StateDirectory) -> set[str]:
    return {path.name for path in state.path.iterdir()}


def test_no_directory_replace_makes_it_and_nobody_else_can_read(tmp_path: Path) -> None:
    state = StateDirectory(tmp_path / "var" / "state")
    before = os.umask(0)
    try:
        state.replace(NAME, b"old")
        state.replace(NAME, b"new")
    finally:
        os.umask(before)
    assert mode(state.path) == 0o700
    assert {path.name: mode(path) for path in state.path.iterdir()} == {NAME: 0o600, BACKUP: 0o600}


@pytest.mark.parametrize("has_directory", [True, False])
def test_no_file_read_and_remove_say_so(state: StateDirectory, has_directory: bool) -> None:
    if not has_directory:
        state.path.rmdir()
    for attempt in (state.read, state.remove):
        with pytest.raises(FileNotFoundError):
            attempt(NAME)


def test_file_there_replace_keeps_the_one_before_as_backup(state: StateDirectory) -> None:
    for data in (b"first", b"second", b"third"):
        state.replace(NAME, data)
    assert state.read(NAME) == b"third"
    assert (state.path / BACKUP).read_bytes() == b"second"
    assert names(state) == {NAME, BACKUP}


def test_file_there_replace_by_the_same_leaves_the_backup(state: StateDirectory) -> None:
    for data in (b"first", b"second", b"second"):
        state.replace(NAME, data)
    assert (state.path / BACKUP).read_bytes() == b"first"


def test_file_is_open_replace_does_not_rewrite_it(state: StateDirectory) -> None:
    state.replace(NAME, b"the old one")
    with (state.path / NAME).open("rb") as old:
        state.replace(NAME, b"new")
        assert old.read() == b"the old one"


def test_file_and_backup_there_remove_removes_both(state: StateDirectory) -> None:
    state.replace(NAME, b"first")
    state.replace(NAME, b"second")
    state.remove(NAME)
    assert names(state) == set()


def test_longest_file_is_written_and_read_a_longer_one_is_refused(state: StateDirectory) -> None:
    longest = bytes(MAX_LENGTH)
    state.replace(NAME, longest)
    assert state.read(NAME) == longest
    with pytest.raises(OSError, match="the most is") as caught:
        state.replace(NAME, longest + b"x")
    assert caught.value.errno == errno.EFBIG
    assert state.read(NAME) == longest
    with (state.path / NAME).open("ab") as file:
        file.write(b"x")
    for attempt in (state.read, lambda name: state.replace(name, b"x")):
        with pytest.raises(OSError, match="has more than") as caught:
            attempt(NAME)
        assert caught.value.errno == errno.EFBIG


def test_replace_is_on_the_disk_before_it_shows(state: StateDirectory, monkeypatch: pytest.MonkeyPatch) -> None:
    state.replace(NAME, b"data")
    steps: list[str] = []
    fsync, replace = os.fsync, os.replace

    def recorded_fsync(descriptor: int) -> None:
        fsync(descriptor)
        path = Path(os.readlink(f"/proc/self/fd/{descriptor}"))
        steps.append(f"sync {path.stat().st_size if path.is_file() else path.name}")

    def recorded_replace(source: str, target: str, **directories: int) -> None:
        replace(source, target, **directories)
        steps.append(target)

    monkeypatch.setattr(os, "fsync", recorded_fsync)
    monkeypatch.setattr(os, "replace", recorded_replace)
    state.replace(NAME, b"more")
    assert steps == ["sync 4", BACKUP, "sync 4", NAME, "sync state"]
    steps.clear()
    state.remove(NAME)
    StateDirectory(state.path / "made").replace(NAME, b"first")
    assert steps == ["sync state", "sync state", "sync 5", NAME, "sync made"]


@pytest.mark.parametrize("failing", [1, 2, 3])
def test_disk_fails_at_any_step_file_is_whole_and_no_other_is_left(
    state: StateDirectory, monkeypatch: pytest.MonkeyPatch, failing: int
) -> None:
    state.replace(NAME, b"old")
    calls = 0

    def fail(_descriptor: int) -> None:
        nonlocal calls
        calls += 1
        if calls == failing:
            raise OSError(errno.ENOSPC, "no space left")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OSError, match="no space left"):
        state.replace(NAME, b"new")
    assert state.read(NAME) == (b"new" if failing == 3 else b"old")
    assert names(state) <= {NAME, BACKUP}


def test_file_is_replaced_again_and_again_reader_sees_whole_ones_only(state: StateDirectory) -> None:
    versions = [bytes([number]) * 20_000 for number in range(40)]
    state.replace(NAME, versions[0])

    def replace_all() -> None:
        for version in versions:
            state.replace(NAME, version)

    writer = threading.Thread(target=replace_all)
    writer.start()
    seen: set[bytes] = set()
    try:
        while writer.is_alive():
            seen.add(state.read(NAME))
    finally:
        writer.join()
    assert seen <= set(versions)


def symbolic_link(place: Path, outside: Path) -> None:
    place.symlink_to(outside)


def dangling_link(place: Path, outside: Path) -> None:
    place.symlink_to(outside.with_name("missing"))


def hard_link(place: Path, outside: Path) -> None:
    place.hardlink_to(outside)


def pipe(place: Path, _outside: Path) -> None:
    os.mkfifo(place)


def folder(place: Path, _outside: Path) -> None:
    place.mkdir()


def listening_socket(place: Path, _outside: Path) -> None:
    with socket.socket(socket.AF_UNIX) as sock:
        sock.bind(str(place))


def device(place: Path, _outside: Path) -> None:
    os.mknod(place, stat.S_IFCHR | 0o600, os.makedev(1, 3))


@pytest.mark.parametrize(
    "plant",
    [
        symbolic_link,
        dangling_link,
        hard_link,
        pipe,
        folder,
        listening_socket,
        pytest.param(device, marks=needs_root),
    ],
)
def test_something_else_in_place_of_the_file_is_refused_and_stays(
    state: StateDirectory, tmp_path: Path, plant: Callable[[Path, Path], None]
) -> None:
    outside = tmp_path / "outside"
    outside.write_bytes(b"precious")
    place = state.path / NAME
    plant(place, outside)
    before = place.lstat()
    for attempt in (state.read, state.remove, lambda name: state.replace(name, b"x")):
        with pytest.raises(OSError) as caught:  # noqa: PT011
            attempt(NAME)
        assert caught.value.errno in (errno.EPERM, errno.ELOOP, errno.ENXIO)
    assert outside.read_bytes() == b"precious"
    after = place.lstat()
    assert (after.st_ino, after.st_mode, after.st_nlink) == (before.st_ino, before.st_mode, before.st_nlink)
    assert names(state) == {NAME}


def test_link_in_place_of_the_backup_is_replaced_and_not_followed(state: StateDirectory, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.write_bytes(b"precious")
    (state.path / BACKUP).symlink_to(outside)
    state.replace(NAME, b"old")
    state.replace(NAME, b"new")
    assert outside.read_bytes() == b"precious"
    assert not (state.path / BACKUP).is_symlink()
    assert (state.path / BACKUP).read_bytes() == b"old"


def test_directory_behind_a_link_is_used(state: StateDirectory, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(state.path)
    StateDirectory(tmp_path / "link").replace(NAME, b"data")
    assert state.read(NAME) == b"data"


@pytest.mark.parametrize("others", [0o777, 0o1777, 0o702])
def test_world_writable_directory_everything_is_refused(state: StateDirectory, others: int) -> None:
    state.replace(NAME, b"data")
    state.path.chmod(others)
    attempts: list[Callable[[], object]] = [
        lambda: state.prepare(lambda _name: True),
        lambda: state.read(NAME),
        lambda: state.replace(NAME, b"new"),
        lambda: state.remove(NAME),
    ]
    for attempt in attempts:
        with pytest.raises(OSError, match="refuses to run with a world-writable state directory") as caught:
            attempt()
        assert caught.value.errno == errno.EPERM
    assert mode(state.path) == others
    assert (state.path / NAME).read_bytes() == b"data"


def test_file_in_place_of_the_directory_prepare_refuses_it(tmp_path: Path) -> None:
    (tmp_path / "state").write_bytes(b"")
    with pytest.raises(NotADirectoryError):
        StateDirectory(tmp_path / "state").prepare(lambda _name: True)


def test_no_directory_prepare_makes_none(tmp_path: Path) -> None:
    StateDirectory(tmp_path / "state").prepare(lambda _name: True)
    assert not (tmp_path / "state").exists()


def test_interrupted_writes_prepare_removes_what_they_left_and_nothing_else(state: StateDirectory) -> None:
    kept = {NAME, BACKUP, ".new", ".record.plist.new", "record.plist.0123456789abcdef.new", ".profile"}
    for name in {*kept, LEFTOVER, ".other.plist.fedcba9876543210.new"}:
        (state.path / name).write_bytes(b"")
    state.prepare(lambda _name: True)
    assert names(state) == kept


@pytest.mark.parametrize("others", [0o755, 0o770, 0o711])
def test_own_directory_open_to_others_prepare_locks_them_out(state: StateDirectory, others: int) -> None:
    (state.path / NAME).write_bytes(b"data")
    (state.path / BACKUP).write_bytes(b"data")
    state.path.chmod(others)
    state.prepare(NAME.__eq__)
    assert mode(state.path) == 0o700


def test_own_directory_of_other_things_too_prepare_leaves_its_mode_and_warns(
    state: StateDirectory, caplog: pytest.LogCaptureFixture
) -> None:
    (state.path / NAME).write_bytes(b"data")
    (state.path / "bin").mkdir()
    state.path.chmod(0o755)
    state.prepare(NAME.__eq__)
    assert mode(state.path) == 0o755
    assert "has mode 755" in caplog.text


@needs_root
def test_directory_of_another_user_is_read_and_its_mode_is_left(
    public_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    state = StateDirectory(public_path / "state")
    state.replace(NAME, b"data")
    (state.path / LEFTOVER).write_bytes(b"")
    for path in (state.path, state.path / NAME):
        path.chmod(0o755)
    caplog.set_level(logging.WARNING)
    with another_user():
        state.prepare(NAME.__eq__)
        assert state.read(NAME) == b"data"
        with pytest.raises(PermissionError):
            state.replace(NAME, b"new")
    assert mode(state.path) == 0o755
    assert names(state) == {NAME, LEFTOVER}
    assert "has mode 755" in caplog.text
    assert "an interrupted save" in caplog.text


@needs_root
@pytest.mark.parametrize("umask", [0, 0o077])
def test_no_directory_make_for_a_user_makes_it_for_that_user_alone(public_path: Path, umask: int) -> None:
    state = StateDirectory(public_path / "var" / "state")
    before = os.umask(umask)
    try:
        state.make_for(NOBODY_IN_PARTICULAR, NOBODY_IN_PARTICULAR)
    finally:
        os.umask(before)
    facts = state.path.stat()
    assert (facts.st_uid, facts.st_gid, mode(state.path)) == (NOBODY_IN_PARTICULAR, NOBODY_IN_PARTICULAR, 0o700)
    assert (state.path.parent.stat().st_uid, mode(state.path.parent)) == (0, 0o755)
    with another_user():
        state.replace(NAME, b"data")


@pytest.mark.parametrize("there", [0o700, 0o755, None], ids=["private", "public", "dangling link"])
def test_something_is_there_make_for_a_user_leaves_it(tmp_path: Path, there: int | None) -> None:
    state = StateDirectory(tmp_path / "state")
    if there is None:
        state.path.symlink_to("missing")
    else:
        state.path.mkdir()
        state.path.chmod(there)
    before = state.path.lstat()
    state.make_for(NOBODY_IN_PARTICULAR, NOBODY_IN_PARTICULAR)
    after = state.path.lstat()
    assert (after.st_uid, after.st_mode) == (before.st_uid, before.st_mode)


@needs_root
def test_directory_that_may_not_be_read_prepare_warns_and_goes_on(
    public_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    state = StateDirectory(public_path / "state")
    state.replace(NAME, b"data")
    with another_user():
        state.prepare(NAME.__eq__)
        with pytest.raises(PermissionError):
            state.read(NAME)
    assert "cannot be used" in caplog.text


def test_platform_without_directory_descriptors_files_work_by_path(
    state: StateDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(state_directory, "_BY_DESCRIPTOR", False)
    (state.path / LEFTOVER).write_bytes(b"")
    state.prepare(lambda _name: True)
    state.replace(NAME, b"old")
    state.replace(NAME, b"new")
    assert state.read(NAME) == b"new"
    assert names(state) == {NAME, backup_name(NAME)}
    state.remove(NAME)
    assert names(state) == set()
