"""Virtual iPhones from TOML, or out of nothing.

::

    [[iphone]]
    udid = "00008030-001A2B3C4D5E6F01"       # and the other keys of `identity_file`
    trust = "pending"                        # accepted, pending, denied or locked
    files = "media"                          # a directory beside this file, for AFC
    crash_reports = "crashes"                # likewise, for reports of crashes
    without_services = ["com.apple.mobile.screenshotr"]
    ports.22 = "127.0.0.1:2222"              # as those of a [[phone]], in the place of the usual ones
    mux_version = 1

    [[iphone.application]]
    identifier = "com.example.notes"
    name = "Notes"
    files = "notes"                          # its container

    [iphone.lockdown_faults]                 # also service_faults, afc_faults, tls, mux
    at_request = 3
    delay_s = 5
"""

from pathlib import Path
from typing import Final, TypeVar

from usbmux.errors import LocalProtocolError, UsbmuxError
from usbmux.testing.iphone.afc.faults import AfcFaults
from usbmux.testing.iphone.afc.file_tree import FileTree
from usbmux.testing.iphone.afc.memory_tree import MemoryTree
from usbmux.testing.iphone.afc.service import AfcService
from usbmux.testing.iphone.faults import LockdownFaults, ServiceFaults, TlsOptions
from usbmux.testing.iphone.hosts import Trust
from usbmux.testing.iphone.identity import Identity
from usbmux.testing.iphone.identity_file import read_identity
from usbmux.testing.iphone.lockdown_session import LOCKDOWN_PORT
from usbmux.testing.iphone.services.application import DEFAULT_APPLICATIONS, Application
from usbmux.testing.iphone.services.house_arrest import HouseArrest
from usbmux.testing.iphone.settings_table import SettingsTable
from usbmux.testing.iphone.virtual_iphone import VirtualIPhone
from usbmux.testing.options import VERSIONS, PhoneOptions, check_options
from usbmux.testing.phone_keys import default_udid, read_ports
from usbmux.testing.ports import PortHandler, digest, discard, echo, http, source

T = TypeVar("T")
AFC: Final = "com.apple.afc"
CRASH_REPORTS: Final = "com.apple.crashreportcopymobile"
HOUSE_ARREST: Final = "com.apple.mobile.house_arrest"
SETTINGS: Final = {
    "afc_faults": AfcFaults,
    "lockdown_faults": LockdownFaults,
    "mux": PhoneOptions,
    "service_faults": ServiceFaults,
    "tls": TlsOptions,
}
"""The tables of settings that an ``[[iphone]]`` may have."""
KEYS: Final = ("application", "crash_reports", "files", "mux_version", "ports", "trust", "without_services", *SETTINGS)
"""What an ``[[iphone]]`` may have besides the keys of its identity."""
_PORTS: Final[dict[int, PortHandler]] = {7: echo, 9: discard, 19: source, 80: http, 99: digest}


def default_iphones(count: int) -> list[VirtualIPhone]:
    """That many virtual iPhones with distinct UDIDs, chip ids and names, the same in every run.

    Besides lockdown, port 7 is echo, 9 discard, 19 source, 80 HTTP, 99 digest.
    """
    return [VirtualIPhone(default_identity(index), ports=_PORTS) for index in range(count)]


def default_identity(index: int) -> Identity:
    """Who the phone of that number is, counted from 0, if nobody says otherwise."""
    name = f"Virtual iPhone {index + 1}" if index else "Virtual iPhone"
    return Identity(udid=default_udid(index), device_name=name)


def read_iphone(table: object, place: str, folder: Path, usual: Identity) -> VirtualIPhone:
    """The phone that a table describes.

    Args:
        table: What was read.
        place: What error messages call the table.
        folder: Where the files are that it names.
        usual: Who it is as far as the table does not say.

    Raises:
        UsbmuxError: A key is unknown, or its value is not what it must be.
    """
    if not isinstance(table, dict):
        raise UsbmuxError(f"{place}: expected a table, found {table!r}")
    reader = _Reader(table, place, folder)
    own = {key: value for key, value in table.items() if key not in KEYS}
    identity = read_identity(own, f"{place}.", usual=usual, besides=KEYS)
    applications, containers = reader.applications()
    iphone = VirtualIPhone(
        identity,
        applications=applications,
        ports=reader.ports(),
        trust=reader.trust(),
        mux_version=reader.mux_version(),
        options=reader.options(),
        tls=reader.tls(),
        faults=reader.settings("lockdown_faults", LockdownFaults) if "lockdown_faults" in table else None,
        service_faults=reader.settings("service_faults", ServiceFaults),
    )
    faults = reader.settings("afc_faults", AfcFaults)
    iphone.services[AFC] = AfcService(reader.files(table.get("files"), "files"), faults)
    crash_reports = reader.files(table.get("crash_reports"), "crash_reports")
    iphone.services[CRASH_REPORTS] = AfcService(crash_reports or MemoryTree(), faults)
    iphone.services[HOUSE_ARREST] = HouseArrest(containers, faults)
    reader.remove_services(iphone)
    return iphone


