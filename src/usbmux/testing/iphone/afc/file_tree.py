"""What AFC needs of files: directories that can be opened, without any way up or through a link."""

from enum import IntEnum, StrEnum
from typing import Protocol

from usbmux.values import frozen


class FileKind(StrEnum):
    """What something in a directory is; the value is AFC's word for it."""

    REGULAR = "S_IFREG"
    DIRECTORY = "S_IFDIR"
    LINK = "S_IFLNK"
    CHARACTER_DEVICE = "S_IFCHR"
    BLOCK_DEVICE = "S_IFBLK"
    PIPE = "S_IFIFO"
    SOCKET = "S_IFSOCK"


class OpenMode(IntEnum):
    """How a file is opened; the value is AFC's."""

    READ = 1
    READ_WRITE = 2
    WRITE = 3
    READ_TRUNCATE = 4
    APPEND = 5
    READ_APPEND = 6

    @property
    def is_readable(self) -> bool:
        """Whether one may read."""
        return self not in (OpenMode.WRITE, OpenMode.APPEND)

    @property
    def is_writable(self) -> bool:
        """Whether one may write; then a missing file is made."""
        return self is not OpenMode.READ

    @property
    def truncates(self) -> bool:
        """Whether the file is emptied first."""
        return self in (OpenMode.WRITE, OpenMode.READ_TRUNCATE)

    @property
    def appends(self) -> bool:
        """Whether every write goes to the end."""
        return self in (OpenMode.APPEND, OpenMode.READ_APPEND)


class LockKind(IntEnum):
    """What an open file does to others that open the same file; the value is AFC's."""

    SHARED = 5
    EXCLUSIVE = 6
    NONE = 12


@frozen
class FileInfo:
    """What is known of something in a directory."""

    kind: FileKind
    size: int
    """In bytes."""
    blocks: int
    """What it takes, in units of 512 bytes."""
    links: int
    modified_ns: int
    """Nanoseconds since 1970."""
    born_ns: int
    """Nanoseconds since 1970."""
    link_target: str = ""
    """Where a symbolic link leads."""


@frozen
class Space:
    """How much there is room for, in bytes."""

    total: int
    free: int
    block_size: int
    """Never 0."""


class OpenFile(Protocol):
    """An open regular file. Methods raise `OSError`."""

    @property
    def size(self) -> int:
        """In bytes."""

    def read_at(self, offset: int, length: int) -> bytes:
        """At most `length` bytes from `offset` on; fewer only at the end of the file."""

    def write_at(self, offset: int, data: bytes) -> None:
        """Write all of `data`; what lies between the end and `offset` becomes zeros."""

    def resize(self, size: int) -> None:
        """Cut the file, or lengthen it by zeros."""

    def lock(self, kind: LockKind) -> None:
        """Take, change or give up this file's lock, without waiting.

        Raises:
            BlockingIOError: Another one that has opened the file holds a lock that forbids this one.
        """

    def close(self) -> None:
        """Give up the file and its lock; must be called once."""


class Directory(Protocol):
    """An open directory. Methods raise `OSError`.

    A name is one component: never empty, never ``..``. For `info` and `set_modified` it may be ``.``, the directory
    itself. A name that is a symbolic link stands for the link.
    """

    def names(self) -> list[str]:
        """What is in it, sorted, without ``.`` and ``..``."""

    def info(self, name: str) -> FileInfo:
        """What is known of `name`."""

    def set_modified(self, name: str, modified_ns: int) -> None:
        """Say when `name` was modified, in nanoseconds since 1970."""

    def enter(self, name: str) -> "Directory":
        """Open a directory in it."""

    def open_file(self, name: str, mode: OpenMode) -> OpenFile:
        """Open a regular file."""

    def make_directory(self, name: str) -> None:
        """Make an empty directory."""

    def make_symbolic_link(self, target: str, name: str) -> None:
        """Make a symbolic link that leads to `target`, whatever that is."""

    def make_hard_link(self, name: str, to: "Directory", new_name: str) -> None:
        """Give `name` a second name in a directory of the same tree."""

    def rename(self, name: str, to: "Directory", new_name: str) -> None:
        """Move `name` into a directory of the same tree, over what POSIX allows to be replaced."""

    def remove(self, name: str) -> None:
        """Remove a file, a link or an empty directory."""

    def close(self) -> None:
        """Give up the directory; must be called once."""


class FileTree(Protocol):
    """Files for any number of AFC sessions of one event loop."""

    def root(self) -> Directory:
        """Open the directory that is ``/`` to the host. Raises `OSError`."""

    def space(self) -> Space:
        """How much there is room for. Raises `OSError`."""
