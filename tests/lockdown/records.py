"""Pair records for tests, made by a host that is not ours."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from usbmux.lockdown.certificates import make_pair_record
from usbmux.testing.iphone.certificates import DeviceKey, shared_key

if TYPE_CHECKING:
    from usbmux.lockdown.pair_record import PairRecord

BUID = "30142955-444094379208051516"
PROPERTIES: dict[str, object] = {
    "DeviceCertificate": b"device",
    "EscrowBag": b"bag",
    "HostCertificate": b"host",
    "HostID": "HOST-1",
    "HostPrivateKey": b"host key",
    "RootCertificate": b"root",
    "RootPrivateKey": b"root key",
    "SystemBUID": BUID,
    "WiFiMACAddress": "aa:bb:cc:dd:ee:ff",
}


@cache
def record_for(key: DeviceKey | None = None) -> PairRecord:
    """A usable record for the phone with that key; None for the one that virtual iPhones share."""
    return make_pair_record((key or shared_key()).public_pem, BUID)
