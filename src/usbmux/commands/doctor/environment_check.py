"""Variables of the environment that contradict each other, or that a program cannot read."""

import shlex
import shutil
from collections.abc import Iterator
from typing import Final

from usbmux.client.programs import FOREIGN_PROGRAMS, ForeignProgram
from usbmux.client.selection import select_device
from usbmux.commands.doctor.examination import Examination
from usbmux.commands.doctor.finding import Finding, Severity
from usbmux.commands.doctor.system_view import SystemView
from usbmux.commands.table import printable
from usbmux.control.address import ENVIRONMENT_VARIABLE, Address, parse_address
from usbmux.errors import AddressError, UsbmuxError

_CHECK: Final = "environment"
_MISTAKEN_VARIABLE: Final = "USBMUX_ADDRESS"
_DEVICE_VARIABLE: Final = "USBMUX_UDID"


def check_environment(examination: Examination) -> Iterator[Finding]:
    """The variables that name a daemon or a phone."""
    findings = [
        *_ours(examination),
        *_foreign(examination),
        *_chosen_phone(examination),
    ]
    yield from findings or [Finding(_CHECK, Severity.OK, "no variable is in the way")]


def _ours(examination: Examination) -> Iterator[Finding]:
    environ, given = examination.view.environ, examination.given
    if _MISTAKEN_VARIABLE in environ:
        yield Finding(
            _CHECK,
            Severity.WARNING,
            f"{_MISTAKEN_VARIABLE} is set, which usbmux does not read",
            f"unset {_MISTAKEN_VARIABLE}; export {ENVIRONMENT_VARIABLE}=... instead",
        )
    text = environ.get(ENVIRONMENT_VARIABLE)
    if not text:
        return
    try:
        address = parse_address(text)
    except AddressError as error:
        text = f"{ENVIRONMENT_VARIABLE} holds no address: {error}"
        yield Finding(_CHECK, Severity.PROBLEM, text, fix=f"unset {ENVIRONMENT_VARIABLE}")
        return
    if given is not None and given != address:
        yield Finding(
            _CHECK,
            Severity.WARNING,
            f"--socket names {given}, but {ENVIRONMENT_VARIABLE} sends other programs to {address}",
            f"{_telling(examination)}, or leave --socket away",
        )


def _foreign(examination: Examination) -> Iterator[Finding]:
    view, address, unable = examination.view, examination.server.address, []
    for program in FOREIGN_PROGRAMS:
        variable = next((name for name in program.variables if view.environ.get(name)), None)
        if variable is None:
            continue
        text = printable(view.environ[variable])
        fix = _telling(examination, f"--for {program.key}")
        if not program.reads(text):
            if _is_installed(view, program):
                instead = ", and asks the system's daemon without a word" if program.falls_back else ""
                complaint = f"{program.name} does not understand {variable}={text}{instead}"
                yield Finding(_CHECK, Severity.WARNING, complaint, fix)
            else:
                unable.append(program.name)
        elif variable != ENVIRONMENT_VARIABLE and not _leads_to(text, address):
            complaint = f"{variable} sends {program.name} to {text}, but usbmux asks {address}"
            yield Finding(_CHECK, Severity.WARNING, complaint, f"unset {variable}, or: {fix}")
    if unable:
        text = f"{', '.join(unable)}, not seen in the PATH, would not understand how the address is spelled"
        yield Finding(_CHECK, Severity.NOTE, text, _telling(examination))


def _telling(examination: Examination, option: str = "") -> str:
    """How programs are told the address that this doctor was told."""
    socket = "" if examination.given is None else f" --socket {shlex.quote(str(examination.given))}"
    return f'eval "$(usbmux{socket} env{" " if option else ""}{option})"'


def _leads_to(text: str, address: Address) -> bool:
    try:
        return parse_address(text) == address
    except AddressError:
        return False


def _is_installed(view: SystemView, program: ForeignProgram) -> bool:
    path = view.environ.get("PATH", "")
    return any(shutil.which(command, path=path) for command in program.commands)


def _chosen_phone(examination: Examination) -> Iterator[Finding]:
    wanted = examination.view.environ.get(_DEVICE_VARIABLE)
    if not wanted or not examination.is_served:
        return
    try:
        select_device(examination.server.devices, wanted)
    except UsbmuxError as error:
        yield Finding(_CHECK, Severity.WARNING, f"{_DEVICE_VARIABLE}: {error}", fix=f"unset {_DEVICE_VARIABLE}")
