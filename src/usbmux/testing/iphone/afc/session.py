"""One AFC connection: bytes of a host go in, bytes for it come out."""

from collections.abc import Callable
from typing import Final

from usbmux.errors import RemoteProtocolError
from usbmux.testing.iphone.afc.arguments import Arguments
from usbmux.testing.iphone.afc.codec import Operation, Request, RequestReader, Status, encode_header
from usbmux.testing.iphone.afc.faults import AfcFaults, FaultyReplies
from usbmux.testing.iphone.afc.file_operations import FileOperations, FileWrite
from usbmux.testing.iphone.afc.file_tree import FileTree
from usbmux.testing.iphone.afc.path_operations import PathOperations
from usbmux.testing.iphone.afc.path_walk import PathWalk
from usbmux.testing.iphone.afc.reply import Extent, Reply, error_reply, status_reply

PIECE_LENGTH: Final = 1 << 18
"""The most that a read brings into memory at a time, in bytes."""


class _Discard:
    """Takes the payload of a request that is answered already."""

    def __init__(self, reply: Reply) -> None:
        self._reply = reply

    def receive_data(self, data: bytes) -> None:
        pass

    def reply(self) -> Reply:
        return self._reply


class AfcSession:
    """Carries out the requests of one host in the order in which they come.

    It holds no more than what it was given last, and `PIECE_LENGTH`, however long a read or a write is.

    Args:
        tree: The files; other sessions may use them at the same time.
        model: The phone's ProductType.
        is_visible: Which names of the tree's root exist for the host.
        faults: What to do wrong.
    """

    def __init__(
        self,
        tree: FileTree,
        model: str,
        *,
        is_visible: Callable[[str], bool] = lambda _name: True,
        faults: AfcFaults | None = None,
    ) -> None:
        walk = PathWalk(tree, is_visible)
        self._files = FileOperations(walk)
        self._table = {**PathOperations(tree, walk, model).table, **self._files.table}
        self._requests = RequestReader()
        self._replies = FaultyReplies(faults if faults is not None else AfcFaults())
        self._packet_number = 0
        self._payload_taker: FileWrite | _Discard | None = None
        self._unsent: Extent | None = None

    def receive_data(self, data: bytes | memoryview) -> None:
        """Take bytes of the stream; `data_to_send` works on them."""
        self._requests.receive_data(data)

    def data_to_send(self) -> bytes:
        """Work on the stream until there is something to send; ``b""`` when all was done that came in.

        Raises:
            RemoteProtocolError: What came is no request, or what was promised is no longer in the file. Nothing may
                be sent any more.
        """
        while True:
            if self._unsent is not None:
                return self._next_piece(self._unsent)
            if (reply := self._replies.take()) is not None:
                return self._begin(*reply)
            if not self._work():
                return b""

    def close(self) -> None:
        """Close the files that the host has left open; must be called once."""
        self._files.close_all()

    def _work(self) -> bool:
        """Do the next thing with what came in; False if that does not suffice for any."""
        if self._payload_taker is None:
            request = self._requests.next_request()
            if request is None:
                return False
            self._packet_number = request.packet_number
            self._payload_taker = self._carry_out(request)
        elif data := self._requests.take_payload():
            self._payload_taker.receive_data(data)
        elif self._requests.payload_left:
            return False
        if not self._requests.payload_left:
            self._replies.put(self._packet_number, self._payload_taker.reply())
            self._payload_taker = None
        return True

    def _carry_out(self, request: Request) -> FileWrite | _Discard:
        try:
            if request.operation == Operation.WRITE:
                return self._files.begin_write(Arguments(request.arguments))
            if (operation := self._table.get(request.operation)) is None:
                return _Discard(status_reply(Status.UNSUPPORTED))
            if request.payload_length:
                return _Discard(status_reply(Status.BAD_ARGUMENT))  # the arguments were too long to be kept
            self._files.longest_read = self._replies.longest_read()
            return _Discard(operation(Arguments(request.arguments)))
        except OSError as error:
            return _Discard(error_reply(error))

    def _begin(self, packet_number: int, reply: Reply) -> bytes:
        header = encode_header(reply.operation, packet_number, reply.head, reply.payload_length)
        if reply.extent is None:
            return header + reply.payload
        return header + self._next_piece(reply.extent)

    def _next_piece(self, extent: Extent) -> bytes:
        length = min(extent.length, PIECE_LENGTH)
        try:
            data = extent.file.read_at(extent.offset, length)
        except OSError as error:
            raise RemoteProtocolError(f"the file cannot be read: {error}") from error
        if len(data) < length:
            raise RemoteProtocolError("the file was cut while it was read")
        rest = extent.length - length
        self._unsent = Extent(extent.file, extent.offset + length, rest) if rest else None
        return data
