from __future__ import annotations

import ssl

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from hypothesis import given
from hypothesis import strategies as st

from tests.lockdown.records import record_for
from usbmux.errors import NotPairedError
from usbmux.lockdown.public_key import der_of, public_key_of

CERTIFICATE = der_of(record_for().device_certificate)
KEY = (
    x509.load_der_x509_certificate(CERTIFICATE)
    .public_key()
    .public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
)
# SEQUENCE { SEQUENCE { serial, algorithm, issuer, validity, subject, key } }: the first version has no version field
FIRST_VERSION = bytes.fromhex("3012 3010 0201013000300030003000 3003020107".replace(" ", ""))


def test_key_of_a_certificate_is_found() -> None:
    assert public_key_of(CERTIFICATE) == KEY


def test_key_of_a_certificate_without_version_is_found() -> None:
    assert public_key_of(FIRST_VERSION) == bytes.fromhex("3003020107")


@pytest.mark.parametrize("length", [0, 1, 3, 10, 100, CERTIFICATE.index(KEY) + len(KEY) - 1])
def test_certificate_that_is_cut_is_refused(length: int) -> None:
    with pytest.raises(NotPairedError, match="certificate"):
        public_key_of(CERTIFICATE[:length])


@given(st.binary(max_size=64))
def test_anything_else_is_refused_or_read_without_other_errors(data: bytes) -> None:
    try:
        public_key_of(data)
    except NotPairedError:
        return


def test_pem_is_read_whatever_is_around_it() -> None:
    pem = ssl.DER_cert_to_PEM_cert(CERTIFICATE).encode()
    assert der_of(b"\n" + pem + b"\n\0") == CERTIFICATE


@pytest.mark.parametrize(
    "pem", [b"", b"nonsense", b"\xff", b"-----BEGIN CERTIFICATE-----\nA\n-----END CERTIFICATE-----"]
)
def test_what_is_no_pem_is_refused(pem: bytes) -> None:
    with pytest.raises(NotPairedError, match="PEM"):
        der_of(pem)
