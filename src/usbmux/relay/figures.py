"""What went through a local end."""

from usbmux.values import frozen


@frozen
class Figures:
    """Counted from the start of the forwarder."""

    connections: int = 0
    """That were joined with the phone's port, open ones included."""
    open: int = 0
    """Now."""
    failed: int = 0
    """Connections that were closed because the phone's port was not reached."""
    bytes_to_device: int = 0
    bytes_to_local: int = 0
