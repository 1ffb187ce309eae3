"""All that is known of one phone or client, in words."""

from usbmux.commands.status import note
from usbmux.commands.table import printable
from usbmux.commands.top.columns import stalls, state
from usbmux.commands.top.sample import ClientRow, PhoneRow
from usbmux.commands.units import age, amount, rate, speed

Details = list[tuple[str, str]]
"""What each figure is, and the figure."""


def phone_details(phone: PhoneRow) -> Details:
    """Of a phone."""
    status = phone.status
    product = "-" if status.product_id is None else f"{status.product_id:04x}"
    users = sorted({printable(client.program or "unknown") for client in phone.clients})
    return [
        ("Name", printable(phone.name or "-")),
        ("UDID", printable(status.udid or "-")),
        ("Port", f"{status.port_path}, {speed(status.connection_speed)}, product {product}"),
        ("State", ", ".join(filter(None, (status.state.value, note(status))))),
        ("Attached", f"{status.attach_count} times, {status.reconnects_last_hour} times again in the last hour"),
        ("To phone", f"{rate(phone.to_phone.per_s)}, {amount(status.bytes_to_phone)} in all"),
        ("From phone", f"{rate(phone.from_phone.per_s)}, {amount(status.bytes_from_phone)} in all"),
        ("Connections", f"{len(phone.clients)}, {phone.stalled} stalled; {', '.join(users) or 'nobody'}"),
    ]


def client_details(row: ClientRow) -> Details:
    """Of a client."""
    client, connection = row.client, row.connection
    known = (("pid", client.pid), ("uid", client.uid), ("gid", client.gid))
    who = [printable(client.program or "unknown"), *(f"{key} {value}" for key, value in known if value is not None)]
    details = [
        ("Client", f"{client.number}, for {age(client.age_s)}, by {printable(client.address)}"),
        ("Program", ", ".join(who)),
        ("State", state(row)),
    ]
    if connection is None:
        return details
    name = f", {printable(row.phone_name)}" if row.phone_name else ""
    return [
        *details,
        ("Phone", f"{printable(connection.udid)}{name}"),
        ("Port", f"{connection.port}, by port {connection.local_port} of ours"),
        ("To phone", f"{rate(row.to_phone.per_s)}, {amount(connection.bytes_to_phone)} in all"),
        ("From phone", f"{rate(row.from_phone.per_s)}, {amount(connection.bytes_from_phone)} in all"),
        ("Room", f"{amount(connection.send_room)} at the phone; the client has {amount(connection.backlog)} to take"),
        ("Stalls", f"now {stalls(row)}; in all {_stalls(connection.phone_stalls, connection.phone_stalled_s)} "
                   f"by the phone, {_stalls(connection.client_stalls, connection.client_stalled_s)} by the client"),
    ]  # fmt: skip


def _stalls(count: int, length_s: float) -> str:
    return f"{count} in {length_s:.1f} s"
