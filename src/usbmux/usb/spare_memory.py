"""Memory of transfers that a phone may borrow."""

from typing import Final

SPARE_BYTES: Final = 9 << 17
"""What the phones of a bus may borrow together; one alone is never in need of more.

The kernel allows 16 MiB to the transfers of all programs (usbfs_memory_mb), and counts some 300 bytes of its own for
each. 64 phones have 14 MiB of it for good, and 0.8 MiB for what the kernel adds: eight reads of 16,384 bytes each, and
writes of 49,152 bytes and one packet, since the last that is handed over may be a long one.
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
