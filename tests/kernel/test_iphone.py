"""A virtual iPhone at a host controller of a real kernel, and a daemon that pairs with it as soon as it comes."""

from __future__ import annotations

import time
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from tests.kernel.bench import IS_FULL, OURS, Subject
from tests.kernel.guest import Guest
from tests.kernel.phones import Phones
from usbmux.testing.iphone import Identity, VirtualIPhone

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.kernel.figures import Figures
    from tests.kernel.phones import PluggedPhone
    from usbmux.testing import PhoneOptions, SimulatedPhone

# With the pairing that it begins by itself.
DEBIANS = Subject("Debian's 1.1.1", ("/usr/sbin/usbmuxd", "-f", "-v"), is_ours=False)
RECORDS = "/var/lib/lockdown"
# Who pairs, and who goes on from there.
ORDERS = [(DEBIANS, OURS)] + ([(OURS, DEBIANS)] if IS_FULL else [])
# Two keys are made, on a processor that is emulated.
PAIRED_WITHIN_S = 120.0

pytestmark = [
    pytest.mark.kernel,
    pytest.mark.slow,
    pytest.mark.timeout(600),
]


@dataclass(frozen=True, slots=True)
class Rig:
    """A guest, the phone at its controller, and the place where that is plugged in."""

    guest: Guest
    iphone: VirtualIPhone
    plugged: PluggedPhone

    def wait_paired(self) -> str:
        """Waits until the daemon has a pair record of the phone; its HostID."""
        record = f"{RECORDS}/{self.iphone.udid}.plist"
        self.guest.run(f"until [ -s {record} ]; do sleep 0.1; done", within_s=PAIRED_WITHIN_S)
        program = f"import plistlib; print(plistlib.load(open({record!r}, 'rb'))['HostID'])"
        return self.guest.run("python3", "-c", program).output.strip()

    def wait_listed(self) -> None:
        """Waits until clients are shown the phone."""
        self.guest.run(f"until idevice_id -l | grep {self.iphone.udid}; do sleep 0.1; done", within_s=PAIRED_WITHIN_S)

    def replug(self) -> None:
        """Returns when the phone has gone and come again for clients."""
        self.plugged.unplug()
        self.guest.run("while idevice_id -l | grep -- -; do sleep 0.1; done")
        self.plugged.plug()
        self.wait_listed()

    def check_use(self, name: str) -> None:
        """Has libimobiledevice rename the phone, which only the paired may."""
        self.guest.run("idevicename", name)
        assert self.iphone.values.value("DeviceName") == name


@pytest.fixture(scope="module")
def rig(initramfs: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    folder = tmp_path_factory.mktemp("guest")
    iphones: list[VirtualIPhone] = []

    def make_phone(_: int, options: PhoneOptions) -> SimulatedPhone:
        iphones.append(VirtualIPhone(Identity(device_name="Ada"), options=options))
        return iphones[-1].device

    with ExitStack() as ending:
        phones = ending.enter_context(Phones(folder, ["xhci"], make_phone=make_phone))
        [plugged] = phones
        guest = ending.enter_context(Guest(initramfs, folder, processors=2, cables=[plugged.cable]))
        yield Rig(guest, iphones[0], plugged)


@contextmanager
def running(rig: Rig, subject: Subject) -> Iterator[None]:
    """A daemon that knows what is in `RECORDS`; it must not break a rule of the phone's."""
    with rig.guest.start(*subject.arguments) as daemon:
        yield
        if subject.is_ours:  # which shows the phone before it has tried the pairing
            daemon.wait_for_line(f"{rig.iphone.udid}: is paired")
        daemon.stop()
    assert "Traceback" not in daemon.output
    assert rig.plugged.take_violations() == []


@pytest.mark.parametrize(("first", "second"), ORDERS, ids=[first.name for first, _ in ORDERS])
def test_iphone_plugged_is_paired_once_and_for_all(rig: Rig, first: Subject, second: Subject, figures: Figures) -> None:
    rig.guest.run(f"rm -rf {RECORDS} && mkdir {RECORDS}")
    rig.iphone.hosts.revoke()
    started_s = time.monotonic()
    with running(rig, first):
        rig.wait_listed()
        host_id = rig.wait_paired()
        figures.record("a virtual iPhone is paired", first.name, f"after {time.monotonic() - started_s:.1f} s")
        assert rig.iphone.hosts.host_ids == (host_id,)
        rig.check_use("Ada")
        rig.replug()
        rig.check_use("Grace")
    with running(rig, second):
        rig.wait_listed()
        rig.check_use("Barbara")
    assert rig.wait_paired() == host_id
    assert rig.iphone.hosts.host_ids == (host_id,)
