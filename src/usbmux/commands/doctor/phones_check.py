"""The phones that the daemon has: whether they are well, and trust this computer."""

import errno
import shlex
from collections.abc import Iterator
from typing import Final

from usbmux.admin.message import PhoneState
from usbmux.client.device import Device
from usbmux.commands.doctor.examination import Examination
from usbmux.commands.doctor.finding import Finding, Severity
from usbmux.commands.table import printable
from usbmux.errors import (
    DeviceNotFoundError,
    LockdownError,
    NotPairedError,
    PairRecordNotFoundError,
    PhoneLockedError,
    PortRefusedError,
    RequestError,
    UsbmuxError,
)

_CHECK: Final = "phones"


def check_phones(examination: Examination) -> Iterator[Finding]:
    """Each phone of the daemon."""
    server = examination.server
    if not examination.is_served:
        return
    on_bus = {phone.port_path for phone in examination.bus.phones}
    for phone in server.phones or ():
        if phone.state is PhoneState.QUARANTINED and phone.port_path not in on_bus:
            text = f"the phone at {phone.port_path} failed and rests: {printable(phone.last_error or 'not known why')}"
            yield Finding(_CHECK, Severity.PROBLEM, text, fix="unlock the phone and plug it in again")
    for device, error in examination.trust.items():
        yield _trust(device, error)
    if not server.devices:
        yield Finding(_CHECK, Severity.NOTE, "the daemon lists no phone")


def _trust(device: Device, error: UsbmuxError | None) -> Finding:
    at = f" at {device.port_path}" if device.port_path else ""
    udid = printable(device.udid)
    name = f"the phone {udid}{at}"
    match error:
        case None:
            return Finding(_CHECK, Severity.OK, f"{name} is paired with this computer")
        case PairRecordNotFoundError() | NotPairedError():
            fix = f"usbmux pair -u {shlex.quote(udid)} --wait 60, and tap Trust on the phone"
            return Finding(_CHECK, Severity.WARNING, f"{name} is not paired with this computer", fix)
        case PhoneLockedError():
            return Finding(_CHECK, Severity.WARNING, f"{name} is locked", fix="unlock it, then: usbmux doctor")
        case PortRefusedError():
            return Finding(_CHECK, Severity.NOTE, f"{name} has no lockdown, so it cannot be asked whether it trusts us")
        case DeviceNotFoundError():
            return Finding(_CHECK, Severity.WARNING, f"{name} left while it was asked", fix="check its cable")
        case RequestError(result=errno.EPERM | errno.EACCES):
            return Finding(_CHECK, Severity.NOTE, f"{name} may be paired; its record is not for you to read")
        case LockdownError():
            fix = f"usbmux pair -u {shlex.quote(udid)} --wait 60"
            return Finding(_CHECK, Severity.WARNING, f"{name}: {printable(str(error))}", fix)
        case _:
            text = f"{name} does not answer as it should: {printable(str(error))}"
            return Finding(_CHECK, Severity.WARNING, text, fix="unlock it and plug it in again")
