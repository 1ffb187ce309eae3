"""The port forwarder: local TCP ports that lead to ports of a phone."""

from usbmux.relay.forwarder import Forwarder, ListeningPort
from usbmux.relay.mapping import PortMapping

__all__ = ["Forwarder", "ListeningPort", "PortMapping"]
