"""TLS with a phone, carried by hand."""

from __future__ import annotations

import errno
import os
import ssl
import warnings
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Final

import pytest

from tests.lockdown.records import record_for
from usbmux.errors import DeviceResetError, NotPairedError, RemoteProtocolError, UsbmuxError
from usbmux.lockdown.tls import TlsSession
from usbmux.testing.iphone.certificates import DeviceKey, shared_key
from usbmux.testing.iphone.faults import TlsOptions
from usbmux.testing.iphone.hosts import HostRecord
from usbmux.testing.iphone.tls_context import is_of_host, server_context

if TYPE_CHECKING:
    from usbmux.lockdown.pair_record import PairRecord

RECORD = record_for()
OPTIONS = TlsOptions()
TLS12 = TlsOptions(minimum_version=ssl.TLSVersion.TLSv1_2, maximum_version=ssl.TLSVersion.TLSv1_2)
TLS13 = TlsOptions(minimum_version=ssl.TLSVersion.TLSv1_3, maximum_version=ssl.TLSVersion.TLSv1_3)
ANOTHER_KEY: Final = DeviceKey()


class PhoneEnd:
    """The phone's end, which answers what it gets."""

    def __init__(self, known: PairRecord, options: TlsOptions, key: DeviceKey | None = None) -> None:
        self.record = HostRecord.from_properties(known.for_phone())
        self._in, self._out = ssl.MemoryBIO(), ssl.MemoryBIO()
        context = server_context(self.record, key or shared_key(), options)
        self.object = context.wrap_bio(self._in, self._out, server_side=True)

    def answer(self, data: bytes) -> bytes:
        self._in.write(data)
        with suppress(ssl.SSLError):
            self.object.do_handshake()
        return self._out.read()

    def say(self, data: bytes) -> bytes:
        self.object.write(data)
        return self._out.read()

    def hear(self) -> bytes:
        return self.object.read()


def shake_hands(session: TlsSession, phone: PhoneEnd) -> None:
    for _ in range(5):
        is_done = session.handshake()
        if answer := phone.answer(session.data_to_send()):
            session.receive_data(answer)
        if is_done:
            return
    raise AssertionError("no end of the handshake")


@pytest.mark.parametrize("options", [TLS12, TLS13], ids=["1.2", "1.3"])
def test_paired_computer_shows_its_host_certificate_and_is_heard(options: TlsOptions) -> None:
    session, phone = TlsSession(RECORD), PhoneEnd(RECORD, options)
    shake_hands(session, phone)
    assert is_of_host(phone.object.getpeercert(binary_form=True), phone.record)
    session.write(b"hello")
    phone.answer(session.data_to_send())
    assert phone.hear() == b"hello"
    assert session.read(10) is None
    session.receive_data(phone.say(b"who is there"))
    assert session.read(3) == b"who"
    assert session.read(100) == b" is there"


def test_phone_with_another_key_is_not_the_one_that_was_paired() -> None:
    imposter = PhoneEnd(record_for(ANOTHER_KEY), replace(OPTIONS, authenticates_host=False), ANOTHER_KEY)
    with pytest.raises(NotPairedError, match="another key"):
        shake_hands(TlsSession(RECORD), imposter)


@pytest.mark.parametrize("options", [TLS12, TLS13], ids=["1.2", "1.3"])
def test_phone_that_knows_another_record_refuses(options: TlsOptions) -> None:
    stranger = replace(record_for(ANOTHER_KEY), device_certificate=RECORD.device_certificate)
    session, phone = TlsSession(stranger), PhoneEnd(RECORD, options)

    def shake_hands_and_read() -> None:
        shake_hands(session, phone)
        session.read(1)  # with TLS 1.3 it refuses behind the handshake

    with pytest.raises(NotPairedError, match="does not accept"):
        shake_hands_and_read()


def test_phone_ends_amid_the_handshake_says_nothing_about_the_pairing() -> None:
    session = TlsSession(RECORD)
    session.handshake()
    session.receive_data(b"")
    with pytest.raises(DeviceResetError):
        session.handshake()


def test_phone_speaks_something_else_is_its_fault() -> None:
    session = TlsSession(RECORD)
    session.handshake()
    session.receive_data(b"HTTP/1.1 400 Bad Request\r\n\r\n")
    with pytest.raises(RemoteProtocolError):
        session.handshake()


def test_stream_that_ends_without_alert_is_at_its_end() -> None:
    session, phone = TlsSession(RECORD), PhoneEnd(RECORD, OPTIONS)
    shake_hands(session, phone)
    session.receive_data(phone.say(b"last"))
    session.receive_data(b"")
    assert (session.read(10), session.read(10)) == (b"last", b"")


def test_stream_that_is_changed_on_its_way_is_broken() -> None:
    session, phone = TlsSession(RECORD), PhoneEnd(RECORD, OPTIONS)
    shake_hands(session, phone)
    session.read(1)  # what belongs to the handshake
    session.receive_data(phone.say(b"x")[:-1] + b"\0")
    with pytest.raises(RemoteProtocolError):
        session.read(10)
    with pytest.raises(RemoteProtocolError):
        session.write(b"x")


@pytest.mark.parametrize(
    "record",
    [
        replace(RECORD, host_private_key=RECORD.root_private_key),
        replace(RECORD, host_private_key=b"nonsense"),
        replace(RECORD, host_certificate=b"nonsense"),
        replace(RECORD, device_certificate=b"nonsense"),
        replace(RECORD, device_certificate=ssl.DER_cert_to_PEM_cert(b"nonsense").encode()),
    ],
    ids=["another key", "no key", "no host certificate", "no device certificate", "no certificate in PEM"],
)
def test_record_that_cannot_be_used_is_no_pairing(record: PairRecord) -> None:
    with pytest.raises(NotPairedError):
        TlsSession(record)


def test_system_has_nothing_left_to_read_keys_from_says_nothing_about_the_phone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse(_name: str) -> int:
        raise OSError(errno.EMFILE, "Too many open files")

    monkeypatch.setattr(os, "memfd_create", refuse, raising=False)
    with pytest.raises(UsbmuxError, match="Too many open files") as failed:
        TlsSession(RECORD)
    assert type(failed.value) is UsbmuxError


def test_warning_filters_of_the_program_are_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """`catch_warnings` changes them for all threads."""
    with monkeypatch.context() as patch:
        patch.setattr(warnings, "catch_warnings", None)
        TlsSession(RECORD)


def test_keys_are_read_from_a_private_file_where_there_is_no_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "memfd_create", raising=False)
    session, phone = TlsSession(RECORD), PhoneEnd(RECORD, OPTIONS)
    shake_hands(session, phone)
    assert is_of_host(phone.object.getpeercert(binary_form=True), phone.record)
