"""The port forwarder: local ends that lead to ports of phones."""

from usbmux.relay.forwarder import Forwarder
from usbmux.relay.mapping import PortMapping
from usbmux.relay.route import ListeningPort, Route

__all__ = ["Forwarder", "ListeningPort", "PortMapping", "Route"]
