"""The numbers that govern a session. Times in seconds, sizes in bytes."""

from usbmux.values import frozen


@frozen
class MuxSettings:
    """What may be tuned; the defaults and their reasons."""

    handshake_timeout_s: float = 5.0
    """How long a phone may take to answer VERSION (M8)."""
    packet_timeout_s: float = 2.0
    """How long the rest of a packet may take to come. The slowest bus needs 0.05 s for the longest one (M3)."""
    version_repeat_s: float = 1.0
    """How long until VERSION is sent again; a phone amid an old packet takes the first for the rest of that (M8)."""
    syn_timeout_s: float = 3.5
    """How long a phone may take to answer a SYN. Clients give up at 5 s and want their answer within 4 (T8)."""
    acknowledge_delay_s: float = 0.005
    """How long an acknowledgement may wait for data to ride on (T10)."""
    acknowledge_share: float = 0.25
    """The share of our window that is acknowledged at once when it was taken (T10)."""
    zero_window_probe_s: float = 1.0
    """How long the phone may keep its window shut before it is asked for the first time (T18)."""
    longest_zero_window_probe_s: float = 60.0
    """The time between two questions doubles up to this (T18)."""
    linger_s: float = 30.0
    """How long a connection that our side has ended is kept after the last byte moved (T14)."""
    quarantine_s: float = 10.0
    """How long a port that we have reset is neither used again nor answered (T16)."""
    receive_window: int = 131072
    """Our constant window (T9)."""
    max_packet_length: int = 0xBFFC
    """Longest packet sent: just under 49152, which is proven and would need an empty packet each time (M12)."""
