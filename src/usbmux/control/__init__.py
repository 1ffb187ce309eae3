"""The protocol between clients and the daemon, sans-IO, both roles."""

from usbmux.control.address import (
    Address,
    TcpAddress,
    UnixAddress,
    address_from_environment,
    default_address,
    parse_address,
)
from usbmux.control.client import ClientSession, ClientState
from usbmux.control.message import InvalidRequestError, UnknownMessageError
from usbmux.control.server import RequestInvalid, RequestReceived, ServerSession, ServerState

__all__ = [
    "Address",
    "ClientSession",
    "ClientState",
    "InvalidRequestError",
    "RequestInvalid",
    "RequestReceived",
    "ServerSession",
    "ServerState",
    "TcpAddress",
    "UnixAddress",
    "UnknownMessageError",
    "address_from_environment",
    "default_address",
    "parse_address",
]
