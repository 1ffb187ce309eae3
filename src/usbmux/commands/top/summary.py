"""The line above the tables, and other words of the screen."""

from usbmux.commands.table import printable
from usbmux.commands.top.details import Details
from usbmux.commands.top.sample import ClientRow, Sample
from usbmux.commands.top.view import Order, View
from usbmux.commands.units import rate


def summary_text(sample: Sample, view: View, capture: str | None) -> str:
    """What is true of everything.

    Args:
        sample: What there is.
        view: What of it is shown.
        capture: What a capture that is under way says of itself.
    """
    if sample.error is not None:
        return f"{printable(sample.error)}; trying again"
    flows = f"to phones {rate(sample.to_phones_per_s)}, from phones {rate(sample.from_phones_per_s)}"
    parts = [f"usbmuxd {printable(sample.version)}", flows]
    if view.order is not Order.PLACE:
        parts.append(f"by {view.order.value}")
    if view.filter:
        parts.append(f"with {view.filter!r}")
    if capture is not None:
        parts.append(capture)
    return "  ".join(parts)


def counted(noun: str, shown: int, all_of_them: int) -> str:
    """How many of them are shown, such as ``phones 2 of 5``."""
    return f"{noun} {shown}" if shown == all_of_them else f"{noun} {shown} of {all_of_them}"


def kick_question(row: ClientRow) -> str:
    """Whether that client is to be ended."""
    client, connection = row.client, row.connection
    who = printable(client.program or "unknown") + ("" if client.pid is None else f", pid {client.pid}")
    what = "" if connection is None else f", connected to port {connection.port} of {printable(connection.udid)}"
    return f"End client {client.number} ({who}){what}?"


def details_text(details: Details) -> str:
    """A line for each figure."""
    width = max((len(what) for what, _figure in details), default=0)
    return "\n".join(f"{what.ljust(width)}  {figure}" for what, figure in details)


def capture_text(path: str, packets: int, error: str | None) -> str:
    """What a capture has done so far."""
    if error is not None:
        return f"capture: {printable(error)}"
    return f"capturing to {printable(path)}: {packets} packets"
