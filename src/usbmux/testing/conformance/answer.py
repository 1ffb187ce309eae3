"""Words for what a server did: the same for what is expected and for what came."""

from collections.abc import Mapping
from enum import Enum
from typing import Final, assert_never

from usbmux.control import property_list
from usbmux.control.frame import Frame, MessageType
from usbmux.control.message import clean_text
from usbmux.errors import RemoteProtocolError

DEVICE_LIST: Final = "DeviceList"
LISTENER_LIST: Final = "ListenerList"
BUID: Final = "BUID"
PAIR_RECORD: Final = "PairRecordData"
CLOSED: Final = "closed"
NO_ANSWER: Final = "no answer"
_DATA_TYPES: Final[dict[str, type]] = {DEVICE_LIST: list, LISTENER_LIST: list, BUID: str, PAIR_RECORD: bytes}
_NUMBER_LENGTH: Final = 4
_LARGEST_NUMBER: Final = 1 << 64
_KEYS_SHOWN: Final = 5


class Ending(Enum):
    """Why there is no further message."""

    CLOSED = CLOSED
    """The server ended the connection, cleanly or not."""
    SILENT = NO_ANSWER
    """Nothing came before the deadline."""


Answer = Frame | Ending


def result(number: int) -> str:
    """The word for a Result in a property list."""
    return f"Result {number}"


def binary_result(number: int) -> str:
    """The word for a Result in binary."""
    return f"binary Result {number}"


def either_result(number: int) -> tuple[str, str]:
    """A Result in either encoding."""
    return binary_result(number), result(number)


def then(*steps: str) -> str:
    """Several answers, one after the other."""
    return ", then ".join(steps)


def describe(answer: Answer, tag: int) -> str:
    """What an answer is, and whether its tag is another than that of the request."""
    match answer:
        case Ending():
            return answer.value
        case Frame():
            text = _content(answer)
            return text if answer.tag == tag else f"{text} under tag {answer.tag:#x} instead of {tag:#x}"
    assert_never(answer)


def properties_of(answer: Answer) -> Mapping[object, object]:
    """The dictionary that came, empty if none did."""
    if isinstance(answer, Ending) or answer.message_type != MessageType.PLIST:
        return {}
    try:
        return property_list.load(answer.payload)
    except RemoteProtocolError:
        return {}


def is_notification(answer: Answer) -> bool:
    """Whether it is Attached, Detached or Paired, in either encoding."""
    names = ("Attached", "Detached", "Paired")
    return isinstance(answer, Frame) and _content(answer).removeprefix("binary ") in names


def _content(frame: Frame) -> str:
    match frame.version, frame.message_type:
        case 1, MessageType.PLIST:
            return _plist_content(frame.payload)
        case 0, MessageType.RESULT if len(frame.payload) >= _NUMBER_LENGTH:
            return binary_result(int.from_bytes(frame.payload[:_NUMBER_LENGTH], "little"))
        case 0, MessageType.ATTACHED | MessageType.DETACHED | MessageType.PAIRED as message_type:
            return f"binary {MessageType(message_type).name.capitalize()}"
        case _:
            return f"version {frame.version} message {frame.message_type} with {len(frame.payload)} bytes"


def _plist_content(payload: bytes) -> str:
    try:
        properties = property_list.load(payload)
    except RemoteProtocolError as error:
        return str(error)
    name = _message_name(properties)
    return f"{name} in a binary property list" if payload.startswith(b"bplist") else name


def _message_name(properties: Mapping[object, object]) -> str:
    match properties:
        case {"MessageType": "Result", "Number": int(number)} if abs(number) <= _LARGEST_NUMBER:
            return result(number)
        case {"MessageType": str(name)}:
            return clean_text(name)
        case _:
            return _data_name(properties)


def _data_name(properties: Mapping[object, object]) -> str:
    for key, expected_type in _DATA_TYPES.items():
        if isinstance(properties.get(key), expected_type):
            return key
    keys = sorted(clean_text(key) for key in properties if isinstance(key, str))
    return f"a dictionary of {', '.join(keys[:_KEYS_SHOWN]) or 'nothing'}"
