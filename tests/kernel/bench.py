"""A daemon under test in a guest with phones, and the clock that sees phones come and go."""

from __future__ import annotations

import os
import signal
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tests.kernel.channel import GuestProgram
    from tests.kernel.figures import Figures
    from tests.kernel.guest import Guest
    from tests.kernel.phones import PluggedPhone

IS_FULL = os.environ.get("USBMUX_KERNEL_FULL") == "1"
"""Whether all rounds are wanted, or those for continuous integration."""
STARTED_WITHIN_S = 180.0
# After this a phone counts as lost. How long it takes is another question; this must do on a machine with much to do.
ATTACHED_WITHIN_S = 45.0
DETACHED_WITHIN_S = 45.0
# The figures of another daemon are wanted, but not at the cost of ours.
OTHERS_WITHIN_S = 15.0


@dataclass(frozen=True, slots=True)
class Subject:
    """A daemon to be tested."""

    name: str
    arguments: tuple[str, ...]
    is_ours: bool


OURS = Subject("ours", ("python3", "-m", "usbmux.commands.usbmuxd", "-f", "-v"), is_ours=True)
# Without the pairing that it begins by itself: the phones have no lockdownd, and it would not show them.
DEBIANS = Subject("Debian's 1.1.1", ("/usr/sbin/usbmuxd", "-f", "-v", "-p"), is_ours=False)


class Comings:
    """What `programs/comings.py` has seen, in order."""

    def __init__(self, program: GuestProgram) -> None:
        self._program = program

    def wait(self, patterns: Sequence[str], within_s: float) -> list[float]:
        """When, by the guest's clock, each was seen; in any order, but after all that was waited for before."""
        lines = self._program.wait_for_lines(patterns, within_s)
        return [float(lines[pattern].partition(" ")[0]) for pattern in patterns]


class Bench:
    """Runs the daemon from entering to leaving; when entered, it has all phones."""

    def __init__(self, guest: Guest, phones: Sequence[PluggedPhone], subject: Subject, figures: Figures) -> None:
        self.guest = guest
        self.phones = phones
        self.subject = subject
        self._figures = figures
        self._ending = ExitStack()
        self._ports: dict[PluggedPhone, str] = {}

    def __enter__(self) -> Self:
        with ExitStack() as ending:
            for phone in self.phones:
                self._ports[phone] = self._port(phone)
                phone.take_violations()
            self.comings = Comings(ending.enter_context(self.guest.start("python3", "/project/comings.py")))
            self.comings.wait(["watching"], STARTED_WITHIN_S)
            self.start_daemon()
            ending.callback(lambda: self.daemon.stop())
            self.comings.wait(["daemon came"], STARTED_WITHIN_S)
            self.comings.wait(self.attachments, ATTACHED_WITHIN_S)
            self._ending = ending.pop_all()
        return self

    def __exit__(self, *exception: object) -> None:
        with self._ending:
            status = self.daemon.stop()
            print(self.daemon.output)
            violations = {phone.udid: phone.take_violations() for phone in self.phones}
        if self.subject.is_ours:
            assert status == 0, self.daemon.output
            assert "Traceback" not in self.daemon.output
        assert not any(violations.values()), violations

    def start_daemon(self) -> None:
        self.daemon = self.guest.start(*self.subject.arguments)

    def kill_daemon(self) -> None:
        self.daemon.signal(signal.SIGKILL)
        self.daemon.wait()

    @property
    def attachments(self) -> list[str]:
        """What is seen when each of the phones has come."""
        return [f"attached {phone.udid}" for phone in self.phones]

    @property
    def detachments(self) -> list[str]:
        """What is seen when each of the phones has gone."""
        return [f"detached {phone.udid}" for phone in self.phones]

    @property
    def movements(self) -> list[str]:
        """What `traffic` writes when bytes flow from and to each of the phones."""
        return [f"{direction} {phone.udid}" for phone in self.phones for direction in ("reading", "writing")]

    def traffic(self) -> GuestProgram:
        """Moves bytes from and to all phones, again and again, until it is left."""
        return self.guest.start("python3", "/project/traffic.py", *(phone.udid for phone in self.phones))

    def unplug(self) -> list[float]:
        """Pulls all plugs; how long each phone was still shown after the kernel knew."""
        for phone in self.phones:
            phone.unplug()
        events = [*self._kernel_says("USB disconnect"), *self.detachments]
        return _differences(self.comings.wait(events, self._patience_s(DETACHED_WITHIN_S)))

    def plug(self) -> list[float]:
        """Plugs in all phones; how long after the kernel each was shown."""
        for phone in self.phones:
            phone.plug()
        events = [*self._kernel_says("new .* USB device"), *self.attachments]
        return _differences(self.comings.wait(events, self._patience_s(ATTACHED_WITHIN_S)))

    def _patience_s(self, ours_s: float) -> float:
        return ours_s if self.subject.is_ours else OTHERS_WITHIN_S

    @contextmanager
    def judge(self, check: str) -> Iterator[list[str]]:
        """Records what a check adds to the list, or that it fails: of ours that is an error, of others a fact."""
        results: list[str] = []
        try:
            yield results
        except AssertionError as error:
            reason = str(error).partition("\n")[0]
            self._figures.record(check, self.subject.name, "; ".join([*results, f"FAILS: {reason[:60]}"]))
            if self.subject.is_ours:
                raise
            self._begin_anew()
            pytest.xfail(f"{self.subject.name}: {error}")
        else:
            self._figures.record(check, self.subject.name, "; ".join(results))

    def _begin_anew(self) -> None:
        """Whatever state it was left in: the next check finds a fresh daemon and all phones."""
        self.kill_daemon()
        for phone in self.phones:
            phone.plug()
            phone.take_violations()
        self.guest.run("udevadm settle")
        self.start_daemon()
        self.comings.wait(["daemon came"], STARTED_WITHIN_S)
        self.comings.wait(self.attachments, ATTACHED_WITHIN_S)

    def _kernel_says(self, what: str) -> list[str]:
        return [f"kernel usb {self._ports[phone]}: {what}" for phone in self.phones]

    def _port(self, phone: PluggedPhone) -> str:
        serial = phone.udid.replace("-", "")
        # Once it was not there, though the daemon had attached the phone; perhaps udev's rule was at work.
        look = f"grep -l {serial} /sys/bus/usb/devices/*/serial"
        path = self.guest.run(f"for _ in $(seq 50); do {look} && exit 0; sleep 0.1; done; exit 1").output.strip()
        return path.removeprefix("/sys/bus/usb/devices/").removesuffix("/serial")


def _differences(times_s: Sequence[float]) -> list[float]:
    """Of the second half from the first."""
    half = len(times_s) // 2
    return [end_s - begin_s for begin_s, end_s in zip(times_s[:half], times_s[half:], strict=True)]
