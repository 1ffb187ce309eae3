"""The cable between a session and a phone: it cuts, joins and delays, and loses or doubles when it is told to."""

from __future__ import annotations

from collections import deque
from enum import Enum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections import Counter
    from random import Random

    from usbmux.testing.device import DeviceMux

MOST_JOINED = 8


class Fault(Enum):
    """What a cable can do to a packet; IN is to the host, OUT to the phone."""

    LOST_IN = "packet to the host lost"
    DOUBLED_IN = "packet to the host doubled"
    CUT_IN = "transfer to the host cut short"
    LOST_OUT = "packet to the phone lost"
    DOUBLED_OUT = "packet to the phone doubled"
    CUT_OUT = "transfer to the phone cut short"
    JOINED_OUT = "two transfers to the phone joined"


FAULTS_IN = (Fault.LOST_IN, Fault.DOUBLED_IN, Fault.CUT_IN)
FAULTS = tuple(Fault)


class Cable:
    """Both directions. What is sent waits in a queue until somebody takes it."""

    def __init__(self, random: Random, max_packet_size: int, counts: Counter[str]) -> None:
        self.to_host: deque[bytes] = deque()
        """Packets; of the first one, the beginning may have been taken already."""
        self.to_phone: deque[bytes] = deque()
        self.faults: set[Fault] = set()
        """What has gone wrong since the last `mend`."""
        self._random = random
        self._max_packet_size = max_packet_size
        self._counts = counts
        self._is_begun = False

    def mend(self) -> None:
        """Forget the faults. Nothing may be under way."""
        assert not self.to_host
        assert not self.to_phone
        self.faults.clear()

    def clear(self) -> None:
        """Unplugged: what is under way is gone."""
        self.to_host.clear()
        self.to_phone.clear()
        self._is_begun = False

    def take_transfer(self) -> bytes:
        """One bulk IN transfer: nothing, a packet, several, or a part of one. Something must be under way."""
        how = self._random.random()
        if how < 0.01:
            return b""
        first = self.to_host.popleft()
        if how > 0.75 and len(first) > 1:
            at = self._random.randrange(1, len(first))
            self.to_host.appendleft(first[at:])
            self._is_begun = True
            return first[:at]
        self._is_begun = False
        if how < 0.5:
            return first
        joined = [first]
        while self.to_host and len(joined) < MOST_JOINED:
            joined.append(self.to_host.popleft())
        return b"".join(joined)

    def take_all(self) -> bytes:
        """Everything for the host, in one transfer."""
        transfer = b"".join(self.to_host)
        self.to_host.clear()
        self._is_begun = False
        return transfer

    def give_to_phone(self, phone: DeviceMux) -> None:
        """The oldest transfer to the phone, in one or more requests, ended as USB wants it."""
        transfer, size = self.to_phone.popleft(), self._max_packet_size
        if len(transfer) > size and self._random.random() < 0.1:
            at = self._random.randrange(size, len(transfer), size)
            phone.receive_data(transfer[:at])
            transfer = transfer[at:]
        phone.receive_data(transfer)
        if len(transfer) % size == 0:
            phone.receive_data(b"")

    def give_beginning_to_phone(self, phone: DeviceMux) -> None:
        """The host dies amid a transfer: whole USB packets of it have come, but not its end."""
        if self.to_phone:
            transfer, size = self.to_phone.popleft(), self._max_packet_size
            phone.receive_data(transfer[: len(transfer) // size * size])
        self.to_phone.clear()

    def go_wrong(self) -> None:
        """One fault, if there is something under way that it can hit."""
        fault = self._random.choice(FAULTS if self._random.random() < 0.3 else FAULTS_IN)
        if self._inflict(fault):
            self.faults.add(fault)
            self._counts[fault.value] += 1

    def _inflict(self, fault: Fault) -> bool:
        queue = self.to_host if fault in FAULTS_IN else self.to_phone
        first_whole = 1 if self._is_begun and queue is self.to_host else 0
        if len(queue) <= first_whole:
            return False
        index = self._random.randrange(first_whole, len(queue))
        if len(queue[index]) < 2:  # the rest of what was cut short already
            return False
        match fault:
            case Fault.LOST_IN | Fault.LOST_OUT:
                del queue[index]
            case Fault.DOUBLED_IN | Fault.DOUBLED_OUT:
                queue.insert(index, queue[index])
            case Fault.CUT_IN | Fault.CUT_OUT:
                queue[index] = queue[index][: self._random.randrange(1, len(queue[index]))]
            case Fault.JOINED_OUT:
                if index == 0:
                    return False
                queue[index - 1] += queue[index]
                del queue[index]
        return True
