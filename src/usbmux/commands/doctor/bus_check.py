"""The phones on the USB bus: what keeps one from the daemon."""

from collections.abc import Iterator
from typing import Final

from usbmux.commands.doctor.accounts import user_name
from usbmux.commands.doctor.examination import Examination
from usbmux.commands.doctor.finding import Finding, Severity
from usbmux.commands.doctor.processes import holders
from usbmux.commands.doctor.system_view import Account
from usbmux.commands.doctor.usb_bus import BusPhone
from usbmux.commands.table import printable
from usbmux.control.message import normalized_udid

_CHECK: Final = "usb"
_USBFS: Final = "usbfs"
"""The driver by which programs have an interface."""
_REPLUG: Final = "unlock the phone and plug it in again; if that does not help, restart the daemon"


def check_bus(examination: Examination) -> Iterator[Finding]:
    """Each phone that the kernel sees, and what it cannot see."""
    if not examination.is_linux:
        return
    for port in examination.bus.stuck_ports:
        text = f"something at {port} does not become a USB device: its cable, or the port, is likely at fault"
        yield Finding(_CHECK, Severity.WARNING, text, fix="try another cable, then another port")
    for phone in examination.bus.phones:
        yield _of_phone(examination, phone)
    if not examination.bus.phones and not examination.server.devices:
        text = "no phone is on the USB bus; one that is off, or whose cable only charges, cannot be told from none"
        yield Finding(_CHECK, Severity.NOTE, text, fix="if one is plugged in: try another cable, then another port")


def _of_phone(examination: Examination, phone: BusPhone) -> Finding:
    """The first thing that is wrong, on the way from the kernel to the clients."""
    for look in (_kernel, _node, _interface, _daemon):
        if (found := look(examination, phone)) is not None:
            text, fix = found
            return Finding(_CHECK, Severity.PROBLEM, f"{phone} {text}", fix)
    return Finding(_CHECK, Severity.OK, f"{phone} is configured, and the daemon has it")


def _kernel(_examination: Examination, phone: BusPhone) -> tuple[str, str] | None:
    if not phone.is_authorized:
        path = f"/sys/bus/usb/devices/{phone.port_path}/authorized"
        return "is not let in by this computer (USBGuard, for one)", f"echo 1 | sudo tee {path}"
    return None


def _node(examination: Examination, phone: BusPhone) -> tuple[str, str] | None:
    view = examination.view
    if not view.is_there(phone.node):
        if examination.is_container:
            return f"has no node {phone.node} in this container", "docker run -v /dev/bus/usb:/dev/bus/usb ..."
        return f"has no node {phone.node}", "sudo udevadm trigger --action=add --subsystem-match=usb"
    account = _daemon_account(examination)
    if account is None or view.may_open(phone.node, account):
        return None
    text = f"has a node that the daemon's user {user_name(view, account.uid)} may not open: {phone.node}"
    return text, "sudo usbmux install-service (it brings a udev rule), then plug the phone in again"


def _daemon_account(examination: Examination) -> Account | None:
    """Of the daemon that uses the bus, if there is just one."""
    running = [process for process in examination.daemons if process.uses_usb]
    return running[0].account if len(running) == 1 else None


def _interface(examination: Examination, phone: BusPhone) -> tuple[str, str] | None:
    if phone.driver not in (None, _USBFS):
        path = f"/sys/bus/usb/drivers/{phone.driver}/unbind"
        text = f"has its mux interface claimed by the driver {phone.driver}"
        return text, f"echo {phone.mux_interface} | sudo tee {path}"
    if _is_listed(examination, phone) or not examination.is_served:
        return None
    others = [process for process in holders(examination.view, phone.node) if process not in examination.daemons]
    if others:
        return f"is held by another program: {', '.join(map(str, others))}", f"sudo kill {others[0].pid}"
    if phone.configuration == 0:
        return "is not configured, which is for the daemon to do", _REPLUG
    if phone.mux_interface is None:
        text = f"is in configuration {phone.configuration}, which has no mux interface; it is for the daemon to change"
        return text, _REPLUG
    return None


def _daemon(examination: Examination, phone: BusPhone) -> tuple[str, str] | None:
    if not examination.is_served:
        return "is there, but no daemon", examination.start_fix
    if _is_listed(examination, phone):
        return None
    for status in examination.server.phones or ():
        if status.port_path == phone.port_path:
            error = printable(status.last_error or "no error is known")
            return f"is {status.state.value} in the daemon: {error}", _REPLUG
    return "is not listed by the daemon", "sudo usbmux status, and the log: journalctl -u usbmuxd"


def _is_listed(examination: Examination, phone: BusPhone) -> bool:
    serial = normalized_udid(phone.serial)
    return any(normalized_udid(device.udid) == serial for device in examination.server.devices)
