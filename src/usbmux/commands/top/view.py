"""Which rows are shown, and in which order."""

import re
from collections.abc import Iterable
from enum import Enum
from typing import Final, assert_never

from usbmux.commands.top.flow import Flow
from usbmux.commands.top.sample import ClientRow, PhoneRow, Sample
from usbmux.values import frozen

Key = tuple[float | str, ...]
_NUMBER: Final = re.compile(r"\d+")
_DIGITS: Final = 5


class Order(Enum):
    """What comes first."""

    PLACE = "port and number"
    RATE = "bytes per second"
    NAME = "name"
    TROUBLE = "stalls and reconnects"

    @property
    def following(self) -> "Order":
        """The next one, round and round."""
        orders = list(Order)
        return orders[(orders.index(self) + 1) % len(orders)]


@frozen
class View:
    """A part of every sample."""

    filter: str = ""
    """Rows are shown that have each of these words somewhere, in capitals or not."""
    order: Order = Order.PLACE

    def phones(self, sample: Sample) -> list[PhoneRow]:
        """The phones that are shown. A phone has the words of its clients too."""
        return sorted(
            (phone for phone in sample.phones if self._covers(_phone_words(phone))),
            key=lambda phone: _phone_key(phone, self.order),
        )

    def clients(self, sample: Sample) -> list[ClientRow]:
        """The clients that are shown. A client has the words for its phone too."""
        return sorted(
            (row for row in sample.clients if self._covers(_client_words(row))),
            key=lambda row: _client_key(row, self.order),
        )

    def _covers(self, words: Iterable[object]) -> bool:
        text = "\n".join(str(word) for word in words if word is not None).casefold()
        return all(word in text for word in self.filter.casefold().split())


def _phone_words(phone: PhoneRow) -> Iterable[object]:
    status = phone.status
    yield from (status.port_path, status.state.value, status.udid, phone.name, status.last_error)
    for client in phone.clients:
        yield from (client.program, client.pid)


def _client_words(row: ClientRow) -> Iterable[object]:
    client, connection = row.client, row.connection
    yield from (client.number, client.program, client.pid, client.uid, client.address, client.what.value)
    if connection is not None:
        yield from (connection.udid, row.phone_name, connection.port, connection.state.value)


def _phone_key(phone: PhoneRow, order: Order) -> Key:
    place = (_with_equal_numbers(phone.status.port_path), phone.key)
    match order:
        case Order.PLACE:
            return place
        case Order.RATE:
            return (-_rate(phone.to_phone, phone.from_phone), *place)
        case Order.NAME:
            return (phone.name is None, (phone.name or "").casefold(), *place)
        case Order.TROUBLE:
            return (-phone.stalled, -phone.status.reconnects_last_hour, *place)
        case _:
            assert_never(order)


def _client_key(row: ClientRow, order: Order) -> Key:
    number, program = row.client.number, row.client.program
    match order:
        case Order.PLACE:
            return (number,)
        case Order.RATE:
            return (-_rate(row.to_phone, row.from_phone), number)
        case Order.NAME:
            return (program is None, (program or "").casefold(), number)
        case Order.TROUBLE:
            return (-max(row.phone_stall, row.client_stall), number)
        case _:
            assert_never(order)


def _with_equal_numbers(port_path: str) -> str:
    """Port 10 of a hub comes behind port 9."""
    return _NUMBER.sub(lambda found: found[0].zfill(_DIGITS), port_path)


def _rate(*flows: Flow) -> float:
    return sum(flow.per_s or 0.0 for flow in flows)
