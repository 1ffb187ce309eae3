"""What a forwarder that runs as a command tells: where it listens, which phones came, what went through."""

import json
from collections.abc import Iterable
from dataclasses import asdict
from enum import Enum
from typing import Final, Protocol

from usbmux.commands.exits import complain, tell
from usbmux.control.address import TcpAddress
from usbmux.relay.listening_end import ListeningEnd
from usbmux.relay.phone_row import PhoneRow
from usbmux.relay.route import ListeningPort, Route


class ReportStyle(Enum):
    """What stdout gets. Words for people always go to stderr."""

    LINES = "lines"
    """A line for each end, and one for each phone that gets a port of a range."""
    READY = "ready"
    """One line, when all ends listen."""
    JSON = "json"
    """An object a line, for each thing that happens."""


class Report(Protocol):
    """Hears of what a forwarder does."""

    def ready(self, ends: Iterable[ListeningPort]) -> None:
        """All of these listen."""

    def phone(self, end: ListeningPort, udid: str) -> None:
        """A phone was given the port of a range."""

    def statistics(self, ends: Iterable[ListeningEnd]) -> None:
        """They were asked for, or it ends."""


class ForwardReport:
    """Implements `Report`: writes to stdout and stderr.

    Where it listens has to be told, and is told at once; whoever has read a line of it may leave stdout.

    Args:
        program: Begins every line on stderr.
        style: Of stdout.
        row: Who has which place, if an end leads to one.
    """

    def __init__(self, program: str, style: ReportStyle, row: PhoneRow | None = None) -> None:
        self._program: Final = program
        self._style: Final = style
        self._row: Final = row

    def ready(self, ends: Iterable[ListeningPort]) -> None:
        """See `Report`."""
        listening = tuple(ends)
        for end in listening:
            complain(self._program, f"{end} on this computer leads to {self._in_words(end.route)}")
        match self._style:
            case ReportStyle.LINES:
                lines = [f"listening {_end_words(end)} udid={self._udid(end.route)}" for end in listening]
                print("\n".join(lines), flush=True)
            case ReportStyle.READY:
                print("ready", *listening, flush=True)
            case ReportStyle.JSON:
                documents = [{**_end_document(end), "udid": self._known_udid(end.route)} for end in listening]
                print(*(_event("listening", each) for each in documents), _event("ready", {}), sep="\n", flush=True)

    def phone(self, end: ListeningPort, udid: str) -> None:
        """See `Report`."""
        complain(self._program, f"{end} on this computer leads to port {end.device_port} of the phone {udid}")
        match self._style:
            case ReportStyle.LINES:
                tell(f"phone {_end_words(end)} udid={udid}")
            case ReportStyle.READY:
                pass
            case ReportStyle.JSON:
                tell(_event("phone", {**_end_document(end), "udid": udid}))

    def statistics(self, ends: Iterable[ListeningEnd]) -> None:
        """See `Report`."""
        for end in ends:
            figures = end.figures
            complain(
                self._program,
                f"{end}: {figures.connections} connections, {figures.open} of them open, {figures.failed} failed, "
                f"{figures.bytes_to_device} bytes to the phone, {figures.bytes_to_local} from it",
            )
            if self._style is ReportStyle.JSON:
                tell(_event("statistics", {**_end_document(end.listening), **asdict(figures)}))

    def _known_udid(self, route: Route) -> str | None:
        return route.udid if route.place is None or self._row is None else self._row.udid(route.place)

    def _udid(self, route: Route) -> str:
        return self._known_udid(route) or ("any" if route.place is None else "later")

    def _in_words(self, route: Route) -> str:
        udid = self._known_udid(route)
        nobody = "the only phone" if route.place is None else "a phone that is still to come"
        return f"port {route.device_port} of {f'the phone {udid}' if udid else nobody}"


def _end_words(end: ListeningPort) -> str:
    where = f"address={end.address} port={end.port}" if isinstance(end.bound, TcpAddress) else f"path={end.address}"
    return f"{where} device_port={end.device_port}"


def _end_document(end: ListeningPort) -> dict[str, object]:
    is_tcp = isinstance(end.bound, TcpAddress)
    return {
        "listen": str(end),
        "address": end.address if is_tcp else None,
        "port": end.port if is_tcp else None,
        "path": None if is_tcp else end.address,
        "device_port": end.device_port,
    }


def _event(event: str, document: dict[str, object]) -> str:
    return json.dumps({"event": event, **document})
