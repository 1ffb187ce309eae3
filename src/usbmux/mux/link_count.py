"""The phone's own count of its packets, by which a loss on the link shows (M7)."""

from usbmux.mux.packet import FIRST_RX_SEQ


class LinkCount:
    """Watches `tx_seq` of a phone that counts; one whose first two packets are not in sequence is taken not to."""

    def __init__(self) -> None:
        self.last = FIRST_RX_SEQ
        """Of the packet that came last: the `rx_seq` that we owe."""
        self.expected: int | None = None
        """Of the next packet; None while it is not known whether the phone counts, and if it does not."""
        self._counts: bool | None = None
        self._is_first = True

    def receive(self, tx_seq: int) -> str | None:
        """Note the count of a packet.

        Returns:
            What was expected and what came if packets are missing, or None.
        """
        following, self.last = (self.last + 1) % 0x10000, tx_seq
        if self._is_first:
            self._is_first = False
            return None
        gap = None
        if self._counts is None:
            self._counts = tx_seq == following
        elif self._counts and tx_seq != following:
            gap = f"expected packet {following} of the link, got {tx_seq}"
        if self._counts:
            self.expected = (tx_seq + 1) % 0x10000
        return gap

    def receive_expected(self, expected: int) -> None:
        """Note packets each of which was the expected one, and which one is expected next."""
        self.expected = expected
        self.last = (expected - 1) % 0x10000
