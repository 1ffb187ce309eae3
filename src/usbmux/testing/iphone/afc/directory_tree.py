"""A directory of this machine as a file tree. Not on Windows, which cannot open a file relative to a directory."""

import errno
import fcntl
import os
import stat
from pathlib import Path
from typing import Final

from usbmux.testing.iphone.afc.file_tree import Directory, FileInfo, FileKind, LockKind, OpenFile, OpenMode, Space

_KINDS: Final = {
    stat.S_IFREG: FileKind.REGULAR,
    stat.S_IFDIR: FileKind.DIRECTORY,
    stat.S_IFLNK: FileKind.LINK,
    stat.S_IFCHR: FileKind.CHARACTER_DEVICE,
    stat.S_IFBLK: FileKind.BLOCK_DEVICE,
    stat.S_IFIFO: FileKind.PIPE,
    stat.S_IFSOCK: FileKind.SOCKET,
}
_LOCKS: Final = {
    LockKind.SHARED: fcntl.LOCK_SH | fcntl.LOCK_NB,
    LockKind.EXCLUSIVE: fcntl.LOCK_EX | fcntl.LOCK_NB,
    LockKind.NONE: fcntl.LOCK_UN,
}
_DEFAULT_BLOCK_SIZE: Final = 4096


class DirectoryTree:
    """The files below a directory; what hosts do to them is done.

    No path and no symbolic link leads a host out of it, whatever other programs do to it meanwhile.

    Args:
        path: The directory; a link at its end is followed.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def root(self) -> Directory:
        """Open the directory that is ``/`` to the host. Raises `OSError`."""
        return _OpenDirectory(os.open(self._path, os.O_RDONLY | os.O_DIRECTORY))

    def space(self) -> Space:
        """How much there is room for on the file system. Raises `OSError`."""
        found = os.statvfs(self._path)
        block_size = found.f_bsize or _DEFAULT_BLOCK_SIZE
        return Space(found.f_blocks * found.f_frsize, found.f_bavail * found.f_frsize, block_size)


class _OpenDirectory:
    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def names(self) -> list[str]:
        return sorted(os.listdir(self._descriptor))

    def info(self, name: str) -> FileInfo:
        found = os.stat(name, dir_fd=self._descriptor, follow_symlinks=False)
        kind = _KINDS[stat.S_IFMT(found.st_mode)]
        target = os.readlink(name, dir_fd=self._descriptor) if kind is FileKind.LINK else ""
        # Linux does not tell when a file was made; that is not after its last change.
        born_ns = min(found.st_mtime_ns, found.st_ctime_ns)
        return FileInfo(kind, found.st_size, found.st_blocks, found.st_nlink, found.st_mtime_ns, born_ns, target)

    def set_modified(self, name: str, modified_ns: int) -> None:
        os.utime(name, ns=(modified_ns, modified_ns), dir_fd=self._descriptor, follow_symlinks=False)

    def enter(self, name: str) -> "_OpenDirectory":
        flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW
        return _OpenDirectory(os.open(name, flags, dir_fd=self._descriptor))

    def open_file(self, name: str, mode: OpenMode) -> OpenFile:
        flags = _access(mode) | (os.O_CREAT if mode.is_writable else 0)
        # Non-blocking: a pipe without anybody at its other end would stop the phone.
        descriptor = os.open(name, flags | os.O_NOFOLLOW | os.O_NONBLOCK, 0o666, dir_fd=self._descriptor)
        try:
            _check_regular(descriptor, name)
            if mode.truncates:
                os.ftruncate(descriptor, 0)
        except OSError:
            os.close(descriptor)
            raise
        return _File(descriptor)

    def make_directory(self, name: str) -> None:
        os.mkdir(name, dir_fd=self._descriptor)

    def make_symbolic_link(self, target: str, name: str) -> None:
        os.symlink(target, name, dir_fd=self._descriptor)

    def make_hard_link(self, name: str, to: Directory, new_name: str) -> None:
        destination = _descriptor_of(to)
        os.link(name, new_name, src_dir_fd=self._descriptor, dst_dir_fd=destination, follow_symlinks=False)

    def rename(self, name: str, to: Directory, new_name: str) -> None:
        os.rename(name, new_name, src_dir_fd=self._descriptor, dst_dir_fd=_descriptor_of(to))

    def remove(self, name: str) -> None:
        if self.info(name).kind is FileKind.DIRECTORY:
            os.rmdir(name, dir_fd=self._descriptor)
        else:
            os.unlink(name, dir_fd=self._descriptor)

    def close(self) -> None:
        os.close(self._descriptor)


class _File:
    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    @property
    def size(self) -> int:
        return os.fstat(self._descriptor).st_size

    def read_at(self, offset: int, length: int) -> bytes:
        return os.pread(self._descriptor, length, offset)

    def write_at(self, offset: int, data: bytes) -> None:
        with memoryview(data) as view:
            written = 0
            while written < len(view):
                written += os.pwrite(self._descriptor, view[written:], offset + written)

    def resize(self, size: int) -> None:
        os.ftruncate(self._descriptor, size)

    def lock(self, kind: LockKind) -> None:
        fcntl.flock(self._descriptor, _LOCKS[kind])

    def close(self) -> None:
        os.close(self._descriptor)


def _access(mode: OpenMode) -> int:
    if mode.is_readable and mode.is_writable:
        return os.O_RDWR
    return os.O_WRONLY if mode.is_writable else os.O_RDONLY


def _check_regular(descriptor: int, name: str) -> None:
    mode = os.fstat(descriptor).st_mode
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, "a directory", name)
    if not stat.S_ISREG(mode):
        raise PermissionError(errno.EACCES, "no regular file", name)


def _descriptor_of(directory: Directory) -> int:
    assert isinstance(directory, _OpenDirectory)
    return directory._descriptor
