from __future__ import annotations

import plistlib

import pytest

from tests.lockdown.records import PROPERTIES
from usbmux.control.message import MAX_TEXT_LENGTH
from usbmux.errors import NotPairedError, RemoteProtocolError
from usbmux.lockdown.pair_record import PairRecord, checked_escrow_bag
from usbmux.testing.iphone.hosts import HostRecord

REQUIRED = sorted(set(PROPERTIES) - {"EscrowBag", "WiFiMACAddress"})


@pytest.mark.parametrize("form", [plistlib.FMT_XML, plistlib.FMT_BINARY])
def test_record_of_any_program_is_saved_as_it_was_read(form: plistlib.PlistFormat) -> None:
    record = PairRecord.from_bytes(plistlib.dumps(PROPERTIES | {"UDID": "not ours"}, fmt=form))
    saved = record.to_bytes()
    assert saved.startswith(b"<?xml")
    assert plistlib.loads(saved) == PROPERTIES


def test_record_without_what_may_be_missing_is_read_and_saved_without() -> None:
    properties = {key: PROPERTIES[key] for key in REQUIRED}
    assert plistlib.loads(PairRecord.from_bytes(plistlib.dumps(properties)).to_bytes()) == properties


def test_record_with_the_longest_buid_of_a_daemon_is_read() -> None:
    properties = PROPERTIES | {"SystemBUID": MAX_TEXT_LENGTH * "x"}
    assert plistlib.loads(PairRecord.from_bytes(plistlib.dumps(properties)).to_bytes()) == properties
    assert HostRecord.from_properties(properties).system_buid == properties["SystemBUID"]


def test_phone_is_given_no_private_key() -> None:
    given = PairRecord.from_bytes(plistlib.dumps(PROPERTIES)).for_phone()
    assert set(given) == {"DeviceCertificate", "HostCertificate", "HostID", "RootCertificate", "SystemBUID"}


@pytest.mark.parametrize("key", REQUIRED)
@pytest.mark.parametrize("value", [None, 1, "", b"", b"x" * 16385, "x" * 256, "new\nline"])
def test_record_with_a_part_that_cannot_be_used_is_no_pairing(key: str, value: object) -> None:
    properties = {name: text for name, text in (PROPERTIES | {key: value}).items() if text is not None}
    with pytest.raises(NotPairedError, match=key):
        PairRecord.from_bytes(plistlib.dumps(properties))


@pytest.mark.parametrize("data", [b"", b"nonsense", plistlib.dumps([])])
def test_record_that_is_no_dictionary_is_no_pairing(data: bytes) -> None:
    with pytest.raises(NotPairedError, match="pair record"):
        PairRecord.from_bytes(data)


@pytest.mark.parametrize("key", ["EscrowBag", "WiFiMACAddress"])
def test_record_with_a_part_of_another_type_that_is_not_needed_is_read_without(key: str) -> None:
    record = PairRecord.from_bytes(plistlib.dumps(PROPERTIES | {key: 1}))
    assert key not in plistlib.loads(record.to_bytes())


def test_escrow_bag_is_data_or_missing() -> None:
    assert checked_escrow_bag(None) is None
    assert checked_escrow_bag(b"x" * 4096) == b"x" * 4096
    for value in ("text", b"x" * 4097):
        with pytest.raises(RemoteProtocolError):
            checked_escrow_bag(value)


def test_secrets_are_not_printed() -> None:
    shown = repr(PairRecord.from_bytes(plistlib.dumps(PROPERTIES)))
    assert "HOST-1" in shown
    assert not [secret for secret in ("host key", "root key", "bag") if secret in shown]
