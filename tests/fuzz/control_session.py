"""Both roles of the client protocol against a peer that sends anything, with answers at any time.

An input is the role (one byte), then operations of one byte each, with their arguments behind them.
"""

from __future__ import annotations

import struct
from contextlib import suppress
from typing import Final, Protocol

from tests.fuzz.cursor import Cursor
from usbmux.control.client import ClientSession
from usbmux.control.message import (
    Attached,
    Buid,
    Connect,
    DeletePairRecord,
    Detached,
    DeviceList,
    DeviceRecord,
    ListDevices,
    Listen,
    ListenerList,
    ListListeners,
    Notification,
    Paired,
    PairRecord,
    ReadBuid,
    ReadPairRecord,
    Reply,
    Request,
    Result,
    SavePairRecord,
)
from usbmux.control.server import ServerSession
from usbmux.errors import LocalProtocolError, RemoteProtocolError

MAX_LENGTH: Final = 2048
DICTIONARY: Final = "plist"
DEVICE: Final = DeviceRecord(1, "00008030-001A2B3C4D5E6F01")
REPLIES: Final[tuple[Reply, ...]] = (
    *(Result(0), Result(3), DeviceList((DEVICE,)), ListenerList(())),
    *(Buid("b"), PairRecord(b"r")),
)
NOTIFICATIONS: Final[tuple[Notification, ...]] = (Attached(DEVICE), Detached(1), Paired(1))
REQUESTS: Final[tuple[Request, ...]] = (
    *(Listen(), Connect(1, 22), ListDevices(), ListListeners(), ReadBuid()),
    *(ReadPairRecord("a"), SavePairRecord("a", b"r"), DeletePairRecord("a")),
)


class Role(Protocol):
    """One end of the protocol, under the fuzzer's hand."""

    def receive_data(self, data: bytes) -> None: ...
    def take_events(self) -> None: ...
    def speak(self, cursor: Cursor) -> None: ...
    def take_trailing_data(self) -> bytes: ...


class Server:
    def __init__(self) -> None:
        self._session = ServerSession()
        self.receive_data = self._session.receive_data
        self.take_trailing_data = self._session.take_trailing_data

    def take_events(self) -> None:
        while self._session.next_event() is not None:
            pass

    def speak(self, cursor: Cursor) -> None:
        choice = cursor.byte()
        if choice & 1:
            self._session.notify(NOTIFICATIONS[(choice >> 1) % len(NOTIFICATIONS)])
        else:
            self._session.reply(REPLIES[(choice >> 1) % len(REPLIES)])


class Client:
    def __init__(self, version: int) -> None:
        self._session = ClientSession(version)
        self.receive_data = self._session.receive_data
        self.take_trailing_data = self._session.take_trailing_data

    def take_events(self) -> None:
        while self._session.next_event() is not None:
            pass

    def speak(self, cursor: Cursor) -> None:
        self._session.request(REQUESTS[cursor.byte() % len(REQUESTS)])


def fuzz_one(data: bytes) -> None:
    cursor = Cursor(data)
    choice = cursor.byte() % 3
    role: Role = Server() if choice == 2 else Client(choice)
    while not cursor.is_empty:
        try:
            act(role, cursor)
        except RemoteProtocolError:
            break
    with suppress(LocalProtocolError):
        role.take_trailing_data()


def act(role: Role, cursor: Cursor) -> None:
    match cursor.byte() % 4:
        case 0:
            role.receive_data(cursor.take(cursor.byte()))
        case 1:
            role.receive_data(frame(cursor))
        case 2:
            role.take_events()
        case _:
            with suppress(LocalProtocolError):
                role.speak(cursor)


def frame(cursor: Cursor) -> bytes:
    """A frame with the right length field; whatever else is the fuzzer's."""
    version, message_type, tag, length = cursor.byte(), cursor.byte(), cursor.byte(), cursor.number(2)
    payload = cursor.take(length)
    return struct.pack("<IIII", 16 + len(payload), version, message_type, tag) + payload
