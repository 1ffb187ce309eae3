"""Which phone somebody means: the one place that decides it, for the libraries and for every command."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from usbmux.control.message import ResultCode, normalized_udid
from usbmux.errors import AmbiguousDeviceError, DeviceNotFoundError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from usbmux.client.device import Device

_PORT_PATH: Final = r"[0-9]{1,3}-[0-9]{1,3}(?:\.[0-9]{1,3})*"
"""Bus and chain of hub ports. The dash of a UDID comes later, so no beginning of one looks like this."""


def select_device(devices: Sequence[Device], wanted: str | None) -> Device:
    """Choose the phone that is meant.

    A phone that is there by USB and by network counts once, and USB is preferred.

    Args:
        devices: Those that are attached.
        wanted: A UDID, a beginning of one that fits one phone only, or the port that the phone is plugged into, such as
            ``1-2.3``; dashes and case of a UDID do not matter. None for the only phone.

    Raises:
        DeviceNotFoundError: None fits; the text names those that are attached.
        AmbiguousDeviceError: Several fit; the text names them.
    """
    candidates = list(devices) if wanted is None else _fitting(devices, wanted)
    candidates.sort(key=lambda device: device.connection_type != "USB")
    if len({device.udid for device in candidates}) > 1:
        raise AmbiguousDeviceError(ResultCode.BAD_DEVICE, f"{_several(wanted)}: {_listed(candidates)}")
    if candidates:
        return candidates[0]
    if wanted is None or not devices:
        raise DeviceNotFoundError(ResultCode.BAD_DEVICE, "no phone is attached")
    raise DeviceNotFoundError(ResultCode.BAD_DEVICE, f"{_none(devices, wanted)}, only {_listed(devices)}")


def names_port(text: str) -> bool:
    """Whether the text stands for a port that a phone is plugged into, and not for a UDID."""
    return re.fullmatch(_PORT_PATH, text) is not None


def _fitting(devices: Sequence[Device], wanted: str) -> list[Device]:
    udid = normalized_udid(wanted)
    if exact := [device for device in devices if normalized_udid(device.udid) == udid]:
        return exact
    if names_port(wanted):
        # Never taken as a beginning too: while nobody is at that port, it must not choose somebody else.
        return [device for device in devices if device.port_path == wanted]
    # The empty text is a prefix of everything but names no phone: an unset variable must not choose one.
    return [device for device in devices if udid and normalized_udid(device.udid).startswith(udid)]


def _several(wanted: str | None) -> str:
    if wanted is None:
        return "several phones are attached"
    if names_port(wanted):
        return f"several phones are at port {wanted}"
    return f"several phones have a UDID that begins with {wanted!r}"


def _none(devices: Iterable[Device], wanted: str) -> str:
    if not names_port(wanted):
        return f"no phone with the UDID {wanted!r} is attached"
    if not any(device.port_path for device in devices):
        return f"no phone is known to be at port {wanted}, as this daemon does not name ports"
    return f"no phone is at port {wanted}"


def _listed(devices: Iterable[Device]) -> str:
    ports: dict[str, str] = {}
    for device in devices:
        ports[device.udid] = ports.get(device.udid) or device.port_path
    return ", ".join(f"{udid} at {ports[udid]}" if ports[udid] else udid for udid in sorted(ports))
