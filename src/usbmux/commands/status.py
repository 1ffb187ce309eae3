"""``usbmux status``: what a running daemon is doing."""

import json
import os
from typing import Final

from usbmux.admin.codec import status_document
from usbmux.admin.message import ClientStatus, ConnectionStatus, PhoneStatus
from usbmux.client.admin import AdminClient, admin_address
from usbmux.client.blocking_connection import open_socket
from usbmux.commands.exits import ExitCode, complain
from usbmux.commands.table import printable, table
from usbmux.commands.units import age, speed
from usbmux.control.address import Address, UnixAddress, address_from_environment, parse_address
from usbmux.deadlines import deadline_after
from usbmux.errors import DaemonUnavailableError

_PROBE_S: Final = 1.0
_PHONE_HEADINGS: Final = ("PORT", "STATE", "UDID", "SPEED", "ATTACHED", "NOTE")
_CLIENT_HEADINGS: Final = ("CLIENT", "ADDRESS", "UID", "GID", "PID", "PROGRAM", "WHAT", "AGE")
_CONNECTION_HEADINGS: Final = (
    *("CLIENT", "UDID", "PORT", "LOCAL", "STATE", "TO PHONE", "FROM PHONE", "ROOM", "BACKLOG"),
    *("PHONE STALLS", "CLIENT STALLS", "AGE"),
)


def show_status(client: AdminClient, *, detailed: bool, as_json: bool) -> int:
    """Print the phones that are plugged in: a table, or one JSON document.

    Args:
        client: Of the daemon.
        detailed: Also the daemon's clients, and their connections to phones.
        as_json: The document.
    """
    status = client.status(detailed=detailed)
    if as_json:
        print(json.dumps(status_document(status), indent=4), flush=True)
    else:
        tables = (
            (_PHONE_HEADINGS, list(map(_phone_row, status.phones))),
            (_CLIENT_HEADINGS, list(map(_client_row, status.clients))),
            (_CONNECTION_HEADINGS, list(map(_connection_row, status.connections))),
        )
        if text := "\n\n".join(table([headings, *rows]) for headings, rows in tables if rows):
            print(text, flush=True)
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
        DaemonUnavailableError: A daemon serves at the address and has no admin socket beside it.
    """
    if admin_path is not None:
        return AdminClient(UnixAddress(admin_path))
    main = parse_address(address) if address else address_from_environment(os.environ)
    admin = admin_address(main)
    if not os.path.exists(admin.path) and _is_served(main):
        raise DaemonUnavailableError(f"the usbmux daemon at {main} has no admin socket at {admin}")
    return AdminClient(admin)


def _is_served(address: Address) -> bool:
    try:
        open_socket(address, deadline_after(_PROBE_S)).close()
    except OSError:
        return False
    return True


def _phone_row(phone: PhoneStatus) -> tuple[str, ...]:
    speed_text = speed(phone.connection_speed)
    return (phone.port_path, phone.state.value, phone.udid or "-", speed_text, str(phone.attach_count), note(phone))


def note(phone: PhoneStatus) -> str:
    """What went wrong with it, and when it is tried again."""
    error = printable(phone.last_error or "")  # a phone's own words may be in it
    if phone.next_try_s is not None:
        return f"next try in {phone.next_try_s:.0f} s: {error}"
    return f"last error: {error}" if error else ""


def _client_row(client: ClientStatus) -> tuple[str, ...]:
    who = ("-" if number is None else str(number) for number in (client.uid, client.gid, client.pid))
    program = printable(client.program or "-")
    return (str(client.number), printable(client.address), *who, program, client.what.value, age(client.age_s))


def _connection_row(connection: ConnectionStatus) -> tuple[str, ...]:
    return (
        str(connection.client),
        connection.udid,
        str(connection.port),
        str(connection.local_port),
        connection.state.value,
        str(connection.bytes_to_phone),
        str(connection.bytes_from_phone),
        str(connection.send_room),
        str(connection.backlog),
        _stalls(connection.phone_stalls, connection.phone_stalled_s),
        _stalls(connection.client_stalls, connection.client_stalled_s),
        age(connection.age_s),
    )


def _stalls(count: int, length_s: float) -> str:
    return f"{count} in {length_s:.1f} s" if count else "-"
