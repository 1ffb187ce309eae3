"""What lockdown can be asked, once for both shells: generators that yield steps and receive replies. They do no I/O."""

from __future__ import annotations

import errno
from collections.abc import Generator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Final, TypeAlias, TypeVar

from usbmux.errors import (
    DeviceResetError,
    LockdownError,
    NotPairedError,
    PhoneLockedError,
    RemoteProtocolError,
    RequestTimeoutError,
    TrustDeniedError,
    TrustPendingError,
)
from usbmux.lockdown.pair_record import checked_escrow_bag
from usbmux.lockdown.values import checked_value, checked_values
from usbmux.values import frozen

if TYPE_CHECKING:
    from usbmux.lockdown.pair_record import PairRecord
    from usbmux.lockdown.values import Value

T = TypeVar("T")

LOCKDOWN_PORT: Final = 62078
LOCKDOWN_TYPE: Final = "com.apple.mobile.lockdown"
"""What QueryType answers where lockdown is, rather than another program of Apple's."""
INSECURE_PROXY: Final = "com.apple.mobile.insecure_notification_proxy"
"""The service that tells a computer which is not paired that it may ask again."""
PAIR_NOTIFICATIONS: Final = ("com.apple.mobile.lockdown.request_pair", "com.apple.mobile.lockdown.request_host_buid")

_LABEL: Final = "usbmux"
_MAX_WORD_LENGTH: Final = 64
_INVALID_HOST: Final = "InvalidHostID"
_MISSING_VALUE: Final = "MissingValue"
_ADVICE: Final[Mapping[str, tuple[type[LockdownError], str]]] = {
    _INVALID_HOST: (NotPairedError, "the phone does not know this computer: usbmux pair"),
    "PairingDialogResponsePending": (TrustPendingError, "the phone asks whether to trust this computer: tap Trust"),
    "UserDeniedPairing": (
        TrustDeniedError,
        "trust was refused on the phone: plug it in again to be asked again, and tap Trust",
    ),
    "PasswordProtected": (PhoneLockedError, "the phone is locked: unlock it and tap Trust"),
}


@frozen
class Send:
    """Send a message."""

    properties: Mapping[str, object]


@frozen
class Receive:
    """Wait for a message, which is what the generator receives."""


@frozen
class BeginTls:
    """Do the handshake of TLS; from then on everything is inside it."""

    record: PairRecord


Step: TypeAlias = Send | Receive | BeginTls
Operation: TypeAlias = Generator[Step, Mapping[object, object], T]


@frozen
class ServicePort:
    """Where a service that was started waits for one connection."""

    port: int
    is_encrypted: bool
    """Whether TLS is to begin at once."""


def query_type() -> Operation[str]:
    """Return what program answers on the port."""
    reply = yield from _ask("QueryType")
    return _text(reply, "Type")


def value(key: str, domain: str | None) -> Operation[Value]:
    """Return a value."""
    reply = yield from _ask("GetValue", {"Key": key} | _in(domain))
    if "Value" not in reply:
        raise LockdownError(f"the phone has no {key}", _MISSING_VALUE)
    return checked_value(reply["Value"])


def values(domain: str | None) -> Operation[Mapping[str, Value]]:
    """Return all values of a domain, or all that belong to none."""
    reply = yield from _ask("GetValue", _in(domain))
    return checked_values(reply.get("Value", {}))


def set_value(key: str, new: object, domain: str | None) -> Operation[None]:
    """Change a value."""
    yield from _ask("SetValue", {"Key": key, "Value": new} | _in(domain))


def remove_value(key: str, domain: str | None) -> Operation[None]:
    """Remove a value."""
    yield from _ask("RemoveValue", {"Key": key} | _in(domain))


def public_key() -> Operation[tuple[bytes, str | None]]:
    """Return what is needed to make a pair record: the phone's public key in PEM, and its address in Wi-Fi if any."""
    key = yield from value("DevicePublicKey", None)
    if not isinstance(key, bytes):
        raise RemoteProtocolError("a DevicePublicKey that is no data")
    try:
        address = yield from value("WiFiAddress", None)
    except LockdownError:
        return key, None
    return key, address if isinstance(address, str) and _is_word(address) else None


