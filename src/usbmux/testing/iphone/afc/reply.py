"""A phone's replies, before they have a packet number."""

import errno
from collections.abc import Callable, Mapping
from typing import Final, TypeAlias

from usbmux.testing.iphone.afc.arguments import Arguments
from usbmux.testing.iphone.afc.codec import Operation, Status
from usbmux.testing.iphone.afc.file_tree import OpenFile
from usbmux.values import frozen

_NUMBER_LENGTH: Final = 8
_STATUSES: Final = {
    errno.ENOENT: Status.NOT_FOUND,
    errno.ENOTDIR: Status.NOT_FOUND,
    errno.EISDIR: Status.IS_DIRECTORY,
    errno.EACCES: Status.DENIED,
    errno.EPERM: Status.DENIED,
    errno.EROFS: Status.DENIED,
    errno.EEXIST: Status.EXISTS,
    errno.ENOTEMPTY: Status.UNKNOWN_ERROR,
    errno.ENOSPC: Status.NO_SPACE,
    errno.EDQUOT: Status.NO_SPACE,
    errno.EFBIG: Status.NO_SPACE,
    errno.EWOULDBLOCK: Status.WOULD_BLOCK,
    errno.EINVAL: Status.BAD_ARGUMENT,
    errno.EBADF: Status.BAD_ARGUMENT,
    errno.ELOOP: Status.BAD_ARGUMENT,
    errno.EILSEQ: Status.BAD_ARGUMENT,
    errno.ENAMETOOLONG: Status.BAD_ARGUMENT,
    errno.EMFILE: Status.NO_RESOURCES,
    errno.ENFILE: Status.NO_RESOURCES,
    errno.ENOTSUP: Status.UNSUPPORTED,
    errno.EIO: Status.IO_ERROR,
}


@frozen
class Extent:
    """Bytes of an open file that are read when they are sent."""

    file: OpenFile
    offset: int
    length: int


@frozen
class Reply:
    """What a request is answered with. The payload is `payload`, or `extent`."""

    operation: Operation
    head: bytes = b""
    payload: bytes = b""
    extent: Extent | None = None

    @property
    def payload_length(self) -> int:
        """In bytes."""
        return self.extent.length if self.extent is not None else len(self.payload)


OperationTable: TypeAlias = Mapping[int, Callable[[Arguments], Reply]]
"""What carries out each operation. It may raise `OSError`, see `error_reply`."""


def status_reply(status: Status) -> Reply:
    """A reply that says how it went."""
    return number_reply(Operation.STATUS, status)


def number_reply(operation: Operation, number: int) -> Reply:
    """A reply with a number in its head, where go-ios looks for it."""
    return Reply(operation, number.to_bytes(_NUMBER_LENGTH, "little"))


def texts_reply(texts: list[str]) -> Reply:
    """A reply with texts, each of which ends with NUL."""
    joined = "".join(f"{text}\0" for text in texts)
    return Reply(Operation.DATA, payload=joined.encode("utf-8", "surrogateescape"))


def error_reply(error: OSError) -> Reply:
    """A reply that says what went wrong."""
    return status_reply(_STATUSES.get(error.errno or 0, Status.UNKNOWN_ERROR))


DONE: Final = status_reply(Status.OK)
"""A reply that says that it is done."""
