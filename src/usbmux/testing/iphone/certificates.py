"""The phone's private key, and certificates for it."""

import datetime
import warnings
from functools import cache
from typing import Final

try:
    from cryptography import x509
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import padding, rsa
except ModuleNotFoundError as error:
    raise ModuleNotFoundError(
        "a virtual iPhone needs the package cryptography: pip install 'usbmux[testing]'", name=error.name
    ) from error

_KEY_SIZE: Final = 2048
_PUBLIC_EXPONENT: Final = 65537
_VALIDITY: Final = datetime.timedelta(days=3650)


class DeviceKey:
    """An RSA key of 2048 bits."""

    def __init__(self) -> None:
        self._key = rsa.generate_private_key(_PUBLIC_EXPONENT, _KEY_SIZE)

    @property
    def public_pem(self) -> bytes:
        """The public key as hosts want it: PKCS#1 in PEM."""
        return self._key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.PKCS1)

    @property
    def private_pem(self) -> bytes:
        """The private key, PKCS#8 in PEM, not encrypted."""
        return self._key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )

    def self_signed_certificate(self) -> bytes:
        """A certificate that no host has issued, PEM."""
        name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "another phone")])
        now = datetime.datetime.now(datetime.UTC)
        builder = x509.CertificateBuilder(name, name, self._key.public_key(), x509.random_serial_number())
        certificate = builder.not_valid_before(now - _VALIDITY).not_valid_after(now + _VALIDITY)
        return certificate.sign(self._key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


@cache
def shared_key() -> DeviceKey:
    """The key of every phone of this process that was not given its own: making one takes a tenth of a second."""
    return DeviceKey()


def is_issued_by(certificate: bytes, issuer: bytes) -> bool:
    """Whether a certificate was signed with the key of another one; both DER."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about the serial number, which is 0 in what many hosts make
        try:
            issued, issuing = map(x509.load_der_x509_certificate, (certificate, issuer))
        except ValueError:
            return True  # OpenSSL reads it, and what this package thinks of its form is not the phone's business
    key, algorithm = issuing.public_key(), issued.signature_hash_algorithm
    if not isinstance(key, rsa.RSAPublicKey) or algorithm is None:
        return False
    try:
        # Not by the package's own call, which refuses SHA-1, with which many hosts sign.
        key.verify(issued.signature, issued.tbs_certificate_bytes, padding.PKCS1v15(), algorithm)
    except InvalidSignature:
        return False
    return True
