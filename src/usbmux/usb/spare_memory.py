"""Memory of transfers that a phone may borrow."""

from typing import Final

SPARE_BYTES: Final = 2 << 20
"""What the phones of a bus may borrow together.

The kernel allows 16 MiB to the transfers of all programs (usbfs_memory_mb). 64 phones have 11 MiB of it for good: eight
reads of 16,384 bytes and 49,152 bytes of writes each.
"""


class SpareMemory:
    """Bytes that may be in flight beyond what each phone has for good, for those that are in need of it.

    Args:
        size: All of them together.
    """

    def __init__(self, size: int = SPARE_BYTES) -> None:
        self._left = size

    def borrow(self, size: int) -> bool:
        """Take `size` bytes. Returns: False if there are not as many; then nothing was taken."""
        if size > self._left:
            return False
        self._left -= size
        return True

    def give_back(self, size: int) -> None:
        """Return what was borrowed."""
        self._left += size
