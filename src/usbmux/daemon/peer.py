"""Who is at the other end of a client's socket, as the kernel knows it."""

import socket
import struct
import sys
from contextlib import suppress
from functools import lru_cache
from typing import Final

from usbmux.values import frozen

_UCRED: Final = struct.Struct("=iII")
"""pid, uid, gid of Linux's SO_PEERCRED, see unix(7)."""
_SO_PEERGROUPS: Final = 59
"""socket(7), since Linux 4.13; the module socket does not name it."""
_MAX_GROUPS: Final = 256
"""As many as Python's getsockopt has room for."""
_LOCAL_PEERCRED: Final = 1
"""macOS and FreeBSD, see unix(4)."""
_IS_LINUX: Final = hasattr(socket, "SO_PEERCRED")
_XUCRED: Final = struct.Struct("=IIhxx16I")
"""Version, uid, number of groups, groups, of which the first is the effective one."""


@frozen
class Peer:
    """A client's process when it connected. What is not known is None: all of it on TCP."""

    uid: int | None = None
    gid: int | None = None
    groups: frozenset[int] = frozenset()
    """`gid` and the supplementary groups."""
    pid: int | None = None

    def __str__(self) -> str:
        if self.uid is None:
            return "uid=unknown"
        return " ".join(f"{name}={value}" for name, value in self.fields.items())

    @property
    def fields(self) -> dict[str, str | int]:
        """What is known, by name."""
        known = {"uid": self.uid, "gid": self.gid, "pid": self.pid, "program": self.program or None}
        return {name: value for name, value in known.items() if value is not None}

    @property
    def program(self) -> str:
        """Name of the executable while the process lives; for people only, because a process can choose it."""
        name = b""
        if self.pid is not None:
            with suppress(OSError), open(f"/proc/{self.pid}/comm", "rb") as file:
                name = file.read(64)
        text = name.decode("utf-8", "replace").strip()
        return "".join(character if character.isprintable() and character != " " else "?" for character in text)


UNKNOWN: Final = Peer()


def peer_of(sock: socket.socket) -> Peer:
    """The process that connected a Unix socket; all unknown for other sockets and where the platform does not tell."""
    if sys.platform == "win32" or sock.family != socket.AF_UNIX:
        return UNKNOWN
    return unix_peer_of(sock)


def unix_peer_of(sock: socket.socket) -> Peer:
    """As `peer_of`, for a socket that is known to be a Unix one."""
    try:
        if _IS_LINUX:
            credentials = sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _UCRED.size)
            return _linux_peer(credentials, _groups(sock))
        fields = _XUCRED.unpack(sock.getsockopt(0, _LOCAL_PEERCRED, _XUCRED.size))
    except OSError:
        return UNKNOWN
    _version, uid, count, *groups = fields
    return Peer(uid, groups[0], frozenset(groups[: max(count, 1)]))


@lru_cache(maxsize=64)
def _linux_peer(credentials: bytes, groups: bytes) -> Peer:
    """Kept, because a program connects again and again."""
    pid, uid, gid = _UCRED.unpack(credentials)
    # The process lives in a namespace that is not ours if its pid is 0.
    return Peer(uid, gid, frozenset(struct.unpack(f"={len(groups) // 4}I", groups)) | {gid}, pid or None)


def _groups(sock: socket.socket) -> bytes:
    try:
        return sock.getsockopt(socket.SOL_SOCKET, _SO_PEERGROUPS, 4 * _MAX_GROUPS)
    except OSError:  # more groups than fit, or an old kernel
        return b""