class _Reader:
    """Reads the parts of one table."""

    def __init__(self, table: dict[str, object], place: str, folder: Path) -> None:
        self._table = table
        self._place = place
        self._folder = folder

    def settings(self, key: str, kind: type[T]) -> T:
        return SettingsTable(kind, self._folder).read(self._table.get(key, {}), f"{self._place}.{key}")

    def trust(self) -> Trust:
        text = self._table.get("trust", Trust.ACCEPTED.value)
        if text not in list(Trust):
            raise UsbmuxError(f"{self._place}.trust: expected one of {', '.join(Trust)}, found {text!r}")
        return Trust(str(text))

    def ports(self) -> dict[int, PortHandler]:
        if "ports" not in self._table:
            return _PORTS
        ports = read_ports(f"{self._place}.ports", self._table["ports"])
        if LOCKDOWN_PORT in ports:
            raise UsbmuxError(f"{self._place}.ports.{LOCKDOWN_PORT}: this one is lockdown's")
        return ports

    def tls(self) -> TlsOptions:
        tls = self.settings("tls", TlsOptions)
        if tls.minimum_version > tls.maximum_version:
            raise UsbmuxError(f"{self._place}.tls.minimum_version: newer than maximum_version")
        if tls.key_log is not None:
            try:
                tls.key_log.open("ab").close()
            except OSError as error:
                raise UsbmuxError(f"{self._place}.tls.key_log: cannot be written: {error}") from error
        return tls

    def mux_version(self) -> int:
        version = self._table.get("mux_version", 2)
        if type(version) is not int or version not in VERSIONS:
            expected = f"a whole number from 0 to {VERSIONS[-1]}"
            raise UsbmuxError(f"{self._place}.mux_version: expected {expected}, found {version!r}")
        return version

    def options(self) -> PhoneOptions:
        options = self.settings("mux", PhoneOptions)
        try:
            check_options(options)
        except LocalProtocolError as error:
            raise UsbmuxError(f"{self._place}.mux.{error}") from error
        return options

    def applications(self) -> tuple[tuple[Application, ...], dict[str, FileTree]]:
        """The applications, and the files of those that have any."""
        tables = self._table.get("application")
        if tables is None:
            return DEFAULT_APPLICATIONS, {}
        if not isinstance(tables, list):
            raise UsbmuxError(f"{self._place}.application: expected [[iphone.application]], found {tables!r}")
        applications: list[Application] = []
        containers: dict[str, FileTree] = {}
        for index, table in enumerate(tables):
            place = f"application[{index}]"
            application, tree = self._application(table, place)
            if any(application.identifier == each.identifier for each in applications):
                raise UsbmuxError(f"{self._place}.{place}.identifier: {application.identifier} is used twice")
            applications.append(application)
            if tree is not None:
                containers[application.identifier] = tree
        return tuple(applications), containers

    def _application(self, table: object, place: str) -> tuple[Application, FileTree | None]:
        if not isinstance(table, dict):
            raise UsbmuxError(f"{self._place}.{place}: expected a table, found {table!r}")
        for key in ("identifier", "name"):
            if key not in table:
                raise UsbmuxError(f"{self._place}.{place}.{key}: missing")
        rest = {key: value for key, value in table.items() if key != "files"}
        application = SettingsTable(Application, self._folder).read(rest, f"{self._place}.{place}")
        return application, self.files(table.get("files"), f"{place}.files")

    def files(self, path: object, key: str) -> FileTree | None:
        """The directory that a key names."""
        if path is None:
            return None
        folder = self._folder / path if isinstance(path, str) else None
        if folder is None or not folder.is_dir():
            raise UsbmuxError(f"{self._place}.{key}: expected a directory, found {path!r}")
        from usbmux.testing.iphone.afc.directory_tree import DirectoryTree  # not on Windows

        return DirectoryTree(folder)

    def remove_services(self, iphone: VirtualIPhone) -> None:
        names = self._table.get("without_services", [])
        if not isinstance(names, list):
            raise UsbmuxError(f"{self._place}.without_services: expected a list of services, found {names!r}")
        for name in names:
            if name not in iphone.services:
                known = ", ".join(sorted(iphone.services))
                raise UsbmuxError(f"{self._place}.without_services: {name!r} is none of {known}")
            del iphone.services[name]
