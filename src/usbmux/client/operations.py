"""What a client can ask for, once for both shells: generators that yield requests and receive replies.

Each returns its result or raises the error of `usbmux.errors` that the daemon's answer means. They do no I/O.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Generator
from typing import TypeAlias, TypeVar

from usbmux.client.device import Device, Listener
from usbmux.client.selection import select_device
from usbmux.control.message import (
    Buid,
    ClientIdentity,
    Connect,
    DeletePairRecord,
    DeviceList,
    Listen,
    ListenerList,
    PairRecord,
    ReadBuid,
    ReadPairRecord,
    Reply,
    Request,
    Result,
    ResultCode,
    SavePairRecord,
)
from usbmux.control.message import ListDevices as ListDevicesRequest
from usbmux.control.message import ListListeners as ListListenersRequest
from usbmux.errors import (
    DeviceNotFoundError,
    LocalProtocolError,
    PairRecordNotFoundError,
    PortRefusedError,
    RemoteProtocolError,
    RequestError,
)

T = TypeVar("T")
Operation: TypeAlias = Generator[Request, Reply, T]

DEFAULT_TIMEOUT_S = 10.0
"""Longer than a daemon takes to give up on a phone that does not answer."""
LIBRARY_VERSION = 3
"""kLibUSBMuxVersion as every client of today sends it."""


def client_identity(program: str) -> ClientIdentity:
    """What this process says of itself to the daemon."""
    return ClientIdentity(program=program, version="usbmux", library_version=LIBRARY_VERSION, process_id=os.getpid())


def list_devices() -> Operation[list[Device]]:
    """Return the attached phones in the daemon's order."""
    reply = yield ListDevicesRequest()
    if not isinstance(reply, DeviceList):
        raise _failure("ListDevices", reply)
    return [Device.from_record(record) for record in reply.devices]


def find_device(wanted: str | None) -> Operation[Device]:
    """Return the phone that is meant, see `select_device`."""
    devices = yield from list_devices()
    return select_device(devices, wanted)


def connect(device: Device | int | str | None, port: int) -> Operation[Device | int]:
    """Turn the connection into a stream to a port of the phone; return the phone as far as it is known."""
    if not 0 <= port <= 0xFFFF:
        raise LocalProtocolError(f"a port is a number from 0 to 65535, not {port}")
    target = device if isinstance(device, Device | int) else (yield from find_device(device))
    device_id, name = (target, f"device {target}") if isinstance(target, int) else (target.device_id, target.udid)
    reply = yield Connect(device_id, port)
    match reply:
        case Result(ResultCode.OK):
            return target
        case Result(ResultCode.BAD_DEVICE):
            raise DeviceNotFoundError(reply.code, f"{name} is not attached")
        case Result(ResultCode.CONNECTION_REFUSED):
            raise PortRefusedError(reply.code, f"{name} refused the connection to port {port}")
        case _:
            raise _failure("Connect", reply)


def listen() -> Operation[None]:
    """Make the connection report comings and goings from now on."""
    reply = yield Listen()
    if reply != Result(ResultCode.OK):
        raise _failure("Listen", reply)


def list_listeners() -> Operation[list[Listener]]:
    """Return the programs that listen for device events."""
    reply = yield ListListenersRequest()
    if not isinstance(reply, ListenerList):
        raise _failure("ListListeners", reply)
    return [Listener.from_record(record) for record in reply.listeners]


def read_buid() -> Operation[str]:
    """Return the id under which this computer pairs with phones."""
    reply = yield ReadBuid()
    if not isinstance(reply, Buid):
        raise _failure("ReadBUID", reply)
    return reply.buid


def read_pair_record(udid: str) -> Operation[bytes]:
    """Return the pair record as it was saved."""
    reply = yield ReadPairRecord(udid)
    if not isinstance(reply, PairRecord):
        raise _pair_record_failure("ReadPairRecord", udid, reply)
    return reply.data


def save_pair_record(udid: str, data: bytes, device_id: int | None) -> Operation[None]:
    """Store a pair record."""
    reply = yield SavePairRecord(udid, data, device_id)
    if reply != Result(ResultCode.OK):
        raise _pair_record_failure("SavePairRecord", udid, reply)


def delete_pair_record(udid: str) -> Operation[None]:
    """Remove a pair record."""
    reply = yield DeletePairRecord(udid)
    if reply != Result(ResultCode.OK):
        raise _pair_record_failure("DeletePairRecord", udid, reply)


def describe_result(code: int) -> str:
    """The number of a Result and its name."""
    name = ResultCode(code).name if code in set(ResultCode) else "unknown"
    return f"{code} ({name})"


def _pair_record_failure(name: str, udid: str, reply: Reply) -> RequestError | RemoteProtocolError:
    match reply:
        case Result(errno.ENOENT):
            return PairRecordNotFoundError(reply.code, f"the daemon keeps no pair record for {udid!r}")
        case Result(code) if code != ResultCode.OK:
            return RequestError(code, f"{name} for {udid!r} failed: {_describe_errno(code)} (errno {code})")
        case _:
            return _failure(name, reply)


def _describe_errno(code: int) -> str:
    try:
        return os.strerror(code)
    except (OverflowError, ValueError):  # the field of a Result is wider than an errno
        return "unknown error"


def _failure(name: str, reply: Reply) -> RequestError | RemoteProtocolError:
    if not isinstance(reply, Result) or reply.code == ResultCode.OK:
        return RemoteProtocolError(f"{name} was answered with {type(reply).__name__}")
    return RequestError(reply.code, f"{name} failed: the daemon answered {describe_result(reply.code)}")
