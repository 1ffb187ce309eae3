"""What has happened since the daemon started."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import Final, Protocol, Self

from usbmux.daemon.last_hour import LastHour
from usbmux.daemon.stalls import Stalls
from usbmux.mux.events import CloseCause

COUNTED_PHONES: Final = 1024
"""Of so many UDIDs, the last ones attached, there are counts: a device can make up as many as it likes."""


class ConnectResult(Enum):
    """How a request for a connection to a phone ended."""

    ESTABLISHED = "established"
    NO_PHONE = "no_phone"
    """There is none of that id, or none that the client may see."""
    NOT_ALLOWED = "not_allowed"
    NOT_POSSIBLE = "not_possible"
    """The link was beginning anew, or no source port was free."""
    REFUSED = "refused"
    """By the phone."""
    UNANSWERED = "unanswered"
    LOST = "lost"
    """The phone or its link went away meanwhile."""
    ENDED = "ended"
    """By us: the phone's answer made no sense, or the daemon was ending."""

    @classmethod
    def of(cls, cause: CloseCause) -> Self:
        """What it means for a connection that the phone had not accepted yet."""
        return cls(_RESULTS.get(cause, "ended"))


_RESULTS: Final = {CloseCause.REFUSED: "refused", CloseCause.UNANSWERED: "unanswered", CloseCause.LOST: "lost"}


class RecordAction(Enum):
    """What was asked of the pair records."""

    READ = "read"
    SAVE = "save"
    DELETE = "delete"


class RecordResult(Enum):
    """What became of it."""

    DONE = "done"
    NO_RECORD = "no_record"
    NOT_ALLOWED = "not_allowed"
    INVALID = "invalid"
    """The id, or what was to be saved."""
    FAILED = "failed"


class Traffic(Protocol):
    """What a stream has moved, bytes of the client's data, and where it had to wait."""

    udid: str
    bytes_to_phone: int
    bytes_from_phone: int
    phone_stalls: Stalls
    """Waits for room in the phone's window."""
    client_stalls: Stalls
    """Waits for the client to take what came."""


@dataclass(slots=True)
class PhoneCounts:
    """Of one UDID, over all its attachments."""

    attached: int = 0
    bytes_to_phone: int = 0
    bytes_from_phone: int = 0
    reconnects: LastHour = field(default_factory=LastHour, compare=False)
    """Attachments but the first."""

    def add(self, traffic: Traffic) -> None:
        """Add what a stream has moved."""
        self.bytes_to_phone += traffic.bytes_to_phone
        self.bytes_from_phone += traffic.bytes_from_phone


@dataclass(slots=True)
class StallCounts:
    """Of several streams."""

    phone_stalls: int = 0
    phone_stalled_s: float = 0.0
    client_stalls: int = 0
    client_stalled_s: float = 0.0

    def add(self, traffic: Traffic, now: float) -> None:
        """Add those of a stream, with a wait that is not over."""
        count, length_s = traffic.phone_stalls.until(now)
        self.phone_stalls += count
        self.phone_stalled_s += length_s
        count, length_s = traffic.client_stalls.until(now)
        self.client_stalls += count
        self.client_stalled_s += length_s


@dataclass(slots=True)
class Counts:
    """Plain numbers; whoever sees something happen adds to them."""

    connects: Counter[ConnectResult] = field(default_factory=Counter)
    pair_records: Counter[tuple[RecordAction, RecordResult]] = field(default_factory=Counter)
    phone_failures: int = 0
    """A phone that is plugged in could not be opened, or its link broke."""
    resynchronisations: int = 0
    ignored_packets: int = 0
    stalls: StallCounts = field(default_factory=StallCounts)
    """Of streams that have ended."""
    phones: dict[str, PhoneCounts] = field(default_factory=dict)
    """By UDID, the one that was attached last at the end; with the bytes of streams that have ended."""

    def phone_attached(self, udid: str, now: float) -> int:
        """Count it, and return how often that was so far."""
        self.phones[udid] = phone = self.phones.pop(udid, None) or PhoneCounts()
        if len(self.phones) > COUNTED_PHONES:
            del self.phones[next(iter(self.phones))]
        if phone.attached:
            phone.reconnects.add(now)
        phone.attached += 1
        return phone.attached

    def phones_with(self, streams: Iterable[Traffic]) -> dict[str, PhoneCounts]:
        """Those of the phones, by UDID, with what these open streams have moved so far."""
        phones = {udid: replace(phone) for udid, phone in self.phones.items()}
        for stream in streams:
            if stream.udid in phones:
                phones[stream.udid].add(stream)
        return phones

    def stream_ended(self, traffic: Traffic, now: float) -> None:
        """Add what a stream has moved, to its phone only if that one is not forgotten."""
        if (phone := self.phones.get(traffic.udid)) is not None:
            phone.add(traffic)
        self.stalls.add(traffic, now)
