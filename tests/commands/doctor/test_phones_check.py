from __future__ import annotations

import errno

import pytest

from tests.commands.doctor.made_up import NOBODY, UDID, MadeUpSystem, said, served
from usbmux import Client
from usbmux.admin.message import PhoneState, PhoneStatus
from usbmux.client.device import Device
from usbmux.commands.doctor.phones_check import check_phones
from usbmux.commands.doctor.trust import examine_trust
from usbmux.control.message import ResultCode
from usbmux.errors import (
    DeviceNotFoundError,
    LockdownError,
    NotPairedError,
    PairRecordNotFoundError,
    PhoneLockedError,
    PortRefusedError,
    RemoteProtocolError,
    RequestError,
    UsbmuxError,
)
from usbmux.testing import RunningDaemon, SimulatedPhone
from usbmux.testing.iphone import Identity, LockdownFaults, VirtualIPhone

DEVICE = Device(1, UDID, port_path="1-2")
NAME = f"the phone {UDID} at 1-2"
PAIR = f"usbmux pair -u {UDID} --wait 60"


@pytest.mark.parametrize(
    ("error", "severity", "text", "fix"),
    [
        (None, "ok", f"{NAME} is paired with this computer", ""),
        (
            PairRecordNotFoundError(errno.ENOENT, "none"),
            *("warning", f"{NAME} is not paired with this computer", f"{PAIR}, and tap Trust on the phone"),
        ),
        (
            NotPairedError("forgotten"),
            *("warning", f"{NAME} is not paired with this computer", f"{PAIR}, and tap Trust on the phone"),
        ),
        (PhoneLockedError("locked"), "warning", f"{NAME} is locked", "unlock it, then: usbmux doctor"),
        (
            PortRefusedError(ResultCode.CONNECTION_REFUSED, "no"),
            *("note", f"{NAME} has no lockdown, so it cannot be asked whether it trusts us", ""),
        ),
        (
            DeviceNotFoundError(ResultCode.BAD_DEVICE, "gone"),
            *("warning", f"{NAME} left while it was asked", "check its cable"),
        ),
        (
            RequestError(errno.EPERM, "not yours"),
            *("note", f"{NAME} may be paired; its record is not for you to read", ""),
        ),
        (LockdownError("odd\x1b"), "warning", f"{NAME}: odd?", PAIR),
        (
            RemoteProtocolError("nonsense"),
            *("warning", f"{NAME} does not answer as it should: nonsense", "unlock it and plug it in again"),
        ),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, UsbmuxError) else "",
)
def test_each_trouble_with_a_phone_says_what_to_do(
    system: MadeUpSystem, error: UsbmuxError | None, severity: str, text: str, fix: str
) -> None:
    examination = system.examination(served(DEVICE), trust={DEVICE: error})
    assert said(check_phones, examination) == [(severity, text, fix)]


def test_name_of_a_hostile_phone_does_nothing_to_a_terminal_or_a_shell(system: MadeUpSystem) -> None:
    device = Device(1, "\x1b[2J;reboot")
    ((_severity, text, fix),) = said(
        check_phones, system.examination(served(device), trust={device: NotPairedError("")})
    )
    assert text == "the phone ?[2J;reboot is not paired with this computer"
    assert fix.startswith("usbmux pair -u '?[2J;reboot' ")


def test_no_phone_is_a_note_and_no_daemon_is_not_repeated(system: MadeUpSystem) -> None:
    assert said(check_phones, system.examination(served())) == [("note", "the daemon lists no phone", "")]
    assert said(check_phones, system.examination(NOBODY)) == []


def test_phone_that_failed_in_a_daemon_on_another_bus_says_why(system: MadeUpSystem) -> None:
    resting = PhoneStatus(PhoneState.QUARANTINED, "3-1", last_error="no answer\x07")
    system.phone("1-2")
    at_the_bus = PhoneStatus(PhoneState.QUARANTINED, "1-2", last_error="told by the check of the bus")
    findings = said(check_phones, system.examination(served(DEVICE, phones=(resting, at_the_bus))))
    assert findings == [
        ("problem", "the phone at 3-1 failed and rests: no answer?", "unlock the phone and plug it in again")
    ]


def trust_of(daemon: RunningDaemon) -> dict[str, type[UsbmuxError] | None]:
    """What is wrong with each phone, by its UDID."""
    found = examine_trust(daemon.address, Client(daemon.address).devices())
    return {device.udid: None if error is None else type(error) for device, error in found.items()}


@pytest.mark.slow
def test_trust_of_every_phone_is_examined_and_nobody_is_asked_for_it() -> None:
    strange, known, forgetful = (VirtualIPhone(Identity(f"00008030-{number:016}")) for number in (1, 2, 3))
    plain = SimulatedPhone("00008030-0000000000000004")
    with RunningDaemon([strange, known, forgetful, plain]) as daemon:
        for phone in (known, forgetful):
            with Client(daemon.address).lockdown(phone.udid) as lockdown:
                lockdown.pair()
        forgetful.hosts.revoke()
        assert trust_of(daemon) == {
            strange.udid: PairRecordNotFoundError,
            known.udid: None,
            forgetful.udid: NotPairedError,
            plain.udid: PortRefusedError,
        }
        assert strange.hosts.host_ids == ()


@pytest.mark.slow
def test_phone_whose_lockdown_fails_is_not_taken_for_paired() -> None:
    phone = VirtualIPhone()
    with RunningDaemon([phone]) as daemon:
        with Client(daemon.address).lockdown() as lockdown:
            lockdown.pair()
        phone.lockdown.faults = LockdownFaults(error="PasswordProtected")
        assert trust_of(daemon) == {phone.udid: PhoneLockedError}
