"""Who is at the other end of a client's socket, as the kernel knows it."""

import socket
import struct
import sys
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

_UCRED: Final = struct.Struct("=iII")
"""pid, uid, gid of Linux's SO_PEERCRED, see unix(7)."""
_SO_PEERGROUPS: Final = 59
"""socket(7), since Linux 4.13; the module socket does not name it."""
_MAX_GROUPS: Final = 256
"""As many as Python's getsockopt has room for."""
_LOCAL_PEERCRED: Final = 1
"""macOS and FreeBSD, see unix(4)."""
_XUCRED: Final = struct.Struct("=IIhxx16I")
"""Version, uid, number of groups, groups, of which the first is the effective one."""


@dataclass(frozen=True, slots=True)
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


def peer_of(sock: socket.socket) -> Peer:
    """The process that connected a Unix socket; all unknown for other sockets and where the platform does not tell."""
    if sys.platform == "win32" or sock.family != socket.AF_UNIX:
        return Peer()
    try:
        if hasattr(socket, "SO_PEERCRED"):
            pid, uid, gid = _UCRED.unpack(sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _UCRED.size))
            # The process lives in a namespace that is not ours if its pid is 0.
            return Peer(uid, gid, _groups(sock, gid), pid or None)
        fields = _XUCRED.unpack(sock.getsockopt(0, _LOCAL_PEERCRED, _XUCRED.size))
    except OSError:
        return Peer()
    _version, uid, count, *groups = fields
    return Peer(uid, groups[0], frozenset(groups[: max(count, 1)]))


def _groups(sock: socket.socket, gid: int) -> frozenset[int]:
    with suppress(OSError):  # more groups than fit, or an old kernel
        data = sock.getsockopt(socket.SOL_SOCKET, _SO_PEERGROUPS, 4 * _MAX_GROUPS)
        return frozenset(struct.unpack(f"={len(data) // 4}I", data)) | {gid}
    return frozenset({gid})
