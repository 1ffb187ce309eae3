"""What the daemon can be told."""

from dataclasses import dataclass, field
from pathlib import Path

from usbmux.control.address import Address, default_address
from usbmux.daemon.pairing import default_directory
from usbmux.mux.settings import MuxSettings


@dataclass(frozen=True, slots=True)
class DaemonSettings:
    """How a daemon serves."""

    addresses: tuple[Address, ...] = field(default_factory=lambda: (default_address(),))
    """Where it listens, all at once."""
    pair_record_directory: Path = field(default_factory=default_directory)
    mux: MuxSettings = field(default_factory=MuxSettings)
    socket_mode: int = 0o666
    """Mode of Unix sockets: who may connect."""
