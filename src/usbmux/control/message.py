"""The messages of the client protocol as values, the same for both encodings.

Rules C17 to C30 of docs/protocol/control.md.
"""

from enum import IntEnum
from typing import Final

from usbmux.errors import RemoteProtocolError
from usbmux.values import field, frozen

MAX_TEXT_LENGTH: Final = 255
"""Longest text taken from a peer, in characters (C16)."""


def clean_text(text: str) -> str:
    """`text` fit for records and logs: at most 255 characters, all printable, the others replaced by ``?``."""
    text = text[:MAX_TEXT_LENGTH]
    return text if text.isprintable() else "".join(char if char.isprintable() else "?" for char in text)


class ResultCode(IntEnum):
    """Numbers of a Result message. Pair-record requests answer with an errno instead (C27)."""

    OK = 0
    BAD_COMMAND = 1
    BAD_DEVICE = 2
    CONNECTION_REFUSED = 3
    NO_SUCH_SERVICE = 4
    INVALID_REQUEST = 5
    BAD_VERSION = 6


@frozen
class ClientIdentity:
    """What a client says of itself beside its request; every part is optional on the wire."""

    program: str = ""
    """ProgName."""
    version: str = ""
    """ClientVersionString."""
    bundle_id: str = ""
    """BundleID."""
    library_version: int | None = None
    """kLibUSBMuxVersion."""
    connection_type: int | None = None
    """ConnType."""
    process_id: int | None = None
    """ProcessID."""


@frozen
class DeviceRecord:
    """A phone as Attached and ListDevices describe it."""

    device_id: int
    serial_number: str
    product_id: int = 0
    location_id: int = 0
    connection_speed: int = 0
    """Bit/s; 0 where the encoding has no place for it."""
    connection_type: str = "USB"
    port_path: str = ""
    """Where the phone is plugged in, the same after a replug: ``1-2.3``; empty if the daemon does not say."""
    network_address: bytes | None = None
    """A sockaddr in the daemon's layout, for `connection_type` Network only."""


@frozen
class ListenerRecord:
    """One listening client as ListListeners describes it."""

    id_string: str
    """``ID String``: the daemon's number for the client and the client's name, with a dash between."""
    identity: ClientIdentity = field(default_factory=ClientIdentity)
    blacklisted: bool = False


# Requests


@frozen
class Listen:
    """Tell me of comings and goings on this connection from now on."""


@frozen
class Connect:
    """Turn this connection into a stream to a port of a phone."""

    device_id: int
    port: int
    """As people write it, 22 for ssh: the byte swap of the wire is the codecs' affair."""


@frozen
class ListDevices:
    """Which phones are attached?"""


@frozen
class ListListeners:
    """Who is listening?"""


@frozen
class ReadBuid:
    """The SystemBUID of this computer."""


@frozen
class ReadPairRecord:
    """The pair record of a phone."""

    record_id: str


@frozen
class SavePairRecord:
    """Store the pair record of a phone."""

    record_id: str
    data: bytes = field(repr=False)
    """The record as the client made it, a property list; holds private keys."""
    device_id: int | None = None
    """If it names the attached phone with that serial number, listeners hear Paired."""


@frozen
class DeletePairRecord:
    """Forget the pair record of a phone."""

    record_id: str


Request = Listen | Connect | ListDevices | ListListeners | ReadBuid | ReadPairRecord | SavePairRecord | DeletePairRecord

# Replies


@frozen
class Result:
    """The answer that has a number only: 0, a `ResultCode`, or an errno."""

    code: int


@frozen
class DeviceList:
    """Answer to `ListDevices`."""

    devices: tuple[DeviceRecord, ...]


@frozen
class ListenerList:
    """Answer to `ListListeners`."""

    listeners: tuple[ListenerRecord, ...]


@frozen
class Buid:
    """Answer to `ReadBuid`."""

    buid: str


@frozen
class PairRecord:
    """Answer to `ReadPairRecord`."""

    data: bytes = field(repr=False)


Reply = Result | DeviceList | ListenerList | Buid | PairRecord

# Notifications


@frozen
class Attached:
    """A phone came, or was there when listening began."""

    device: DeviceRecord


@frozen
class Detached:
    """A phone went."""

    device_id: int


@frozen
class Paired:
    """A pair record for the phone was saved."""

    device_id: int


Notification = Attached | Detached | Paired

Message = Request | Reply | Notification


class InvalidRequestError(RemoteProtocolError):
    """A request that cannot be understood, while the stream is still in step.

    Args:
        code: What to answer: a `ResultCode`, or an errno.
        reason: For the log.
    """

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(reason)
        self.code = code


class UnknownMessageError(RemoteProtocolError):
    """A daemon's message that is sound but means nothing to us; a listener may pass over it."""


_DATA_REPLIES: Final[dict[type[Request], type[Reply]]] = {
    ListDevices: DeviceList,
    ListListeners: ListenerList,
    ReadBuid: Buid,
    ReadPairRecord: PairRecord,
}


def is_answer(reply: Reply, request: Request) -> bool:
    """Whether `reply` may answer `request`: a Result always, data only what was asked for."""
    return isinstance(reply, Result) or type(reply) is _DATA_REPLIES.get(type(request))


def normalized_udid(udid: str) -> str:
    """The spelling under which UDIDs are compared: dashes and case do not matter."""
    return udid.replace("-", "").lower()
