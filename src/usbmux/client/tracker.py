"""Which phones a watcher knows, and what has to be reported of them. Sans-IO; shared by both shells."""

from __future__ import annotations

from typing import TYPE_CHECKING, assert_never

from usbmux.client.device import Device, DeviceAttached, DeviceDetached, DeviceEvent, DevicePaired
from usbmux.control.message import Attached, Detached, Notification, Paired

if TYPE_CHECKING:
    from collections.abc import Iterator

SETTLE_S = 3.0
"""How long a daemon that came back has to find the phones that were there before."""
FIRST_DELAY_S = 0.1
MAX_DELAY_S = 2.0


def backoff_delays_s() -> Iterator[float]:
    """Yield the waits before the first, second, ... attempt to reach a daemon that went away, without end."""
    delay = FIRST_DELAY_S
    while True:
        yield delay
        delay = min(2 * delay, MAX_DELAY_S)


class DeviceTracker:
    """Turns notifications into events, over any number of connections to the daemon.

    After `connection_lost` everything known is unconfirmed: a phone that the next connection reports with the same id
    is no news; one that has another id now is reported as detached and attached, because callers use the id; what is
    still unconfirmed at `settle` is gone.
    """

    def __init__(self) -> None:
        self._devices: dict[int, Device] = {}
        self._unconfirmed: set[int] = set()

    @property
    def is_settled(self) -> bool:
        """Whether every known phone was reported on the present connection."""
        return not self._unconfirmed

    def receive(self, notification: Notification) -> list[DeviceEvent]:
        """Return the events that the notification means, none if it brings no news."""
        match notification:
            case Attached(record):
                return self._attach(Device.from_record(record))
            case Detached(device_id):
                return [] if device_id in self._unconfirmed else self._detach(device_id)
            case Paired(device_id):
                known = device_id in self._devices and device_id not in self._unconfirmed
                return [DevicePaired(self._devices[device_id])] if known else []
            case _:
                assert_never(notification)

    def connection_lost(self) -> None:
        """Doubt everything known: the daemon went away."""
        self._unconfirmed = set(self._devices)

    def settle(self) -> list[DeviceEvent]:
        """Give up waiting for the phones that the new connection did not report."""
        return [event for device_id in sorted(self._unconfirmed) for event in self._detach(device_id)]

    def _attach(self, device: Device) -> list[DeviceEvent]:
        known = self._devices.get(device.device_id)
        if known is not None and known.udid == device.udid:
            self._devices[device.device_id] = device
            self._unconfirmed.discard(device.device_id)
            return []
        events: list[DeviceEvent] = []
        for device_id in sorted(self._replaced_by(device)):
            events += self._detach(device_id)
        self._devices[device.device_id] = device
        return [*events, DeviceAttached(device)]

    def _replaced_by(self, device: Device) -> set[int]:
        former = {
            device_id
            for device_id in self._unconfirmed
            if self._devices[device_id].udid == device.udid
            and self._devices[device_id].connection_type == device.connection_type
        }
        # A restarted daemon counts anew: the id may have belonged to another phone.
        return former | ({device.device_id} & self._devices.keys())

    def _detach(self, device_id: int) -> list[DeviceEvent]:
        self._unconfirmed.discard(device_id)
        device = self._devices.pop(device_id, None)
        return [] if device is None else [DeviceDetached(device)]
