"""Programs of ours on what looks to them like another system.

    python -m tests.support.other_platform win32 usbmux list

Only our modules are deceived, by views of the standard library's that lack what is not there on that system; the
standard library and other people's packages keep the system that they are on. What Windows does differently with the
same names (files, processes, consoles) is not shown by this.
"""

from __future__ import annotations

import asyncio
import importlib
import os
import pkgutil
import re
import select
import selectors
import signal
import socket
import sys
from types import ModuleType
from typing import TYPE_CHECKING, Final, NoReturn

if TYPE_CHECKING:
    from collections.abc import Iterator

UNLOADABLE: Final = {"usbmux.testing.iphone.afc.directory_tree", "usbmux.commands.privileges"}
"""Modules that say that they are for POSIX, and that nothing imports elsewhere."""
PROGRAMS: Final = ("usbmux", "usbmuxd", "tcprelay")
_NO_POLLS: Final = "epoll|EPOLL.*|kqueue|kevent|KQ_.*"
_LACKING: Final[dict[str, dict[ModuleType, str]]] = {
    "darwin": {
        select: _NO_POLLS,
        socket: "SO_PEERCRED|SO_PASSCRED|TCP_INFO|SOCK_CLOEXEC|SOCK_NONBLOCK|MSG_NOSIGNAL",
        os: "splice|SPLICE_.*|pipe2|[gs]etres.id|memfd_create|eventfd.*|pidfd_open|sched_.*|posix_fa.*",
    },
    "win32": {
        select: f"{_NO_POLLS}|poll|POLL.*|PIPE_BUF",
        selectors: "EpollSelector|PollSelector",
        socket: "AF_UNIX|SO_PEERCRED|SO_PASSCRED|TCP_INFO|SOCK_CLOEXEC|SOCK_NONBLOCK|MSG_NOSIGNAL|MSG_DONTWAIT|SCM_.*"
        "|CMSG_.*|SO_REUSEPORT|send_fds|recv_fds",
        asyncio: ".*_unix_.*",
        signal: "SIG(USR.|HUP|QUIT|ALRM|KILL|PIPE|CHLD|CONT|STOP)|setitimer|alarm|pthread_.*|sigwait",
        os: "splice|SPLICE_.*|pipe2|[gs]et(res|re|e|)[ug]id|[gs]etgroups|initgroups|memfd_create|eventfd.*|pidfd_open"
        "|sched_.*|posix_.*|f?chown|lchown|fchmod|fchdir|fork|forkpty|setsid|getsid|[gs]etpgid|getpgrp|killpg|preadv?|pwritev?"
        "|sendfile|statvfs|mkfifo|mknod|uname|chroot|sync|fdatasync|O_(DIRECTORY|NOFOLLOW|CLOEXEC|NONBLOCK|NOCTTY|SYNC)"
        "|W[A-Z]+|[gs]et_blocking|register_at_fork|nice|getloadavg|ttyname|openpty",
    },
}
_MISSING_MODULES: Final = {
    "darwin": (),
    "win32": ("fcntl", "grp", "pty", "pwd", "resource", "syslog", "termios", "tty"),
}


class View(ModuleType):
    """A module of which some names are not there, and some are something else."""

    def __init__(self, module: ModuleType, lacking: str, **others: object) -> None:
        super().__init__(module.__name__)
        self.__dict__.update(others)
        self._module = module
        self._lacking = re.compile(lacking)
        self._deleted: set[str] = set()

    def __getattr__(self, name: str) -> object:
        if name in self._deleted or self._lacking.fullmatch(name):
            raise AttributeError(f"module {self.__name__!r} has no attribute {name!r} on this system")
        return getattr(self._module, name)

    def __delattr__(self, name: str) -> None:
        self.__dict__.pop(name, None)
        self._deleted.add(name)


class SelectorLoop(asyncio.SelectorEventLoop):
    """The loop of Windows that tells of readiness: it has no signals."""

    def add_signal_handler(self, *_: object) -> NoReturn:
        raise NotImplementedError


class CompletionLoop(SelectorLoop):
    """In the place of the usual loop of Windows, which tells of no readiness."""

    def add_reader(self, *_: object) -> NoReturn:
        raise NotImplementedError

    def add_writer(self, *_: object) -> NoReturn:
        raise NotImplementedError


class _Absent:
    """An attribute that is not there, though a base class has it."""

    def __get__(self, *_: object) -> NoReturn:
        raise AttributeError


class PlainSocket(socket.socket):
    """A socket that sends one piece at a time."""

    sendmsg = recvmsg = recvmsg_into = _Absent()


def modules_of_ours() -> Iterator[str]:
    """The names of all of our modules."""
    import usbmux

    for found in pkgutil.walk_packages(usbmux.__path__, "usbmux."):
        if not found.name.endswith("__main__"):
            yield found.name


def become(platform: str) -> None:
    """Let everything of ours that is imported from now on see that system: ``darwin`` or ``win32``."""
    names = list(modules_of_ours())
    for name in names:  # and with it, for good, whatever it uses
        importlib.import_module(name)
    for name in ("usbmux", *names):
        sys.modules.pop(name, None)
    selectors.DefaultSelector = selectors.PollSelector  # type: ignore[misc, assignment]
    others: dict[ModuleType, dict[str, object]] = {}
    if platform == "win32":
        selectors.DefaultSelector = selectors.SelectSelector  # type: ignore[misc, assignment]
        asyncio.events.new_event_loop = CompletionLoop  # the runner's
        others = {
            os: {"name": "nt", "supports_dir_fd": set(), "supports_follow_symlinks": set()},
            socket: {"socket": PlainSocket, "socketpair": _tcp_pair},
            asyncio: {"SelectorEventLoop": SelectorLoop},
        }
    for module, lacking in _LACKING[platform].items():
        sys.modules[module.__name__] = View(module, lacking, **others.get(module, {}))
    for name in _MISSING_MODULES[platform]:
        sys.modules[name] = None  # type: ignore[assignment]
    sys.modules["sys"] = View(sys, "", platform=platform)


def import_all() -> None:
    """Import whatever can be imported on every system."""
    for name in modules_of_ours():
        if name not in UNLOADABLE:
            importlib.import_module(name)


def _tcp_pair() -> tuple[socket.socket, socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        far = socket.create_connection(server.getsockname())
        near, _ = server.accept()
        return near, far


def main() -> int:
    """Become another system and import everything, or run a program of ours."""
    platform, *command = sys.argv[1:]
    become(platform)
    if not command:
        import_all()
        return 0
    program, *arguments = command
    sys.argv = [program, *arguments]
    entry = importlib.import_module(f"usbmux.commands.{program}")
    return int(entry.main() or 0)


if __name__ == "__main__":
    sys.exit(main())
