"""The USB bus as Linux shows it in /sys: which phones are there, and how far the system has got with them."""

import re
from typing import Final

from usbmux.commands.doctor.system_view import SystemView
from usbmux.commands.table import printable
from usbmux.usb.apple import MUX_INTERFACE, PHONE_PRODUCT_IDS, VENDOR_ID
from usbmux.values import frozen

_DEVICES: Final = "/sys/bus/usb/devices"
_DEVICE: Final = re.compile(r"[0-9]+-[0-9]+(\.[0-9]+)*")
_MUX_CLASS: Final = tuple(f"{number:02x}" for number in MUX_INTERFACE)
_STUCK_STATES: Final = ("attached", "powered", "default", "addressed")


@frozen
class BusPhone:
    """A phone on the bus."""

    port_path: str
    serial: str
    """As the phone spells it, without a dash."""
    node: str
    """Path of its device node."""
    configuration: int
    """0 for none."""
    is_authorized: bool
    mux_interface: str | None
    """Name of the mux interface in the active configuration."""
    driver: str | None
    """Of that interface; usbfs is a program."""

    def __str__(self) -> str:
        return f"the phone at {self.port_path} ({self.serial or 'no serial number'})"


@frozen
class UsbBus:
    """What is plugged in."""

    phones: tuple[BusPhone, ...] = ()
    stuck_ports: tuple[str, ...] = ()
    """Ports with something that does not become a device."""


def read_bus(view: SystemView) -> UsbBus:
    """Look at the bus."""
    phones = [_read_phone(view, name) for name in view.names(_DEVICES) if _DEVICE.fullmatch(name)]
    return UsbBus(tuple(phone for phone in phones if phone is not None), tuple(_stuck_ports(view)))


def _read_phone(view: SystemView, name: str) -> BusPhone | None:
    """None if it is something else."""
    folder = f"{_DEVICES}/{name}"
    values = {key: view.text(f"{folder}/{key}") or "" for key in ("idVendor", "idProduct", "busnum", "devnum")}
    if values["idVendor"] != f"{VENDOR_ID:04x}":
        return None
    mux = next((found for found in _interfaces(view, name) if _class_of(view, found) == _MUX_CLASS), None)
    if mux is None and not _is_phone_id(values["idProduct"]):
        return None
    driver = view.link(f"{_DEVICES}/{mux}/driver") if mux else None
    return BusPhone(
        port_path=name,
        serial=printable((view.text(f"{folder}/serial") or "").strip("\0 ")),
        node=f"/dev/bus/usb/{_number(values['busnum']):03d}/{_number(values['devnum']):03d}",
        configuration=_number(view.text(f"{folder}/bConfigurationValue") or ""),
        is_authorized=view.text(f"{folder}/authorized") != "0",
        mux_interface=mux,
        driver=driver.rpartition("/")[2] if driver else None,
    )


def _interfaces(view: SystemView, name: str) -> list[str]:
    return [other for other in view.names(_DEVICES) if other.startswith(f"{name}:")]


def _class_of(view: SystemView, interface: str) -> tuple[str, ...]:
    keys = ("bInterfaceClass", "bInterfaceSubClass", "bInterfaceProtocol")
    return tuple(view.text(f"{_DEVICES}/{interface}/{key}") or "" for key in keys)


def _is_phone_id(text: str) -> bool:
    try:
        return int(text, 16) in PHONE_PRODUCT_IDS
    except ValueError:
        return False


def _number(text: str) -> int:
    return int(text) if text.isdecimal() else 0


def _stuck_ports(view: SystemView) -> list[str]:
    """Ports of hubs are directories such as 1-0:1.0/usb1-port2 and 1-2:1.0/1-2-port3."""
    stuck = []
    for hub in view.names(_DEVICES):
        for port in view.names(f"{_DEVICES}/{hub}") if ":" in hub else ():
            if "-port" in port and view.text(f"{_DEVICES}/{hub}/{port}/state") in _STUCK_STATES:
                stuck.append(port)
    return stuck
