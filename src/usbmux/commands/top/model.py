"""From what the daemon says again and again to what is shown."""

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Final, TypeVar

from usbmux.admin.message import ClientStatus, ConnectionStatus, PhoneStatus, Status
from usbmux.commands.top.flow import Flow, Meter
from usbmux.commands.top.sample import ClientRow, PhoneRow, Sample
from usbmux.values import field, frozen

K = TypeVar("K")
_STILL: Final = Flow()


@frozen
class _Meters:
    to_phone: Meter = field(default_factory=Meter)
    from_phone: Meter = field(default_factory=Meter)
    phone_stall: Meter = field(default_factory=Meter)
    client_stall: Meter = field(default_factory=Meter)


class TopModel:
    """Remembers the counters of one daemon from status to status."""

    def __init__(self) -> None:
        self._phones: dict[str, _Meters] = {}
        self._clients: dict[int, _Meters] = {}

    def take(self, status: Status, names: Mapping[str, str], now: float) -> Sample:
        """Return what is to be shown.

        Args:
            status: With clients and connections.
            names: What phones are called, by UDID.
            now: In seconds, of a clock that never goes back.
        """
        connections = {connection.client: connection for connection in status.connections}
        self._clients = _kept(self._clients, connections)
        self._phones = _kept(self._phones, (phone.udid for phone in status.phones if phone.udid is not None))
        clients = tuple(self._client(client, connections.get(client.number), names, now) for client in status.clients)
        keys = Counter[str]()
        phones = tuple(self._phone(phone, _key(phone, keys), clients, names, now) for phone in status.phones)
        return Sample(status.version, phones, clients)

    def _phone(
        self, phone: PhoneStatus, key: str, clients: Iterable[ClientRow], names: Mapping[str, str], now: float
    ) -> PhoneRow:
        meters = self._phones.get(phone.udid or "")
        mine = [row for row in clients if row.connection is not None and row.connection.udid == phone.udid]
        return PhoneRow(
            key=key,
            status=phone,
            name=names.get(phone.udid or ""),
            to_phone=meters.to_phone.read(phone.bytes_to_phone, now) if meters else _STILL,
            from_phone=meters.from_phone.read(phone.bytes_from_phone, now) if meters else _STILL,
            clients=tuple(row.client for row in mine),
            stalled=sum(row.phone_stall > 0 or row.client_stall > 0 for row in mine),
        )

    def _client(
        self, client: ClientStatus, connection: ConnectionStatus | None, names: Mapping[str, str], now: float
    ) -> ClientRow:
        if connection is None:
            return ClientRow(client, None, None, _STILL, _STILL, 0.0, 0.0)
        meters = self._clients[client.number]
        return ClientRow(
            client=client,
            connection=connection,
            phone_name=names.get(connection.udid),
            to_phone=meters.to_phone.read(connection.bytes_to_phone, now),
            from_phone=meters.from_phone.read(connection.bytes_from_phone, now),
            phone_stall=_part(meters.phone_stall.read(connection.phone_stalled_s, now)),
            client_stall=_part(meters.client_stall.read(connection.client_stalled_s, now)),
        )


def _kept(meters: Mapping[K, _Meters], keys: Iterable[K]) -> dict[K, _Meters]:
    """Those of what is still there, and new ones for what is new."""
    return {key: meters.get(key) or _Meters() for key in keys}


def _key(phone: PhoneStatus, taken: Counter[str]) -> str:
    """Its port, as a rule: one phone may be closing there while the next one opens."""
    taken[phone.port_path] += 1
    count = taken[phone.port_path]
    return phone.port_path if count == 1 else f"{phone.port_path} ({count})"


def _part(flow: Flow) -> float:
    """Of the time; a stall that has become one counts from its beginning, which may be before the last sample."""
    return min(flow.per_s or 0.0, 1.0)
