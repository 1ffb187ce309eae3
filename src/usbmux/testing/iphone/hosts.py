"""The hosts that the phone trusts, and how it comes to trust them."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Final, Self

from usbmux.errors import RemoteProtocolError
from usbmux.values import frozen

_MAX_HOSTS: Final = 256
_MAX_TEXT_LENGTH: Final = 255
_MAX_CERTIFICATE_LENGTH: Final = 16384


class Trust(StrEnum):
    """What the phone's owner does about a host that asks to be trusted."""

    ACCEPTED = "accepted"
    """Taps Trust, at once."""
    PENDING = "pending"
    """Has not answered the question yet."""
    DENIED = "denied"
    """Taps Don't Trust."""
    LOCKED = "locked"
    """Has not unlocked the phone, so it does not ask."""


@frozen
class HostRecord:
    """The phone's half of a pairing; certificates are PEM."""

    host_id: str
    system_buid: str
    device_certificate: bytes
    host_certificate: bytes
    root_certificate: bytes

    @classmethod
    def from_properties(cls, properties: object) -> Self:
        """Read what a host sends as `PairRecord`; keys that are not the phone's business are dropped.

        Raises:
            RemoteProtocolError: Something is missing, too long or of another type.
        """
        if not isinstance(properties, Mapping):
            raise RemoteProtocolError("a pair record that is no dictionary")
        return cls(
            host_id=_read_text(properties, "HostID"),
            system_buid=_read_text(properties, "SystemBUID"),
            device_certificate=_read_certificate(properties, "DeviceCertificate"),
            host_certificate=_read_certificate(properties, "HostCertificate"),
            root_certificate=_read_certificate(properties, "RootCertificate"),
        )


class Hosts:
    """What one phone remembers of hosts, by HostID.

    Args:
        trust: What its owner does when a host asks, from now on; may be changed at any time.
    """

    def __init__(self, trust: Trust = Trust.ACCEPTED) -> None:
        self.trust = trust
        self._records: dict[str, HostRecord] = {}

    @property
    def host_ids(self) -> tuple[str, ...]:
        """Who is trusted, in the order in which they have paired."""
        return tuple(self._records)

    def remember(self, record: HostRecord) -> None:
        """Trust a host, in place of what was known under its HostID; of 256, who paired longest ago makes room."""
        self._records.pop(record.host_id, None)
        if len(self._records) >= _MAX_HOSTS:
            del self._records[next(iter(self._records))]
        self._records[record.host_id] = record

    def find(self, host_id: str) -> HostRecord | None:
        """What is known of a host; None if it is not trusted."""
        return self._records.get(host_id)

    def is_trusted(self, record: HostRecord) -> bool:
        """Whether that very record still holds."""
        return self._records.get(record.host_id) is record

    def forget(self, host_id: str) -> bool:
        """Trust a host no longer; whether it was trusted."""
        return self._records.pop(host_id, None) is not None

    def revoke(self) -> None:
        """Trust nobody any longer, as after "Reset Location & Privacy"; sessions that are open fail from here on."""
        self._records.clear()


def _read_text(properties: Mapping[object, object], key: str) -> str:
    text = properties.get(key)
    if not isinstance(text, str) or not text.isprintable() or not 0 < len(text) <= _MAX_TEXT_LENGTH:
        raise RemoteProtocolError(f"a pair record without a usable {key}")
    return text


def _read_certificate(properties: Mapping[object, object], key: str) -> bytes:
    certificate = properties.get(key)
    if not isinstance(certificate, bytes) or len(certificate) > _MAX_CERTIFICATE_LENGTH:
        raise RemoteProtocolError(f"a pair record without a usable {key}")
    return certificate
