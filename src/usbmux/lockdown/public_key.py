"""The public key of a certificate, without a library for certificates."""

import ssl
from typing import Final

from usbmux.errors import NotPairedError

_SEQUENCE: Final = 0x30
_VERSION: Final = 0xA0
_FIELDS_BEFORE_KEY: Final = 5
"""Serial number, algorithm, issuer, validity and subject."""


def public_key_of(certificate: bytes) -> bytes:
    """The SubjectPublicKeyInfo of a certificate; both are DER.

    Raises:
        NotPairedError: That is no certificate.
    """
    try:
        _, content, _ = _element(certificate, 0)
        _, position, _ = _element(certificate, content)
        tag, _, end = _element(certificate, position)
        if tag == _VERSION:  # which certificates of the first version do not have
            position = end
        for _ in range(_FIELDS_BEFORE_KEY):
            _, _, position = _element(certificate, position)
        tag, _, end = _element(certificate, position)
    except IndexError as error:
        raise NotPairedError("a certificate that is cut short") from error
    if tag != _SEQUENCE or end > len(certificate):
        raise NotPairedError("a certificate without a public key")
    return certificate[position:end]


def der_of(pem: bytes) -> bytes:
    """The certificate in DER that is given in PEM.

    Raises:
        NotPairedError: That is no PEM.
    """
    try:
        return ssl.PEM_cert_to_DER_cert(pem.decode("ascii").strip("\0\r\n\t "))
    except ValueError as error:
        raise NotPairedError("a pair record with a certificate that is not PEM") from error


def _element(data: bytes, position: int) -> tuple[int, int, int]:
    """Its tag, and where its content begins and ends."""
    tag, length = data[position], data[position + 1]
    content = position + 2
    if length & 0x80:
        size = length & 0x7F
        length = int.from_bytes(data[content : content + size])
        content += size
    return tag, content, content + length
