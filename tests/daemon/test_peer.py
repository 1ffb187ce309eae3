from __future__ import annotations

import os
import socket
import subprocess
import sys
import tempfile

import pytest

from usbmux.daemon.peer import Peer, peer_of

CONNECT = """
import os, socket, sys
os.setgroups([7001, 7002]); os.setgid(7000); os.setuid(7777)
sock = socket.socket(socket.AF_UNIX)
sock.connect(sys.argv[1])
sys.stdin.read()
"""

linux = pytest.mark.skipif(sys.platform != "linux", reason="credentials are read as Linux gives them")


@linux
def test_unix_socket_peer_is_known() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        peer = peer_of(ours)
    assert (peer.uid, peer.gid, peer.pid) == (os.getuid(), os.getgid(), os.getpid())
    assert peer.groups == frozenset({os.getgid(), *os.getgroups()})
    assert peer.program
    assert str(peer) == f"uid={os.getuid()} gid={os.getgid()} pid={os.getpid()} program={peer.program}"


@linux
@pytest.mark.skipif(os.name != "posix" or os.getuid() != 0, reason="needs root to become somebody else")
def test_unix_socket_peer_is_who_connected() -> None:
    path = f"{tempfile.gettempdir()}/usbmux-peer-{os.getpid()}"
    listener = socket.socket(socket.AF_UNIX)
    try:
        listener.bind(path)
        os.chmod(path, 0o666)
        listener.listen()
        with subprocess.Popen([sys.executable, "-c", CONNECT, path], stdin=subprocess.PIPE) as process:
            with listener.accept()[0] as sock:
                peer = peer_of(sock)
            assert process.stdin is not None
            process.stdin.close()
        assert (peer.uid, peer.gid, peer.pid) == (7777, 7000, process.pid)
        assert peer.groups == {7000, 7001, 7002}
    finally:
        listener.close()
        os.unlink(path)


def test_tcp_socket_peer_is_unknown() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener, socket.create_connection(listener.getsockname()) as client:
        sock, _ = listener.accept()
        with sock:
            assert peer_of(sock) == Peer()
    assert client.fileno() == -1
    assert str(Peer()) == "uid=unknown"


@linux
def test_closed_socket_peer_is_unknown() -> None:
    ours, theirs = socket.socketpair()
    theirs.close()
    ours.close()
    assert peer_of(ours) == Peer()


@linux
def test_process_is_gone_program_is_not_known() -> None:
    assert Peer(1, 1, frozenset({1}), 2**22 + 1).program == ""
    assert str(Peer(1, 2, frozenset(), None)) == "uid=1 gid=2"
