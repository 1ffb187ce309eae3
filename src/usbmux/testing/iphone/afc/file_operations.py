"""What AFC does with open files."""

import errno
from dataclasses import dataclass
from typing import Final

from usbmux.testing.iphone.afc.arguments import Arguments
from usbmux.testing.iphone.afc.codec import Operation
from usbmux.testing.iphone.afc.file_tree import LockKind, OpenFile, OpenMode
from usbmux.testing.iphone.afc.path_operations import MAX_SIZE, check_size
from usbmux.testing.iphone.afc.path_walk import PathWalk
from usbmux.testing.iphone.afc.reply import DONE, Extent, OperationTable, Reply, error_reply, number_reply

MAX_OPEN_FILES: Final = 256
"""How many files one session may have open."""


@dataclass(slots=True)
class Handle:
    """A file that a host has opened."""

    file: OpenFile
    mode: OpenMode
    position: int = 0


class FileOperations:
    """Carries out operations on the open files of one session. The methods raise `OSError`.

    Args:
        walk: Finds the paths.
    """

    def __init__(self, walk: PathWalk) -> None:
        self.longest_read: int | None = None
        """At most so many bytes answer a read, if it is not None."""
        self._walk = walk
        self._handles: dict[int, Handle] = {}
        self._next_number = 1
        self.table: Final[OperationTable] = {
            Operation.OPEN: self._open,
            Operation.READ: self._read,
            Operation.SEEK: self._seek,
            Operation.TELL: self._tell,
            Operation.CLOSE: self._close,
            Operation.SET_SIZE: self._set_size,
            Operation.LOCK: self._lock,
        }

    def begin_write(self, arguments: Arguments) -> "FileWrite":
        """Take the data of a write, which may come in many pieces."""
        handle = self._handle(arguments)
        if not handle.mode.is_writable:
            raise PermissionError(errno.EACCES, "not opened for writing")
        return FileWrite(handle)

    def close_all(self) -> None:
        """Close what the host has left open."""
        while self._handles:
            self._handles.popitem()[1].file.close()

    def _open(self, arguments: Arguments) -> Reply:
        mode = _open_mode(arguments.number())
        if len(self._handles) == MAX_OPEN_FILES:
            raise OSError(errno.EMFILE, "too many open files")
        with self._walk.place(arguments.path(), follow=True) as place:
            file = place.open_file(mode)
        number = self._next_number
        self._next_number += 1
        self._handles[number] = Handle(file, mode)
        return number_reply(Operation.OPEN_RESULT, number)

    def _read(self, arguments: Arguments) -> Reply:
        handle, count = self._handle(arguments), arguments.number()
        if not handle.mode.is_readable:
            raise PermissionError(errno.EACCES, "not opened for reading")
        length = max(min(count, handle.file.size - handle.position), 0)
        if self.longest_read is not None:
            length = min(length, self.longest_read)
        extent = Extent(handle.file, handle.position, length)
        handle.position += length
        return Reply(Operation.DATA, extent=extent)

    def _seek(self, arguments: Arguments) -> Reply:
        handle, whence, offset = self._handle(arguments), arguments.number(), arguments.signed_number()
        match whence:
            case 0:
                position = offset
            case 1:
                position = handle.position + offset
            case 2:
                position = handle.file.size + offset
            case _:
                raise OSError(errno.EINVAL, f"no direction to seek: {whence}")
        if not 0 <= position <= MAX_SIZE:
            raise OSError(errno.EINVAL, f"no position in a file: {position}")
        handle.position = position
        return DONE

    def _tell(self, arguments: Arguments) -> Reply:
        return number_reply(Operation.TELL_RESULT, self._handle(arguments).position)

    def _close(self, arguments: Arguments) -> Reply:
        number = arguments.number()
        if number not in self._handles:
            raise OSError(errno.EBADF, f"no open file: {number}")
        self._handles.pop(number).file.close()
        return DONE

    def _set_size(self, arguments: Arguments) -> Reply:
        handle, size = self._handle(arguments), arguments.number()
        if not handle.mode.is_writable:
            raise PermissionError(errno.EACCES, "not opened for writing")
        check_size(size)
        handle.file.resize(size)
        return DONE

    def _lock(self, arguments: Arguments) -> Reply:
        handle, kind = self._handle(arguments), arguments.number()
        try:
            lock_kind = LockKind(kind)
        except ValueError:
            raise OSError(errno.EINVAL, f"no kind of lock: {kind}") from None
        handle.file.lock(lock_kind)
        return DONE

    def _handle(self, arguments: Arguments) -> Handle:
        number = arguments.number()
        try:
            return self._handles[number]
        except KeyError:
            raise OSError(errno.EBADF, f"no open file: {number}") from None


class FileWrite:
    """A write under way. What comes after a failure is dropped, for the host sends all of it before it reads.

    Args:
        handle: Where to write.
    """

    def __init__(self, handle: Handle) -> None:
        self._handle = handle
        self._error: OSError | None = None

    def receive_data(self, data: bytes) -> None:
        """Write the next piece."""
        if self._error is not None:
            return
        handle = self._handle
        try:
            position = handle.file.size if handle.mode.appends else handle.position
            check_size(position + len(data))
            handle.file.write_at(position, data)
        except OSError as error:
            self._error = error
        else:
            handle.position = position + len(data)

    def reply(self) -> Reply:
        """How it went."""
        return DONE if self._error is None else error_reply(self._error)


def _open_mode(number: int) -> OpenMode:
    try:
        return OpenMode(number)
    except ValueError:
        raise OSError(errno.EINVAL, f"no mode to open a file in: {number}") from None
