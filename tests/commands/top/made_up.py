"""Phones, clients and connections for the tests of what is shown of them."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from usbmux.admin.message import (
    ClientActivity,
    ClientStatus,
    ConnectionState,
    ConnectionStatus,
    PhoneState,
    PhoneStatus,
    Status,
    StatusPart,
)
from usbmux.commands.top.model import TopModel

ANNA: Final = "00008110-000A1D2E3F4B5C6D"
LAB: Final = "00008030-001A2B3C4D5E6F01"
NAMES: Final = {ANNA: "Anna's iPhone"}
PHONE: Final = PhoneStatus(PhoneState.ATTACHED, "1-2", ANNA, 0x12A8, 480_000_000, 3, 1)
OTHER: Final = replace(PHONE, port_path="1-10", udid=LAB, device_id=4)
CLIENT: Final = ClientStatus(7, "unix:/run/mux", ClientActivity.STREAM, 90.0, 501, 20, 4711, "ssh")
LISTENER: Final = ClientStatus(8, "unix:/run/mux", ClientActivity.LISTENING, 5.0, 0, 0, 812, "Finder")
CONNECTION: Final = ConnectionStatus(7, ANNA, 22, 1, ConnectionState.ESTABLISHED, 89.0, 131072)


def status(*parts: PhoneStatus | ClientStatus | ConnectionStatus) -> Status:
    """A daemon with these."""
    return Status(
        "9",
        tuple(part for part in parts if isinstance(part, PhoneStatus)),
        tuple(part for part in parts if isinstance(part, ClientStatus)),
        tuple(part for part in parts if isinstance(part, ConnectionStatus)),
        parts=tuple(StatusPart),
    )


def model_of(*statuses: Status) -> TopModel:
    """What remembers these, one a second."""
    model = TopModel()
    for second, taken in enumerate(statuses):
        model.take(taken, NAMES, float(second))
    return model
