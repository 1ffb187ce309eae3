"""A whole session against a hostile phone, with clients that do anything that the engine allows them.

An input is how far the session has come (one byte), then operations of one byte each, with their arguments behind
them. See `HostilePhone` for what they are.
"""

from __future__ import annotations

from typing import Final

from tests.fuzz.cursor import Cursor
from tests.fuzz.hostile_phone import HostilePhone

MAX_LENGTH: Final = 1024
MAX_OPERATIONS: Final = 300
AT_ONCE: Final = 0x80
KEEPS: Final = 0x40
"""In the byte that chooses a connection: what is sent there does not go through the queue."""


def fuzz_one(data: bytes) -> None:
    cursor = Cursor(data)
    phone = HostilePhone()
    prepare(phone, cursor.byte() % 4)
    for _ in range(MAX_OPERATIONS):
        if cursor.is_empty:
            break
        act(phone, cursor)
    phone.finish()


def prepare(phone: HostilePhone, stage: int) -> None:
    """Nothing; a handshake in version 1 or 2; one in version 2 and an established connection."""
    if stage == 0:
        return
    phone.transmit(1)
    phone.send_version(min(stage, 2), 0)
    if stage == 3:
        phone.connect(22)
        phone.transmit(255)
        phone.send_segment(0, 0x12, 0, 0, 256, b"")


def act(phone: HostilePhone, cursor: Cursor) -> None:
    """One operation."""
    match cursor.byte() % 16:
        case 0:
            phone.send_raw(cursor.take(cursor.byte()))
        case 1:
            phone.send_packet(cursor.byte() % 8, cursor.take(cursor.byte()), cursor.byte())
        case 2 | 3 | 4 | 5:
            phone.send_segment(*segment(cursor))
        case 6:
            phone.send_version(cursor.byte(), cursor.byte())
        case 7:
            phone.connect(cursor.byte())
        case 8:
            which, count = cursor.byte(), cursor.number(2)
            send = phone.client_sends_at_once if which & AT_ONCE else phone.client_sends
            (phone.client_offers if which & KEEPS else send)(which & ~(AT_ONCE | KEEPS), count)
        case 9:
            phone.client_takes(cursor.byte(), cursor.number(2))
        case 10:
            phone.client_shuts_down(cursor.byte())
        case 11:
            phone.client_closes(cursor.byte())
        case 12:
            phone.client_aborts(cursor.byte())
        case 13:
            phone.pass_time(cursor.byte())
        case 14:
            phone.transmit(cursor.byte())
        case _:
            phone.cut = cursor.byte()


def segment(cursor: Cursor) -> tuple[int, int, int, int, int, bytes]:
    """Which connection, flags, how far off seq and ack are, window, payload."""
    which, flags = cursor.byte(), FLAGS[cursor.byte() % len(FLAGS)]
    seq_off, ack_off = OFFSETS[cursor.byte() % len(OFFSETS)], OFFSETS[cursor.byte() % len(OFFSETS)]
    return which, flags, seq_off, ack_off, cursor.number(2), cursor.take(cursor.byte())


FLAGS: Final = (0x10, 0x10, 0x10, 0x12, 0x04, 0x14, 0x02, 0x11, 0x18, 0x00, 0xFF)
OFFSETS: Final = (0, 0, 0, 0, 1, -1, 2, -2, 255, -256, 65536, -65536, 2**31 - 1, -(2**31), 2**31)
