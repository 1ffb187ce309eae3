"""All that the checks look at, found out once."""

from collections.abc import Callable, Iterator, Mapping
from typing import Final, TypeAlias

from usbmux.client.device import Device
from usbmux.commands.doctor.finding import Finding
from usbmux.commands.doctor.processes import Process, daemons
from usbmux.commands.doctor.server import Server, examine_server
from usbmux.commands.doctor.system_view import SystemView
from usbmux.commands.doctor.trust import examine_trust
from usbmux.commands.doctor.usb_bus import UsbBus, read_bus
from usbmux.control.address import Address, address_from_environment, default_address, parse_address
from usbmux.errors import AddressError, UsbmuxError
from usbmux.values import field, frozen

_SOCKET_UNITS: Final = tuple(f"{folder}/systemd/system/usbmuxd.socket" for folder in ("/etc", "/usr/lib", "/lib"))
_CONTAINER_MARKS: Final = ("/.dockerenv", "/run/.containerenv", "/run/systemd/container")


@frozen
class Examination:
    """What was found out."""

    view: SystemView
    server: Server
    given: Address | None = None
    """The daemon's address, if an option named it."""
    bus: UsbBus = field(default_factory=UsbBus)
    daemons: tuple[Process, ...] = ()
    """Those that run on this computer."""
    trust: Mapping[Device, UsbmuxError | None] = field(default_factory=dict)
    """What is wrong with the pairing of each phone that the daemon lists."""

    @property
    def is_linux(self) -> bool:
        """Whether the bus and the processes can be seen."""
        return self.view.platform == "linux"

    @property
    def is_served(self) -> bool:
        """Whether a daemon answers."""
        return self.server.trouble is None

    @property
    def is_container(self) -> bool:
        """Whether this system shares the kernel of another one."""
        return "container" in self.view.environ or any(map(self.view.is_there, _CONTAINER_MARKS))

    @property
    def is_wsl(self) -> bool:
        """Whether this is Linux inside Windows."""
        return "microsoft" in (self.view.text("/proc/sys/kernel/osrelease") or "").lower()

    @property
    def start_fix(self) -> str:
        """How a daemon is started here."""
        if not self.is_linux:
            return "start Apple's daemon (plug a phone in, or install iTunes on Windows), or ours: usbmuxd -f"
        if self.is_container:
            return "usbmuxd -f here, or share the host's: docker run -v /run/usbmuxd:/run/usbmuxd ..."
        if self.view.is_there("/run/systemd/system") and any(map(self.view.is_there, _SOCKET_UNITS)):
            return "sudo systemctl start usbmuxd.socket"
        return "sudo usbmux install-service, or in a terminal: sudo usbmuxd -f"


Check: TypeAlias = Callable[[Examination], Iterator[Finding]]
"""Looks at one thing; a finding for each part of it that is good or bad, none where there is nothing to look at."""


def examine(view: SystemView, option: str | None) -> Examination:
    """Find it all out: takes some seconds at most, and changes nothing.

    Args:
        view: Of this computer.
        option: The daemon's address, if it was given.

    Raises:
        AddressError: The option is none.
    """
    given = parse_address(option) if option else None
    server = examine_server(view, given or _usual_address(view))
    return Examination(
        view=view,
        server=server,
        given=given,
        bus=read_bus(view),
        daemons=daemons(view),
        trust=examine_trust(server.address, server.devices) if server.devices else {},
    )


def _usual_address(view: SystemView) -> Address:
    try:
        return address_from_environment(view.environ, view.platform)
    except AddressError:
        return default_address(view.platform)  # a check tells of it
