"""The columns of both tables: a heading, and what stands below it."""

from collections.abc import Callable
from typing import Final, Generic, TypeVar

from usbmux.admin.message import PhoneState
from usbmux.commands.table import printable
from usbmux.commands.top.flow import Flow
from usbmux.commands.top.sample import ClientRow, PhoneRow
from usbmux.commands.top.sparkline import sparkline
from usbmux.commands.units import age, rate, speed
from usbmux.values import frozen

R = TypeVar("R")
_SPARKLINE_WIDTH: Final = 10
_NAME_WIDTH: Final = 20


@frozen
class Column(Generic[R]):
    """One column."""

    heading: str
    cell: Callable[[R], str]
    is_number: bool = False
    """Whether its cells end at the same place."""
    is_history: bool = False
    """Whether it needs more than two samples to say something."""
    alarms: Callable[[R], bool] | None = None
    """Whether its cell tells of trouble."""


def name(text: str | None) -> str:
    """What somebody calls a phone, as far as there is room."""
    shown = printable(text or "-")
    return shown if len(shown) <= _NAME_WIDTH else f"{shown[: _NAME_WIDTH - 1]}…"


def state(row: ClientRow) -> str:
    """That of its connection, which says more, or what it is about."""
    return row.client.what.value if row.connection is None else row.connection.state.value


def phone_of(row: ClientRow) -> str:
    """The phone that it is connected to."""
    return "-" if row.connection is None else name(row.phone_name or row.connection.udid)


def stalls(row: ClientRow) -> str:
    """Who has been waited for, and in which part of the time."""
    waits = (("phone", row.phone_stall), ("client", row.client_stall))
    return ", ".join(f"{who} {part:.0%}" for who, part in waits if part) or "-"


def _rate(row: ClientRow, flow: Flow) -> str:
    return "-" if row.connection is None else rate(flow.per_s)


def _line(flow: Flow) -> str:
    return sparkline(flow.history, _SPARKLINE_WIDTH)


def _number(number: int | None) -> str:
    return "-" if number is None else str(number)


def _is_quarantined(phone: PhoneRow) -> bool:
    return phone.status.state is PhoneState.QUARANTINED


PHONE_COLUMNS: Final[tuple[Column[PhoneRow], ...]] = (
    Column("PORT", lambda phone: phone.key),
    Column("STATE", lambda phone: phone.status.state.value, alarms=_is_quarantined),
    Column("NAME", lambda phone: name(phone.name)),
    Column("TO PHONE", lambda phone: rate(phone.to_phone.per_s), is_number=True),
    Column("", lambda phone: _line(phone.to_phone), is_history=True),
    Column("FROM PHONE", lambda phone: rate(phone.from_phone.per_s), is_number=True),
    Column("", lambda phone: _line(phone.from_phone), is_history=True),
    Column("CONNS", lambda phone: str(len(phone.clients)), is_number=True),
    Column("STALLED", lambda phone: str(phone.stalled), is_number=True, alarms=lambda phone: phone.stalled > 0),
    Column(
        "AGAIN/H",
        lambda phone: str(phone.status.reconnects_last_hour),
        is_number=True,
        alarms=lambda phone: phone.status.reconnects_last_hour > 0,
    ),
    Column("SPEED", lambda phone: speed(phone.status.connection_speed)),
    Column("UDID", lambda phone: printable(phone.status.udid or "-")),
)
CLIENT_COLUMNS: Final[tuple[Column[ClientRow], ...]] = (
    Column("CLIENT", lambda row: str(row.client.number), is_number=True),
    Column("PROGRAM", lambda row: printable(row.client.program or "-")),
    Column("PID", lambda row: _number(row.client.pid), is_number=True),
    Column("UID", lambda row: _number(row.client.uid), is_number=True),
    Column("STATE", state),
    Column("PHONE", phone_of),
    Column("PORT", lambda row: str(row.connection.port) if row.connection else "-", is_number=True),
    Column("TO PHONE", lambda row: _rate(row, row.to_phone), is_number=True),
    Column("", lambda row: _line(row.to_phone), is_history=True),
    Column("FROM PHONE", lambda row: _rate(row, row.from_phone), is_number=True),
    Column("", lambda row: _line(row.from_phone), is_history=True),
    Column("STALLED", stalls, alarms=lambda row: stalls(row) != "-"),
    Column("AGE", lambda row: age(row.client.age_s), is_number=True),
)
