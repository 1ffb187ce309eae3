from __future__ import annotations

import importlib.util
import sys
from typing import TYPE_CHECKING

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from tests.lockdown.records import BUID, record_for
from usbmux.errors import RemoteProtocolError, UsbmuxError
from usbmux.lockdown.certificates import can_make_pair_records, make_pair_record
from usbmux.testing.iphone.certificates import shared_key

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes

PKCS1 = shared_key().public_pem
PEM = serialization.Encoding.PEM
SPKI = serialization.PublicFormat.SubjectPublicKeyInfo
DEVICE_KEY = serialization.load_pem_public_key(PKCS1)


def loaded(pem: bytes) -> x509.Certificate:
    return x509.load_pem_x509_certificate(pem)


def key_of(pem: bytes) -> PublicKeyTypes:
    return serialization.load_pem_private_key(pem, None).public_key()


def test_root_issues_all_three_and_each_is_for_its_key() -> None:
    record = record_for()
    root = loaded(record.root_certificate)
    assert root.public_key() == key_of(record.root_private_key)
    assert loaded(record.host_certificate).public_key() == key_of(record.host_private_key)
    assert loaded(record.device_certificate).public_key() == DEVICE_KEY
    for pem in (record.root_certificate, record.host_certificate, record.device_certificate):
        certificate = loaded(pem)
        certificate.verify_directly_issued_by(root)
        assert not list(certificate.subject)
        assert isinstance(certificate.signature_hash_algorithm, hashes.SHA256)
        assert (certificate.not_valid_after_utc - certificate.not_valid_before_utc).days == 3651
        constraints = certificate.extensions.get_extension_for_class(x509.BasicConstraints).value
        assert constraints.ca is (pem == record.root_certificate)


def test_every_record_has_a_host_id_and_keys_of_its_own() -> None:
    one, other = record_for(), make_pair_record(PKCS1, BUID, "aa:bb:cc:dd:ee:ff")
    assert one.system_buid == other.system_buid == BUID
    assert one.host_id != other.host_id
    assert one.host_id == one.host_id.upper()
    assert len({one.host_private_key, one.root_private_key, other.host_private_key, other.root_private_key}) == 4
    assert (one.wifi_mac_address, other.wifi_mac_address) == (None, "aa:bb:cc:dd:ee:ff")


@pytest.mark.parametrize("pem", [PKCS1, PKCS1 + b"\0", DEVICE_KEY.public_bytes(PEM, SPKI)])
def test_public_key_is_read_in_both_forms(pem: bytes) -> None:
    assert loaded(make_pair_record(pem, BUID).device_certificate).public_key() == DEVICE_KEY


@pytest.mark.parametrize(
    "pem",
    [
        b"",
        b"nonsense",
        PKCS1[:200],
        b"-" * 16385,
        ec.generate_private_key(ec.SECP256R1()).public_key().public_bytes(PEM, SPKI),
    ],
    ids=["empty", "nonsense", "cut", "too long", "not RSA"],
)
def test_public_key_that_is_none_is_the_phones_fault(pem: bytes) -> None:
    with pytest.raises(RemoteProtocolError, match="public key"):
        make_pair_record(pem, BUID)


def test_package_is_missing_the_error_says_which(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cryptography.hazmat.primitives", None)
    with pytest.raises(UsbmuxError, match=r"pip install 'usbmux\[daemon\]'"):
        make_pair_record(PKCS1, BUID)


def test_package_is_looked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    assert can_make_pair_records()
    monkeypatch.setattr("usbmux.lockdown.certificates.find_spec", lambda _name: None)
    assert importlib.util.find_spec("cryptography")
    assert not can_make_pair_records()


def test_keys_have_2048_bits() -> None:
    key = key_of(record_for().host_private_key)
    assert isinstance(key, rsa.RSAPublicKey)
    assert key.key_size == 2048
