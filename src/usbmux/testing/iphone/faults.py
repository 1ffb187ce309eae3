"""Faults that a virtual iPhone commits when asked to, and what else can be chosen about its TLS. Defaults are right."""

from collections.abc import Mapping
from enum import Enum, auto
from pathlib import Path
from ssl import TLSVersion
from typing import Final, assert_never

from usbmux.lockdown.plist_frame import HEADER_LENGTH, encode
from usbmux.values import field, frozen

_BYTE_ORDER_MARK: Final = b"\xef\xbb\xbf"
_ENORMOUS: Final = 0xFFFFFFFF


class Framing(Enum):
    """How a reply of lockdown is put on the stream."""

    RIGHT = auto()
    EMPTY = auto()
    """A length of 0, and nothing else."""
    ENORMOUS = auto()
    """A length of 4 GiB less one byte; the connection ends behind what is there."""
    CUT = auto()
    """The first half of the message; then the connection ends."""
    BYTE_ORDER_MARK = auto()
    """One before the property list, counted in the length."""


@frozen
class LockdownFaults:
    """What is wrong with the replies of lockdown.

    Requests are counted from 1 on each connection, those inside a session included.
    """

    at_request: int | None = None
    """The request whose reply the faults below concern; None for every one."""
    delay_s: float = 0.0
    """How long the reply takes."""
    request_name: str | None = None
    """What the reply says it replies to, in place of the request's name."""
    extra: Mapping[str, object] = field(default_factory=dict)
    """Keys that the reply has in addition, or with another value."""
    error: str | None = None
    """The request is not carried out and fails with this."""
    is_binary: bool = False
    """The reply is a binary property list (which is no fault: hosts must read both)."""
    framing: Framing = Framing.RIGHT
    """How the reply is put on the stream."""
    closes: bool = False
    """The connection ends behind the reply."""

    @property
    def end_connection(self) -> bool:
        """Whether nothing follows a reply that they concern."""
        return self.closes or self.framing in (Framing.ENORMOUS, Framing.CUT)

    def concern(self, request_number: int) -> bool:
        """Whether this request is one of those."""
        return self.at_request is None or self.at_request == request_number

    def encode(self, reply: Mapping[str, object]) -> bytes:
        """The bytes for a reply that they concern."""
        properties = {**reply, **self.extra}
        if self.request_name is not None:
            properties["Request"] = self.request_name
        message = encode(properties, binary=self.is_binary)
        payload = message[HEADER_LENGTH:]
        match self.framing:
            case Framing.RIGHT:
                return message
            case Framing.EMPTY:
                return bytes(HEADER_LENGTH)
            case Framing.ENORMOUS:
                return _ENORMOUS.to_bytes(HEADER_LENGTH) + payload
            case Framing.CUT:
                return message[: len(message) // 2]
            case Framing.BYTE_ORDER_MARK:
                marked = _BYTE_ORDER_MARK + payload
                return len(marked).to_bytes(HEADER_LENGTH) + marked
            case _:
                assert_never(self.framing)


@frozen
class ServiceFaults:
    """What is wrong with the ports of services."""

    refuses: bool = False
    """Nothing listens on the port that StartService names."""
    accept_delay_s: float = 0.0
    """How long the phone takes to accept the connection."""
    reset_text: bytes | None = None
    """What the phone says when it resets the connection as soon as it stands; None if it does not."""


@frozen
class TlsOptions:
    """How the phone does TLS, for sessions of lockdown and for services."""

    minimum_version: TLSVersion = TLSVersion.TLSv1
    """Hosts that have not asked which iOS it is offer nothing newer, and daemons do not ask a phone that they know."""
    maximum_version: TLSVersion = TLSVersion.TLSv1_3
    authenticates_host: bool = True
    """Whether the host must prove that it is the one of the pair record."""
    handshake_timeout_s: float = 30.0
    """How long a host may take for its part of the handshake."""
    key_log: Path | None = None
    """A file that secrets are appended to, so that recordings can be decrypted."""
    own_certificate: bool = False
    """A fault: the phone shows a certificate of its own, not the one that the host has issued."""
    stalls_handshake: bool = False
    """A fault: the phone never answers the first message."""
    omits_close_alert: bool = False
    """A fault: the phone ends without saying so, as if the connection were cut."""