def pair(record: PairRecord) -> Operation[PairRecord]:
    """Ask the phone to trust this computer; return the record as it is to be saved."""
    fields = {"PairRecord": record.for_phone(), "ProtocolVersion": "2"}
    reply = yield from _ask("Pair", {**fields, "PairingOptions": {"ExtendedPairingErrors": True}})
    return replace(record, escrow_bag=checked_escrow_bag(reply.get("EscrowBag")))


def unpair(record: PairRecord) -> Operation[None]:
    """Ask the phone to trust this computer no longer."""
    yield from _ask("Unpair", {"PairRecord": record.for_phone(), "ProtocolVersion": "2"}, is_echoed=False)


def start_session(record: PairRecord) -> Operation[None]:
    """Become somebody whom the phone trusts; everything behind it is inside TLS."""
    reply = yield from _ask("StartSession", {"HostID": record.host_id, "SystemBUID": record.system_buid})
    _text(reply, "SessionID")
    if reply.get("EnableSessionSSL") is not True:
        raise RemoteProtocolError("a session without TLS, in which the phone proves nothing")
    yield BeginTls(record)


def start_service(name: str) -> Operation[ServicePort]:
    """Start a service; return where it waits."""
    reply = yield from _ask("StartService", {"Service": name})
    port = reply.get("Port")
    if not isinstance(port, int) or isinstance(port, bool) or not 0 < port <= 0xFFFF:
        raise RemoteProtocolError("StartService was answered without a port")
    return ServicePort(port, reply.get("EnableServiceSSL") is True)


def observe_pairing() -> Operation[None]:
    """On the insecure proxy: ask to be told when it makes sense to pair again."""
    for name in PAIR_NOTIFICATIONS:
        yield Send({"Command": "ObserveNotification", "Name": name})


def hear_pairing() -> Operation[bool]:
    """On the insecure proxy: wait for a message; return whether it says that it makes sense to pair again."""
    message = yield Receive()
    return message.get("Command") == "RelayNotification" and message.get("Name") in PAIR_NOTIFICATIONS


def stream_error(error: OSError, timeout_s: float | None) -> DeviceResetError | RequestTimeoutError:
    """What an error of the connection means: the time of a call is up, or the connection gone.

    TimeoutError is both, for TCP gives up as well.
    """
    if timeout_s is not None and isinstance(error, TimeoutError | BlockingIOError) and error.errno != errno.ETIMEDOUT:
        return RequestTimeoutError(f"the phone did not answer within {timeout_s:g} s")
    return DeviceResetError("the phone ended the connection")


def _ask(
    request: str, fields: Mapping[str, object] | None = None, *, is_echoed: bool = True
) -> Operation[Mapping[object, object]]:
    """The phone's answer.

    Raises:
        LockdownError: It refuses.
        RemoteProtocolError: It answers something else.
    """
    yield Send({"Label": _LABEL, "Request": request, **(fields or {})})
    reply = yield Receive()
    if is_echoed and reply.get("Request") != request:
        raise RemoteProtocolError(f"{request} was answered with a reply to something else")
    if (error := reply.get("Error")) is not None:
        raise _refusal(request, error)
    if reply.get("Result") == "Failure":
        raise LockdownError(f"{request} failed, and the phone does not say why")
    return reply


def _refusal(request: str, error: object) -> LockdownError | RemoteProtocolError:
    if not isinstance(error, str) or not _is_word(error):
        return RemoteProtocolError(f"{request} was answered with an Error that is no word")
    kind, advice = _ADVICE.get(error, (LockdownError, f"{request} was refused by the phone: {error}"))
    return kind(advice, error)


def _is_word(text: str) -> bool:
    return len(text) <= _MAX_WORD_LENGTH and text.isprintable()


def _text(reply: Mapping[object, object], key: str) -> str:
    text = reply.get(key)
    if not isinstance(text, str):
        raise RemoteProtocolError(f"a reply without {key}")
    return text


def _in(domain: str | None) -> dict[str, object]:
    return {} if domain is None else {"Domain": domain}
