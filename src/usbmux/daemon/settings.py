"""What the daemon can be told."""

from pathlib import Path

from usbmux.control.address import default_address
from usbmux.daemon.admission import ClientLimits
from usbmux.daemon.listen_settings import ListenSettings
from usbmux.daemon.pairing import default_directory
from usbmux.daemon.policy import Rule
from usbmux.mux.settings import MuxSettings
from usbmux.values import field, frozen


@frozen
class DaemonSettings:
    """How a daemon serves."""

    listen: tuple[ListenSettings, ...] = field(default_factory=lambda: (ListenSettings(default_address()),))
    """Where it listens, all at once."""
    pair_record_directory: Path = field(default_factory=default_directory)
    preflight: bool = False
    """Whether it makes or validates the pairing of every phone that comes."""
    mux: MuxSettings = field(default_factory=MuxSettings)
    rules: tuple[Rule, ...] = ()
    """Who may do what; see `Policy`."""
    client_limits: ClientLimits = field(default_factory=ClientLimits)
    admin_listen: ListenSettings | None = None
    """Where it lets root and its own user look inside; None: nowhere."""
    metrics_listen: ListenSettings | None = None
    """Where Prometheus may ask, a Unix socket or loopback; None: nowhere."""
    capture_backlog: int = 16 << 20
    """How many bytes of a capture may wait for its reader before packets are dropped from it."""
