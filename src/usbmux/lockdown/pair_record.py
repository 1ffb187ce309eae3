"""What this computer keeps of a pairing with a phone."""

from collections.abc import Mapping
from typing import Final, Self

from usbmux.control.message import MAX_TEXT_LENGTH
from usbmux.control.property_list import dump, load
from usbmux.errors import NotPairedError, RemoteProtocolError
from usbmux.values import field, frozen

MAX_CERTIFICATE_LENGTH: Final = 16384
_MAX_ESCROW_BAG_LENGTH: Final = 4096


@frozen
class PairRecord:
    """The computer's half of a pairing, which any program may use; certificates and keys are PEM."""

    host_id: str
    """Under which the phone knows this pairing."""
    system_buid: str
    """Of the computer; the same in all its pairings."""
    device_certificate: bytes
    host_certificate: bytes
    host_private_key: bytes = field(repr=False)
    root_certificate: bytes
    root_private_key: bytes = field(repr=False)
    wifi_mac_address: str | None = None
    escrow_bag: bytes | None = field(default=None, repr=False)
    """What the phone takes for its passcode; None if it gave none."""

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Read a record as any program has saved it; keys that are not here are dropped.

        Raises:
            NotPairedError: Something is missing, too long or of another type.
        """
        try:
            properties = load(data)
        except RemoteProtocolError as error:
            raise NotPairedError(f"a pair record that is {error}") from error
        wifi_mac_address, escrow_bag = properties.get("WiFiMACAddress"), properties.get("EscrowBag")
        return cls(
            host_id=_text(properties, "HostID"),
            system_buid=_text(properties, "SystemBUID"),
            device_certificate=_pem(properties, "DeviceCertificate"),
            host_certificate=_pem(properties, "HostCertificate"),
            host_private_key=_pem(properties, "HostPrivateKey"),
            root_certificate=_pem(properties, "RootCertificate"),
            root_private_key=_pem(properties, "RootPrivateKey"),
            wifi_mac_address=wifi_mac_address if isinstance(wifi_mac_address, str) else None,
            escrow_bag=escrow_bag if isinstance(escrow_bag, bytes) else None,
        )

    def to_bytes(self) -> bytes:
        """The record as it is saved: an XML property list."""
        optional = {"EscrowBag": self.escrow_bag, "WiFiMACAddress": self.wifi_mac_address}
        secrets = {"HostPrivateKey": self.host_private_key, "RootPrivateKey": self.root_private_key}
        present = {key: value for key, value in optional.items() if value is not None}
        return dump(dict(sorted((self.for_phone() | secrets | present).items())))

    def for_phone(self) -> dict[str, object]:
        """What the phone is given: no private key."""
        return {
            "DeviceCertificate": self.device_certificate,
            "HostCertificate": self.host_certificate,
            "HostID": self.host_id,
            "RootCertificate": self.root_certificate,
            "SystemBUID": self.system_buid,
        }


def checked_escrow_bag(value: object) -> bytes | None:
    """What a phone has sent as EscrowBag.

    Raises:
        RemoteProtocolError: It is of another type, or too long.
    """
    if value is None or (isinstance(value, bytes) and len(value) <= _MAX_ESCROW_BAG_LENGTH):
        return value
    raise RemoteProtocolError("an EscrowBag of another type, or too long")


def _text(properties: Mapping[object, object], key: str) -> str:
    text = properties.get(key)
    if not isinstance(text, str) or not text.isprintable() or not 0 < len(text) <= MAX_TEXT_LENGTH:
        raise NotPairedError(f"a pair record without a usable {key}")
    return text


def _pem(properties: Mapping[object, object], key: str) -> bytes:
    pem = properties.get(key)
    if not isinstance(pem, bytes) or not 0 < len(pem) <= MAX_CERTIFICATE_LENGTH:
        raise NotPairedError(f"a pair record without a usable {key}")
    return pem
