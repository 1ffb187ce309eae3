"""Lockdown with blocking sockets."""

from __future__ import annotations

import time
from contextlib import suppress
from typing import TYPE_CHECKING, Self, TypeVar

from usbmux.errors import (
    LockdownError,
    NotPairedError,
    PhoneLockedError,
    RequestError,
    RequestTimeoutError,
    TrustPendingError,
    UsbmuxError,
)
from usbmux.lockdown import operations
from usbmux.lockdown.blocking_stream import BlockingStream
from usbmux.lockdown.operations import INSECURE_PROXY, LOCKDOWN_PORT, Operation
from usbmux.lockdown.pair_record import PairRecord
from usbmux.lockdown.plist_frame import MAX_LENGTH

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import TracebackType

    from usbmux.lockdown.route import Route
    from usbmux.lockdown.values import Value

T = TypeVar("T")


class LockdownClient:
    """Asks a phone about itself, pairs with it and starts its services. Made by `Client.lockdown`; for one thread.

    One connection, made when it is first needed and closed by leaving the context; after an error that ends it, the
    next call makes another one, without session, also to a phone that was plugged in again meanwhile. Every call
    may raise `LockdownError` if the phone refuses, `DeviceResetError`, `RequestTimeoutError`,
    `RemoteProtocolError`, and what `Client.connect` raises.

    Args:
        route: The way to the phone.
        timeout_s: How long the phone may take for each answer; None for no limit.
        max_length: Longest answer that is taken, in bytes.
    """

    def __init__(self, route: Route, *, timeout_s: float | None, max_length: int = MAX_LENGTH) -> None:
        self._route = route
        self._timeout_s = timeout_s
        self._max_length = max_length
        self._stream: BlockingStream | None = None
        self._session_record: PairRecord | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the connection, and with it the session. Idempotent; another call makes a new connection."""
        stream, self._stream = self._stream, None
        if stream is not None:
            stream.close()

    def udid(self) -> str:
        """Return which phone it is, as the daemon spells it."""
        return self._route.udid()

    def query_type(self) -> str:
        """Return what answers on the port: ``com.apple.mobile.lockdown`` on phones."""
        return self.run(operations.query_type())

    def value(self, key: str, domain: str | None = None) -> Value:
        """Return a value; without a session only few are told.

        Raises:
            LockdownError: There is none; its `error` is ``MissingValue``.
        """
        return self.run(operations.value(key, domain))

    def values(self, domain: str | None = None) -> Mapping[str, Value]:
        """Return all values of a domain, or all that belong to none."""
        return self.run(operations.values(domain))

    def set_value(self, key: str, value: object, domain: str | None = None) -> None:
        """Change a value.

        Raises:
            LocalProtocolError: A value that a property list cannot hold.
        """
        self.run(operations.set_value(key, value, domain))

    def remove_value(self, key: str, domain: str | None = None) -> None:
        """Remove a value."""
        self.run(operations.remove_value(key, domain))

    def pair(self, *, wait_s: float = 0.0) -> PairRecord:
        """Make the phone trust this computer, and keep the record with the daemon, for every program.

        Args:
            wait_s: How long the phone's owner may take to unlock it and tap Trust.

        Raises:
            TrustPendingError: Its owner has not answered yet.
            PhoneLockedError: It has to be unlocked first.
            TrustDeniedError: Its owner does not trust this computer.
            UsbmuxError: The package ``cryptography`` is missing.
        """
        from usbmux.lockdown.certificates import make_pair_record  # here, because it is slow to import

        public_key, wifi_mac_address = self.run(operations.public_key())
        record = make_pair_record(public_key, self._route.buid(), wifi_mac_address)
        try:
            paired = self.run(operations.pair(record))
        except (TrustPendingError, PhoneLockedError):
            if wait_s <= 0:
                raise
            paired = self._pair_when_asked(record, wait_s)
        self.keep(paired)
        return paired

    def keep(self, paired: PairRecord) -> None:
        """Give a record that the phone has agreed to into the daemon's keeping.

        Raises:
            RequestError: The daemon cannot keep it; the phone was asked to forget it, for nobody would have its keys.
        """
        try:
            self._route.save_pair_record(paired.to_bytes())
        except RequestError:
            with suppress(UsbmuxError):
                self.run(operations.unpair(paired))
            raise

    def validate(self) -> None:
        """Find out whether the pair record that the daemon keeps still holds, with a session on a new connection.

        Raises:
            PairRecordNotFoundError: It keeps none.
            NotPairedError: It does not hold.
            PhoneLockedError: The phone tells only once it is unlocked.
        """
        self.close()
        self.start_session()
        self.value("ProductVersion")  # with TLS 1.3 the phone may refuse only now
        self.close()

    def unpair(self) -> None:
        """Make the phone trust this computer no longer, and let the daemon forget the record.

        Raises:
            PairRecordNotFoundError: It keeps none.
            NotPairedError: The record cannot be used.
        """
        record = self._record()
        with suppress(NotPairedError):  # then the phone knows it no longer
            self.run(operations.unpair(record))
        self._route.delete_pair_record()

    def start_session(self, record: PairRecord | None = None) -> None:
        """Become somebody whom the phone trusts: everything from now on is inside TLS.

        Args:
            record: Of the pairing; None for the one that the daemon keeps.

        Raises:
            PairRecordNotFoundError: It keeps none.
            NotPairedError: The phone does not know this computer, or the record does not fit.
            PhoneLockedError: It has to be unlocked first.
        """
        record = record or self._record()
        self.run(operations.start_session(record))
        self._session_record = record

    def start_service(self, name: str) -> BlockingStream:
        """Start a service; return a connection to it, inside TLS if the phone wants that. Most need a session.

        Args:
            name: Such as ``com.apple.afc``.
        """
        service = self.run(operations.start_service(name))
        record = (self._session_record or self._record()) if service.is_encrypted else None
        stream = BlockingStream(self._route.connect(service.port), self._timeout_s, self._max_length)
        if record is not None:
            stream.begin_tls(record)
        return stream

    def run(self, operation: Operation[T]) -> T:
        """Carry out an operation of `usbmux.lockdown.operations` on the connection and return its result."""
        if self._stream is None or self._stream.is_closed:
            self._session_record = None
            self._stream = BlockingStream(self._route.connect(LOCKDOWN_PORT), self._timeout_s, self._max_length)
        return self._stream.run(operation)

    def _pair_when_asked(self, record: PairRecord, wait_s: float) -> PairRecord:
        deadline = time.monotonic() + wait_s
        with self.start_service(INSECURE_PROXY) as proxy:
            proxy.run(operations.observe_pairing())
            while True:
                # First without waiting: the answer may have been given before we listened.
                try:
                    return self.run(operations.pair(record))
                except (TrustPendingError, PhoneLockedError) as error:
                    self.close()  # a phone may not keep it for so long
                    _wait_until_asked(proxy, deadline, error)

    def _record(self) -> PairRecord:
        return PairRecord.from_bytes(self._route.read_pair_record())


def _wait_until_asked(proxy: BlockingStream, deadline: float, error: LockdownError) -> None:
    """Wait until it makes sense to pair again.

    Raises:
        LockdownError: `error`, at the deadline.
    """
    is_asked = False
    while not is_asked:
        proxy.timeout_s = deadline - time.monotonic()
        if proxy.timeout_s <= 0:  # what has come already is read without waiting, and a phone may never stop telling
            raise error
        try:
            is_asked = proxy.run(operations.hear_pairing())
        except RequestTimeoutError:
            raise error from None
