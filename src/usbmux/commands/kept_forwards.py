"""``usbmux forward add``, ``list`` and ``remove``: forwards that the daemon keeps."""

import json
import os
import re
from collections.abc import Sequence
from dataclasses import asdict
from typing import Final

from usbmux.admin.forward import ForwardStatus, KeptForward
from usbmux.client.admin import AdminClient
from usbmux.client.blocking import Client
from usbmux.commands.exits import ExitCode, complain
from usbmux.commands.status import admin_client
from usbmux.commands.table import printable, table
from usbmux.control.address import UnixAddress, parse_address
from usbmux.errors import AddressError, DeviceNotFoundError
from usbmux.relay.forward_pair import ForwardPair
from usbmux.relay.route import LOOPBACK, HandedEnd, Route
from usbmux.relay.routing import routing_of

_WHOLE_UDID: Final = re.compile(r"[0-9A-Fa-f]{40}|[0-9A-Fa-f]{8}-?[0-9A-Fa-f]{16}")
_HEADINGS: Final = ("LISTEN", "PORT", "UDID", "STATE", "CONNECTIONS", "NOTE")

Where = tuple[str | None, str | None]
"""Addresses of the daemon and of its admin socket, as far as they were given."""


def add_forwards(
    where: Where,
    pairs: Sequence[str],
    udids: Sequence[str],
    hosts: Sequence[str],
    *,
    any_phone: bool,
    as_json: bool,
) -> int:
    """Have the daemon keep forwards, and print where it listens.

    Raises:
        AddressError: A pair is wrong, or is nothing that can be kept.
    """
    client = Client(where[0])
    parsed = [ForwardPair.parse(pair) for pair in pairs]
    meant = [] if any_phone else [_udid(client, udid) for udid in udids or (None,)]
    routing = routing_of(parsed, meant, hosts or LOOPBACK)
    if routing.row is not None:
        raise AddressError("a forward that is kept leads to one phone: give a -u for each port of the range")
    added = admin_client(*where).add_forwards([_kept(route) for route in routing.routes])
    _print(added, as_json=as_json)
    return ExitCode.OK


def list_forwards(where: Where, *, as_json: bool) -> int:
    """Print what the daemon keeps: a table, or a JSON document."""
    forwards = admin_client(*where).forwards()
    if as_json:
        _print(forwards, as_json=True)
    elif forwards:
        print(table([_HEADINGS, *map(_row, forwards)]), flush=True)
    else:
        complain("usbmux", "no forwards are kept")
    return ExitCode.OK


def remove_forwards(where: Where, chosen: Sequence[str] | None, *, as_json: bool) -> int:
    """Have the daemon forget some or, for None, all.

    Raises:
        AddressError: There is none such.
    """
    client = admin_client(*where)
    removed = client.remove_forwards(_names(client, chosen))
    _print(removed, as_json=as_json)
    return ExitCode.OK


def _names(client: AdminClient, chosen: Sequence[str] | None) -> list[str]:
    names = [forward.listen for forward in client.forwards()]
    if chosen is None:
        return names
    found: list[str] = []
    for text in chosen:
        wanted = f":{text}" if text.isdecimal() else str(_absolute(text))
        fitting = [name for name in names if (name.endswith(wanted) if text.isdecimal() else name == wanted)]
        if not fitting:
            raise AddressError(f"no forward listens at {text}; see usbmux forward list")
        found += fitting
    return list(dict.fromkeys(found))


def _udid(client: Client, udid: str | None) -> str:
    """The phone's whole UDID, as the daemon spells it."""
    try:
        return client.device(udid).udid
    except DeviceNotFoundError:
        if udid is None or not _WHOLE_UDID.fullmatch(udid):
            raise
        return udid


def _kept(route: Route) -> KeptForward:
    if isinstance(route.local, HandedEnd):
        raise AddressError("a socket that was handed to this command cannot be kept by the daemon")
    listen = _absolute(str(route.local)) if isinstance(route.local, UnixAddress) else route.local
    return KeptForward(str(listen), route.device_port, route.udid)


def _absolute(text: str) -> object:
    """An address whose path does not depend on where we are, for the daemon is elsewhere."""
    address = parse_address(text)
    return UnixAddress(os.path.abspath(address.path)) if isinstance(address, UnixAddress) else address


def _print(forwards: Sequence[ForwardStatus], *, as_json: bool) -> None:
    if as_json:
        print(json.dumps({"forwards": [asdict(forward) for forward in forwards]}, indent=4), flush=True)
        return
    for forward in forwards:
        print(forward.listen, f"port={forward.port}", f"udid={forward.udid or 'any'}", flush=True)


def _row(forward: ForwardStatus) -> tuple[str, ...]:
    state = "listening" if forward.is_listening else "failed"
    note = printable(forward.error or _missing(forward))
    return (forward.listen, str(forward.port), forward.udid or "any", state, str(forward.connections), note)


def _missing(forward: ForwardStatus) -> str:
    """Why a program that came now would not be joined with a phone."""
    if forward.is_attached:
        return ""
    return f"{forward.phones} phones are there, and none is chosen" if forward.phones else "the phone is not there"
