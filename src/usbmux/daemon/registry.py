"""Which phones are there and who wants to know. Decides; the links act."""

from collections.abc import Callable, Iterator
from itertools import islice
from typing import Final, Protocol

from usbmux.control.message import (
    Attached,
    ClientIdentity,
    Detached,
    DeviceRecord,
    ListenerRecord,
    Notification,
    Paired,
)
from usbmux.daemon.device_link import DeviceLink
from usbmux.daemon.policy import WHOLE_VIEW, View
from usbmux.values import frozen

MAX_LISTED: Final = 128
"""Of so many listeners a client is told: what they say of themselves must neither fill its reply nor take long."""
MAX_LIST_LENGTH: Final = 126 * 1024
"""And of no more than fit into so many bytes: some clients read no reply of 128 KiB or more (C6)."""
_LONGEST_ENTRY: Final = 336
"""Of an entry in XML without its texts, in bytes."""


class Subscriber(Protocol):
    """A listening client."""

    @property
    def number(self) -> int:
        """The daemon's number for the client."""

    @property
    def identity(self) -> ClientIdentity:
        """What the client said of itself."""

    @property
    def view(self) -> View:
        """What the client may see."""

    def notify(self, message: Notification) -> None:
        """Tell the client."""


@frozen
class AttachedDevice:
    """A phone that clients can see."""

    record: DeviceRecord
    link: DeviceLink


class DeviceRegistry:
    """Device ids count up from 1 and are never used twice in the life of a daemon."""

    def __init__(self) -> None:
        self._devices: dict[int, AttachedDevice] = {}
        self._subscribers: dict[int, Subscriber] = {}
        self._waiting: dict[Callable[[], None], None] = {}
        self._last_id = 0

    def __iter__(self) -> Iterator[AttachedDevice]:
        return iter(self._devices.values())

    def attach(self, link: DeviceLink) -> DeviceRecord:
        """Give the phone an id and tell the subscribers."""
        self._last_id += 1
        record = DeviceRecord(
            device_id=self._last_id,
            serial_number=link.info.serial_number,
            product_id=link.info.product_id,
            location_id=link.info.location_id,
            connection_speed=link.info.connection_speed,
            port_path=link.info.port_path,
        )
        self._devices[record.device_id] = AttachedDevice(record, link)
        self._tell(record, Attached(record))
        for callback in tuple(self._waiting):
            callback()
        return record

    def call_when_attached(self, callback: Callable[[], None]) -> None:
        """Call this after each phone that is attached, when it can be connected to and the subscribers know."""
        self._waiting[callback] = None

    def call_no_more(self, callback: Callable[[], None]) -> None:
        """Forget what `call_when_attached` was told."""
        del self._waiting[callback]

    def detach(self, device_id: int) -> None:
        """Forget the phone and tell the subscribers."""
        record = self._devices.pop(device_id).record
        self._tell(record, Detached(device_id))

    def records(self, view: View = WHOLE_VIEW) -> tuple[DeviceRecord, ...]:
        """What ListDevices answers."""
        records = (device.record for device in self._devices.values())
        return tuple(record for record in records if view.shows(record.serial_number))

    def link(self, device_id: int, view: View = WHOLE_VIEW) -> DeviceLink | None:
        """The way to the phone with that id; None also for one that the view does not show."""
        device = self._devices.get(device_id)
        return device.link if device and view.shows(device.record.serial_number) else None

    def paired(self, device_id: int | None, serial_number: str) -> None:
        """Tell the subscribers, if the id is that of the phone with that serial number."""
        device = self._devices.get(device_id) if device_id is not None else None
        if device is not None and device.record.serial_number == serial_number:
            self._tell(device.record, Paired(device.record.device_id))

    def subscribe(self, subscriber: Subscriber) -> None:
        """Tell this client of changes from now on."""
        self._subscribers[subscriber.number] = subscriber

    def unsubscribe(self, subscriber: Subscriber) -> None:
        """Tell it no more. Idempotent."""
        self._subscribers.pop(subscriber.number, None)

    def listeners(self, view: View = WHOLE_VIEW) -> tuple[ListenerRecord, ...]:
        """What ListListeners answers: those that have listened longest.

        Who does not see everything gets to know only of its like.
        """
        shown = (client for client in self._subscribers.values() if view.is_whole or client.view == view)
        listed: list[ListenerRecord] = []
        room = MAX_LIST_LENGTH
        for client in islice(shown, MAX_LISTED):
            record = ListenerRecord(f"{client.number}-{client.identity.program}", client.identity)
            room -= _length_in_list(record)
            if room < 0:
                break
            listed.append(record)
        return tuple(listed)

    def _tell(self, record: DeviceRecord, message: Notification) -> None:
        for subscriber in list(self._subscribers.values()):
            if subscriber.view.shows(record.serial_number):
                subscriber.notify(message)


def _length_in_list(record: ListenerRecord) -> int:
    """At most so many bytes of the reply."""
    text = record.id_string + record.identity.program + record.identity.bundle_id
    return _LONGEST_ENTRY + len(text.encode()) + 4 * text.count("&") + 3 * (text.count("<") + text.count(">"))
