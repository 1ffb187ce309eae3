"""Forwards that the daemon process keeps over its end, also a sudden one."""

from __future__ import annotations

import json
import os
import pwd
import signal
import socket
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.e2e.usbmuxd import COMMAND, UDIDS, start_usbmuxd, write_phones
from tests.support.daemon import clean_environment
from tests.support.process import ChildProcess
from tests.support.streams import receive_exactly
from usbmux.admin.forward import KeptForward
from usbmux.admin.message import ClientActivity
from usbmux.client.admin import AdminClient
from usbmux.control.address import UnixAddress
from usbmux.daemon.forward_file import FORWARDS_FILE

if TYPE_CHECKING:
    from usbmux.admin.forward import ForwardStatus
    from usbmux.admin.message import ClientStatus

is_root = os.name == "posix" and os.getuid() == 0


def admin_of(folder: Path) -> AdminClient:
    return AdminClient(UnixAddress(str(folder / "usbmuxd.admin")))


def ends(forwards: tuple[ForwardStatus, ...]) -> list[tuple[str, str | None]]:
    return [(forward.listen, forward.udid) for forward in forwards]


def connect_to(forward: ForwardStatus) -> socket.socket:
    host, _, port = forward.listen.rpartition(":")
    return socket.create_connection((host, int(port)), 20)


def is_joined(program: socket.socket) -> bool:
    """Whether the port of the phone, which echoes, is at the other end."""
    program.sendall(b"hello")
    return receive_exactly(program, 5) == b"hello"


def echoes(forward: ForwardStatus) -> bool:
    with connect_to(forward) as program:
        return is_joined(program)


def clients_of(admin: AdminClient, forward: ForwardStatus) -> list[ClientStatus]:
    """Those that came by it, in the order in which they came."""
    return [client for client in admin.status(detailed=True).clients if client.address == forward.listen]


def test_daemon_ends_and_starts_forwards_lead_to_the_same_phones(tmp_path: Path) -> None:
    with start_usbmuxd(tmp_path):
        wanted = [KeptForward("127.0.0.1:0", 7, udid) for udid in UDIDS.values()]
        added = admin_of(tmp_path).add_forwards(wanted)
        assert all(map(echoes, added))
    with start_usbmuxd(tmp_path):
        assert ends(admin_of(tmp_path).forwards()) == ends(added)
        assert all(map(echoes, added))
        assert ends(admin_of(tmp_path).remove_forwards([added[0].listen])) == ends(added[:1])
    with start_usbmuxd(tmp_path):
        assert ends(admin_of(tmp_path).forwards()) == ends(added[1:])


def test_daemon_is_killed_forwards_are_there_again(tmp_path: Path) -> None:
    options = ["-S", str(tmp_path / "usbmuxd"), "-C", str(tmp_path / "lockdown"), "--simulate"]
    command = [*COMMAND, *options, str(write_phones(tmp_path))]
    with ChildProcess(command, environment=clean_environment()) as process:
        process.wait_for_line("^usbmuxd ready")
        wanted = [KeptForward("127.0.0.1:0", 7, UDIDS[2]), KeptForward(f"unix:{tmp_path}/echo", 7, UDIDS[2])]
        tcp, unix = admin_of(tmp_path).add_forwards(wanted)
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    with ChildProcess(command, environment=clean_environment()) as process:
        process.wait_for_line("^usbmuxd ready")
        assert ends(admin_of(tmp_path).forwards()) == ends((tcp, unix))
        assert echoes(tcp)


def test_one_of_its_programs_is_kicked_the_other_and_the_forward_go_on(tmp_path: Path) -> None:
    with start_usbmuxd(tmp_path):
        admin = admin_of(tmp_path)
        (forward,) = admin.add_forwards([KeptForward("127.0.0.1:0", 7, UDIDS[2])])
        with connect_to(forward) as kicked, connect_to(forward) as other:
            assert is_joined(kicked)
            assert is_joined(other)
            first, second = clients_of(admin, forward)
            assert admin.kick(first.number)
            assert kicked.recv(1) == b""
            assert is_joined(other)
            assert [client.number for client in clients_of(admin, forward)] == [second.number]
            (kept,) = admin.forwards()
            assert kept == replace(forward, connections=1)
            assert not admin.kick(first.number)
        assert echoes(kept)
    with start_usbmuxd(tmp_path):
        assert echoes(kept)


def test_program_that_waits_for_its_phone_is_kicked_the_forward_goes_on(tmp_path: Path) -> None:
    with start_usbmuxd(tmp_path):
        admin = admin_of(tmp_path)
        (forward,) = admin.add_forwards([KeptForward("127.0.0.1:0", 7, "absent")])
        with connect_to(forward) as kicked, connect_to(forward):
            while len(waiting := clients_of(admin, forward)) < 2:
                pass
            assert [client.what for client in waiting] == [ClientActivity.CONNECTING] * 2
            assert admin.kick(waiting[0].number)
            assert kicked.recv(1) == b""
            assert [client.number for client in clients_of(admin, forward)] == [waiting[1].number]
            assert admin.forwards() == (replace(forward, connections=1),)


@pytest.mark.skipif(not is_root, reason="only root can become somebody else")
def test_user_is_given_forwards_get_no_rights_of_root() -> None:
    nobody = pwd.getpwnam("nobody")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        records = folder / "records"
        records.mkdir(mode=0o700)
        kept = [{"listen": f"unix:{folder}/refused", "port": 7}, {"listen": f"unix:{records}/allowed", "port": 7}]
        (records / FORWARDS_FILE).write_text(json.dumps({"forwards": kept}))
        for path in (records, records / FORWARDS_FILE):
            os.chown(path, nobody.pw_uid, nobody.pw_gid)
        command = [*COMMAND, "-S", str(folder / "usbmuxd"), "-C", str(records), "-U", "nobody", "--simulate"]
        with ChildProcess(command, environment=clean_environment()) as process:
            process.wait_for_line("^usbmuxd ready")
            refused, allowed = admin_of(folder).forwards()
            assert refused.error == f"cannot listen at {folder}/refused: Permission denied"
            assert allowed.is_listening
            assert (records / "allowed").stat().st_uid == nobody.pw_uid
