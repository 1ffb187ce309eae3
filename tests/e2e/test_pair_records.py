"""Pair records of the real daemon: full disks, sudden ends and other users."""

from __future__ import annotations

import errno
import os
import plistlib
import pwd
import random
import resource
import shutil
import subprocess
import tempfile
import threading
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from signal import SIGKILL
from typing import TYPE_CHECKING, Final

import pytest

from tests.e2e.usbmuxd import COMMAND, UDIDS
from tests.support.daemon import clean_environment
from tests.support.process import ChildProcess
from usbmux import Client
from usbmux.daemon.pairing import SYSTEM_FILE
from usbmux.errors import RequestError, UsbmuxError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

UDID: Final = UDIDS[2]
BUID: Final = "30142955-444094379208051516"
ANSWER_WITHIN_S: Final = 10.0
USERS: Final = (60001, 60002)
"""Two that nobody is."""
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="plays other users, or mounts")


def record(udid: str, version: int, length: int = 9000) -> bytes:
    """The record of that version; no part of it looks like one of another version."""
    noise = random.Random(f"{udid} {version}").randbytes(length)
    return plistlib.dumps({"HostID": udid, "Version": version, "Noise": noise}, fmt=plistlib.FMT_BINARY)


@contextmanager
def serving(
    folder: Path,
    *,
    prefix: Sequence[str] = (),
    options: Sequence[str] = (),
    environment: Mapping[str, str] | None = None,
) -> Iterator[tuple[ChildProcess, Client]]:
    """A daemon with a simulated phone, whose records are in `folder`/lockdown."""
    path = folder / "usbmuxd"
    command = [*prefix, *COMMAND, "-S", str(path), "-C", str(folder / "lockdown"), "--simulate", *options]
    with ChildProcess(command, environment=environment or clean_environment()) as process:
        process.wait_for_line("^usbmuxd ready")
        yield process, Client(str(path), timeout_s=60)


