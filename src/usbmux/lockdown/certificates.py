"""Makes the keys and certificates of a new pairing; the only module here that needs ``cryptography``.

It is imported when the first pairing is made, which few runs of a program do.
"""

from __future__ import annotations

import datetime
import uuid
from importlib.util import find_spec
from typing import TYPE_CHECKING, Final

from usbmux.errors import RemoteProtocolError, UsbmuxError
from usbmux.lockdown.pair_record import MAX_CERTIFICATE_LENGTH, PairRecord

if TYPE_CHECKING:
    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric import rsa

MISSING_PACKAGE: Final = "pairing needs the package cryptography: pip install 'usbmux[daemon]'"
_KEY_SIZE: Final = 2048
_PUBLIC_EXPONENT: Final = 65537
_VALIDITY: Final = datetime.timedelta(days=3650)
_CLOCK_SKEW: Final = datetime.timedelta(days=1)
"""How far the phone's clock may be behind ours."""


def can_make_pair_records() -> bool:
    """Whether the package that makes keys is installed."""
    return find_spec("cryptography") is not None


def make_pair_record(device_public_key: bytes, system_buid: str, wifi_mac_address: str | None = None) -> PairRecord:
    """Make what a pairing needs, under a new HostID. Takes some tenths of a second, so not for an event loop.

    Args:
        device_public_key: The phone's, an RSA key in PEM, as PKCS#1 or SubjectPublicKeyInfo.
        system_buid: This computer's.
        wifi_mac_address: The phone's, for programs that look for it in the network.

    Raises:
        RemoteProtocolError: That is no such key.
        UsbmuxError: The package ``cryptography`` is missing.
    """
    try:
        from cryptography.exceptions import UnsupportedAlgorithm
        from cryptography.hazmat.primitives import serialization
        from cryptography.hazmat.primitives.asymmetric import rsa
    except ImportError as error:
        raise UsbmuxError(MISSING_PACKAGE) from error
    if len(device_public_key) > MAX_CERTIFICATE_LENGTH:
        raise RemoteProtocolError(f"a public key of {len(device_public_key)} bytes", device_public_key[:64])
    try:
        device_key = serialization.load_pem_public_key(device_public_key.rstrip(b"\0"))
    except (ValueError, UnsupportedAlgorithm) as error:
        raise RemoteProtocolError("the phone's public key cannot be read", device_public_key[:64]) from error
    if not isinstance(device_key, rsa.RSAPublicKey):
        raise RemoteProtocolError("the phone's public key is not RSA", device_public_key[:64])
    root_key, host_key = (rsa.generate_private_key(_PUBLIC_EXPONENT, _KEY_SIZE) for _ in range(2))
    return PairRecord(
        host_id=str(uuid.uuid4()).upper(),
        system_buid=system_buid,
        device_certificate=_issue(device_key, root_key),
        host_certificate=_issue(host_key.public_key(), root_key),
        host_private_key=_private_pem(host_key),
        root_certificate=_issue(root_key.public_key(), root_key, is_authority=True),
        root_private_key=_private_pem(root_key),
        wifi_mac_address=wifi_mac_address,
    )


def _issue(public_key: rsa.RSAPublicKey, issuer: rsa.RSAPrivateKey, *, is_authority: bool = False) -> bytes:
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization

    # Programs that pair leave the names empty, and it is such records that phones are known to take.
    nobody = x509.Name([])
    now = datetime.datetime.now(datetime.UTC)
    builder = x509.CertificateBuilder(nobody, nobody, public_key, serial_number=1)
    builder = builder.not_valid_before(now - _CLOCK_SKEW).not_valid_after(now + _VALIDITY)
    builder = builder.add_extension(x509.BasicConstraints(ca=is_authority, path_length=None), critical=True)
    if not is_authority:
        builder = builder.add_extension(_key_usage(), critical=True)
    return builder.sign(issuer, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


def _key_usage() -> x509.KeyUsage:
    from cryptography import x509

    return x509.KeyUsage(
        digital_signature=True,
        key_encipherment=True,
        content_commitment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=False,
        crl_sign=False,
        encipher_only=False,
        decipher_only=False,
    )


def _private_pem(key: rsa.RSAPrivateKey) -> bytes:
    from cryptography.hazmat.primitives import serialization

    pem, pkcs1 = serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL
    return key.private_bytes(pem, pkcs1, serialization.NoEncryption())
