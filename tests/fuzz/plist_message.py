"""Property lists of a hostile client or daemon, XML and binary: our errors only; what is understood can be said."""

from __future__ import annotations

from typing import Final

from usbmux.control import plist_codec
from usbmux.control.message import ListenerList
from usbmux.errors import RemoteProtocolError

MAX_LENGTH: Final = 4096
DICTIONARY: Final = "plist"


def fuzz_one(data: bytes) -> None:
    check_request(data)
    check_reply(data)


def check_request(data: bytes) -> None:
    try:
        understood = plist_codec.decode_request(data)
    except RemoteProtocolError:
        return
    assert plist_codec.decode_request(plist_codec.encode(*understood)) == understood


def check_reply(data: bytes) -> None:
    try:
        understood = plist_codec.decode_reply(data)
    except RemoteProtocolError:
        return
    again = plist_codec.decode_reply(plist_codec.encode(understood))
    if isinstance(understood, ListenerList):  # of which a daemon does not say everything that it may be told
        assert plist_codec.decode_reply(plist_codec.encode(again)) == again
    else:
        assert again == understood
