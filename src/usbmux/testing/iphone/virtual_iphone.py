"""A simulated phone with lockdown and services, which programs take for an iPhone."""

import asyncio
import secrets
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Final, assert_never

from usbmux.errors import RemoteProtocolError
from usbmux.testing.iphone.afc.file_tree import FileTree
from usbmux.testing.iphone.afc.memory_tree import MemoryTree
from usbmux.testing.iphone.afc.service import AfcService
from usbmux.testing.iphone.certificates import DeviceKey, shared_key
from usbmux.testing.iphone.faults import LockdownFaults, ServiceFaults, TlsOptions
from usbmux.testing.iphone.hosts import HostRecord, Hosts, Trust
from usbmux.testing.iphone.identity import Identity
from usbmux.testing.iphone.lockdown import Lockdown
from usbmux.testing.iphone.lockdown_error import LockdownError
from usbmux.testing.iphone.lockdown_session import LOCKDOWN_PORT
from usbmux.testing.iphone.service_ports import ServicePorts
from usbmux.testing.iphone.services.application import DEFAULT_APPLICATIONS, Application
from usbmux.testing.iphone.services.catalogue import default_services
from usbmux.testing.iphone.services.context import Service
from usbmux.testing.iphone.services.diagnostics_relay import PowerAction
from usbmux.testing.iphone.services.house_arrest import HouseArrest
from usbmux.testing.iphone.services.hub import Hub
from usbmux.testing.iphone.services.log_entry import PROCESSES, LogEntry, welcome_entry
from usbmux.testing.iphone.tls_server import TlsServer
from usbmux.testing.iphone.values import Domain, Values
from usbmux.testing.options import PhoneOptions
from usbmux.testing.phone import SimulatedPhone
from usbmux.testing.ports import PortHandler
from usbmux.testing.stream import PhoneStream
from usbmux.values import frozen

REQUEST_PAIR: Final = "com.apple.mobile.lockdown.request_pair"
"""The notification that tells hosts to ask for trust again."""
SPRINGBOARD_STARTED: Final = "com.apple.springboard.finishedstartup"
"""The notification that its screen can be used again."""
_LANGUAGE_CHANGED: Final = "com.apple.language.changed"
_CHANGED: Final[Mapping[tuple[Domain, str], str]] = {
    (None, "DeviceName"): "com.apple.mobile.lockdown.device_name_changed",
    (None, "TimeZone"): "com.apple.mobile.lockdown.timezone_changed",
    ("com.apple.international", "Language"): _LANGUAGE_CHANGED,
    ("com.apple.international", "Locale"): _LANGUAGE_CHANGED,
}
"""Which notification tells that a host has set a value."""
_ESCROW_BAG_LENGTH: Final = 32
_LOCKDOWND: Final = 58


@frozen
class _Context:
    """What services see of the phone."""

    identity: Values
    notifications: Hub[str]
    log: Hub[LogEntry]
    applications: tuple[Application, ...]


def usual_services(
    files: FileTree | None = None,
    carry_out: Callable[[PowerAction], None] | None = None,
    *,
    crash_reports: FileTree | None = None,
) -> dict[str, Service]:
    """Every service that there is, with its usual settings.

    Args:
        files: The media files; None for an empty tree in memory.
        carry_out: What the phone does when a host asks it to restart, shut down or sleep; None to refuse.
        crash_reports: The reports of crashes; None for an empty tree in memory.
    """
    return {
        **default_services(carry_out),
        "com.apple.afc": AfcService(files),
        "com.apple.crashreportcopymobile": AfcService(crash_reports or MemoryTree()),
        "com.apple.mobile.house_arrest": HouseArrest(),
    }


