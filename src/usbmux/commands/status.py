"""``usbmux status``: what a running daemon is doing."""

import json
import os

from usbmux.admin.codec import phone_document
from usbmux.admin.message import PhoneStatus
from usbmux.client.admin import AdminClient, admin_address
from usbmux.commands.exits import ExitCode, complain
from usbmux.commands.table import table
from usbmux.control.address import UnixAddress, address_from_environment, parse_address

_HEADINGS = ("PORT", "STATE", "UDID", "SPEED", "ATTACHED", "NOTE")


def show_status(client: AdminClient, *, as_json: bool) -> int:
    """Print the phones that are plugged in: a table, or one JSON document."""
    status = client.status()
    if as_json:
        phones = [phone_document(phone) for phone in status.phones]
        print(json.dumps({"version": status.version, "phones": phones}, indent=4), flush=True)
    elif status.phones:
        print(table([_HEADINGS, *map(_row, status.phones)]), flush=True)
    if not status.phones:
        complain("usbmux", "no phone is plugged in")
    return ExitCode.OK


def admin_client(address: str | None, admin_path: str | None) -> AdminClient:
    """For the admin socket at that path, or for that of the daemon at the address.

    Args:
        address: The daemon's, or None for the default.
        admin_path: None: beside the daemon's socket.

    Raises:
        AddressError: The address is none, or has no place beside it.
    """
    if admin_path is not None:
        return AdminClient(UnixAddress(admin_path))
    return AdminClient(admin_address(parse_address(address) if address else address_from_environment(os.environ)))


def _row(phone: PhoneStatus) -> tuple[str, ...]:
    speed = f"{phone.connection_speed / 1e6:g} Mbit/s" if phone.connection_speed else "-"
    return (phone.port_path, phone.state.value, phone.udid or "-", speed, str(phone.attach_count), _note(phone))


def _note(phone: PhoneStatus) -> str:
    # A phone's own words may be in it.
    error = "".join(character if character.isprintable() else "?" for character in phone.last_error or "")
    if phone.next_try_s is not None:
        return f"next try in {phone.next_try_s:.0f} s: {error}"
    return f"last error: {error}" if error else ""