@pytest.fixture
def public_folder() -> Iterator[Path]:
    """A folder that other users can reach, unlike that of pytest."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        yield folder


def open_to_all(folder: Path) -> Path:
    """Records as the C daemon leaves them."""
    directory = folder / "lockdown"
    directory.mkdir()
    (directory / SYSTEM_FILE).write_bytes(plistlib.dumps({"SystemBUID": BUID}))
    (directory / f"{UDID}.plist").write_bytes(record(UDID, 1))
    for path in (directory, *directory.iterdir()):
        path.chmod(0o755)
    return directory


def test_directory_of_the_c_daemon_is_read_as_it_is_and_closed_to_others(tmp_path: Path) -> None:
    directory = open_to_all(tmp_path)
    with serving(tmp_path) as (_process, client):
        assert client.buid() == BUID
        assert client.read_pair_record(UDID) == record(UDID, 1)
        assert directory.stat().st_mode & 0o777 == 0o700


def test_world_writable_directory_is_refused_with_one_line(tmp_path: Path) -> None:
    directory = tmp_path / "lockdown"
    directory.mkdir()
    directory.chmod(0o777)
    command = [*COMMAND, "-S", str(tmp_path / "usbmuxd"), "-C", str(directory), "--simulate"]
    with ChildProcess(command, environment=clean_environment()) as process:
        assert process.wait(30) == 1
    assert process.output == f"usbmuxd: refuses to run with a world-writable state directory: {directory}\n"
    assert not (tmp_path / "usbmuxd").exists()


def test_saving_file_may_grow_no_more_old_record_stays_and_daemon_serves_on(tmp_path: Path) -> None:
    with serving(tmp_path) as (process, client):
        client.save_pair_record(UDID, record(UDID, 1, 2000))
        soft, hard = resource.prlimit(process.pid, resource.RLIMIT_FSIZE)
        resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (4096, hard))
        with pytest.raises(RequestError) as caught:
            client.save_pair_record(UDID, record(UDID, 2))
        assert caught.value.result == errno.EFBIG
        assert client.read_pair_record(UDID) == record(UDID, 1, 2000)
        resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (soft, hard))
        assert_only_records(tmp_path / "lockdown", [UDID])
        client.save_pair_record(UDID, record(UDID, 2))
        assert client.read_pair_record(UDID) == record(UDID, 2)


@needs_root
@pytest.mark.skipif(shutil.which("unshare") is None, reason="the full disk is in a mount namespace")
def test_saving_disk_is_full_old_record_stays_and_daemon_serves_on(tmp_path: Path) -> None:
    directory = tmp_path / "lockdown"
    directory.mkdir()
    mount = 'mount -t tmpfs -o size=64k,mode=700 none "$0" && exec "$@"'
    with serving(tmp_path, prefix=["unshare", "--mount", "/bin/sh", "-c", mount, str(directory)]) as (process, client):
        client.save_pair_record(UDID, record(UDID, 1))
        with pytest.raises(RequestError) as caught:
            client.save_pair_record(UDID, record(UDID, 2, 45_000))
        assert caught.value.result == errno.ENOSPC
        assert client.read_pair_record(UDID) == record(UDID, 1)
        assert_only_records(Path(f"/proc/{process.pid}/root/{directory}"), [UDID])
        client.save_pair_record(UDID, record(UDID, 2))
        assert client.read_pair_record(UDID) == record(UDID, 2)
        assert len(client.devices()) == 1


@needs_root
def test_saved_by_a_daemon_with_any_umask_nobody_but_its_user_reads_anything(public_folder: Path) -> None:
    directory = public_folder / "lockdown"
    with serving(public_folder, prefix=["/bin/sh", "-c", 'umask 0; exec "$@"', "sh"]) as (_process, client):
        client.buid()
        for version in (1, 2):
            client.save_pair_record(UDID, record(UDID, version))
    paths = [*directory.iterdir()]
    assert len(paths) == 3  # the record, its backup and the system's file
    for uid in USERS:
        assert not can_read(uid, directory)
        assert not any(can_read(uid, path) for path in paths)
    directory.chmod(0o755)  # and if somebody opened the directory again
    for uid in USERS:
        assert can_read(uid, directory)
        assert not any(can_read(uid, path) for path in paths)
    for path in paths:
        os.chown(path, USERS[0], USERS[0])
    assert all(can_read(USERS[0], path) for path in paths)
    assert not any(can_read(USERS[1], path) for path in paths)


@needs_root
def test_user_is_given_directory_of_root_is_used_as_it_is(public_folder: Path) -> None:
    directory = open_to_all(public_folder)
    with serving(public_folder, options=["--user", "nobody"]) as (process, client):
        assert client.buid() == BUID
        assert client.read_pair_record(UDID) == record(UDID, 1)
        with pytest.raises(RequestError) as caught:
            client.save_pair_record(UDID, record(UDID, 2))
        assert caught.value.result == errno.EACCES
        assert process.stop() == 0
    assert (directory.stat().st_uid, directory.stat().st_mode & 0o777) == (0, 0o755)
    assert f"{directory} has mode 755: others may read what is in it" in process.output


@needs_root
def test_user_is_given_directory_of_that_user_is_closed_to_others(public_folder: Path) -> None:
    nobody = pwd.getpwnam("nobody")
    directory = public_folder / "lockdown"
    directory.mkdir()
    leftover = directory / f".{UDID}.plist.0123456789abcdef.new"
    for file in (directory / f"{UDID}.plist", leftover):
        file.write_bytes(record(UDID, 1))
    for path in (directory, *directory.iterdir()):
        path.chmod(0o755)
        os.chown(path, nobody.pw_uid, nobody.pw_gid)
    with serving(public_folder, options=["--user", "nobody"]) as (process, client):
        assert directory.stat().st_mode & 0o777 == 0o700
        assert not leftover.exists()
        client.save_pair_record(UDID, record(UDID, 2))
        assert client.read_pair_record(UDID) == record(UDID, 2)
        assert process.stop() == 0
    assert "others may read" not in process.output


@needs_root
@pytest.mark.parametrize("umask", ["0", "077"])
def test_user_is_given_and_no_directory_is_there_that_user_gets_one(public_folder: Path, umask: str) -> None:
    nobody = pwd.getpwnam("nobody")
    directory = public_folder / "lockdown"
    prefix = ["/bin/sh", "-c", f'umask {umask}; exec "$@"', "sh"]
    with serving(public_folder, prefix=prefix, options=["--user", "nobody"]) as (process, client):
        assert client.buid()
        client.save_pair_record(UDID, record(UDID, 1))
        assert client.read_pair_record(UDID) == record(UDID, 1)
        assert process.stop() == 0
    facts = directory.stat()
    assert (facts.st_uid, facts.st_gid, facts.st_mode & 0o777) == (nobody.pw_uid, nobody.pw_gid, 0o700)
    assert {path.stat().st_uid for path in directory.iterdir()} == {nobody.pw_uid}
    assert "pair records" not in process.output


@needs_root
def test_user_is_given_who_may_not_read_the_directory_the_log_says_so(public_folder: Path) -> None:
    (public_folder / "lockdown").mkdir(mode=0o700)
    with serving(public_folder, options=["--user", "nobody"]) as (process, client):
        with pytest.raises(RequestError) as caught:
            client.buid()
        assert caught.value.result == errno.EACCES
        assert process.stop() == 0
    assert "pair records cannot be used: [Errno 13]" in process.output


def can_read(uid: int, path: Path) -> bool:
    """Whether another user lists that directory or reads that file."""
    command = ["/bin/ls" if path.is_dir() else "/bin/cat", str(path)]
    done = subprocess.run(
        command,
        user=uid,
        group=uid,
        extra_groups=[],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=30,
        check=False,
    )
    return done.returncode == 0


def assert_only_records(directory: Path, udids: Sequence[str]) -> None:
    """No file is there that no request has asked for."""
    known = {SYSTEM_FILE, *(f"{udid}.plist" for udid in udids), *(f".{udid}.plist.bak" for udid in udids)}
    assert {path.name for path in directory.iterdir()} <= known


class Saver:
    """Saves one version of a record after the other until the daemon is gone."""

    def __init__(self, folder: Path, udid: str) -> None:
        self.udid: Final = udid
        self.acknowledged = -1
        """The last version of which the daemon has said that it is saved."""
        self._path: Final = folder / "lockdown" / f"{udid}.plist"
        self._backup: Final = folder / "lockdown" / f".{udid}.plist.bak"

    def run(self, client: Client, saved: threading.Semaphore) -> None:
        with suppress(UsbmuxError):
            while True:
                client.save_pair_record(self.udid, record(self.udid, self.acknowledged + 1))
                self.acknowledged += 1
                saved.release()

    def check(self, client: Client) -> None:
        """The record is the last one that was acknowledged or the one behind it, and so is the file; both are whole."""
        if self.acknowledged == -1 and not self._path.exists():
            return
        data = client.read_pair_record(self.udid)
        version = self._version(data)
        assert version in (self.acknowledged, self.acknowledged + 1)
        assert self._path.read_bytes() == data
        if self._backup.exists():
            assert self._version(self._backup.read_bytes()) in (version - 1, version)
        else:
            assert version == 0
        self.acknowledged = version

    def _version(self, data: bytes) -> int:
        version = plistlib.loads(data)["Version"]
        assert isinstance(version, int)
        assert data == record(self.udid, version)
        return version


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_killed_100_times_while_saving_records_are_whole_and_the_next_daemon_answers(tmp_path: Path) -> None:
    dice = random.Random(5)
    savers = [Saver(tmp_path, f"{number:08X}-00000000000000AB") for number in range(4)]
    udids = [saver.udid for saver in savers]
    buids: set[str] = set()
    answered_s: list[float] = []
    interrupted = 0
    # As of an installed daemon, whose modules were compiled when it was installed.
    environment = clean_environment(PYTHONPYCACHEPREFIX=str(tmp_path / "compiled"), PYTHONDONTWRITEBYTECODE="")
    for _ in range(100):
        before = time.monotonic()
        with serving(tmp_path, environment=environment) as (process, client):
            buids.add(client.buid())
            answered_s.append(time.monotonic() - before)
            assert_only_records(tmp_path / "lockdown", udids)
            for saver in savers:
                saver.check(client)
            saved = threading.Semaphore(0)
            threads = [threading.Thread(target=saver.run, args=(client, saved)) for saver in savers]
            for thread in threads:
                thread.start()
            enough = [saved.acquire(timeout=60) for _ in range(dice.randrange(1, 12))]
            os.kill(process.pid, SIGKILL)
            for thread in threads:
                thread.join()
            assert all(enough)
            assert process.wait() == -SIGKILL
        interrupted += any(path.suffix == ".new" for path in (tmp_path / "lockdown").iterdir())
    answered_s.sort()
    saves = sum(saver.acknowledged + 1 for saver in savers)
    print(
        f"100 kills, {saves} records saved, writes interrupted by {interrupted} kills; "
        f"answered after {answered_s[50]:.2f} s (median), {answered_s[-1]:.2f} s (longest)"
    )
    assert len(buids) == 1
    assert interrupted
    assert answered_s[-1] < ANSWER_WITHIN_S
