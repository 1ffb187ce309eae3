"""The phone's own count of its packets, by which a loss on the link shows (M7)."""


class LinkCount:
    """Watches `tx_seq` of a phone that counts; one whose first two packets are not in sequence is taken not to."""

    def __init__(self) -> None:
        self._last: int | None = None
        self._counts: bool | None = None

    def receive(self, tx_seq: int) -> str | None:
        """Note the count of a packet.

        Returns:
            What was expected and what came if packets are missing, or None.
        """
        last, self._last = self._last, tx_seq
        if last is None:
            return None
        expected = (last + 1) % 0x10000
        if self._counts is None:
            self._counts = tx_seq == expected
        elif self._counts and tx_seq != expected:
            return f"expected packet {expected} of the link, got {tx_seq}"
        return None
