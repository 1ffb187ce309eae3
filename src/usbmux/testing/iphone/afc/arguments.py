"""The arguments of an AFC request: numbers of 8 bytes, little-endian, then paths."""

import errno
from typing import Final

_NUMBER_LENGTH: Final = 8


class Arguments:
    """Reads the arguments of one request from front to back.

    Its methods raise `OSError` with ``EINVAL``, as file trees do for what makes no sense.
    """

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._offset = 0

    def number(self) -> int:
        """The next unsigned number."""
        return self._number(is_signed=False)

    def signed_number(self) -> int:
        """The next signed number."""
        return self._number(is_signed=True)

    def path(self) -> str:
        """The next path, up to a NUL or the end. Bytes that are not UTF-8 become surrogates."""
        if self._offset > len(self._data):
            raise OSError(errno.EINVAL, "a path is missing")
        end = self._data.find(b"\0", self._offset)
        if end < 0:
            end = len(self._data)
        path = self._data[self._offset : end]
        self._offset = end + 1
        return path.decode("utf-8", "surrogateescape")

    def _number(self, *, is_signed: bool) -> int:
        end = self._offset + _NUMBER_LENGTH
        if end > len(self._data):
            raise OSError(errno.EINVAL, "a number is missing")
        number = int.from_bytes(self._data[self._offset : end], "little", signed=is_signed)
        self._offset = end
        return number
