"""Other users of the computer at the sockets of a real daemon: who connects, who sees what, who reads records."""

from __future__ import annotations

import errno
import os
import plistlib
import socket
import struct
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, cast

import pytest

from tests.daemon.harness import Properties, connect_request, encode
from tests.e2e.usbmuxd import COMMAND, UDIDS, write_phones
from tests.support.daemon import clean_environment
from tests.support.process import ChildProcess
from usbmux.admin.message import SUFFIX

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="plays other users")

ONE, OTHER = UDIDS[1], UDIDS[2]
GROUP: Final = 60009
RECORD: Final = plistlib.dumps({"HostID": "ours"})
OK, NO_PHONE, REFUSED = 0, 2, 3


@dataclass(frozen=True)
class User:
    """Somebody; nobody of that number needs to be known to the system."""

    uid: int
    groups: tuple[int, ...] = ()

    @contextmanager
    def acts(self) -> Iterator[None]:
        """The kernel takes what this process does for done by the user: also who connects, as the daemon is told."""
        groups = os.getgroups()
        os.setgroups(self.groups)
        os.setegid(self.uid)
        os.seteuid(self.uid)
        try:
            yield
        finally:
            os.seteuid(0)
            os.setegid(0)
            os.setgroups(groups)

    def dial(self, path: Path) -> socket.socket:
        sock = socket.socket(socket.AF_UNIX)
        sock.settimeout(20)
        try:
            with self.acts():
                sock.connect(str(path))
        except BaseException:
            sock.close()
            raise
        return sock

    def ask(self, path: Path, request: bytes) -> Properties:
        with self.dial(path) as sock, sock.makefile("rb") as answer:
            sock.sendall(request)
            (length,) = struct.unpack("<I12x", answer.read(16))
            return cast("Properties", plistlib.loads(answer.read(length - 16)))

    def result(self, path: Path, request: bytes) -> object:
        return self.ask(path, request)["Number"]

    def phones(self, path: Path) -> dict[str, int]:
        """The device ids of the phones that the user sees, by UDID."""
        reply = self.ask(path, encode({"MessageType": "ListDevices"}))
        found = cast("list[dict[str, Properties]]", reply["DeviceList"])
        return {str(entry["Properties"]["SerialNumber"]): cast("int", entry["DeviceID"]) for entry in found}


ROOT, ANN, BEN, EVE = User(0), User(60001), User(60002), User(60003)


def about_record(action: str, udid: str) -> bytes:
    return encode({"MessageType": f"{action}PairRecord", "PairRecordID": udid, "PairRecordData": RECORD})


@pytest.fixture
def folder() -> Iterator[Path]:
    """One that other users can reach, unlike that of pytest."""
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        yield Path(name)


@contextmanager
def serving(folder: Path, *options: str) -> Iterator[tuple[Path, ChildProcess]]:
    """A daemon with two phones, whose log has what was asked."""
    path = folder / "usbmuxd"
    where = ["-S", str(path), "-C", str(folder / "records"), "--config", "NONE"]
    command = [*COMMAND, "-v", *where, "--simulate", str(write_phones(folder)), *options]
    with ChildProcess(command, environment=clean_environment()) as process:
        process.wait_for_line("^usbmuxd ready")
        yield path, process
        assert process.stop() == 0


def test_nothing_is_said_the_group_connects_and_strangers_do_not(folder: Path) -> None:
    with serving(folder, "--socket-group", str(GROUP)) as (path, _process):
        member = User(ANN.uid, groups=(GROUP,))
        assert set(member.phones(path)) == set(ROOT.phones(path)) == {ONE, OTHER}
        with pytest.raises(PermissionError):
            EVE.dial(path)


@pytest.mark.parametrize("user", [User(ANN.uid, groups=(GROUP,)), EVE], ids=["member", "stranger"])
def test_everybody_may_connect_nobody_else_looks_inside_or_reads_files(folder: Path, user: User) -> None:
    with serving(folder, "--socket-group", str(GROUP), "--socket-mode", "0666") as (path, _process):
        assert set(user.phones(path)) == {ONE, OTHER}
        assert ROOT.result(path, about_record("Save", ONE)) == OK
        with pytest.raises(PermissionError):
            user.dial(Path(f"{path}{SUFFIX}"))
        with user.acts(), pytest.raises(PermissionError):
            (folder / "records" / f"{ONE}.plist").read_bytes()


def test_rules_each_user_sees_reaches_and_reads_what_they_say_and_the_log_tells_who_asked(folder: Path) -> None:
    rules = (
        f"--rule=users={ANN.uid},udids={ONE},ports=7,records=none",
        f"--rule=groups={GROUP},records=read",
        "--rule=users=0",
    )
    reader = User(BEN.uid, groups=(GROUP,))
    with serving(folder, "--socket-mode", "0666", *rules) as (path, process):
        assert ROOT.result(path, about_record("Save", ONE)) == OK
        ids = ROOT.phones(path)

        assert ANN.phones(path) == {ONE: ids[ONE]}
        assert ANN.result(path, connect_request(ids[ONE], 7)) == OK
        assert ANN.result(path, connect_request(ids[ONE], 9)) == REFUSED
        assert ANN.result(path, connect_request(ids[OTHER], 7)) == NO_PHONE
        for action in ("Read", "Save", "Delete"):
            assert ANN.result(path, about_record(action, ONE)) == errno.EACCES

        assert reader.phones(path) == ids
        assert reader.ask(path, about_record("Read", ONE)) == {"PairRecordData": RECORD}
        for action in ("Save", "Delete"):
            assert reader.result(path, about_record(action, ONE)) == errno.EACCES

        assert EVE.phones(path) == {}
        assert EVE.result(path, connect_request(ids[ONE], 7)) == NO_PHONE
        assert EVE.result(path, about_record("Read", ONE)) == errno.EACCES
        assert ROOT.ask(path, about_record("Read", ONE)) == {"PairRecordData": RECORD}
    who = f"(uid={ANN.uid} gid={ANN.uid} pid={os.getpid()} program="
    asked = [line for line in process.output.splitlines() if who in line]
    for what in ("ListDevices()", f"Connect(device_id={ids[ONE]}, port=7)", f"ReadPairRecord(record_id='{ONE}')"):
        assert any(line.endswith(what) for line in asked)
    for refused in ("may not connect to port 9", f"may not read the pair record of '{ONE}'"):
        assert any(" WARNING " in line and line.endswith(refused) for line in asked)


def test_socket_for_one_phone_is_all_that_its_user_has(folder: Path) -> None:
    one = folder / "one"
    listen = f"--listen=address={one},mode=0660,group={GROUP},udids={ONE},records=none"
    member = User(ANN.uid, groups=(GROUP,))
    with serving(folder, listen, "--socket-group", "0") as (path, _process):
        assert not Path(f"{one}{SUFFIX}").exists()
        assert set(member.phones(one)) == {ONE}
        assert member.result(one, about_record("Read", ONE)) == errno.EACCES
        for refused in (path, Path(f"{path}{SUFFIX}")):
            with pytest.raises(PermissionError):
                member.dial(refused)
        with pytest.raises(PermissionError):
            EVE.dial(one)
