from __future__ import annotations

from typing import TYPE_CHECKING

from usbmux.values import frozen

if TYPE_CHECKING:
    from usbmux.control.message import DeviceRecord, ListenerRecord


@frozen
class Device:
    """A phone that the daemon has."""

    device_id: int
    """The daemon's number for it; another one after each replug and after a restart of the daemon."""
    udid: str
    """Its serial number as the daemon spells it; the same for ever."""
    product_id: int = 0
    location_id: int = 0
    connection_speed: int = 0
    """Bit/s; 0 if the daemon did not say."""
    connection_type: str = "USB"
    """USB or Network."""
    port_path: str = ""
    """Bus and chain of hub ports, such as ``1-2.3``, the same after a replug; empty if the daemon did not say."""

    @classmethod
    def from_record(cls, record: DeviceRecord) -> Device:
        """The device that a message of the daemon describes."""
        return cls(
            device_id=record.device_id,
            udid=record.serial_number,
            product_id=record.product_id,
            location_id=record.location_id,
            connection_speed=record.connection_speed,
            connection_type=record.connection_type,
            port_path=record.port_path,
        )


@frozen
class DeviceAttached:
    """A phone came, or was there when watching began."""

    device: Device


@frozen
class DeviceDetached:
    """A phone went."""

    device: Device


@frozen
class DevicePaired:
    """A pair record for the phone was saved."""

    device: Device


DeviceEvent = DeviceAttached | DeviceDetached | DevicePaired


@frozen
class Listener:
    """A program that listens for device events at the daemon; it says of itself what it likes, or nothing."""

    id_string: str
    """The daemon's number for the program and its name, with a dash between."""
    program: str = ""
    bundle_id: str = ""
    library_version: int | None = None

    @classmethod
    def from_record(cls, record: ListenerRecord) -> Listener:
        """The listener that a message of the daemon describes."""
        identity = record.identity
        return cls(record.id_string, identity.program, identity.bundle_id, identity.library_version)