class VirtualIPhone:
    """A phone that unmodified programs can pair with and use.

    ::

        iphone = VirtualIPhone(Identity(product_version="17.5.1"))
        with RunningDaemon([iphone]) as daemon:
            subprocess.run(["ideviceinfo"], env=os.environ | daemon.environment)

    Args:
        identity: Who it is.
        services: What StartService starts, by name; None for `usual_services`, which let hosts turn the phone off.
        files: The media files of those usual services; None for an empty tree in memory.
        crash_reports: The reports of crashes, likewise.
        applications: What is installed.
        ports: More ports, for connections without lockdown.
        trust: What its owner does when a host asks to be trusted.
        key: Its private key; None for the one that phones of this process share.
        mux_version: Of the protocol that its end of the mux speaks: 1, 2, or another one, which no host can speak.
        options: How its end of the mux behaves.
        tls: How it does TLS.
        faults: What is wrong with its lockdown; may be changed through `lockdown`.
        service_faults: What is wrong with the ports of services; may be changed at any time.
        service_port_s: How long the port of a service stays open for a host, in seconds.
        restart_s: How long it is off the bus when a host restarts it, in seconds.
        springboard_s: How long its SpringBoard takes to start again when a host sets the language, in seconds.
        now: Its clock, in seconds since 1970.
    """

    def __init__(
        self,
        identity: Identity | None = None,
        *,
        services: Mapping[str, Service] | None = None,
        files: FileTree | None = None,
        crash_reports: FileTree | None = None,
        applications: tuple[Application, ...] = DEFAULT_APPLICATIONS,
        ports: Mapping[int, PortHandler] | None = None,
        trust: Trust = Trust.ACCEPTED,
        key: DeviceKey | None = None,
        mux_version: int = 2,
        options: PhoneOptions | None = None,
        tls: TlsOptions | None = None,
        faults: LockdownFaults | None = None,
        service_faults: ServiceFaults | None = None,
        service_port_s: float = 30.0,
        restart_s: float = 1.0,
        springboard_s: float = 3.0,
        now: Callable[[], float] = time.time,
    ) -> None:
        identity, key = identity or Identity(), key or shared_key()
        self.values: Final = Values(identity.all_domains(key.public_pem), now=now)
        """What lockdown tells of it."""
        self.hosts: Final = Hosts(trust)
        """Whom it trusts."""
        self.tls: Final = TlsServer(key, tls or TlsOptions())
        """How it does TLS."""
        self.lockdown: Final = Lockdown(self, self.tls, faults)
        """What serves its port 62078."""
        self.device: Final = SimulatedPhone(identity.udid, ports=ports, version=mux_version, options=options)
        self.device.add_port(LOCKDOWN_PORT, self.lockdown)
        self.notifications: Final = Hub[str]()
        """The notifications that are posted on it."""
        self.log: Final = Hub(welcome=welcome_entry)
        """What is logged on it."""
        self.service_faults = service_faults or ServiceFaults()
        usual = usual_services(files, self.carry_out, crash_reports=crash_reports)
        self.services: Final = usual if services is None else dict(services)
        """What StartService starts, by name; may be changed at any time."""
        self._restart_s = restart_s
        self._springboard_s = springboard_s
        self._service_ports = ServicePorts(self.device, service_port_s)
        self._context = _Context(self.values, self.notifications, self.log, applications)

    @property
    def applications(self) -> tuple[Application, ...]:
        """What is installed."""
        return self._context.applications

    @property
    def udid(self) -> str:
        """Its serial number on the bus, by which hosts know it."""
        return self.device.udid

    @property
    def summary(self) -> str:
        """Its name, type and version, as they are now."""
        name, kind, version = map(self.values.value, ("DeviceName", "ProductType", "ProductVersion"))
        return f"{name}, {kind}, iOS {version}"

    def answer_trust(self, trust: Trust) -> None:
        """Let the owner answer the question whether to trust hosts; those that wait for it are told to ask again."""
        self.hosts.trust = trust
        self.notifications.post(REQUEST_PAIR)

    def pair(self, record: HostRecord) -> bytes | LockdownError:
        """Trust a host; its escrow bag, or what is wrong with its record."""
        try:
            self.tls.check(record)
        except RemoteProtocolError:
            return LockdownError.INVALID_PAIR_RECORD
        self.hosts.remember(record)
        self._log(f"trusting host {record.host_id}")
        return secrets.token_bytes(_ESCROW_BAG_LENGTH)

    def start_service(self, name: str, host: HostRecord | None) -> int | LockdownError:
        """Open a port for one connection to a service, inside TLS if a host is given; the port."""
        service = self.services.get(name)
        if service is None:
            return LockdownError.INVALID_SERVICE

        self._log(f"starting {name} for {'anybody' if host is None else f'host {host.host_id}'}")

        faults = self.service_faults
        if faults.refuses:
            return self._service_ports.unused_port()

        async def serve(stream: PhoneStream) -> None:
            if faults.reset_text is not None:
                stream.reset(faults.reset_text)
                return
            with suppress(ConnectionResetError, asyncio.IncompleteReadError):  # the host is gone
                await self._serve(service, stream, host)

        return self._service_ports.open(serve, faults.accept_delay_s) or LockdownError.SERVICE_LIMIT

    def carry_out(self, action: PowerAction) -> None:
        """Do what a host asks the whole phone to do; it leaves the bus if `SimulatedPhone.plug_into` has put it there.

        For the loop of the phone.
        """
        match action:
            case PowerAction.RESTART:
                self.device.leave(back_after_s=self._restart_s)
            case PowerAction.SHUTDOWN:
                self.device.leave()
            case PowerAction.SLEEP:
                pass  # only its screen goes dark while it is on a cable
            case _:
                assert_never(action)

    def announce_change(self, key: str, domain: Domain) -> None:
        """Post the notification that a host has set a value, if there is one. For the loop of the phone."""
        name = _CHANGED.get((domain, key))
        if name is None:
            return
        self.notifications.post(name)
        if name == _LANGUAGE_CHANGED:  # go-ios waits for it
            asyncio.get_running_loop().call_later(self._springboard_s, self.notifications.post, SPRINGBOARD_STARTED)

    def enter_recovery(self) -> None:
        """Leave the bus for good: what would come back has no mux."""
        self.device.leave()

    def _log(self, message: str) -> None:
        self.log.post(LogEntry(message, process_path=PROCESSES[_LOCKDOWND], pid=_LOCKDOWND))

    async def _serve(self, service: Service, stream: PhoneStream, host: HostRecord | None) -> None:
        if host is None:
            await service(stream, self._context)
        elif self.hosts.is_trusted(host):
            channel = await self.tls.accept(stream, host)
            await service(channel, self._context)
            await self.tls.say_end(channel)
        else:
            stream.reset(b"the host is not trusted any longer")
