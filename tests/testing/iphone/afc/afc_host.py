"""A host that speaks AFC with a session, without any stream between them."""

import struct
from dataclasses import dataclass

from usbmux.testing.iphone.afc.codec import HEADER_LENGTH, Operation, Status
from usbmux.testing.iphone.afc.faults import AfcFaults
from usbmux.testing.iphone.afc.file_tree import FileTree, OpenMode
from usbmux.testing.iphone.afc.memory_tree import MemoryTree
from usbmux.testing.iphone.afc.session import AfcSession

HEADER = struct.Struct("<8sQQQQ")


@dataclass(frozen=True)
class Answer:
    """A packet of the phone."""

    packet_number: int
    operation: int
    head: bytes
    payload: bytes

    @property
    def number(self) -> int:
        """What its head says, which is all there is."""
        assert len(self.head) == 8
        assert not self.payload
        return int.from_bytes(self.head, "little")

    @property
    def status(self) -> Status:
        assert self.operation == Operation.STATUS
        return Status(self.number)

    @property
    def data(self) -> bytes:
        assert self.operation == Operation.DATA, self
        assert not self.head
        return self.payload

    @property
    def texts(self) -> list[str]:
        *texts, rest = self.data.split(b"\0")
        assert not rest
        return [text.decode("utf-8", "surrogateescape") for text in texts]

    @property
    def pairs(self) -> dict[str, str]:
        return dict(zip(self.texts[::2], self.texts[1::2], strict=True))


def packet(operation: int, head: bytes = b"", payload: bytes = b"", *, number: int = 1) -> bytes:
    this_length = HEADER_LENGTH + len(head)
    return HEADER.pack(b"CFA6LPAA", this_length + len(payload), this_length, number, operation) + head + payload


def numbers(*values: int) -> bytes:
    return b"".join((value % (1 << 64)).to_bytes(8, "little") for value in values)


def answers(data: bytes) -> list[Answer]:
    found: list[Answer] = []
    while data:
        magic, entire_length, this_length, packet_number, operation = HEADER.unpack_from(data)
        assert magic == b"CFA6LPAA"
        assert HEADER_LENGTH <= this_length <= entire_length <= len(data)
        head, payload = data[HEADER_LENGTH:this_length], data[this_length:entire_length]
        found.append(Answer(packet_number, operation, head, payload))
        data = data[entire_length:]
    return found


class AfcHost:
    """One session; each method is one request and its answer."""

    def __init__(self, tree: FileTree | None = None, *, faults: AfcFaults | None = None, visible: str = "") -> None:
        self.tree = tree if tree is not None else MemoryTree()
        is_visible = (lambda name: name == visible) if visible else (lambda _name: True)
        self.session = AfcSession(self.tree, "iPhone12,1", is_visible=is_visible, faults=faults)
        self._number = 0

    def exchange(self, data: bytes) -> list[Answer]:
        self.session.receive_data(data)
        return answers(b"".join(iter(self.session.data_to_send, b"")))

    def ask(self, operation: int, head: bytes = b"", payload: bytes = b"") -> Answer:
        self._number += 1
        (answer,) = self.exchange(packet(operation, head, payload, number=self._number))
        assert answer.packet_number == self._number
        return answer

    def names(self, path: str) -> list[str]:
        return self.ask(Operation.READ_DIRECTORY, path.encode()).texts

    def info(self, path: str) -> dict[str, str]:
        return self.ask(Operation.FILE_INFO, path.encode()).pairs

    def status(self, operation: int, *paths: str, value: int | None = None) -> Status:
        head = b"" if value is None else numbers(value)
        return self.ask(
            operation, head + b"".join(path.encode("utf-8", "surrogateescape") + b"\0" for path in paths)
        ).status

    def open(self, path: str, mode: int = OpenMode.READ) -> int:
        answer = self.ask(Operation.OPEN, numbers(mode) + path.encode() + b"\0")
        assert answer.operation == Operation.OPEN_RESULT, answer
        return answer.number

    def open_status(self, path: str, mode: int = OpenMode.READ) -> Status:
        return self.status(Operation.OPEN, path, value=mode)

    def handle_status(self, operation: int, handle: int, *values: int) -> Status:
        return self.ask(operation, numbers(handle, *values)).status

    def read(self, handle: int, count: int) -> bytes:
        return self.ask(Operation.READ, numbers(handle, count)).data

    def write(self, handle: int, data: bytes) -> Status:
        return self.ask(Operation.WRITE, numbers(handle), data).status

    def tell(self, handle: int) -> int:
        answer = self.ask(Operation.TELL, numbers(handle))
        assert answer.operation == Operation.TELL_RESULT
        return answer.number

    def put(self, path: str, data: bytes) -> None:
        handle = self.open(path, OpenMode.WRITE)
        assert self.write(handle, data) is Status.OK
        assert self.handle_status(Operation.CLOSE, handle) is Status.OK

    def content(self, path: str) -> bytes:
        handle = self.open(path)
        data = self.read(handle, 1 << 40)
        assert self.handle_status(Operation.CLOSE, handle) is Status.OK
        return data
